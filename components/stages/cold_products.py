"""Protocol P4, cold products: who will buy what nobody has bought yet?

In: accepted tables. Launches are the products first sold in weeks `cold_from_week` to
`cold_to_week`, whatever became of them; everything is fitted on the weeks before. For each visitor
who bought a launch within its first 13 weeks, all launches are ranked from text, attributes and
price alone. Out: `reports/p4_cold_products.json`. The trees learn on earlier launches of the same
kind, so what a launch sold is never seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import Layout
from components.contracts.params import Params
from components.contracts.records import Product
from components.contracts.tables import SPECS
from components.data.catalogue import products_of
from components.data.parquet import empty_table, read_table
from components.evaluate.bootstrap import paired_interval
from components.evaluate.metrics import hit_matrix, ndcg_at_k, recall_at_k
from components.evaluate.report import metric_row, write_report
from components.recommend.content import hashed_vectors
from components.recommend.history import FloatArray, IntArray, Log
from components.recommend.shop_data import ShopData

LAUNCH_WEEKS = 13
CONTENT_FEATURES = (
    "category_lines", "category_share", "type_lines", "type_share", "type_recency",
    "category_recency", "brand_share", "likeness_mean", "likeness_best", "likeness_recent",
    "likeness_type", "price", "price_ratio", "category_popularity", "type_popularity",
    "alike_popularity", "category_newness", "visitor_lines", "visitor_trips",
    "visitor_newness", "siblings",
)  # fmt: skip


@dataclass(frozen=True)
class Launches:
    """Launches, who bought which within their first weeks, and what was known before.

    Attributes:
        items: (L,) dense products, ascending.
        visitors: (B,) dense visitors who bought at least one.
        bought: per visitor the positions in `items`.
        before: the log up to the first week of the launches.
        week: first week of the launches.
    """

    items: IntArray
    visitors: IntArray
    bought: tuple[IntArray, ...]
    before: Log
    week: int


def find_launches(log: Log, n_products: int, from_week: int, to_week: int, until: int) -> Launches:
    """Find products first sold in weeks [from_week, to_week] and their early buyers.

    Args:
        log: all purchases.
        n_products: V.
        from_week: first launch week; everything before is history.
        to_week: last launch week.
        until: sales in this week and later are not looked at.
    """
    first = np.full(n_products, np.iinfo(np.int64).max)
    np.minimum.at(first, log.group, log.week)
    items = np.flatnonzero((first >= from_week) & (first <= to_week))
    place = np.full(n_products, -1)
    place[items] = np.arange(len(items))
    early = (place[log.group] >= 0) & (log.week < first[log.group] + LAUNCH_WEEKS)
    early &= log.week < until
    pairs = np.unique(np.stack([log.visitor[early], place[log.group[early]]], axis=1), axis=0)
    visitors, starts = np.unique(pairs[:, 0], return_index=True)
    bought = np.split(pairs[:, 1], starts[1:]) if len(visitors) else []
    return Launches(items, visitors, tuple(bought), log.before(from_week), from_week)


@dataclass(frozen=True)
class ColdFacts:
    """What is known of products without their sales: vectors, type, category, brand, price."""

    vectors: FloatArray
    type_of: IntArray
    category_of: IntArray
    brand_of: IntArray
    price: FloatArray


def cold_facts(shop: ShopData, products: pl.DataFrame) -> ColdFacts:
    """Read text and attributes; vectors are hashed words, so that no later sale can enter them."""
    rows = products.sort("product_id")
    records: list[Product] = list(products_of(rows, empty_table(SPECS["variants"])))
    brand = rows["brand"].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    return ColdFacts(
        vectors=hashed_vectors(records),
        type_of=shop.columns.type_of,
        category_of=shop.columns.category_of,
        brand_of=brand,
        price=np.nan_to_num(shop.columns.price, nan=0.0),
    )


def content_features(
    launches: Launches, facts: ColdFacts, n_visitors: int, visitors: IntArray
) -> FloatArray:
    """Compute (B, L, F) content features of visitor-launch pairs from the weeks before."""
    log = launches.before
    items = launches.items
    today = int(log.day.max(initial=0)) + 1
    mine = log.of_visitors(visitors, n_visitors)
    b, n = len(visitors), len(facts.type_of)
    age = (today - mine.day).astype(np.float64)
    amount = np.asarray(mine.amount, dtype=np.float64)
    total = np.bincount(mine.visitor, amount, b)
    out = np.zeros((b, len(items), len(CONTENT_FEATURES)), dtype=np.float32)

    def table(group_of: IntArray, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        width = int(group_of.max(initial=0)) + 1
        key = mine.visitor * width + group_of[mine.group]
        return np.bincount(key, weight, b * width).astype(np.float64).reshape(b, width)

    def recency(group_of: IntArray) -> NDArray[np.float64]:
        width = int(group_of.max(initial=0)) + 1
        grid = np.full(b * width, 999.0)
        np.minimum.at(grid, mine.visitor * width + group_of[mine.group], age)
        return grid.reshape(b, width)

    types, categories = facts.type_of[items], facts.category_of[items]
    by_category, by_type = table(facts.category_of, amount), table(facts.type_of, amount)
    share = np.maximum(total, 1.0)[:, None]
    out[:, :, 0] = np.log1p(by_category[:, categories])
    out[:, :, 1] = by_category[:, categories] / share
    out[:, :, 2] = np.log1p(by_type[:, types])
    out[:, :, 3] = by_type[:, types] / share
    out[:, :, 4] = recency(facts.type_of)[:, types]
    out[:, :, 5] = recency(facts.category_of)[:, categories]
    out[:, :, 6] = (table(facts.brand_of, amount) / share)[:, facts.brand_of[items]]
    _likeness(out, mine, age, amount, facts, items, b)
    out[:, :, 11] = np.log1p(facts.price[items])
    paid = table(facts.category_of, amount * facts.price[mine.group])
    usual = paid[:, categories] / np.maximum(by_category[:, categories], 1e-9)
    known = by_category[:, categories] > 0
    ratio = np.log((facts.price[items] + 1.0) / (usual + 1.0))
    out[:, :, 12] = np.where(known, ratio, 0.0)
    lines = np.bincount(log.group, log.amount, n)
    for column, group_of in ((13, facts.category_of), (14, facts.type_of)):
        out[:, :, column] = np.log1p(np.bincount(group_of, lines))[group_of[items]]
    sold = np.flatnonzero(lines > 0)
    alike = facts.vectors[items] @ facts.vectors[sold].T
    power = np.clip(alike, 0.0, 1.0) ** 8
    out[:, :, 15] = np.log1p((power @ lines[sold]) / np.maximum(power.sum(axis=1), 1e-9))
    first = np.full(n, 10**6)
    np.minimum.at(first, log.group, log.week)
    fresh = (first >= launches.week - LAUNCH_WEEKS) & (first < launches.week)
    new_share = np.bincount(facts.category_of, fresh * lines) / np.maximum(
        np.bincount(facts.category_of, lines), 1.0
    )
    out[:, :, 16] = new_share[categories]
    trips = np.zeros(b)
    np.maximum.at(trips, mine.visitor, mine.trip + 1)
    out[:, :, 17] = np.log1p(total)[:, None]
    out[:, :, 18] = np.log1p(trips)[:, None]
    newness = np.bincount(mine.visitor, amount * fresh[mine.group], b) / np.maximum(total, 1.0)
    out[:, :, 19] = newness[:, None]
    out[:, :, 20] = np.log1p(np.bincount(types, minlength=int(types.max(initial=0)) + 1))[types]
    return out


def _likeness(
    out: FloatArray, mine: Log, age: NDArray[np.float64], amount: NDArray[np.float64],
    facts: ColdFacts, items: IntArray, b: int,
) -> None:  # fmt: skip
    """Fill the likeness columns: of each launch to what the visitor bought."""
    bounds = np.searchsorted(mine.visitor, np.arange(b + 1))
    launch_vectors = facts.vectors[items]
    for row in range(b):
        part = slice(bounds[row], bounds[row + 1])
        group, inverse = np.unique(mine.group[part], return_inverse=True)
        if not len(group):
            continue
        weight = np.log1p(np.bincount(inverse, amount[part])).astype(np.float32)
        recent = np.bincount(inverse, amount[part] * np.exp2(-age[part] / 42.0)).astype(np.float32)
        likeness = np.clip(facts.vectors[group] @ launch_vectors.T, 0.0, 1.0)
        sharp = likeness**6
        out[row, :, 7] = weight @ sharp
        out[row, :, 8] = likeness.max(axis=0)
        out[row, :, 9] = recent @ sharp
        out[row, :, 10] = np.partition(likeness, -min(3, len(likeness)), axis=0)[-3:].mean(axis=0)


def train_content_ranker(
    launches: Launches, features: FloatArray, seed: int, *, negatives: int = 40, threads: int = 2
) -> str:
    """Fit a LambdaMART model on earlier launches and return its LightGBM text."""
    import lightgbm

    rng = np.random.default_rng(seed)
    rows, labels, sizes = [], [], []
    n_items = len(launches.items)
    for row, bought in enumerate(launches.bought):
        drawn = rng.choice(n_items, size=min(negatives, n_items), replace=False)
        chosen = np.r_[bought, np.setdiff1d(drawn, bought)]
        rows.append(features[row, chosen])
        labels.append(np.isin(chosen, bought))
        sizes.append(len(chosen))
    data = lightgbm.Dataset(
        np.concatenate(rows), np.concatenate(labels).astype(np.float32), group=sizes,
        feature_name=list(CONTENT_FEATURES),
    )  # fmt: skip
    booster = lightgbm.train(
        {
            "objective": "lambdarank", "lambdarank_truncation_level": 20, "num_leaves": 15,
            "learning_rate": 0.05, "feature_fraction": 0.6, "min_data_in_leaf": 50,
            "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed, "deterministic": True,
            "force_row_wise": True, "num_threads": threads, "verbose": -1,
        },
        data,
        150,
    )  # fmt: skip
    return booster.model_to_string()


def score_launches(model: str, features: FloatArray, *, threads: int = 2) -> FloatArray:
    """Return (B, L) scores."""
    import lightgbm

    booster = lightgbm.Booster(model_str=model)
    b, n, f = features.shape
    flat = booster.predict(features.reshape(b * n, f), num_threads=threads)
    return np.asarray(flat, dtype=np.float32).reshape(b, n)


def judged(
    scores: FloatArray, launches: Launches, ties: Sequence[str], k: int
) -> dict[str, NDArray[np.float64]]:
    """Return per-visitor NDCG and recall; ties by product id."""
    by_id = np.argsort(np.argsort(np.array(ties)))
    order = np.stack([np.lexsort((by_id, -line))[:k] for line in scores])
    hits = hit_matrix(order.tolist(), [frozenset(b.tolist()) for b in launches.bought], k)
    sizes = [len(b) for b in launches.bought]
    return {f"ndcg@{k}": ndcg_at_k(hits, sizes, k), f"recall@{k}": recall_at_k(hits, sizes, k)}


def evaluate_cold_products(shop: ShopData, params: Params, layout: Layout) -> None:
    """Run protocol P4 and write its report; data too short for it give a report without rows."""
    section = params.evaluate
    products = read_table("products", layout.tables)
    first, last = int(shop.log.week.min()), int(shop.log.week.max())
    from_week, to_week = section.cold_from_week, section.cold_to_week
    if not first + 8 <= from_week <= to_week < last:
        from_week, to_week = first + (last - first + 1) // 2, first + 3 * (last - first + 1) // 4
    launches = find_launches(shop.log, shop.n_products, from_week, to_week, last + 1)
    earlier_from = first + (from_week - first) // 2
    earlier = find_launches(
        launches.before, shop.n_products, earlier_from, from_week - 1, from_week
    )
    head = {
        "protocol": "P4 cold products",
        "dataset": params.ingest.source,
        "split": "launches by first sale; everything fitted on the weeks before",
        "cut_off": f"week {from_week}",
        "n": len(launches.visitors),
        "seed": section.seed,
    }
    path = layout.reports / "p4_cold_products.json"
    if not len(launches.visitors) or not len(earlier.visitors):
        write_report(path, rows=[], launches=len(launches.items), **head)
        return
    facts = cold_facts(shop, products)
    n_visitors, k = len(shop.visitor_ids), section.k
    model = train_content_ranker(
        earlier, content_features(earlier, facts, n_visitors, earlier.visitors), section.seed
    )
    features = content_features(launches, facts, n_visitors, launches.visitors)
    rng = np.random.default_rng(section.seed)
    shape = features.shape[:2]
    scores = {
        "random": rng.random(shape).astype(np.float32),
        "category_popularity": features[:, :, CONTENT_FEATURES.index("category_popularity")],
        "own_category_frequency": features[:, :, CONTENT_FEATURES.index("category_lines")],
        "content_likeness": features[:, :, CONTENT_FEATURES.index("likeness_mean")],
        "shelfwise": score_launches(model, features),
    }
    ids = [shop.columns.product_ids[item] for item in launches.items]
    values = {name: judged(score, launches, ids, k) for name, score in scores.items()}
    rows = []
    for name, value in values.items():
        row = metric_row(value, bootstrap=section.bootstrap, seed=section.seed, model=name,
                         shipped=name == "shelfwise", slice="all")  # fmt: skip
        if name != "shelfwise":
            gain = paired_interval(values["shelfwise"][f"ndcg@{k}"], value[f"ndcg@{k}"],
                                   n=section.bootstrap, seed=section.seed)  # fmt: skip
            row |= {"shipped_gain": gain.mean, "shipped_gain_low": gain.low,
                    "shipped_gain_high": gain.high}  # fmt: skip
        rows.append(row)
    write_report(path, rows=rows, launches=len(launches.items), **head)
