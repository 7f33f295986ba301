"""Stage `train_ranker`: past weeks become training windows, trees, and what serving needs.

In: accepted tables and the split's cut-offs. Out: `artefacts/train_ranker`: the trees with their
calibration, the shop's state on all data, and the visitors' history. A window asks the question of
evaluation at an earlier week: given the weeks before, what is in the first basket of the window?
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.contracts.artefacts import Layout, sha256_of, writing_artefact
from components.contracts.errors import TableError
from components.contracts.params import Params, TrainRankerParams
from components.data.split import read_cut_offs
from components.recommend.candidates import Candidates
from components.recommend.engine import ARTEFACT, HistoryStore, save_history
from components.recommend.features import FEATURES, ShopState, feature_rows
from components.recommend.history import BoolArray, FloatArray, IntArray
from components.recommend.ranker import Ranker, fit_calibration, propose
from components.recommend.shop import save_state
from components.recommend.shop_data import (
    Baskets,
    ShopData,
    first_baskets,
    read_shop,
    state_at,
    view_at,
)

FLOOR_FOLDER = "floor"
FLOOR_FEATURES = (
    "own_lines", "own_decay_14", "own_decay_42", "own_decay_91", "own_decay_182", "own_recency",
    "own_gap", "own_due", "category_recency", "category_share_91", "visitor_trips",
    "visitor_basket", "product_popularity", "product_popularity_28", "product_rebuy",
    "affinity_svd", "affinity_neighbours", "exposure_display", "exposure_mailer",
    "exposure_front",
)  # fmt: skip
HELD_OUT = 10
NEGATIVES_OWN = 0.15
NEGATIVES_OTHER = 0.05
BLANK_EVERY = 6


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
    blank: bool = False,
) -> TrainingRows:
    """Make the training rows of one window.

    All that was bought is kept; of the rest a sample, weighted by the inverse of its chance, so
    that sums stand for all candidates. One visitor in ten is held out for calibration.

    Args:
        shop: all data.
        state: the shop before the window.
        baskets: the window's baskets.
        rng: draws the sample.
        group_offset: added to the visitors' numbers.
        blank: hide the week's displays and mailers, as when serving does not know them yet.
    """
    view = view_at(shop, state, baskets)
    if blank:
        view = replace(view, week=np.full(len(view), -1))
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

    Windows begin every `stride_weeks`, look `window_weeks` ahead but never into `before_week`, and
    leave at least a third of the data, and two weeks, as history.
    """
    earliest = first_week + max(2, (before_week - first_week) // 3)
    weeks = [before_week - params.stride_weeks * (n + 1) for n in range(params.windows)]
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
    weeks = training_weeks(int(shop.log.week.min()), before_week, params)
    for place, week in enumerate(weeks):
        state = state_at(shop, week, params, min_purchases)
        to_week = min(week + params.window_weeks, before_week)
        baskets = first_baskets(shop.log, week, to_week, state.rankable, min_basket)
        if len(baskets):
            blank = place % BLANK_EVERY == BLANK_EVERY - 1
            parts.append(window_rows(shop, state, baskets, rng, group_offset=offset, blank=blank))
            offset += len(baskets)
    if not parts or not joined(parts).bought.any():
        raise TableError(
            f"the ranker finds no basket of {min_basket} products before week {before_week}; lower "
            "split.min_basket or split.min_purchases, or bring more data."
        )
    return joined(parts)


def tree_options(params: TrainRankerParams, n_rows: int, threads: int) -> dict[str, object]:
    """Return LightGBM's options for the binary objective; deterministic whatever the threads."""
    return {
        "objective": "binary",
        "num_leaves": params.leaves,
        "learning_rate": params.learning_rate,
        "feature_fraction": 0.4,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 127,
        "min_data_in_leaf": 100 if n_rows > 50_000 else 10,
        "seed": params.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbose": -1,
    }


def train(
    rows: TrainingRows,
    params: TrainRankerParams,
    *,
    features: tuple[str, ...] = FEATURES,
    threads: int = 2,
) -> Ranker:
    """Fit the trees on the rows kept for training and the calibration on those held out.

    Args:
        rows: of all windows.
        params: trees, leaves, learning rate, seed.
        features: columns used.
        threads: for LightGBM.
    """
    import lightgbm

    fit = ~rows.held_out
    if not rows.held_out.any() or not rows.bought[rows.held_out].any():
        fit = np.ones_like(fit)
    columns = [FEATURES.index(name) for name in features]
    data = lightgbm.Dataset(
        rows.features[fit][:, columns],
        rows.bought[fit].astype(np.float32),
        weight=rows.weight[fit],
        feature_name=list(features),
    )
    options = tree_options(params, int(fit.sum()), threads)
    booster = lightgbm.train(options, data, params.trees)
    ranker = Ranker(models=(booster.model_to_string(),), weights=(1.0,), features=features)
    check = rows.held_out if rows.bought[rows.held_out].any() else fit
    score = ranker.score(rows.features[check], threads=threads)
    ranker.calibration = fit_calibration(score, rows.bought[check], rows.weight[check])
    return ranker


def run(params: Params, layout: Layout) -> None:
    """Train the ranker and write `artefacts/train_ranker`.

    The trees see windows before the test part alone; the state and the history that serving reads
    are built on all data. Beside the served trees lies the floor: the same trees on the plain
    features of a good habit model, for the reports alone.

    Raises:
        TableError: tables are absent, or hold too little to learn from.
    """
    shop = read_shop(layout.tables)
    cut = read_cut_offs(layout)
    section, split = params.train_ranker, params.split
    rows = collect_rows(shop, cut.test_from_week, section, split.min_purchases, split.min_basket)
    ranker = train(rows, section)
    floor = train(rows, section, features=FLOOR_FEATURES)
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
        (folder / FLOOR_FOLDER).mkdir()
        floor.save(folder / FLOOR_FOLDER)
        save_state(folder, state, shop.columns.product_ids)
        save_history(folder, HistoryStore.of(shop.visitor_ids, shop.log))
