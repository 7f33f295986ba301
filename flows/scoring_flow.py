"""The scoring flow: slates for every known visitor, in one batch, from the champion."""

from typing import Annotated, Any

from prefect import flow, task
from prefect.states import Completed
from pydantic import Field

from components.contracts.artefacts import Layout
from components.contracts.errors import RegistryError
from components.registry.store import Registry
from flows.environment import ROOT
from flows.records import publish_link, publish_table, recorded
from flows.weeks import Week, chosen_weeks, weeks_held


@task(name="score", retries=1, retry_delay_seconds=10, timeout_seconds=2 * 3600)
def score(limit: int, release_id: str | None, weeks: list[int] | None) -> list[dict[str, Any]]:
    """Write one file of slates, or one per week; return what they hold."""
    from components.stages.scoring import score_visitors

    registry = Registry(Layout(ROOT).registry)
    release = registry.release(release_id) if release_id else registry.champion()
    if release is None:
        raise RegistryError("no champion to score with; run `make pipeline` first.")
    return score_visitors(Layout(ROOT), release, limit=limit, weeks=weeks)


@flow(name="scoring", timeout_seconds=3 * 3600, **recorded())
def scoring(
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    release_id: str | None = None,
    from_week: Week = None,
    to_week: Week = None,
) -> Any:
    """Score every visitor the release knows, for mails and exports.

    Args:
        limit: products per visitor.
        release_id: whose slates; the champion's if not given.
        from_week: catch up on missed weeks from this one, each as it stood when it ended.
        to_week: last week of these; the newest if not given.

    Raises:
        ParamsError: no such weeks, or the release was trained on one of them.
    """
    weeks = chosen_weeks(from_week, to_week, weeks_held(Layout(ROOT)))
    done = score(limit, release_id, weeks)
    publish_table("scores", done, description="Slates by file")
    for row in done[-3:]:
        publish_link("scores-file", ROOT / row["path"], row["path"])
    return Completed(message=f"{done[-1]['visitors']} visitors in {len(done)} files, last "
                             f"{done[-1]['path']}")  # fmt: skip
