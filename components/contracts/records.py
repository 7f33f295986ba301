"""The records that cross a boundary: products, events, queries, judgements, reviews.

Ids are opaque strings; times are aware and in UTC; money is an integer in minor units with an ISO
currency code; ranks start at 1; probabilities lie in [0, 1].
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Id = Annotated[str, Field(min_length=1, max_length=128)]
Minor = Annotated[
    int, Field(ge=0, le=10**12, description="money in minor units, for instance cents")
]


class Record(BaseModel):
    """Base of all records: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Variant(Record):
    """One buyable form of a product: a size, a colour, a source article."""

    variant_id: Id
    options: dict[str, str] = Field(default_factory=dict)
    price_minor: Minor
    list_price_minor: Minor | None = None
    stock: Annotated[int, Field(ge=0)] | None = None


class Product(Record):
    """A catalogue entry as shoppers see it: one family, shown once, with its variants."""

    product_id: Id
    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: str = ""
    brand: str | None = None
    category: tuple[str, ...] = ()
    type: str | None = None
    price_minor: Minor | None = None
    list_price_minor: Minor | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    attributes: dict[str, Any] = Field(default_factory=dict)
    rating: Annotated[float, Field(ge=0, le=5)] | None = None
    rating_count: Annotated[int, Field(ge=0)] = 0
    images: tuple[str, ...] = ()
    available: bool = True
    repeatable: bool = True
    variants: tuple[Variant, ...] = ()
    updated_at: AwareDatetime | None = None


class Query(Record):
    """What a visitor typed."""

    query_id: Id
    text: str
    locale: str = "en"


class Judgement(Record):
    """How well a product answers a query: 0 not at all to 3 exactly."""

    query_id: Id
    product_id: Id
    grade: Annotated[int, Field(ge=0, le=3)]


class Review(Record):
    """A visitor's words and stars on a product."""

    review_id: Id
    product_id: Id
    visitor_id: Id | None = None
    rating: Annotated[float, Field(ge=1, le=5)] | None = None
    text: str = ""
    at: AwareDatetime | None = None
    helpful_votes: Annotated[int, Field(ge=0)] = 0


class Impression(Record):
    """One product shown in a slate. `propensity`: the chance in (0, 1] of being there."""

    product_id: Id
    rank: Annotated[int, Field(ge=1)]
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None


class _EventBase(Record):
    event_id: Id
    at: AwareDatetime
    visitor_id: Id
    session_id: Id | None = None


class ProductChanged(_EventBase):
    """The catalogue changed: a new product, a price, a stock level, a withdrawal."""

    kind: Literal["product_changed"] = "product_changed"
    product: Product


class SearchMade(_EventBase):
    """A visitor searched."""

    kind: Literal["search"] = "search"
    query: Query
    slate_id: Id | None = None


class SlateShown(_EventBase):
    """A list of products was shown."""

    kind: Literal["slate_shown"] = "slate_shown"
    slate_id: Id
    surface: str
    query_id: Id | None = None
    model_version: str | None = None
    impressions: tuple[Impression, ...]


class _Interaction(_EventBase):
    product_id: Id
    variant_id: Id | None = None
    slate_id: Id | None = None


class Click(_Interaction):
    """A visitor opened a product."""

    kind: Literal["click"] = "click"


class BasketAdd(_Interaction):
    """A visitor put a product into the basket."""

    kind: Literal["basket_add"] = "basket_add"
    quantity: Annotated[int, Field(ge=1)] = 1


class BasketRemove(_Interaction):
    """A visitor took a product out of the basket."""

    kind: Literal["basket_remove"] = "basket_remove"


class Purchase(_Interaction):
    """A visitor bought a product; `price_minor` is what one unit cost."""

    kind: Literal["purchase"] = "purchase"
    quantity: Annotated[int, Field(ge=1)] = 1
    price_minor: Minor | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    order_id: Id | None = None


class Rating(_Interaction):
    """A visitor gave a product stars."""

    kind: Literal["rating"] = "rating"
    rating: Annotated[float, Field(ge=1, le=5)]


Event = Annotated[
    ProductChanged | SearchMade | SlateShown | Click | BasketAdd | BasketRemove | Purchase | Rating,
    Field(discriminator="kind"),
]
INTERACTION_KINDS = ("click", "basket_add", "basket_remove", "purchase", "rating")


class BasketLine(Record):
    """So many pieces of a product in a basket; no `variant_id` where there is one form."""

    product_id: Id
    variant_id: Id | None = None
    quantity: Annotated[int, Field(ge=1, le=9999)] = 1


class OrderLine(BasketLine):
    """What was ordered; `price_minor` is what one piece cost then."""

    price_minor: Minor | None = None


class Order(Record):
    """A placed order. `total_minor` is what was charged, offers included."""

    order_id: Id
    lines: tuple[OrderLine, ...]
    total_minor: Minor | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    status: str = "placed"
    at: AwareDatetime | None = None
