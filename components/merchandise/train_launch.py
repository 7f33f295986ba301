"""Stage `train_launch`: what the launch planner knows, and how well it would have done.

In: accepted tables. Out: `artefacts/train_launch` (demand and audience models fitted on all weeks,
and the weekly sales and words they read) and `reports/launches.json`: on the launches of the
cold-product protocol's weeks, with everything fitted on the weeks before, how often the demand
range held and how many buyers were in the proposed audience; and a simulated ramp on made-up
truths.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, writing_artefact
from components.contracts.launches import RampStage
from components.contracts.params import Params, TrainLaunchParams
from components.data.parquet import read_table
from components.evaluate.bootstrap import mean_interval, paired_interval
from components.evaluate.report import rounded, write_report
from components.merchandise import demand
from components.merchandise.audience import (
    AudienceModel,
    bought_grid,
    fit_audience,
    lift_at,
)
from components.merchandise.demand import DemandModel, Sales, fit_demand, launch_rows, sales_of
from components.merchandise.ramp import Account, after_decision, decide, earned, may_show, shown
from components.recommend.cold_content import (
    CONTENT_FEATURES,
    LAUNCH_WEEKS,
    ColdFacts,
    cold_facts,
    content_features,
    find_launches,
)
from components.recommend.history import FloatArray
from components.recommend.shop_data import ShopData, read_shop

ARTEFACT = "train_launch"
AUDIENCE_SHARE = 0.1
DEMAND_WEEKS = 26  # of earlier launches that the demand models learn from
AUDIENCE_WEEKS = 10  # of earlier launches that the audience model learns from
FIRST_WEEK = 5  # of the data, counted from 0: earlier first sales are the opening assortment
BASELINES = {
    "own_category_frequency": "category_lines",
    "activity": "visitor_lines",
    "content_likeness": "likeness_mean",
}


def run(params: Params, layout: Layout) -> None:
    """Judge the planner on earlier launches, fit it on everything, write artefact and report."""
    section = params.train_launch
    shop = read_shop(layout.tables)
    products = read_table("products", layout.tables)
    facts = cold_facts(shop, products)
    sales = sales_of(shop.log, facts, dict(shop.calendar.shares))
    first, last = int(shop.log.week.min()), int(shop.log.week.max())
    with ThreadPoolExecutor(1) as pool:  # what is served is fitted while earlier fits are judged
        served = pool.submit(
            lambda: (
                _demand(sales, first, last + 1, section),
                _audience(shop, facts, last + 1, section),
                simulate(section),
            )
        )
        judged = judge(shop, facts, sales, section, params.evaluate.cold_from_week,
                       params.evaluate.cold_to_week, params.evaluate.bootstrap)  # fmt: skip
        demand_model, audience_model, simulated = served.result()
    metrics = {
        name: row[metric]
        for name, task, metric in (
            ("coverage", "demand", "coverage"), ("lift@10%", "audience", "lift@10%"),
        )
        for row in judged["rows"]
        if row.get("shipped") and row["task"] == task
    }  # fmt: skip
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="launch",
        stage=ARTEFACT,
        seed=section.seed,
        params=section.model_dump(),
        packages=("lightgbm", "numpy"),
        metrics=rounded(metrics),
    ) as folder:
        save(folder, shop, products, facts, sales, demand_model, audience_model)
    write_report(
        layout.reports / "launches.json",
        protocol="Launches (P4): demand range and audience",
        dataset=params.ingest.source,
        split="launches by first sale; everything fitted on the weeks before the first of them",
        cut_off=f"week {judged['from_week']}",
        n=judged["launches"],
        seed=section.seed,
        rows=judged["rows"],
        ramp={"data": "synthetic: success rates drawn with a seed", **simulated},
    )


def _demand(sales: Sales, first: int, until: int, section: TrainLaunchParams) -> DemandModel | None:
    begin = max(first + FIRST_WEEK, until - DEMAND_WEEKS)
    rows = launch_rows(sales, begin, until - 1, until, horizons=demand.SHORT_HORIZONS)
    if len(rows.lines) < section.min_launches:
        return None
    return fit_demand(rows, section.seed, calibrate_from=begin + 2, trees=section.trees)


def _audience(
    shop: ShopData, facts: ColdFacts, until: int, section: TrainLaunchParams
) -> AudienceModel | None:
    launches = find_launches(
        shop.log.before(until), shop.n_products, until - AUDIENCE_WEEKS, until - 1, until
    )
    if not len(launches.items):
        return None
    return fit_audience(
        launches, facts, len(shop.visitor_ids), section.seed, households=section.households
    )


def judge(
    shop: ShopData,
    facts: ColdFacts,
    sales: Sales,
    section: TrainLaunchParams,
    from_week: int,
    to_week: int,
    bootstrap: int,
) -> dict[str, Any]:
    """Judge range and audience on launches whose weeks nothing was fitted on.

    Returns:
        `from_week`, `launches` and report `rows`; without rows when the data are too short.
    """
    first, last = int(shop.log.week.min()), int(shop.log.week.max())
    if not first + 8 <= from_week <= to_week < last:
        from_week, to_week = first + (last - first + 1) // 2, first + 3 * (last - first + 1) // 4
    rows: list[dict[str, Any]] = []
    model = _demand(sales, first, from_week, section)
    test = launch_rows(sales, from_week, to_week, last + 1)
    known = launch_rows(sales, first + FIRST_WEEK, from_week - 1, from_week)
    if model is not None and len(test.lines):
        rows += _judged_range(model, test, known.lines, section.seed, bootstrap)
    audience = _audience(shop, facts, from_week, section)
    launches = find_launches(shop.log, shop.n_products, from_week, to_week, last + 1)
    if audience is not None and len(launches.items):
        rows += _judged_audience(shop, facts, launches, audience, section.seed, bootstrap)
    return {"from_week": from_week, "launches": len(launches.items), "rows": rows}


def _judged_range(
    model: DemandModel, test: demand.Rows, known: FloatArray, seed: int, bootstrap: int
) -> list[dict[str, Any]]:
    """Return the row of the shipped range and that of one range for all."""
    low, middle, high = model.interval(test.features)
    usual = np.full(len(test.lines), np.quantile(known, demand.COVERAGE))
    log_lines = np.log(np.maximum(test.lines, 1.0))
    bounds = {
        "shelfwise": (low.astype(float), high.astype(float), np.log(np.maximum(middle, 1.0))),
        "one_range_for_all": (
            np.ones(len(usual)), usual, np.full(len(usual), np.log(np.median(known))),
        ),
    }  # fmt: skip
    made = []
    for name, (bottom, top, centre) in bounds.items():
        inside = ((test.lines >= bottom) & (test.lines <= top)).astype(float)
        held = mean_interval(inside, n=bootstrap, seed=seed)
        made.append(
            {
                "task": "demand", "model": name, "shipped": name == "shelfwise", "slice": "all",
                "n": len(test.lines), "coverage": held.mean, "coverage_low": held.low,
                "coverage_high": held.high, "wanted": demand.COVERAGE,
                "below": float((test.lines < bottom).mean()),
                "above": float((test.lines > top).mean()),
                "mean_width_lines": float((top - bottom + 1).mean()),
                "middle_error": float(np.abs(centre - log_lines).mean()),
                "interval_score": float(_interval_score(log_lines, bottom, top).mean()),
            }
        )  # fmt: skip
    steep = np.argsort(-high, kind="stable")[: max(1, len(high) // 5)]
    inside = ((test.lines >= low) & (test.lines <= high)).astype(float)[steep]
    held = mean_interval(inside, n=bootstrap, seed=seed)
    made.append(
        {
            "task": "demand", "model": "shelfwise", "shipped": True, "slice": "widest fifth",
            "n": len(steep), "coverage": held.mean, "coverage_low": held.low,
            "coverage_high": held.high, "wanted": demand.COVERAGE,
            "mean_width_lines": float((high - low + 1)[steep].mean()),
        }
    )  # fmt: skip
    return made


def _interval_score(
    log_lines: NDArray[np.float64], bottom: NDArray[np.float64], top: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the interval score in log lines (Gneiting & Raftery, 2007); smaller is better."""
    low, high = np.log(np.maximum(bottom, 1.0)), np.log(np.maximum(top, 1.0))
    rate = 2.0 / (1.0 - demand.COVERAGE)
    under, over = np.maximum(low - log_lines, 0.0), np.maximum(log_lines - high, 0.0)
    return (high - low) + rate * (under + over)


def _judged_audience(
    shop: ShopData, facts: ColdFacts, launches: Any, model: AudienceModel, seed: int, bootstrap: int
) -> list[dict[str, Any]]:
    n_visitors = len(shop.visitor_ids)
    everybody = np.arange(n_visitors)
    features = content_features(launches, facts, n_visitors, everybody)
    bought = bought_grid(launches, n_visitors)
    rng = np.random.default_rng(seed)
    ties = rng.permutation(n_visitors)
    scores = {"random": rng.random(bought.shape).astype(np.float32)}
    for name, column in BASELINES.items():
        scores[name] = features[:, :, CONTENT_FEATURES.index(column)]
    scores["shelfwise"] = model.score(features)
    lifts = {name: lift_at(s, bought, ties, AUDIENCE_SHARE) for name, s in scores.items()}
    buyers = bought.sum(axis=0)
    rows = []
    for name, lift in lifts.items():
        mean = mean_interval(lift, n=bootstrap, seed=seed)
        known = ~np.isnan(lift)
        row: dict[str, Any] = {
            "task": "audience", "model": name, "shipped": name == "shelfwise", "slice": "all",
            "n": int(known.sum()), "lift@10%": mean.mean, "lift@10%_low": mean.low,
            "lift@10%_high": mean.high,
            "pooled_lift@10%": float(np.average(lift[known], weights=buyers[known])),
        }  # fmt: skip
        if name != "shelfwise":
            gain = paired_interval(lifts["shelfwise"], lift, n=bootstrap, seed=seed)
            row |= {"shipped_gain": gain.mean, "shipped_gain_low": gain.low,
                    "shipped_gain_high": gain.high}  # fmt: skip
        rows.append(row)
    return rows


def simulate(section: TrainLaunchParams, *, launches: int = 120) -> dict[str, Any]:
    """Run the ramp on launches whose true success rates are drawn; count what it did.

    A third are flops (a tenth of what was expected), a third do as expected, a third do twice as
    well. Displaced products are bought as often as was expected of the launch.
    """
    rng = np.random.default_rng(section.seed)
    expected = 0.02
    stages = (
        RampStage(chance=0.1, exposures=150),
        RampStage(chance=0.2, exposures=450),
        RampStage(chance=0.3, exposures=1400),
    )
    cap, floor, horizon = 8.0, 100, 2000
    kinds = {"flop": 0.1, "as expected": 1.0, "hit": 2.0}
    out: dict[str, Any] = {
        "cap": cap, "floor": floor, "horizon": horizon, "expected_rate": expected,
        "launches": launches, "kinds": [],
    }  # fmt: skip
    worst = 0.0
    for kind, factor in kinds.items():
        stopped, exposures, regret, sold = [], [], [], []
        for _ in range(launches // len(kinds)):
            account, peak = Account(), 0.0
            success = rng.random(horizon) < expected * factor
            displaced = np.clip(rng.gamma(2.0, expected / 2.0, horizon), 0.0, 1.0)
            for step in range(horizon):
                if not may_show(account, float(displaced[step]), cap):
                    break
                account = shown(account, float(displaced[step]))
                peak = max(peak, account.regret)
                if success[step]:
                    account = earned(account, "purchase")
                decision = (
                    decide(account, stages, expected=expected, flop=0.4 * expected, floor=floor)
                    if account.exposures % 25 == 0
                    else "go on"
                )
                account = after_decision(account, decision)
                if account.stopped:
                    break
            worst = max(worst, peak)
            stopped.append(account.exposures < horizon)
            exposures.append(account.exposures)
            regret.append(account.regret)
            sold.append(account.successes)
        out["kinds"].append(
            {
                "kind": kind, "true_rate": expected * factor, "stopped": float(np.mean(stopped)),
                "mean_exposures": float(np.mean(exposures)), "mean_regret": float(np.mean(regret)),
                "mean_sold": float(np.mean(sold)),
            }
        )  # fmt: skip
    out["highest_regret"] = worst
    return out


def save(
    folder: Path,
    shop: ShopData,
    products: pl.DataFrame,
    facts: ColdFacts,
    sales: Sales,
    demand_model: DemandModel | None,
    audience_model: AudienceModel | None,
) -> None:
    """Write models, weekly sales and facts; `LaunchPlanner.load` reads them."""
    filled = np.argwhere(sales.weekly > 0)
    np.savez_compressed(
        folder / "sales.npz",
        place=filled.astype(np.int32),
        lines=sales.weekly[filled[:, 0], filled[:, 1]].astype(np.float32),
        weeks=np.array([sales.start, sales.weekly.shape[1]]),
        vectors=facts.vectors.astype(np.float16),
        type_of=facts.type_of.astype(np.int32),
        category_of=facts.category_of.astype(np.int32),
        brand_of=facts.brand_of.astype(np.int32),
        price=facts.price.astype(np.float32),
    )
    stored: dict[str, Any] = {
        "product_ids": list(shop.columns.product_ids),
        "launch_weeks": LAUNCH_WEEKS,
        "shift": None,
        "trips_a_week": trips_a_week(shop),
        **named_groups(products, facts),
    }
    if demand_model is not None:
        stored["shift"] = demand_model.shift
        for name, text in demand_model.boosters.items():
            (folder / f"demand_{name}.txt").write_text(text)
    if audience_model is not None:
        (folder / "audience.txt").write_text(audience_model.booster)
    (folder / "launch.json").write_text(json.dumps(stored))


def trips_a_week(shop: ShopData) -> float:
    """Return how often a visitor comes in a week, over the last 13 weeks."""
    recent = shop.log.take(shop.log.week > int(shop.log.week.max()) - LAUNCH_WEEKS)
    trips = len(np.unique(recent.visitor * 100_000 + recent.day - int(recent.day.min())))
    weeks = int(recent.week.max()) - int(recent.week.min()) + 1
    return trips / max(len(shop.visitor_ids), 1) / weeks


def named_groups(products: pl.DataFrame, facts: ColdFacts) -> dict[str, dict[str, int]]:
    """Return the dense numbers of types, categories and brands by name, for new products."""
    rows = products.sort("product_id")
    kinds = (rows["category"] + " > " + rows["type"].fill_null("")).to_list()
    return {
        "types": dict(zip(kinds, facts.type_of.tolist(), strict=True)),
        "categories": dict(zip(rows["category"], facts.category_of.tolist(), strict=True)),
        "brands": dict(zip(rows["brand"].fill_null(""), facts.brand_of.tolist(), strict=True)),
    }
