"""The monitoring flow: look, decide, act, and leave a record.

The remedy is carried out at once where that is safe: a fault holds the data back, a regression
rolls the release back, a shift emits the event that starts the training. A season is only noted.
"""

from typing import Any

from prefect import flow, task
from prefect.events import emit_event
from prefect.states import Completed

from components.contracts.artefacts import Layout
from components.contracts.errors import RegistryError
from components.contracts.params import load_params
from components.data.parquet import read_table
from components.monitor import watch
from components.registry.store import Registry
from flows.environment import ROOT
from flows.holds import hold_data, lift_hold
from flows.records import publish, publish_link, publish_table, recorded


@task(name="judge the weeks", retries=1, retry_delay_seconds=30, timeout_seconds=1800)
def judge(prove: bool) -> dict[str, Any]:
    """Judge every week and write page and history; return the newest decision."""
    layout = Layout(ROOT)
    watch.run(load_params(layout.params_file), layout, prove_monitor=prove)
    return watch.read_latest(layout)


@task(name="compare two windows", retries=1, retry_delay_seconds=30, timeout_seconds=1800)
def compare() -> dict[str, Any]:
    """Compare the last weeks with those before by Evidently; return what it flags."""
    from components.monitor.drift import compare_windows, window_frame, window_limits

    layout = Layout(ROOT)
    params = load_params(layout.params_file)
    events, products = (read_table(name, layout.tables) for name in ("events", "products"))
    weeks, timezone = params.monitor.window_weeks, params.ingest.timezone
    last = int(events["week"].max() or 0)  # type: ignore[arg-type]
    reference, current = (
        events.filter((events["week"] > end - weeks) & (events["week"] <= end))
        for end in (last - weeks, last)
    )
    if reference.is_empty():
        return {"flagged": [], "index": {}, "limits": {}}
    limits = window_limits(events, products, timezone, weeks=weeks, last_week=last - weeks)
    found = compare_windows(
        window_frame(reference, products, timezone),
        window_frame(current, products, timezone),
        limits=limits,
        folder=layout.var / "monitor" / "evidently",
    )
    return {
        "flagged": list(found.flagged),
        "index": dict(found.index),
        "limits": dict(found.limits),
    }


@task(name="act", timeout_seconds=300)
def act(decision: dict[str, Any]) -> str:
    """Carry out the remedy; return a sentence."""
    layout = Layout(ROOT)
    remedy, reason = decision["decision"], f"week {decision['week']}: {decision['reason']}"
    if remedy == "stop and quarantine":
        return f"data held back, week put aside in {hold_data(layout, decision)}"
    lift_hold(layout)
    if remedy == "roll back":
        try:
            entry = Registry(layout.registry).rollback(reason=reason, by="monitoring flow")
        except RegistryError as error:
            return f"could not roll back: {error}"
        return f"rolled back to {entry.release_id}"
    if remedy == "retrain":
        emit_event(
            "shelfwise.drift.detected",
            resource={"prefect.resource.id": "shelfwise.drift.weekly"},
            payload={"reason": reason, "columns": decision["columns"]},
        )
        return "asked for a retrain"
    return "nothing to do"


@flow(name="monitoring", timeout_seconds=3600, **recorded())
def monitoring(act_on_it: bool = True, prove: bool = False) -> Any:
    """Look for drift and faults in the newest week, and act.

    Args:
        act_on_it: carry out the remedy; false only reports.
        prove: also try the seeded shifts and the false-alarm rate again (the pipeline does).
    """
    decision = judge(prove)
    windows = compare()
    rows = [
        {"column": name, "index": round(value, 4), "limit": round(windows["limits"][name], 4)}
        for name, value in windows["index"].items()
    ]
    publish_table("two-windows", rows, description=f"Flagged: {windows['flagged'] or 'none'}")
    if not decision:
        return Completed(message="not enough weeks to judge")
    done = act(decision) if act_on_it else "reported only"
    publish_table("recent-weeks", decision["recent"], description="Decisions of the last weeks")
    publish(
        "monitoring",
        f"# Week {decision['week']}: {decision['diagnosis']}\n\n{decision['reason']}.\n\n"
        f"Remedy: **{decision['decision']}**; {done}.\n",
    )
    publish_link("report-monitoring", ROOT / "reports" / "monitoring.html", "monitoring.html")
    publish_link("report-evidently", ROOT / "var/monitor/evidently/evidently.html", "Evidently")
    return Completed(message=f"week {decision['week']}: {decision['diagnosis']}; {done}")
