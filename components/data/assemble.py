"""From a list of interactions and a list of items to canonical tables; shared by the file sources.

In: one frame of interactions and one of items, with the columns that their source happens to have.
Out: products, variants, events, visitors, and reviews where there is text. What a source does not
have is left empty, or made and labelled in the notes: never invented in silence.
"""

from datetime import UTC, datetime, timedelta

import polars as pl

from components.contracts.errors import SourceError
from components.contracts.tables import SPECS
from components.data.source import first_monday_of, shop_week

YEAR = timedelta(days=364)
YEAR_START = datetime(2024, 1, 1, tzinfo=UTC)
TITLE_LENGTH = 120
# Descriptions that differ from row to row for most items are words of the visitors, not the shop's.
REVIEW_LIKE_SHARE = 0.5


def assemble(
    interactions: pl.DataFrame, items: pl.DataFrame, *, currency: str, timezone: str
) -> tuple[dict[str, pl.DataFrame], dict[str, str]]:
    """Make canonical tables.

    Args:
        interactions: `event_id, visitor_id, product_id, kind` and any of `at, rating, quantity,
            price_minor, order_id, session_id, variant_id, place, text, helpful_votes`.
        items: `product_id` and any of `title, description, brand, category, type, price_minor,
            list_price_minor, attributes, images`; items that only interactions name are added.
        currency: ISO 4217 code of all prices.
        timezone: the shop's own, for shop weeks.
    Returns:
        Tables by canonical name, and notes on what was made up.
    Raises:
        SourceError: there are no interactions.
    """
    if interactions.is_empty():
        raise SourceError("the source has no usable interaction; see the unreadable rows.")
    notes: dict[str, str] = {}
    if "at" not in interactions.columns or interactions["at"].null_count() == interactions.height:
        interactions = _made_up_times(interactions)
        notes["times"] = "synthetic: each visitor's rows are spread over a year in file order"
    events = interactions.drop_nulls("at")
    monday = first_monday_of(events["at"], timezone)
    events = events.with_columns(shop_week(pl.col("at"), timezone, monday).alias("week"))
    priced = "price_minor" in events.columns
    products, made = _products(items, events, currency)
    notes |= made
    tables = {
        "products": products,
        "variants": _variants(products),
        "events": _fit("events", events.with_columns(_currency(priced, currency))),
        "visitors": pl.DataFrame({"visitor_id": events["visitor_id"].unique().sort()}).with_columns(
            pl.lit("{}").alias("attributes"), pl.lit(True).alias("consent")
        ),
    }
    if "text" in events.columns:
        said = events.filter(pl.col("text").fill_null("").str.strip_chars() != "")
        if not said.is_empty():
            votes = pl.col("helpful_votes") if "helpful_votes" in said.columns else pl.lit(0)
            stars = pl.col("rating") if "rating" in said.columns else pl.lit(None)
            tables["reviews"] = said.select(
                pl.format("review-{}", "event_id").alias("review_id"),
                "product_id",
                "visitor_id",
                stars.cast(pl.Float64).alias("rating"),
                "text",
                "at",
                votes.fill_null(0).cast(pl.Int64).alias("helpful_votes"),
            )
    notes["consent"] = "not in the source; taken as given"
    return tables, notes


def _currency(priced: bool, currency: str) -> pl.Expr:
    if not priced:
        return pl.lit(None, pl.String).alias("currency")
    return pl.when(pl.col("price_minor").is_not_null()).then(pl.lit(currency)).alias("currency")


def _made_up_times(interactions: pl.DataFrame) -> pl.DataFrame:
    """Spread each visitor's rows over one year, in the order of the file."""
    place = pl.int_range(pl.len()).over("visitor_id")
    count = pl.len().over("visitor_id")
    shift = pl.col("visitor_id").rank("dense").over(pl.lit(1)) % 997 / 997
    fraction = (place + 0.25 + 0.5 * shift) / count
    return interactions.with_columns(
        (
            pl.lit(YEAR_START)
            + (fraction * YEAR.total_seconds() * 1_000_000).cast(pl.Int64).cast(pl.Duration("us"))
        ).alias("at")
    )


def _fit(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select([c for c in SPECS[name].columns if c in frame.columns])


def _products(
    items: pl.DataFrame, events: pl.DataFrame, currency: str
) -> tuple[pl.DataFrame, dict[str, str]]:
    notes: dict[str, str] = {}
    sold = events.group_by("product_id").agg(
        pl.col("at").min().alias("first_sold_at"),
        pl.col("at").max().alias("updated_at"),
        *_stars(events),
        *_paid(events),
    )
    rows = sold.join(items, on="product_id", how="full", coalesce=True).sort("product_id")
    known = items.join(sold, on="product_id", how="semi").height
    unnamed = events["product_id"].n_unique() - known
    if unnamed > 0:
        notes["items"] = f"{unnamed} items are named by interactions only; their id is their title"
    for name in ("title", "description", "brand", "category", "type", "attributes", "images"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, pl.String).alias(name))
    for name in ("price_minor", "list_price_minor"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, pl.Int64).alias(name))
    price = pl.coalesce("price_minor", "paid_minor")
    short = pl.col("description").str.strip_chars().str.head(TITLE_LENGTH)
    title = pl.coalesce(_given("title"), pl.when(short.str.len_chars() > 0).then(short))
    if rows.select(title.is_null().any()).item():
        notes["titles"] = "items without a title or description are shown as `Item ID`"
    end = events["at"].max()
    return rows.select(
        "product_id",
        pl.coalesce(title, pl.format("Item {}", "product_id")).str.head(500).alias("title"),
        pl.col("description").fill_null(""),
        _given("brand").alias("brand"),
        pl.coalesce(_given("category"), pl.lit("All products")).alias("category"),
        _given("type").alias("type"),
        price.alias("price_minor"),
        pl.when(pl.col("list_price_minor") > price)
        .then("list_price_minor")
        .alias("list_price_minor"),
        pl.lit(currency).alias("currency"),
        pl.coalesce("attributes", pl.lit("{}")).alias("attributes"),
        pl.col("rating"),
        pl.col("rating_count").fill_null(0),
        pl.coalesce("images", pl.lit("[]")).alias("images"),
        pl.lit(True).alias("available"),
        pl.lit(True).alias("repeatable"),
        "first_sold_at",
        pl.col("updated_at").fill_null(end),
    ), notes


def _stars(events: pl.DataFrame) -> list[pl.Expr]:
    if "rating" not in events.columns:
        return [pl.lit(None, pl.Float64).alias("rating"), pl.lit(0).alias("rating_count")]
    return [
        pl.col("rating").mean().alias("rating"),
        pl.col("rating").count().cast(pl.Int64).alias("rating_count"),
    ]


def _paid(events: pl.DataFrame) -> list[pl.Expr]:
    """Return the price last paid, for items whose own price is not given."""
    if "price_minor" not in events.columns:
        return [pl.lit(None, pl.Int64).alias("paid_minor")]
    positive = pl.col("price_minor").filter(pl.col("price_minor") > 0)
    return [
        positive.sort_by(pl.col("at").filter(pl.col("price_minor") > 0)).last().alias("paid_minor")
    ]


def _given(name: str) -> pl.Expr:
    """Return the text where it is not blank."""
    text = pl.col(name).str.strip_chars()
    return pl.when(text.str.len_chars() > 0).then(text)


def _variants(products: pl.DataFrame) -> pl.DataFrame:
    return products.filter(pl.col("price_minor").is_not_null()).select(
        pl.col("product_id").alias("variant_id"),
        "product_id",
        pl.lit("{}").alias("options"),
        "price_minor",
        "list_price_minor",
        pl.lit(None, pl.Int64).alias("stock"),
    )


def descriptions_are_reviews(rows: pl.DataFrame) -> bool:
    """Tell whether a `description` that comes with each interaction is the visitor's own words."""
    several = (
        rows.drop_nulls("description")
        .group_by("product_id")
        .agg(pl.len().alias("n"), pl.col("description").n_unique().alias("kinds"))
        .filter(pl.col("n") >= 2)
    )
    if several.is_empty():
        return False
    share = several.select((pl.col("kinds") > 1).mean()).item()
    return share is not None and share > REVIEW_LIKE_SHARE
