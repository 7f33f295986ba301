"""Stage `train_ranker`: past weeks become training windows, trees, and what serving needs.

In: accepted tables and the split's cut-offs. Out: `artefacts/train_ranker`: the trees with their
calibration, the shop's state on all data, and the visitors' history. A window asks the question of
evaluation at an earlier week: given the weeks before, what is in the first basket of the window?
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

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
    least_basket,
    read_shop,
    state_at,
    view_at,
)

log = logging.getLogger(__name__)
FLOOR_FOLDER = "floor"
FLOOR_FEATURES = (
    "own_lines", "own_decay_14", "own_decay_42", "own_decay_91", "own_decay_182", "own_recency",
    "own_gap", "own_due", "category_recency", "category_share_91", "visitor_trips",
    "visitor_basket", "product_popularity", "product_popularity_28", "product_rebuy",
    "affinity_svd", "affinity_neighbours", "exposure_display", "exposure_mailer",
    "exposure_front",
)  # fmt: skip
FOLDS = 10
FEATURES_A_TREE = 20
NEGATIVES_OWN = 0.15
NEGATIVES_OTHER = 0.05
NEGATIVES_A_MEMBER = 0.4
MANY_ROWS = 50_000
BLANK_EVERY = 10
LEARNT = ("regular_", "order_", "relative_", "demand_", "earlier_", "mailed_", "crowd_")
SPLIT_FROM = 2_000


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
    fold: IntArray


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
    that sums stand for all candidates.

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
    return TrainingRows(
        features=feature_rows(view, state, sampled.visitor, sampled.product, affinity),
        bought=bought[kept],
        weight=(1.0 / chance[kept]).astype(np.float32),
        owned=sampled.owned,
        group=sampled.visitor + group_offset,
        fold=baskets.visitor[sampled.visitor] % FOLDS,
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
    shop: ShopData,
    before_week: int,
    params: TrainRankerParams,
    min_purchases: int,
    min_basket: int,
    *,
    threads: int = 2,
) -> TrainingRows:
    """Make the rows of all windows that end before `before_week`.

    Raises:
        TableError: no visitor has a basket in any window.
    """
    weeks = training_weeks(int(shop.log.week.min()), before_week, params)
    past = shop.log.before(before_week)
    bought = np.bincount(past.group, past.amount, shop.n_products) >= min_purchases
    least = least_basket(past, bought, min_basket)
    if least < min_basket:
        log.warning("train_ranker: no basket of %d products; learning from %d", min_basket, least)

    def window(place: int) -> TrainingRows | None:
        week = weeks[place]
        state = state_at(shop, week, params, min_purchases)
        to_week = min(week + params.window_weeks, before_week)
        baskets = first_baskets(shop.log, week, to_week, state.rankable, least)
        if not len(baskets):
            return None
        rng = np.random.default_rng([params.seed, week])
        blank = place % BLANK_EVERY == BLANK_EVERY - 1
        return window_rows(
            shop, state, baskets, rng, group_offset=place * len(shop.visitor_ids), blank=blank
        )

    with ThreadPoolExecutor(threads) as pool:
        parts = [rows for rows in pool.map(window, range(len(weeks))) if rows is not None]
    if not parts or not joined(parts).bought.any():
        raise TableError(
            f"the ranker finds no basket of products with {min_purchases} purchases before week "
            f"{before_week}; lower split.min_purchases, or bring more data."
        )
    return joined(parts)


def tree_options(
    params: TrainRankerParams, n_rows: int, learning_rate: float, n_features: int
) -> dict[str, object]:
    """Return LightGBM's options for the binary objective; deterministic.

    One thread each: several threads of one fit wait for each other on a busy machine (seven times
    the time was seen), while separate fits do not.
    """
    return {
        "objective": "binary",
        "num_leaves": params.leaves,
        "learning_rate": learning_rate,
        "feature_fraction": min(1.0, FEATURES_A_TREE / n_features),
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 63,
        "min_data_in_leaf": 100 if n_rows > MANY_ROWS else 10,
        "seed": params.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }


def fit_trees(
    rows: TrainingRows, kept: BoolArray, columns: Sequence[str], options: dict[str, object], n: int
) -> str:
    """Fit `n` trees on the chosen rows and return the model's text."""
    import lightgbm

    places = np.array([FEATURES.index(name) for name in columns])
    at = np.flatnonzero(kept)
    data = lightgbm.Dataset(
        rows.features[np.ix_(at, places)],
        rows.bought[at].astype(np.float32),
        weight=rows.weight[at],
        feature_name=list(columns),
    )
    return lightgbm.train(options, data, n).model_to_string()


def thinned(rows: TrainingRows, seed: int) -> tuple[TrainingRows, BoolArray]:
    """Draw a share of what was not bought; its weights make up for the rest.

    Returns:
        The rows with new weights, and which of them were drawn.
    """
    chance = np.random.default_rng([seed, len(rows.bought)]).random(len(rows.bought))
    drawn = rows.bought | (chance < NEGATIVES_A_MEMBER)
    weight = np.where(rows.bought, rows.weight, rows.weight / np.float32(NEGATIVES_A_MEMBER))
    return replace(rows, weight=weight.astype(np.float32)), drawn


@dataclass(frozen=True)
class Member:
    """One of the models whose scores are averaged.

    Attributes:
        part: the pairs it is for: `own`, `new` or `all`.
        features: columns it sees.
        fold: tenth of the visitors it does not see; calibration asks them.
        random: splits at thresholds drawn by chance, the best of which is taken.
    """

    part: str
    features: tuple[str, ...]
    fold: int
    random: bool = False


def members_of(features: tuple[str, ...], *, split: bool) -> tuple[Member, ...]:
    """Return the models to fit, those of one fold next to each other.

    What was bought before and what was not are two questions: whether a habit comes round again,
    and whether something new is taken up. Each has its own trees, six times: with all features
    and with the plain ones, with the best thresholds and with such drawn by chance, each from
    other visitors and another sample of what was not bought. They err differently, so that their
    mean is better than each, and than fewer members that see more rows for the same time.
    """
    if not split:
        return (Member("all", features, 0),)
    plain = tuple(name for name in features if not name.startswith(LEARNT)) or features
    views = (
        (features, False), (features, True), (plain, False), (plain, True), (features, False),
        (features, True),
    )  # fmt: skip
    return tuple(
        Member(part, view, fold, random)
        for fold, (view, random) in enumerate(views)
        for part in ("own", "new")
    )


def train(
    rows: TrainingRows,
    params: TrainRankerParams,
    *,
    features: tuple[str, ...] = FEATURES,
    split_from: int | None = SPLIT_FROM,
    threads: int = 2,
) -> Ranker:
    """Fit the members, each without its fold of the visitors, and the calibration on these folds.

    Args:
        rows: of all windows.
        params: trees, leaves, learning rates, seed.
        features: columns used.
        split_from: rows of each kind from which on they get their own trees; with fewer, or with
            None, one model is fitted on all rows.
        threads: fits at a time, and threads of the scoring.
    """
    kinds = {"own": rows.owned, "new": ~rows.owned, "all": np.ones_like(rows.owned)}
    split = split_from is not None and all(
        kinds[kind].sum() >= split_from and rows.bought[kinds[kind]].any()
        for kind in ("own", "new")
    )
    members = members_of(features, split=split)

    def fitted(member: Member) -> str:
        rate = params.new_learning_rate if member.part == "new" else params.learning_rate
        kept = kinds[member.part] & (rows.fold != member.fold)
        if not rows.bought[kept].any():
            kept = kinds[member.part]
        seed = params.seed + member.fold
        options = tree_options(params, int(kept.sum()), rate, len(member.features)) | {"seed": seed}
        if member.random:  # weaker trees, so each may say more
            options |= {"extra_trees": True, "learning_rate": 1.5 * rate, "extra_seed": seed}
        own, drawn = thinned(rows, seed) if kept.sum() > MANY_ROWS else (rows, kept)
        return fit_trees(own, kept & drawn, member.features, options, params.trees)

    with ThreadPoolExecutor(threads) as pool:
        models = tuple(pool.map(fitted, members))
    scores, asked = [], []
    for fold, group in groupby(range(len(members)), key=lambda place: members[place].fold):
        places = list(group)
        check = np.flatnonzero(rows.fold == fold)
        if not rows.bought[check].any():
            check = np.arange(len(rows.fold))
        alone = Ranker(
            models=tuple(models[place] for place in places),
            weights=(1.0,) * len(places),
            features=features,
            parts=tuple(members[place].part for place in places),
        )
        scores.append(alone.score(rows.features[check], threads=threads))
        asked.append(check)
    at = np.concatenate(asked)
    shares = [1.0 / sum(other.part == member.part for other in members) for member in members]
    return Ranker(
        models=models,
        weights=tuple(shares),
        features=features,
        parts=tuple(member.part for member in members),
        calibration=fit_calibration(np.concatenate(scores), rows.bought[at], rows.weight[at]),
    )


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
    floor = train(rows, section, features=FLOOR_FEATURES, split_from=None)
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
