"""What the endpoints do, without HTTP: engines, state and clock put together.

Each method takes a message and answers with one. It takes the engines once at its start and works
on those to its end. Everything a second computation would need goes to the journal: the request,
the answer, the release, the shop's time and the ids of the visitor's events.
"""

import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from bentos.clock import Clock, clock_for
from bentos.journal import Journal, new_id
from bentos.loading import Current, Engines, promote_params, serve_params, state_url
from bentos.merchandising import Merchandising, Page, saving_of
from bentos.places import TurnPlaces
from bentos.problems import RefusalError
from bentos.trials import Trials, counted
from components.assistant.basket_money import PricedLine
from components.assistant.records import read_once
from components.assistant.till import Till
from components.contracts.artefacts import Layout
from components.contracts.errors import UnknownProductError
from components.contracts.merchandise import (
    FeedResponse,
    FillRequest,
    FillResponse,
    PreviewRequest,
    PreviewResponse,
)
from components.contracts.messages import (
    BasketDiscount,
    BasketItem,
    BasketOffersRequest,
    BasketResponse,
    BasketSetRequest,
    EventsRequest,
    EventsResponse,
    ExplainRequest,
    ExplainResponse,
    ForgetResponse,
    HealthResponse,
    Message,
    ProductsRequest,
    ProductsResponse,
    PromotionsResponse,
    RatingRequest,
    RatingResponse,
    Reason,
    RecentEvent,
    RecommendRequest,
    RecommendResponse,
    RejectedEvent,
    ScoredProduct,
    SearchRequest,
    SearchResponse,
    SimilarRequest,
    SuggestRequest,
    SuggestResponse,
    ToolRequest,
    TurnRequest,
    TurnResponse,
    VisitorResponse,
)
from components.contracts.records import (
    INTERACTION_KINDS,
    BasketAdd,
    BasketRemove,
    Click,
    Event,
    Impression,
    Product,
    ProductChanged,
    Purchase,
    Query,
    SearchMade,
    SlateShown,
)
from components.data.words import stems
from components.recommend.slate import POLICY_KEYS, policy_of
from components.state.searches import SearchState
from components.state.store import Store, memory_of

logger = logging.getLogger(__name__)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
RECENT_LIMIT = 200
HABITS_SECONDS = 5.0
OVERLAP = timedelta(seconds=60)  # a slow writer's products may carry an earlier time
LIKELY_OFFER = 0.02  # ten times what offers are used on average
NO_RATINGS = 3.0  # the middle of the scale, said as such
EVENT_KINDS = (*INTERACTION_KINDS, "product_changed", "search", "slate_shown")
_KINDS = {
    "click": Click,
    "basket_add": BasketAdd,
    "basket_remove": BasketRemove,
    "purchase": Purchase,
    "rating": Click,  # stars are not told: it shows interest and no more
}


class Shop:
    """One process's shop: the engines in service, the state, and the shop's time."""

    def __init__(self, layout: Layout, *, store: Store | None = None, follow: bool = True) -> None:
        """Open the state, load the release, and begin to follow the registry.

        Raises:
            ServiceError: there is nothing to serve.
            StateError: the state cannot be opened.
            ArtefactError: the release is altered or half-written.
        """
        self.layout = layout
        self.params = serve_params(layout)
        self.store = store or Store(state_url(layout, self.params))
        self.searches = SearchState(self.store)
        self._habits_of: dict[str, tuple[float, list[str], dict[str, float]]] = {}
        self.journal = Journal(self.store)
        self.merchandising = Merchandising(self.store)
        self.started = time.monotonic()
        self._language_model = _language_model()
        self._locks: OrderedDict[str, threading.Lock] = OrderedDict()
        self._locks_lock = threading.Lock()
        self._shared_from = datetime.now(UTC)
        self._is_alone = int(os.environ.get("SHELFWISE_WORKERS", "1")) == 1
        self.trials = Trials(layout, self.store, promote_params(layout))
        self.current = Current(layout, prepare=self._prepare, tick=self._tick)
        if follow:
            self.current.start()

    def close(self) -> None:
        """Stop following, write the journal to its end, close the state."""
        self.current.stop()
        self.journal.close()
        self.store.close()

    def _tick(self) -> None:
        """Take over what other workers were sent, and look at the release on trial."""
        if not self._is_alone:
            self._share()
        self.trials.tick(self.current.unloadable())

    # -- engines

    def _prepare(self, engines: Engines) -> Engines:
        """Bring posted products into new engines and give them a clock and an assistant."""
        from components.assistant.assemble import assistant_of

        posted = self.store.products()
        if posted:
            _upsert(engines, posted)
        clock = clock_for(engines.data_end, self.params, self.store)
        engines.search.set_synonyms(self.searches.synonyms())
        engines.search.set_promoted(engines.offers.open_products(clock.now()))
        assistant = assistant_of(
            engines,
            self.store,
            release_id=engines.release_id,
            now=clock.now,
            recommend=cast(Any, _Guarded(engines.recommend, self.store)),
            language_model=self._language_model,
        )
        return replace(engines, extras={"clock": clock, "assistant": assistant})

    def _clock(self, engines: Engines) -> Clock:
        return engines.extras["clock"]

    # -- visitors

    def _known(self, visitor_id: str | None) -> str | None:
        """Return the visitor as the release may know him: a forgotten one is a stranger to it."""
        if visitor_id is not None and self.store.forgotten_at(visitor_id) is not None:
            return None
        return visitor_id

    def _recent(self, visitor_id: str | None) -> list[Event]:
        if visitor_id is None:
            return []
        return self.store.visitor_events(visitor_id, limit=RECENT_LIMIT, kinds=INTERACTION_KINDS)

    # -- lists of products

    @counted
    def search(self, request: SearchRequest) -> SearchResponse:
        """Answer a search; one page of it if a cursor is given."""
        engines = self.current.for_visitor(request.visitor_id)
        now = self._clock(engines).now()
        recent = self._recent(request.visitor_id)
        known = self._known(request.visitor_id)

        def liking(product_ids: Sequence[str]) -> Any:
            return engines.recommend.affinity(known, recent, product_ids, now=now)

        affinity = liking if known is not None or recent else None
        limit = min(request.limit, self.params.max_limit)
        page = self.merchandising.page(engines, "search", known, recent, now, query=request.query)
        arrange = self.merchandising.search_arrange(page)
        # A later page's order was found with the first page, and only that is logged.
        page.is_arranged = arrange is not None and request.cursor is not None
        result = engines.search.search(
            request.model_copy(update={"limit": limit}),
            affinity=affinity,
            arrange=arrange,
        )
        products = self._dressed(engines, result.products, request.visitor_id, now)
        slate_id = new_id("s")
        response = SearchResponse(
            request_id=new_id("r"),
            slate_id=slate_id,
            sponsored=self.merchandising.served(page, slate_id, products),
            model_version=engines.release_id,
            degraded=_together(engines.degraded, result.degraded),
            products=products,
            query=request.query,
            corrected_query=result.corrected_query,
            understood=result.understood,
            spans=result.spans,
            intent=result.intent,
            intent_confidence=result.intent_confidence,
            category=result.category,
            category_confidence=result.category_confidence,
            total=result.total,
            facets=result.facets,
            relaxations=result.relaxations,
            relaxed=result.relaxed,
            cursor=result.cursor,
        )
        query = Query(query_id=response.request_id, text=request.query)
        self._log(
            "search", request, response, engines, recent, surface="search", now=now, query=query,
            inputs=_inputs(page), propensities=(1.0,) * len(products),  # nothing is drawn here
        )  # fmt: skip
        return response

    def suggest(self, request: SuggestRequest) -> SuggestResponse:
        """Complete what is being typed. Not logged: it is asked at every key."""
        engines = self.current.for_visitor(request.visitor_id)
        known = self._known(request.visitor_id)
        own, liked = self._habits(engines, known)
        found = engines.search.suggest(
            request.prefix, visitor_id=known, limit=request.limit, own=own, liked=liked
        )
        return SuggestResponse(suggestions=tuple(found))

    def _habits(
        self, engines: Engines, visitor_id: str | None
    ) -> tuple[list[str], dict[str, float]]:
        """Return a visitor's own past queries, newest first, and the kinds of thing he looks at.

        Kept some seconds, since a person's next key asks for the same.
        """
        if visitor_id is None:
            return [], {}
        kept = self._habits_of.get(visitor_id)
        now = time.monotonic()
        if kept is not None and now - kept[0] < HABITS_SECONDS:
            return kept[1], kept[2]
        past = self.store.visitor_events(visitor_id, limit=50, kinds=("search",))
        own = [e.query.text for e in reversed(past) if isinstance(e, SearchMade)]
        weights: Counter[str] = Counter()
        for event in self._recent(visitor_id):
            product = engines.catalogue.products.get(getattr(event, "product_id", ""))
            if product is not None:
                weights.update(set(stems(f"{product.type or ''} {product.brand or ''}")))
        most = max(weights.values(), default=1)
        liked = {word: count / most for word, count in weights.items()}
        if len(self._habits_of) > 1000:
            self._habits_of.clear()
        self._habits_of[visitor_id] = (now, own, liked)
        return own, liked

    @counted
    def recommend(self, request: RecommendRequest) -> RecommendResponse:
        """Answer with a slate for a visitor, known or not."""
        engines = self.current.for_visitor(request.visitor_id)
        now = self._clock(engines).now()
        recent = self._recent(request.visitor_id)
        told = _as_events(request.recent, request.visitor_id or "anonymous", now)
        known, events = self._known(request.visitor_id), [*recent, *told]
        page = self.merchandising.page(engines, request.surface, known, events, now)
        limit = min(request.limit, self.params.max_limit)
        segment, shares = "", dict[str, float]()
        if request.surface == "popular":
            segment, shares = self.merchandising.popular(engines, known, events)
        slate = engines.recommend.recommend(
            known,
            events,
            now=now,
            limit=limit,
            surface=request.surface,
            filters=request.filters,
            rules=self.merchandising.slate_rules(page),
            also={*self.merchandising.wanted(page), *list(shares)[: 3 * limit]},
            policy=policy_of(self.params),
        )
        shown: Sequence[ScoredProduct] = slate.products
        if shares:
            shown = _most_popular([*slate.products, *slate.also], shares, segment, limit)
            page.is_arranged = True
        shown = self.merchandising.arrange_slate(page, shown, slate.also, limit)
        chances = dict(
            zip((p.product_id for p in slate.products), slate.propensities, strict=False)
        )
        products = self._dressed(engines, shown, request.visitor_id, now)
        slate_id = new_id("s")
        response = RecommendResponse(
            request_id=new_id("r"),
            slate_id=slate_id,
            model_version=engines.release_id,
            degraded=_together(engines.degraded, slate.degraded),
            products=products,
            sponsored=self.merchandising.served(page, slate_id, products),
            surface=request.surface,
        )
        self._log(
            "recommend", request, response, engines, recent, surface=request.surface, now=now,
            propensities=tuple(chances.get(p.product_id, 1.0) for p in products),
            inputs={
                "policy": self.params.model_dump(include=set(POLICY_KEYS)), **_inputs(page),
            },
        )  # fmt: skip
        return response

    @counted
    def similar(self, request: SimilarRequest) -> RecommendResponse:
        """Answer with products like a given one.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        engines = self.current.for_visitor(request.visitor_id)
        engines.catalogue.get(request.product_id)
        now = self._clock(engines).now()
        slate = engines.recommend.similar(
            request.product_id, limit=min(request.limit, self.params.max_limit)
        )
        response = RecommendResponse(
            request_id=new_id("r"),
            slate_id=new_id("s"),
            model_version=engines.release_id,
            degraded=_together(engines.degraded, slate.degraded),
            products=self._dressed(engines, slate.products, request.visitor_id, now),
            surface="similar",
        )
        self._log("similar", request, response, engines, (), surface="similar", now=now)
        return response

    def _dressed(
        self,
        engines: Engines,
        products: Iterable[ScoredProduct],
        visitor_id: str | None,
        now: datetime,
    ) -> tuple[ScoredProduct, ...]:
        """Add the offers that this visitor may use."""
        dressed = []
        for product in products:
            offers = engines.shown_offers.of_product(product.product_id, visitor_id, now)
            if offers and not product.offers:
                product = product.model_copy(update={"offers": tuple(o.title for o in offers[:3])})
            dressed.append(product)
        return tuple(dressed)

    def _log(
        self,
        endpoint: str,
        request: Message,
        response: Any,
        engines: Engines,
        recent: Sequence[Event],
        *,
        surface: str = "",
        now: datetime,
        query: Query | None = None,
        inputs: Mapping[str, Any] | None = None,
        propensities: Sequence[float] = (),
    ) -> None:
        visitor_id = getattr(request, "visitor_id", None)
        events: list[Event] = []
        if visitor_id is not None and surface:
            slate_id = response.slate_id
            about = {"at": now, "visitor_id": visitor_id, "slate_id": slate_id}
            if query is not None:
                events.append(SearchMade(event_id=f"{slate_id}:q", query=query, **about))
            events.append(
                SlateShown(
                    event_id=slate_id,
                    surface=surface,
                    query_id=query.query_id if query else None,
                    model_version=engines.release_id,
                    impressions=tuple(
                        Impression(product_id=p.product_id, rank=p.rank, propensity=chance)
                        for p, chance in zip_longest(response.products, propensities)
                    ),
                    **about,
                )
            )
        self.journal.add(
            {
                "request_id": response.request_id,
                "endpoint": endpoint,
                "request": {**request.model_dump(mode="json"), **(inputs or {})},
                "response": response.model_dump(mode="json"),
                "model_version": engines.release_id,
                "at": now,
                "slate_id": getattr(response, "slate_id", None),
                "visitor_id": visitor_id,
                "recent": [event.event_id for event in recent],
            },
            events,
        )

    # -- products, offers, reasons, ratings

    def product(self, product_id: str) -> Product:
        """Return a product.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        return self.current.champion.catalogue.get(product_id)

    def upsert(self, request: ProductsRequest) -> ProductsResponse:
        """Take new or changed products; they are kept, searchable and rankable on return."""
        products = list(request.products)
        with self.current.lock:
            self.store.products_put(products)
            for engines in self.current.all():
                _upsert(engines, products)
            champion = self.current.champion
        return ProductsResponse(
            request_id=new_id("r"), model_version=champion.release_id, accepted=len(products)
        )

    def _share(self) -> None:
        """Take over products that another worker was sent, and synonyms decided there."""
        now = datetime.now(UTC)
        posted = self.store.products(since=self._shared_from - OVERLAP)
        with self.current.lock:
            for engines in self.current.all():
                engines.search.set_synonyms(self.searches.synonyms())
                held = engines.catalogue.products
                fresh = [p for p in posted if held.get(p.product_id) != p]
                if fresh:
                    _upsert(engines, fresh)
        self._shared_from = now

    def promotions(self, visitor_id: str | None, limit: int) -> PromotionsResponse:
        """Return the offers a visitor may use now; those on what he buys come first."""
        engines = self.current.for_visitor(visitor_id)
        now = self._clock(engines).now()
        offers = engines.shown_offers.in_force(visitor_id, now)
        if visitor_id is not None:
            used = self.store.redeemed(visitor_id)
            offers = [o for o in offers if o.promotion_id not in used]
        scores = self.merchandising.offer_scores(
            engines, self._known(visitor_id), self._recent(visitor_id),
            [o.promotion_id for o in offers], now,
        )  # fmt: skip
        if scores:
            offers = [_scored_offer(o, scores.get(o.promotion_id), engines) for o in offers]
            offers.sort(
                key=lambda o: (-(o.redeem_probability or 0.0), o.ends_at or "", o.promotion_id)
            )
        elif visitor_id is not None and offers:
            known, recent = self._known(visitor_id), self._recent(visitor_id)
            held = sorted(
                {p for o in offers for p in o.product_ids if p in engines.catalogue.index}
            )
            if held:
                found = engines.recommend.affinity(known, recent, held, now=now)
                liking = dict(zip(held, (float(score) for score in found), strict=True))

                def best(offer: Any) -> float:
                    return max((liking.get(p, 0.0) for p in offer.product_ids), default=0.0)

                offers = sorted(offers, key=lambda o: (-best(o), o.ends_at or "", o.promotion_id))
        return PromotionsResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            promotions=tuple(offers[:limit]),
            degraded=engines.degraded,
        )

    @counted
    def explain(self, request: ExplainRequest) -> ExplainResponse:
        """Say why a product stands where it stands for a visitor.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        engines = self.current.for_visitor(request.visitor_id)
        engines.catalogue.get(request.product_id)
        recent, now = self._recent(request.visitor_id), self._clock(engines).now()
        reasons = engines.recommend.explain(
            self._known(request.visitor_id), request.product_id, recent, now=now
        )
        response = ExplainResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            product_id=request.product_id,
            reasons=tuple(reasons),
            degraded=engines.degraded,
        )
        self._log("explain", request, response, engines, recent, now=now)
        return response

    def rating(self, request: RatingRequest) -> RatingResponse:
        """Foretell the stars a visitor would give, or read them from a review's text.

        Raises:
            UnknownProductError: the catalogue does not hold the product.
        """
        engines = self.current.for_visitor(request.visitor_id)
        product = engines.catalogue.get(request.product_id)
        model, read = engines.ratings, None
        if model is not None and request.text:
            read = model.predict_text(request.text)
        degraded: tuple[str, ...] = ()
        if read is not None:
            rating, basis = read, "the review's words"
        elif model is not None:
            rating = model.predict(self._known(request.visitor_id), request.product_id)
            basis = "the visitor's and the product's earlier ratings"
        else:
            rating = product.rating or NO_RATINGS
            basis = "the product's mean" if product.rating else "no ratings are known"
            degraded = ("ratings",)
        return RatingResponse(
            request_id=new_id("r"),
            model_version=engines.release_id,
            product_id=request.product_id,
            rating=min(5.0, max(1.0, float(rating))),
            basis=basis,
            degraded=_together(engines.degraded, degraded),
        )

    # -- events

    def events(self, request: EventsRequest, *, only_visitor: str | None = None) -> EventsResponse:
        """Take events one by one; the accepted ones are on the disk on return."""
        clock = self._clock(self.current.champion)
        rejected: list[RejectedEvent] = []
        taken: list[Event] = []
        for index, raw in enumerate(request.events):
            event = _event_of(raw, clock, only_visitor)
            if isinstance(event, str):
                rejected.append(RejectedEvent(index=index, reason=event))
            else:
                taken.append(event)
        accepted, duplicates = self.store.append_events(taken)
        new = set(accepted)
        self.merchandising.observed([e for e in taken if e.event_id in new])
        changed = [e.product for e in taken if isinstance(e, ProductChanged) and e.event_id in new]
        if changed:
            self.upsert(ProductsRequest(products=tuple(changed)))
        return EventsResponse(
            accepted=len(accepted), duplicates=len(duplicates), rejected=tuple(rejected)
        )

    # -- basket

    def basket(self, visitor_id: str) -> BasketResponse:
        """Return a visitor's basket with today's prices."""
        engines = self.current.for_visitor(visitor_id)
        items = []
        for line in self.store.basket(visitor_id):
            try:
                product = engines.catalogue.get(line.product_id)
            except UnknownProductError:
                items.append(
                    BasketItem(
                        product_id=line.product_id,
                        variant_id=line.variant_id,
                        quantity=line.quantity,
                        title=line.product_id,
                        available=False,
                    )
                )
                continue
            items.append(_item(product, line.variant_id, line.quantity))
        till = self._till(visitor_id)
        lines = [
            PricedLine(item.product_id, item.quantity, item.price_minor)
            for item in items
            if item.price_minor is not None
        ]
        bill, best = till.bill(lines), till.best(lines)
        titles = {o.promotion_id: o.title for o in till.offers.all}
        more = best.discount_minor - bill.discount_minor
        on = {promotion_id for promotion_id, _, _ in bill.used}

        def told(used: Sequence[tuple[str, str, int]]) -> tuple[BasketDiscount, ...]:
            return tuple(
                BasketDiscount(promotion_id=i, product_id=p, title=titles[i], amount_minor=minor)
                for i, p, minor in used
            )

        return BasketResponse(
            request_id=new_id("r"),
            visitor_id=visitor_id,
            items=tuple(items),
            subtotal_minor=bill.gross_minor,
            discounts=told(bill.used),
            usable=told([u for u in best.used if u[0] not in on]) if more else (),
            usable_saving_minor=more,
            total_minor=bill.total_minor,
            currency=engines.currency,
        )

    def _till(self, visitor_id: str) -> Till:
        engines = self.current.for_visitor(visitor_id)
        return Till(self.store, engines.offers, visitor_id, self._clock(engines).now())

    def basket_offers(self, visitor_id: str, request: BasketOffersRequest) -> BasketResponse:
        """Make the basket use exactly these offers, or the best choice of all where none is named.

        Raises:
            RefusalError: an offer does not run for this visitor, or was used (409).
        """
        till = self._till(visitor_id)
        with self.store.together():
            if request.promotion_ids is None:
                lines = [
                    PricedLine(item.product_id, item.quantity, item.price_minor)
                    for item in self.basket(visitor_id).items
                    if item.price_minor is not None
                ]
                wanted = {i for i, _, _ in till.best(lines).used}
            else:
                wanted = set(request.promotion_ids)
                usable = {o.promotion_id for o in till.usable()}
                if wrong := sorted(wanted - usable):
                    raise RefusalError(
                        409, f"offer {wrong[0]!r} does not run for this visitor, or was used."
                    )
            till.take_off(set(self.store.basket_offers(visitor_id)) - wanted)
            till.apply(wanted)
        return self.basket(visitor_id)

    def basket_set(self, visitor_id: str, request: BasketSetRequest) -> BasketResponse:
        """Make the basket hold exactly so many; the change is an event like any other.

        Raises:
            UnknownProductError: the catalogue holds no such product or variant.
        """
        engines = self.current.for_visitor(visitor_id)
        product = engines.catalogue.get(request.product_id) if request.quantity else None
        variants = {v.variant_id for v in product.variants} if product else set()
        if product and request.variant_id is not None and request.variant_id not in variants:
            raise UnknownProductError(
                f"product {request.product_id!r} has no variant {request.variant_id!r}."
            )
        now = self._clock(engines).now()
        with self.store.together():
            before = {
                (line.product_id, line.variant_id): line.quantity
                for line in self.store.basket(visitor_id)
            }.get((request.product_id, request.variant_id), 0)
            self.store.basket_set(
                visitor_id, request.product_id, request.variant_id, request.quantity
            )
            change = request.quantity - before
            about = {
                "event_id": new_id("e"),
                "at": now,
                "visitor_id": visitor_id,
                "product_id": request.product_id,
                "variant_id": request.variant_id,
                "slate_id": request.slate_id,
            }
            if change > 0:
                added = BasketAdd(quantity=change, **about)
                self.store.append_events([added])
                self.merchandising.observed([added])
            elif change < 0 and request.quantity == 0:
                self.store.append_events([BasketRemove(**about)])
        return self.basket(visitor_id)

    def basket_clear(self, visitor_id: str) -> BasketResponse:
        """Empty the basket."""
        self.store.basket_clear(visitor_id)
        return self.basket(visitor_id)

    # -- assistant

    @counted
    def turn(
        self, request: TurnRequest, *, say: Callable[[str], None] | None = None
    ) -> TurnResponse:
        """Answer one turn of a dialogue; turns of one session are answered one after another.

        `say` is told the reply as soon as its words are known.
        """
        engines = self.current.for_visitor(request.visitor_id)
        with self._turn_lock(f"{request.visitor_id}\n{request.session_id}"):
            records = read_once(self.store)
            with self.store.snapshot():
                before: dict[str, Any] = {
                    "session": records.session(request.session_id, request.visitor_id),
                    "memory": memory_of(records, request.visitor_id),
                }
            recent, now = self._recent(request.visitor_id), self._clock(engines).now()
            places = self._places(engines, request.visitor_id, recent, now)
            assistant = engines.extras["assistant"]
            response: TurnResponse = assistant.turn(
                request, places=places, say=say, records=records
            )
        if places is not None and places.hand:
            before["hand"] = places.hand
        self._log("turn", request, response, engines, recent, now=now, inputs=before)
        return response

    def _places(
        self, engines: Engines, visitor_id: str, recent: Sequence[Event], now: datetime
    ) -> TurnPlaces | None:
        """Return the shop's say in a turn's lists; None where it has none."""
        held = self.merchandising.held()
        if not held.rules and not held.ledger.campaigns:
            return None
        known = self._known(visitor_id)
        return TurnPlaces(self.merchandising, engines, known, recent, now)

    def call(self, name: str, request: ToolRequest) -> TurnResponse:
        """Run one tool for one visitor, with the checks of a spoken command.

        Raises:
            ToolError: no such tool, or arguments that do not fit.
        """
        engines = self.current.for_visitor(request.visitor_id)
        recent, now = self._recent(request.visitor_id), self._clock(engines).now()
        with self._turn_lock(f"{request.visitor_id}\n{request.session_id}"):
            response: TurnResponse = engines.extras["assistant"].call(
                name,
                request.arguments,
                visitor_id=request.visitor_id,
                session_id=request.session_id,
                places=self._places(engines, request.visitor_id, recent, now),
            )
        self._log(f"tool {name}", request, response, engines, recent, now=now)
        return response

    def _turn_lock(self, name: str) -> threading.Lock:
        with self._locks_lock:
            lock = self._locks.pop(name, None) or threading.Lock()
            self._locks[name] = lock
            while len(self._locks) > 10_000:
                oldest, held = next(iter(self._locks.items()))
                if held.locked():
                    break
                del self._locks[oldest]
            return lock

    # -- visitors

    def visitors(self, limit: int) -> list[str]:
        """Return some visitors whom the release knows, spread over all of them."""
        store = self.current.champion.recommend.history_store
        known = [] if store is None else [v for v in store.visitor_ids if self._known(v)]
        step = max(1, len(known) // max(1, limit))
        return known[::step][:limit]

    def visitor(self, visitor_id: str) -> VisitorResponse:
        """Return everything kept about a visitor."""
        self.journal.flush(2.0)
        engines = self.current.for_visitor(visitor_id)
        known = self._known(visitor_id)
        history = list(engines.recommend.history(known)) if known is not None else []
        kept = self.store.export(visitor_id)
        return VisitorResponse(
            request_id=new_id("r"),
            known_purchases=len(history),
            habits=_habits(history, engines),
            **kept,
        )

    def forget(self, visitor_id: str, *, by: str) -> ForgetResponse:
        """Remove a visitor from the state; releases and raw data know the tombstone from now on."""
        self.journal.flush()
        receipt = self.store.forget(visitor_id)
        self.store.audit(by, "forget", receipt.digest, receipt_id=receipt.receipt_id)
        return ForgetResponse(
            request_id=new_id("r"),
            receipt_id=receipt.receipt_id,
            digest=receipt.digest,
            at=receipt.at.isoformat(),
            removed=receipt.removed,
        )

    # -- the commercial team

    def now(self) -> datetime:
        """Return the shop's time."""
        return self._clock(self.current.champion).now()

    def preview(self, request: PreviewRequest) -> PreviewResponse:
        """Say what drafts of rules would change."""
        engines = self.current.champion
        return self.merchandising.preview(engines, request, self.now(), self._recent)

    def fill(self, request: FillRequest) -> FillResponse:
        """Fill a basket within a budget.

        Raises:
            UnknownProductError: a product that must be in is not in the catalogue.
        """
        engines = self.current.for_visitor(request.visitor_id)
        known = request.model_copy(update={"visitor_id": self._known(request.visitor_id)})
        recent = self._recent(request.visitor_id)
        return self.merchandising.fill(engines, known, recent, self._clock(engines).now())

    def feed(self, visitor_id: str | None, limit: int) -> FeedResponse:
        """Return what other shoppers say; empty where the release holds no reviews."""
        engines = self.current.for_visitor(visitor_id)
        return self.merchandising.feed(
            engines, self._known(visitor_id), self._recent(visitor_id),
            self._clock(engines).now(), limit,
        )  # fmt: skip

    # -- probes

    def health(self) -> HealthResponse:
        """Return what serves; asks the state.

        Raises:
            StateError: the state does not answer.
        """
        self.store.ping()
        engines = self.current.champion
        clock = self._clock(engines)
        degraded = list(engines.degraded)
        if self.current.failed_swaps:
            degraded.append("champion")
        if self.journal.dropped:
            degraded.append("journal")
        return HealthResponse(
            status="degraded" if degraded else "ok",
            model_version=engines.release_id,
            products=len(engines.catalogue),
            clock=clock.kind,
            now=clock.now().isoformat(),
            degraded=tuple(degraded),
        )


def _inputs(page: Page) -> dict[str, Any]:
    """Return what a replay must know of a page: what more than the engines did to it."""
    if page.is_arranged:
        return {"arranged": True}
    return {"hand": page.hand} if page.hand else {}


def _scored_offer(offer: Any, score: tuple[float, float] | None, engines: Engines) -> Any:
    """Return an offer with its chance of a use, and what that is expected to save."""
    if score is None:
        return offer
    chance, uplift = score
    saving = saving_of(offer.mechanics, engines, offer.product_ids)
    return offer.model_copy(
        update={
            "redeem_probability": chance, "uplift": uplift,
            "expected_saving_minor": chance * saving,
            "reason": "you are likely to use it" if chance >= LIKELY_OFFER else None,
        }
    )  # fmt: skip


def _most_popular(
    cards: Sequence[ScoredProduct], shares: Mapping[str, float], segment: str, limit: int
) -> list[ScoredProduct]:
    """Return the best sellers of a visitor's segment, with that as their reason."""
    known = [c for c in {c.product_id: c for c in cards}.values() if c.product_id in shares]
    best = sorted(known, key=lambda c: (-shares[c.product_id], c.product_id))[:limit]
    reason = Reason(kind="segment", text=f"Popular among people like you: {segment}")
    return [
        c.model_copy(
            update={
                "rank": rank, "score": shares[c.product_id], "reasons": (reason,),
                "origin": ("popularity", "segment"),
            }
        )
        for rank, c in enumerate(best, start=1)
    ]  # fmt: skip


class _Guarded:
    """The recommender as the assistant sees it: a forgotten visitor has no history in it."""

    def __init__(self, engine: Any, store: Store) -> None:
        self._engine = engine
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _known(self, visitor_id: str | None) -> str | None:
        if visitor_id is None or self._store.forgotten_at(visitor_id) is not None:
            return None
        return visitor_id

    def recommend(self, visitor_id: str | None, recent: Sequence[Event], **options: Any) -> Any:
        return self._engine.recommend(self._known(visitor_id), recent, **options)

    def explain(
        self, visitor_id: str | None, product_id: str, recent: Sequence[Event], **options: Any
    ) -> Any:
        return self._engine.explain(self._known(visitor_id), product_id, recent, **options)

    def affinity(
        self,
        visitor_id: str | None,
        recent: Sequence[Event],
        product_ids: Sequence[str],
        **options: Any,
    ) -> Any:
        return self._engine.affinity(self._known(visitor_id), recent, product_ids, **options)

    def affinities(self, visitor_id: str | None, recent: Sequence[Event], **options: Any) -> Any:
        return self._engine.affinities(self._known(visitor_id), recent, **options)

    def history(self, visitor_id: str) -> list[Any]:
        known = self._known(visitor_id)
        return [] if known is None else self._engine.history(known)


def _language_model() -> Any:
    """Return the optional language model that SHELFWISE_LLM_URL names, or None."""
    from components.assistant.llm import LanguageModel, settings_from_environment

    settings = settings_from_environment()
    return None if settings is None else LanguageModel(settings)


def _upsert(engines: Engines, products: Sequence[Product]) -> None:
    engines.search.upsert(products)  # writes to the catalogue that both engines share
    engines.recommend.upsert(products)


def _together(*parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part))


def _as_events(recent: Sequence[RecentEvent], visitor_id: str, now: datetime) -> list[Event]:
    events: list[Event] = []
    for number, item in enumerate(recent):
        about: dict[str, Any] = {
            "event_id": f"told-{number}",
            "at": now,
            "visitor_id": visitor_id,
            "product_id": item.product_id,
        }
        events.append(_KINDS[item.kind](**about))
    return events


def _event_of(raw: Mapping[str, Any], clock: Clock, only_visitor: str | None) -> Event | str:
    """Return an event in the shop's time, or why it is rejected."""
    stamped = dict(raw)
    stamped.setdefault("at", clock.now().isoformat())
    try:
        event = _EVENT.validate_python(stamped)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in EVENT_KINDS)
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        return reason.encode("utf-8", "replace").decode()[:300]
    if only_visitor is not None and event.visitor_id != only_visitor:
        return "visitor_id: this key sees one visitor only, and it is another one"
    if only_visitor is not None and isinstance(event, ProductChanged):
        return "kind: a visitor's key cannot change products"
    at = clock.place(event.at)
    if at is None:
        return "at: lies in the future"
    return event.model_copy(update={"at": at})


def _item(product: Product, variant_id: str | None, quantity: int) -> BasketItem:
    variant = next((v for v in product.variants if v.variant_id == variant_id), None)
    price = variant.price_minor if variant else product.price_minor
    stock = variant.stock if variant else None
    return BasketItem(
        product_id=product.product_id,
        variant_id=variant_id,
        quantity=quantity,
        title=product.title,
        price_minor=price,
        list_price_minor=variant.list_price_minor if variant else product.list_price_minor,
        total_minor=None if price is None else price * quantity,
        available=product.available and stock != 0,
        stock=stock,
    )


def _habits(history: Sequence[Any], engines: Engines, *, limit: int = 12) -> tuple[str, ...]:
    """Return the titles of what a visitor bought most often in the release's data."""
    counts: dict[str, int] = {}
    for item in history:
        counts[item.product_id] = counts.get(item.product_id, 0) + 1
    ranked = sorted(counts, key=lambda p: (-counts[p], p))
    products = engines.catalogue.products
    return tuple(products[p].title for p in ranked if p in products)[:limit]
