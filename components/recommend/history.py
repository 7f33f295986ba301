"""Interactions as columns: what a visitor did, one row per visitor, group and day.

In go canonical events (or a visitor's live ones); out come `Log`s over products and over groups of
products (types, categories), sorted by visitor, group and day, so that every later aggregate is one
pass. Nothing is learned here and nothing is looked up in the future: `Log.before` cuts by week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

EVENT_WEIGHTS: Mapping[str, float] = {
    "purchase": 1.0,
    "basket_add": 0.5,
    "click": 0.2,
    "rating": 1.0,
    "basket_remove": -0.5,
}
DAY_SECONDS = 86_400


def day_of(moment: datetime) -> int:
    """Return the UTC day number (days since 1970-01-01) of an aware moment."""
    return int(moment.astimezone(UTC).timestamp() // DAY_SECONDS)


def distinct_pairs(first: IntArray, second: IntArray) -> IntArray:
    """Return the distinct pairs, (2, n), ordered by the first and then the second number.

    One number a pair sorts many times faster than `np.unique` along an axis.

    >>> distinct_pairs(np.array([2, 1, 2]), np.array([5, 0, 5])).tolist()
    [[1, 2], [0, 5]]
    """
    if not len(first):
        return np.zeros((2, 0), dtype=np.int64)
    low = int(second.min())
    width = int(second.max()) - low + 1
    keys = np.unique(np.asarray(first, dtype=np.int64) * width + (second - low))
    return np.stack([keys // width, keys % width + low])


@dataclass(frozen=True)
class Log:
    """Rows (visitor, group, day), sorted by these three; all arrays have the same length.

    Attributes:
        visitor: dense visitor index.
        group: dense index of the product (or of its type or category).
        day: UTC day number.
        week: shop week of the row.
        trip: number of earlier days on which the visitor bought anything.
        amount: lines bought that day, weighted by event kind.
        discounted: share of these lines that were sold below the list price, in [0, 1].
        place: dense index of the place, -1 when unknown.
    """

    visitor: IntArray
    group: IntArray
    day: IntArray
    week: IntArray
    trip: IntArray
    amount: FloatArray
    discounted: FloatArray
    place: IntArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.visitor)

    def take(self, rows: BoolArray | IntArray | slice) -> "Log":
        """Return the chosen rows in their present order."""
        return Log(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def before(self, week: int) -> "Log":
        """Return the rows of shop weeks strictly before `week`."""
        return self.take(self.week < week)

    def of_visitors(self, visitors: IntArray, n_visitors: int) -> "Log":
        """Return the rows of these visitors, renumbered by their place in `visitors`.

        Args:
            visitors: (B,) distinct dense visitor indices, ascending.
            n_visitors: size of the visitor vocabulary.
        """
        place = np.full(n_visitors, -1, dtype=np.int64)
        place[visitors] = np.arange(len(visitors))
        kept = self.take(place[self.visitor] >= 0)
        return replace(kept, visitor=place[kept.visitor])

    def grouped(self, group_of: IntArray) -> "Log":
        """Return the log with groups merged by `group_of` (V,), one row per visitor, group, day."""
        group = group_of[self.group]
        order = np.lexsort((self.day, group, self.visitor))
        key = np.stack([self.visitor[order], group[order], self.day[order]])
        starts = np.flatnonzero(np.any(np.diff(key, axis=1, prepend=-1) != 0, axis=0))
        if not len(starts):
            return self
        first = order[starts]
        amount = np.add.reduceat(self.amount[order], starts)
        saved = np.add.reduceat((self.amount * self.discounted)[order], starts)
        return Log(
            visitor=self.visitor[first],
            group=group[first],
            day=self.day[first],
            week=self.week[first],
            trip=self.trip[first],
            amount=amount.astype(np.float32),
            discounted=np.divide(saved, amount, out=np.zeros_like(saved), where=amount != 0).astype(
                np.float32
            ),
            place=self.place[first],
        )


def build_log(
    visitor: IntArray,
    product: IntArray,
    day: IntArray,
    week: IntArray,
    amount: FloatArray,
    discounted: FloatArray,
    place: IntArray,
) -> Log:
    """Sort rows and merge those of one visitor, product, day and week.

    A day that straddles two shop weeks keeps a row in each, so that a cut by week loses nothing.
    """
    frame = (
        pl.DataFrame(
            {
                "visitor": visitor,
                "group": product,
                "day": day,
                "week": week,
                "amount": amount,
                "saved": amount * discounted,
                "place": place,
            }
        )
        .group_by("visitor", "group", "day", "week")
        .agg(pl.col("amount").sum(), pl.col("saved").sum(), pl.col("place").max())
        .with_columns(
            (pl.col("day").rank("dense").over("visitor") - 1).cast(pl.Int64).alias("trip")
        )
        .sort("visitor", "group", "day", "week")
    )
    total = frame["amount"].to_numpy().astype(np.float32)
    saved = frame["saved"].to_numpy().astype(np.float32)
    return Log(
        visitor=frame["visitor"].to_numpy().astype(np.int64),
        group=frame["group"].to_numpy().astype(np.int64),
        day=frame["day"].to_numpy().astype(np.int64),
        week=frame["week"].to_numpy().astype(np.int64),
        trip=frame["trip"].to_numpy().astype(np.int64),
        amount=total,
        discounted=np.divide(saved, total, out=np.zeros_like(saved), where=total != 0),
        place=frame["place"].to_numpy().astype(np.int64),
    )


def dense(values: Sequence[str] | pl.Series, vocabulary: Sequence[str]) -> IntArray:
    """Map ids to their place in `vocabulary`; -1 for an unknown one."""
    ids = pl.DataFrame({"id": pl.Series(vocabulary, dtype=pl.String)}).with_row_index("at")
    wanted = pl.DataFrame({"id": pl.Series(values, dtype=pl.String)})
    found = wanted.join(ids, on="id", how="left", maintain_order="left")["at"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy()


def purchases_log(
    events: pl.DataFrame,
    visitors: Sequence[str],
    products: Sequence[str],
    places: Sequence[str],
    *,
    kinds: Sequence[str] = ("purchase",),
) -> Log:
    """Build the log of the canonical `events` table.

    Args:
        events: canonical events; other kinds and unknown products or visitors are left out.
        visitors: visitor ids in dense order.
        products: product ids in dense order.
        places: place ids in dense order; others count as unknown.
        kinds: event kinds that count, weighted by `EVENT_WEIGHTS`.
    """
    rows = events.filter(pl.col("kind").is_in(list(kinds)))
    product = dense(rows["product_id"], products)
    visitor = dense(rows["visitor_id"], visitors)
    weight = rows["kind"].replace_strict(dict(EVENT_WEIGHTS), return_dtype=pl.Float32).to_numpy()
    known = (product >= 0) & (visitor >= 0)
    return build_log(
        visitor=visitor[known],
        product=product[known],
        day=(rows["at"].dt.epoch("s") // DAY_SECONDS).to_numpy()[known],
        week=rows["week"].to_numpy()[known],
        amount=weight[known],
        discounted=(rows["discount_minor"].fill_null(0) > 0).cast(pl.Float32).to_numpy()[known],
        place=dense(rows["place"], places)[known],
    )
