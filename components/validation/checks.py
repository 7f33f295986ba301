"""Pure checks: what a row and a table must be like. Polars in, verdicts out; nothing is raised.

`row_verdicts` gives one boolean column per check; `structure` and the measures give numbers with
bounds. Who acts on them (quarantine, block, warn) is said by the severity; acting is the adapter's
work. No check knows a source: everything is said of canonical tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from components.contracts.tables import SPECS, TableSpec

Severity = Literal["block", "warn", "quarantine"]
Tables = Mapping[str, pl.DataFrame]

NUMERIC = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
MAX_ID_LENGTH = 128
MAX_TITLE_LENGTH = 500
MAX_QUANTITY = 1000
MAX_MINOR = 10**9
MAX_LIST_RATIO = 50
MAX_VISITOR_HOUR = 300
FUTURE_DAYS = 1
EARLIEST = pl.datetime(1995, 1, 1, time_zone="UTC")
DATED = ("events", "slates", "queries", "reviews", "redemptions")
INTERACTIONS = ("click", "basket_add", "basket_remove", "purchase", "rating")
# What text looks like when bytes of one encoding were read as another.
DAMAGE = (
    r"\x{FFFD}|Ã[\x{0080}-\x{00BF}]|Â[\x{0080}-\x{00BF}]|â€|[\x{0000}-\x{0008}\x{000E}-\x{001F}]"
)


@dataclass(frozen=True)
class Verdict:
    """One row-level check on one table: what it asks, and whether each row holds."""

    name: str
    about: str
    ok: pl.Series


@dataclass(frozen=True)
class Measure:
    """One table-level number with bounds; outside of them its severity acts.

    Attributes:
        name: short name, unique within its table.
        about: what it says, for a reader.
        value: observed; None if there was nothing to observe (the measure then passes).
        low: least allowed, inclusive; None for no bound.
        high: most allowed, inclusive; None for no bound.
        severity: `block` or `warn`.
        sample: a few rows or values that show it.
    """

    name: str
    about: str
    value: float | None
    low: float | None = None
    high: float | None = None
    severity: Severity = "block"
    sample: tuple[Any, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether the value lies within the bounds."""
        if self.value is None:
            return True
        too_low = self.low is not None and self.value < self.low
        too_high = self.high is not None and self.value > self.high
        return not (too_low or too_high)


def _family(dtype: pl.DataType) -> str:
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return "text"
    if dtype.is_integer():
        return "whole number"
    if dtype.is_float() or dtype.is_decimal():
        return "number"
    if dtype == pl.Boolean:
        return "true or false"
    if isinstance(dtype, pl.Datetime):
        return "time" if dtype.time_zone else "time without zone"
    return "nothing" if dtype == pl.Null else str(dtype)


_WANTED = {
    "str": ("text",),
    "json": ("text",),
    "i64": ("whole number",),
    "f64": ("number", "whole number"),
    "bool": ("true or false",),
    "time": ("time",),
}


def structure(name: str, frame: pl.DataFrame) -> list[Measure]:
    """Check columns and types. Any failure here blocks, since no other check could be trusted."""
    spec = SPECS[name]
    absent = [c for c, column in spec.columns.items() if c not in frame.columns and not column.null]
    extra = sorted(set(frame.columns) - set(spec.columns))
    wrong = []
    for column, wanted in spec.columns.items():
        if column not in frame.columns:
            continue
        got = _family(frame.schema[column])
        whole = got == "number" and wanted.type == "i64" and _is_whole(frame[column])
        if got != "nothing" and got not in _WANTED[wanted.type] and not whole:
            wrong.append(f"{column}: {got}, expected {_WANTED[wanted.type][0]}")
    return [
        Measure(
            "columns_present", "every column that must be filled is there",
            float(len(absent)), high=0, sample=tuple(absent),
        ),
        Measure(
            "column_types", "every column has the type of its specification",
            float(len(wrong)), high=0, sample=tuple(wrong),
        ),
        Measure(
            "no_unknown_columns", "no column that the specification does not know (it is left out)",
            float(len(extra)), high=0, severity="warn", sample=tuple(extra),
        ),
    ]  # fmt: skip


def _is_whole(column: pl.Series) -> bool:
    values = column.drop_nulls()
    return bool((values == values.round()).all())


def row_verdicts(name: str, frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    """Judge every row of one table.

    Args:
        name: canonical name.
        frame: the table, already of its specification's types.
        accepted: tables accepted before it, which it may refer to.
    Returns:
        Verdicts, each with a boolean for every row; an absent optional value passes.
    """
    spec = SPECS[name]
    verdicts = [*_filled(spec, frame), *_keys(spec, frame), *_references(spec, frame, accepted)]
    rules = ROW_RULES.get(name)
    if rules is not None:
        verdicts += rules(frame, accepted)
    if name in DATED and "products" in accepted:
        verdicts.append(_not_from_the_future(frame, accepted["products"]))
    return verdicts


def _not_from_the_future(frame: pl.DataFrame, products: pl.DataFrame) -> Verdict:
    """Find rows later than the catalogue they come with: what happened then is not known yet."""
    made = products["updated_at"].max()
    about = "nothing is later than the catalogue it comes with"
    if made is None:
        return Verdict("not_from_the_future", about, _yes(frame))
    limit = pl.lit(made) + pl.duration(days=FUTURE_DAYS)
    return _judge(frame, {("not_from_the_future", about): pl.col("at") <= limit})[0]


def _judge(frame: pl.DataFrame, rules: Mapping[tuple[str, str], pl.Expr]) -> list[Verdict]:
    """Evaluate expressions at once; null (nothing to judge) passes."""
    out = frame.select(
        expression.fill_null(True).alias(name) for (name, _), expression in rules.items()
    )
    return [Verdict(name, about, out[name]) for name, about in rules]


def _filled(spec: TableSpec, frame: pl.DataFrame) -> list[Verdict]:
    rules: dict[tuple[str, str], pl.Expr] = {}
    must = [n for n, c in spec.columns.items() if not c.null]
    rules[("filled", f"no empty value in {', '.join(must)}")] = pl.all_horizontal(
        pl.col(n).is_not_null() for n in must
    )
    ids = [n for n, c in spec.columns.items() if n.endswith("_id") and c.type == "str"]
    if ids:
        rules[("ids_well_formed", "ids are 1 to 128 characters without outer space or damage")] = (
            pl.all_horizontal(
                (
                    pl.col(n).str.len_chars().is_between(1, MAX_ID_LENGTH)
                    & (pl.col(n).str.strip_chars() == pl.col(n))
                    & ~pl.col(n).str.contains(r"\x{FFFD}|[\x{0000}-\x{001F}]")
                ).fill_null(True)
                for n in ids
            )
        )
    texts = [n for n, c in spec.columns.items() if c.type in ("str", "json") and n not in ids]
    if texts:
        rules[("text_undamaged", "no sign of a wrong encoding or of control characters")] = (
            pl.all_horizontal((~pl.col(n).str.contains(DAMAGE)).fill_null(True) for n in texts)
        )
    floats = [n for n, c in spec.columns.items() if c.type == "f64"]
    if floats:
        rules[("numbers_finite", "numbers are finite")] = pl.all_horizontal(
            pl.col(n).is_finite().fill_null(True) for n in floats
        )
    jsons = [n for n, c in spec.columns.items() if c.type == "json"]
    verdicts = _judge(frame, rules)
    if jsons:
        ok = pl.Series([True]).new_from_index(0, frame.height)
        for n in jsons:
            ok = ok & _is_json(frame[n])
        verdicts.append(Verdict("json_readable", f"{', '.join(jsons)} hold JSON", ok))
    return verdicts


def _is_json(column: pl.Series) -> pl.Series:
    """Parse each distinct value once."""
    import json

    def readable(text: str | None) -> bool:
        if text is None:
            return True
        try:
            return isinstance(json.loads(text), dict | list)
        except ValueError:
            return False

    distinct = column.unique()
    bad = [value for value in distinct if not readable(value)]
    return ~column.is_in(bad) if bad else pl.Series([True]).new_from_index(0, len(column))


def _keys(spec: TableSpec, frame: pl.DataFrame) -> list[Verdict]:
    """Keep the first of equal rows; of rows that share a key but differ, none can be trusted."""
    key = list(spec.key)
    yes = pl.Series([True]).new_from_index(0, frame.height)
    repeated = frame.select(pl.struct(key).is_duplicated()).to_series()
    first, unique = yes, yes
    if repeated.any():
        numbered = frame.with_row_index("row_number").filter(repeated)
        columns = [c for c in spec.columns if c in frame.columns]
        marked = numbered.with_columns(
            pl.struct(columns).n_unique().over(key).alias("versions"),
            pl.col("row_number").rank("ordinal").over(key).alias("copy"),
        )
        later = marked.filter((pl.col("versions") == 1) & (pl.col("copy") > 1))["row_number"]
        reused = marked.filter(pl.col("versions") > 1)["row_number"]
        index = pl.Series(range(frame.height), dtype=pl.UInt32)
        first = ~index.is_in(later.implode())
        unique = ~index.is_in(reused.implode())
    named = ", ".join(key)
    return [
        Verdict("not_a_copy", f"no second copy of a row with the same {named}", first),
        Verdict("key_not_reused", f"{named} is not used for different content", unique),
    ]


def _references(spec: TableSpec, frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    verdicts = []
    for column, target in spec.references.items():
        if target not in accepted or accepted[target].is_empty():
            continue
        known = accepted[target][SPECS[target].key[0]].unique()
        ok = frame.select(
            (pl.col(column).is_in(known.implode()) | pl.col(column).is_null()).alias("ok")
        )["ok"]
        verdicts.append(Verdict(f"{column}_known", f"{column} is one of the accepted {target}", ok))
    return verdicts


def _products(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    currency = _mode(frame["currency"])
    return _judge(
        frame,
        {
            ("title_readable", "the title has 1 to 500 characters and a letter or digit"): (
                pl.col("title").str.len_chars().is_between(1, MAX_TITLE_LENGTH)
                & pl.col("title").str.contains(r"\p{L}|\p{N}")
            ),
            ("category_given", "the category path is not blank"): (
                pl.col("category").str.strip_chars().str.len_chars() > 0
            ),
            ("price_positive", "the price is above zero and below ten million"): (
                pl.col("price_minor").is_between(1, MAX_MINOR)
            ),
            (
                "list_price_not_below",
                "the list price is not below the price, nor 50 times as high",
            ): (
                pl.col("list_price_minor").is_between(
                    pl.col("price_minor"), MAX_LIST_RATIO * pl.col("price_minor")
                )
            ),
            ("currency_code", "the currency is an ISO 4217 code"): (
                pl.col("currency").str.contains(r"^[A-Z]{3}$")
            ),
            ("one_currency", "the currency is the shop's"): pl.col("currency") == currency,
            ("rating_in_range", "mean stars lie between 0 and 5, counts are not negative"): (
                pl.col("rating").is_between(0, 5).fill_null(True) & (pl.col("rating_count") >= 0)
            ),
            ("times_plausible", "times lie after 1995, first sale not after the last update"): (
                (pl.col("updated_at") > EARLIEST).fill_null(True)
                & (pl.col("first_sold_at") > EARLIEST).fill_null(True)
                & (pl.col("first_sold_at") <= pl.col("updated_at")).fill_null(True)
            ),
        },
    )


def _variants(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame,
        {
            ("price_positive", "the price is above zero and below ten million"): (
                pl.col("price_minor").is_between(1, MAX_MINOR)
            ),
            (
                "list_price_not_below",
                "the list price is not below the price, nor 50 times as high",
            ): (
                pl.col("list_price_minor").is_between(
                    pl.col("price_minor"), MAX_LIST_RATIO * pl.col("price_minor")
                )
            ),
            ("stock_not_negative", "stock is not negative"): pl.col("stock") >= 0,
        },
    )


def _events(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    products = accepted["products"].select(
        "product_id",
        pl.col("currency").alias("_currency"),
        pl.col("first_sold_at").alias("_first"),
    )
    variants = accepted["variants"].select("variant_id", pl.col("product_id").alias("_owner"))
    joined = (
        frame.select(
            "product_id", "variant_id", "visitor_id", "session_id", "order_id", "at", "week",
            "kind", "quantity", "price_minor", "currency", "rating", "discount_minor",
        )
        .join(products, on="product_id", how="left", maintain_order="left")
        .join(variants, on="variant_id", how="left", maintain_order="left")
    )  # fmt: skip
    hourly = pl.len().over("visitor_id", pl.col("at").dt.truncate("1h"))
    rules = {
        ("kind_known", f"the kind is one of {', '.join(INTERACTIONS)}"): pl.col("kind").is_in(
            INTERACTIONS
        ),
        ("time_plausible", "the time lies after 1995"): pl.col("at") > EARLIEST,
        ("not_before_first_sale", "no purchase lies before the product's first sale"): (
            (pl.col("kind") != "purchase") | (pl.col("at") >= pl.col("_first"))
        ),
        ("quantity_plausible", f"the quantity lies between 1 and {MAX_QUANTITY}"): (
            pl.col("quantity").is_between(1, MAX_QUANTITY)
        ),
        ("price_plausible", "the price paid is not negative and below ten million"): (
            pl.col("price_minor").is_between(0, MAX_MINOR)
        ),
        ("discount_not_negative", "the discount is not negative"): pl.col("discount_minor") >= 0,
        ("currency_of_product", "the currency is the product's"): (
            pl.col("currency") == pl.col("_currency")
        ),
        ("variant_of_product", "the variant belongs to the product"): (
            pl.col("_owner") == pl.col("product_id")
        ),
        ("rating_given", "a rating event has 1 to 5 stars, and nothing else has stars"): (
            pl.when(pl.col("kind") == "rating")
            .then(pl.col("rating").is_between(1, 5).fill_null(False))
            .otherwise(pl.col("rating").is_null())
        ),
        ("week_agrees_with_time", "the shop week fits the time, whatever the time zone"): (
            _week_fits(frame)
        ),
        ("no_robot_burst", f"a visitor has at most {MAX_VISITOR_HOUR} events in an hour"): (
            hourly <= MAX_VISITOR_HOUR
        ),
    }
    verdicts = _judge(joined, rules)
    for column in ("session_id", "order_id"):
        shared = (
            joined.select(column, "visitor_id")
            .drop_nulls()
            .unique()
            .filter(pl.col(column).is_duplicated())[column]
            .unique()
        )
        ok = ~joined[column].is_in(shared.implode()) if len(shared) else _yes(frame)
        about = f"one {column} belongs to one visitor"
        verdicts.append(Verdict(f"{column}_of_one_visitor", about, ok.fill_null(True)))
    spread = (pl.col("at").max() - pl.col("at").min()).over("order_id")
    verdicts += _judge(
        joined,
        {
            ("order_within_a_day", "the lines of one order lie within a day of each other"): (
                pl.col("order_id").is_null() | (spread <= pl.duration(days=1))
            )
        },
    )
    verdicts.append(_not_repeated(joined))
    if "slates" in accepted and not accepted["slates"].is_empty():
        verdicts.append(_after_slate(frame, accepted["slates"]))
    return verdicts


def _yes(frame: pl.DataFrame) -> pl.Series:
    return pl.Series([True]).new_from_index(0, frame.height)


def _week_fits(frame: pl.DataFrame) -> pl.Expr:
    """Compare the week with the time moved 14 hours either way: no time zone lies further out."""
    monday = pl.datetime(1970, 1, 5, time_zone="UTC")

    def number(at: pl.Expr) -> pl.Expr:
        return (at - monday).dt.total_days().floordiv(7)

    offset = frame.select((pl.col("week") - number(pl.col("at"))).mode().first()).item()
    offset = 0 if offset is None else offset
    early = number(pl.col("at") - pl.duration(hours=14)) + offset
    late = number(pl.col("at") + pl.duration(hours=14)) + offset
    return pl.col("week").is_between(early, late)


def _not_repeated(events: pl.DataFrame) -> Verdict:
    """Find the same line under another id, as a batch that was delivered twice leaves it."""
    what = ["visitor_id", "product_id", "variant_id", "at", "kind", "order_id", "session_id"]
    repeated = events.select(pl.struct(what).is_duplicated()).to_series()
    ok = _yes(events)
    if repeated.any():
        first = events.select(pl.struct(what).is_first_distinct()).to_series()
        ok = first | ~repeated
    return Verdict("not_delivered_twice", "the same line does not come again under another id", ok)


def _after_slate(frame: pl.DataFrame, slates: pl.DataFrame) -> Verdict:
    shown = slates.select("slate_id", pl.col("at").alias("_shown"))
    joined = frame.select("slate_id", "at").join(
        shown, on="slate_id", how="left", maintain_order="left"
    )
    ok = joined.select(
        pl.when(pl.col("slate_id").is_null())
        .then(True)
        .otherwise((pl.col("at") >= pl.col("_shown")).fill_null(False))
        .alias("ok")
    )["ok"]
    return Verdict("after_its_slate", "an interaction follows a slate that is known", ok)


def _impressions(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame,
        {
            ("rank_from_one", "ranks start at 1"): pl.col("rank").is_between(1, 1000),
            ("propensity_in_range", "the propensity lies in (0, 1]"): (
                (pl.col("propensity") > 0) & (pl.col("propensity") <= 1)
            ),
        },
    )


def _slates(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(frame, {("time_plausible", "the time lies after 1995"): pl.col("at") > EARLIEST})


def _queries(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame,
        {
            ("text_given", "the query has 1 to 1000 characters"): (
                pl.col("text").str.strip_chars().str.len_chars().is_between(1, 1000)
            ),
            ("locale_well_formed", "the locale looks like en or en-GB"): (
                pl.col("locale").str.contains(r"^[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")
            ),
        },
    )


def _judgements(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame, {("grade_in_range", "grades are 0 to 3"): pl.col("grade").is_between(0, 3)}
    )


def _reviews(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame,
        {
            ("rating_in_range", "1 to 5 stars"): pl.col("rating").is_between(1, 5),
            ("votes_not_negative", "helpful votes are not negative"): pl.col("helpful_votes") >= 0,
            ("time_plausible", "the time lies after 1995"): pl.col("at") > EARLIEST,
        },
    )


def _promotions(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    kind = pl.col("mechanics").str.json_path_match("$.kind")
    value = pl.col("mechanics").str.json_path_match("$.value").cast(pl.Float64, strict=False)
    return _judge(
        frame,
        {
            ("starts_before_end", "an offer ends after it starts"): (
                pl.col("starts_at") < pl.col("ends_at")
            ),
            ("mechanics_sensible", "a percentage lies in (0, 100], an amount is above zero"): (
                pl.when(kind == "percent").then((value > 0) & (value <= 100)).otherwise(value > 0)
            ),
        },
    )


def _redemptions(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    if "promotions" not in accepted:
        return []
    offers = accepted["promotions"].select("promotion_id", "campaign_id", "starts_at", "ends_at")
    joined = frame.join(offers, on="promotion_id", how="left", maintain_order="left")
    day = pl.duration(days=1)
    verdicts = _judge(
        joined,
        {
            ("within_the_offer", "an offer is redeemed while it runs"): pl.col("at").is_between(
                pl.col("starts_at") - day, pl.col("ends_at") + day
            )
        },
    )
    again = (
        frame.with_row_index("row_number")
        .sort("visitor_id", "promotion_id", "at")
        .with_columns(
            (pl.col("at").diff().over("visitor_id", "promotion_id") > pl.duration(hours=1))
            .fill_null(True)
            .alias("ok")
        )
        .sort("row_number")["ok"]
    )
    verdicts.append(
        Verdict("not_redeemed_again", "an offer is not redeemed twice within an hour", again)
    )
    audience = accepted.get("promotion_audience")
    if audience is not None and not audience.is_empty():
        got = audience.select("campaign_id", "visitor_id", pl.lit(True).alias("_got"))
        had = joined.join(got, on=["campaign_id", "visitor_id"], how="left", maintain_order="left")
        targeted = accepted["promotions"].filter(pl.col("targeted"))["promotion_id"]
        ok = had["_got"].fill_null(False) | ~had["promotion_id"].is_in(targeted.implode())
        verdicts.append(Verdict("offer_received", "only who received an offer redeems it", ok))
    return verdicts


def _exposures(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    shares = [pl.col(f"{name}_share").is_between(0, 1) for name in ("display", "mailer", "front")]
    return _judge(
        frame,
        {
            ("shares_in_range", "shares of stores lie in [0, 1]"): pl.all_horizontal(shares),
            ("front_is_part", "the front share is part of display and mailer"): (
                pl.col("front_share") <= pl.col("display_share") + pl.col("mailer_share") + 1e-6
            ),
            ("week_from_one", "weeks start at 1"): pl.col("week").is_between(1, 5000),
        },
    )


def _relations(frame: pl.DataFrame, accepted: Tables) -> list[Verdict]:
    return _judge(
        frame,
        {
            ("not_to_oneself", "nobody is related to herself"): (
                pl.col("visitor_id") != pl.col("other_id")
            ),
            ("weight_positive", "the weight is above zero"): pl.col("weight") > 0,
        },
    )


ROW_RULES: dict[str, Callable[[pl.DataFrame, Tables], list[Verdict]]] = {
    "products": _products,
    "variants": _variants,
    "events": _events,
    "slates": _slates,
    "impressions": _impressions,
    "queries": _queries,
    "judgements": _judgements,
    "reviews": _reviews,
    "promotions": _promotions,
    "redemptions": _redemptions,
    "exposures": _exposures,
    "relations": _relations,
}


def _mode(column: pl.Series) -> Any:
    modes = column.drop_nulls().mode().sort()
    return modes[0] if len(modes) else None
