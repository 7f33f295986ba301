"""Ranker features as of a moment: what was known strictly before the week that is predicted.

In: a `Log` cut before that week, a `ShopState` built from the same cut, and the moment of the
request. Out: one float32 row per (visitor, product) pair, columns named by `FEATURES`. Training,
evaluation and serving call this one function; that is why they cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.crowd import CROWD_NAMES, Crowd
from components.recommend.demand import Demand
from components.recommend.history import BoolArray, FloatArray, IntArray, Log
from components.recommend.trips import NEVER_TRIPS, full_trips, regularity

HALF_LIVES_DAYS = (14.0, 42.0, 91.0, 182.0)
LAST_TRIPS = (1, 3, 5, 10)
NEVER = 999.0
UNRANKED = 9999.0
RELATIVE_TO = 30

_OWN = (
    "lines", "days", "decay_14", "decay_42", "decay_91", "decay_182", "recency", "age", "gap",
    "due", "last_gap", "gap_spread", "trips_since", "trip_share", "last_1", "last_3", "last_5",
    "last_10", "discounted", "share_91", "due_trips",
)  # fmt: skip
_GROUP = ("days", "decay_42", "decay_182", "recency", "gap", "due", "trips_since", "trip_share",
          "last_3", "last_10", "share_91")  # fmt: skip
_VISITOR = (
    "trips", "trip_gap", "away", "away_ratio", "basket", "distinct", "fresh_share", "discounted",
    "weekday", "trip_rate_28",
)  # fmt: skip
_PRODUCT = (
    "popularity", "popularity_28", "popularity_7", "trend", "buyers", "lines_per_buyer", "rebuy",
    "gap", "discounted", "price", "age",
)  # fmt: skip
_EXPOSURE = ("display", "mailer", "front", "display_lift", "mailer_lift", "front_lift")
_AFFINITY = ("svd", "neighbours", "companions", "in_type", "in_category")
_PLACE = ("share", "lift")
_REGULAR = ("share", "even_3", "even_8", "even_20", "in_2", "in_4", "in_8", "since")
_REGULAR_TYPE = ("share", "even_8", "since")
_REGULAR_VISITOR = ("trips", "size")
_ORDER = ("by_42", "by_182", "share_of_type", "due_product")
_RELATIVE = ("svd", "neighbours", "companions")
_DEMAND = ("mailer", "mailer_ratio", "display", "lift", "mailed_share")
_EARLIER = ("display", "mailer", "front")
_MAILED = ("own", "visitor")

FEATURES: tuple[str, ...] = (
    *(f"own_{n}" for n in _OWN),
    *(f"type_{n}" for n in _GROUP),
    *(f"category_{n}" for n in _GROUP),
    *(f"visitor_{n}" for n in _VISITOR),
    *(f"product_{n}" for n in _PRODUCT),
    *(f"exposure_{n}" for n in _EXPOSURE),
    *(f"affinity_{n}" for n in _AFFINITY),
    *(f"place_{n}" for n in _PLACE),
    *(f"regular_{n}" for n in _REGULAR),
    *(f"regular_type_{n}" for n in _REGULAR_TYPE),
    *(f"regular_visitor_{n}" for n in _REGULAR_VISITOR),
    *(f"order_{n}" for n in _ORDER),
    *(f"relative_{n}" for n in _RELATIVE),
    *(f"demand_{n}" for n in _DEMAND),
    *(f"earlier_{n}" for n in _EARLIER),
    *(f"mailed_{n}" for n in _MAILED),
    *CROWD_NAMES,
)


@dataclass(frozen=True)
class Exposures:
    """Displays and mailers per week, known to the shop before the week begins.

    Attributes:
        shares: week to (V, 3) shares of places that display it, mail it, put it in front.
        usual: (V, 3) mean shares over the weeks before the cut.
    """

    shares: Mapping[int, FloatArray]
    usual: FloatArray


@dataclass(frozen=True)
class ShopState:
    """What the shop knows of its products before a week; the same for every visitor.

    Attributes:
        week: features may be asked for this week and later ones.
        type_of: (V,) dense type of each product.
        category_of: (V,) dense category of each product.
        facts: (V, len(_PRODUCT)) product features.
        in_group: (V, 2) share of the product in its type's and its category's lines.
        place_share: (P, V) lines of the product among the place's, scaled to a mean of 1.
        svd: (V, D) orthonormal product factors of the visitor-product matrix.
        neighbours: (V, V) similarities, visitors in common.
        companions: (V, V) similarities, baskets in common.
        rankable: (V,) products that may be ranked by this model.
        crowd: all visitors as neighbours.
        demand: how sales answer to displays and mailers.
        trips_28: shopping trips of all visitors in the last 28 days.
    """

    week: int
    type_of: IntArray
    category_of: IntArray
    facts: FloatArray
    in_group: FloatArray
    place_share: FloatArray
    svd: FloatArray
    neighbours: sp.csr_matrix
    companions: sp.csr_matrix
    rankable: BoolArray
    exposures: Exposures
    crowd: Crowd
    demand: Demand
    trips_28: float = 0.0

    @property
    def n_products(self) -> int:
        """Return V."""
        return len(self.type_of)


@dataclass(frozen=True)
class GroupStats:
    """Aggregates of a log per (visitor, group), keys ascending; see `group_stats`."""

    keys: IntArray
    values: dict[str, FloatArray]
    n_groups: int

    def rows_of(self, visitor: IntArray, group: IntArray) -> IntArray:
        """Return the row of each pair, -1 where the visitor has no such group."""
        wanted = visitor * self.n_groups + group
        if not len(self.keys):
            return np.full(len(wanted), -1)
        at = np.searchsorted(self.keys, wanted)
        at[at == len(self.keys)] = 0
        return np.where(self.keys[at] == wanted, at, -1)


@dataclass(frozen=True)
class VisitorStats:
    """Per-visitor facts before the request; arrays (B,)."""

    trips: IntArray
    first_day: IntArray
    last_day: IntArray
    values: dict[str, FloatArray]
    place: IntArray


def visitor_stats(log: Log, now: IntArray) -> VisitorStats:
    """Summarise each visitor of a log whose visitors are numbered 0 to len(now) - 1.

    Args:
        log: rows strictly before the request.
        now: (B,) UTC day of each visitor's request.
    """
    n = len(now)
    visitor, day = log.visitor, log.day
    trips = np.zeros(n, dtype=np.int64)
    np.maximum.at(trips, visitor, log.trip + 1)
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, visitor, day)
    last = np.full(n, np.iinfo(np.int64).min)
    np.maximum.at(last, visitor, day)
    known = trips > 0
    first, last = np.where(known, first, now), np.where(known, last, now)
    lines = np.bincount(visitor, log.amount, n)
    saved = np.bincount(visitor, log.amount * log.discounted, n)
    new_pair = np.r_[True, np.diff(log.group) != 0] if len(log) else np.zeros(0, dtype=bool)
    if len(log):
        new_pair |= np.r_[True, np.diff(visitor) != 0]
    recent = day >= now[visitor] - 56
    distinct = np.bincount(visitor[new_pair], minlength=n)
    fresh = np.bincount(visitor[new_pair & recent], minlength=n)
    rows_recent = np.bincount(visitor[recent], minlength=n)
    in_month = day >= now[visitor] - 28
    month_days = np.unique(visitor[in_month] * 100_000 + day[in_month]) // 100_000
    gap = np.where(trips > 1, (last - first) / np.maximum(trips - 1, 1), NEVER)
    away = np.where(known, now - last, NEVER)
    values = {
        "trips": trips,
        "trip_gap": gap,
        "away": away,
        "away_ratio": np.where(trips > 1, away / np.maximum(gap, 0.5), -1.0),
        "basket": lines / np.maximum(trips, 1),
        "distinct": distinct,
        "fresh_share": np.where(rows_recent > 0, fresh / np.maximum(rows_recent, 1), -1.0),
        "discounted": np.where(lines > 0, saved / np.maximum(lines, 1e-6), -1.0),
        "weekday": (now + 3) % 7,
        "trip_rate_28": np.bincount(month_days, minlength=n),
    }
    return VisitorStats(
        trips=trips,
        first_day=first,
        last_day=last,
        values={name: np.asarray(value, dtype=np.float32) for name, value in values.items()},
        place=_usual_place(log, n),
    )


def _usual_place(log: Log, n: int, last_trips: int = 20) -> IntArray:
    """Return each visitor's most frequent place over the last trips, -1 if unknown."""
    if not len(log) or log.place.max(initial=-1) < 0:
        return np.full(n, -1)
    trips = np.zeros(n, dtype=np.int64)
    np.maximum.at(trips, log.visitor, log.trip + 1)
    rows = (log.place >= 0) & (log.trip >= trips[log.visitor] - last_trips)
    n_places = int(log.place.max()) + 1
    counts = sp.csr_matrix(
        (np.ones(rows.sum()), (log.visitor[rows], log.place[rows])), shape=(n, n_places)
    )
    best = np.asarray(counts.argmax(axis=1)).ravel()
    return np.where(np.asarray(counts.sum(axis=1)).ravel() > 0, best, -1)


def group_stats(log: Log, now: IntArray, visitors: VisitorStats, n_groups: int) -> GroupStats:
    """Aggregate a log per (visitor, group): counts, decays, intervals, how far it is due.

    Args:
        log: rows sorted by visitor, group, day, strictly before the request.
        now: (B,) UTC day of each visitor's request.
        visitors: from the same rows.
        n_groups: number of products, types or categories.
    """
    key = log.visitor * n_groups + log.group
    starts = np.flatnonzero(np.r_[True, np.diff(key) != 0]) if len(key) else np.zeros(0, np.int64)
    if not len(starts):
        return GroupStats(np.zeros(0, np.int64), {}, n_groups)
    ends = np.r_[starts[1:], len(key)] - 1
    who = log.visitor[starts]
    age = (now[log.visitor] - log.day).astype(np.float32)
    amount = log.amount

    def total(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.add.reduceat(values, starts)

    new_day = np.r_[True, (np.diff(log.day) != 0) | (np.diff(key) != 0)]
    days = np.add.reduceat(new_day.astype(np.float32), starts)
    recency, oldest = age[ends], age[starts]
    span = oldest - recency
    gap = np.where(days > 1, span / np.maximum(days - 1, 1), NEVER)
    step = np.r_[0.0, -np.diff(age)]
    step[starts] = 0.0
    last_gap = np.where(days > 1, step[ends], NEVER)
    spread = np.sqrt(np.maximum(total(step**2) / np.maximum(days - 1, 1) - gap**2, 0.0))
    decays = {h: total(amount * np.exp2(-age / h)) for h in HALF_LIVES_DAYS}
    trips_since = visitors.trips[who] - 1 - log.trip[ends]
    trips_exposed = visitors.trips[who] - log.trip[starts]
    gap_trips = np.where(
        days > 1, (log.trip[ends] - log.trip[starts]) / np.maximum(days - 1, 1), NEVER
    )
    last_counts = {
        k: total((new_day & (log.trip >= visitors.trips[log.visitor] - k)).astype(np.float32))
        for k in LAST_TRIPS
    }
    visitor_decay = np.bincount(log.visitor, amount * np.exp2(-age / 91.0), len(now))
    lines = total(amount)
    values = {
        "lines": lines,
        "days": days,
        **{f"decay_{h:.0f}": value for h, value in decays.items()},
        "recency": recency,
        "age": oldest,
        "gap": gap,
        "due": np.where(days > 1, recency / np.maximum(gap, 0.5), -1.0),
        "last_gap": last_gap,
        "gap_spread": np.where(days > 2, spread, -1.0),
        "trips_since": trips_since,
        "trip_share": days / np.maximum(trips_exposed, 1),
        **{f"last_{k}": value for k, value in last_counts.items()},
        "discounted": total(amount * log.discounted) / np.maximum(lines, 1e-6),
        "share_91": decays[91.0] / np.maximum(visitor_decay[who], 1e-9),
        "due_trips": np.where(days > 1, trips_since / np.maximum(gap_trips, 0.5), -1.0),
    }
    return GroupStats(
        key[starts], {name: np.asarray(v, dtype=np.float32) for name, v in values.items()}, n_groups
    )


ABSENT: Mapping[str, float] = {
    "recency": NEVER, "age": NEVER, "gap": NEVER, "due": -1.0, "last_gap": NEVER,
    "gap_spread": -1.0, "trips_since": NEVER, "discounted": -1.0, "due_trips": -1.0,
    "since": NEVER_TRIPS, "by_42": UNRANKED, "by_182": UNRANKED, "mailed": -1.0,
}  # fmt: skip


def gathered(stats: GroupStats, names: tuple[str, ...], rows: IntArray) -> FloatArray:
    """Return (rows, names) values, with the stated value of absence where a row is -1."""
    out = np.empty((len(rows), len(names)), dtype=np.float32)
    present = rows >= 0
    at = np.where(present, rows, 0)
    for column, name in enumerate(names):
        absent = ABSENT.get(name, 0.0)
        out[:, column] = (
            np.where(present, stats.values[name][at], absent) if stats.values else absent
        )
    return out


@dataclass(frozen=True)
class VisitorView:
    """Everything of a batch of visitors that features and candidates need.

    Attributes:
        now: (B,) UTC day of each request.
        week: (B,) shop week of each request.
        taste: (B, V) sparse decayed and damped purchases, rows of length 1; other events join it.
        last_basket: (B, V) sparse, the products of the last three trips.
        ident: (B,) numbers in the state's crowd, -1 for a visitor it does not know.
    """

    now: IntArray
    week: IntArray
    ident: IntArray
    visitors: VisitorStats
    own: GroupStats
    types: GroupStats
    categories: GroupStats
    regular: GroupStats
    regular_types: GroupStats
    taste: sp.csr_matrix
    last_basket: sp.csr_matrix

    def __len__(self) -> int:
        """Return B."""
        return len(self.now)


def normalised(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Scale rows to length 1; empty rows stay empty."""
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(1.0 / np.maximum(norm, 1e-9)) @ matrix, dtype=np.float32)


def taste_matrix(own: GroupStats, n_visitors: int) -> sp.csr_matrix:
    """Return (B, V) rows of length 1: log-damped purchases with a half-life of 182 days."""
    if not len(own.keys):
        return sp.csr_matrix((n_visitors, own.n_groups), dtype=np.float32)
    values = np.log1p(own.values["decay_182"])
    matrix = sp.csr_matrix(
        (values, (own.keys // own.n_groups, own.keys % own.n_groups)),
        shape=(n_visitors, own.n_groups),
    )
    return normalised(matrix)


def last_basket_matrix(own: GroupStats, n_visitors: int) -> sp.csr_matrix:
    """Return (B, V) rows of length 1: products of the last three trips."""
    if not len(own.keys):
        return sp.csr_matrix((n_visitors, own.n_groups), dtype=np.float32)
    recent = own.values["last_3"] > 0
    keys = own.keys[recent]
    matrix = sp.csr_matrix(
        (own.values["last_3"][recent], (keys // own.n_groups, keys % own.n_groups)),
        shape=(n_visitors, own.n_groups),
    )
    return normalised(matrix)


def view_visitors(
    log: Log, now: IntArray, week: IntArray, state: ShopState, *, ident: IntArray | None = None
) -> VisitorView:
    """Summarise visitors 0 to B - 1 of `log` for requests on days `now` of shop weeks `week`.

    Args:
        log: rows strictly before the request.
        now: (B,) UTC day of each request.
        week: (B,) shop week of each request.
        state: the shop before the week of the request.
        ident: (B,) the visitors' numbers in the state's crowd; unknown by default.

    Raises:
        ValueError: a row of the log lies on or after a visitor's request day, which would let a
            feature see its own future.
    """
    if len(log) and bool((log.day >= now[log.visitor] + 1).any()):
        raise ValueError("the log holds rows after the request; cut it first.")
    visitors = visitor_stats(log, now)
    n_types = int(state.type_of.max(initial=0)) + 1
    n_categories = int(state.category_of.max(initial=0)) + 1
    own = group_stats(log, now, visitors, state.n_products)
    mailed = state.demand.mailed_then(log)
    _add_order(own, len(now))
    _add_mailed(own, log, mailed)
    trips = full_trips(log, len(now), state.rankable)
    count = np.maximum(np.bincount(log.visitor, minlength=len(now)), 1)
    visitors.values["mailed"] = (np.bincount(log.visitor, mailed, len(now)) / count).astype(
        np.float32
    )
    visitors.values["full_trips"] = trips.count.astype(np.float32)
    visitors.values["full_size"] = trips.size
    regular = regularity(log, log.group, trips, state.n_products)
    regular_types = regularity(log, state.type_of[log.group], trips, n_types)
    return VisitorView(
        now=now,
        week=week,
        ident=np.full(len(now), -1) if ident is None else ident,
        visitors=visitors,
        own=own,
        types=group_stats(log.grouped(state.type_of), now, visitors, n_types),
        categories=group_stats(log.grouped(state.category_of), now, visitors, n_categories),
        regular=GroupStats(*regular, state.n_products),
        regular_types=GroupStats(*regular_types, n_types),
        taste=taste_matrix(own, len(now)),
        last_basket=last_basket_matrix(own, len(now)),
    )


def _add_order(own: GroupStats, n_visitors: int) -> None:
    """Add each product's place, from 0, among the visitor's own by two decayed counts."""
    if not own.values:
        return
    owner = own.keys // own.n_groups
    for name, decay in (("by_42", "decay_42"), ("by_182", "decay_182")):
        order = np.lexsort((-own.values[decay], owner))
        begin = np.searchsorted(owner[order], np.arange(n_visitors))
        place = np.empty(len(order), dtype=np.float32)
        place[order] = np.arange(len(order)) - begin[owner[order]]
        own.values[name] = place


def _add_mailed(own: GroupStats, log: Log, mailed: FloatArray) -> None:
    """Add the mean share of places that mailed the product when the visitor bought it."""
    if own.values:
        at = own.rows_of(log.visitor, log.group)
        count = np.bincount(at, minlength=len(own.keys))
        sums = np.bincount(at, mailed, len(own.keys))
        own.values["mailed"] = (sums / np.maximum(count, 1)).astype(np.float32)


def dense_product(left: sp.csr_matrix, right: sp.csr_matrix) -> FloatArray:
    """Return the product of two sparse matrices as a dense float32 array."""
    return sp.csr_matrix(left @ right).toarray().astype(np.float32, copy=False)


def affinities(view: VisitorView, state: ShopState) -> dict[str, FloatArray]:
    """Score every product for each visitor from co-purchase alone: name to (B, V).

    `svd` projects the visitor's taste on the product factors, so a visitor never seen in training
    is scored the same way; `neighbours` and `companions` sum similarities to what was bought.
    """
    taste = view.taste
    folded = np.asarray((taste @ state.svd) @ state.svd.T, dtype=np.float32)
    return {
        "svd": folded,
        "neighbours": dense_product(taste, state.neighbours),
        "companions": dense_product(view.last_basket, state.companions),
        **state.crowd.scores(taste, view.ident),
    }


def feature_rows(
    view: VisitorView,
    state: ShopState,
    visitor: IntArray,
    product: IntArray,
    affinity: Mapping[str, FloatArray],
) -> FloatArray:
    """Compute the features of pairs.

    Args:
        view: the batch of visitors.
        state: the shop before the week of the request.
        visitor: (n,) index into the batch.
        product: (n,) dense product index.
        affinity: from `affinities` on the same view and state.

    Returns:
        (n, len(FEATURES)) float32.
    """
    out = np.empty((len(visitor), len(FEATURES)), dtype=np.float32)
    type_ = state.type_of[product]
    category = state.category_of[product]
    column = 0

    def put(block: FloatArray) -> None:
        nonlocal column
        out[:, column : column + block.shape[1]] = block
        column += block.shape[1]

    put(gathered(view.own, _OWN, view.own.rows_of(visitor, product)))
    put(gathered(view.types, _GROUP, view.types.rows_of(visitor, type_)))
    put(gathered(view.categories, _GROUP, view.categories.rows_of(visitor, category)))
    put(np.stack([view.visitors.values[name] for name in _VISITOR], axis=1)[visitor])
    put(state.facts[product])
    put(_exposure_rows(view, state, visitor, product))
    put(np.stack([affinity[n][visitor, product] for n in ("svd", "neighbours", "companions")], 1))
    put(state.in_group[product])
    put(_place_rows(view, state, visitor, product))
    put(gathered(view.regular, _REGULAR, view.regular.rows_of(visitor, product)))
    put(gathered(view.regular_types, _REGULAR_TYPE, view.regular_types.rows_of(visitor, type_)))
    values = view.visitors.values
    put(np.stack([values["full_trips"], values["full_size"]], axis=1)[visitor])
    put(_order_rows(view, state, visitor, product))
    put(_relative_rows(affinity, visitor, product, state.rankable))
    put(_demand_rows(view, state, visitor, product))
    own_mailed = gathered(view.own, ("mailed",), view.own.rows_of(visitor, product))
    put(np.concatenate([own_mailed, values["mailed"][visitor][:, None]], axis=1))
    put(np.stack([affinity[name][visitor, product] for name in CROWD_NAMES], axis=1))
    return out


def _order_rows(
    view: VisitorView, state: ShopState, visitor: IntArray, product: IntArray
) -> FloatArray:
    own = view.own.rows_of(visitor, product)
    places = gathered(view.own, ("by_42", "by_182"), own)
    mine = gathered(view.own, ("decay_182", "recency"), own)
    of_type = view.types.rows_of(visitor, state.type_of[product])
    total = gathered(view.types, ("decay_182",), of_type)[:, 0]
    share = np.where(total > 0, mine[:, 0] / np.maximum(total, 1e-6), -1.0)
    due = mine[:, 1] / np.maximum(state.facts[product, _PRODUCT.index("gap")], 0.5)
    return np.column_stack([places, share, due]).astype(np.float32)


def _relative_rows(
    affinity: Mapping[str, FloatArray], visitor: IntArray, product: IntArray, rankable: BoolArray
) -> FloatArray:
    """Return affinities in units of the visitor's own 30th best among the rankable products."""
    among = np.flatnonzero(rankable)
    columns = []
    for name in _RELATIVE:
        scores = affinity[name]
        known = scores[:, among] if len(among) else scores
        k = min(RELATIVE_TO, known.shape[1])
        best = np.partition(known, known.shape[1] - k, axis=1)[:, known.shape[1] - k]
        columns.append(scores[visitor, product] / np.maximum(best, 1e-6)[visitor])
    return np.stack(columns, axis=1).astype(np.float32)


def _demand_rows(
    view: VisitorView, state: ShopState, visitor: IntArray, product: IntArray
) -> FloatArray:
    """Return what the week's exposures let expect, and the exposures of the week before."""
    out = np.full((len(visitor), len(_DEMAND) + len(_EARLIER)), -1.0, dtype=np.float32)
    week = view.week[visitor]
    for value in np.unique(week):
        rows = np.flatnonzero(week == value)
        shares = state.exposures.shares.get(int(value))
        out[rows, : len(_DEMAND)] = state.demand.expected(shares)[product[rows]]
        earlier = state.exposures.shares.get(int(value) - 1)
        if shares is not None and earlier is not None:
            out[rows, len(_DEMAND) :] = earlier[product[rows]]
    return out


def _exposure_rows(
    view: VisitorView, state: ShopState, visitor: IntArray, product: IntArray
) -> FloatArray:
    out = np.zeros((len(visitor), 6), dtype=np.float32)
    week = view.week[visitor]
    for value in np.unique(week):
        shares = state.exposures.shares.get(int(value))
        rows = np.flatnonzero(week == value)
        if shares is None:
            out[rows] = -1.0
            continue
        out[rows, :3] = shares[product[rows]]
        out[rows, 3:] = shares[product[rows]] - state.exposures.usual[product[rows]]
    return out


def _place_rows(
    view: VisitorView, state: ShopState, visitor: IntArray, product: IntArray
) -> FloatArray:
    out = np.full((len(visitor), len(_PLACE)), -1.0, dtype=np.float32)
    place = view.visitors.place[visitor]
    known = np.flatnonzero((place >= 0) & (place < len(state.place_share)))
    if not len(known):
        return out
    share = state.place_share[place[known], product[known]]
    out[known, 0] = share
    out[known, 1] = share / np.maximum(np.expm1(state.facts[product[known], 0]), 1.0)
    return out
