"""What a visitor's real shopping trips held: small top-ups do not count.

In: a `Log` before the request. Out: per (visitor, group) how regularly it lay in the trips with
enough products, by count and with half-lives in trips; and per visitor how many such trips there
were. A trip is a day; trips of one or two products say little about the next full basket.
"""

from dataclasses import dataclass

import numpy as np

from components.recommend.history import BoolArray, FloatArray, IntArray, Log

MIN_PRODUCTS = 3
TRIP_HALF_LIVES = (3, 8, 20)
TRIP_LAST = (2, 4, 8)
NEVER_TRIPS = 999.0


@dataclass(frozen=True)
class Trips:
    """The trips of a log that are full enough.

    Attributes:
        back: (n,) per row of the log, full trips since this one; 0 is the last full one.
        full: (n,) whether the row lies in a full trip.
        count: (B,) full trips of each visitor.
        size: (B,) mean number of products in them.
    """

    back: IntArray
    full: BoolArray
    count: IntArray
    size: FloatArray


def full_trips(log: Log, n_visitors: int, rankable: BoolArray) -> Trips:
    """Find each visitor's trips with at least `MIN_PRODUCTS` rankable products.

    Args:
        log: rows sorted by visitor, product, day.
        n_visitors: B.
        rankable: (V,) products that count.
    """
    none = np.zeros(0, dtype=np.int64)
    if not len(log):
        zero = np.zeros(n_visitors)
        return Trips(none, none.astype(bool), zero.astype(np.int64), zero.astype(np.float32))
    width = int(log.trip.max()) + 1
    trips, trip = np.unique(log.visitor * width + log.trip, return_inverse=True)
    size = np.bincount(trip, rankable[log.group].astype(np.float64))
    full, owner = size >= MIN_PRODUCTS, trips // width
    count = np.bincount(owner[full], minlength=n_visitors)
    reached = np.cumsum(full)
    before = np.r_[0, np.cumsum(count)][:-1]
    back = count[owner] - (reached - before[owner])
    mean = np.bincount(owner[full], size[full], n_visitors) / np.maximum(count, 1)
    return Trips(back[trip], full[trip], count, mean.astype(np.float32))


def regularity(
    log: Log, group: IntArray, trips: Trips, n_groups: int
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Say how regularly a group lay in the full trips.

    Args:
        log: the rows `trips` was made from.
        group: (n,) product, type or category of each row.
        trips: from `full_trips`.
        n_groups: number of groups.

    Returns:
        Ascending keys visitor x n_groups + group, and per key: `share` of the full trips, `even_h`
        the same with a half-life of h trips, `in_k` of the last k, trips `since` the last.
    """
    key = (log.visitor * n_groups + group)[trips.full]
    back = trips.back[trips.full]
    order = np.lexsort((back, key))
    key, back = key[order], back[order]
    if len(key):
        new = np.r_[True, (np.diff(key) != 0) | (np.diff(back) != 0)]
        key, back = key[new], back[new]
    starts = np.flatnonzero(np.r_[True, np.diff(key) != 0]) if len(key) else np.zeros(0, np.int64)
    if not len(starts):
        return np.zeros(0, dtype=np.int64), {}
    keys = key[starts]
    count = np.maximum(trips.count[keys // n_groups], 1)

    def total(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts)

    values = {"share": total(np.ones(len(key))) / count}
    for half in TRIP_HALF_LIVES:
        mass = (1 - np.exp2(-count / half)) / (1 - np.exp2(-1 / half))
        values[f"even_{half}"] = total(np.exp2(-back / half)) / mass
    for last in TRIP_LAST:
        values[f"in_{last}"] = total((back < last).astype(np.float64))
    values["since"] = back[starts].astype(np.float64)
    return keys, {name: value.astype(np.float32) for name, value in values.items()}
