"""Command + context -> result. Deterministic: no clock of its own, no randomness, no words.

Every change goes through the store and comes with the operations that take it back. Nothing a
product or a review says is looked at here except as a fact to hand on.
"""

import functools
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from components.assistant import suggestions
from components.assistant.basket_money import Bill, PricedLine, price_basket
from components.assistant.context import Bought, Context
from components.assistant.language import gloss, stems_of
from components.assistant.offers import Offer, Offers, is_reduced
from components.assistant.places import DEPTH, arranged
from components.assistant.references import References
from components.assistant.results import Item, Result
from components.assistant.sentiment import Sentiment, hear
from components.assistant.shelf import (
    Found,
    Hit,
    Score,
    Shelf,
    fit,
    is_sold,
    price_of,
    public_names,
    words_of,
)
from components.assistant.state import DialogueState, Pending, Question, Shown, UndoStep, digest_of
from components.assistant.till import Till
from components.assistant.variants import (
    choose,
    facts_of,
    in_stock,
    line_price,
    stock_of,
    variant_of,
)
from components.contracts.commands import BasketSet, CheckoutPreview, Clarify, Constraint
from components.contracts.errors import OfferUsedError, UnknownProductError
from components.contracts.records import (
    BasketAdd,
    BasketLine,
    BasketRemove,
    Event,
    Order,
    OrderLine,
    Product,
    Purchase,
    Review,
    Variant,
)
from components.recommend.engine import RecommendEngine
from components.state.store import Store

LIST_LENGTH = 8
SPONSORED = "sponsored"
_AVOID = "avoid"
_CODE = re.compile(r"[a-z]+\d|\d+[a-z]")  # what a voucher's code looks like: save10
_WHAT = ("product_id", "variant_id", "key", "promotion_id")  # what an undo operation is about
_OFFER_WORDS = frozenset(
    stems_of(
        "coupon offer voucher discount deal promotion promo code apply use redeem activate clip "
        "add put take off remove drop please basket cart order bag trolley checkout my all any "
        "every best available on for it them this that the everything one ones both back can you "
        "could i want have to from now just and with what which save saving money price total bill"
    )
)
_THE_MOST = re.compile(
    r"\bthe (?:very )?(?:cheapest|most expensive|best[- ]rated|highest[- ]rated|top[- ]rated|newest"
    r"|lightest|biggest|largest|smallest)\b(?! (?:ones|first|to|products|options))"
)


@dataclass(frozen=True)
class Tools:
    """What the executor may touch. Each visitor's records are reached by the request's id alone."""

    store: Store
    recommend: RecommendEngine | None
    offers: Offers
    reviews: Callable[[str], Sequence[Review]]
    sentiment: Sentiment | None = None


class Executor:
    """Runs commands for one visitor's turn."""

    def __init__(self, tools: Tools, context: Context, session_id: str) -> None:
        """Hold the turn; `context` is read again after each change."""
        self.t = tools
        self.c = context
        self.session_id = session_id
        self.state = context.state
        self.operations: list[dict[str, Any]] = []
        self._affinity: tuple[list[Event], Score] | None = None

    @property
    def shelf(self) -> Shelf:
        """The shelf of this turn."""
        return self.c.shelf

    def run(self, command: Any) -> Result:
        """Run one command and return what came of it, with the new state inside."""
        result: Result = getattr(self, f"_{command.kind}")(command)
        self.state = result.state
        self.c = replace(self.c, state=result.state)
        return result

    # -- common

    def product(self, product_id: str) -> Product | None:
        """Return the live record, None if there is none."""
        return self.shelf.products.get(product_id)

    def items(
        self, hits: Sequence[Hit], reasons: Mapping[str, tuple[str, ...]] | None = None
    ) -> tuple[Item, ...]:
        """Return products with the offers that run on them."""
        out = []
        for hit in hits:
            running = self.t.offers.of(hit.product_id, self.c.now, self.c.visitor_id)
            out.append(
                Item(
                    hit,
                    (reasons or {}).get(hit.product_id, ()),
                    offers=tuple(o.title for o in running),
                )
            )
        return tuple(out)

    def hit(self, product_id: str, variant_id: str | None = None) -> Hit | None:
        """Return a product with the variant meant, None if there is no such product."""
        product = self.product(product_id)
        if product is None:
            return None
        variant = variant_of(product, variant_id) if variant_id else None
        if variant is None and product.variants:
            variant = fit(product, [])[0]
        return Hit(product, variant)

    def shown_variants(
        self, hits: Sequence[Hit], constraints: Sequence[Constraint]
    ) -> tuple[Shown, ...]:
        """Return what the state remembers of a list shown."""
        return tuple(
            Shown(product_id=h.product_id, variant_id=h.variant.variant_id if h.variant else None)
            for h in hits
        )

    def preferred(self) -> tuple[list[Constraint], list[Constraint]]:
        """Return stored preferences as soft wishes, and what the visitor avoids."""
        wishes: list[Constraint] = []
        avoided: list[Constraint] = []
        for name, value in sorted(self.c.preferences.items()):
            if "size" in name or not value:
                if "size" in name and value:
                    wishes.append(Constraint(field="size", values=(str(value),), hard=False))
                continue
            reading = self.c.lexicon.read(gloss(str(value)))
            unwanted = name.startswith((_AVOID, "allerg", "dislike", "hate", "no_"))
            found = [
                c for c in reading.constraints if c.field not in ("price", "in_stock", "rating")
            ]
            for c in found:
                if unwanted:
                    if isinstance(c.values[0], bool):
                        avoided.append(c.model_copy(update={"values": (not c.values[0],)}))
                    else:
                        avoided.append(c.model_copy(update={"op": "not"}))
                else:
                    wishes.append(c.model_copy(update={"hard": False}))
            if not found and unwanted:
                avoided.extend(
                    Constraint(field="terms", op="not", values=(w,))
                    for w in reading.terms or stems_of(value)[:3]
                )
        return wishes, avoided

    def recent(self) -> list[Event]:
        """Return the visitor's events since the release's data."""
        return self.t.store.visitor_events(self.c.visitor_id)

    def affinity(self) -> Score | None:
        """Return how to score products for this visitor; None for somebody unknown."""
        if self.t.recommend is None:
            return None
        engine, recent = self.t.recommend, self.recent()
        if not recent and not self.c.bought:
            return None
        if self._affinity is None or self._affinity[0] != recent:  # a part of a bundle asks again
            suits = functools.cache(
                lambda: engine.affinities(self.c.visitor_id, recent, now=self.c.now)
            )
            self._affinity = recent, lambda ids: suits()(ids)
        return self._affinity[1]

    def look(
        self, state: DialogueState, *, exclude: Sequence[str] = (), limit: int = LIST_LENGTH
    ) -> Found:
        """Find products for the constraints in force."""
        wishes, avoided = self.preferred()
        named = {c.field for c in state.constraints}
        wishes += [c.model_copy(update={"hard": False}) for c in avoided if c.field not in named]
        found = self.shelf.find(
            state.constraints,
            terms=state.terms,
            sort=state.sort,
            limit=limit if self.c.places is None else DEPTH,
            exclude=exclude,
            affinity=self.affinity() if state.sort == "relevance" else None,
            prefer=wishes,
        )
        return replace(
            found,
            hits=self.placed(
                found.hits,
                limit,
                state.constraints,
                exclude,
                is_exact=not found.relaxed,
                is_relevance=state.sort == "relevance",
            ),
        )

    def placed(
        self,
        hits: Sequence[Hit],
        limit: int,
        constraints: Sequence[Constraint],
        exclude: Collection[str],
        *,
        is_exact: bool,
        is_relevance: bool = True,
    ) -> tuple[Hit, ...]:
        """Return the first hits of a list, with the shop's rules and paid places in it."""
        hard = [c for c in constraints if c.hard]

        def hit_of(product_id: str) -> Hit | None:
            product = self.product(product_id)
            if product is None or product_id in exclude or not is_sold(product):
                return None
            variant, broken = fit(product, hard, self.shelf.promoted())
            return None if broken else Hit(product, variant)

        said = [str(v) for c in constraints for v in c.values if isinstance(v, str)]
        return arranged(
            self.c.places,
            hits,
            limit,
            " ".join([self.c.text, *said]),
            is_exact=is_exact,
            is_relevance=is_relevance,
            hit_of=hit_of,
        )

    def listing(self, command: Any, state: DialogueState, found: Found, **facts: Any) -> Result:
        """Return the result that shows a list, with the reasons kept for later."""
        shown = self.shown_variants(found.hits, state.constraints)
        why = {
            h.product_id: (*((SPONSORED,) if h.sponsored else ()), *self.met(h, state))
            for h in found.hits
        }
        single = _THE_MOST.search(self.c.text) is not None and state.sort != "relevance"
        focus = [found.hits[0].product_id] if single and found.hits else None
        state = state.showing(shown, focus=focus).model_copy(
            update={
                "reasons": why,
                "question": None,
                "compared": (),
                "bundle": None,
                "last_kind": command.kind,
            }
        )
        return Result(
            command,
            "found" if found.hits and not found.relaxed else "nearest" if found.hits else "none",
            state,
            products=self.items(found.hits),
            shows=True,
            relaxed=found.relaxed,
            facts={
                "total": found.total,
                "unmatched": found.unmatched_terms,
                "ways_out": found.ways_out,
                **facts,
            },
        )

    def met(self, hit: Hit, state: DialogueState) -> tuple[str, ...]:
        """Return the names of the constraints that a product meets."""
        names = [
            n
            for c in state.constraints
            for n in public_names(c)
            if n not in ("exclude",) and c.field not in list(hit.violated)
        ]
        return tuple(dict.fromkeys(names))

    # -- looking

    def _search(self, command: Any) -> Result:
        before = self.state.constraints
        terms = stems_of(command.query)
        state = self.state.started(
            command.constraints, query=command.query, terms=terms, sort=command.sort
        )
        found = self.look(state)
        former = before if "query" in found.relaxed else ()
        return self.listing(command, state.model_copy(update={"former": former}), found)

    def _refine(self, command: Any) -> Result:
        if command.more:
            found = self.look(self.state, exclude=self.state.seen)
            if not found.hits or found.relaxed:
                state = self.state.model_copy(update={"last_kind": "refine"})
                hits = [
                    replace(h, sponsored=SPONSORED in self.state.reasons.get(h.product_id, ()))
                    for s in self.state.shown
                    if (h := self.hit(s.product_id, s.variant_id)) is not None
                ]
                return Result(command, "no_more", state, products=self.items(hits), shows=True)
            return self.listing(command, self.state, found, more=True)
        state = self.state.refined(
            command.add, command.drop, terms=stems_of(command.query), sort=command.sort
        )
        found = self.look(state)
        known = tuple(t for t in state.terms if self.shelf.knows_word(t))
        state = state.model_copy(
            update={"terms": known}
        )  # a word nobody knows narrows one turn only
        if not state.ledger and not state.terms and state.sort == "relevance" and command.drop:
            return self.listing(command, state, found, dropped=command.drop)
        return self.listing(
            command, state, found, dropped=command.drop, added=tuple(c.field for c in command.add)
        )

    def _details(self, command: Any) -> Result:
        hit = self.hit(command.product_id)
        if hit is None:
            return self.unknown(command)
        product = hit.product
        shown = next(
            (s.variant_id for s in self.state.shown if s.product_id == product.product_id), None
        )
        if shown and (v := variant_of(product, shown)) is not None and in_stock(product, v):
            hit = Hit(product, v)
        state = self.focused(product.product_id, command.kind)
        offers = self.t.offers.of(product.product_id, self.c.now, self.c.visitor_id)
        options = facts_of(product)
        facts = {
            "asked": command.asked,
            "options": options,
            "sold": is_sold(product),
            "stock": stock_of(product, hit.variant),
            "offers": tuple((o.title, o.percent, o.ends_at.date().isoformat()) for o in offers),
            "reduced": bool(offers) or (is_reduced(product) and not self.t.offers),
            "price_range": tuple(sorted({v.price_minor for v in product.variants})),
            "wanted": tuple(self.wanted_options(product)),
        }
        return Result(
            command, "described", state, products=self.items([hit]), shows=True, facts=facts
        )

    def wanted_options(self, product: Product) -> list[tuple[str, str, bool]]:
        """Return options named in the message and whether this product has them in stock."""
        reading = self.c.lexicon.read(self.c.text)
        out = []
        for c in reading.constraints:
            if c.op != "is" or isinstance(c.values[0], bool):
                continue
            names = {n for v in product.variants for n in v.options}
            if c.field in names:
                wanted = [
                    v
                    for v in product.variants
                    if str(v.options.get(c.field, "")).casefold()
                    in {str(x).casefold() for x in c.values}
                ]
                out.append((c.field, str(c.values[0]), any(in_stock(product, v) for v in wanted)))
        return out

    def focused(self, product_id: str, kind: str) -> DialogueState:
        """Return the state with one product talked about; the list before it is kept."""
        update: dict[str, Any] = {"focus": (product_id,), "last_kind": kind, "question": None}
        if product_id not in {s.product_id for s in self.state.shown} or len(self.state.shown) <= 1:
            update["shown"] = (Shown(product_id=product_id),)
        return self.state.model_copy(update=update)

    def unknown(self, command: Any) -> Result:
        """Return the result for a product that does not exist."""
        state = self.state.model_copy(update={"question": None})
        return Result(command, "unknown_product", state, status="failed")

    def _compare(self, command: Any) -> Result:
        hits = [h for i in command.product_ids if (h := self.shown_hit(i)) is not None]
        if len(hits) < 2:
            return self.unknown(command)
        by = command.by
        undecided = False
        if by is not None:
            falling = command.prefer == "high"

            def value(hit: Hit) -> float | None:
                raw = (
                    hit.price_minor
                    if by == "price"
                    else hit.product.rating
                    if by == "rating"
                    else hit.product.attributes.get(by)
                )
                return float(raw) if isinstance(raw, int | float) else None

            known = [h for h in hits if value(h) is not None]
            undecided = not known
            hits = sorted(known, key=lambda h: -(value(h) or 0.0) if falling else (value(h) or 0.0))
            hits += [
                h
                for i in command.product_ids
                if (h := self.shown_hit(i)) is not None
                and h.product_id not in {k.product_id for k in hits}
            ]
        ids = tuple(h.product_id for h in hits)
        state = self.state.showing(
            self.shown_variants(hits, ()), focus=ids[:1] if by and not undecided else ()
        ).model_copy(update={"compared": ids, "last_kind": "compare", "question": None})
        return Result(
            command,
            "compared",
            state,
            products=self.items(hits),
            shows=True,
            facts={"by": None if undecided else by, "asked_by": by, "prefer": command.prefer},
        )

    def shown_hit(self, product_id: str) -> Hit | None:
        """Return a product in the variant in which it was shown."""
        variant = next((s.variant_id for s in self.state.shown if s.product_id == product_id), None)
        return self.hit(product_id, variant)

    def _similar(self, command: Any) -> Result:
        anchor = self.product(command.product_id)
        if anchor is None:
            return self.unknown(command)
        hard = [c for c in command.constraints if c.hard]
        hits = {
            h.product_id: h
            for h in self.shelf.allowed([*hard, Constraint(field="in_stock", values=(True,))])
            if h.product_id != anchor.product_id
        }
        near: list[str] = []
        if self.t.recommend is not None:
            near = [
                p.product_id
                for p in self.t.recommend.similar(anchor.product_id, limit=100).products
            ]
        place = {i: n for n, i in enumerate(near)}
        own = suggestions.topic_words(anchor)

        def score(hit: Hit) -> tuple[float, str]:
            p = hit.product
            same_type = 3.0 if p.type and p.type == anchor.type else 0.0
            same_category = (
                2.0
                if set(p.category[-1:]) & set(anchor.category[-1:])
                else 1.0
                if set(p.category) & set(anchor.category)
                else 0.0
            )
            words = suggestions.topic_words(p)
            overlap = len(own & words) / max(1, len(own | words))
            shared = sum(
                v == anchor.attributes.get(k)
                for k, v in p.attributes.items()
                if isinstance(v, bool | str)
            ) / max(1, len(anchor.attributes))
            rank = 1.0 / (2 + place[p.product_id]) if p.product_id in place else 0.0
            return -(same_type + same_category + overlap + 0.5 * shared + rank), p.product_id

        pool = list(hits.values()) if len(hits) < 3000 else [hits[i] for i in near if i in hits]
        ranked = sorted(pool, key=score)
        alike = [
            h
            for h in ranked
            if set(h.product.category) & set(anchor.category)
            or (anchor.type and h.product.type == anchor.type)
        ]
        chosen = (alike or ranked)[:5]
        kind = (
            [Constraint(field="category", values=(anchor.category[-1],))] if anchor.category else []
        )
        state = (
            self.state.started([*kind, *hard])
            .showing(self.shown_variants(chosen, ()))
            .model_copy(
                update={
                    "last_kind": "similar",
                    "question": None,
                    "compared": (),
                    "reasons": {h.product_id: ("similar",) for h in chosen},
                }
            )
        )
        return Result(
            command,
            "similar" if chosen else "none",
            state,
            products=self.items(chosen),
            shows=True,
            facts={"anchor": Item(self.hit(anchor.product_id) or Hit(anchor, None))},
        )

    def _recommend(self, command: Any) -> Result:
        wishes, avoided = self.preferred()
        named = {c.field for c in command.constraints}
        hard = [c for c in command.constraints if c.hard] + [
            c for c in avoided if c.field not in named or c.field == "terms"
        ]
        terms = stems_of(command.query)
        exclude = set(self.c.bought) | {line.product_id for line in self.c.basket}
        known = bool(self.c.bought or self.c.viewed or wishes or avoided)
        found = self.shelf.find(hard, terms=terms, limit=60, exclude=exclude, prefer=wishes)
        relaxed = found.relaxed
        loose = False
        if (
            relaxed
            and ("query" in relaxed)
            and not any(c.field in ("category", "type") for c in command.constraints)
        ):
            found, relaxed, loose = (
                self.shelf.find(hard, limit=60, exclude=exclude, prefer=wishes),
                (),
                True,
            )
        scores = self.personal_scores([h.product for h in found.hits])
        asked = [c.model_copy(update={"hard": True}) for c in wishes]
        promoted = self.shelf.promoted() if asked else ()
        wished = {
            h.product_id: sum(not fit(h.product, [c], promoted)[1] for c in asked)
            for h in found.hits
        }
        text = self.shelf.text_scores(terms) if terms else {}
        order = {h.product_id: n for n, h in enumerate(found.hits)}

        def worth(hit: Hit) -> float:
            return (
                scores.get(hit.product_id, 0.0)
                + 0.7 * wished.get(hit.product_id, 0)
                + 2.0 * text.get(hit.product_id, 0.0)
            )

        ranked = sorted(found.hits, key=lambda h: (-worth(h), order[h.product_id]))
        narrow = any(c.field in ("category", "type") and c.op == "is" for c in command.constraints)
        line = ranked[:6] if narrow else spread(ranked, 6)
        if self.c.places is not None:
            line += [h for h in ranked if h not in line]
            line = [replace(h, standing=worth(h)) for h in line]
        chosen = self.placed(line, 6, hard, exclude, is_exact=not relaxed)
        reasons = {
            h.product_id: (
                *((SPONSORED,) if h.sponsored else ()),
                *self.why(h.product, wishes),
            )
            for h in chosen
        }
        state = self.state.started(command.constraints, query=command.query, terms=terms)
        state = state.showing(self.shown_variants(chosen, ())).model_copy(
            update={"reasons": reasons, "last_kind": "recommend", "question": None, "compared": ()}
        )
        vague = not known and not command.constraints and (not terms or loose)
        outcome = "none" if not chosen else "nearest" if relaxed else "recommended"
        return Result(
            command,
            outcome,
            state,
            products=self.items(chosen, reasons),
            shows=True,
            relaxed=relaxed,
            question=vague,
            facts={
                "known": known,
                "loose": loose,
                "unmatched": found.unmatched_terms,
                "vague": vague,
            },
        )

    def personal_scores(self, products: Sequence[Product]) -> dict[str, float]:
        """Return how well products suit this visitor: affinity and shared interests."""
        out: dict[str, float] = {}
        affinity = self.affinity()
        ids = [p.product_id for p in products]
        if affinity is not None and ids:
            out = {i: float(s) for i, s in zip(ids, affinity(ids), strict=True)}
        interests: dict[str, float] = {}
        kinds: dict[str, float] = {}
        for weight, known in ((1.0, self.c.bought), (0.6, self.c.viewed)):
            for product_id in known:
                owned = self.product(product_id)
                if owned is None:
                    continue
                for word in suggestions.topic_words(owned):
                    interests[word] = interests.get(word, 0.0) + weight
                for name in (*owned.category, owned.brand or ""):
                    kinds[name] = kinds.get(name, 0.0) + weight
        if interests:
            for product in products:
                shared = sum(
                    interests.get(w, 0.0) / (2 + len(self.shelf.with_title_word(w)))
                    for w in suggestions.topic_words(product)
                )
                kin = sum(kinds.get(n, 0.0) for n in (*product.category, product.brand or "") if n)
                out[product.product_id] = (
                    out.get(product.product_id, 0.0) + min(1.0, shared / 2) + 0.25 * min(2.0, kin)
                )
        return out

    def why(self, product: Product, wishes: Sequence[Constraint]) -> tuple[str, ...]:
        """Return why a product suits this visitor: preferences, purchases, views."""
        reasons = []
        for c in wishes:
            if not fit(product, [c.model_copy(update={"hard": True})], self.shelf.promoted())[1]:
                reasons.append(f"preference:{c.field}")
        words = suggestions.topic_words(product)
        best: tuple[int, str] | None = None
        for product_id in (*self.c.bought, *self.c.viewed):
            owned = self.product(product_id)
            if owned is None or product_id == product.product_id:
                continue
            shared = len(words & suggestions.topic_words(owned)) + 2 * bool(
                set(owned.category) & set(product.category)
            )
            if shared >= 2 and (best is None or shared > best[0]):
                best = (shared, product_id)
        if best is not None:
            reasons.append(f"{'bought' if best[1] in self.c.bought else 'viewed'}:{best[1]}")
        if not reasons and product.rating is not None:
            reasons.append("popular")
        return tuple(reasons)

    def _bundle(self, command: Any) -> Result:
        wishes, avoided = self.preferred()
        if command.product_id is not None:
            return self.goes_with(command, avoided)
        if command.parts:
            candidates, quantities, missing = [], [], []
            for part in command.parts:
                found = self.shelf.find(
                    [*part.constraints, *avoided],
                    terms=stems_of(part.query),
                    limit=40,
                    prefer=wishes,
                    affinity=self.affinity(),
                )
                hits = [h for h in found.hits if not h.violated]
                if not hits:
                    missing.append(part.name)
                    continue
                candidates.append(suggestions.liking(hits))
                quantities.append(part.quantity)
            chosen = (
                suggestions.best_bundle(candidates, command.budget_minor, quantities)
                if candidates
                else None
            )
            return self.bundled(command, chosen, missing, quantities)
        hard = [*command.constraints, *avoided]
        kinds: list[str] = []
        for word in stems_of(command.occasion) + tuple(
            stems_of(str(v))[0]
            for c in command.constraints
            if c.field == "category"
            for v in c.values
        ):
            kinds.extend(suggestions.OCCASIONS.get(word, ()))
        parts = []
        for kind in dict.fromkeys(kinds):
            reading = self.c.lexicon.read(kind)
            found = self.shelf.find(
                [*reading.constraints, *avoided], terms=reading.terms, limit=20, prefer=wishes
            )
            if found.hits and not found.relaxed and not found.unmatched_terms:
                parts.append(suggestions.liking(found.hits))
        if len(parts) >= 2:
            while len(parts) >= 2:
                chosen = suggestions.best_bundle(parts, command.budget_minor)
                if chosen is not None and not chosen.over_minor:
                    return self.bundled(command, chosen, [], [])
                parts.pop()
        found = self.shelf.find(
            hard,
            terms=stems_of(command.occasion),
            limit=60,
            prefer=wishes,
            affinity=self.affinity(),
        )
        if not found.hits or found.relaxed:
            found = self.shelf.find(
                [c for c in hard if c.field == "terms"],
                limit=60,
                prefer=wishes,
                affinity=self.affinity(),
            )
        picked = suggestions.one_of_each_kind(
            suggestions.liking(found.hits), limit=5, budget_minor=command.budget_minor
        )
        total = sum(h.price_minor or 0 for h in picked)
        return self.bundled(
            command, suggestions.Chosen(tuple(picked), total) if picked else None, [], []
        )

    def bundled(
        self,
        command: Any,
        chosen: suggestions.Chosen | None,
        missing: Sequence[str],
        quantities: Sequence[int],
    ) -> Result:
        """Return the result that shows a bundle and its sum."""
        hits = chosen.hits if chosen else ()
        relaxed = (("price_max",) if chosen and chosen.over_minor else ()) + (
            ("type",) if missing else ()
        )
        constraints = (
            [Constraint(field="price", op="max", values=(command.budget_minor,))]
            if command.budget_minor is not None
            else []
        )
        state = (
            self.state.started(constraints)
            .showing(self.shown_variants(hits, ()))
            .model_copy(
                update={
                    "last_kind": "bundle",
                    "question": None,
                    "compared": (),
                    "bundle": command.model_dump(mode="json", exclude={"kind"}),
                    "reasons": {h.product_id: ("bundle",) for h in hits},
                }
            )
        )
        items = tuple(
            replace(item, quantity=q)
            for item, q in zip(self.items(hits), quantities or [1] * len(hits), strict=False)
        )
        facts = {
            "total_minor": chosen.total_minor if chosen else 0,
            "budget_minor": command.budget_minor,
            "over_minor": chosen.over_minor if chosen else 0,
            "missing": tuple(missing),
            "anchor": None,
        }
        return Result(
            command,
            "bundled" if hits else "none",
            state,
            products=items,
            shows=True,
            relaxed=relaxed,
            facts=facts,
        )

    def goes_with(self, command: Any, avoided: Sequence[Constraint]) -> Result:
        """Put together what goes with a product."""
        anchor = self.product(command.product_id)
        if anchor is None:
            return self.unknown(command)
        exclude = {line.product_id for line in self.c.basket} | {anchor.product_id}
        hits = [
            h
            for h in self.shelf.allowed(
                [*command.constraints, *avoided, Constraint(field="in_stock", values=(True,))]
            )
            if h.product_id not in exclude
        ]
        together: dict[str, float] = {}
        if self.t.recommend is not None and len(self.shelf.products) > 200:
            near = self.t.recommend.similar(anchor.product_id, limit=60).products
            together = {p.product_id: 1.0 / (1 + n) for n, p in enumerate(near)}
            allowed = {h.product_id for h in hits}
            hits = [
                h for h in hits if h.product_id in together and h.product_id in allowed
            ] or hits[:500]
        scored = suggestions.complements(anchor, self.shelf, hits, together=together)
        picked = suggestions.one_of_each_kind(scored, limit=3, budget_minor=command.budget_minor)
        cheapest = min(
            (h.price_minor for h, _ in scored if h.price_minor is not None), default=None
        )
        if not picked and scored and command.budget_minor is not None:
            picked = [min((h for h, _ in scored), key=lambda h: h.price_minor or 0)]
        total = sum(h.price_minor or 0 for h in picked)
        over = max(0, total - command.budget_minor) if command.budget_minor is not None else 0
        result = self.bundled(
            command, suggestions.Chosen(tuple(picked), total, over) if picked else None, [], []
        )
        item = Item(self.hit(anchor.product_id) or Hit(anchor, None))
        return replace(result, facts={**result.facts, "anchor": item, "cheapest_minor": cheapest})

    def _explain(self, command: Any) -> Result:
        hit = self.shown_hit(command.product_id)
        if hit is None:
            return self.unknown(command)
        reasons = list(self.state.reasons.get(command.product_id, ()))
        wishes, _ = self.preferred()
        named = [r for r in self.why(hit.product, wishes) if r != "popular"]
        reasons = list(dict.fromkeys([*[r for r in reasons if r != "popular"], *named]))
        if not reasons:
            reasons = ["popular"]
        met = tuple(
            c for c in self.state.constraints if not fit(hit.product, [c], self.shelf.promoted())[1]
        )
        return Result(
            command,
            "explained",
            self.focused(command.product_id, "explain"),
            products=self.items([hit], {command.product_id: tuple(reasons)}),
            shows=True,
            facts={"constraints": met, "reasons": tuple(reasons)},
        )

    def _explain_absence(self, command: Any) -> Result:
        hit = self.hit(command.product_id)
        if hit is None:
            return self.unknown(command)
        broken = fit(
            hit.product,
            [*self.state.constraints, Constraint(field="in_stock", values=(True,))],
            self.shelf.promoted(),
        )[1]
        bought = command.product_id in self.c.bought and self.state.last_kind == "recommend"
        state = self.state.model_copy(
            update={
                "focus": (command.product_id,),
                "last_kind": "explain_absence",
                "question": None,
            }
        )
        return Result(
            command,
            "absent",
            state,
            products=self.items([hit]),
            shows=True,
            relaxed=tuple(dict.fromkeys(n for c in broken for n in public_names(c))),
            facts={"broken": broken, "bought": bought},
        )

    def _basket_offers(self, command: Any) -> Result:
        """Say which offers fit the basket, each on one line, and what they take off together."""
        lines = self.priced_lines()
        bill = self.till().best(lines)
        used = self.used_by(bill)
        on = self.till().bill(lines)
        state = self.state.model_copy(
            update={"last_kind": "basket_offers" if used else "promotions", "question": None}
        )
        return Result(
            command,
            "saving" if lines else "empty",
            state,
            products=self.items([hit for hit, _, _ in used]),
            shows=bool(used),
            question=bool(used) and on.discount_minor != bill.discount_minor,
            facts={
                "used": used,
                "saved_minor": bill.discount_minor,
                "total_minor": bill.total_minor,
                "is_on": on.discount_minor == bill.discount_minor,
            },
        )

    def till(self) -> Till:
        """Return this household's offers as the store has them."""
        return Till(self.t.store, self.t.offers, self.c.visitor_id, self.c.now)

    def priced_lines(self) -> list[PricedLine]:
        """Return the basket's lines that have a price, as the till reads them."""
        found = []
        for line in self.c.basket:
            product = self.product(line.product_id)
            price = line_price(product, line.variant_id) if product else None
            if price is not None:
                found.append(PricedLine(line.product_id, line.quantity, price))
        return found

    def used_by(self, bill: Bill) -> tuple[tuple[Hit, str, int], ...]:
        """Return (product, offer's title, what it takes off) of a bill's offers."""
        titles = {o.promotion_id: o.title for o in self.t.offers.all}
        return tuple(
            (hit, titles[promotion_id], minor)
            for promotion_id, product_id, minor in bill.used
            if (hit := self.hit(product_id)) is not None
        )

    def named_offers(self, query: str, offers: Sequence[Offer]) -> list[Offer]:
        """Return the offers that words name best, by their title or by what they are on.

        Words that name no offer of these say nothing, unless they name a thing of this shop or
        look like a code: then no offer is meant.
        """
        words = set(stems_of(query)) - _OFFER_WORDS
        score = {}
        for offer in offers:
            told = set(stems_of(offer.title))
            for product_id in offer.product_ids:
                product = self.product(product_id)
                if product is not None and self.c.quantity_of(product_id):
                    told |= words_of(product)
            score[offer.promotion_id] = len(words & told)
        best = max(score.values(), default=0)
        if best:
            return [o for o in offers if score[o.promotion_id] == best]
        named = [w for w in words if self.shelf.knows_word(w) or _CODE.search(w)]
        return [] if named else list(offers)

    def _offers_apply(self, command: Any) -> Result:
        lines, till = self.priced_lines(), self.till()
        state = self.state.model_copy(update={"last_kind": "offers_apply", "question": None})
        if not lines:
            return Result(command, "empty", state, status="failed", facts=self.basket_facts())
        usable = till.usable()
        if command.promotion_ids:
            meant = [o for o in usable if o.promotion_id in command.promotion_ids]
        else:
            meant = self.named_offers(command.query, usable)
        held = {o.promotion_id for o in till.on_basket()}
        kept = [o for o in usable if o.promotion_id in held]
        fitting = price_basket(lines, [*kept, *(o for o in meant if o.promotion_id not in held)])
        wanted = {o.promotion_id for o in meant}
        new = till.apply([i for i, _, _ in fitting.used if i in wanted])
        for promotion_id in new:
            self.operations.append({"do": "offer", "promotion_id": promotion_id, "present": False})
        outcome = "offers_on" if new else "offers_same" if held & wanted else "no_offer_fits"
        ran = command.model_copy(update={"promotion_ids": tuple(new), "query": ""})
        return self.offers_result(ran if new else command, outcome, state, named=bool(meant))

    def _offers_remove(self, command: Any) -> Result:
        held = set(self.t.store.basket_offers(self.c.visitor_id))
        offers = [o for o in self.t.offers.all if o.promotion_id in held]
        if command.promotion_ids:
            meant = [o for o in offers if o.promotion_id in command.promotion_ids]
        else:
            meant = self.named_offers(command.query, offers)
        gone = self.till().take_off([o.promotion_id for o in meant])
        for promotion_id in gone:
            self.operations.append({"do": "offer", "promotion_id": promotion_id, "present": True})
        state = self.state.model_copy(update={"last_kind": "offers_remove", "question": None})
        ran = command.model_copy(update={"promotion_ids": tuple(gone), "query": ""})
        outcome = "offers_off" if gone else "no_offer_on"
        return self.offers_result(ran if gone else command, outcome, state, named=bool(meant))

    def offers_result(
        self, command: Any, outcome: str, state: DialogueState, *, named: bool
    ) -> Result:
        """Return the result of a change of the basket's offers, with the basket's new sums."""
        facts = self.basket_facts()
        return Result(
            command,
            outcome,
            state,
            status="failed" if outcome in ("no_offer_fits", "no_offer_on") else "done",
            products=self.items([hit for hit, _, _ in facts["used"]]),
            shows=bool(facts["used"]),
            facts={**facts, "named": named},
        )

    def _promotions(self, command: Any) -> Result:
        if command.in_basket:
            return self._basket_offers(command)
        hard = [*command.constraints, Constraint(field="promotion", values=(True,))]
        found = self.shelf.find(hard, limit=LIST_LENGTH, affinity=self.affinity())
        hits = [h for h in found.hits if not h.violated]
        state = (
            self.state.started(hard)
            .showing(self.shown_variants(hits, ()))
            .model_copy(
                update={
                    "last_kind": "promotions",
                    "question": None,
                    "reasons": {h.product_id: ("promotion",) for h in hits},
                }
            )
        )
        facts = {
            "offers": {
                h.product_id: tuple(
                    (o.title, o.percent, o.ends_at.date().isoformat())
                    for o in self.t.offers.of(h.product_id, self.c.now, self.c.visitor_id)
                )
                for h in hits
            }
        }
        return Result(
            command,
            "promoted" if hits else "none",
            state,
            products=self.items(hits),
            shows=True,
            facts=facts,
        )

    def _restock(self, command: Any) -> Result:
        due = [
            d
            for d in suggestions.due_again(self.c.bought, self.c.now)
            if d.product_id in self.shelf.products
        ]
        hits = [h for d in due if (h := self.hit(d.product_id)) is not None and is_sold(h.product)]
        state = self.state.showing(self.shown_variants(hits, ())).model_copy(
            update={
                "last_kind": "restock",
                "question": None,
                "reasons": {h.product_id: (f"bought:{h.product_id}",) for h in hits},
            }
        )
        return Result(
            command,
            "due" if hits else "none",
            state,
            products=self.items(hits),
            shows=True,
            facts={
                "due": {d.product_id: (d.gap_days, d.times) for d in due},
                "known": bool(self.c.bought),
            },
        )

    def _usual(self, command: Any) -> Result:
        mine = [i for i in self.c.bought if i in self.shelf.products]
        kinds = [c for c in command.constraints if c.hard]
        terms = set(stems_of(command.query))
        fitting = []
        for product_id in mine:
            product = self.shelf.products[product_id]
            if fit(product, kinds, self.shelf.promoted())[1]:
                continue
            if terms and not terms & words_of(product):
                continue
            named = len(terms & set(stems_of(product.title)))
            fitting.append((-named, -len(self.c.bought[product_id].times), product_id))
        fitting.sort()
        ids = [i for _, _, i in fitting][:5]
        hits = [h for i in ids if (h := self.hit(i)) is not None]
        if not hits:
            state = self.state.model_copy(update={"last_kind": "usual", "question": None})
            return Result(command, "none", state, facts={"query": command.query})
        wanted = hits[:1] if (kinds or terms) else hits
        if command.add and len(wanted) == 1:
            return replace(
                self._basket_set(BasketSet(product_id=wanted[0].product_id, quantity=1, adds=True)),
                command=command,
            )
        state = self.state.showing(self.shown_variants(wanted, ())).model_copy(
            update={
                "last_kind": "usual",
                "question": None,
                "reasons": {h.product_id: (f"bought:{h.product_id}",) for h in wanted},
            }
        )
        times = {h.product_id: len(self.c.bought[h.product_id].times) for h in wanted}
        body = {"kind": "basket_set", "quantity": 1, "adds": True}
        question = Question(about="product", command=body, choices=(wanted[0].product_id,))
        state = state.model_copy(update={"question": question})
        return Result(
            command, "usual", state, products=self.items(wanted), shows=True, facts={"times": times}
        )

    def _reviews_summary(self, command: Any) -> Result:
        hit = self.hit(command.product_id)
        if hit is None:
            return self.unknown(command)
        reviews = tuple(self.t.reviews(command.product_id))
        return Result(
            command,
            "reviewed",
            self.focused(command.product_id, "reviews_summary"),
            products=self.items([hit]),
            shows=True,
            facts={"reviews": reviews, "heard": hear(reviews, self.t.sentiment)},
        )

    # -- basket

    def lines(self) -> list[BasketLine]:
        """Return the basket's lines as the store has them."""
        return self.t.store.basket(self.c.visitor_id)

    def refresh_basket(self) -> None:
        """Read the visitor's records again after a change."""
        self.c = replace(
            self.c,
            basket=self.lines(),
            wishlist=self.t.store.wishlist(self.c.visitor_id),
            preferences=self.t.store.preferences(self.c.visitor_id),
        )

    def put(self, product_id: str, variant_id: str | None, quantity: int) -> None:
        """Make the basket hold so many of a variant, and note how to undo it."""
        before = next(
            (
                line.quantity
                for line in self.lines()
                if line.product_id == product_id and line.variant_id == variant_id
            ),
            0,
        )
        self.operations.append(
            {"do": "basket", "product_id": product_id, "variant_id": variant_id, "quantity": before}
        )
        self.t.store.basket_set(self.c.visitor_id, product_id, variant_id, quantity)
        if quantity != before:
            number = f"{self.session_id}:{self.state.turn}:{len(self.operations)}:{product_id}"
            base = {
                "event_id": f"turn-{digest_of(number)[:24]}",
                "at": self.c.now,
                "visitor_id": self.c.visitor_id,
                "session_id": self.session_id,
                "product_id": product_id,
                "variant_id": variant_id,
            }
            event: Event = (
                BasketAdd(**base, quantity=quantity - before)
                if quantity > before
                else BasketRemove(**base)
            )
            self.t.store.append_events([event])
        self.refresh_basket()

    def basket_facts(self) -> dict[str, Any]:
        """Return the lines with their prices, the sum and the count."""
        lines = []
        for line in self.c.basket:
            product = self.product(line.product_id)
            lines.append((line, product, line_price(product, line.variant_id) if product else None))
        bill = self.till().bill(self.priced_lines())
        return {
            "lines": tuple(lines),
            "gross_minor": bill.gross_minor,
            "used": self.used_by(bill),
            "saved_minor": bill.discount_minor,
            "total_minor": bill.total_minor,
            "count": sum(line.quantity for line in self.c.basket),
        }

    def _basket_view(self, command: Any) -> Result:
        facts = self.basket_facts()
        hits = [
            h
            for line in self.c.basket
            if (h := self.hit(line.product_id, line.variant_id)) is not None
        ]
        unique = list({h.product_id: h for h in hits}.values())
        state = self.state.model_copy(update={"last_kind": "basket_view", "question": None})
        if unique:
            state = state.showing(
                self.shown_variants(unique, ()),
                focus=[unique[0].product_id] if len(unique) == 1 else [],
            )
            state = state.model_copy(update={"listed": self.state.listed})
        return Result(
            command,
            "basket" if facts["lines"] else "empty",
            state,
            products=self.items(unique[:12]),
            shows=True,
            facts=facts,
        )

    def _basket_set(self, command: Any) -> Result:
        product = self.product(command.product_id)
        if product is None:
            return self.unknown(command)
        options = dict(command.options)
        held = [
            line.variant_id
            for line in self.c.basket
            if line.product_id == product.product_id and line.variant_id
        ]
        relevant = [
            c
            for c in self.state.constraints
            if c.field != "price" or product.product_id in {s.product_id for s in self.state.shown}
        ]
        variant: Variant | None
        if command.variant_id is not None and not options:
            variant = variant_of(product, command.variant_id)
            if variant is None or not in_stock(product, variant):
                return self.refused(command, "sold_out", product)
        else:
            picked = self.shown_choice(product, options)
            choice = choose(
                product,
                picked,
                constraints=relevant,
                preferences=self.c.preferences,
                held=held if not options else (),
            )
            if choice.outcome == "ask":
                question = Question(
                    about="option",
                    command=command.model_dump(mode="json"),
                    option=choice.option,
                    turn=self.state.turn,
                )
                state = self.focused(product.product_id, "basket_set").model_copy(
                    update={"question": question}
                )
                clarify = Clarify(about="option", choices=choice.values, subject=product.product_id)
                hit = self.hit(product.product_id) or Hit(product, None)
                return Result(
                    clarify,
                    "ask_option",
                    state,
                    status="done",
                    products=self.items([hit]),
                    question=True,
                    choices=choice.values,
                    facts={"option": choice.option, "title_of": Item(hit)},
                )
            if choice.outcome == "sold_out":
                return self.refused(command, "sold_out", product)
            if choice.outcome in ("unknown", "unknown_stock"):
                question = (
                    Question(
                        about="option",
                        command=command.model_dump(mode="json"),
                        option=choice.option,
                        turn=self.state.turn,
                    )
                    if choice.values
                    else None
                )
                return self.refused(
                    command,
                    choice.outcome,
                    product,
                    option=choice.option,
                    wanted=options.get(choice.option or "", ""),
                    values=choice.values,
                    question=question,
                )
            variant = choice.variant
        variant_id = variant.variant_id if variant else None
        before = (
            self.c.quantity_of(product.product_id, variant_id)
            if variant_id
            else self.c.quantity_of(product.product_id)
        )
        target = before + command.quantity if command.adds else command.quantity
        stock = stock_of(product, variant)
        if stock is not None and target > stock:
            return self.refused(
                command, "too_many", product, stock=stock, before=before, wanted=target
            )
        if target > 9999:
            return self.refused(
                command, "too_many", product, stock=9999, before=before, wanted=target
            )
        self.put(product.product_id, variant_id, target)
        hit = Hit(product, variant)
        state = self.state.model_copy(
            update={
                "focus": (product.product_id,),
                "last_added": product.product_id,
                "last_kind": "basket_set",
                "question": None,
            }
        )
        ran = command.model_copy(
            update={"variant_id": variant_id, "quantity": target, "options": options, "adds": False}
        )
        facts = {
            "before": before,
            "quantity": target,
            "added": target - before,
            **self.basket_facts(),
        }
        return Result(
            ran,
            "added" if target > before else "set",
            state,
            products=self.items([hit]),
            facts=facts,
        )

    def shown_choice(self, product: Product, options: Mapping[str, str]) -> dict[str, str]:
        """Take over non-size options of the variant shown, where the message names none."""
        shown = next(
            (s.variant_id for s in self.state.shown if s.product_id == product.product_id), None
        )
        variant = variant_of(product, shown) if shown else None
        if variant is None or not in_stock(product, variant) or options:
            return dict(options)
        wanted = {c.field for c in self.state.constraints if c.op in ("is", "not")}
        limited = any(c.field == "price" for c in self.state.constraints)
        return {
            k: v
            for k, v in variant.options.items()
            if k != "size" and (k in wanted or (limited and k == "pack"))
        }

    def refused(
        self,
        command: Any,
        outcome: str,
        product: Product,
        *,
        question: Question | None = None,
        **facts: Any,
    ) -> Result:
        """Return the result for something not added, with the reason."""
        hit = self.hit(product.product_id) or Hit(product, None)
        state = self.state.model_copy(
            update={"focus": (product.product_id,), "last_kind": "basket_set", "question": question}
        )
        asks = outcome in ("unknown", "unknown_stock") and bool(facts.get("values"))
        alternatives: list[Hit] = []
        if outcome == "sold_out" and product.type:
            kind = (
                Constraint(field="category", values=(product.category[-1],))
                if product.category
                else Constraint(field="type", values=(product.type,))
            )
            alternatives = [
                h
                for h in self.shelf.find([kind], limit=4, exclude=(product.product_id,)).hits
                if not h.violated
            ]
        return Result(
            command,
            outcome,
            state,
            status="refused",
            products=self.items([hit]),
            question=asks or outcome == "too_many",
            choices=tuple(facts.get("values", ())),
            facts={**facts, "alternatives": tuple(alternatives)},
        )

    def _basket_remove(self, command: Any) -> Result:
        lines = [
            line
            for line in self.c.basket
            if line.product_id == command.product_id
            and (command.variant_id is None or line.variant_id == command.variant_id)
        ]
        hit = self.hit(command.product_id)
        if not lines or hit is None:
            return Result(
                command,
                "not_in_basket",
                self.state.model_copy(update={"question": None}),
                status="failed",
            )
        for line in lines:
            self.put(line.product_id, line.variant_id, 0)
        state = self.state.model_copy(
            update={"last_kind": "basket_remove", "question": None, "focus": (command.product_id,)}
        )
        return Result(
            command, "removed", state, products=self.items([hit]), facts=self.basket_facts()
        )

    def _basket_clear(self, command: Any) -> Result:
        if not self.c.basket:
            return Result(
                command,
                "empty",
                self.state.model_copy(update={"question": None}),
                facts=self.basket_facts(),
            )
        count = 0
        for line in list(self.c.basket):
            count += line.quantity
            self.put(line.product_id, line.variant_id, 0)
        state = self.state.model_copy(update={"last_kind": "basket_clear", "question": None})
        return Result(command, "cleared", state, facts={"count": count})

    def _swap(self, command: Any) -> Result:
        line = next((x for x in self.c.basket if x.product_id == command.product_id), None)
        product = self.product(command.product_id)
        if line is None or product is None:
            return Result(command, "not_in_basket", self.state, status="failed")
        price = line_price(product, line.variant_id) or 0
        kind = (
            Constraint(field="type", values=(product.type,))
            if product.type
            else Constraint(field="category", values=(product.category[-1],))
            if product.category
            else None
        )
        base = [kind] if kind else []
        base.append(Constraint(field="in_stock", values=(True,)))
        if command.target == "cheaper":
            base.append(Constraint(field="price", op="max", values=(max(0, price - 1),)))
        hits = [h for h in self.shelf.allowed(base) if h.product_id != product.product_id]
        if command.target == "store_brand":
            hits = [
                h
                for h in hits
                if "store" in stems_of(h.product.brand or "")
                or "private" in stems_of(h.product.brand or "")
                or any(
                    isinstance(v, str) and "store brand" in v.casefold()
                    for v in h.product.attributes.values()
                )
                or "store brand" in h.product.title.casefold()
            ]
        own = suggestions.topic_words(product)
        hits.sort(
            key=lambda h: (
                -len(own & suggestions.topic_words(h.product)),
                h.price_minor or 0,
                h.product_id,
            )
        )
        if not hits:
            state = self.state.model_copy(update={"last_kind": "swap", "question": None})
            return Result(
                command,
                "no_swap",
                state,
                products=self.items(
                    [self.hit(product.product_id, line.variant_id) or Hit(product, None)]
                ),
                facts={"target": command.target},
            )
        for new in hits[:5]:
            choice = choose(new.product, {}, preferences=self.c.preferences)
            stock = stock_of(new.product, choice.variant)
            if choice.outcome != "chosen" or (stock is not None and stock < line.quantity):
                continue
            self.put(product.product_id, line.variant_id, 0)
            self.put(
                new.product_id, choice.variant.variant_id if choice.variant else None, line.quantity
            )
            cost = (
                line_price(new.product, choice.variant.variant_id if choice.variant else None) or 0
            )
            state = self.state.model_copy(
                update={
                    "last_kind": "swap",
                    "last_added": new.product_id,
                    "focus": (new.product_id,),
                    "question": None,
                }
            )
            old = Item(self.hit(product.product_id, line.variant_id) or Hit(product, None))
            return Result(
                command,
                "swapped",
                state,
                products=self.items([Hit(new.product, choice.variant)]),
                facts={
                    "old": old,
                    "saved_minor": (price - cost) * line.quantity,
                    **self.basket_facts(),
                },
            )
        state = self.state.model_copy(update={"last_kind": "swap", "question": None})
        return Result(
            command,
            "no_swap",
            state,
            products=self.items(
                [self.hit(product.product_id, line.variant_id) or Hit(product, None)]
            ),
            facts={"target": command.target},
        )

    # -- wishlist, preferences, orders, profile

    def _wishlist_view(self, command: Any) -> Result:
        hits = [h for i in self.c.wishlist if (h := self.hit(i)) is not None]
        state = (
            self.state.showing(self.shown_variants(hits, ())).model_copy(
                update={"last_kind": "wishlist_view", "question": None}
            )
            if hits
            else self.state
        )
        return Result(
            command,
            "wishlist" if hits else "empty_wishlist",
            state,
            products=self.items(hits[:12]),
            shows=True,
        )

    def wish(self, command: Any, present: bool) -> Result:
        """Put a product on the wishlist or take it off."""
        hit = self.hit(command.product_id)
        if hit is None:
            return self.unknown(command)
        was = command.product_id in self.c.wishlist
        if was != present:
            self.operations.append(
                {"do": "wishlist", "product_id": command.product_id, "present": was}
            )
            self.t.store.wishlist_set(self.c.visitor_id, command.product_id, present)
            self.refresh_basket()
        state = self.state.model_copy(
            update={"focus": (command.product_id,), "last_kind": command.kind, "question": None}
        )
        outcome = (
            ("wished" if present else "unwished")
            if was != present
            else ("already_wished" if present else "not_wished")
        )
        return Result(command, outcome, state, products=self.items([hit]))

    def _wishlist_add(self, command: Any) -> Result:
        return self.wish(command, True)

    def _wishlist_remove(self, command: Any) -> Result:
        return self.wish(command, False)

    def _preference_set(self, command: Any) -> Result:
        before = self.c.preferences.get(command.key)
        self.operations.append({"do": "preference", "key": command.key, "value": before})
        self.t.store.preference_set(self.c.visitor_id, command.key, command.value or None)
        self.refresh_basket()
        state = self.state.model_copy(update={"last_kind": "preference_set"})
        question = state.question
        result = Result(
            command,
            "preferred" if command.value else "unpreferred",
            state.model_copy(update={"question": None}),
            facts={"key": command.key, "value": command.value},
        )
        if question is not None and question.about == "option" and "size" in command.key:
            done = self._basket_set(BasketSet.model_validate(question.command))
            if done.outcome in ("added", "set"):
                return replace(
                    done,
                    extra_commands=((command, "done"),),
                    facts={**done.facts, "key": command.key, "value": command.value},
                )
        return result

    def _order_view(self, command: Any) -> Result:
        orders = list(self.c.orders)
        state = self.state.model_copy(update={"last_kind": "order_view", "question": None})
        if command.order_id is not None:
            wanted = command.order_id.casefold().lstrip("#")
            orders = [o for o in orders if o.order_id.casefold() in (wanted, f"o-{wanted}")]
            if not orders:
                return Result(command, "no_such_order", state, facts={"own": len(self.c.orders)})
        hits = {
            line.product_id: h
            for o in orders
            for line in o.lines
            if (h := self.hit(line.product_id, line.variant_id)) is not None
        }
        shown = list(hits.values())[:12]
        if shown:
            state = state.showing(self.shown_variants(shown, ()))
        return Result(
            command,
            "orders" if orders else "no_orders",
            state,
            products=self.items(shown),
            shows=True,
            facts={"orders": tuple(orders)},
        )

    def _profile_view(self, command: Any) -> Result:
        bought = [h for i in self.c.bought if (h := self.hit(i)) is not None]
        state = self.state.model_copy(update={"last_kind": "profile_view", "question": None})
        return Result(
            command,
            "profile",
            state,
            facts={
                "preferences": dict(self.c.preferences),
                "bought": tuple(Item(h) for h in bought),
                "viewed": tuple(
                    Item(h)
                    for i in self.c.viewed
                    if i not in self.c.bought and (h := self.hit(i)) is not None
                ),
                "orders": len(self.c.orders),
                "wishlist": len(self.c.wishlist),
                "basket": len(self.c.basket),
            },
        )

    def _forget_me(self, command: Any) -> Result:
        self.t.store.forget(self.c.visitor_id)
        self.operations.clear()
        fresh = DialogueState(turn=self.state.turn, locale=self.state.locale, last_kind="forget_me")
        self.c = replace(
            self.c, bought={}, viewed=(), preferences={}, orders=(), basket=(), wishlist=()
        )
        return Result(command, "forgotten", fresh)

    def _undo(self, command: Any) -> Result:
        if not self.state.undo:
            return Result(
                command,
                "nothing_to_undo",
                self.state.model_copy(update={"question": None}),
                status="failed",
            )
        step = self.state.undo[-1]
        first: dict[str, dict[str, Any]] = {}
        for operation in step.operations:  # what was before the step, each thing once
            name = json.dumps([operation["do"], *(operation.get(k) for k in _WHAT)])
            first.setdefault(name, operation)
        for operation in first.values():
            self.restore(operation)
        self.refresh_basket()
        state = self.state.model_copy(
            update={
                "undo": self.state.undo[:-1],
                "last_kind": "undo",
                "question": None,
                "pending": None,
            }
        )
        return Result(
            command,
            "undone",
            state,
            facts={"what": step.what, "operations": step.operations, **self.basket_facts()},
        )

    def restore(self, operation: Mapping[str, Any]) -> None:
        """Put one thing back as it was, as far as the stock allows."""
        if operation["do"] == "basket":
            quantity = int(operation["quantity"])
            product = self.product(operation["product_id"])
            variant = variant_of(product, operation["variant_id"]) if product else None
            stock = stock_of(product, variant) if product else 0
            self.t.store.basket_set(
                self.c.visitor_id,
                operation["product_id"],
                operation["variant_id"],
                quantity if stock is None else min(quantity, stock),
            )
        elif operation["do"] == "offer":
            held, promotion_id = bool(operation["present"]), operation["promotion_id"]
            self.t.store.basket_offer_set(self.c.visitor_id, promotion_id, held)
        elif operation["do"] == "wishlist":
            self.t.store.wishlist_set(
                self.c.visitor_id, operation["product_id"], bool(operation["present"])
            )
        else:
            self.t.store.preference_set(self.c.visitor_id, operation["key"], operation["value"])

    # -- checkout

    def quote(self) -> tuple[dict[str, Any], Bill, list[tuple[Product, int]]]:
        """Price the basket as it is now; return what consent is bound to, the bill, what is short.

        Consent is to these lines at these prices, these offers taking this much off, and the sum.
        """
        lines, short = [], []
        for line in self.lines():
            product = self.product(line.product_id)
            price = line_price(product, line.variant_id) if product else None
            if product is None or price is None:
                continue
            variant = variant_of(product, line.variant_id)
            stock = stock_of(product, variant)
            if not is_sold(product):
                stock = 0
            if stock is not None and stock < line.quantity:
                short.append((product, stock))
            lines.append(
                {
                    "product_id": line.product_id,
                    "variant_id": line.variant_id,
                    "quantity": line.quantity,
                    "price_minor": price,
                }
            )
        bill = self.till().bill(
            [PricedLine(x["product_id"], x["quantity"], x["price_minor"]) for x in lines]
        )
        arguments = {
            "visitor": self.c.visitor_id,
            "session": self.session_id,
            "lines": lines,
            "offers": [list(one) for one in bill.used],
            "total_minor": bill.total_minor,
            "currency": self.c.currency,
        }
        return arguments, bill, short

    def _checkout_preview(self, command: Any) -> Result:
        arguments, bill, short = self.quote()
        state = self.state.model_copy(
            update={"last_kind": "checkout_preview", "question": None, "pending": None}
        )
        if not arguments["lines"]:
            return Result(command, "empty", state, status="failed", facts=self.basket_facts())
        if short:
            return Result(command, "short", state, status="refused", facts={"short": tuple(short)})
        digest = digest_of(arguments)
        confirmation_id = f"c-{digest_of([digest, self.state.turn])[:20]}"
        pending = Pending(
            confirmation_id=confirmation_id,
            action="checkout",
            digest=digest,
            total_minor=bill.total_minor,
            currency=self.c.currency,
        )
        state = state.model_copy(update={"pending": pending})
        more = self.till().best(self.priced_lines()).discount_minor - bill.discount_minor
        return Result(
            command,
            "preview",
            state,
            question=True,
            confirmation_id=confirmation_id,
            facts={**self.basket_facts(), "could_save_minor": more},
        )

    def _checkout_confirm(self, command: Any) -> Result:
        pending = self.state.pending
        if (
            pending is None
            or command.confirmation_id != pending.confirmation_id
            or pending.confirmation_id in self.state.used_confirmations
        ):
            return Result(
                command,
                "no_consent",
                self.state.model_copy(update={"question": None}),
                status="refused",
            )
        arguments, bill, short = self.quote()
        lines = arguments["lines"]
        if short or digest_of(arguments) != pending.digest:
            return self.changed_since(command)
        order_id = f"o-{digest_of([pending.confirmation_id, self.session_id])[:12]}"
        order = Order(
            order_id=order_id,
            lines=tuple(
                OrderLine(
                    product_id=x["product_id"],
                    variant_id=x["variant_id"],
                    quantity=x["quantity"],
                    price_minor=x["price_minor"],
                )
                for x in lines
            ),
            total_minor=bill.total_minor,
            currency=self.c.currency,
            status="placed",
            at=self.c.now,
        )
        events: list[Event] = [
            Purchase(
                event_id=f"{order_id}-{n}",
                at=self.c.now,
                visitor_id=self.c.visitor_id,
                session_id=self.session_id,
                product_id=x["product_id"],
                variant_id=x["variant_id"],
                quantity=x["quantity"],
                price_minor=x["price_minor"],
                currency=self.c.currency,
                order_id=order_id,
            )
            for n, x in enumerate(lines)
        ]
        try:
            with self.t.store.together():
                amounts = {promotion_id: minor for promotion_id, _, minor in bill.used}
                self.t.store.redeem(self.c.visitor_id, amounts, order_id=order_id, at=self.c.now)
                self.t.store.order_add(self.c.visitor_id, order, clear_basket=True)
                self.t.store.append_events(events)
        except OfferUsedError:  # by another session of this household, a moment ago
            return self.changed_since(command)
        used = self.used_by(bill)
        self.refresh_basket()
        self.c = replace(self.c, orders=(*self.c.orders, order))
        state = self.state.model_copy(
            update={
                "pending": None,
                "used_confirmations": (*self.state.used_confirmations, pending.confirmation_id)[
                    -50:
                ],
                "undo": (),
                "last_kind": "checkout_confirm",
                "question": None,
                "last_added": None,
            }
        )
        return Result(
            command,
            "ordered",
            state,
            facts={"order": order, "used": used, "saved_minor": bill.discount_minor},
        )

    def changed_since(self, command: Any) -> Result:
        """Return a new question: what consent was given to is no longer what would be ordered."""
        again = self._checkout_preview(CheckoutPreview())
        return replace(
            again,
            outcome="changed" if again.outcome == "preview" else again.outcome,
            extra_commands=((command, "refused"),),
        )

    def _checkout_cancel(self, command: Any) -> Result:
        had = self.state.pending is not None
        state = self.state.model_copy(
            update={"pending": None, "question": None, "last_kind": "checkout_cancel"}
        )
        return Result(command, "cancelled" if had else "nothing_pending", state)

    # -- talk

    def _clarify(self, command: Any) -> Result:
        choices = tuple(c for c in command.choices if c in self.shelf.products)
        hits = [h for c in choices if (h := self.shown_hit(c)) is not None]
        question = None
        templates: dict[str, dict[str, Any]] = {
            "basket_set": {"kind": "basket_set", "quantity": 1, "adds": True},
            "basket_remove": {"kind": "basket_remove"},
            "wishlist_add": {"kind": "wishlist_add"},
            "wishlist_remove": {"kind": "wishlist_remove"},
            "details": {"kind": "details"},
            "reviews_summary": {"kind": "reviews_summary"},
            "explain": {"kind": "explain"},
            "swap": {"kind": "swap"},
        }
        if command.about == "which_product" and choices and command.subject in templates:
            body = dict(templates[command.subject])
            if command.subject == "basket_set":
                from components.assistant.language import digits_for_words

                number = next(
                    (
                        t
                        for t in digits_for_words(self.c.text).split()
                        if t.isdigit() and len(t) < 4
                    ),
                    None,
                )
                body["quantity"] = max(1, int(number)) if number else 1
            question = Question(
                about="product", command=body, choices=choices, turn=self.state.turn
            )
        state = self.state.model_copy(
            update={
                "question": question
                or (self.state.question if command.about in ("quantity",) else None)
            }
        )
        if hits and command.about == "which_product":
            state = state.showing(self.shown_variants(hits, ())).model_copy(
                update={
                    "question": question,
                    "listed": self.state.listed
                    if len(self.state.listed) > len(hits)
                    else state.listed,
                }
            )
        asks = command.about not in (
            "nothing_pending",
            "unknown_product",
            "not_in_basket",
            "empty_basket",
            "not_on_wishlist",
            "too_many",
            "no_search",
        )
        subject = self.hit(command.subject) if command.subject in self.shelf.products else None
        facts = {
            "about": command.about,
            "subject": command.subject,
            "title_of": Item(subject) if subject else None,
            "stock": stock_of(subject.product, subject.variant) if subject else None,
        }
        status = "done" if asks else "failed"
        return Result(
            command,
            "asked" if asks else "told",
            state,
            status=status,
            products=self.items(hits),
            shows=bool(hits),
            question=asks,
            choices=choices,
            facts=facts,
        )

    def _out_of_scope(self, command: Any) -> Result:
        named = self.c.references().by_title(self.c.text, self.c.raw)
        update: dict[str, Any] = {"question": None}
        if named is not None and len(named.product_ids) == 1:
            update["focus"] = named.product_ids  # "how much is it really?" may follow
        return Result(
            command,
            "declined",
            self.state.model_copy(update=update),
            facts={"reason": command.reason},
        )

    def _converse(self, command: Any) -> Result:
        return Result(command, "said", self.state, facts={"about": command.about})

    def finish(self, what: str) -> DialogueState:
        """Return the final state: all changes of the turn are one step of the undo list."""
        if self.operations:
            self.state = self.state.remembering(
                UndoStep(what=what, operations=tuple(self.operations))
            )
        return self.state


def spread(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """Take hits in order, at most two of a type, then fill up."""
    chosen: list[Hit] = []
    count: dict[str, int] = {}
    for hit in hits:
        kind = (hit.product.type or hit.product.title).casefold()
        if count.get(kind, 0) < 1:
            chosen.append(hit)
            count[kind] = count.get(kind, 0) + 1
        if len(chosen) == limit:
            return chosen
    for hit in hits:
        if hit not in chosen:
            chosen.append(hit)
        if len(chosen) == limit:
            break
    return chosen


def bought_of(history: Sequence[Any], orders: Sequence[Order], now: datetime) -> dict[str, Bought]:
    """Return what a visitor bought, by product, from purchase events and own orders."""
    times: dict[str, list[datetime]] = {}
    known_orders = {e.order_id for e in history if getattr(e, "order_id", None)}
    for event in history:
        if event.kind == "purchase":
            times.setdefault(event.product_id, []).append(event.at)
    for order in orders:
        if order.order_id in known_orders:
            continue
        for line in order.lines:
            times.setdefault(line.product_id, []).append(order.at or now)
    return {i: Bought(i, tuple(sorted(ts))) for i, ts in times.items()}


__all__ = ["Executor", "References", "Tools", "UnknownProductError", "bought_of", "price_of"]
