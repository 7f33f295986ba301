"""Rebuild a served response from its release and its inputs, and say where the two differ.

In: the id of a logged response. Its release comes from the registry, verified; its request, its
time and the visitor's events as they then were come from the state. Out: a `Diff`, empty of fields
when the answer is reproduced.

What rules, sponsors and launches did to a list lies in the state and not in the release: it was
logged with the answer (`components.merchandise.hand`) and is done again to what the engines find.

Not compared: the ids drawn for each answer, which parts were missing then, offers, which come from
the promotions in force and not from a model, and what sponsored places cost; nor the order of later
pages of a search that was put in order, and of a segment's best sellers. Posted products are those
the state holds now.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.assistant.assemble import Parts, assistant_of, load_parts
from components.contracts.artefacts import Layout
from components.contracts.errors import RegistryError, StateError, UnknownVisitorError
from components.contracts.messages import (
    Reason,
    RecommendRequest,
    ScoredProduct,
    SearchRequest,
    SponsoredPlace,
    TurnRequest,
)
from components.contracts.params import ServeParams, load_params
from components.contracts.records import BasketAdd, BasketRemove, Click, Event, Order, Purchase
from components.merchandise.hand import Edits, arranged, as_rules, edited, slate_line
from components.recommend.slate import policy_of
from components.registry.store import Registry
from components.search.arrange import Arranged, Listing
from components.state.models import from_text
from components.state.searches import SearchState
from components.state.store import Store

DRAWN = ("request_id", "slate_id", "trace_id")
ADDED = ("offers", "degraded")
INPUTS = ("session", "memory", "policy", "arranged", "hand")
ARRANGED = ("products", "total", "cursor", "sponsored", "reply", "claims")
PLACES = ("sponsored",)  # of an answer, not of a product: what its paid places displaced and cost
TOLD = {
    "click": Click,
    "basket_add": BasketAdd,
    "basket_remove": BasketRemove,
    "purchase": Purchase,
    "rating": Click,
}


@dataclass(frozen=True)
class Diff:
    """A replayed response beside the served one; `fields` are the paths that differ."""

    request_id: str
    endpoint: str
    release_id: str
    fields: tuple[str, ...]
    served: Mapping[str, Any]
    replayed: Mapping[str, Any]

    @property
    def is_equal(self) -> bool:
        """Whether the answer was reproduced."""
        return not self.fields


def state_url(layout: Layout) -> str:
    """Return the URL of the state that the service writes."""
    given = os.environ.get("SHELFWISE_STATE_URL")
    if given:
        return given
    named = (
        load_params(layout.params_file).serve.state_url if layout.params_file.is_file() else None
    )
    return named or f"sqlite:///{layout.var / 'state.db'}"


def replay(
    request_id: str,
    layout: Layout,
    *,
    store: Store | None = None,
    loaded: dict[str, Parts] | None = None,
) -> Diff:
    """Compute a logged response anew.

    Args:
        request_id: of the response.
        layout: where registry and state lie.
        store: an open state; the service's own is opened if not given.
        loaded: releases by id that were verified and loaded before; new ones are added, so that
            many responses of one release load it once.

    Raises:
        StateError: no such response in the log, or one of an endpoint that holds no ranking.
        UnknownVisitorError: the visitor asked to be forgotten; nothing is computed about them.
        RegistryError: the release is gone, altered, or retired by a forget request.
    """
    opened = store or Store(state_url(layout))
    try:
        logged = opened.response(request_id)
        if logged is None:
            raise StateError(f"{request_id}: no such response in the log of served answers.")
        visitor_id = logged["visitor_id"]
        if visitor_id is not None and opened.forgotten_at(visitor_id) is not None:
            raise UnknownVisitorError(f"{request_id}: its visitor asked to be forgotten.")
        registry = Registry(layout.registry)
        if logged["model_version"] in registry.state().retired:
            raise RegistryError(
                f"release {logged['model_version']} is retired by a forget request."
            )
        loaded = {} if loaded is None else loaded
        release = registry.release(
            logged["model_version"], verify=logged["model_version"] not in loaded
        )
        if release.release_id not in loaded:
            loaded[release.release_id] = load_parts(release.folder)
        engines = loaded[release.release_id]
        posted = opened.products()
        if posted:
            engines.catalogue.upsert(posted)
            engines.search.upsert(posted)
            engines.recommend.upsert(posted)
        engines.search.set_synonyms(SearchState(opened).synonyms())
        engines.search.set_promoted(engines.offers.open_products(logged["at"]))
        recent = opened.events_by_id(list(logged["recent"]))
        replayed = answer(logged, engines, recent, release.release_id)
    finally:
        if store is None:
            opened.close()
    served = dict(logged["response"])
    passed_over = ARRANGED if logged["request"].get("arranged") else PLACES
    return Diff(
        request_id=request_id,
        endpoint=logged["endpoint"],
        release_id=release.release_id,
        fields=tuple(f for f in differing(served, replayed) if f.split(".")[0] not in passed_over),
        served=served,
        replayed=replayed,
    )


def answer(
    logged: Mapping[str, Any], engines: Parts, recent: Sequence[Event], release_id: str
) -> dict[str, Any]:
    """Ask the engines what was asked then; return the response without what is drawn or added."""
    endpoint, at = logged["endpoint"], logged["at"]
    visitor_id, did = logged["visitor_id"], logged["request"].get("hand") or {}
    asked = {key: value for key, value in logged["request"].items() if key not in INPUTS}
    answerers = {
        "search": lambda: _search(asked, engines, visitor_id, recent, at, did),
        "recommend": lambda: _recommend(
            asked, engines, visitor_id, recent, at, did, logged["request"].get("policy")
        ),
        "similar": lambda: _similar(asked, engines),
        "explain": lambda: _explain(asked, engines, visitor_id, recent, at),
        "turn": lambda: _turn(asked, logged["request"], engines, recent, release_id, at),
    }
    if endpoint not in answerers:
        raise StateError(f"answers of '{endpoint}' are not replayed; {', '.join(answerers)} are.")
    return {**answerers[endpoint](), "model_version": release_id}


def _search(
    asked: Mapping[str, Any],
    engines: Parts,
    visitor: str | None,
    recent: Sequence[Event],
    at: datetime,
    did: Edits,
) -> dict[str, Any]:
    request = SearchRequest.model_validate(asked)

    def liking(product_ids: Sequence[str]) -> Any:
        return engines.recommend.affinity(visitor, recent, product_ids, now=at)

    found = engines.search.search(
        request,
        affinity=liking if visitor is not None or recent else None,
        arrange=(lambda listing: arranged(listing, did)) if did else None,
    )
    return {
        "products": _plain(found.products),
        "query": request.query,
        "corrected_query": found.corrected_query,
        "understood": found.understood.model_dump(mode="json"),
        "spans": _plain(found.spans),
        "intent": found.intent,
        "intent_confidence": found.intent_confidence,
        "category": found.category,
        "category_confidence": found.category_confidence,
        "total": found.total,
        "facets": _plain(found.facets),
        "relaxations": _plain(found.relaxations),
        "relaxed": list(found.relaxed),
        "cursor": found.cursor,
    }


def _recommend(
    asked: Mapping[str, Any],
    engines: Parts,
    visitor: str | None,
    recent: Sequence[Event],
    at: datetime,
    did: Edits,
    policy: Mapping[str, Any] | None,
) -> dict[str, Any]:
    request = RecommendRequest.model_validate(asked)
    told = [
        TOLD[item.kind](
            event_id=f"told-{number}",
            at=at,
            visitor_id=request.visitor_id or "anonymous",
            product_id=item.product_id,
        )
        for number, item in enumerate(request.recent)
    ]
    slate = engines.recommend.recommend(
        visitor,
        [*recent, *told],
        now=at,
        limit=request.limit,
        surface=request.surface,
        filters=request.filters,
        rules=as_rules(did.get("rules", ())),
        also={product_id for _, product_id in did.get("placed", ())},
        policy=policy_of(ServeParams.model_validate(policy)) if policy is not None else None,
    )
    shown = slate.products
    if did:
        people = {p: Reason.model_validate(r) for p, r in did.get("people", {}).items()}
        shown = slate_line(
            edited([p.product_id for p in shown], did),
            {p.product_id: p for p in (*slate.also, *shown)},
            paid=did.get("sponsored", ()), new=did.get("launched"), people=people,
        )  # fmt: skip
    return {"products": _plain(shown), "surface": request.surface}


class LoggedPlaces:
    """The shop's say in a turn, as it was logged (`components.assistant.places.Places`)."""

    def __init__(self, did: Edits) -> None:
        """Take what was barred by words, and the edits of each list in turn."""
        self._barred: Mapping[str, Sequence[str]] = did.get("barred", {})
        self._lists = iter(did.get("lists", ()))

    def barred(self, words: str) -> Collection[str]:
        """Return what no list might hold."""
        return frozenset(self._barred.get(words, ()))

    def arrange(self, listing: Listing, words: str) -> Arranged:
        """Do again what was done to the next list."""
        return arranged(listing, next(self._lists, {}))

    def shown(
        self, products: Sequence[ScoredProduct]
    ) -> tuple[str | None, tuple[SponsoredPlace, ...]]:
        """Enter nothing: a replay sells no place."""
        return None, ()


def _similar(asked: Mapping[str, Any], engines: Parts) -> dict[str, Any]:
    slate = engines.recommend.similar(asked["product_id"], limit=asked.get("limit", 10))
    return {"products": _plain(slate.products), "surface": "similar"}


def _explain(
    asked: Mapping[str, Any],
    engines: Parts,
    visitor: str | None,
    recent: Sequence[Event],
    at: datetime,
) -> dict[str, Any]:
    reasons = engines.recommend.explain(visitor, asked["product_id"], recent, now=at)
    return {"product_id": asked["product_id"], "reasons": _plain(tuple(reasons))}


def _turn(
    asked: Mapping[str, Any],
    with_inputs: Mapping[str, Any],
    engines: Parts,
    recent: Sequence[Event],
    release_id: str,
    at: datetime,
) -> dict[str, Any]:
    """Answer a turn on an empty state that holds the session and the events as they were."""
    request = TurnRequest.model_validate(asked)
    memory = Store("sqlite://")
    try:
        memory.append_events(list(recent))
        session = with_inputs.get("session")
        if session is not None:
            memory.session_put(request.session_id, request.visitor_id, session)
        remember(memory, request.visitor_id, with_inputs.get("memory") or {})
        assistant = assistant_of(engines, memory, release_id=release_id, now=lambda: at)
        did = with_inputs.get("hand")
        places = LoggedPlaces(did) if did else None
        return assistant.turn(request, places=places).model_dump(mode="json")
    finally:
        memory.close()


def remember(memory: Store, visitor_id: str, kept: Mapping[str, Any]) -> None:
    """Put a visitor's basket, offers, wishes, preferences and orders as they were into a state."""
    for line in kept.get("basket", ()):
        memory.basket_set(visitor_id, line["product_id"], line["variant_id"], line["quantity"])
    for promotion_id in kept.get("basket_offers", ()):
        memory.basket_offer_set(visitor_id, promotion_id, True)
    for used in kept.get("redemptions", ()):
        amounts = {used["promotion_id"]: used["amount_minor"]}
        memory.redeem(visitor_id, amounts, order_id=used["order_id"], at=from_text(used["at"]))
    for product_id in kept.get("wishlist", ()):
        memory.wishlist_set(visitor_id, product_id, True)
    for name, value in kept.get("preferences", {}).items():
        memory.preference_set(visitor_id, name, value)
    for order in kept.get("orders", ()):
        memory.order_add(visitor_id, Order.model_validate(order))


def _plain(models: Sequence[Any]) -> list[Any]:
    return [model.model_dump(mode="json") for model in models]


def differing(served: Any, replayed: Any, path: str = "") -> list[str]:
    """Return the paths of values that differ; what the service draws or adds is passed over.

    A field that only the served side has is passed over too when it is empty there.

    >>> differing({"a": [1, {"b": 2}], "request_id": "x"}, {"a": [1, {"b": 3}]})
    ['a.1.b']
    """
    if isinstance(served, Mapping) and isinstance(replayed, Mapping):
        found: list[str] = []
        for key in sorted({*served, *replayed}):
            if key in DRAWN or key in ADDED or (key not in replayed and not served[key]):
                continue
            found += differing(served.get(key), replayed.get(key), f"{path}.{key}" if path else key)
        return found
    if isinstance(served, list | tuple) and isinstance(replayed, list | tuple):
        if len(served) != len(replayed):
            return [path]
        return [
            name
            for place, (one, other) in enumerate(zip(served, replayed, strict=True))
            for name in differing(one, other, f"{path}.{place}")
        ]
    return [] if served == replayed else [path]
