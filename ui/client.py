"""The service over HTTP, typed both ways by the messages of the contracts.

Everything the UI knows comes through here. A problem of the service becomes a `ServiceError` with
its detail; so does a service that is not there.
"""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from components.contracts.errors import ServiceError, UnknownProductError
from components.contracts.launches import LaunchPlan, LaunchRequest, LaunchStatus
from components.contracts.merchandise import (
    AllocateRequest,
    AllocateResponse,
    Campaign,
    CampaignReport,
    CampaignsResponse,
    FeedResponse,
    GoesWithResponse,
    LaunchesResponse,
    PreviewRequest,
    PreviewResponse,
    RulesResponse,
    SegmentMembersResponse,
    SegmentsResponse,
    ShopRule,
    StopRequest,
)
from components.contracts.messages import (
    BasketOffersRequest,
    BasketResponse,
    BasketSetRequest,
    EventsRequest,
    EventsResponse,
    ExplainRequest,
    ExplainResponse,
    ForgetResponse,
    OperationsResponse,
    PreferenceRequest,
    ProductsRequest,
    ProductsResponse,
    PromotionsResponse,
    RatingRequest,
    RatingResponse,
    RecommendRequest,
    RecommendResponse,
    SearchAnalyticsResponse,
    SearchRequest,
    SearchResponse,
    SimilarRequest,
    SuggestRequest,
    SuggestResponse,
    SynonymRequest,
    SynonymsResponse,
    TurnRequest,
    TurnResponse,
    VisitorResponse,
)
from components.contracts.records import Product

M = TypeVar("M", bound=BaseModel)


def service_url() -> str:
    """Return where the service listens: SHELFWISE_API_URL, or this machine's SHELFWISE_API_PORT."""
    port = os.environ.get("SHELFWISE_API_PORT", "3000")
    return os.environ.get("SHELFWISE_API_URL", f"http://127.0.0.1:{port}").rstrip("/")


class Client:
    """A typed client; safe to share between threads."""

    def __init__(
        self, url: str | None = None, *, key: str | None = None, timeout_seconds: float = 30.0
    ) -> None:
        """Remember where the service is; nothing is sent.

        Args:
            url: the service's address; `service_url()` if not given.
            key: an API key; SHELFWISE_KEY if not given.
            timeout_seconds: how long to wait for an answer.
        """
        key = key or os.environ.get("SHELFWISE_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = url or service_url()
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout_seconds, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        timeout_seconds: float | None = None,
        **params: Any,
    ) -> httpx.Response:
        content = None if body is None else body.model_dump_json(exclude_none=True)
        headers = {"Content-Type": "application/json"} if content is not None else None
        given = {name: value for name, value in params.items() if value is not None}
        try:
            response = self._http.request(
                method,
                path,
                content=content,
                headers=headers,
                params=given,
                timeout=timeout_seconds or self._http.timeout,
            )
        except httpx.TimeoutException as error:
            raise ServiceError(f"{self.url}: no answer in time.") from error
        except httpx.HTTPError as error:
            raise ServiceError(f"{self.url}: cannot be reached; is the service up?") from error
        if response.is_success:
            return response
        detail = _detail(response)
        if response.status_code == 404 and path.startswith("/v1/products"):
            raise UnknownProductError(detail)
        raise ServiceError(detail)

    def _ask(
        self, kind: type[M], method: str, path: str, body: BaseModel | None = None, **params: Any
    ) -> M:
        response = self._send(method, path, body, **params)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise ServiceError(
                f"{self.url}{path}: the answer has another form ({error.error_count()} problems)."
            ) from error

    def search(self, request: SearchRequest) -> SearchResponse:
        """POST /v1/search."""
        return self._ask(SearchResponse, "POST", "/v1/search", request)

    def suggest(self, request: SuggestRequest) -> SuggestResponse:
        """POST /v1/suggest."""
        return self._ask(SuggestResponse, "POST", "/v1/suggest", request)

    def recommend(self, request: RecommendRequest) -> RecommendResponse:
        """POST /v1/recommend."""
        return self._ask(RecommendResponse, "POST", "/v1/recommend", request)

    def similar(self, request: SimilarRequest) -> RecommendResponse:
        """POST /v1/similar."""
        return self._ask(RecommendResponse, "POST", "/v1/similar", request)

    def explain(self, request: ExplainRequest) -> ExplainResponse:
        """POST /v1/explain."""
        return self._ask(ExplainResponse, "POST", "/v1/explain", request)

    def rating(self, request: RatingRequest) -> RatingResponse:
        """POST /v1/ratings/predict."""
        return self._ask(RatingResponse, "POST", "/v1/ratings/predict", request)

    def events(self, request: EventsRequest) -> EventsResponse:
        """POST /v1/events."""
        return self._ask(EventsResponse, "POST", "/v1/events", request)

    def put_products(self, request: ProductsRequest) -> ProductsResponse:
        """POST /v1/products."""
        return self._ask(ProductsResponse, "POST", "/v1/products", request)

    def product(self, product_id: str) -> Product:
        """GET /v1/products/{id}.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        response = self._send("GET", f"/v1/products/{quote(product_id, safe='')}")
        return Product.model_validate_json(response.content)

    def promotions(self, visitor_id: str | None = None, *, limit: int = 20) -> PromotionsResponse:
        """GET /v1/promotions."""
        return self._ask(
            PromotionsResponse, "GET", "/v1/promotions", visitor_id=visitor_id, limit=limit
        )

    def turn(self, request: TurnRequest) -> TurnResponse:
        """POST /v1/assistant/turn."""
        return self._ask(TurnResponse, "POST", "/v1/assistant/turn", request)

    def turn_stream(self, request: TurnRequest) -> Iterator[str | TurnResponse]:
        """POST /v1/assistant/turn/stream: pieces of the reply, then the whole answer.

        Raises:
            ServiceError: the service is not there, or could not answer.
        """
        kind = ""
        try:
            with self._http.stream(
                "POST",
                "/v1/assistant/turn/stream",
                content=request.model_dump_json(exclude_none=True),
                headers={"Content-Type": "application/json"},
            ) as response:
                if not response.is_success:
                    response.read()
                    raise ServiceError(_detail(response))
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        kind = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        data = json.loads(line.removeprefix("data: "))
                        if kind == "words":
                            yield str(data["text"])
                        elif kind == "turn":
                            yield TurnResponse.model_validate(data)
                        elif kind == "problem":
                            raise ServiceError(str(data["detail"]))
        except httpx.HTTPError as error:
            raise ServiceError(f"{self.url}: cannot be reached; is the service up?") from error

    def basket(self, visitor_id: str) -> BasketResponse:
        """GET the basket."""
        return self._ask(BasketResponse, "GET", f"{_visitor(visitor_id)}/basket")

    def basket_set(self, visitor_id: str, request: BasketSetRequest) -> BasketResponse:
        """PUT one line of the basket."""
        return self._ask(BasketResponse, "PUT", f"{_visitor(visitor_id)}/basket", request)

    def basket_offers(
        self, visitor_id: str, promotion_ids: Sequence[str] | None = None
    ) -> BasketResponse:
        """PUT the offers on the basket; none named = the best choice of all."""
        chosen = None if promotion_ids is None else tuple(promotion_ids)
        body = BasketOffersRequest(promotion_ids=chosen)
        return self._ask(BasketResponse, "PUT", f"{_visitor(visitor_id)}/basket/offers", body)

    def visitor(self, visitor_id: str) -> VisitorResponse:
        """GET everything kept about a visitor."""
        return self._ask(VisitorResponse, "GET", _visitor(visitor_id))

    def forget(self, visitor_id: str) -> ForgetResponse:
        """DELETE a visitor; the answer is the receipt."""
        return self._ask(ForgetResponse, "DELETE", _visitor(visitor_id))

    def preference(self, visitor_id: str, name: str, value: str | None) -> dict[str, str]:
        """PUT a preference; none drops it. Answers with all of them."""
        body = PreferenceRequest(name=name, value=value)
        return self._send("PUT", f"{_visitor(visitor_id)}/preferences", body).json()

    def visitors(self, *, limit: int = 8) -> list[str]:
        """GET ids of visitors that the release knows."""
        return self._send("GET", "/v1/visitors", limit=limit).json()["visitors"]

    def campaigns(self) -> CampaignsResponse:
        """GET /v1/campaigns."""
        return self._ask(CampaignsResponse, "GET", "/v1/campaigns")

    def campaign_put(self, campaign: Campaign) -> CampaignReport:
        """PUT /v1/campaigns/{id}."""
        path = f"/v1/campaigns/{quote(campaign.campaign_id, safe='')}"
        return self._ask(CampaignReport, "PUT", path, campaign)

    def campaign_remove(self, campaign_id: str) -> None:
        """DELETE /v1/campaigns/{id}."""
        self._send("DELETE", f"/v1/campaigns/{quote(campaign_id, safe='')}")

    def rules(self) -> RulesResponse:
        """GET /v1/rules."""
        return self._ask(RulesResponse, "GET", "/v1/rules")

    def rule_put(self, rule: ShopRule) -> ShopRule:
        """PUT /v1/rules/{id}."""
        return self._ask(ShopRule, "PUT", f"/v1/rules/{quote(rule.rule_id, safe='')}", rule)

    def rule_remove(self, rule_id: str) -> None:
        """DELETE /v1/rules/{id}."""
        self._send("DELETE", f"/v1/rules/{quote(rule_id, safe='')}")

    def preview(self, request: PreviewRequest) -> PreviewResponse:
        """POST /v1/rules/preview."""
        return self._ask(PreviewResponse, "POST", "/v1/rules/preview", request)

    def segments(self) -> SegmentsResponse:
        """GET /v1/segments."""
        return self._ask(SegmentsResponse, "GET", "/v1/segments")

    def allocate(self, request: AllocateRequest) -> AllocateResponse:
        """POST /v1/promotions/allocate. Scoring every visitor takes its time."""
        return self._ask(
            AllocateResponse, "POST", "/v1/promotions/allocate", request, timeout_seconds=300.0
        )

    def goes_with(self, product_id: str, *, limit: int = 4) -> GoesWithResponse:
        """GET /v1/products/{id}/goes-with."""
        path = f"/v1/products/{quote(product_id, safe='')}/goes-with"
        return self._ask(GoesWithResponse, "GET", path, limit=limit)

    def feed(self, visitor_id: str, *, limit: int = 6) -> FeedResponse:
        """GET /v1/feed."""
        return self._ask(FeedResponse, "GET", "/v1/feed", visitor_id=visitor_id, limit=limit)

    def members(self, number: int) -> SegmentMembersResponse:
        """GET /v1/segments/{n}/visitors."""
        return self._ask(SegmentMembersResponse, "GET", f"/v1/segments/{number}/visitors")

    def launches(self) -> LaunchesResponse:
        """GET /v1/launches."""
        return self._ask(LaunchesResponse, "GET", "/v1/launches")

    def launch_plan(self, request: LaunchRequest) -> LaunchPlan:
        """POST /v1/launches/plan."""
        return self._ask(LaunchPlan, "POST", "/v1/launches/plan", request)

    def launch_start(self, plan: LaunchPlan) -> LaunchStatus:
        """POST /v1/launches."""
        return self._ask(LaunchStatus, "POST", "/v1/launches", plan)

    def launch_stop(self, plan_id: str, reason: str = "") -> LaunchStatus:
        """POST /v1/launches/{id}/stop."""
        path = f"/v1/launches/{quote(plan_id, safe='')}/stop"
        return self._ask(LaunchStatus, "POST", path, StopRequest(reason=reason))

    def now(self) -> str:
        """Return the shop's time, as operations tell it."""
        return self.operations().now

    def operations(self) -> OperationsResponse:
        """GET /v1/operations."""
        return self._ask(OperationsResponse, "GET", "/v1/operations")

    def searches(self) -> SearchAnalyticsResponse:
        """GET /v1/operations/searches."""
        return self._ask(SearchAnalyticsResponse, "GET", "/v1/operations/searches")

    def decide_synonym(self, request: SynonymRequest) -> SynonymsResponse:
        """PUT /v1/operations/synonyms."""
        return self._ask(SynonymsResponse, "PUT", "/v1/operations/synonyms", request)


def _visitor(visitor_id: str) -> str:
    return f"/v1/visitors/{quote(visitor_id, safe='')}"


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answered {response.status_code}."
