"""Stage `train_ranker`: past weeks become training windows, trees, and what serving needs.

In: accepted tables and the split's cut-offs. Out: `artefacts/train_ranker`: the trees with their
calibration, the shop's state on all data, and the visitors' history. A window asks the question of
evaluation at an earlier week: given the weeks before, what is in the first basket of the window?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from components.contracts.artefacts import Layout, sha256_of, writing_artefact
from components.contracts.errors import TableError
from components.contracts.params import Params, TrainRankerParams
from components.data.parquet import read_table
from components.data.split import read_cut_offs
from components.recommend.candidates import Candidates
from components.recommend.engine import ARTEFACT, HistoryStore, save_history
from components.recommend.features import (
    FEATURES,
    ShopState,
    VisitorView,
    feature_rows,
    view_visitors,
)
from components.recommend.history import (
    BoolArray,
    FloatArray,
    IntArray,
    Log,
    purchases_log,
)
from components.recommend.ranker import Ranker, fit_calibration, propose
from components.recommend.shop import (
    ExposureCalendar,
    ProductColumns,
    build_state,
    exposure_calendar,
    product_columns,
    save_state,
)

HELD_OUT = 10
NEGATIVES_OWN = 0.6
NEGATIVES_OTHER = 0.2


@dataclass(frozen=True)
class ShopData:
    """The tables in dense form, read once for training and evaluation.

    Attributes:
        columns: product facts; its order is the dense order of products.
        visitor_ids: dense order of visitors.
        places: dense order of places.
        log: all purchases.
        calendar: exposures of all weeks.
        n_lines: (V,) not used by models; lines of each product before the test part.
    """

    columns: ProductColumns
    visitor_ids: tuple[str, ...]
    places: tuple[str, ...]
    log: Log
    calendar: ExposureCalendar

    @property
    def n_products(self) -> int:
        """Return V."""
        return len(self.columns)


def read_shop(tables: Path) -> ShopData:
    """Read the canonical tables that ranking needs.

    Raises:
        TableError: a required table is absent, or there is nothing bought in it.
    """
    events, products = read_table("events", tables), read_table("products", tables)
    columns = product_columns(products)
    visitors = tuple(sorted(read_table("visitors", tables)["visitor_id"]))
    places = tuple(sorted(events["place"].drop_nulls().unique()))
    kinds = ("purchase",) if (events["kind"] == "purchase").any() else ("rating", "click")
    log = purchases_log(events, visitors, columns.product_ids, places, kinds=kinds)
    if not len(log):
        raise TableError(f"{tables}/events.parquet: no purchase, rating or click to learn from.")
    calendar = exposure_calendar(read_table("exposures", tables), columns.product_ids)
    return ShopData(columns, visitors, places, log, calendar)


def state_at(shop: ShopData, week: int, params: TrainRankerParams, min_purchases: int) -> ShopState:
    """Build the shop's state from the weeks before `week`."""
    return build_state(
        shop.log,
        week,
        shop.columns,
        shop.calendar,
        n_visitors=len(shop.visitor_ids),
        n_places=len(shop.places),
        neighbours=params.neighbours,
        dimensions=params.svd_dimensions,
        min_purchases=min_purchases,
        seed=params.seed,
    )


@dataclass(frozen=True)
class Baskets:
    """The baskets to predict: one per visitor, arrays (B,); `products` has one array each."""

    visitor: IntArray
    day: IntArray
    week: IntArray
    products: tuple[IntArray, ...]

    def __len__(self) -> int:
        """Return B."""
        return len(self.visitor)


def first_baskets(
    log: Log, from_week: int, to_week: int, rankable: BoolArray, min_basket: int
) -> Baskets:
    """Find each visitor's first shopping day in weeks [from_week, to_week) with enough products.

    Args:
        log: purchases.
        from_week: first week looked at.
        to_week: first week no longer looked at.
        rankable: (V,) products that count.
        min_basket: distinct products a day must have.
    """
    rows = (log.week >= from_week) & (log.week < to_week) & rankable[log.group]
    frame = (
        pl.DataFrame(
            {"visitor": log.visitor[rows], "day": log.day[rows], "week": log.week[rows],
             "product": log.group[rows]}
        )
        .group_by("visitor", "day")
        .agg(pl.col("product").unique().sort(), pl.col("week").max())
        .filter(pl.col("product").list.len() >= min_basket)
        .sort("visitor", "day")
        .group_by("visitor", maintain_order=True)
        .first()
    )  # fmt: skip
    return Baskets(
        visitor=frame["visitor"].to_numpy(),
        day=frame["day"].to_numpy(),
        week=frame["week"].to_numpy(),
        products=tuple(part.to_numpy() for part in frame["product"]),
    )


def view_at(shop: ShopData, state: ShopState, baskets: Baskets) -> VisitorView:
    """View the visitors of these baskets: history before the state's week, asked on the day."""
    log = shop.log.before(state.week).of_visitors(baskets.visitor, len(shop.visitor_ids))
    return view_visitors(log, baskets.day, baskets.week, state)


def bought_among(candidates: Candidates, baskets: Baskets, n_products: int) -> BoolArray:
    """Mark the candidate pairs that are in their visitor's basket."""
    wanted = np.concatenate(
        [np.zeros(0, np.int64), *(i * n_products + p for i, p in enumerate(baskets.products))]
    )
    return np.isin(candidates.visitor * n_products + candidates.product, wanted)


@dataclass(frozen=True)
class TrainingRows:
    """Sampled candidate pairs of one or more windows; arrays (n,), features (n, F)."""

    features: FloatArray
    bought: BoolArray
    weight: FloatArray
    owned: BoolArray
    group: IntArray
    held_out: BoolArray


def window_rows(
    shop: ShopData,
    state: ShopState,
    baskets: Baskets,
    rng: np.random.Generator,
    *,
    group_offset: int = 0,
) -> TrainingRows:
    """Make the training rows of one window.

    All that was bought is kept; of the rest a sample, weighted by the inverse of its chance, so
    that sums stand for all candidates. One visitor in ten is held out for calibration.
    """
    view = view_at(shop, state, baskets)
    candidates, affinity = propose(view, state)
    bought = bought_among(candidates, baskets, state.n_products)
    decay = np.zeros(len(candidates))
    own = view.own.rows_of(candidates.visitor, candidates.product)
    decay[own >= 0] = view.own.values["decay_182"][own[own >= 0]]
    chance = np.where(
        candidates.owned, np.clip(NEGATIVES_OWN * (0.4 + decay), 0.0, 1.0), NEGATIVES_OTHER
    )
    chance = np.where(bought, 1.0, chance)
    kept = np.flatnonzero(rng.random(len(chance)) < chance)
    sampled: Candidates = candidates.take(kept)
    held_out = baskets.visitor[sampled.visitor] % HELD_OUT == 0
    return TrainingRows(
        features=feature_rows(view, state, sampled.visitor, sampled.product, affinity),
        bought=bought[kept],
        weight=(1.0 / chance[kept]).astype(np.float32),
        owned=sampled.owned,
        group=sampled.visitor + group_offset,
        held_out=held_out,
    )


def joined(parts: Sequence[TrainingRows]) -> TrainingRows:
    """Put the rows of several windows under each other."""
    return TrainingRows(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in TrainingRows.__dataclass_fields__)
    )


def training_weeks(first_week: int, before_week: int, params: TrainRankerParams) -> list[int]:
    """Return the weeks at which training windows begin, latest first.

    Windows are `window_weeks` long, do not reach into `before_week`, and leave at least a third of
    the data, and two weeks, as history.
    """
    earliest = first_week + max(2, (before_week - first_week) // 3)
    weeks = [before_week - params.window_weeks * (n + 1) for n in range(params.windows)]
    kept = [week for week in weeks if week >= earliest]
    return kept or [max(first_week + 1, before_week - 1)]


def collect_rows(
    shop: ShopData, before_week: int, params: TrainRankerParams, min_purchases: int, min_basket: int
) -> TrainingRows:
    """Make the rows of all windows that end before `before_week`.

    Raises:
        TableError: no visitor has a basket in any window.
    """
    rng = np.random.default_rng(params.seed)
    parts, offset = [], 0
    for week in training_weeks(int(shop.log.week.min()), before_week, params):
        state = state_at(shop, week, params, min_purchases)
        to_week = min(week + params.window_weeks, before_week)
        baskets = first_baskets(shop.log, week, to_week, state.rankable, min_basket)
        if len(baskets):
            parts.append(window_rows(shop, state, baskets, rng, group_offset=offset))
            offset += len(baskets)
    if not parts or not joined(parts).bought.any():
        raise TableError(
            f"the ranker finds no basket of {min_basket} products before week {before_week}; lower "
            "split.min_basket or split.min_purchases, or bring more data."
        )
    return joined(parts)


def train(rows: TrainingRows, params: TrainRankerParams, *, threads: int = 2) -> Ranker:
    """Fit the trees on the rows kept for training and the calibration on those held out."""
    import lightgbm

    fit = ~rows.held_out
    if not rows.held_out.any() or not rows.bought[rows.held_out].any():
        fit = np.ones_like(fit)
    data = lightgbm.Dataset(
        rows.features[fit], rows.bought[fit].astype(np.float32), weight=rows.weight[fit],
        feature_name=list(FEATURES),
    )  # fmt: skip
    booster = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": params.leaves,
            "learning_rate": params.learning_rate,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "min_data_in_leaf": 100 if fit.sum() > 50_000 else 10,
            "seed": params.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": threads,
            "verbose": -1,
        },
        data,
        params.trees,
    )
    ranker = Ranker(models=(booster.model_to_string(),), weights=(1.0,))
    check = rows.held_out if rows.bought[rows.held_out].any() else fit
    score = ranker.score(rows.features[check], threads=threads)
    ranker.calibration = fit_calibration(score, rows.bought[check], rows.weight[check])
    return ranker


def run(params: Params, layout: Layout) -> None:
    """Train the ranker and write `artefacts/train_ranker`.

    The trees see windows before the test part alone; the state and the history that serving reads
    are built on all data.

    Raises:
        TableError: tables are absent, or hold too little to learn from.
    """
    shop = read_shop(layout.tables)
    cut = read_cut_offs(layout)
    section, split = params.train_ranker, params.split
    rows = collect_rows(shop, cut.test_from_week, section, split.min_purchases, split.min_basket)
    ranker = train(rows, section)
    after = int(shop.log.week.max()) + 1
    state = state_at(shop, after, section, split.min_purchases)
    inputs = {
        name: sha256_of(layout.tables / f"{name}.parquet")
        for name in ("events", "products", "visitors", "exposures")
        if (layout.tables / f"{name}.parquet").exists()
    }
    metrics = {"rows": float(len(rows.bought)), "positives": float(rows.bought.sum())}
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="ranker",
        stage="train_ranker",
        seed=section.seed,
        params={"train_ranker": section.model_dump(), "split": split.model_dump()},
        inputs=inputs,
        packages=("lightgbm", "numpy", "polars", "scipy"),
        metrics=metrics,
    ) as folder:
        ranker.save(folder)
        save_state(folder, state, shop.columns.product_ids)
        save_history(folder, HistoryStore.of(shop.visitor_ids, shop.log))
