"""The monitoring flow: look, decide, act, and leave a record.

The remedy is carried out at once where that is safe: a fault holds the data back, a regression
rolls the release back, a shift emits the event that starts the training. A season is only noted.
"""

import json
from typing import Any

from prefect import flow, task
from prefect.events import emit_event
from prefect.states import Completed

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import RegistryError
from components.contracts.params import load_params
from components.data.parquet import read_table
from components.monitor import watch
from components.registry.store import Registry
from flows.environment import ROOT
from flows.holds import hold_data, lift_hold
from flows.records import publish, publish_link, publish_table, recorded
from flows.weeks import Week, chosen_weeks, weeks_held


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
    """Carry out the remedy, once for a week however often it is looked at; return a sentence."""
    layout = Layout(ROOT)
    remedy, reason = decision["decision"], f"week {decision['week']}: {decision['reason']}"
    if remedy == "stop and quarantine":
        return f"data held back, week put aside in {hold_data(layout, decision)}"
    lift_hold(layout)
    acted, this = (
        layout.var / "monitor" / "acted.json",
        {"week": decision["week"], "remedy": remedy},
    )
    if acted.is_file() and json.loads(acted.read_text(encoding="utf-8")) == this:
        return f"{remedy}: done for this week already"
    if remedy == "roll back":
        try:
            entry = Registry(layout.registry).rollback(reason=reason, by="monitoring flow")
        except RegistryError as error:
            return f"could not roll back: {error}"
        write_json(acted, this)
        return f"rolled back to {entry.release_id}"
    if remedy == "retrain":
        emit_event(
            "shelfwise.drift.detected",
            resource={"prefect.resource.id": "shelfwise.drift.weekly"},
            payload={"reason": reason, "columns": decision["columns"]},
        )
        write_json(acted, this)
        return "asked for a retrain"
    return "nothing to do"


@task(name="catch up", timeout_seconds=600)
def catch_up(weeks: list[int]) -> list[dict[str, Any]]:
    """Write the decision on each of these weeks to `var/monitor/weeks/`; return them in short."""
    layout = Layout(ROOT)
    rows = []
    for decision in watch.read_history(layout):
        if decision["week"] in weeks:
            path = layout.var / "monitor" / "weeks" / f"week-{decision['week']}.json"
            write_json(path, decision)
            rows.append({key: decision[key] for key in ("week", "diagnosis", "remedy", "reason")})
    return rows


@flow(name="monitoring", timeout_seconds=3600, **recorded())
def monitoring(
    act_on_it: bool = True, prove: bool = False, from_week: Week = None, to_week: Week = None
) -> Any:
    """Look for drift and faults in the newest week, and act; or catch up on earlier weeks.

    Args:
        act_on_it: carry out the remedy; false only reports.
        prove: also try the seeded shifts and the false-alarm rate again (the pipeline does).
        from_week: write the decisions on past weeks from this one; no remedy is carried out, since
            what was right then may be wrong now.
        to_week: last week of these; the newest if not given.

    Raises:
        ParamsError: no such weeks.
    """
    weeks = chosen_weeks(from_week, to_week, weeks_held(Layout(ROOT)))
    decision = judge(prove)
    if weeks is not None:
        rows = catch_up(weeks)
        publish_table("weeks", rows, description="Decisions on the weeks asked for")
        alarms = sum(row["diagnosis"] != "no drift" for row in rows)
        judged = f"{len(rows)} of {len(weeks)} weeks judged, {alarms} alarms"
        return Completed(message=f"{judged}; the others have too few weeks before them")
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
