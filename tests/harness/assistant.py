"""The assistant under test, in process: the shipped parts over the catalogue it is given.

Nothing is special-cased. This module translates the evaluation suite's words (cart, id, user_id,
sku) to ours (basket, product_id, visitor_id, variant_id) and back, and fills the store as a shop
would have: with events, orders, preferences, basket lines.
"""

import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.assistant.assemble import packaged_encode
from components.assistant.classifier import default_classifier
from components.assistant.engine import Assistant
from components.assistant.offers import Offer, Offers
from components.contracts.messages import TurnRequest, TurnResponse
from components.contracts.records import Click, Order, OrderLine, Purchase
from components.data.catalogue import Catalogue
from components.recommend.engine import RecommendEngine
from components.search.engine import SearchEngine
from components.state.store import Store
from tests.harness.suite_catalogue import SuiteCatalogue, read_catalogue

TYPES = {
    "search": "search_products",
    "details": "product_details",
    "recommend": "recommend_for_user",
    "similar": "similar_items",
    "basket_view": "cart_view",
    "basket_set": "cart_set",
    "basket_remove": "cart_remove",
    "basket_clear": "cart_remove",
    "swap": "cart_set",
    "preference_set": "set_preference",
    "out_of_scope": "decline",
    "explain_absence": "explain",
    "checkout_cancel": "decline",
    "restock": "recommend_for_user",
    "usual": "recommend_for_user",
    "converse": "clarify",
    "wishlist_view": "profile_view",
}
NAMES = {
    "product_id": "id",
    "product_ids": "ids",
    "variant_id": "variant",
    "order_id": "id",
    "budget_minor": "budget",
}
_START = datetime(2026, 1, 1, tzinfo=UTC)


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> SuiteCatalogue:
    return read_catalogue(json.loads(text))


@functools.lru_cache(maxsize=4)
def _engines(text: str) -> tuple[Catalogue, SearchEngine, RecommendEngine]:
    shop = _parsed(text)
    catalogue = Catalogue.from_products(shop.products)
    return (
        catalogue,
        SearchEngine.from_products(catalogue),
        RecommendEngine.from_catalogue(catalogue),
    )


class AssistantUnderTest:
    """A target of the evaluation suite."""

    def reset(self, state: dict[str, Any]) -> None:
        """Start a session over a catalogue with what is known of the visitor and of others."""
        data = state.get("catalogue_data")
        text = (
            json.dumps(data, sort_keys=True)
            if data is not None
            else Path(state["catalogue"]).read_text(encoding="utf-8")
        )
        shop = _parsed(text)
        catalogue, search, recommend = _engines(text)
        self.session_id, self.user_id = state["session_id"], state["user_id"]
        self.store = Store("sqlite://")
        self._now = datetime.now(UTC)
        self._fill(self.user_id, state.get("state") or {}, shop)
        for other, records in (state.get("others") or {}).items():
            self._fill(other, records, shop)
        offers = Offers(Offer(product_ids=(i,), **o) for i, o in shop.promotions.items())
        self.assistant = Assistant(
            catalogue,
            search,
            recommend,
            self.store,
            model_version="suite",
            currency=shop.currency,
            rates=shop.rates,
            now=lambda: self._now,
            offers=offers,
            reviews=lambda i: shop.reviews.get(i, ()),
            classify=default_classifier(packaged_encode()),
            encode=packaged_encode(),
        )

    def _fill(self, user: str, records: dict[str, Any], shop: SuiteCatalogue) -> None:
        for line in records.get("cart") or []:
            self.store.basket_set(user, line["id"], line.get("variant"), line["quantity"])
        for wish in records.get("wishlist") or []:
            self.store.wishlist_set(user, wish["id"] if isinstance(wish, dict) else wish, True)
        for name, value in (records.get("preferences") or {}).items():
            self.store.preference_set(
                user, name, value if isinstance(value, str) else json.dumps(value)
            )
        events: list[Any] = []
        for n, item in enumerate(records.get("history") or []):
            at = self._now - timedelta(days=60 - n)
            base = {
                "event_id": f"{user}-h{n}",
                "at": at,
                "visitor_id": user,
                "product_id": item["id"],
            }
            events.append(
                Purchase(**base) if item.get("event", "purchase") == "purchase" else Click(**base)
            )
        self.store.append_events(events)
        for order in records.get("orders") or []:
            if not isinstance(order, dict):
                continue
            total = order.get("total") or {}
            self.store.order_add(
                user,
                Order(
                    order_id=order["id"],
                    lines=tuple(
                        OrderLine(product_id=i["id"], quantity=i["quantity"])
                        for i in order.get("items") or []
                    ),
                    total_minor=total.get("amount"),
                    currency=total.get("currency", shop.currency),
                    status=order.get("status", "placed"),
                    at=self._now - timedelta(days=30),
                ),
            )

    def turn(
        self, message: str, confirm_id: str | None = None, request_id: str | None = None
    ) -> dict[str, Any]:
        """Send one message and return the answer in the suite's words."""
        try:
            request = TurnRequest(
                session_id=self.session_id,
                visitor_id=self.user_id,
                message=message.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
                request_id=request_id,
                confirm_id=confirm_id,
            )
        except ValidationError:
            return self._too_large()
        return self.translate(self.assistant.turn(request))

    def _too_large(self) -> dict[str, Any]:
        state = self.assistant.public_state(
            self.user_id,
            self.assistant.context(
                TurnRequest(session_id=self.session_id, visitor_id=self.user_id)
            ).state,
        )
        return {
            "reply": "That message is too long.",
            "commands": [],
            "products": [],
            "question": False,
            "state": self._state(state),
        }

    def _state(self, state: dict[str, Any]) -> dict[str, Any]:
        return {
            "cart": [
                {"id": b["product_id"], "variant": b["variant_id"], "quantity": b["quantity"]}
                for b in state["basket"]
            ],
            "wishlist": state["wishlist"],
            "preferences": state["preferences"],
            "history": [
                {"id": h["product_id"], "event": {"click": "view"}.get(h["kind"], h["kind"])}
                for h in state["history"]
            ],
            "orders": [
                {
                    "id": o["order_id"],
                    "status": o["status"],
                    "total": {"amount": o["total_minor"], "currency": o["currency"]},
                    "items": [
                        {
                            "id": i["product_id"],
                            "variant": i["variant_id"],
                            "quantity": i["quantity"],
                        }
                        for i in o["lines"]
                    ],
                }
                for o in state["orders"]
            ],
            "constraints": state["constraints"],
        }

    def translate(self, response: TurnResponse) -> dict[str, Any]:
        """Return our answer in the suite's words."""
        commands = []
        for c in response.commands:
            args = {NAMES.get(k, k): v for k, v in c.args.items()}
            commands.append({"type": TYPES.get(c.type, c.type), "args": args, "status": c.status})
        confirmation = None
        if response.confirmation is not None:
            total = {
                "amount": response.confirmation.total_minor,
                "currency": response.confirmation.currency,
            }
            confirmation = {
                "id": response.confirmation.id,
                "summary": response.confirmation.summary,
                "total": total,
            }
        return {
            "reply": response.reply,
            "commands": commands,
            "products": [
                {
                    "id": p.product_id,
                    "variant": p.variant_id,
                    "price": {"amount": p.price_minor, "currency": p.currency},
                }
                for p in response.products
            ],
            "relaxed": list(response.relaxed),
            "state": self._state(response.state),
            "question": response.question,
            "confirmation": confirmation,
        }
