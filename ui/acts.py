# ruff: noqa: E501
"""What a click does: takes the tab, asks the service, returns the new tab. No widgets, no HTML."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.contracts.errors import ShelfwiseError
from components.contracts.messages import (
    BasketSetRequest,
    EventsRequest,
    ExplainRequest,
    Filters,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from ui.cards import companion_card, with_value, without
from ui.client import Client
from ui.state import PAGE, Tab, guest
from ui.words import say

Data = Mapping[str, Any]


class Acts:
    """The acts by name; `run` finds the one that a button named."""

    def __init__(self, client: Client) -> None:
        """Remember the service."""
        self.client = client

    def run(self, tab: Tab, name: str, data: Data) -> Tab:
        """Do an act. A service that fails is told on the page and changes nothing else."""
        act = getattr(self, f"do_{name}", None)
        if act is None:
            return tab
        try:
            return act(replace(tab, problem="", toast=""), data)
        except ShelfwiseError as error:
            return replace(tab, problem=str(error), toast="")

    # -- the shelf

    def do_start(self, tab: Tab, _data: Data) -> Tab:
        """Open the shop: who may shop here, the home slate, the basket."""
        visitors = tuple(self.client.visitors())
        visitor_id = (
            visitors[0] if visitors and tab.is_guest and not tab.visitors else tab.visitor_id
        )
        return self._arrive(replace(tab, visitors=visitors, visitor_id=visitor_id))

    def do_retry(self, tab: Tab, data: Data) -> Tab:
        """Ask again for what is looked at."""
        return self._search(tab) if tab.query or tab.is_searching else self.do_start(tab, data)

    def _arrive(self, tab: Tab) -> Tab:
        basket = self.client.basket(tab.visitor_id)
        offers = self.client.promotions(tab.visitor_id, limit=8).promotions
        tab = replace(tab, basket=basket, offers=offers, kept=None, receipt="", is_asking=False)
        return self.do_home(tab, {})

    def do_home(self, tab: Tab, _data: Data) -> Tab:
        """Show the slate for this visitor."""
        answer = self.client.recommend(
            RecommendRequest(visitor_id=tab.visitor_id, surface="home", limit=PAGE)
        )
        return replace(
            tab,
            query="",
            filters=Filters(),
            sort="relevance",
            found=None,
            feed=self.client.feed(tab.visitor_id).reviews,
            products=answer.products,
            slate_id=answer.slate_id,
            degraded=answer.degraded,
            opened=None,
        )

    def do_search(self, tab: Tab, data: Data) -> Tab:
        """Search for words; nothing typed leads home."""
        query = str(data.get("query", "")).strip()[:1000]
        if not query:
            return self.do_home(tab, {})
        return self._search(
            replace(tab, query=query, filters=Filters(), opened=None, is_literal=False)
        )

    def do_as_typed(self, tab: Tab, _data: Data) -> Tab:
        """Search for the words as they were typed, without correcting them."""
        return self._search(replace(tab, is_literal=True))

    def _search(self, tab: Tab, *, cursor: str | None = None) -> Tab:
        filters = tab.filters if tab.filters != Filters() else None
        answer = self.client.search(
            SearchRequest(
                query=tab.query,
                visitor_id=tab.visitor_id,
                filters=filters,
                limit=PAGE,
                cursor=cursor,
                sort=tab.sort,  # type: ignore[arg-type]
                correct=not tab.is_literal,
            )
        )
        products = (*tab.products, *answer.products) if cursor else answer.products
        return replace(
            tab,
            found=answer,
            products=products,
            slate_id=answer.slate_id,
            degraded=answer.degraded,
        )

    def do_more(self, tab: Tab, _data: Data) -> Tab:
        """Add the next page to the shelf."""
        cursor = tab.found.cursor if tab.found else None
        return self._search(tab, cursor=cursor) if cursor else tab

    def do_sort(self, tab: Tab, data: Data) -> Tab:
        """Order the results otherwise."""
        return self._search(replace(tab, sort=str(data["value"])))

    def do_facet(self, tab: Tab, data: Data) -> Tab:
        """Choose a value of a facet, or take it back."""
        filters = with_value(tab.filters, str(data["field"]), str(data["value"]))
        return self._search(replace(tab, filters=filters))

    def do_drop_filter(self, tab: Tab, data: Data) -> Tab:
        """Remove a chosen constraint."""
        filters = without(tab.filters, str(data["field"]), str(data["value"]))
        return self._search(replace(tab, filters=filters))

    def do_drop_span(self, tab: Tab, data: Data) -> Tab:
        """Remove the part of the query that a chip stands for."""
        spans = tab.found.spans if tab.found else ()
        number = int(data["number"])
        if number >= len(spans):
            return tab
        return self._search(replace(tab, query=without_spans(tab.query, [spans[number]])))

    def do_relax(self, tab: Tab, data: Data) -> Tab:
        """Drop the constraints that left nothing."""
        fields = str(data["fields"]).split("|")
        filters = tab.filters
        for name in fields:
            head, _, inner = name.partition(".")
            if head not in Filters.model_fields:
                continue
            if inner:
                held = {n: v for n, v in getattr(filters, head).items() if n != inner}
                filters = filters.model_copy(update={head: held})
            else:
                filters = filters.model_copy(update={head: getattr(Filters(), head)})
        spans = [s for s in (tab.found.spans if tab.found else ()) if s.field in fields]
        return self._search(replace(tab, filters=filters, query=without_spans(tab.query, spans)))

    def do_clear(self, tab: Tab, _data: Data) -> Tab:
        """Remove every constraint and keep the other words."""
        spans = list(tab.found.spans) if tab.found else []
        query = without_spans(tab.query, spans) or tab.query
        return self._search(replace(tab, filters=Filters(), query=query))

    def do_offer(self, tab: Tab, data: Data) -> Tab:
        """Show the products of an offer."""
        offer = next((o for o in tab.offers if o.promotion_id == data["offer"]), None)
        if offer is None or not offer.product_ids:
            return tab
        return self._open(tab, offer.product_ids[0], "")

    # -- one product

    def do_open(self, tab: Tab, data: Data) -> Tab:
        """Show a product in full; that is a click."""
        product_id, slate_id = str(data["product"]), str(data.get("slate", ""))
        self._event(tab, "click", product_id, slate_id)
        return self._open(tab, product_id, slate_id)

    def _open(self, tab: Tab, product_id: str, slate_id: str) -> Tab:
        product = self.client.product(product_id)
        about = {"product_id": product_id, "visitor_id": tab.visitor_id}
        reasons = self.client.explain(ExplainRequest(**about)).reasons
        alike = self.client.similar(SimilarRequest(**about, limit=4)).products
        goes = self.client.goes_with(product_id, limit=4).goes_with
        return replace(
            tab,
            opened=product,
            opened_slate=slate_id,
            reasons=tuple(dict.fromkeys(r.text for r in reasons)),
            alike=alike,
            goes_with=tuple(companion_card(c, n) for n, c in enumerate(goes, start=1)),
        )

    def do_close(self, tab: Tab, _data: Data) -> Tab:
        """Close the product."""
        return replace(tab, opened=None)

    def do_compare(self, tab: Tab, data: Data) -> Tab:
        """Put a product beside the others, or take it away; four at most."""
        product_id = str(data["product"])
        left = tuple(p for p in tab.compared if p.product_id != product_id)
        if len(left) == len(tab.compared):
            left = (*left, self.client.product(product_id))[-4:]
        return replace(tab, compared=left)

    def do_compare_clear(self, tab: Tab, _data: Data) -> Tab:
        """End the comparison."""
        return replace(tab, compared=())

    def _event(self, tab: Tab, kind: str, product_id: str, slate_id: str) -> None:
        event = {
            "event_id": f"ui-{uuid.uuid4().hex}",
            "kind": kind,
            "visitor_id": tab.visitor_id,
            "product_id": product_id,
        }
        self.client.events(EventsRequest(events=({**event, "slate_id": slate_id or None},)))

    # -- the basket

    def do_add(self, tab: Tab, data: Data) -> Tab:
        """Put one more of a product into the basket."""
        product_id, variant_id = str(data["product"]), str(data.get("variant") or "") or None
        held = {(i.product_id, i.variant_id): i.quantity for i in self._items(tab)}
        return self._set(
            tab, product_id, variant_id, held.get((product_id, variant_id), 0) + 1, data
        )

    def do_set(self, tab: Tab, data: Data) -> Tab:
        """Make it so many; 0 removes the line."""
        variant_id = str(data.get("variant") or "") or None
        return self._set(tab, str(data["product"]), variant_id, int(data["quantity"]), data)

    def _items(self, tab: Tab) -> tuple[Any, ...]:
        return tab.basket.items if tab.basket else ()

    def _set(
        self, tab: Tab, product_id: str, variant_id: str | None, quantity: int, data: Data
    ) -> Tab:
        before = tuple((i.product_id, i.variant_id, i.quantity) for i in self._items(tab))
        named = {i.product_id: i.title for i in self._items(tab)}
        basket = self.client.basket_set(
            tab.visitor_id,
            BasketSetRequest(
                product_id=product_id,
                variant_id=variant_id,
                quantity=quantity,
                slate_id=str(data.get("slate") or "") or None,
            ),
        )
        named |= {i.product_id: i.title for i in basket.items}
        grew = quantity > {(p, v): q for p, v, q in before}.get((product_id, variant_id), 0)
        word = "added" if grew else "changed" if quantity else "removed"
        message = say(tab.language, word, x=named.get(product_id, product_id))
        after = replace(tab, basket=basket, before=before, offers_before=None)
        return after.say(message, may_undo=True)

    def do_offers_apply(self, tab: Tab, _data: Data) -> Tab:
        """Put the offers that save most on the basket."""
        return self._offers(tab, None, "offers_on")

    def do_offers_drop(self, tab: Tab, data: Data) -> Tab:
        """Take one offer off the basket and keep it for another time."""
        kept = [i for i in self._on_basket(tab) if i != str(data["offer"])]
        return self._offers(tab, kept, "offers_off")

    def _on_basket(self, tab: Tab) -> tuple[str, ...]:
        return tuple(d.promotion_id for d in tab.basket.discounts) if tab.basket else ()

    def _offers(self, tab: Tab, chosen: list[str] | None, word: str) -> Tab:
        before = self._on_basket(tab)
        basket = self.client.basket_offers(tab.visitor_id, chosen)
        after = replace(tab, basket=basket, before=(), offers_before=before)
        return after.say(say(tab.language, word), may_undo=True)

    def do_refresh_basket(self, tab: Tab, _data: Data) -> Tab:
        """Read the basket again, after somebody else may have changed it."""
        return replace(tab, basket=self.client.basket(tab.visitor_id))

    def do_undo(self, tab: Tab, _data: Data) -> Tab:
        """Bring the basket back to what it was before the last change."""
        if tab.offers_before is not None:
            basket = self.client.basket_offers(tab.visitor_id, tab.offers_before)
            after = replace(tab, basket=basket, offers_before=None)
            return after.say(say(tab.language, "undone"))
        now = {(i.product_id, i.variant_id): i.quantity for i in self._items(tab)}
        wanted = {(p, v): q for p, v, q in tab.before}
        basket = tab.basket
        for product_id, variant_id in sorted({*now, *wanted}, key=str):
            quantity = wanted.get((product_id, variant_id), 0)
            if now.get((product_id, variant_id), 0) != quantity:
                basket = self.client.basket_set(
                    tab.visitor_id,
                    BasketSetRequest(
                        product_id=product_id, variant_id=variant_id, quantity=quantity
                    ),
                )
        return replace(tab, basket=basket, before=()).say(say(tab.language, "undone"))

    # -- who shops, and what is kept

    def do_visitor(self, tab: Tab, data: Data) -> Tab:
        """Let another household shop."""
        chosen = str(data["value"])
        visitor_id = guest() if chosen == "guest" else chosen
        return self._arrive(
            replace(tab, visitor_id=visitor_id, compared=(), opened=None, before=(), query="")
        )

    def do_language(self, tab: Tab, _data: Data) -> Tab:
        """Change between English and Chinese."""
        return replace(tab, language="en" if tab.language == "zh" else "zh")

    def do_memory(self, tab: Tab, _data: Data) -> Tab:
        """Look at what is kept about the visitor."""
        return replace(tab, kept=self.client.visitor(tab.visitor_id))

    def do_preference(self, tab: Tab, data: Data) -> Tab:
        """Remember a preference."""
        name, value = str(data["name"]).strip()[:80], str(data["value"]).strip()[:500]
        if name and value:
            self.client.preference(tab.visitor_id, name, value)
        return self.do_memory(tab, {})

    def do_forget_preference(self, tab: Tab, data: Data) -> Tab:
        """Forget one preference."""
        self.client.preference(tab.visitor_id, str(data["name"]), None)
        return self.do_memory(tab, {})

    def do_forget(self, tab: Tab, _data: Data) -> Tab:
        """Ask whether to forget everything."""
        return replace(tab, is_asking=True, receipt="")

    def do_forget_no(self, tab: Tab, _data: Data) -> Tab:
        """Do not."""
        return replace(tab, is_asking=False)

    def do_forget_yes(self, tab: Tab, _data: Data) -> Tab:
        """Forget the visitor and show the receipt."""
        receipt = self.client.forget(tab.visitor_id).receipt_id
        tab = self._arrive(replace(tab, compared=(), before=()))
        return replace(self.do_memory(tab, {}), receipt=receipt)


def without_spans(query: str, spans: list[Any]) -> str:
    """Return the query without some of its parts.

    >>> from components.contracts.messages import Span
    >>> without_spans("tea under $4", [Span(start=4, end=12, text="", field="price_max", value=400)])
    'tea'
    >>> without_spans("tea at 4, no milk", [Span(start=4, end=8, text="", field="price", value=4)])
    'tea, no milk'
    """
    for span in sorted(spans, key=lambda s: -s.start):
        query = f"{query[: span.start]} {query[span.end :]}"
    return re.sub(r"\s+([,;，；])", r"\1", " ".join(query.split())).strip(" ,;，；")
