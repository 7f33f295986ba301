"""Stage of the monitor: walk the weeks, judge each by those before it, and prove the monitor.

In: accepted tables; text vectors of the shipped encoder if there are any. Out:
`reports/p8_drift.json` (false alarms on resampled calm weeks, seeded shifts found and answered, the
real year's alarms), `reports/monitoring.html`, and in `var/monitor/` the newest decision
(`latest.json`) and the whole history (`history.json`).
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from components.contracts.artefacts import Layout, write_json
from components.contracts.params import MonitorParams, Params
from components.data.parquet import read_frame, read_table
from components.evaluate.report import read_report, rounded, write_report
from components.monitor.decide import Decision, decide
from components.monitor.holidays import season_of
from components.monitor.page import write_page
from components.monitor.profile import Context, Profile, make_context, profile_week
from components.monitor.quality import Habits
from components.monitor.shifts import SHIFTS, Shift
from components.monitor.thresholds import (
    Reference,
    Samples,
    Thresholds,
    calibrate,
    false_alarm_rate,
    pool,
    sample_weeks,
)

CONTEXT_WEEKS = 8
MIN_REFERENCE_WEEKS = 2
WEEK_DAYS = 7
SHIFT_WEEKS = 3
RESAMPLES_A_WEEK = 24
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tables:
    """What the monitor reads."""

    events: Mapping[int, pl.DataFrame]
    products: pl.DataFrame
    visitors: pl.DataFrame
    timezone: str
    served: Mapping[int, pl.DataFrame] = field(default_factory=dict)
    quarantined: Mapping[int, int] = field(default_factory=dict)
    clusters: pl.DataFrame | None = None
    served_is_simulated: bool = False


@dataclass(frozen=True)
class WeekView:
    """One week and everything it is judged by."""

    week: int
    profile: Profile
    context: Context
    served: pl.DataFrame
    season: tuple[str, ...]
    is_complete: bool


def read_tables(layout: Layout, timezone: str) -> Tables:
    """Read what validation accepted, cut into weeks, and the served slates if there are any."""
    events = read_table("events", layout.tables)
    weeks = {int(key[0]): part for key, part in events.partition_by("week", as_dict=True).items()}
    slates, impressions = (read_table(n, layout.tables) for n in ("slates", "impressions"))
    served: dict[int, pl.DataFrame] = {}
    if slates.height:
        served = served_by_week(slates, impressions, events)
    return Tables(
        events=weeks,
        products=read_table("products", layout.tables),
        visitors=read_table("visitors", layout.tables),
        timezone=timezone,
        served=served,
        quarantined=quarantined_by_week(layout.quarantine / "events.parquet"),
        served_is_simulated=not served,
    )


def served_by_week(
    slates: pl.DataFrame, impressions: pl.DataFrame, events: pl.DataFrame
) -> dict[int, pl.DataFrame]:
    """Return the first ten products shown to each visitor by shop week.

    Slates have no week of their own: they take that of the event nearest before them.
    """
    clock = events.select("at", "week").sort("at")
    timed = slates.sort("at").join_asof(clock, on="at", strategy="backward").drop_nulls("week")
    shown = impressions.filter(pl.col("rank") <= 10).join(
        timed.select("slate_id", "visitor_id", "week"), on="slate_id"
    )
    best = shown.group_by("week", "visitor_id", "product_id").agg(pl.col("rank").min())
    return {
        int(key[0]): part.drop("week").sort("visitor_id", "rank", "product_id")
        for key, part in best.partition_by("week", as_dict=True).items()
    }


def quarantined_by_week(path: Path) -> dict[int, int]:
    """Return how many rows of each week validation refused."""
    if not path.is_file():
        return {}
    frame = read_frame(path)
    if "week" not in frame.columns:
        return {}
    counted = frame.drop_nulls("week").group_by("week").len()
    return {int(week): int(n) for week, n in counted.iter_rows() if str(week).isdigit()}


def walk(tables: Tables, *, rejected: frozenset[int] = frozenset()) -> Iterator[WeekView]:
    """Profile week after week, each against what was known before it.

    Args:
        tables: the canonical tables.
        rejected: weeks found faulty; nothing is learned from them.
    """
    habits = Habits()
    recent: list[pl.DataFrame] = []
    seen = {name: pl.Series(name, [], dtype=pl.String) for name in ("product_id", "visitor_id")}
    weeks = sorted(tables.events)
    warm_up = max(MIN_REFERENCE_WEEKS, min(CONTEXT_WEEKS, len(weeks) // 3))
    for week in weeks:
        events = tables.events[week]
        if len(recent) >= warm_up:
            active = events.select("visitor_id").unique()
            top = habits.top(active)
            context = make_context(
                pl.concat(recent), seen["product_id"], seen["visitor_id"], tables.products, top
            )
            served = tables.served.get(week, top if tables.served_is_simulated else top.clear())
            profile = view_profile(tables, events, tables.products, context, served, week)
            complete = profile.days >= WEEK_DAYS or week not in (weeks[0], weeks[-1])
            season = season_of(profile.first_day, profile.last_day, tables.timezone)
            yield WeekView(week, profile, context, served, tuple(season), complete)
        local = events["at"].dt.convert_time_zone(tables.timezone).dt.date()
        if week in rejected or (week == weeks[0] and local.n_unique() < WEEK_DAYS):
            continue
        habits.advance(events)
        recent = [*recent, events][-CONTEXT_WEEKS:]
        for name, known in seen.items():
            seen[name] = pl.concat([known, events[name].drop_nulls()]).unique()


def view_profile(
    tables: Tables,
    events: pl.DataFrame,
    products: pl.DataFrame,
    context: Context,
    served: pl.DataFrame,
    week: int,
) -> Profile:
    """Profile one week's events with the tables' settings."""
    return profile_week(
        events,
        products,
        tables.visitors,
        context,
        timezone=tables.timezone,
        quarantined=tables.quarantined.get(week, 0),
        served=served,
        clusters=tables.clusters,
    )


@dataclass(frozen=True)
class Year:
    """All weeks judged."""

    views: Mapping[int, WeekView]
    references: Mapping[int, Reference]
    decisions: tuple[Decision, ...]
    thresholds: Thresholds
    samples: Samples


def judge_year(tables: Tables, params: MonitorParams) -> Year:
    """Walk the weeks until what is rejected as faulty no longer changes (usually at once)."""
    rejected: frozenset[int] = frozenset()
    for _ in range(3):
        views = {view.week: view for view in walk(tables, rejected=rejected)}
        year = judge_views(views, params, rejected)
        faulty = frozenset(d.week for d in year.decisions if d.diagnosis == "data fault")
        if faulty <= rejected:
            return year
        rejected |= faulty
    return year


def judge_views(
    views: Mapping[int, WeekView], params: MonitorParams, rejected: frozenset[int]
) -> Year:
    """Calibrate on calm weeks and decide on every week in turn."""
    provisional = references(views, params.window_weeks, rejected)
    calm = [
        (views[week].profile, reference)
        for week, reference in provisional.items()
        if not views[week].season and views[week].is_complete and week not in rejected
    ]
    samples = sample_weeks(calm, resamples=RESAMPLES_A_WEEK, seed=params.seed)
    thresholds = calibrate(samples, rate=params.false_alarm_rate)
    decisions: list[Decision] = []
    used: dict[int, Reference] = {}
    accepted: list[int] = []
    pending: list[int] = []
    for week, view in views.items():
        if len(accepted) >= MIN_REFERENCE_WEEKS:
            window = accepted[-params.window_weeks :]
            used[week] = pool([views[w].profile for w in window])
            decision = decide(
                view.profile, used[week], thresholds, season=view.season, complete=view.is_complete
            )
            decisions.append(decision)
            if decision.diagnosis in ("shift", "seasonal"):
                # A change that lasts is the new usual; one week of it is not.
                pending.append(week)
                if len(pending) >= MIN_REFERENCE_WEEKS:
                    accepted += pending
                    pending = []
                continue
            pending = []
            if decision.diagnosis == "data fault":
                continue
        if week not in rejected and view.is_complete:
            accepted.append(week)
    return Year(views, used, tuple(decisions), thresholds, samples)


def references(
    views: Mapping[int, WeekView], window: int, rejected: frozenset[int]
) -> dict[int, Reference]:
    """Return what each week is compared with while no decision is made yet."""
    found = {}
    usable: list[int] = []
    for week, view in views.items():
        if len(usable) >= window:
            found[week] = pool([views[w].profile for w in usable[-window:]])
        if view.is_complete and week not in rejected:
            usable.append(week)
    return found


def try_shift(
    shift: Shift,
    view: WeekView,
    reference: Reference,
    thresholds: Thresholds,
    tables: Tables,
    seed: int,
) -> Decision | None:
    """Apply a shift to one week and judge it.

    Returns:
        None where there is nothing to judge: a shop of one category, or of ratings without prices,
        cannot have every shift, so that all or none of its events are touched.
    """
    generator = np.random.default_rng(seed)
    events, products = shift.apply(tables.events[view.week], tables.products, generator)
    is_same = events.equals(tables.events[view.week]) and products.equals(tables.products)
    if events.is_empty() or (is_same and shift.serve is None):
        return None
    served = shift.serve(view.served, generator) if shift.serve else view.served
    profile = view_profile(tables, events, products, view.context, served, view.week)
    return decide(profile, reference, thresholds, season=view.season)


def prove(year: Year, tables: Tables, params: MonitorParams) -> list[dict[str, Any]]:
    """Try every seeded shift on a few calm weeks; the thresholds never saw those weeks."""
    quiet = [
        d.week
        for d in year.decisions
        if d.diagnosis == "no drift" and d.week in year.references and not year.views[d.week].season
    ]
    if not quiet:
        return []
    chosen = [
        quiet[i] for i in np.linspace(len(quiet) // 3, len(quiet) - 1, SHIFT_WEEKS).astype(int)
    ]
    rows = []
    for shift in SHIFTS:
        decisions = []
        for week in dict.fromkeys(chosen):
            thresholds = calibrate(year.samples, rate=params.false_alarm_rate, without=week)
            reference = year.references[week]
            view = year.views[week]
            decided = try_shift(shift, view, reference, thresholds, tables, params.seed + week)
            if decided is not None:
                decisions.append(decided)
        if not decisions:
            log.info("monitor: the shift %s cannot happen here; left out", shift.name)
            continue
        detected = sum(d.diagnosis != "no drift" for d in decisions)
        right = sum(d.remedy in shift.right for d in decisions)
        first = decisions[0]
        rows.append(
            {
                "shift": shift.name,
                "about": shift.about,
                "is_fault": shift.is_fault,
                "weeks": [d.week for d in decisions],
                "detected": detected == len(decisions),
                "detected_share": detected / len(decisions),
                "remedy": first.remedy,
                "remedies": [d.remedy for d in decisions],
                "right_remedy": " or ".join(shift.right),
                "right": right == len(decisions),
                "diagnosis": first.diagnosis,
                "columns": list(first.columns),
                "reason": first.reason,
            }
        )
    return rows


def text_clusters(layout: Layout) -> pl.DataFrame | None:
    """Return product_id, title and cluster of the shipped text vectors, if the index has any."""
    from components.monitor.embeddings import cluster_texts

    return cluster_texts(layout.artefacts)


def write_proof(path: Path, year: Year, tables: Tables, params: Params) -> dict[str, Any]:
    """Measure false alarms, try the seeded shifts, and write the committed report."""
    settings = params.monitor
    rate, weeks = false_alarm_rate(
        year.samples, rate=settings.false_alarm_rate, draws=settings.resamples, seed=settings.seed
    )
    shifts = prove(year, tables, settings)
    alarms = [d for d in year.decisions if d.diagnosis != "no drift"]
    return write_report(
        path,
        protocol="P8 drift",
        dataset=params.ingest.source,
        split=f"each week against the {settings.window_weeks} accepted weeks before it",
        cut_off="none: every complete week with enough weeks before it is judged",
        n=len(year.decisions),
        seed=settings.seed,
        rows=[{"model": "monitor", "shipped": True, "slice": "all", "false_alarm_rate": rate}],
        false_alarm_rate=rate,
        false_alarm_rate_allowed=settings.false_alarm_rate,
        resampled_weeks=settings.resamples if weeks else 0,
        calm_weeks=weeks,
        shifts=shifts,
        shifts_tried=len(shifts),
        detected=sum(row["detected"] for row in shifts),
        right_remedies=sum(row["right"] for row in shifts),
        faults_retrained=sum(row["is_fault"] and "retrain" in row["remedies"] for row in shifts),
        alarms=[alarm_row(decision) for decision in alarms],
        served_slates="simulated: habit's own" if tables.served_is_simulated else "from the log",
    )


def run(params: Params, layout: Layout, *, prove_monitor: bool = True) -> None:
    """Judge the year, prove the monitor, and write report, page and history.

    Args:
        params: sections `ingest` and `monitor`.
        layout: where everything lies.
        prove_monitor: also measure false alarms and try the seeded shifts, and write the committed
            report; without it the last report is shown beside the new decisions.

    Raises:
        TableError: the accepted tables are absent.
    """
    settings = params.monitor
    tables = read_tables(layout, params.ingest.timezone)
    clusters = text_clusters(layout)
    if clusters is not None:
        tables = Tables(**{**tables.__dict__, "clusters": clusters})
    year = judge_year(tables, settings)
    path = layout.reports / "p8_drift.json"
    if prove_monitor or not path.is_file():
        report = write_proof(path, year, tables, params)
    else:
        report = read_report(path)
    history = [decision.model_dump(mode="json") for decision in year.decisions]
    write_json(
        layout.var / "monitor" / "history.json",
        {"decisions": rounded(history), "thresholds": year.thresholds.as_json()},
    )
    if year.decisions:
        write_json(layout.var / "monitor" / "latest.json", latest(year.decisions))
    write_page(layout.reports / "monitoring.html", year, report)
    alarms = sum(decision.diagnosis != "no drift" for decision in year.decisions)
    log.info("monitoring: %d weeks judged, %d alarms", len(history), alarms)


def alarm_row(decision: Decision) -> dict[str, Any]:
    """Return what the committed report says of a real alarm."""
    return {
        "week": decision.week,
        "first_day": decision.first_day,
        "diagnosis": decision.diagnosis,
        "remedy": decision.remedy,
        "season": list(decision.season),
        "columns": list(decision.columns),
        "measures": {a.measure: round(a.exceedance, 3) for a in decision.alarms},
        "reason": decision.reason,
    }


def latest(decisions: tuple[Decision, ...]) -> dict[str, Any]:
    """Return the decision to act on and those of the weeks before it, for the operations page.

    It is that on the last week that has ended; the running week's only if it holds a fault.
    """
    told = [d for d in decisions if d.complete or d.diagnosis == "data fault"]
    last = (told or decisions)[-1]
    return {
        "decision": last.remedy,
        "diagnosis": last.diagnosis,
        "reason": last.reason,
        "week": last.week,
        "columns": list(last.columns),
        "first_day": last.first_day,
        "last_day": last.last_day,
        "recent": [
            {"week": d.week, "diagnosis": d.diagnosis, "remedy": d.remedy, "reason": d.reason}
            for d in decisions[-8:]
        ],
    }


def read_history(layout: Layout) -> list[dict[str, Any]]:
    """Return the decisions on all weeks, oldest first; empty before the first run."""
    path = layout.var / "monitor" / "history.json"
    return json.loads(path.read_text(encoding="utf-8"))["decisions"] if path.is_file() else []


def read_latest(layout: Layout) -> dict[str, Any]:
    """Return the newest decision; empty before the first run."""
    path = layout.var / "monitor" / "latest.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
