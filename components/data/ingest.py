"""Stage `ingest`: a source becomes canonical tables in `data/ingested`, and an account of the rest.

In: the source named by `ingest.source`. Out: one Parquet file per table and `ingest.json`, which
says from which files, how many rows, what was dropped and why, and what is synthetic. The folder is
replaced as a whole, so a killed run leaves the old tables or none, never a mixture.
"""

import importlib
import shutil

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import SourceError
from components.contracts.params import IngestParams, Params
from components.contracts.tables import REQUIRED_TABLES, SPECS
from components.data.forgotten import FILE_NAME as FORGOTTEN_NAME
from components.data.forgotten import drop_forgotten
from components.data.parquet import empty_table, write_frame, write_table
from components.data.source import Ingested

ADAPTERS = {
    "journey": "components.data.journey",
    "amazon": "components.data.amazon",
    "csv": "components.data.csv",
    "synthetic": "components.data.synthetic",
    "serving_log": "components.data.serving_log",
}
ACCOUNT_NAME = "ingest.json"


def read_source(params: IngestParams) -> Ingested:
    """Read the source that `params.source` names.

    Raises:
        SourceError: the source cannot be read; the message says which file and why.
    """
    ingested: Ingested = importlib.import_module(ADAPTERS[params.source]).read(params)
    unknown = sorted(set(ingested.tables) - set(SPECS))
    if unknown:
        raise SourceError(f"source {params.source}: unknown tables {unknown}.")
    return ingested


def run(params: Params, layout: Layout) -> None:
    """Write the source's tables to `data/ingested`.

    Raises:
        SourceError: the source cannot be read.
        TableError: the adapter's table does not fit its specification.
    """
    ingested = read_source(params.ingest)
    tables, forgotten = drop_forgotten(ingested.tables, layout.var / FORGOTTEN_NAME)
    partial = layout.ingested.with_name(".ingested.partial")
    shutil.rmtree(partial, ignore_errors=True)
    rows: dict[str, int] = {}
    for name, spec in SPECS.items():
        frame = tables.get(name)
        if frame is None or (frame.is_empty() and name not in REQUIRED_TABLES):
            frame = empty_table(spec)
            if name not in REQUIRED_TABLES:
                continue
        write_table(frame, name, partial)
        rows[name] = frame.height
    if ingested.bad_rows is not None and not ingested.bad_rows.is_empty():
        write_frame(ingested.bad_rows, partial / "unreadable_rows.parquet")
        rows["unreadable_rows"] = ingested.bad_rows.height
    dropped = dict(ingested.dropped)
    if forgotten:
        dropped["visitors: forgotten"] = forgotten
    write_json(
        partial / ACCOUNT_NAME,
        {
            "source": params.ingest.source,
            "inputs": dict(ingested.inputs),
            "rows": rows,
            "dropped": dropped,
            "notes": dict(ingested.notes),
        },
    )
    shutil.rmtree(layout.ingested, ignore_errors=True)
    partial.replace(layout.ingested)
