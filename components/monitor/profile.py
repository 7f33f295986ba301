"""One week of canonical tables as a set of histograms: what the monitor compares.

In: a week's events, the product and visitor tables, and a `Context` made from earlier accepted
weeks. Out: a `Profile`: per measure the counts of its bins, kept apart by 64 groups of visitors so
that a week can be resampled without reading it again. Every measure belongs to one column, and is
built to move with that column alone: prices are compared with the product's own earlier price, so a
change of what is bought does not look like a change of prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

GROUPS = 64
Counts = NDArray[np.float64]
Kind = Literal["integrity", "behaviour", "text", "volume", "quality"]

RATIO_EDGES = (
    *(-2.0, -1.25, -0.85, -0.55, -0.35, -0.2, -0.1, -0.03),
    *(0.03, 0.1, 0.2, 0.35, 0.55, 0.85, 1.25, 2.0),
)
FAR_RATIO = 0.55
QUANTITY_EDGES = (1, 2, 3, 4, 6, 12, 24)
BASKET_EDGES = (1, 2, 4, 8, 16, 32, 64)
EFFORT_EDGES = (5, 10, 20, 40, 80, 160, 320)
DISCOUNT_EDGES = tuple(m * 10**e for e in range(6) for m in (1, 2, 5))
HIT_EDGES = (0.0, 0.1, 0.2, 0.35, 0.5)
NULL_COLUMNS = (
    "visitor_id",
    "product_id",
    "variant_id",
    "quantity",
    "price_minor",
    "currency",
    "order_id",
    "discount_minor",
    "place",
)
# A click has none of these: counted over all lines they would move with the clicks.
OF_PURCHASES = frozenset(
    {"variant_id", "quantity", "price_minor", "currency", "order_id", "discount_minor"}
)
SHAPES = {
    "latin": r"[A-Za-z]",
    "accented": r"[À-ÖØ-öø-ɏ]",
    "digit": r"[0-9]",
    "cyrillic": r"[\u0400-\u04FF]",
    "cjk": r"[\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF]",
    "arabic or hebrew": r"[\u0590-\u06FF]",
    "broken": r"\uFFFD|Ã.|â€|Â[^A-Za-z ]|[\u0080-\u009F]",
}


@dataclass(frozen=True)
class Measure:
    """What a histogram counts: the column it belongs to, and what kind of thing it tells."""

    name: str
    column: str
    kind: Kind
    unit: str


@dataclass(frozen=True)
class Histogram:
    """Counts of bins by visitor group: `counts` is (GROUPS, len(bins))."""

    measure: Measure
    bins: tuple[str, ...]
    counts: Counts

    @property
    def total(self) -> Counts:
        """(bins,) counts over all groups."""
        return self.counts.sum(axis=0)


@dataclass(frozen=True)
class Profile:
    """One week: its histograms by measure, and how much there was."""

    week: int
    first_day: date
    last_day: date
    days: int
    histograms: Mapping[str, Histogram]
    volume: Counts = field(default_factory=lambda: np.zeros(GROUPS))

    @property
    def lines(self) -> int:
        """Number of events."""
        return int(self.volume.sum())


@dataclass(frozen=True)
class Context:
    """What was known before a week: taken from earlier accepted weeks only.

    Attributes:
        prices: product_id and its median log price lately.
        products: product_id, `sold` (popularity stratum 0 head to 9 tail) and `category`.
        seen_products: every product id ever sold.
        visitors: visitor_id and `effort` stratum lately.
        seen_visitors: every visitor id ever seen.
        words: tokens of the titles sold lately.
        habits: visitor_id, product_id of each visitor's ten likeliest products.
    """

    prices: pl.DataFrame
    products: pl.DataFrame
    seen_products: pl.Series
    visitors: pl.DataFrame
    seen_visitors: pl.Series
    words: frozenset[str]
    habits: pl.DataFrame


def category_of(products: pl.DataFrame) -> pl.DataFrame:
    """Return product_id and the first two levels of its category."""
    return products.select(
        "product_id",
        pl.col("category").str.split(" > ").list.head(2).list.join(" > ").alias("category"),
    )


def make_context(
    recent: pl.DataFrame,
    seen_products: pl.Series,
    seen_visitors: pl.Series,
    products: pl.DataFrame,
    habits: pl.DataFrame,
) -> Context:
    """Learn what a week is compared with.

    Args:
        recent: events of the last accepted weeks.
        seen_products: every product id of accepted weeks, each once.
        seen_visitors: likewise the visitors.
        products: product table that was current then.
        habits: each visitor's ten likeliest products; see `components.monitor.quality`.
    """
    prices = (
        recent.filter(pl.col("price_minor") > 0)
        .group_by("product_id")
        .agg(pl.col("price_minor").log().median().alias("usual"))
    )
    sold = (
        recent.group_by("product_id")
        .agg(pl.len().alias("n"))
        .sort(["n", "product_id"], descending=[True, False])
        .with_columns(
            ((pl.col("n").cum_sum() - 1) * 10 // pl.max_horizontal(pl.col("n").sum(), 1))
            .clip(0, 9)
            .alias("sold")
        )
        .select("product_id", "sold")
    )
    effort = (
        recent.group_by("visitor_id")
        .agg(pl.len().alias("n"))
        .sort(["n", "visitor_id"])
        .select(
            "visitor_id",
            (pl.int_range(pl.len()) * 5 // pl.max_horizontal(pl.len(), 1)).alias("effort"),
        )
    )
    titles = products.join(recent.select("product_id").unique(), on="product_id", how="semi")
    words = (
        titles.select(tokens(pl.col("title")).alias("w")).explode("w")["w"].drop_nulls().unique()
    )
    return Context(
        prices=prices,
        products=sold,
        seen_products=seen_products,
        visitors=effort,
        seen_visitors=seen_visitors,
        words=frozenset(words.to_list()),
        habits=habits,
    )


def tokens(text: pl.Expr) -> pl.Expr:
    """Return the words of a text in lower case, digits left out."""
    return text.str.to_lowercase().str.extract_all(r"\p{L}{2,}")


def binned(value: pl.Expr, edges: Sequence[float]) -> pl.Expr:
    """Name the interval of a number: `<= edge`, and `> last edge`; null stays null."""
    expr = pl.when(value > edges[-1]).then(pl.lit(f"> {edges[-1]:g}"))
    for edge in reversed(edges):
        expr = pl.when(value <= edge).then(pl.lit(f"<= {edge:g}")).otherwise(expr)
    return pl.when(value.is_null()).then(None).otherwise(expr)


class Counter:
    """Collects histograms of one week."""

    def __init__(self) -> None:
        """Start empty."""
        self.histograms: dict[str, Histogram] = {}

    def add(
        self, frame: pl.DataFrame, bin_: pl.Expr, measure: Measure, weight: pl.Expr | None = None
    ) -> None:
        """Count `bin_` of each row by its `group`; rows with a null bin are not part of it."""
        count = pl.len() if weight is None else weight.sum()
        table = (
            frame.select(
                pl.col("group"),
                bin_.cast(pl.String).alias("bin"),
                *([] if weight is None else [weight]),
            )
            .drop_nulls("bin")
            .group_by("bin", "group")
            .agg(count.cast(pl.Float64).alias("n"))
            .sort("bin", "group")
        )
        bins = tuple(table["bin"].unique(maintain_order=True).to_list())
        counts = np.zeros((GROUPS, len(bins)))
        place = {name: i for i, name in enumerate(bins)}
        columns = np.fromiter((place[name] for name in table["bin"]), dtype=np.int64)
        counts[table["group"].to_numpy(), columns] = table["n"].to_numpy()
        self.histograms[measure.name] = Histogram(measure, bins, counts)


def profile_week(
    events: pl.DataFrame,
    products: pl.DataFrame,
    visitors: pl.DataFrame,
    context: Context,
    *,
    timezone: str,
    quarantined: int = 0,
    served: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
) -> Profile:
    """Count one week.

    Args:
        events: the week's canonical events; not empty.
        products: product table of the same moment.
        visitors: visitor table, with its attributes as JSON.
        context: from earlier accepted weeks.
        timezone: the shop's own, for days and hours.
        quarantined: rows of this week that validation refused.
        served: visitor_id, product_id, rank of what was shown in the week; judged like habit.
        clusters: product_id, title and cluster of its text vector, from the shipped encoder.
    """
    local = pl.col("at").dt.convert_time_zone(timezone)
    rows = events.with_columns(
        (pl.col("visitor_id").hash(seed=11) % GROUPS).fill_null(0).cast(pl.Int64).alias("group"),
        local.dt.date().alias("day"),
        local.dt.hour().alias("hour"),
    )
    counter = Counter()
    _integrity(counter, rows, products, quarantined)
    _money(counter, rows, context)
    _what(counter, rows, products, context)
    _who(counter, rows, visitors, context)
    _text(counter, rows, products, context)
    _hits(counter, rows, context.habits, Measure("habit's hits", "quality", "quality", "visitors"))
    if served is not None and served.height:
        _slates(counter, rows, served, context)
    if clusters is not None:
        _clusters(counter, rows, products, clusters)
    days = rows["day"].drop_nulls().unique().sort()
    return Profile(
        week=int(rows["week"].mode().min()),  # type: ignore[arg-type]
        first_day=days[0],
        last_day=days[-1],
        days=len(days),
        histograms=counter.histograms,
        volume=np.bincount(rows["group"].to_numpy(), minlength=GROUPS).astype(float),
    )


def _integrity(
    counter: Counter, rows: pl.DataFrame, products: pl.DataFrame, quarantined: int
) -> None:
    def measure(name: str, column: str) -> Measure:
        return Measure(name, column, "integrity", "lines")

    bought = rows.filter(pl.col("kind") == "purchase")
    if bought.is_empty():  # a shop of ratings
        bought = rows
    for column in NULL_COLUMNS:
        state = pl.when(pl.col(column).is_null()).then(pl.lit("null")).otherwise(pl.lit("present"))
        lines = bought if column in OF_PURCHASES else rows
        counter.add(lines, state, measure(f"nulls in {column}", column))
    counter.add(bought, pl.col("currency"), measure("currency", "currency"))
    # More clicks for each purchase is what a better ranking brings: behaviour, not a fault.
    counter.add(rows, pl.col("kind"), Measure("kind of event", "kind", "behaviour", "lines"))
    for column in ("price_minor", "quantity"):
        value = pl.col(column)
        sign = pl.when(value < 0).then(pl.lit("negative")).when(value == 0).then(pl.lit("zero"))
        counter.add(rows, sign.otherwise(pl.lit("positive")), measure(f"sign of {column}", column))
    key = ["visitor_id", "variant_id", "product_id", "at", "order_id", "kind"]
    repeated = pl.struct(key).is_duplicated() | pl.col("event_id").is_duplicated()
    counter.add(
        rows,
        pl.when(repeated).then(pl.lit("repeated")).otherwise(pl.lit("once")),
        measure("repeated rows", "rows"),
    )
    known = rows["product_id"].is_in(products["product_id"].implode())
    counter.add(
        rows.with_columns(known.alias("known")),
        pl.when(pl.col("known")).then(pl.lit("in catalogue")).otherwise(pl.lit("unknown")),
        measure("products in the catalogue", "product_id"),
    )
    counter.add(rows, local_weekday(), measure("day of the week", "at"))
    kept = np.zeros((GROUPS, 2))
    kept[:, 0] = np.bincount(rows["group"].to_numpy(), minlength=GROUPS)
    kept[:, 1] = quarantined / GROUPS
    name = "rows in quarantine"
    counter.histograms[name] = Histogram(measure(name, "rows"), ("kept", "quarantined"), kept)


def local_weekday() -> pl.Expr:
    """Return the weekday of the local day, 1 Monday to 7 Sunday."""
    return pl.col("day").dt.weekday()


def _money(counter: Counter, rows: pl.DataFrame, context: Context) -> None:
    priced = rows.filter(pl.col("price_minor") > 0).join(context.prices, on="product_id")
    ratio = pl.col("price_minor").log() - pl.col("usual")
    counter.add(
        priced,
        binned(ratio, RATIO_EDGES),
        Measure("price against the product's own", "price_minor", "behaviour", "lines"),
    )
    counter.add(
        rows.filter(pl.col("quantity") > 0),
        binned(pl.col("quantity"), QUANTITY_EDGES),
        Measure("quantity", "quantity", "behaviour", "lines"),
    )
    value = pl.col("discount_minor")
    counter.add(
        rows,
        pl.when(value <= 0).then(pl.lit("none")).otherwise(binned(value, DISCOUNT_EDGES)),
        Measure("discount", "discount_minor", "behaviour", "lines"),
    )


def _what(counter: Counter, rows: pl.DataFrame, products: pl.DataFrame, context: Context) -> None:
    lines = (
        rows.select("group", "product_id", "order_id", "place", "hour")
        .join(category_of(products), on="product_id", how="left")
        .join(context.products, on="product_id", how="left")
    )
    counter.add(
        lines,
        pl.col("category").fill_null("(none)"),
        Measure("category", "category", "behaviour", "lines"),
    )
    seen = lines["product_id"].is_in(context.seen_products.implode())
    stratum = (
        pl.when(pl.col("sold").is_not_null())
        .then(pl.format("stratum {}", pl.col("sold")))
        .when(pl.col("seen"))
        .then(pl.lit("not lately"))
    )
    marked = lines.with_columns(seen.alias("seen"))
    counter.add(
        marked.filter(pl.col("seen")),
        stratum,
        Measure("popularity", "product_id", "behaviour", "lines"),
    )
    counter.add(
        marked,
        pl.when(pl.col("seen")).then(pl.lit("sold before")).otherwise(pl.lit("never sold before")),
        Measure("new products", "product_id", "behaviour", "lines"),
    )
    counter.add(
        lines,
        pl.col("place").fill_null("(none)"),
        Measure("place", "place", "behaviour", "lines"),
    )
    counter.add(lines, pl.col("hour"), Measure("hour of the day", "at", "behaviour", "lines"))
    baskets = (
        rows.drop_nulls("order_id")
        .group_by("order_id")
        .agg(pl.len().alias("n"), pl.col("group").first())
    )
    counter.add(
        baskets,
        binned(pl.col("n"), BASKET_EDGES),
        Measure("lines in an order", "order_id", "behaviour", "orders"),
    )


def _who(counter: Counter, rows: pl.DataFrame, visitors: pl.DataFrame, context: Context) -> None:
    active = (
        rows.drop_nulls("visitor_id")
        .group_by("visitor_id")
        .agg(pl.len().alias("n"), pl.col("group").first())
    )
    active = active.join(context.visitors, on="visitor_id", how="left").join(
        visitors.select("visitor_id", "attributes"), on="visitor_id", how="left"
    )
    seen = active["visitor_id"].is_in(context.seen_visitors.implode())
    stratum = (
        pl.when(~pl.col("seen"))
        .then(pl.lit("never seen before"))
        .when(pl.col("effort").is_null())
        .then(pl.lit("not lately"))
        .otherwise(pl.format("stratum {}", pl.col("effort")))
    )
    counter.add(
        active.with_columns(seen.alias("seen")),
        stratum,
        Measure("visitors", "visitor_id", "behaviour", "visitors"),
    )
    counter.add(
        active,
        binned(pl.col("n"), EFFORT_EDGES),
        Measure("lines by visitor", "visitor_id", "behaviour", "visitors"),
    )
    for name in attribute_names(visitors):
        value = pl.col("attributes").str.json_path_match(f"$.{name}")
        counter.add(
            active,
            value,
            Measure(f"visitors' {name}", "visitors.attributes", "behaviour", "visitors"),
        )


def attribute_names(visitors: pl.DataFrame, limit: int = 6) -> list[str]:
    """Return the commonest simple keys of the visitors' attributes, in order of name."""
    keys = visitors.select(pl.col("attributes").str.extract_all(r'"([A-Za-z_]+)":').alias("k"))
    counted = keys.explode("k").drop_nulls()["k"].str.strip_chars('":').value_counts(name="n")
    chosen = counted.sort(["n", "k"], descending=[True, False]).head(limit)["k"].to_list()
    return sorted(chosen)


def _text(counter: Counter, rows: pl.DataFrame, products: pl.DataFrame, context: Context) -> None:
    sold = rows.group_by("product_id", "group").agg(pl.len().alias("lines"))
    titles = sold.join(products.select("product_id", "title"), on="product_id")
    parts = []
    for name, pattern in SHAPES.items():
        count = pl.col("title").str.count_matches(pattern) * pl.col("lines")
        parts.append(titles.select("group", pl.lit(name).alias("shape"), count.alias("n")))
    shapes = pl.concat(parts).filter(pl.col("n") > 0)
    counter.add(
        shapes,
        pl.col("shape"),
        Measure("characters of titles", "title", "text", "characters"),
        weight=pl.col("n"),
    )
    words = (
        titles.select("group", "lines", tokens(pl.col("title")).alias("word"))
        .explode("word")
        .drop_nulls()
    )
    known = pl.col("word").is_in(list(context.words)) if context.words else pl.lit(False)
    counter.add(
        words,
        pl.when(known).then(pl.lit("known")).otherwise(pl.lit("unknown")),
        Measure("words of titles", "title", "text", "words"),
        weight=pl.col("lines"),
    )


def _hits(counter: Counter, rows: pl.DataFrame, slates: pl.DataFrame, measure: Measure) -> None:
    """Count visitors by the share of their purchases (at most ten) that a slate foresaw."""
    bought = rows.select("visitor_id", "product_id", "group").unique(["visitor_id", "product_id"])
    known = bought.join(slates.select("visitor_id").unique(), on="visitor_id", how="semi")
    hits = known.join(slates, on=["visitor_id", "product_id"], how="left")
    per = hits.group_by("visitor_id").agg(
        pl.col("group").min(), pl.col("rank").is_not_null().sum().alias("hits"), pl.len().alias("n")
    )
    share = pl.col("hits") / pl.min_horizontal(pl.col("n"), 10)
    counter.add(per, binned(share, HIT_EDGES), measure)


def _slates(counter: Counter, rows: pl.DataFrame, served: pl.DataFrame, context: Context) -> None:
    """Count what was shown: its hits, and how it spreads over head and tail of the catalogue."""
    name = "served slates' hits"
    _hits(counter, rows, served, Measure(name, "served quality", "quality", "visitors"))
    groups = rows.select("visitor_id", "group").unique("visitor_id", keep="first")
    shown = served.join(groups, on="visitor_id").join(context.products, on="product_id", how="left")
    stratum = pl.format("stratum {}", pl.col("sold")).fill_null("not lately")
    counter.add(
        shown, stratum, Measure("popularity of served slates", "slates", "quality", "impressions")
    )


def _clusters(
    counter: Counter, rows: pl.DataFrame, products: pl.DataFrame, clusters: pl.DataFrame
) -> None:
    """Count lines by the cluster of their product's text vector; a changed text has none."""
    sold = rows.select("product_id", "group").join(
        products.select("product_id", "title"), on="product_id"
    )
    found = sold.join(clusters, on=["product_id", "title"], how="left")
    counter.add(
        found,
        pl.col("cluster").cast(pl.String).fill_null("not encoded"),
        Measure("text vectors", "title", "text", "lines"),
    )


def as_json(profile: Profile) -> dict[str, Any]:
    """Return the week's shares by measure, for the history file."""
    shares = {}
    for name, histogram in profile.histograms.items():
        total = histogram.total
        whole = max(total.sum(), 1.0)
        shares[name] = {
            b: round(float(n / whole), 6) for b, n in zip(histogram.bins, total, strict=True)
        }
    return {
        "week": profile.week,
        "first_day": profile.first_day.isoformat(),
        "last_day": profile.last_day.isoformat(),
        "lines": profile.lines,
        "shares": shares,
    }
