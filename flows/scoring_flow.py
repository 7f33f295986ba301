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


@task(name="score", retries=1, retry_delay_seconds=10, timeout_seconds=2 * 3600)
def score(limit: int) -> dict[str, Any]:
    """Write `var/scores/<release>.parquet`; return what it holds."""
    from components.stages.scoring import score_visitors

    layout = Layout(ROOT)
    champion = Registry(layout.registry).champion()
    if champion is None:
        raise RegistryError("no champion to score with; run `make pipeline` first.")
    return score_visitors(layout, champion, limit=limit)


@flow(name="scoring", timeout_seconds=3 * 3600, **recorded())
def scoring(limit: Annotated[int, Field(ge=1, le=100)] = 20) -> Any:
    """Score every visitor the release knows, for mails and exports.

    Args:
        limit: products per visitor.
    """
    done = score(limit)
    publish_table("scores", [done], description="One batch of slates")
    publish_link("scores-file", ROOT / done["path"], done["path"])
    return Completed(message=f"{done['visitors']} visitors in {done['path']}")
