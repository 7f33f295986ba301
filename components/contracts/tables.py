"""The canonical tables: one `TableSpec` each. Everything after ingest reads only these.

Column types are named, not imported, so that this module needs no data library:
`str`, `i64`, `f64`, `bool`, `time` (microseconds, UTC), `json` (a string holding JSON).
"""

from typing import Literal

from pydantic import Field

from components.contracts.records import Record

ColumnType = Literal["str", "i64", "f64", "bool", "time", "json"]


class Column(Record):
    """One column: its type, whether it may be null, its unit and what it means."""

    type: ColumnType
    null: bool = False
    unit: str | None = None
    about: str = ""


class TableSpec(Record):
    """A table's columns in order, its key, its row order, and the version of this description."""

    name: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    columns: dict[str, Column]
    references: dict[str, str] = Field(default_factory=dict)
    version: int = 1


def _c(
    type_: ColumnType, about: str = "", *, null: bool = False, unit: str | None = None
) -> Column:
    return Column(type=type_, null=null, unit=unit, about=about)


def _spec(
    name: str,
    key: str,
    order: str,
    columns: dict[str, Column],
    references: dict[str, str] | None = None,
) -> TableSpec:
    return TableSpec(
        name=name,
        key=tuple(key.split()),
        order=tuple(order.split()),
        columns=columns,
        references=references or {},
    )


PRODUCTS = _spec(
    "products",
    "product_id",
    "product_id",
    {
        "product_id": _c("str", "the family shown to shoppers"),
        "title": _c("str", "what a shopper reads"),
        "description": _c("str"),
        "brand": _c("str", null=True),
        "category": _c("str", "path from wide to narrow, joined by ' > '"),
        "type": _c("str", "what kind of thing it is", null=True),
        "price_minor": _c(
            "i64", "price charged now for the cheapest variant", null=True, unit="minor currency"
        ),
        "list_price_minor": _c("i64", null=True, unit="minor currency"),
        "currency": _c("str", "ISO 4217"),
        "attributes": _c("json", "name to value; what a shopper can filter by"),
        "rating": _c("f64", "mean stars", null=True, unit="stars 1-5"),
        "rating_count": _c("i64"),
        "images": _c("json", "list of paths"),
        "available": _c("bool"),
        "repeatable": _c("bool", "may sensibly be bought again"),
        "first_sold_at": _c("time", "first sale in the data", null=True),
        "updated_at": _c("time", null=True),
    },
)
VARIANTS = _spec(
    "variants",
    "variant_id",
    "product_id variant_id",
    {
        "variant_id": _c("str", "the source's own article id"),
        "product_id": _c("str"),
        "options": _c("json", "what sets this variant apart"),
        "price_minor": _c("i64", unit="minor currency"),
        "list_price_minor": _c("i64", null=True, unit="minor currency"),
        "stock": _c("i64", "synthetic where the source has none", null=True, unit="pieces"),
    },
    {"product_id": "products"},
)
EVENTS = _spec(
    "events",
    "event_id",
    "at event_id",
    {
        "event_id": _c("str"),
        "at": _c("time"),
        "week": _c("i64", "shop week from 1, in the shop's own time zone", unit="weeks"),
        "visitor_id": _c("str"),
        "session_id": _c("str", null=True),
        "kind": _c("str", "click | basket_add | basket_remove | purchase | rating"),
        "product_id": _c("str"),
        "variant_id": _c("str", null=True),
        "quantity": _c("i64", null=True, unit="pieces"),
        "price_minor": _c("i64", "paid for one piece", null=True, unit="minor currency"),
        "currency": _c("str", null=True),
        "order_id": _c("str", null=True),
        "slate_id": _c("str", null=True),
        "query_id": _c("str", null=True),
        "rating": _c("f64", null=True, unit="stars 1-5"),
        "discount_minor": _c(
            "i64", "given by offers and coupons on the line", null=True, unit="minor currency"
        ),
        "place": _c("str", "store or device", null=True),
    },
    {"product_id": "products", "visitor_id": "visitors"},
)
VISITORS = _spec(
    "visitors",
    "visitor_id",
    "visitor_id",
    {
        "visitor_id": _c("str"),
        "attributes": _c("json", "what the visitor or the shop stated"),
        "consent": _c("bool", "may be used for personal ranking"),
    },
)
SLATES = _spec(
    "slates",
    "slate_id",
    "at slate_id",
    {
        "slate_id": _c("str"),
        "at": _c("time"),
        "visitor_id": _c("str"),
        "session_id": _c("str", null=True),
        "surface": _c("str"),
        "query_id": _c("str", null=True),
        "model_version": _c("str", null=True),
    },
    {"visitor_id": "visitors"},
)
IMPRESSIONS = _spec(
    "impressions",
    "slate_id rank",
    "slate_id rank",
    {
        "slate_id": _c("str"),
        "product_id": _c("str"),
        "rank": _c("i64", "from 1"),
        "propensity": _c("f64", "chance of being shown there, in (0, 1]", null=True),
    },
    {"slate_id": "slates", "product_id": "products"},
)
QUERIES = _spec(
    "queries",
    "query_id",
    "query_id",
    {
        "query_id": _c("str"),
        "text": _c("str"),
        "locale": _c("str"),
        "at": _c("time", null=True),
        "visitor_id": _c("str", null=True),
    },
)
JUDGEMENTS = _spec(
    "judgements",
    "query_id product_id",
    "query_id product_id",
    {
        "query_id": _c("str"),
        "product_id": _c("str"),
        "grade": _c("i64", "0 not at all to 3 exactly"),
    },
    {"query_id": "queries", "product_id": "products"},
)
REVIEWS = _spec(
    "reviews",
    "review_id",
    "review_id",
    {
        "review_id": _c("str"),
        "product_id": _c("str"),
        "visitor_id": _c("str", null=True),
        "rating": _c("f64", null=True, unit="stars 1-5"),
        "text": _c("str"),
        "at": _c("time", null=True),
        "helpful_votes": _c("i64"),
    },
    {"product_id": "products"},
)
PROMOTIONS = _spec(
    "promotions",
    "promotion_id",
    "promotion_id",
    {
        "promotion_id": _c("str"),
        "title": _c("str"),
        "campaign_id": _c("str", null=True),
        "campaign_type": _c("str", null=True),
        "mechanics": _c("json", "what it gives: {'kind': 'percent' | 'amount', 'value': n, ...}"),
        "starts_at": _c("time"),
        "ends_at": _c("time"),
        "targeted": _c("bool", "true: only the visitors in promotion_audience"),
    },
)
PROMOTION_PRODUCTS = _spec(
    "promotion_products",
    "promotion_id product_id",
    "promotion_id product_id",
    {"promotion_id": _c("str"), "product_id": _c("str")},
    {"promotion_id": "promotions", "product_id": "products"},
)
PROMOTION_AUDIENCE = _spec(
    "promotion_audience",
    "campaign_id visitor_id",
    "campaign_id visitor_id",
    {"campaign_id": _c("str"), "visitor_id": _c("str")},
    {"visitor_id": "visitors"},
)
REDEMPTIONS = _spec(
    "redemptions",
    "visitor_id promotion_id at",
    "at visitor_id promotion_id",
    {"visitor_id": _c("str"), "promotion_id": _c("str"), "at": _c("time")},
    {"promotion_id": "promotions", "visitor_id": "visitors"},
)
EXPOSURES = _spec(
    "exposures",
    "product_id week",
    "week product_id",
    {
        "product_id": _c("str"),
        "week": _c("i64", unit="weeks"),
        "display_share": _c("f64", "share of stores that displayed it, in [0, 1]"),
        "mailer_share": _c("f64", "share of stores whose mailer named it, in [0, 1]"),
        "front_share": _c(
            "f64", "share of stores that gave it a front-page mailer or store-front display"
        ),
    },
    {"product_id": "products"},
)
RELATIONS = _spec(
    "relations",
    "visitor_id other_id kind",
    "visitor_id other_id kind",
    {
        "visitor_id": _c("str"),
        "other_id": _c("str", "visitor or group"),
        "kind": _c("str", "friend | group | household | follows"),
        "weight": _c("f64"),
    },
)

SPECS: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        PRODUCTS, VARIANTS, EVENTS, VISITORS, SLATES, IMPRESSIONS, QUERIES, JUDGEMENTS, REVIEWS,
        PROMOTIONS, PROMOTION_PRODUCTS, PROMOTION_AUDIENCE, REDEMPTIONS, EXPOSURES, RELATIONS,
    )
}  # fmt: skip
REQUIRED_TABLES = ("products", "variants", "events", "visitors")
