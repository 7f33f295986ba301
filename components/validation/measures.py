"""Table-level numbers that need no earlier version: do the tables fit each other, and a shop?

In: tables whose rows were already judged. Out: measures with bounds. The bounds are wide: they are
meant for damage (a unit, a currency, a lost or doubled batch), not for taste.
"""

import math
from collections.abc import Mapping

import polars as pl

from components.contracts.tables import REQUIRED_TABLES
from components.validation.checks import Measure
from components.validation.profile import price_gap

FAR_FACTOR = 25.0
FAR_SHARE = 0.0005
OFF_FACTOR = 8.0
OFF_SHARE = 0.0015
MAX_PRICE_GAP = 0.7
# The same purchase by the same visitor again, in another order: seconds later, or to the second on
# another day. Both hardly ever happen to people, and always to copies under new ids.
AGAIN_MINUTES = ((1, 0.0006), (5, 0.004))
SAME_SECOND_SHARE = 0.0008
MANY_LINES = 2000
FINE_CLOCK = 1000  # distinct times of day, from which on times are real
MAX_DAY_FACTOR = 8.0
MAX_HOLE_DAYS = 21.0
BUSY_DAY = 50
MAX_TOP_VISITOR_SHARE = 0.2
MAX_COLD_SHARE = 0.98
MAX_END_GAP_DAYS = 31.0
OF_WHOLE_HISTORY = ("ends_with_catalogue", "cold_share", "not_far_ahead")


def measure(
    name: str, tables: Mapping[str, pl.DataFrame], *, history: bool = True
) -> list[Measure]:
    """Measure one table against itself and the others.

    Args:
        name: which.
        tables: accepted rows of all tables.
        history: the events are all there are; false for a batch of a few days.
    """
    frame = tables[name]
    measures = []
    if name in REQUIRED_TABLES and name != "variants":
        measures.append(Measure("not_empty", "the table has rows", float(frame.height), low=1))
    if frame.is_empty():
        return measures
    rules = RULES.get(name)
    found = measures + (rules(tables) if rules else [])
    return found if history else [m for m in found if m.name not in OF_WHOLE_HISTORY]


def _products(tables: Mapping[str, pl.DataFrame]) -> list[Measure]:
    products, variants = tables["products"], tables["variants"]
    span = variants.group_by("product_id").agg(
        pl.col("price_minor").min().alias("low"), pl.col("price_minor").max().alias("high")
    )
    joined = products.select("product_id", "price_minor").join(span, on="product_id", how="left")
    priced = joined.drop_nulls("price_minor")
    off = priced.filter(~pl.col("price_minor").is_between(pl.col("low"), pl.col("high")))
    bare = joined.filter(pl.col("low").is_null() & pl.col("price_minor").is_not_null())
    for_sale = products.filter(pl.col("available"))
    priceless = for_sale.filter(pl.col("price_minor").is_null())
    has_prices = 2 * priced.height > products.height
    return [
        Measure(
            "sold_at_a_price",
            "share of available products without a price, in a shop that has prices",
            _share(priceless.height, for_sale.height) if has_prices else None,
            high=0.02,
            sample=tuple(priceless["product_id"].head(3)),
        ),
        Measure(
            "price_of_a_variant",
            "share of products whose price lies outside of their variants' prices",
            _share(off.height, priced.height),
            high=0.002,
            sample=tuple(off.head(3).rows()),
        ),
        Measure(
            "has_variants",
            "share of priced products without a variant",
            _share(bare.height, priced.height),
            high=0.05,
            sample=tuple(bare["product_id"].head(3)),
        ),
        Measure(
            "currencies",
            "number of currencies",
            float(products["currency"].n_unique()),
            high=1,
            sample=tuple(products["currency"].value_counts().sort("currency").head(5).rows()),
        ),
    ]


def _events(tables: Mapping[str, pl.DataFrame]) -> list[Measure]:
    events, products, variants = tables["events"], tables["products"], tables["variants"]
    asked = events.select("event_id", "product_id", "variant_id", "price_minor").join(
        variants.select("variant_id", pl.col("price_minor").alias("of_variant")),
        on="variant_id",
        how="left",
    )
    asked = asked.join(
        products.select("product_id", pl.col("price_minor").alias("of_product")),
        on="product_id",
        how="left",
    ).with_columns(pl.coalesce("of_variant", "of_product").alias("asked"))
    paid = asked.filter((pl.col("price_minor") > 0) & (pl.col("asked") > 0))
    ratio = (pl.col("price_minor") / pl.col("asked")).log().abs()
    far = paid.filter(ratio > math.log(FAR_FACTOR))
    off = paid.filter(ratio > math.log(OFF_FACTOR))
    days = events.group_by(pl.col("at").dt.date().alias("day")).len().sort("day")
    busiest = days.sort("len", descending=True).row(0, named=True)
    typical = float(days["len"].median() or 0.0)  # type: ignore[arg-type]
    holes = days["day"].diff().dt.total_days()
    hole = float(holes.max() or 0)  # type: ignore[arg-type]
    visitors = (
        events["visitor_id"].value_counts().sort(["count", "visitor_id"], descending=[True, False])
    )
    top = visitors.row(0)
    made = products["updated_at"].max()
    end = events["at"].max()
    gap = None if made is None else abs((made - end).total_seconds()) / 86400  # type: ignore[operator]
    cold = products.join(events.select("product_id").unique(), on="product_id", how="anti").height
    return [
        Measure(
            "prices_near_catalogue",
            f"share of lines that cost over {FAR_FACTOR:g} times more or less than the catalogue",
            _share(far.height, paid.height),
            high=FAR_SHARE,
            sample=tuple(far.select("event_id", "price_minor", "asked").head(3).rows()),
        ),
        Measure(
            "prices_within_a_digit",
            f"share of lines that cost over {OFF_FACTOR:g} times more or less than the catalogue",
            _share(off.height, paid.height) if paid.height >= MANY_LINES else None,
            high=OFF_SHARE,
            sample=tuple(off.select("event_id", "price_minor", "asked").head(3).rows()),
        ),
        *_again(events),
        Measure(
            "price_gap_at_all",
            "median distance of prices paid from the catalogue (log ratio)",
            price_gap(events, products),
            high=MAX_PRICE_GAP,
        ),
        Measure(
            "busiest_day",
            "events of the busiest day, in days of typical size",
            round(busiest["len"] / typical, 6) if typical >= BUSY_DAY else None,
            high=MAX_DAY_FACTOR,
            sample=(f"{busiest['day']}: {busiest['len']} events",),
        ),
        Measure(
            "no_hole",
            "longest stretch of days without any event",
            hole if typical >= BUSY_DAY else None,
            high=MAX_HOLE_DAYS,
        ),
        Measure(
            "no_single_source",
            "share of events that come from one visitor",
            _share(top[1], events.height),
            high=max(MAX_TOP_VISITOR_SHARE, min(1.0, 10 / visitors.height)),
            sample=(top[0],),
        ),
        Measure(
            "cold_share",
            "share of products that nobody touched",
            _share(cold, products.height),
            high=MAX_COLD_SHARE,
            severity="warn",
        ),
        Measure(
            "ends_with_catalogue",
            "days between the last event and the catalogue's last update",
            None if gap is None else round(gap, 6),
            high=MAX_END_GAP_DAYS,
            sample=(str(made), str(end)),
        ),
    ]


def _again(events: pl.DataFrame) -> list[Measure]:
    """Find copies of purchases under new ids, moved a little or by whole days."""
    what = ["visitor_id", "product_id", "variant_id"]
    bought = (
        events.filter((pl.col("kind") == "purchase") & pl.col("order_id").is_not_null())
        .select(*what, "order_id", "at", pl.col("at").dt.time().alias("clock"))
        .sort(*what, "at")
    )
    if bought.height < MANY_LINES or bought["clock"].n_unique() < FINE_CLOCK:
        return []
    gap = bought.select(
        pl.when(pl.col("order_id") != pl.col("order_id").shift().over(what))
        .then(pl.col("at").diff().over(what))
        .alias("gap")
    )["gap"]
    measures = []
    for minutes, share in AGAIN_MINUTES:
        again = bought.filter(gap <= pl.duration(minutes=minutes))
        measures.append(
            Measure(
                f"not_again_within_{minutes}_min",
                f"share of purchases that repeat another order's within {minutes} minutes",
                _share(again.height, bought.height),
                high=share,
                sample=tuple(again.select("order_id", "product_id", "at").head(3).rows()),
            )
        )
    moved = bought.filter(pl.struct(*what, "clock").is_duplicated() & (gap > pl.duration(hours=1)))
    measures.append(
        Measure(
            "not_again_at_the_same_second",
            "share of purchases made before by the same visitor at the same second of another day",
            _share(moved.height, bought.height),
            high=SAME_SECOND_SHARE,
            sample=tuple(moved.select("order_id", "product_id", "at").head(3).rows()),
        )
    )
    return measures


def _impressions(tables: Mapping[str, pl.DataFrame]) -> list[Measure]:
    per = tables["impressions"].group_by("slate_id").agg(
        pl.col("rank").max().alias("deepest"), pl.len().alias("n"),
        pl.col("product_id").n_unique().alias("distinct"),
    )  # fmt: skip
    gaps = per.filter(pl.col("deepest") != pl.col("n"))
    twice = per.filter(pl.col("distinct") != pl.col("n"))
    return [
        Measure(
            "ranks_without_gap",
            "share of slates whose ranks have a gap",
            _share(gaps.height, per.height),
            high=0.01,
            sample=tuple(gaps["slate_id"].sort().head(3)),
        ),
        Measure(
            "products_once",
            "share of slates that show a product twice",
            _share(twice.height, per.height),
            high=0.01,
            sample=tuple(twice["slate_id"].sort().head(3)),
        ),
    ]


def _exposures(tables: Mapping[str, pl.DataFrame]) -> list[Measure]:
    events = tables.get("events")
    if events is None or events.is_empty():
        return []
    late = int(tables["exposures"]["week"].max()) - int(events["week"].max())  # type: ignore[arg-type]
    return [
        Measure(
            "not_far_ahead",
            "weeks by which exposures reach beyond the last event",
            float(late),
            high=8,
        )
    ]


RULES = {
    "products": _products,
    "events": _events,
    "impressions": _impressions,
    "exposures": _exposures,
}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 8) if whole else None
