"""What a shop's commercial team writes down: sponsors' campaigns, and rules for lists of products.

Money is in minor units; times are aware and judged by the shop's clock; an empty tuple or None
means no restriction.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from components.contracts.launches import LaunchStatus
from components.contracts.messages import Filters, Message
from components.contracts.records import Id, Minor

Words = Annotated[str, Field(min_length=1, max_length=200)]


class Audience(Message):
    """Whom something concerns; all given conditions must hold, and none given means everybody."""

    visitor_ids: Annotated[tuple[Id, ...], Field(max_length=10_000)] = ()
    segments: tuple[str, ...] = Field(default=(), description="names or numbers of segments")
    known: bool | None = Field(
        default=None, description="true: only visitors with a history; false: only without one"
    )


class Campaign(Message):
    """A sponsor's wish to be seen: what it pays for a click at most, where, when, to whom."""

    campaign_id: Id
    name: Annotated[str, Field(min_length=1, max_length=200)]
    sponsor: Annotated[str, Field(max_length=200)] = ""
    product_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=500)]
    bid_minor: Annotated[int, Field(ge=1, le=10**6, description="most it pays for one click")]
    budget_minor: Minor = Field(description="most it pays in all")
    daily_budget_minor: Minor | None = Field(default=None, description="most it pays in a day")
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    surfaces: tuple[str, ...] = ()
    queries: tuple[Words, ...] = Field(
        default=(), description="a search must hold all words of one of them"
    )
    categories: tuple[str, ...] = Field(
        default=(), description="the page's first product lies in one of these categories"
    )
    audience: Audience = Audience()
    is_paused: bool = False

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must lie after starts_at")
        return self


class Placement(Message):
    """A sponsored place that was shown, with what it displaced and cost."""

    slate_id: Id
    campaign_id: Id
    product_id: Id
    rank: Annotated[int, Field(ge=1)]
    price_minor: Annotated[int, Field(ge=1, description="what a click on it costs the sponsor")]
    pctr: Annotated[float, Field(ge=0, le=1)]
    quality: Annotated[float, Field(gt=0, le=1)]
    relevance: Annotated[float, Field(ge=0, le=1)]
    displaced_product_id: Id | None = Field(
        default=None, description="what would have stood there; none beyond the list's end"
    )
    displaced_relevance: Annotated[float, Field(ge=0, le=1)] = 0.0
    ndcg_cost: float = Field(default=0.0, description="NDCG of the page without it minus with it")


class CampaignDay(Message):
    """What a campaign got and paid on one day of the shop's time."""

    day: str
    impressions: int = 0
    expected_clicks: float = 0.0
    clicks: int = 0
    unbilled_clicks: int = 0
    spent_minor: int = 0
    ndcg_cost: float = 0.0
    relevance_cost: float = 0.0


class CampaignReport(Message):
    """A campaign with its sums and days; `ctr` and `pctr` side by side show the calibration."""

    campaign: Campaign
    impressions: int = 0
    clicks: int = 0
    unbilled_clicks: int = Field(default=0, description="clicks after the budget was used up")
    spent_minor: int = 0
    left_minor: int = 0
    ctr: float | None = None
    pctr: float | None = None
    price_per_click_minor: float | None = None
    ndcg_cost: float = Field(default=0.0, description="mean per sponsored place")
    relevance_cost: float = Field(default=0.0, description="mean per sponsored place")
    days: tuple[CampaignDay, ...] = ()


class CampaignsResponse(Message):
    """`GET /v1/campaigns`."""

    request_id: str
    currency: str
    campaigns: tuple[CampaignReport, ...]


class ShopRule(Message):
    """A merchandiser's wish for lists of products.

    `pin` puts products on `rank` and the ranks after it, `bury` puts them last, `boost` multiplies
    their standing by `amount`, `exclude` removes them. Where two rules speak of one product on one
    list, the higher `priority` wins; between equals exclude wins over pin, bury and boost.
    """

    rule_id: Id
    name: Annotated[str, Field(max_length=200)] = ""
    kind: Literal["pin", "bury", "boost", "exclude"]
    product_ids: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    filters: Filters | None = Field(
        default=None, description="instead of ids: every product that meets these; not for a pin"
    )
    rank: Annotated[int, Field(ge=1, le=100)] = 1
    amount: Annotated[
        float, Field(gt=0, le=100, description="for a boost: above 1 lifts, below 1 lowers")
    ] = 2.0
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    surfaces: tuple[str, ...] = ()
    queries: tuple[Words, ...] = Field(
        default=(), description="for searches: the query must hold all words of one of them"
    )
    audience: Audience = Audience()
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    is_paused: bool = False

    @model_validator(mode="after")
    def _says_which_products(self) -> Self:
        if not self.product_ids and self.filters is None:
            raise ValueError("name product_ids or filters")
        if self.kind == "pin" and not self.product_ids:
            raise ValueError("a pin names its product_ids")
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError("ends_at must lie after starts_at")
        return self


class RulesResponse(Message):
    """`GET /v1/rules`: the rules kept, which of them hold now, and who changed them."""

    request_id: str
    rules: tuple[ShopRule, ...]
    holding: tuple[Id, ...] = ()
    audit: tuple[dict[str, object], ...] = ()


class PreviewRequest(Message):
    """`POST /v1/rules/preview`: what these drafts would change, with nothing stored.

    Drafts replace kept rules of the same id; `without` leaves kept rules out.
    """

    rules: Annotated[tuple[ShopRule, ...], Field(max_length=100)] = ()
    without: tuple[Id, ...] = ()
    queries: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    visitor_ids: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    limit: Annotated[int, Field(ge=1, le=50)] = 10


class PreviewedProduct(Message):
    """One product of a list before or after."""

    product_id: Id
    title: str


class PreviewedList(Message):
    """One list, before and after."""

    surface: str
    query: str | None = None
    visitor_id: str | None = None
    before: tuple[PreviewedProduct, ...]
    after: tuple[PreviewedProduct, ...]
    entered: tuple[Id, ...] = ()
    left: tuple[Id, ...] = ()
    moved: int = 0
    relevance_kept: float = Field(
        default=1.0, description="NDCG of the new order by the old order's gains, in [0, 1]"
    )


class PreviewResponse(Message):
    """What would change."""

    request_id: str
    lists: tuple[PreviewedList, ...]
    changed: int
    relevance_kept: float


class AllocateRequest(Message):
    """`POST /v1/promotions/allocate`: which offer to whom, under caps."""

    budget_minor: Minor | None = Field(
        default=None, description="most that the offers are expected to give away"
    )
    max_per_visitor: Annotated[int, Field(ge=1, le=20)] = 3
    max_per_offer: Annotated[int, Field(ge=1)] | None = None
    fatigue_days: Annotated[int, Field(ge=0, le=365)] = 28
    max_in_fatigue: Annotated[int, Field(ge=0, le=100)] = 6
    goal: Literal["uplift", "redemptions"] = "uplift"


class Allotment(Message):
    """One offer to one visitor."""

    visitor_id: Id
    promotion_id: Id
    redeem_probability: Annotated[float, Field(ge=0, le=1)]
    uplift: float
    expected_cost_minor: float


class AllocateResponse(Message):
    """The best allocation, and what it is expected to bring and cost."""

    request_id: str
    model_version: str
    status: str
    pairs_considered: int
    expected_redemptions: float
    expected_uplift: float
    expected_cost_minor: float
    optimality_gap: float
    allotments: tuple[Allotment, ...]


class Segment(Message):
    """A group of visitors who buy alike, and what sets it apart."""

    number: int
    name: str
    visitors: int
    share: float
    spend_minor_a_week: float = 0.0
    share_of_spend: float = 0.0
    trips_a_week: float = 0.0
    lines_a_trip: float = 0.0
    favourite_day: str = ""
    bought_reduced: float = 0.0
    price_sensitivity: float = Field(
        default=1.0, description="share bought reduced over everybody's; above 1: follows prices"
    )
    price_index: float = Field(default=1.0, description="price paid over the type's usual one")
    categories: tuple[dict[str, Any], ...] = ()
    people: tuple[dict[str, Any], ...] = ()
    offers: tuple[dict[str, Any], ...] = ()
    joined: int | None = Field(default=None, description="since four weeks before")
    left: int | None = None


class SegmentsResponse(Message):
    """`GET /v1/segments`."""

    request_id: str
    model_version: str
    segments: tuple[Segment, ...]


class SegmentMembersResponse(Message):
    """`GET /v1/segments/{number}/visitors`: the export of one segment."""

    request_id: str
    model_version: str
    number: int
    name: str
    visitors: tuple[Id, ...]


class Companion(Message):
    """A product that goes with another, or stands in for it."""

    product_id: Id
    title: str
    price_minor: Minor | None = None
    currency: str = "USD"
    lift: float
    brand: str | None = None
    category: tuple[str, ...] = ()


class GoesWithResponse(Message):
    """`GET /v1/products/{product_id}/goes-with`."""

    request_id: str
    model_version: str
    product_id: Id
    goes_with: tuple[Companion, ...] = ()
    instead_of: tuple[Companion, ...] = Field(default=(), description="what stands in for it")
    degraded: tuple[str, ...] = ()


class FillRequest(Message):
    """`POST /v1/basket/fill`: the best basket within a budget, for a visitor or an occasion."""

    visitor_id: Id | None = None
    budget_minor: Annotated[int, Field(ge=1, le=10**9)]
    occasion: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="words that the products have to do with, such as `pasta dinner`"
    )
    must: Annotated[tuple[Id, ...], Field(max_length=20)] = ()
    exclude: Annotated[tuple[Id, ...], Field(max_length=200)] = ()
    filters: Filters | None = None
    lines: Annotated[int, Field(ge=1, le=50)] = 10
    per_type: Annotated[int, Field(ge=1, le=10)] = 1


class FillResponse(Message):
    """The filled basket; empty with a reason when no basket keeps the rules."""

    request_id: str
    model_version: str
    products: tuple[Companion, ...] = ()
    cost_minor: int = 0
    budget_minor: int = 0
    is_optimal: bool = False
    considered: int = 0
    reason: str = ""


class LaunchesResponse(Message):
    """`GET /v1/launches`: what was started and how it goes, newest first."""

    request_id: str
    launches: tuple[LaunchStatus, ...]


class StopRequest(Message):
    """`POST /v1/launches/{plan_id}/stop`."""

    reason: Annotated[str, Field(max_length=500)] = ""


class FeedReview(Message):
    """What a shopper said about a product; its author is not named."""

    review_id: Id
    product_id: Id
    title: str
    price_minor: int | None = None
    currency: str
    category: tuple[str, ...] = ()
    rating: float | None = None
    text: str = Field(description="a person's words, without sentences that address the machinery")
    at: AwareDatetime | None = None
    helpful_votes: int = 0
    reason: str | None = Field(default=None, description="why this visitor sees it")


class FeedResponse(Message):
    """`GET /v1/feed`: reviews by consenting shoppers; empty where the shop has none."""

    request_id: str
    model_version: str
    reviews: tuple[FeedReview, ...] = ()
    degraded: tuple[str, ...] = ()
