"""`Assistant`: one message in, one answer out.

Understanding gives typed commands; the executor runs them; words are made from results; claims are
checked against the live catalogue before anything is sent. Whose turn it is comes from the
request's
ids, never from its words. A repeated request is answered again, not applied again.
"""

import functools
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from components.assistant.claims import ClaimBook, stale, unstated_money
from components.assistant.context import Context
from components.assistant.executor import Executor, Tools, bought_of
from components.assistant.grounding import Lexicon
from components.assistant.language import gloss, is_chinese
from components.assistant.meaning import Meaning
from components.assistant.offers import Offers, is_reduced
from components.assistant.parser import CommandParser, Parse
from components.assistant.places import Places
from components.assistant.records import read_once
from components.assistant.replies import Writer
from components.assistant.results import Item, Result
from components.assistant.safety import safe_title
from components.assistant.sentiment import Sentiment
from components.assistant.shelf import Shelf
from components.assistant.state import DialogueState, public_constraints
from components.assistant.tools import command_of
from components.contracts.messages import (
    Claim,
    Confirmation,
    ExecutedCommand,
    Filters,
    Reason,
    ScoredProduct,
    SearchRequest,
    TurnRequest,
    TurnResponse,
)
from components.contracts.records import Click, Product, Purchase, Review
from components.data.catalogue import Catalogue
from components.recommend.engine import RecommendEngine
from components.search.engine import SearchEngine
from components.state.store import Store

logger = logging.getLogger(__name__)
MAX_PRODUCTS = 12
_LOCKS = 1024
_HISTORY = ("purchase", "click")


class Assistant:
    """The shopping assistant over one catalogue; safe to call from several threads."""

    def __init__(
        self,
        catalogue: Catalogue,
        search: SearchEngine | None,
        recommend: RecommendEngine | None,
        store: Store,
        *,
        model_version: str = "",
        currency: str = "USD",
        rates: Mapping[str, str | float | Decimal] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        offers: Offers | None = None,
        reviews: Callable[[str], Sequence[Review]] = lambda product_id: (),
        classify: Callable[[str], tuple[str, float]] | None = None,
        language_model: Any = None,
        encode: Callable[[Sequence[str]], Any] | None = None,
        sentiment: Sentiment | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            catalogue: the live catalogue; changes are seen in the next turn.
            search: finds products near words that no structured field explains; None = popularity.
            recommend: personal scores and the release's history; None = popularity.
            store: baskets, sessions, orders, preferences.
            model_version: named in each answer.
            currency: the shop's ISO currency.
            rates: units of other currencies per 1 of the shop's.
            now: the service's clock.
            offers: promotions with dates and audiences.
            reviews: product id to its reviews.
            classify: glossed text to (intent, probability), for what the rules do not cover.
            encode: texts to unit vectors, for words the catalogue does not know; that of `search`
                by default, none if it has none.
            sentiment: reads what reviews say; None = their stars and a list of aspects.
            language_model: a `components.assistant.llm.LanguageModel`; None = what the environment
                names, if anything.
        """
        self.catalogue = catalogue
        self.store = store
        self.model_version = model_version
        self.currency = currency
        self._now = now
        self._search = search
        self._recommend = recommend
        self._offers = offers or Offers()
        self._reviews = reviews
        self._sentiment = sentiment
        self._model = language_model or model_from_environment()
        self._parser = CommandParser(classify)
        self._lexicon = Lexicon(currency=currency, rates=dict(rates or {}))
        encoder = getattr(search, "encoder", None)
        if encode is None and encoder is not None:
            encode = encoder.encode
        self._meaning = Meaning(encode)
        self._lexicon.meaning = self._meaning
        self._shelf = Shelf(
            catalogue,
            meaning=self._meaning,
            rank_text=self._rank if search is not None else None,
            on_change=self._lexicon.add,
            popularity_of=self._popularity,
        )
        self._catalogue_lock = threading.Lock()
        self._locks: OrderedDict[str, threading.Lock] = OrderedDict()
        self._locks_lock = threading.Lock()
        self._shelf.refresh()
        if encoder is not None and search is not None:
            self._meaning.learn(search.head_vectors, self._lexicon.types | self._lexicon.categories)
        self._reduced = self._reduced_now()

    # -- one turn

    def turn(
        self,
        request: TurnRequest,
        *,
        places: Places | None = None,
        say: Callable[[str], None] | None = None,
        records: Store | None = None,
    ) -> TurnResponse:
        """Answer one message of a visitor.

        A request id that this session already sent gets the answer it got, and nothing is done.
        With `places` the shop's rules and paid places act in the lists.

        Args:
            request: the message, and whose it is.
            places: the shop's rules and paid places.
            say: told the reply as soon as it is worded and checked, before the rest is made.
            records: the store by `read_once`, where the caller has begun to read this turn's.

        Raises:
            StateError: the store cannot be read or written.
        """
        with self._lock(f"{request.visitor_id}\n{request.session_id}"):
            if request.request_id is not None:
                known = self.store.answered(
                    request.session_id, request.request_id, visitor_id=request.visitor_id
                )
                if known is not None:
                    return TurnResponse.model_validate(known)
            response = self._answer(request, places, say, records)
            if request.request_id is not None:
                self.store.answer_put(
                    request.session_id,
                    request.request_id,
                    response.model_dump(mode="json"),
                    visitor_id=request.visitor_id,
                )
            return response

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        visitor_id: str,
        session_id: str,
        places: Places | None = None,
    ) -> TurnResponse:
        """Run one tool for a visitor, as a turn of the session without words.

        Raises:
            ToolError: unknown tool, or arguments that its schema refuses.
        """
        command = command_of(name, arguments)
        request = TurnRequest(session_id=session_id, visitor_id=visitor_id)
        with self._lock(f"{visitor_id}\n{session_id}"):
            context = self.context(request, places)
            return self._run(request, context, Parse((command,)), ())

    def _lock(self, name: str) -> threading.Lock:
        with self._locks_lock:
            lock = self._locks.setdefault(name, threading.Lock())
            self._locks.move_to_end(name)
            while len(self._locks) > _LOCKS and not next(iter(self._locks.values())).locked():
                self._locks.popitem(last=False)
            return lock

    def _answer(
        self,
        request: TurnRequest,
        places: Places | None,
        say: Callable[[str], None] | None,
        records: Store | None,
    ) -> TurnResponse:
        context = self.context(request, places, records)
        degraded: list[str] = []
        parse = None
        if self._model is not None and request.confirm_id is None:
            parse = self._model.parse(context)
            if parse is None:
                degraded.append("llm")
        if parse is None:
            parse = self._parser.parse(context, confirm_id=request.confirm_id)
        return self._run(request, context, parse, tuple(degraded), say)

    def _run(
        self,
        request: TurnRequest,
        context: Context,
        parse: Parse,
        degraded: tuple[str, ...],
        say: Callable[[str], None] | None = None,
    ) -> TurnResponse:
        records = context.records
        tools = Tools(records, self._recommend, self._offers, self._reviews, self._sentiment)
        executor = Executor(tools, context, request.session_id)
        results = [
            self._facts(executor.run(command), parse, context) for command in parse.commands[:8]
        ]
        state = executor.finish(results[-1].outcome if results else "")
        reply, claims = self._words(results, context)
        phrased_by = "templates"
        asks_consent = any(r.confirmation_id is not None for r in results)  # to these very words
        is_paid = any(i.hit.sponsored for r in results for i in r.products)  # said as it is
        if self._model is not None and not degraded and not asks_consent and not is_paid:
            said = self._model.rephrase(reply, claims, context.locale)
            if said is not None and not unstated_money(said, claims, self.currency):
                reply, phrased_by = said, "llm"
            elif self._model.settings.rephrase:
                degraded = (*degraded, "llm_words")
        if say is not None:
            say(reply)
        self.store.session_put(
            request.session_id, request.visitor_id, state.model_dump(mode="json")
        )
        response = self._response(
            request, state, results, parse, reply, claims, degraded, phrased_by, records
        )
        if context.places is None:
            return response
        slate_id, paid = context.places.shown(response.products)
        return response.model_copy(update={"slate_id": slate_id, "sponsored": paid})

    def context(
        self, request: TurnRequest, places: Places | None = None, records: Store | None = None
    ) -> Context:
        """Read what the turn may look at, by the request's ids alone."""
        now = self._now()
        visitor = request.visitor_id
        promoted = functools.cache(lambda: self.promoted(now, visitor))
        with self._catalogue_lock:
            before = self._shelf.products
            self._shelf.refresh()
            if self._shelf.products is not before:
                self._reduced = self._reduced_now()
            text = gloss(request.message, self._lexicon.chinese)
            barred = places.barred(text) if places is not None else frozenset[str]()
            shelf = replace(self._shelf, promoted=promoted, barred=barred)
        records = records or read_once(self.store)
        with self.store.snapshot():
            saved = records.session(request.session_id, visitor)
            events = records.visitor_events(visitor, limit=500, kinds=_HISTORY)
            basket, wishlist = records.basket(visitor), records.wishlist(visitor)
            preferences, orders = records.preferences(visitor), records.orders(visitor)
            is_known = self._recommend is not None and records.forgotten_at(visitor) is None
        history = self._recommend.history(visitor) if self._recommend and is_known else []
        state = DialogueState.model_validate(saved) if saved else DialogueState()
        chinese = is_chinese(request.message)
        locale = (
            "zh"
            if chinese
            else "en"
            if any(ch.isalpha() for ch in request.message)
            else state.locale
        )
        state = state.model_copy(update={"turn": state.turn + 1, "locale": locale})
        bought = bought_of([*history, *(e for e in events if e.kind == "purchase")], orders, now)
        viewed = list(dict.fromkeys(e.product_id for e in events if isinstance(e, Click)))
        return Context(
            visitor_id=visitor,
            state=state,
            shelf=shelf,
            lexicon=self._lexicon,
            basket=basket,
            wishlist=wishlist,
            preferences=preferences,
            orders=orders,
            bought=bought,
            viewed=viewed,
            currency=self.currency,
            now=now,
            locale=locale,
            raw=request.message,
            text=text,
            records=records,
            places=places,
        )

    def _popularity(self, ids: Sequence[str]) -> dict[str, float]:
        """Return how much each product suits somebody unknown, in [0, 1]."""
        if self._recommend is None:
            return {}
        scores = self._recommend.affinity(None, [], ids, now=self._now())
        return {i: float(s) for i, s in zip(ids, scores, strict=True)}

    def _reduced_now(self) -> set[str]:
        return {i for i, p in self._shelf.products.items() if is_reduced(p)}

    def promoted(self, now: datetime, visitor_id: str) -> set[str]:
        """Return ids of products on offer now for this visitor."""
        running = self._offers.running(now, visitor_id)
        if self._offers:
            return running
        return self._reduced

    def _rank(self, text: str, filters: Filters, limit: int) -> list[str]:
        if self._search is None:
            return []
        found = self._search.search(
            SearchRequest(query=text[:200], filters=filters, limit=min(100, limit))
        )
        return [p.product_id for p in found.products]

    def _facts(self, result: Result, parse: Parse, context: Context) -> Result:
        products = self._shelf.products
        titles = {
            i: safe_title(products[i].title)
            for i in (*context.bought, *context.viewed)
            if i in products
        }
        return replace(
            result,
            facts={
                "corrected": parse.reading.corrected
                if result.command.kind in ("search", "refine", "recommend")
                else (),
                "titles": titles,
                "products_of": products,
                **result.facts,
            },
        )

    def _words(self, results: Sequence[Result], context: Context) -> tuple[str, tuple[Claim, ...]]:
        book = ClaimBook(self.currency, context.locale)
        writer = Writer(book)
        reply = " ".join(dict.fromkeys(writer.write(r) for r in results)).strip()
        live = self.catalogue.products
        wrong = stale(
            book.claims,
            lambda product_id: live.get(product_id),
            self._reviews,
            self._sentiment,
        )
        extra = unstated_money(reply, book.claims, self.currency)
        if wrong or extra:
            logger.warning(
                "reply withheld: %d stale claims, %d unstated amounts", len(wrong), len(extra)
            )
            text = (
                "商品信息刚刚有变化，请再问一次。"
                if context.locale == "zh"
                else "The catalogue changed just now. Please ask again."
            )
            return text, ()
        return reply, tuple(book.claims)

    # -- the answer

    def _response(
        self,
        request: TurnRequest,
        state: DialogueState,
        results: Sequence[Result],
        parse: Parse,
        reply: str,
        claims: tuple[Claim, ...],
        degraded: tuple[str, ...],
        phrased_by: str,
        records: Store,
    ) -> TurnResponse:
        commands: list[ExecutedCommand] = []
        for r in results:
            for command, status in r.extra_commands:
                commands.append(
                    ExecutedCommand(
                        type=command.kind,
                        args=_arguments(command),
                        status=status,
                        origin=parse.origin,
                    )
                )  # type: ignore[arg-type]
            status = (
                "pending"
                if r.confirmation_id and r.command.kind == "checkout_confirm"
                else r.status
            )
            commands.append(
                ExecutedCommand(
                    type=r.command.kind,
                    args=_arguments(r.command),
                    status=status,
                    origin=parse.origin,
                )
            )  # type: ignore[arg-type]
        shown: list[Item] = []
        relaxed: list[str] = []
        for r in results:
            for item in r.products:
                if (
                    r.shows
                    or r.command.kind
                    in ("basket_set", "basket_remove", "wishlist_add", "wishlist_remove", "clarify")
                ) and item.product_id not in [s.product_id for s in shown]:
                    shown.append(item)
            relaxed.extend(r.relaxed)
        confirmation = next((r for r in reversed(results) if r.confirmation_id is not None), None)
        card = None
        if confirmation is not None and confirmation.confirmation_id is not None:
            card = Confirmation(
                id=confirmation.confirmation_id,
                summary=reply,
                total_minor=confirmation.facts["total_minor"],
                currency=self.currency,
            )
        return TurnResponse(
            request_id=request.request_id or f"turn-{uuid.uuid4().hex[:16]}",
            model_version=self.model_version,
            reply=reply,
            commands=tuple(commands),
            products=tuple(
                self.card(item, rank) for rank, item in enumerate(shown[:MAX_PRODUCTS], start=1)
            ),
            relaxed=tuple(dict.fromkeys(relaxed)),
            claims=claims,
            state=self.public_state(request.visitor_id, state, records),
            question=any(r.question for r in results[-1:]),
            choices=results[-1].choices if results else (),
            confirmation=card,
            degraded=degraded,
            phrased_by=phrased_by,  # type: ignore[arg-type]
        )

    def card(self, item: Item, rank: int) -> ScoredProduct:
        """Return a product as the response shows it, with the price charged now."""
        product, variant = item.hit.product, item.hit.variant
        cheapest = min((v.price_minor for v in product.variants), default=product.price_minor)
        named = (
            variant
            if variant is not None
            and (variant.price_minor != cheapest or len(product.variants) == 1 or item.hit.violated)
            else None
        )
        return ScoredProduct(
            product_id=product.product_id,
            title=product.title,
            price_minor=item.hit.price_minor,
            currency=product.currency,
            score=1.0 / rank,
            rank=rank,
            origin=("sponsored", "assistant") if item.hit.sponsored else ("assistant",),
            sponsored=item.hit.sponsored,
            reasons=tuple(
                Reason(
                    kind=r.partition(":")[0],
                    text=r,
                    evidence=tuple(x for x in (r.partition(":")[2],) if x),
                )
                for r in item.reasons
            ),
            variant_id=named.variant_id if named else None,
            list_price_minor=product.list_price_minor,
            brand=product.brand,
            category=product.category,
            available=product.available,
            offers=item.offers,
        )

    def public_state(
        self, visitor_id: str, state: DialogueState, records: Store | None = None
    ) -> dict[str, Any]:
        """Return what the visitor may see of the dialogue and of their own records."""
        store = records or self.store
        with self.store.snapshot():
            return self._public_state(visitor_id, state, store)

    def _public_state(self, visitor_id: str, state: DialogueState, store: Store) -> dict[str, Any]:
        events = store.visitor_events(visitor_id, limit=500, kinds=_HISTORY)
        return {
            "turn": state.turn,
            "constraints": public_constraints(state, self.currency),
            "ledger": [entry.model_dump(mode="json") for entry in state.ledger],
            "basket": [line.model_dump(mode="json") for line in store.basket(visitor_id)],
            "basket_offers": store.basket_offers(visitor_id),
            "wishlist": store.wishlist(visitor_id),
            "preferences": store.preferences(visitor_id),
            "orders": [order.model_dump(mode="json") for order in store.orders(visitor_id)],
            "history": [
                {"product_id": e.product_id, "kind": e.kind}
                for e in events
                if isinstance(e, Click | Purchase)
            ],
            "undo": len(state.undo),
            "currency": self.currency,
        }


def model_from_environment() -> Any:
    """Return the language model that SHELFWISE_LLM_URL names, or None."""
    from components.assistant.llm import LanguageModel, settings_from_environment

    settings = settings_from_environment()
    return None if settings is None else LanguageModel(settings)


def _arguments(command: Any) -> dict[str, Any]:
    return {
        k: v
        for k, v in command.model_dump(mode="json", exclude={"kind"}).items()
        if v not in (None, (), [], {}, "")
    }


def products_of(catalogue: Catalogue) -> Mapping[str, Product]:
    """Return the live products of a catalogue."""
    return catalogue.products
