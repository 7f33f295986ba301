"""Forgotten visitors whose rows are still in the ingested tables: what DVC cannot see.

`var/forgotten.json` is no dependency of any stage: it lies outside of git and most checkouts have
none. So the data themselves are asked, not a record about them: tables that came back from DVC's
run cache or its remote are seen too, and with nobody forgotten nothing is written or run.
"""

import polars as pl
from prefect.logging import get_run_logger

from components.contracts.artefacts import Layout
from components.data.forgotten import FILE_NAME, digest_of, read_tombstones
from flows.dvc_tasks import repro
from flows.environment import ROOT

COLUMNS = ("visitor_id", "other_id")


def forgotten_in_data(layout: Layout) -> int:
    """Return how many forgotten visitors `data/ingested` still holds; 0 before the first ingest.

    Raises:
        SourceError: the tombstones are damaged.
    """
    salt, digests = read_tombstones(layout.var / FILE_NAME)
    if salt is None or not digests or not layout.ingested.is_dir():
        return 0
    ids: set[str] = set()
    for path in sorted(layout.ingested.glob("*.parquet")):
        table = pl.scan_parquet(path)
        names = table.collect_schema().names()
        for column in COLUMNS:
            if column in names:
                ids |= set(table.select(column).unique().collect()[column].drop_nulls().to_list())
    return sum(digest_of(visitor_id, salt) in digests for visitor_id in ids)


def ingest_without_forgotten() -> list[str]:
    """Force the ingest if the tables still hold somebody who asked to be forgotten.

    Returns:
        The stages that ran; empty if there was no need.
    """
    found = forgotten_in_data(Layout(ROOT))
    if not found:
        return []
    get_run_logger().info("%d forgotten visitors are still in the tables: reading anew", found)
    return repro(("ingest",), force=True)


def repro_without_forgotten(
    targets: tuple[str, ...] = (), *, pull: bool = False, force: bool = False
) -> list[str]:
    """Bring the pipeline up to date, from tables without forgotten visitors; see `repro`."""
    ran = ingest_without_forgotten()
    ran += repro(targets, pull=pull, force=force)
    # What was pulled, or restored from a run before the request, may have brought them back.
    if again := ingest_without_forgotten():
        ran += [*again, *repro(targets)]
    return ran
