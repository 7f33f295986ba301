"""What a commercial team decides, put to work in the lists: rules, sponsors, launches, groups.

Over the engines of a request and the state. A shop without rules, campaigns, launches and relations
gets its lists exactly as the engines make them. What is kept is read at most once a second, and
anew after every change made here.
"""

import logging
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bentos.journal import new_id
from components.assistant.safety import quotable
from components.contracts.errors import ArtefactError, ServiceError
from components.contracts.launches import LaunchPlan, LaunchRequest, LaunchStatus
from components.contracts.merchandise import (
    AllocateRequest,
    AllocateResponse,
    Allotment,
    Campaign,
    CampaignReport,
    Companion,
    FeedResponse,
    FeedReview,
    FillRequest,
    FillResponse,
    GoesWithResponse,
    Placement,
    PreviewedList,
    PreviewedProduct,
    PreviewRequest,
    PreviewResponse,
    Segment,
    ShopRule,
)
from components.contracts.messages import (
    Reason,
    ScoredProduct,
    SearchRequest,
    SponsoredPlace,
)
from components.contracts.records import BasketAdd, Click, Event, Purchase, Review
from components.merchandise import rules as shop_rules
from components.merchandise.allocation import Caps, Pairs, allocate, fatigue_caps
from components.merchandise.bundles import Bundles, fill_basket
from components.merchandise.campaigns import (
    Ledger,
    Visit,
    named_products,
    report_of,
    words_of,
)
from components.merchandise.hand import as_records, edits, slate_line
from components.merchandise.logs import in_order
from components.merchandise.pctr import ClickModel
from components.merchandise.planner import LaunchPlanner
from components.merchandise.promotions import OfferModel
from components.merchandise.ramp import (
    CREDIT,
    Account,
    after_decision,
    decide,
    earned,
    may_show,
    shown,
)
from components.merchandise.sponsored import AuctionPolicy, Bid, Win, run_auction
from components.recommend.engine import NO_LOG, read_session
from components.recommend.history import Log, day_of
from components.recommend.segments import SegmentModel
from components.recommend.slate import Rule
from components.recommend.social import SocialModel
from components.search.arrange import Arranged, Listing
from components.state.merchandise import MerchandiseState
from components.state.store import Store

logger = logging.getLogger(__name__)
READ_SECONDS = 1.0
USUAL_PCTR = 0.02  # where no model of clicks is in the release
EVEN_CHANCE = 0.02  # the chance of a purchase that counts as a relevance of one half
LAUNCH_RANK = 4
DECIDE_EVERY = 25
CANDIDATES = 120
OCCASION_DEPTH = 60
FRIENDS = 12
FRIENDS_WEIGHT = 0.6  # log-odds per log of lift; a newcomer's people count twice
SEGMENT_EVENTS = 30
SAID_SENTENCES = 3  # of a review, in a feed


@dataclass(frozen=True)
class Held:
    """What the state holds, as read at one moment."""

    ledger: Ledger
    rules: tuple[ShopRule, ...]
    launches: tuple[LaunchStatus, ...]
    read_at: float


class Models:
    """The commercial models of one release, each loaded when first asked for; absent ones None."""

    def __init__(self, folder: Path) -> None:
        """Remember where the release lies."""
        self.folder = folder

    def _load(self, kind: Any) -> Any:
        try:
            return kind.load(self.folder)
        except ArtefactError as error:
            logger.warning("release at %s without %s: %s", self.folder, kind.__name__, error)
            return None

    @cached_property
    def segments(self) -> SegmentModel | None:
        """Who buys alike."""
        return self._load(SegmentModel)

    @cached_property
    def bundles(self) -> Bundles | None:
        """What goes with what."""
        return self._load(Bundles)

    @cached_property
    def social(self) -> SocialModel | None:
        """Who stands near whom."""
        return self._load(SocialModel)

    @cached_property
    def offers(self) -> OfferModel | None:
        """Who redeems which offer."""
        return self._load(OfferModel)

    @cached_property
    def clicks(self) -> ClickModel | None:
        """Chances of a click on a sponsored place."""
        return self._load(ClickModel)

    @cached_property
    def planner(self) -> LaunchPlanner | None:
        """Plans launches."""
        return self._load(LaunchPlanner)


@dataclass
class Page:
    """One request's page: who sees it, and what was sold on it."""

    visit: Visit
    visitor_id: str | None
    engines: Any
    recent: Sequence[Event]
    wins: tuple[Win, ...] = ()
    bids: tuple[Bid, ...] = ()
    launched: tuple[str, str, float] | None = None  # plan, product, displaced chance
    is_arranged: bool = False  # in a way that no replay can repeat
    hand: dict[str, Any] = field(default_factory=dict)  # what a replay repeats: `merchandise.hand`
    reasons: dict[str, Reason] = field(default_factory=dict)


class Merchandising:
    """The commercial side of one process's shop."""

    def __init__(self, store: Store, *, policy: AuctionPolicy | None = None) -> None:
        """Use the store; nothing is read yet."""
        self.store = store
        self.state = MerchandiseState(store)
        self.policy = policy or AuctionPolicy()
        self._held: Held | None = None

    # -- what is kept

    def held(self) -> Held:
        """Return what the state holds, at most a second old."""
        held = self._held
        if held is None or time.monotonic() - held.read_at > READ_SECONDS:
            campaigns = tuple(self.state.campaigns())
            days = self.state.days() if campaigns else {}
            held = Held(
                Ledger(campaigns, days),
                tuple(self.state.rules()),
                tuple(s for s in self.state.launches() if s.state == "running"),
                time.monotonic(),
            )
            self._held = held
        return held

    def changed(self) -> None:
        """Read anew at the next request."""
        self._held = None

    def models(self, engines: Any) -> Models:
        """Return the commercial models of a release."""
        return engines.extras.setdefault("merchandise", Models(engines.folder))

    # -- pages

    def page(
        self,
        engines: Any,
        surface: str,
        visitor_id: str | None,
        recent: Sequence[Event],
        now: datetime,
        *,
        query: str = "",
    ) -> Page:
        """Say who sees which page. Segments are looked up only where something depends on them."""
        held = self.held()
        names: tuple[str, ...] = ()
        audiences = [c.audience for c in held.ledger.campaigns] + [r.audience for r in held.rules]
        if any(a.segments for a in audiences):
            names = self.segment_names(engines, visitor_id, recent)
        store = engines.recommend.history_store
        is_known = bool(visitor_id) and (
            bool(recent) or (store is not None and visitor_id in store.index)
        )
        visit = Visit(
            surface=surface, now=now, words=words_of(query), visitor_id=visitor_id,
            segments=names, is_known=is_known,
        )  # fmt: skip
        return Page(visit, visitor_id, engines, recent)

    def segment_names(
        self, engines: Any, visitor_id: str | None, recent: Sequence[Event]
    ) -> tuple[str, ...]:
        """Return the name and number of a visitor's segment; empty where none is known."""
        model = self.models(engines).segments
        if model is None:
            return ()
        looked = _looked_at(recent)
        return model.names(model.of(visitor_id, looked))

    def _members(self, engines: Any) -> Callable[[ShopRule], Collection[str]]:
        def members(rule: ShopRule) -> Collection[str]:
            if rule.product_ids or rule.filters is None:
                return rule.product_ids
            table = engines.search.table
            mask = table.mask(rule.filters)
            return [p for p, row in table.row_of.items() if mask[row]]

        return members

    def excluded(self, page: Page) -> frozenset[str]:
        """Return the products that rules keep out of a page; none where no rule excludes any."""
        rules = self.held().rules
        if not any(r.kind == "exclude" for r in rules):
            return frozenset()
        decided = shop_rules.decide(
            shop_rules.holding(rules, page.visit), self._members(page.engines)
        )
        return frozenset(p for p, rule in decided.items() if rule.kind == "exclude")

    # -- search

    def search_arrange(
        self,
        page: Page,
        *,
        rules: Sequence[ShopRule] | None = None,
        sells: bool = True,
    ) -> Callable[[Listing], Arranged] | None:
        """Return what puts a search's list in order; None where nothing would change it.

        Args:
            page: the request's.
            rules: instead of the kept ones, for a preview.
            sells: whether places are sold.
        """
        held = self.held()
        holding = shop_rules.holding(held.rules if rules is None else rules, page.visit)
        may_ask = sells and bool(held.ledger.campaigns)
        if not holding and not may_ask:
            return None
        decided = shop_rules.decide(holding, self._members(page.engines))

        def arrange(listing: Listing) -> Arranged:
            levels = listing.relevance()
            relevance = dict(zip(listing.product_ids, levels.tolist(), strict=True))
            ruled = shop_rules.arrange(
                listing.product_ids, relevance, decided,
                may_show=lambda p: listing.is_exact and listing.may_show(p),
            )  # fmt: skip
            line = list(ruled.product_ids)
            if may_ask and listing.is_exact and listing.is_relevance and line:
                self._sell(page, line, relevance, listing.page)
                made = run_auction(
                    line, [relevance.get(p, 0.0) for p in line], page.bids, self.policy,
                    places=listing.page,
                )  # fmt: skip
                page.wins, line = made.wins, list(made.product_ids)
            paid = frozenset(w.bid.product_id for w in page.wins)
            page.hand = edits(listing.product_ids, line, sponsored=paid, pinned=ruled.pinned)
            return Arranged(line, paid, ruled.pinned)

        return arrange

    def _sell(
        self, page: Page, line: Sequence[str], relevance: Mapping[str, float], places: int
    ) -> None:
        """Ask the campaigns for bids on a page."""
        first = page.engines.catalogue.products.get(line[0])
        visit = replace(page.visit, category=first.category if first is not None else ())
        open_ = {p: relevance[p] for p in line if relevance.get(p, 0.0) > 0}
        page.bids = tuple(
            self.held().ledger.bids(
                visit, relevance=open_, pctr=lambda ids: self._chances(page, ids)
            )
        )

    def _chances(self, page: Page, product_ids: Sequence[str]) -> Sequence[float]:
        """Return the chances of a click, from the visitor's purchases where a model is there."""
        model = self.models(page.engines).clicks
        if model is None:
            return [USUAL_PCTR] * len(product_ids)
        log = self._log_of(page, model.product_index)
        return model.score(log, product_ids, today=day_of(page.visit.now)).tolist()

    def _log_of(self, page: Page, index: Mapping[str, int]) -> Log:
        """Return the visitor's purchases in a model's order of products."""
        engine = page.engines.recommend
        session = read_session(page.recent, page.visit.now)
        log = engine.visitor_log(page.visitor_id, session, page.visit.now)
        return in_order(log, engine.product_ids, index)

    # -- recommendations

    def slate_rules(self, page: Page) -> list[Rule]:
        """Return the recommender's rules for a page: the shop's, and what one's people buy."""
        holding = shop_rules.holding(self.held().rules, page.visit)
        made = shop_rules.as_engine_rules(shop_rules.decide(holding, self._members(page.engines)))
        made += self._from_people(page)
        if made:
            page.hand["rules"] = as_records(made)
        if page.reasons:
            page.hand["people"] = {p: r.model_dump(mode="json") for p, r in page.reasons.items()}
        return made

    def _from_people(self, page: Page) -> list[Rule]:
        model = self.models(page.engines).social
        if model is None or page.visitor_id is None or page.visitor_id not in model.people:
            return []
        gone = [p for p in model.people[page.visitor_id] if self.store.forgotten_at(p) is not None]
        weight = FRIENDS_WEIGHT if page.visit.is_known else 2 * FRIENDS_WEIGHT
        made: list[Rule] = []
        for product_id, count, lift in model.liked(page.visitor_id, without=gone, top=FRIENDS):
            made.append(Rule("boost", (product_id,), amount=weight * float(np.log(lift))))
            page.reasons[product_id] = Reason(
                kind="people", text=f"Popular among {count} people you are connected with"
            )
        return made

    def wanted(self, page: Page) -> set[str]:
        """Return products to be scored although they may not be on the slate."""
        held = self.held()
        named = named_products(held.ledger.asking(page.visit)) if held.ledger.campaigns else set()
        launch = self._launch_for(page)
        return named | ({launch.plan.product_id} if launch is not None else set())

    def _launch_for(self, page: Page) -> LaunchStatus | None:
        """Return the launch whose turn it is on this page, drawn by visitor, day and surface."""
        if page.visitor_id is None:
            return None
        for status in self.held().launches:
            told = {m.visitor_id for m in status.plan.audience}
            if page.visitor_id not in told or page.visit.surface == "search":
                continue
            stage = status.plan.stages[min(status.stage, len(status.plan.stages) - 1)]
            text = f"{status.plan.plan_id}|{page.visitor_id}|{day_of(page.visit.now)}|" + (
                page.visit.surface
            )
            if zlib.crc32(text.encode()) / 2**32 < stage.chance:
                return status
        return None

    def arrange_slate(
        self,
        page: Page,
        products: Sequence[ScoredProduct],
        also: Sequence[ScoredProduct],
        limit: int,
    ) -> tuple[ScoredProduct, ...]:
        """Give places of a slate to a launch and to sponsors; the others keep their order."""
        cards = {p.product_id: p for p in (*also, *products)}
        line = [p.product_id for p in products]
        launch = self._launch_for(page)
        if launch is not None and launch.plan.product_id in cards and line:
            line = self._launched(page, launch, line, cards, limit)
        if self.held().ledger.campaigns and line:
            relevance = {p: _relevance(cards[p]) for p in cards}
            self._sell(page, [*line, *(p for p in cards if p not in line)], relevance, limit)
            made = run_auction(
                line, [relevance[p] for p in line], page.bids, self.policy, places=limit
            )
            page.wins, line = made.wins, list(made.product_ids)
        paid = {w.bid.product_id for w in page.wins}
        new = page.launched[1] if page.launched else None
        page.hand = edits(
            [p.product_id for p in products], line[:limit], sponsored=paid
        ) | page.hand  # fmt: skip
        if new is not None:
            page.hand["launched"] = new
        return slate_line(line[:limit], cards, paid=paid, new=new, people=page.reasons)

    def _launched(
        self,
        page: Page,
        launch: LaunchStatus,
        line: list[str],
        cards: Mapping[str, ScoredProduct],
        limit: int,
    ) -> list[str]:
        product_id = launch.plan.product_id
        place = min(LAUNCH_RANK, limit, len(line) + 1)
        if product_id in line[:place]:
            return line
        displaced = cards[line[place - 1]] if place <= len(line) else None
        cost = float(displaced.purchase_probability or 0.0) if displaced is not None else 0.0
        if not may_show(account_of(launch), cost, launch.plan.request.regret_cap):
            return line
        page.launched = (launch.plan.plan_id, product_id, cost)
        rest = [p for p in line if p != product_id]
        rest.insert(place - 1, product_id)
        return rest

    # -- after an answer

    def served(
        self, page: Page, slate_id: str, products: Sequence[ScoredProduct]
    ) -> tuple[SponsoredPlace, ...]:
        """Enter what was sold and launched on a page; return the places for the answer."""
        on_page = {p.product_id: p.rank for p in products}
        wins = [w for w in page.wins if w.bid.product_id in on_page]
        if wins:
            self.state.placements_add([_placement(w, slate_id) for w in wins], page.visit.now)
            self._held = None
        if page.launched is not None and page.launched[1] in on_page:
            self._show_launch(slate_id, *page.launched)
        return tuple(
            SponsoredPlace(
                rank=w.rank,
                product_id=w.bid.product_id,
                campaign_id=w.bid.campaign_id,
                displaced_product_id=w.displaced,
                relevance=w.bid.relevance,
                displaced_relevance=w.displaced_relevance,
                ndcg_cost=round(w.ndcg_cost, 6),
            )
            for w in wins
        )

    def _show_launch(self, slate_id: str, plan_id: str, product_id: str, displaced: float) -> None:
        if not self.state.launch_shown(plan_id, slate_id, product_id, displaced):
            return

        def change(status: LaunchStatus) -> LaunchStatus | None:
            if status.state != "running":
                return None
            plan, account = status.plan, shown(account_of(status), displaced)
            reason = status.reason
            if account.exposures % DECIDE_EVERY == 0:
                decision = decide(
                    account, plan.stages, expected=plan.expected_rate, flop=plan.flop_rate,
                    floor=plan.request.floor,
                )  # fmt: skip
                account = after_decision(account, decision)
                if decision != "go on":
                    reason = f"{decision} after {account.exposures} exposures"
            if account.regret >= plan.request.regret_cap:
                account = replace(account, stopped=True)
                reason = "the regret cap is reached"
            return with_account(status, account, reason)

        self.state.launch_change(plan_id, change)
        self._held = None

    def observed(self, events: Sequence[Event]) -> None:
        """Charge clicks on sponsored places and credit launches with what came of them."""
        held = self.held()
        if not held.ledger.campaigns and not held.launches:
            return
        for event in events:
            slate_id = getattr(event, "slate_id", None)
            if slate_id is None or not isinstance(event, Click | BasketAdd | Purchase):
                continue
            is_sold = isinstance(event, Click) and bool(held.ledger.campaigns)
            if is_sold and self.state.click(slate_id, event.product_id, event.at) is not None:
                self._held = None
            if held.launches:
                self._credit(slate_id, event.product_id, event.kind)

    def _credit(self, slate_id: str, product_id: str, kind: str) -> None:
        found = self.state.launch_credit(slate_id, product_id, CREDIT.get(kind, 0.0))
        if found is None:
            return
        plan_id, before = found
        self.state.launch_change(
            plan_id,
            lambda s: with_account(s, earned(account_of(s), kind, before), s.reason),
        )
        self._held = None

    # -- campaigns and rules

    def reports(self, campaign_id: str | None = None) -> tuple[CampaignReport, ...]:
        """Return campaigns with what they got and paid."""
        days = self.state.days(campaign_id)
        found = [c for c in self.state.campaigns() if campaign_id in (None, c.campaign_id)]
        return tuple(report_of(c, days.get(c.campaign_id, [])) for c in found)

    def campaign_put(self, engines: Any, campaign: Campaign, *, by: str) -> None:
        """Keep a campaign.

        Raises:
            UnknownProductError: it names a product that the catalogue does not hold.
        """
        for product_id in campaign.product_ids:
            engines.catalogue.get(product_id)
        self.state.campaign_put(campaign, by=by)
        self._held = None

    def rule_put(self, engines: Any, rule: ShopRule, *, by: str) -> None:
        """Keep a rule.

        Raises:
            UnknownProductError: it names a product that the catalogue does not hold.
        """
        for product_id in rule.product_ids:
            engines.catalogue.get(product_id)
        self.state.rule_put(rule, by=by)
        self._held = None

    def preview(
        self,
        engines: Any,
        request: PreviewRequest,
        now: datetime,
        recent_of: Callable[[str | None], Sequence[Event]],
    ) -> PreviewResponse:
        """Say what drafts would change: lists before and after, nothing kept.

        A draft that begins later is looked at as if it held already.
        """
        kept = [r for r in self.state.rules() if r.rule_id not in request.without]
        drafts = {r.rule_id for r in request.rules}
        then = [r for r in kept if r.rule_id not in drafts]
        then += [r.model_copy(update={"starts_at": None}) for r in request.rules]
        visitors: tuple[str | None, ...] = request.visitor_ids or (None,)
        lists: list[PreviewedList] = []
        for visitor in visitors:
            recent = recent_of(visitor)
            for query in request.queries:
                page = self.page(engines, "search", visitor, recent, now, query=query)
                pair = [
                    engines.search.search(
                        SearchRequest(query=query, visitor_id=visitor, limit=request.limit),
                        arrange=self.search_arrange(page, rules=rules, sells=False),
                    ).products
                    for rules in (self.state.rules(), then)
                ]
                lists.append(_previewed("search", query, visitor, pair[0], pair[1]))
            page = self.page(engines, "home", visitor, recent, now)
            pair = []
            for rules in (self.state.rules(), then):
                decided = shop_rules.decide(
                    shop_rules.holding(rules, page.visit), self._members(engines)
                )
                slate = engines.recommend.recommend(
                    visitor, recent, now=now, limit=request.limit, surface="home",
                    rules=shop_rules.as_engine_rules(decided),
                )  # fmt: skip
                pair.append(slate.products)
            lists.append(_previewed("home", None, visitor, pair[0], pair[1]))
        return PreviewResponse(
            request_id=new_id("r"),
            lists=tuple(lists),
            changed=sum(bool(x.moved or x.entered or x.left) for x in lists),
            relevance_kept=float(np.mean([x.relevance_kept for x in lists])) if lists else 1.0,
        )

    # -- segments, bundles, offers

    def segments(self, engines: Any) -> tuple[Segment, ...]:
        """Return the segments of a release; none if it has none."""
        model = self.models(engines).segments
        return () if model is None else tuple(Segment(**p) for p in model.profiles)

    def members(self, engines: Any, number: int) -> tuple[str, list[str]]:
        """Return the name and the visitors of a segment, without forgotten ones.

        Raises:
            ServiceError: there is no such segment.
        """
        model = self.models(engines).segments
        if model is None or not 0 <= number < len(model):
            raise ServiceError(f"no segment {number}.")
        kept = [v for v in model.members(number) if self.store.forgotten_at(v) is None]
        return str(model.profiles[number]["name"]), kept

    def popular(
        self, engines: Any, visitor_id: str | None, recent: Sequence[Event]
    ) -> tuple[str, dict[str, float]]:
        """Return the name of a visitor's segment and its best sellers with their shares."""
        model = self.models(engines).segments
        looked = _looked_at(recent)
        number = None if model is None else model.of(visitor_id, looked)
        if model is None or number is None:
            return "", {}
        return str(model.profiles[number]["name"]), dict(model.popular[number])

    def feed(
        self,
        engines: Any,
        visitor_id: str | None,
        recent: Sequence[Event],
        now: datetime,
        limit: int,
    ) -> FeedResponse:
        """Return what other shoppers say about products that this visitor may care for."""
        products, community = engines.catalogue.products, engines.community
        page = self.page(engines, "feed", visitor_id, recent, now)
        barred = self.excluded(page)
        open_ = [
            p
            for p in community.product_ids()
            if p in products and products[p].available and p not in barred
        ]
        liking: dict[str, float] = {}
        if open_:
            scores = engines.recommend.affinity(visitor_id, recent, open_, now=now)
            liking = dict(zip(open_, (float(s) for s in scores), strict=True))
        near = self._people(page)

        def may_show(review: Review) -> bool:
            author = review.visitor_id
            is_gone = author is not None and self.store.forgotten_at(author) is not None
            return not is_gone and bool(quotable(review.text, limit=SAID_SENTENCES))

        found = community.feed(liking, visitor_id=visitor_id, near=near, may_show=may_show)
        told = f"By one of {len(near)} people you are connected with"
        return FeedResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            reviews=tuple(
                FeedReview(
                    review_id=r.review_id, product_id=r.product_id,
                    title=products[r.product_id].title,
                    price_minor=products[r.product_id].price_minor,
                    currency=products[r.product_id].currency,
                    category=products[r.product_id].category,
                    rating=r.rating, text=" ".join(quotable(r.text, limit=SAID_SENTENCES)),
                    at=r.at, helpful_votes=r.helpful_votes,
                    reason=told if r.visitor_id in near else None,
                )
                for r in islice(found, limit)
            ),
        )  # fmt: skip

    def _people(self, page: Page) -> frozenset[str]:
        """Return a visitor's people, where there are enough for none of them to be read out."""
        model = self.models(page.engines).social
        if model is None or page.visitor_id is None:
            return frozenset()
        people = [
            p for p in model.people.get(page.visitor_id, ()) if self.store.forgotten_at(p) is None
        ]
        return frozenset(people) if len(people) >= model.min_people else frozenset()

    def goes_with(self, engines: Any, product_id: str, limit: int) -> GoesWithResponse:
        """Return what goes with a product and what stands in for it.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        engines.catalogue.get(product_id)
        bundles = self.models(engines).bundles
        found: dict[str, tuple[Companion, ...]] = {"goes": (), "stands": ()}
        if bundles is not None:
            at = bundles.index().get(product_id, -1)
            for name, pairs in (("goes", bundles.complements), ("stands", bundles.substitutes)):
                rows = pairs.of(at)
                ids = [bundles.product_ids[int(o)] for o in pairs.other[rows]]
                lifts = dict(zip(ids, pairs.lift[rows].tolist(), strict=True))
                found[name] = _companions(engines, lifts)[:limit]
        return GoesWithResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            product_id=product_id,
            goes_with=found["goes"],
            instead_of=found["stands"],
            degraded=() if bundles is not None else ("bundles",),
        )

    def fill(
        self, engines: Any, request: FillRequest, recent: Sequence[Event], now: datetime
    ) -> FillResponse:
        """Fill a basket: what suits the visitor or the occasion most, within the budget.

        Raises:
            UnknownProductError: a product that must be in is not in the catalogue.
        """
        products = engines.catalogue.products
        values = self._values(engines, request, recent, now)
        for product_id in request.must:
            engines.catalogue.get(product_id)
            values.setdefault(product_id, 1e-3)
        for product_id in request.exclude:
            values.pop(product_id, None)
        open_ = [
            p
            for p in values
            if (one := products.get(p)) is not None and one.price_minor and one.available
        ]
        kinds = {t: n for n, t in enumerate(sorted({products[p].type or p for p in open_}))}
        groups = [kinds[products[p].type or p] for p in open_]
        place = {p: n for n, p in enumerate(open_)}
        missing = [p for p in request.must if p not in place]
        choice = None
        if not missing:
            choice = fill_basket(
                [values[p] for p in open_],
                [int(products[p].price_minor or 0) for p in open_],
                request.budget_minor,
                groups=groups,
                at_most=dict.fromkeys(kinds.values(), request.per_type),
                must=[place[p] for p in request.must],
                never=self._stand_ins(engines, place, set(request.must)),
                lines=request.lines,
            )
        if choice is None or not choice.chosen:
            return FillResponse(
                request_id=new_id("r"),
                model_version=engines.release_id,
                budget_minor=request.budget_minor,
                considered=len(open_),
                reason="what must be in is not sold now" if missing
                else "nothing fits this budget with these rules",
            )  # fmt: skip
        best = sorted(choice.chosen, key=lambda n: -values[open_[n]])
        return FillResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            products=_companions(engines, {open_[n]: values[open_[n]] for n in best}),
            cost_minor=choice.cost_minor,
            budget_minor=request.budget_minor,
            is_optimal=choice.is_optimal,
            considered=len(open_),
        )

    def _values(
        self, engines: Any, request: FillRequest, recent: Sequence[Event], now: datetime
    ) -> dict[str, float]:
        """Return candidates with their worth: chance of a purchase, or fit to the occasion."""
        if request.occasion:
            found = engines.search.search(
                SearchRequest(
                    query=request.occasion, visitor_id=request.visitor_id,
                    filters=request.filters, limit=OCCASION_DEPTH,
                )
            ).products  # fmt: skip
            values = {p.product_id: 1.0 / (1.0 + n / 10) for n, p in enumerate(found)}
            goes = self.models(engines).bundles
            index = goes.index() if goes is not None else {}
            for one in list(found)[:10]:  # what goes with the best answers belongs to the occasion
                if goes is None or one.product_id not in index:
                    continue
                rows = goes.complements.of(index[one.product_id])
                for other in goes.complements.other[rows][:3]:
                    name = goes.product_ids[int(other)]
                    values.setdefault(name, 0.4 * values[one.product_id])
            return values
        slate = engines.recommend.recommend(
            request.visitor_id, recent, now=now, limit=CANDIDATES, surface="basket",
            filters=request.filters,
        )  # fmt: skip
        return {p.product_id: float(p.purchase_probability or 1e-6) for p in slate.products}

    def _stand_ins(
        self, engines: Any, place: Mapping[str, int], must: set[str]
    ) -> list[tuple[int, int]]:
        """Return pairs of candidates that stand in for each other; what must be in is let be."""
        bundles = self.models(engines).bundles
        if bundles is None:
            return []
        index, pairs = bundles.index(), set[tuple[int, int]]()
        for product_id, n in place.items():
            rows = bundles.substitutes.of(index.get(product_id, -1))
            for other in bundles.substitutes.other[rows]:
                name = bundles.product_ids[int(other)]
                m = place.get(name)
                if m is not None and m != n and not {name, product_id} <= must:
                    pairs.add((min(n, m), max(n, m)))
        return sorted(pairs)

    def offer_scores(
        self,
        engines: Any,
        visitor_id: str | None,
        recent: Sequence[Event],
        promotion_ids: Sequence[str],
        now: datetime,
    ) -> dict[str, tuple[float, float]]:
        """Return P(redeem) and uplift of offers for one visitor; empty without a model."""
        model = self.models(engines).offers
        if model is None or visitor_id is None:
            return {}
        engine = engines.recommend
        log = engine.visitor_log(visitor_id, read_session(recent, now), now)
        mine = in_order(log, engine.product_ids, model.product_index)
        return model.score(visitor_id, mine, promotion_ids, today=day_of(now))

    def allocate(self, engines: Any, request: AllocateRequest, now: datetime) -> AllocateResponse:
        """Say which offer in force should go to whom, under the caps; nothing is sent.

        Raises:
            ServiceError: the release has no model of redemptions.
        """
        model, store = self.models(engines).offers, engines.recommend.history_store
        if model is None or store is None:
            raise ServiceError("the release has no model of redemptions; run `make pipeline`.")
        rows: list[tuple[int, int, float, float, float]] = []
        offers: list[Any] = []
        place: dict[str, int] = {}
        visitors = [v for v in store.visitor_ids if self.store.forgotten_at(v) is None]
        contacts = np.zeros(len(visitors), dtype=np.int64)
        for number, visitor in enumerate(visitors):
            open_ = engines.shown_offers.in_force(visitor, now)
            contacts[number] = engines.shown_offers.campaigns_since(
                visitor, now - timedelta(days=request.fatigue_days), now
            )
            scores = self.offer_scores(engines, visitor, (), [o.promotion_id for o in open_], now)
            for offer in open_:
                if offer.promotion_id not in scores:
                    continue
                if offer.promotion_id not in place:
                    place[offer.promotion_id] = len(offers)
                    offers.append(offer)
                chance, uplift = scores[offer.promotion_id]
                worth = uplift if request.goal == "uplift" else chance
                cost = chance * saving_of(offer.mechanics, engines, offer.product_ids)
                rows.append((number, place[offer.promotion_id], worth, cost, chance))
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        caps = Caps(
            fatigue_caps(
                len(visitors), contacts, max_per_visitor=request.max_per_visitor,
                max_in_fatigue=request.max_in_fatigue,
            ),
            request.max_per_offer,
            float(request.budget_minor) if request.budget_minor is not None else None,
        )  # fmt: skip
        pairs = Pairs(
            table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3]
        )
        found = allocate(pairs, caps, gap=1e-4, seconds=20.0)
        uplifts = table[:, 2] if request.goal == "uplift" else np.zeros(len(table))
        return AllocateResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            status=found.status,
            pairs_considered=len(pairs),
            expected_redemptions=float(table[found.chosen, 4].sum()),
            expected_uplift=float(uplifts[found.chosen].sum()),
            expected_cost_minor=found.cost,
            optimality_gap=found.gap,
            allotments=tuple(
                Allotment(
                    visitor_id=visitors[int(table[n, 0])],
                    promotion_id=offers[int(table[n, 1])].promotion_id,
                    redeem_probability=float(table[n, 4]),
                    uplift=float(uplifts[n]),
                    expected_cost_minor=float(table[n, 3]),
                )
                for n in found.chosen.tolist()
            ),
        )

    # -- launches

    def plan(self, engines: Any, request: LaunchRequest) -> LaunchPlan:
        """Plan a launch; nothing acts before it is started.

        Raises:
            UnknownProductError: the catalogue does not hold the product.
            ServiceError: the release has no planner.
        """
        product = engines.catalogue.get(request.product_id)
        planner, store = self.models(engines).planner, engines.recommend.history_store
        if planner is None:
            raise ServiceError("the release has no launch planner; run `make pipeline`.")
        visitors = store.visitor_ids if store is not None else ()
        gone = frozenset(v for v in visitors if self.store.forgotten_at(v) is not None)
        return planner.plan(
            new_id("l"),
            product,
            request,
            log=store.log if store is not None else NO_LOG,
            log_ids=engines.recommend.product_ids,
            visitor_ids=visitors,
            titles={p: one.title for p, one in engines.catalogue.products.items()},
            without=gone,
        )

    def start(self, engines: Any, plan: LaunchPlan, *, by: str) -> LaunchStatus:
        """Start a plan: from now on slates of its audience may show it.

        Raises:
            UnknownProductError: the catalogue does not hold the product.
        """
        engines.catalogue.get(plan.product_id)
        status = LaunchStatus(plan=plan, state="running")
        self.state.launch_put(status, by=by)
        self._held = None
        return status

    def stop(self, plan_id: str, reason: str, *, by: str) -> LaunchStatus:
        """Stop a launch.

        Raises:
            ServiceError: there is none of this name.
        """
        found = next((s for s in self.state.launches() if s.plan.plan_id == plan_id), None)
        if found is None:
            raise ServiceError(f"no launch {plan_id!r}.")
        status = found.model_copy(
            update={"state": "stopped", "reason": reason or f"stopped by {by}"}
        )
        self.state.launch_put(status, by=by)
        self._held = None
        return status


def _looked_at(recent: Sequence[Event]) -> list[str]:
    """Return the products of a visitor's last events."""
    last = (getattr(e, "product_id", None) for e in recent[-SEGMENT_EVENTS:])
    return [p for p in last if p is not None]


def account_of(status: LaunchStatus) -> Account:
    """Return what a launch has cost and earned."""
    return Account(
        exposures=status.exposures, charged=status.charged, credited=status.credited,
        successes=status.successes, stage=status.stage, stopped=status.state != "running",
    )  # fmt: skip


def with_account(status: LaunchStatus, account: Account, reason: str) -> LaunchStatus:
    """Return a launch with another account."""
    is_over = account.stopped and status.state == "running"
    return status.model_copy(
        update={
            "exposures": account.exposures, "charged": account.charged,
            "credited": account.credited, "successes": account.successes,
            "regret": account.regret, "stage": account.stage, "reason": reason,
            "state": "stopped" if is_over else status.state,
        }
    )  # fmt: skip


def saving_of(mechanics: Mapping[str, Any], engines: Any, product_ids: Sequence[str]) -> float:
    """Return what an offer takes off one purchase, in minor units."""
    value = float(mechanics.get("value") or 0.0)
    if mechanics.get("kind") == "amount":
        return value
    prices = [
        one.price_minor
        for p in product_ids
        if (one := engines.catalogue.products.get(p)) is not None and one.price_minor
    ]
    return value / 100.0 * float(np.median(prices)) if prices else 0.0


def _relevance(card: ScoredProduct) -> float:
    chance = float(card.purchase_probability or 0.0)
    return chance / (chance + EVEN_CHANCE)


def _placement(win: Win, slate_id: str) -> Placement:
    return Placement(
        slate_id=slate_id,
        campaign_id=win.bid.campaign_id,
        product_id=win.bid.product_id,
        rank=win.rank,
        price_minor=win.price_minor,
        pctr=win.bid.pctr,
        quality=win.bid.quality,
        relevance=win.bid.relevance,
        displaced_product_id=win.displaced,
        displaced_relevance=win.displaced_relevance,
        ndcg_cost=win.ndcg_cost,
    )


def _companions(engines: Any, values: Mapping[str, float]) -> tuple[Companion, ...]:
    products = engines.catalogue.products
    return tuple(
        Companion(
            product_id=p, title=products[p].title, price_minor=products[p].price_minor,
            currency=products[p].currency, lift=round(float(v), 4), brand=products[p].brand,
            category=products[p].category,
        )
        for p, v in values.items()
        if p in products and products[p].available
    )  # fmt: skip


def _previewed(
    surface: str,
    query: str | None,
    visitor_id: str | None,
    before: Sequence[ScoredProduct],
    after: Sequence[ScoredProduct],
) -> PreviewedList:
    old, new = [p.product_id for p in before], [p.product_id for p in after]
    return PreviewedList(
        surface=surface,
        query=query,
        visitor_id=visitor_id,
        before=tuple(PreviewedProduct(product_id=p.product_id, title=p.title) for p in before),
        after=tuple(PreviewedProduct(product_id=p.product_id, title=p.title) for p in after),
        entered=tuple(p for p in new if p not in old),
        left=tuple(p for p in old if p not in new),
        moved=sum(p in old and old.index(p) != n for n, p in enumerate(new)),
        relevance_kept=shop_rules.kept_relevance(old, new),
    )
