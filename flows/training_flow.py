"""The training flow: data to a served champion, or a refusal with its reason.

`dvc repro` brings the pipeline up to date, its result is registered as a release, the gate judges
it against the champion, and what passes is promoted and packaged, or (`promote.canary_share`) first
tried on a share of the visitors. With nothing changed it ends after DVC's own check.
"""

from typing import Annotated, Any

from prefect import flow, task
from prefect.states import Completed
from pydantic import Field

from components.contracts.artefacts import Layout
from components.contracts.errors import PromotionRefusedError
from components.contracts.params import load_params
from components.registry.gate import Verdict, as_markdown, read_verdict
from components.registry.store import Registry, Release
from flows.environment import ROOT
from flows.forgetting import repro_without_forgotten
from flows.holds import refuse_held_data
from flows.records import git_commit, publish, publish_costs, publish_releases, recorded

Words = Annotated[str, Field(max_length=500)]


@task(name="register", retries=1, retry_delay_seconds=5, timeout_seconds=600)
def register(by: str) -> Release:
    """Store what the pipeline made as a release; equal content is the release that is there."""
    layout = Layout(ROOT)
    return Registry(layout.registry).register(
        layout.artefacts,
        reports=layout.reports,
        params=load_params(layout.params_file),
        git_commit=git_commit(ROOT),
        by=by,
    )


@task(name="gate", timeout_seconds=1800)
def gate(release_id: str, by: str) -> Verdict:
    """Judge a challenger; a refusal is recorded."""
    from components.stages.gate import judge

    layout = Layout(ROOT)
    verdict = judge(load_params(layout.params_file), layout, release_id)
    publish("verdict", as_markdown(verdict))
    if not verdict.promote:
        reasons = "; ".join(verdict.reasons)
        Registry(layout.registry).record("refuse", release_id, reason=reasons, by=by)
    return verdict


@task(name="promote", timeout_seconds=600)
def promote(verdict: Verdict, by: str) -> None:
    """Make the judged release champion, unless somebody promoted another one meanwhile."""
    layout = Layout(ROOT)
    registry = Registry(layout.registry)
    registry.promote(
        verdict.release_id,
        reason=verdict.summary,
        by=by,
        expected_champion=verdict.champion_id,
        details={"verdict": f"verdicts/{verdict.release_id}.md"},
    )
    registry.prune(load_params(layout.params_file).promote.keep_releases)


@task(name="try on visitors", timeout_seconds=300)
def try_on_visitors(verdict: Verdict, share: float, by: str) -> str:
    """Let the judged release answer a share of the visitors; the service ends the trial."""
    registry = Registry(Layout(ROOT).registry)
    state = registry.state()
    if state.canary is None or state.canary[0] != verdict.release_id:
        registry.canary_start(verdict.release_id, share=share, reason=verdict.summary, by=by)
    return f"{verdict.release_id} passed the gate and answers {share:.0%} of the visitors"


@task(name="package", retries=1, retry_delay_seconds=10, timeout_seconds=900)
def package(release_id: str, by: str) -> str:
    """Build the champion's bento unless an identical one is there."""
    from components.stages.package import package as build

    return build(Layout(ROOT), release_id, by=by)


def decided(release: Release, by: str, *, again: bool) -> Verdict | None:
    """Return the gate's decision on a release; None if it is the champion already.

    What was refused against this very champion, by the gate or by its shoppers, stays refused.
    """
    registry = Registry(Layout(ROOT).registry)
    state = registry.state()
    if state.line[-1:] == [release.release_id]:
        return None
    known = read_verdict(release.release_id, registry.verdicts)
    settled = (
        known is not None
        and bool(state.line)
        and known.champion_id == state.line[-1]
        and release.release_id in state.refused
    )
    if known is None or not settled or again:
        return gate(release.release_id, by)
    if known.promote:
        reasons = (state.refused[release.release_id],)
        return known.model_copy(update={"promote": False, "reasons": reasons})
    return known


@flow(name="training", timeout_seconds=4 * 3600, **recorded())
def training(
    reason: Words = "asked for by hand",
    targets: tuple[str, ...] = (),
    force: bool = False,
    pull: bool = False,
    judge_again: bool = False,
    packaged: bool = True,
    ignore_hold: bool = False,
) -> Any:
    """Train what changed, and let the result replace the champion if it deserves to.

    Args:
        reason: why this run, for the record.
        targets: stages to bring up to date; all of them if empty.
        force: run the targets although nothing changed.
        pull: take from the DVC remote what it has.
        judge_again: judge a release anew that was refused against the same champion.
        packaged: build the champion's bento.
        ignore_hold: train although monitoring found a fault in these very data.

    Raises:
        DataHeldError: monitoring found a data fault and the data are still the same.
        PromotionRefusedError: the very first release was refused, so there is nothing to serve.
    """
    by = f"training flow ({reason})"
    refuse_held_data(Layout(ROOT), ignore=ignore_hold)
    ran = repro_without_forgotten(targets, pull=pull, force=force)
    release = register(by)
    verdict = decided(release, by, again=judge_again)
    share = load_params(Layout(ROOT).params_file).promote.canary_share
    tried = ""
    if verdict is not None and verdict.promote and verdict.champion_id and share:
        tried = try_on_visitors(verdict, share, by)
    elif verdict is not None and verdict.promote:
        promote(verdict, by)
    champion = Registry(Layout(ROOT).registry).champion()
    if champion is None:
        raise PromotionRefusedError(verdict.summary if verdict else "no champion")
    bento = package(champion.release_id, by) if packaged else ""
    publish_costs(ran)
    publish_releases(champion, bento)
    if verdict is not None and not verdict.promote:
        return Completed(name="Refused", message=f"{verdict.summary}; {champion.release_id} stays")
    if tried:
        return Completed(name="On trial", message=f"{tried}; {champion.release_id} is champion")
    return Completed(message=f"champion {champion.release_id}; {len(ran)} stages ran")
