"""What is known of a product that nobody has bought yet, beside a visitor's purchases.

In: a log and what products say of themselves (words, type, category, brand, price). Out: the
launches of some weeks with their early buyers, and features of visitor-launch pairs that need no
sale of the launch. The cold-product protocol and the launch planner share these.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.records import Product
from components.contracts.tables import SPECS
from components.data.catalogue import products_of
from components.data.parquet import empty_table
from components.recommend.content import hashed_vectors
from components.recommend.history import FloatArray, IntArray, Log, distinct_pairs
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
    who, what = distinct_pairs(log.visitor[early], place[log.group[early]])
    visitors, starts = np.unique(who, return_index=True)
    bought = np.split(what, starts[1:]) if len(visitors) else []
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
    power = np.square(np.square(np.square(np.clip(alike, 0.0, 1.0))))
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
    if not len(mine.group):
        return
    bought, place = np.unique(mine.group, return_inverse=True)
    alike = np.clip(facts.vectors[items] @ facts.vectors[bought].T, 0.0, 1.0)  # (L, bought)
    sharp = (np.square(alike) * np.square(alike) * np.square(alike)).T.copy()  # (bought, L)
    lines = sp.csr_matrix((amount, (mine.visitor, place)), shape=(b, len(bought)))
    recent = sp.csr_matrix(
        (amount * np.exp2(-age / 42.0), (mine.visitor, place)), shape=(b, len(bought))
    )
    out[:, :, 7] = lines.log1p().astype(np.float32) @ sharp
    out[:, :, 9] = recent.astype(np.float32) @ sharp
    for row in range(b):
        own = lines.indices[lines.indptr[row] : lines.indptr[row + 1]]
        if not len(own):
            continue
        best = _largest(alike[:, own], 3)  # (L, 3 at most)
        out[row, :, 8] = best[:, 0]
        out[row, :, 10] = best.mean(axis=1)


def _largest(values: FloatArray, k: int) -> FloatArray:
    """Return the `k` largest of each row, largest first; `values` (n, m) is overwritten.

    For so few of them, `k` passes over contiguous numbers are several times quicker than a partial
    sort.

    >>> _largest(np.array([[1.0, 3.0, 3.0]]), 2).tolist()
    [[3.0, 3.0]]
    """
    rows = np.arange(len(values))
    found = []
    for _ in range(min(k, values.shape[1])):
        place = values.argmax(axis=1)
        found.append(values[rows, place])
        values[rows, place] = -np.inf
    return np.stack(found, axis=1)
