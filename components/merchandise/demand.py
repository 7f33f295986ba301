"""How much will a product sell that nobody has bought yet? A range that holds as often as it says.

In: weekly sales, what products say of themselves, and a horizon in weeks. Out: a middle and an 80 %
interval of purchase lines. Boosted trees give quantiles of the logarithm from what the category,
the type and the launches that read alike did before; a conformal step on earlier launches moves the
upper bound so that the stated share of launches falls inside (Romano et al., 2019); the lower
one is whole lines and mostly one, since half of all launches sell once or twice. Nothing of the
product's own sales is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from components.data.trees import read_trees
from components.recommend.cold_content import LAUNCH_WEEKS, ColdFacts
from components.recommend.history import FloatArray, IntArray, Log

DEMAND_FEATURES = (
    "horizon", "category_rate", "type_rate", "category_products", "type_products",
    "type_lines_each", "category_lines_each", "alike_launches", "alike_launches_best",
    "type_launches", "category_launches", "recent_launches", "alike_popularity", "alike_best",
    "price", "price_ratio", "brand_lines", "display", "mailer", "front", "siblings",
)  # fmt: skip
LOW, MIDDLE, HIGH = 0.05, 0.5, 0.85
COVERAGE = 0.8
RECENT_WEEKS = 8
NEIGHBOURS = 15
OPENING_WEEKS = 2  # first weeks of the data: a first sale there says nothing
SHORT_HORIZONS = (2, 4, 8)
FOLDS = 4


@dataclass(frozen=True)
class Sales:
    """Weekly lines of all products and what is known of them without sales.

    Attributes:
        weekly: (V, W) lines; column 0 is `start`.
        first: (V,) shop week of the first sale; a huge number when there is none.
        start: first shop week of the data.
        facts: vectors, type, category, brand and price.
        exposures: shop week to (V, 3) display, mailer and front shares, planned beforehand.
    """

    weekly: FloatArray
    first: IntArray
    start: int
    facts: ColdFacts
    exposures: dict[int, FloatArray] = field(default_factory=dict)

    def lines(self, items: IntArray, from_week: IntArray, weeks: IntArray) -> FloatArray:
        """Return (n,) lines of each item in its own window of `weeks` weeks from `from_week`."""
        total = np.concatenate(
            [np.zeros((len(items), 1), np.float32), np.cumsum(self.weekly[items], axis=1)], axis=1
        )
        low = np.clip(from_week - self.start, 0, total.shape[1] - 1)
        high = np.clip(from_week - self.start + weeks, 0, total.shape[1] - 1)
        row = np.arange(len(items))
        return (total[row, high] - total[row, low]).astype(np.float32)


def sales_of(log: Log, facts: ColdFacts, exposures: dict[int, FloatArray] | None = None) -> Sales:
    """Arrange a log by product and week."""
    n = len(facts.type_of)
    start, last = int(log.week.min()), int(log.week.max())
    weekly = np.zeros((n, last - start + 1), dtype=np.float32)
    np.add.at(weekly, (log.group, log.week - start), log.amount)
    first = np.full(n, np.iinfo(np.int32).max, dtype=np.int64)
    np.minimum.at(first, log.group, log.week)
    return Sales(weekly, first, start, facts, dict(exposures or {}))


def launches_between(sales: Sales, from_week: int, to_week: int) -> IntArray:
    """Return the products first sold in weeks [from_week, to_week], whatever became of them."""
    return np.flatnonzero((sales.first >= from_week) & (sales.first <= to_week))


def demand_features(
    sales: Sales,
    items: IntArray,
    week: int,
    horizon: IntArray,
    *,
    exposure: FloatArray | None = None,
) -> FloatArray:
    """Compute (n, F) features of products launched in `week` from the weeks before it.

    Args:
        sales: weekly lines; weeks from `week` on are not looked at.
        items: products launched in that week.
        week: shop week of the launch.
        horizon: (n,) weeks of sales asked for.
        exposure: (n, 3) planned shares in the launch week; read from `sales` by default.
    """
    facts, stop = sales.facts, week - sales.start
    n = len(items)
    weeks = max(1, min(RECENT_WEEKS, stop))
    recent = sales.weekly[:, max(0, stop - RECENT_WEEKS) : stop].sum(axis=1) / weeks
    lines = sales.weekly[:, :stop].sum(axis=1)
    out = np.zeros((n, len(DEMAND_FEATURES)), dtype=np.float32)
    types, categories = facts.type_of[items], facts.category_of[items]
    out[:, 0] = np.log(horizon)
    for at, group_of, groups in ((0, facts.category_of, categories), (1, facts.type_of, types)):
        width = int(group_of.max(initial=0)) + 1
        rate = np.bincount(group_of, recent, width)
        products = np.bincount(group_of, recent > 0, width)
        out[:, 1 + at] = np.log1p(rate)[groups]
        out[:, 3 + at] = np.log1p(products)[groups]
        out[:, 6 - at] = np.log1p(rate / np.maximum(products, 1))[groups]
    _earlier_launches(out, sales, items, week, horizon)
    sold = np.flatnonzero(recent > 0)
    if len(sold):
        alike = np.clip(facts.vectors[items] @ facts.vectors[sold].T, 0.0, 1.0)
        power = np.square(np.square(np.square(alike)))
        out[:, 12] = np.log1p((power @ recent[sold]) / np.maximum(power.sum(axis=1), 1e-9))
        out[:, 13] = alike.max(axis=1)
    out[:, 14] = np.log1p(facts.price[items])
    width = int(facts.type_of.max(initial=0)) + 1
    usual = np.bincount(facts.type_of, lines * facts.price, width) / np.maximum(
        np.bincount(facts.type_of, lines, width), 1e-9
    )
    known = usual[types] > 0
    ratio = np.log((facts.price[items] + 1.0) / (usual[types] + 1.0))
    out[:, 15] = np.where(known, ratio, 0.0)
    out[:, 16] = np.log1p(np.bincount(facts.brand_of, lines))[facts.brand_of[items]]
    shares = exposure if exposure is not None else sales.exposures.get(week)
    if shares is not None:
        out[:, 17:20] = shares if exposure is not None else shares[items]
    same = np.bincount(types, minlength=width)
    out[:, 20] = np.log1p(same)[types]
    return out


def at_horizon(
    features: FloatArray, sales: Sales, items: IntArray, week: int, horizon: int
) -> FloatArray:
    """Return a copy of `demand_features` that asks for another horizon."""
    out = features.copy()
    asked = np.full(len(items), horizon)
    out[:, 0] = np.log(horizon)
    _earlier_launches(out, sales, items, week, asked)
    return out


def _earlier_launches(
    out: FloatArray, sales: Sales, items: IntArray, week: int, horizon: IntArray
) -> None:
    """Fill what earlier launches did in as many weeks, scaled where fewer have passed."""
    facts = sales.facts
    earlier = launches_between(sales, sales.start + OPENING_WEEKS, week - 1)
    if not len(earlier):
        return
    alike = np.square(np.square(np.clip(facts.vectors[items] @ facts.vectors[earlier].T, 0.0, 1.0)))
    elapsed = week - sales.first[earlier]
    for asked in np.unique(horizon):
        rows = np.flatnonzero(horizon == asked)
        seen = np.minimum(elapsed, asked)
        level = np.log(np.maximum(sales.lines(earlier, sales.first[earlier], seen), 1.0))
        level += 0.5 * np.log(asked / seen)
        overall = float(level[elapsed <= RECENT_WEEKS].mean()) if len(level) else 0.0
        k = min(NEIGHBOURS, len(earlier))
        best = np.argpartition(-alike[rows], k - 1, axis=1)[:, :k]
        weight = np.take_along_axis(alike[rows], best, axis=1) + 1e-6
        near = level[best]
        out[rows, 7] = (near * weight).sum(axis=1) / weight.sum(axis=1)
        out[rows, 8] = np.sort(near, axis=1)[:, -max(1, k // 5) :].mean(axis=1)
        for column, group_of in ((9, facts.type_of), (10, facts.category_of)):
            width = int(group_of.max(initial=0)) + 1
            total = np.bincount(group_of[earlier], level, width)
            count = np.bincount(group_of[earlier], minlength=width)
            out[rows, column] = ((total + 5 * overall) / (count + 5))[group_of[items[rows]]]
        out[rows, 11] = overall


@dataclass(frozen=True)
class Rows:
    """Launches as training rows; arrays (n,) and features (n, F)."""

    features: FloatArray
    lines: FloatArray
    item: IntArray
    week: IntArray
    horizon: IntArray
    is_main: NDArray[np.bool_]


def launch_rows(
    sales: Sales, from_week: int, to_week: int, until: int, *, horizons: Sequence[int] = ()
) -> Rows:
    """Describe the launches of some weeks, each as of its own week, with what they then sold.

    Args:
        sales: weekly lines.
        from_week: first launch week.
        to_week: last launch week, before `until`.
        until: sales in this week and later are not looked at; the main horizon ends there.
        horizons: shorter horizons that are also asked, as further rows.
    """
    parts: list[Rows] = []
    for week in range(from_week, to_week + 1):
        items = launches_between(sales, week, week)
        main = min(LAUNCH_WEEKS, until - week)
        if not len(items) or main < 1:
            continue
        whole = demand_features(sales, items, week, np.full(len(items), main))
        for asked in (*[h for h in horizons if h < main], main):
            horizon = np.full(len(items), asked)
            parts.append(
                Rows(
                    features=whole
                    if asked == main
                    else at_horizon(whole, sales, items, week, asked),
                    lines=sales.lines(items, np.full(len(items), week), horizon),
                    item=items,
                    week=np.full(len(items), week),
                    horizon=horizon,
                    is_main=np.full(len(items), asked == main),
                )
            )
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        empty = np.zeros((0, len(DEMAND_FEATURES)), dtype=np.float32)
        return Rows(empty, np.zeros(0, np.float32), none, none, none, np.zeros(0, dtype=bool))
    return Rows(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in Rows.__dataclass_fields__)
    )


@dataclass(frozen=True)
class DemandModel:
    """Quantile trees as LightGBM text, and the conformal shift of the bounds.

    Attributes:
        boosters: quantile to model text.
        shift: added to the upper bound, in log lines; may be negative.
    """

    boosters: dict[str, str]
    shift: float = 0.0

    def quantiles(self, features: FloatArray) -> NDArray[np.float64]:
        """Return (3, n) log lines: low, middle, high, in order."""
        made = [
            read_trees(self.boosters[name], origin=f"demand, {name}").predict(
                features, num_threads=1
            )
            for name in ("low", "middle", "high")
        ]
        return np.sort(np.maximum(np.asarray(made, dtype=np.float64), 0.0), axis=0)

    def interval(self, features: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
        """Return (n,) lowest whole number of lines, the middle, and the highest whole number."""
        low, middle, high = self.quantiles(features)
        bottom = lowest_lines(low)
        top = np.floor(np.exp(np.maximum(high + self.shift, 0.0)) + 1e-9).astype(np.int64)
        return bottom, np.exp(middle).astype(np.float32), np.maximum(top, bottom)


def lowest_lines(low: NDArray[np.float64]) -> IntArray:
    """Return the lower bound in whole lines; a launch sells at least once by what it is."""
    return np.maximum(np.floor(np.exp(low) + 1e-9), 1.0).astype(np.int64)


def fit_quantiles(rows: Rows, seed: int, *, trees: int = 120) -> DemandModel:
    """Fit the three quantiles of log lines by boosted trees."""
    import lightgbm

    boosters = {}
    for name, quantile in (("low", LOW), ("middle", MIDDLE), ("high", HIGH)):
        data = lightgbm.Dataset(
            rows.features, np.log(np.maximum(rows.lines, 1.0)), feature_name=list(DEMAND_FEATURES)
        )
        booster = lightgbm.train(
            {
                "objective": "quantile", "alpha": quantile, "num_leaves": 8,
                "learning_rate": 0.06, "min_data_in_leaf": 40, "feature_fraction": 0.6,
                "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed, "deterministic": True,
                "force_row_wise": True, "num_threads": 1, "verbose": -1,
            },
            data,
            trees,
        )  # fmt: skip
        boosters[name] = booster.model_to_string()
    return DemandModel(boosters)


def conformal_shift(scores: NDArray[np.float64], coverage: float = COVERAGE) -> float:
    """Return the shift under which `coverage` of exchangeable new cases fall inside.

    Args:
        scores: how far each case lies outside its bounds (negative: inside).
        coverage: in (0, 1).

    >>> conformal_shift(np.array([-1.0, 0.0, 1.0, 2.0]), 0.5)
    1.0
    """
    n = len(scores)
    if not n:
        return 0.0
    place = min(n, int(np.ceil((n + 1) * coverage)))
    return float(np.sort(scores)[place - 1])


def fit_demand(rows: Rows, seed: int, *, calibrate_from: int, trees: int = 120) -> DemandModel:
    """Fit the quantiles on all rows and the shift on launches left out in turn.

    Args:
        rows: earlier launches.
        seed: of the trees.
        calibrate_from: launches of this week and later, at their main horizon, set the shift.
        trees: per quantile.
    """
    model = fit_quantiles(rows, seed, trees=trees)
    judged = rows.is_main & (rows.week >= calibrate_from)
    fold = rows.item % FOLDS
    scores: list[NDArray[np.float64]] = []
    for part in range(FOLDS):
        held = judged & (fold == part)
        if not held.any():
            continue
        learned = take(rows, fold != part)
        low, _, high = fit_quantiles(learned, seed, trees=trees).quantiles(rows.features[held])
        true = np.log(np.maximum(rows.lines[held], 1.0))
        scores.append(np.where(true < np.log(lowest_lines(low)), np.inf, true - high))
    joined = np.concatenate(scores) if scores else np.zeros(0)
    return DemandModel(model.boosters, conformal_shift(joined))


def take(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    """Return the chosen rows."""
    return Rows(*(getattr(rows, name)[chosen] for name in Rows.__dataclass_fields__))
