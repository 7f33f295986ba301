"""The shop in dense form, and the question every window asks of it.

In: accepted tables. Out: `ShopData` (log, product facts, exposures), the shop's state before a
week, and the first basket of each visitor from a week on. Training and evaluation share these, so
that a training window is an earlier evaluation and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from components.contracts.errors import TableError
from components.contracts.params import TrainRankerParams
from components.data.parquet import read_table
from components.recommend.features import ShopState, VisitorView, view_visitors
from components.recommend.history import BoolArray, IntArray, Log, purchases_log
from components.recommend.shop import (
    ExposureCalendar,
    ProductColumns,
    build_state,
    exposure_calendar,
    product_columns,
)


@dataclass(frozen=True)
class ShopData:
    """The tables in dense form, read once for training and evaluation.

    Attributes:
        columns: product facts; its order is the dense order of products.
        visitor_ids: dense order of visitors.
        places: dense order of places.
        log: all purchases.
        shown: those of them that a slate led to.
        calendar: exposures of all weeks.
    """

    columns: ProductColumns
    visitor_ids: tuple[str, ...]
    places: tuple[str, ...]
    log: Log
    shown: Log
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

    def logged(rows: pl.DataFrame) -> Log:
        return purchases_log(rows, visitors, columns.product_ids, places, kinds=kinds)

    log = logged(events)
    if not len(log):
        raise TableError(f"{tables}/events.parquet: no purchase, rating or click to learn from.")
    shown = logged(events.filter(pl.col("slate_id").is_not_null()))
    calendar = exposure_calendar(read_table("exposures", tables), columns.product_ids)
    return ShopData(columns, visitors, places, log, shown, calendar)


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

    def take(self, part: slice) -> "Baskets":
        """Return a block of visitors."""
        return Baskets(self.visitor[part], self.day[part], self.week[part], self.products[part])


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


def least_basket(log: Log, rankable: BoolArray, min_basket: int) -> int:
    """Return how many distinct products a basket to predict must have.

    That is `min_basket`, or the size of the largest basket there is if all are smaller: reviews,
    for instance, come one at a time.
    """
    rows = rankable[log.group]
    sizes = (
        pl.DataFrame(
            {"visitor": log.visitor[rows], "day": log.day[rows], "product": log.group[rows]}
        )
        .group_by("visitor", "day")
        .agg(pl.col("product").n_unique())["product"]
    )
    return min(min_basket, int(sizes.max() or 1))  # pyright: ignore[reportArgumentType]


def view_at(shop: ShopData, state: ShopState, baskets: Baskets) -> VisitorView:
    """View the visitors of these baskets: history before the state's week, asked on the day."""
    log = shop.log.before(state.week).of_visitors(baskets.visitor, len(shop.visitor_ids))
    return view_visitors(log, baskets.day, baskets.week, state, ident=baskets.visitor)
