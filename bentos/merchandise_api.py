"""The HTTP paths of a commercial team: campaigns, rules, segments, offers, launches, bundles.

Everything here asks for the scope `ops`, but for what a shopper may ask: what goes with a product,
a filled basket and what others say. A visitor's key manages nothing.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from bentos.auth import authenticate, require
from bentos.journal import new_id
from bentos.merchandising import Merchandising
from bentos.problems import RefusalError
from bentos.shop import Shop
from components.contracts.launches import LaunchPlan, LaunchRequest, LaunchStatus
from components.contracts.merchandise import (
    AllocateRequest,
    AllocateResponse,
    Campaign,
    CampaignReport,
    CampaignsResponse,
    FeedResponse,
    FillRequest,
    FillResponse,
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
from components.contracts.records import Id
from components.state.keys import Key

TAG = "merchandising"


def _shop(request: Request) -> Shop:
    shop = getattr(request.app.state, "shop", None)
    if shop is None:
        raise RefusalError(503, "the service is starting.")
    return shop


def _key(request: Request) -> Key:
    return authenticate(request, _shop(request).store)


def _manager(request: Request) -> Key:
    key = _key(request)
    require(key, "ops", key.visitor_id)
    if key.visitor_id is not None:
        raise RefusalError(403, "a visitor's key manages nothing.")
    return key


TheShop = Annotated[Shop, Depends(_shop)]
TheKey = Annotated[Key, Depends(_key)]
Manager = Annotated[Key, Depends(_manager)]


def _json(message: BaseModel) -> Response:
    return Response(message.model_dump_json(), media_type="application/json")


def _of(shop: Shop) -> Merchandising:
    return shop.merchandising


def add_merchandising(app: FastAPI) -> None:
    """Add the paths to the app."""
    _add_campaigns(app)
    _add_rules(app)
    _add_groups(app)
    _add_baskets(app)
    _add_feed(app)
    _add_launches(app)


def _add_campaigns(app: FastAPI) -> None:
    @app.get("/v1/campaigns", response_model=CampaignsResponse, tags=[TAG])
    def get_campaigns(shop: TheShop, key: Manager) -> Response:
        """Return the sponsors' campaigns with what they got, paid and cost, day by day."""
        return _json(
            CampaignsResponse(
                request_id=new_id("r"),
                currency=shop.current.champion.currency,
                campaigns=_of(shop).reports(),
            )
        )

    @app.get("/v1/campaigns/{campaign_id}", response_model=CampaignReport, tags=[TAG])
    def get_campaign(campaign_id: Id, shop: TheShop, key: Manager) -> Response:
        """Return one campaign's report."""
        found = _of(shop).reports(campaign_id)
        if not found:
            raise RefusalError(404, f"no campaign {campaign_id!r}.")
        return _json(found[0])

    @app.put("/v1/campaigns/{campaign_id}", response_model=CampaignReport, tags=[TAG])
    def put_campaign(campaign_id: Id, body: Campaign, shop: TheShop, key: Manager) -> Response:
        """Keep a campaign or its newest form; what it has spent stays spent."""
        if body.campaign_id != campaign_id:
            raise RefusalError(422, "campaign_id differs from the path's.")
        _of(shop).campaign_put(shop.current.champion, body, by=key.name)
        return _json(_of(shop).reports(campaign_id)[0])

    @app.delete("/v1/campaigns/{campaign_id}", status_code=204, tags=[TAG])
    def delete_campaign(campaign_id: Id, shop: TheShop, key: Manager) -> Response:
        """End a campaign; its days stay for the books."""
        if not _of(shop).state.campaign_remove(campaign_id, by=key.name):
            raise RefusalError(404, f"no campaign {campaign_id!r}.")
        _of(shop).changed()
        return Response(status_code=204)


def _add_rules(app: FastAPI) -> None:
    @app.get("/v1/rules", response_model=RulesResponse, tags=[TAG])
    def get_rules(shop: TheShop, key: Manager) -> Response:
        """Return the rules kept, which of them hold now, and who changed what."""
        rules = _of(shop).state.rules()
        now = shop.now()
        holding = tuple(
            r.rule_id
            for r in rules
            if not r.is_paused
            and (r.starts_at is None or r.starts_at <= now)
            and (r.ends_at is None or now < r.ends_at)
        )
        return _json(
            RulesResponse(
                request_id=new_id("r"),
                rules=tuple(rules),
                holding=holding,
                audit=tuple(_of(shop).state.audit()),
            )
        )

    @app.put("/v1/rules/{rule_id}", response_model=ShopRule, tags=[TAG])
    def put_rule(rule_id: Id, body: ShopRule, shop: TheShop, key: Manager) -> Response:
        """Keep a rule: pin, bury, boost or exclude products; it acts from the next request on."""
        if body.rule_id != rule_id:
            raise RefusalError(422, "rule_id differs from the path's.")
        _of(shop).rule_put(shop.current.champion, body, by=key.name)
        return _json(body)

    @app.delete("/v1/rules/{rule_id}", status_code=204, tags=[TAG])
    def delete_rule(rule_id: Id, shop: TheShop, key: Manager) -> Response:
        """Take a rule away."""
        if not _of(shop).state.rule_remove(rule_id, by=key.name):
            raise RefusalError(404, f"no rule {rule_id!r}.")
        _of(shop).changed()
        return Response(status_code=204)

    @app.post("/v1/rules/preview", response_model=PreviewResponse, tags=[TAG])
    def preview(body: PreviewRequest, shop: TheShop, key: Manager) -> Response:
        """Say what drafts would change in searches and slates; nothing is kept."""
        return _json(shop.preview(body))


def _add_groups(app: FastAPI) -> None:
    @app.get("/v1/segments", response_model=SegmentsResponse, tags=[TAG])
    def get_segments(shop: TheShop, key: Manager) -> Response:
        """Return the segments: what sets each apart, its value, habits, prices and offers."""
        engines = shop.current.champion
        return _json(
            SegmentsResponse(
                request_id=new_id("r"),
                model_version=engines.release_id,
                segments=_of(shop).segments(engines),
            )
        )

    @app.get("/v1/segments/{number}/visitors", response_model=SegmentMembersResponse, tags=[TAG])
    def get_members(number: int, shop: TheShop, key: Manager) -> Response:
        """Export the visitors of a segment; forgotten ones are not in it."""
        engines = shop.current.champion
        if not 0 <= number < len(_of(shop).segments(engines)):
            raise RefusalError(404, f"no segment {number}.")
        name, visitors = _of(shop).members(engines, number)
        return _json(
            SegmentMembersResponse(
                request_id=new_id("r"),
                model_version=engines.release_id,
                number=number,
                name=name,
                visitors=tuple(visitors),
            )
        )

    @app.post("/v1/promotions/allocate", response_model=AllocateResponse, tags=[TAG])
    def allocate(body: AllocateRequest, shop: TheShop, key: Manager) -> Response:
        """Say which offer should go to whom under budget, frequency and fatigue caps."""
        return _json(_of(shop).allocate(shop.current.champion, body, shop.now()))


def _add_baskets(app: FastAPI) -> None:
    @app.get("/v1/products/{product_id}/goes-with", response_model=GoesWithResponse, tags=[TAG])
    def goes_with(
        product_id: Id,
        shop: TheShop,
        key: TheKey,
        limit: Annotated[int, Query(ge=1, le=20)] = 6,
    ) -> Response:
        """Return what goes with a product, and what stands in for it."""
        require(key, "read", key.visitor_id)
        return _json(_of(shop).goes_with(shop.current.champion, product_id, limit))

    @app.post("/v1/basket/fill", response_model=FillResponse, tags=[TAG])
    def fill(body: FillRequest, shop: TheShop, key: TheKey) -> Response:
        """Fill a basket to a budget, for a visitor or an occasion; it proposes and buys nothing."""
        require(key, "read", body.visitor_id)
        return _json(shop.fill(body))


def _add_feed(app: FastAPI) -> None:
    @app.get("/v1/feed", response_model=FeedResponse, tags=[TAG])
    def feed(
        shop: TheShop,
        key: TheKey,
        visitor_id: Annotated[Id | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
    ) -> Response:
        """Return what consenting shoppers say about products this visitor may care for."""
        require(key, "read", visitor_id)
        return _json(shop.feed(visitor_id, limit))


def _add_launches(app: FastAPI) -> None:
    @app.get("/v1/launches", response_model=LaunchesResponse, tags=[TAG])
    def get_launches(shop: TheShop, key: Manager) -> Response:
        """Return the launches that were started and how they go."""
        found = tuple(_of(shop).state.launches())
        return _json(LaunchesResponse(request_id=new_id("r"), launches=found))

    @app.post("/v1/launches/plan", response_model=LaunchPlan, tags=[TAG])
    def plan(body: LaunchRequest, shop: TheShop, key: Manager) -> Response:
        """Plan a launch: demand range, audience, pre-heat list, partners, ramp; nothing acts."""
        return _json(_of(shop).plan(shop.current.champion, body))

    @app.post("/v1/launches", response_model=LaunchStatus, tags=[TAG])
    def start(body: LaunchPlan, shop: TheShop, key: Manager) -> Response:
        """Start a plan: slates of its audience show the product, within floor and regret cap."""
        return _json(_of(shop).start(shop.current.champion, body, by=key.name))

    @app.post("/v1/launches/{plan_id}/stop", response_model=LaunchStatus, tags=[TAG])
    def stop(plan_id: Id, body: StopRequest, shop: TheShop, key: Manager) -> Response:
        """Stop a launch."""
        if not any(s.plan.plan_id == plan_id for s in _of(shop).state.launches()):
            raise RefusalError(404, f"no launch {plan_id!r}.")
        return _json(_of(shop).stop(plan_id, body.reason, by=key.name))
