"""The release flow: judge, promote, package, try on a share of the visitors, or roll back."""

from typing import Annotated, Any, Literal

from prefect import flow, task
from prefect.states import Completed
from pydantic import Field

from components.contracts.artefacts import Layout
from components.contracts.errors import PromotionRefusedError, RegistryError
from components.registry.store import Registry
from flows.environment import ROOT
from flows.records import publish_releases, publish_table, recorded
from flows.training_flow import Words, gate, package, promote

Share = Annotated[float, Field(gt=0, lt=1)]


def chosen(release_id: str | None) -> str:
    """Return the release asked for, else the newest challenger.

    Raises:
        RegistryError: nothing waits to be released.
    """
    registry = Registry(Layout(ROOT).registry)
    if release_id:
        return registry.release(release_id).release_id
    challenger = registry.challenger()
    if challenger is None:
        raise RegistryError("no challenger waits; name a release of `shelfwise releases`.")
    return challenger.release_id


@task(name="move", timeout_seconds=300)
def move(action: str, release_id: str | None, reason: str, by: str, share: float) -> str:
    """Carry out a change that needs no judgement; return a sentence."""
    registry = Registry(Layout(ROOT).registry)
    if action == "rollback":
        entry = registry.rollback(reason=reason, by=by)
        return f"rolled back from {entry.previous} to {entry.release_id}"
    if action == "canary":
        entry = registry.canary_start(chosen(release_id), share=share, reason=reason, by=by)
        return f"{entry.release_id} answers {share:.0%} of the visitors"
    registry.canary_stop(reason=reason, by=by)
    return "the champion answers everyone"


@flow(name="release", timeout_seconds=3600, **recorded())
def release(
    action: Literal["promote", "rollback", "canary", "stop_canary", "package"] = "promote",
    release_id: str | None = None,
    reason: Words = "asked for by hand",
    share: Share = 0.1,
) -> Any:
    """Change what is served.

    Args:
        action: `promote` judges first and refuses what does not pass.
        release_id: which release; the newest challenger if not given.
        reason: for the record.
        share: of the visitors, for a canary.

    Raises:
        PromotionRefusedError: the gate said no; the message carries the reasons.
    """
    by, message = f"release flow ({reason})", ""
    if action == "promote":
        verdict = gate(chosen(release_id), by)
        if not verdict.promote:
            raise PromotionRefusedError(verdict.summary)
        promote(verdict, by)
        message = verdict.summary
    elif action != "package":
        message = move(action, release_id, reason, by, share)
    registry = Registry(Layout(ROOT).registry)
    champion = registry.champion()
    if champion is not None:
        publish_releases(champion, package(champion.release_id, by))
    rows = [entry.model_dump(exclude={"details"}) for entry in registry.history()[-20:]]
    publish_table("history", rows, description="Who was champion when, and why")
    return Completed(message=message or "packaged")
