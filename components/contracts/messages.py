"""Requests and responses of the service: flat JSON, versioned by path, our words throughout."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.contracts.records import Id, Product


class Message(BaseModel):
    """Base of all messages: an unknown field is an error, so that a typo is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Filters(Message):
    """Hard constraints on products. A product matches if ONE variant meets all variant-level ones.

    Variant-level: price, options (colour, size), stock. `exclude` holds values that must not match.
    """

    category: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    price_min: Annotated[int, Field(ge=0)] | None = None
    price_max: Annotated[int, Field(ge=0)] | None = None
    currency: str | None = None
    min_rating: Annotated[float, Field(ge=0, le=5)] | None = None
    in_stock: bool | None = None
    promotion: bool | None = None
    attributes: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="product attribute or variant option to accepted values"
    )
    terms: tuple[str, ...] = Field(
        default=(), description="words that the product's text must hold"
    )
    exclude: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="brand | type | category | terms | any attribute to values that must not match",
    )


class Reason(Message):
    """Why a product is shown. `evidence` are ids of the events or products that carried it."""

    kind: str
    text: str
    evidence: tuple[str, ...] = ()
    counterfactual_rank: int | None = None


class ScoredProduct(Message):
    """One product of an answer, with what put it there."""

    product_id: Id
    title: str
    price_minor: int | None
    currency: str
    score: float
    rank: Annotated[int, Field(ge=1)]
    origin: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    variant_id: str | None = None
    list_price_minor: int | None = None
    brand: str | None = None
    category: tuple[str, ...] = ()
    available: bool = True
    sponsored: bool = Field(default=False, description="somebody paid for this place")
    sponsor: str | None = Field(default=None, description="who paid for it")
    offers: tuple[str, ...] = ()
    purchase_probability: float | None = None


class SponsoredPlace(Message):
    """A place that was paid for: what would have stood there, and what that costs the page."""

    rank: Annotated[int, Field(ge=1)]
    product_id: Id
    campaign_id: Id
    displaced_product_id: Id | None = None
    relevance: Annotated[float, Field(ge=0, le=1)]
    displaced_relevance: Annotated[float, Field(ge=0, le=1)]
    ndcg_cost: float = Field(description="NDCG of the page without this place minus with it")


class Answer(Message):
    """What every list response carries."""

    request_id: str
    slate_id: str
    model_version: str
    degraded: tuple[str, ...] = Field(
        default=(), description="which parts were missing; empty = all well"
    )
    products: tuple[ScoredProduct, ...]
    sponsored: tuple[SponsoredPlace, ...] = Field(
        default=(), description="the places of this page that were paid for; empty without sponsors"
    )


class SearchRequest(Message):
    """`POST /v1/search`."""

    query: Annotated[str, Field(max_length=1000)]
    visitor_id: Id | None = None
    session_id: Id | None = None
    filters: Filters | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: str | None = None
    sort: Literal["relevance", "price", "-price", "rating", "newest"] = "relevance"
    correct: bool = True


class Span(Message):
    """Which words of the query became which constraint."""

    start: int
    end: int
    text: str
    field: str
    value: Any


class Facet(Message):
    """Counts under the current filters."""

    field: str
    values: tuple[tuple[str, int], ...]


class Relaxation(Message):
    """One way out of an empty result: what to drop and how many products that brings."""

    drop: tuple[str, ...]
    hits: int


class SearchResponse(Answer):
    """What was understood, and the products."""

    query: str
    corrected_query: str | None = None
    understood: Filters = Filters()
    spans: tuple[Span, ...] = ()
    intent: str | None = None
    intent_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    category: str | None = None
    category_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    total: int = 0
    facets: tuple[Facet, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    relaxed: tuple[str, ...] = ()
    cursor: str | None = None


class RecentEvent(Message):
    """A short form of an interaction that the caller knows of and the service may not."""

    kind: Literal["click", "basket_add", "basket_remove", "purchase", "rating"]
    product_id: Id


class RecommendRequest(Message):
    """`POST /v1/recommend`."""

    visitor_id: Id | None = None
    recent: tuple[RecentEvent, ...] = ()
    surface: str = "home"
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    filters: Filters | None = None


class RecommendResponse(Answer):
    """A slate."""

    surface: str


class SimilarRequest(Message):
    """`POST /v1/similar`."""

    product_id: Id
    visitor_id: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class SuggestRequest(Message):
    """`POST /v1/suggest`."""

    prefix: Annotated[str, Field(max_length=200)]
    visitor_id: Id | None = None
    limit: Annotated[int, Field(ge=1, le=20)] = 8


class Suggestion(Message):
    """One completion, category or associated query."""

    text: str
    kind: Literal["query", "category", "brand", "product", "related"]


class SuggestResponse(Message):
    """Completions, best first."""

    suggestions: tuple[Suggestion, ...]


class EventsRequest(Message):
    """`POST /v1/events`: items are checked one by one; a bad one does not lose the others."""

    events: Annotated[tuple[dict[str, Any], ...], Field(max_length=1000)]


class RejectedEvent(Message):
    """An event that was not accepted, by its index in the request, and why."""

    index: int
    reason: str


class EventsResponse(Message):
    """Accepted means durable."""

    accepted: int
    duplicates: int
    rejected: tuple[RejectedEvent, ...] = ()


class ProductsRequest(Message):
    """`POST /v1/products`: new or changed products; searchable and rankable when this returns."""

    products: Annotated[tuple[Product, ...], Field(min_length=1, max_length=1000)]


class TurnRequest(Message):
    """`POST /v1/assistant/turn`."""

    session_id: Id
    visitor_id: Id
    message: Annotated[str, Field(max_length=20_000)] = ""
    request_id: Id | None = None
    confirm_id: str | None = None


class Claim(Message):
    """A fact in a reply and the record it comes from."""

    kind: Literal[
        "price",
        "stock",
        "attribute",
        "count",
        "rating",
        "total",
        "superlative",
        "offer",
        "title",
        "review",
    ]
    text: str
    source: str
    value: Any = None


class Confirmation(Message):
    """An action that waits for consent; `id` is bound to the exact arguments."""

    id: str
    summary: str
    total_minor: int | None = None
    currency: str | None = None


class ExecutedCommand(Message):
    """A typed command of this turn and what became of it."""

    type: str
    args: dict[str, Any] = Field(default_factory=dict)
    status: Literal["done", "pending", "refused", "failed"] = "done"
    origin: Literal["rules", "classifier", "llm"] = "rules"


class TurnResponse(Message):
    """`reply` is made from results only; `claims` lists each fact in it with its source."""

    request_id: str
    model_version: str
    reply: str
    commands: tuple[ExecutedCommand, ...] = ()
    products: tuple[ScoredProduct, ...] = ()
    relaxed: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    state: dict[str, Any] = Field(default_factory=dict)
    question: bool = False
    choices: tuple[str, ...] = ()
    confirmation: Confirmation | None = None
    slate_id: str | None = Field(
        default=None, description="names the products' list where places of it were paid for"
    )
    sponsored: tuple[SponsoredPlace, ...] = ()
    degraded: tuple[str, ...] = ()
    phrased_by: Literal["templates", "llm"] = Field(
        default="templates", description="whose words: a rephrasing is checked against the claims"
    )


class ToolRequest(Message):
    """`POST /v1/assistant/tools/{name}`: one command for one visitor."""

    session_id: Id
    visitor_id: Id
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolDescription(Message):
    """One tool: what it does, whether it changes the visitor's records, and its arguments."""

    name: str
    description: str
    mutates: bool
    arguments: dict[str, Any]


class ToolsResponse(Message):
    """`GET /v1/assistant/tools`."""

    tools: tuple[ToolDescription, ...]


class ProductsResponse(Message):
    """How many products were taken; each is searchable and rankable now."""

    request_id: str
    model_version: str
    accepted: int


class ExplainRequest(Message):
    """`POST /v1/explain`."""

    product_id: Id
    visitor_id: Id | None = None
    request_id: str | None = Field(
        default=None, description="the answer that showed the product; its slate is explained then"
    )


class ExplainResponse(Message):
    """Why a product stands where it stands for this visitor."""

    request_id: str
    model_version: str
    product_id: Id
    reasons: tuple[Reason, ...]
    degraded: tuple[str, ...] = ()


class RatingRequest(Message):
    """`POST /v1/ratings/predict`: with `text`, a review is read; without, it is foretold."""

    product_id: Id
    visitor_id: Id | None = None
    text: Annotated[str, Field(max_length=20_000)] | None = None


class RatingResponse(Message):
    """The expected stars in [1, 5] and what the expectation rests on."""

    request_id: str
    model_version: str
    product_id: Id
    rating: Annotated[float, Field(ge=1, le=5)]
    basis: str
    degraded: tuple[str, ...] = ()


class Offer(Message):
    """An offer in force that this visitor may use; `reason` says why it is shown."""

    promotion_id: Id
    title: str
    mechanics: dict[str, Any] = Field(default_factory=dict)
    product_ids: tuple[Id, ...] = ()
    ends_at: str | None = None
    targeted: bool = False
    reason: str | None = None
    redeem_probability: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="calibrated chance that this visitor uses it"
    )
    uplift: float | None = Field(
        default=None, description="chance of a use that habit alone would not have brought"
    )
    expected_saving_minor: float | None = Field(
        default=None, description="redeem_probability x what it takes off"
    )


class PromotionsResponse(Message):
    """`GET /v1/promotions`: the offers this visitor may use, best first."""

    request_id: str
    model_version: str
    promotions: tuple[Offer, ...]
    degraded: tuple[str, ...] = ()


class BasketSetRequest(Message):
    """`PUT /v1/visitors/{visitor_id}/basket`: it then holds exactly `quantity`; 0 removes."""

    product_id: Id
    variant_id: Id | None = None
    quantity: Annotated[int, Field(ge=0, le=9999)]
    slate_id: Id | None = None


class BasketItem(Message):
    """A line of the basket with what it costs now."""

    product_id: Id
    variant_id: str | None = None
    quantity: int
    title: str
    price_minor: int | None = None
    list_price_minor: int | None = None
    total_minor: int | None = None
    available: bool = True
    stock: int | None = None


class BasketDiscount(Message):
    """What an offer takes off the basket."""

    promotion_id: Id
    product_id: Id | None = Field(default=None, description="the line it takes it off")
    title: str
    amount_minor: Annotated[int, Field(ge=0)]


class BasketResponse(Message):
    """A visitor's basket; `total_minor` is what would be charged, offers included."""

    request_id: str
    visitor_id: Id
    items: tuple[BasketItem, ...]
    subtotal_minor: int = 0
    discounts: tuple[BasketDiscount, ...] = Field(
        default=(), description="offers on the basket, with what each takes off now"
    )
    usable: tuple[BasketDiscount, ...] = Field(
        default=(), description="offers of the visitor that would take more off, not on it yet"
    )
    usable_saving_minor: int = Field(default=0, description="what they would save on top")
    total_minor: int = 0
    currency: str = "USD"


class BasketOffersRequest(Message):
    """`PUT /v1/visitors/{visitor_id}/basket/offers`: exactly these are on it; none = all usable."""

    promotion_ids: Annotated[tuple[Id, ...], Field(max_length=500)] | None = None


class PreferenceRequest(Message):
    """`PUT /v1/visitors/{visitor_id}/preferences`: none as value forgets that preference."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    value: Annotated[str, Field(max_length=500)] | None = None


class VisitorResponse(Message):
    """`GET /v1/visitors/{visitor_id}`: everything the service keeps about a visitor."""

    request_id: str
    visitor_id: Id
    known_purchases: int = Field(
        default=0, description="interactions that the release's data hold; their titles: `habits`"
    )
    habits: tuple[str, ...] = ()
    events: tuple[dict[str, Any], ...] = ()
    basket: tuple[dict[str, Any], ...] = ()
    basket_offers: tuple[str, ...] = ()
    redemptions: tuple[dict[str, Any], ...] = ()
    wishlist: tuple[str, ...] = ()
    preferences: dict[str, str] = Field(default_factory=dict)
    orders: tuple[dict[str, Any], ...] = ()
    sessions: tuple[dict[str, Any], ...] = ()
    responses: tuple[dict[str, Any], ...] = ()


class VisitorsResponse(Message):
    """`GET /v1/visitors`: some of the visitors whom the release knows."""

    request_id: str
    visitors: tuple[str, ...]


class ForgetResponse(Message):
    """`DELETE /v1/visitors/{visitor_id}`: the receipt; `digest` stands for the id from now on."""

    request_id: str
    receipt_id: str
    digest: str
    at: str
    removed: dict[str, int]


class HealthResponse(Message):
    """`GET /healthz`: what serves, and what of it is missing."""

    status: Literal["ok", "degraded"]
    model_version: str
    products: int
    clock: str
    now: str
    degraded: tuple[str, ...] = ()


class OperationsResponse(Message):
    """`GET /v1/operations`: one glance at the shop's health; each part is empty if not yet made."""

    request_id: str
    status: Literal["ok", "attention", "broken"]
    advice: tuple[str, ...]
    model_version: str
    now: str = Field(default="", description="the shop's time")
    champion: dict[str, Any] = Field(default_factory=dict)
    challenger: dict[str, Any] = Field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    timings: dict[str, Any] = Field(default_factory=dict)
    validation: dict[str, Any] = Field(default_factory=dict)
    drift: dict[str, Any] = Field(default_factory=dict)
    figures: tuple[dict[str, Any], ...] = ()
    reports: tuple[str, ...] = ()
    traffic: dict[str, Any] = Field(default_factory=dict)
    weeks: tuple[dict[str, Any], ...] = ()
    runs: tuple[dict[str, Any], ...] = ()
    verdict: dict[str, Any] = Field(default_factory=dict)
    canary: dict[str, Any] = Field(default_factory=dict)
    prefect: dict[str, Any] = Field(default_factory=dict)


class Proposed(Message):
    """Visitors typed `term`, then `other`, and followed a product: two names of one thing?"""

    term: str
    other: str
    visitors: int


class SearchAnalyticsResponse(Message):
    """`GET /v1/operations/searches`: texts typed by fewer than `min_visitors` are never shown."""

    request_id: str
    min_visitors: int
    searches: int
    visitors: int
    hidden_queries: int
    null_result_rate: float
    click_through_rate: float
    top: tuple[tuple[str, int], ...] = ()
    empty: tuple[tuple[str, int], ...] = ()
    clicks_by_rank: tuple[tuple[int, int], ...] = ()
    rewordings: tuple[tuple[str, str, int], ...] = ()
    purchase_intent: dict[str, float] | None = Field(
        default=None,
        description="per text of `top` and `empty`, the chance that such a search ends in a "
        "purchase; null where the shop's log holds too few searches to learn it",
    )
    proposals: tuple[Proposed, ...] = ()
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class SynonymRequest(Message):
    """`PUT /v1/operations/synonyms`: whether searching for `term` shall find `other` too."""

    term: Annotated[str, Field(min_length=1, max_length=100)]
    other: Annotated[str, Field(min_length=1, max_length=100)]
    approved: bool


class SynonymsResponse(Message):
    """The approved synonyms, all of them."""

    request_id: str
    synonyms: dict[str, tuple[str, ...]]


class Problem(Message):
    """An error as RFC 9457 has it; `errors` names the fields that were wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    request_id: str | None = None
    errors: tuple[dict[str, Any], ...] = ()
