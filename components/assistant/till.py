"""One household at the till: which offers it may use, which are on the basket, what they take off.

The offers on the basket are kept as a set of ids; what they take off is computed anew from the
lines each time, so that no order of steps, no repetition and no change of the basket can make it
wrong. An offer that has ended or was used takes nothing off, whatever was put on the basket.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from components.assistant.basket_money import Bill, PricedLine, price_basket
from components.assistant.offers import Offer, Offers
from components.state.store import Store


@dataclass(frozen=True)
class Till:
    """Reads offers, baskets and redemptions; `apply` and `take_off` are the only writes."""

    store: Store
    offers: Offers
    visitor_id: str
    now: datetime

    def usable(self) -> list[Offer]:
        """Return the offers that run now for this household and that it has not used."""
        running = [o for o in self.offers.all if o.runs(self.now, self.visitor_id)]
        if not running:
            return []
        used = self.store.redeemed(self.visitor_id)
        return [o for o in running if o.promotion_id not in used]

    def on_basket(self) -> list[Offer]:
        """Return the offers on the basket that may still be used."""
        held = set(self.store.basket_offers(self.visitor_id))
        return [o for o in self.usable() if o.promotion_id in held] if held else []

    def bill(self, lines: Sequence[PricedLine]) -> Bill:
        """Price the basket with the offers on it."""
        return price_basket(lines, self.on_basket())

    def best(self, lines: Sequence[PricedLine]) -> Bill:
        """Price the basket with all offers that the household may use."""
        return price_basket(lines, self.usable())

    def apply(self, promotion_ids: Collection[str]) -> list[str]:
        """Put offers on the basket; return those that were not on it.

        What may not be used stays off. Putting one on twice is putting it on once.
        """
        usable = {o.promotion_id for o in self.usable()}
        held = set(self.store.basket_offers(self.visitor_id))
        new = sorted((set(promotion_ids) & usable) - held)
        for promotion_id in new:
            self.store.basket_offer_set(self.visitor_id, promotion_id, True)
        return new

    def take_off(self, promotion_ids: Collection[str]) -> list[str]:
        """Take offers off the basket; return those that were on it."""
        held = set(self.store.basket_offers(self.visitor_id))
        gone = sorted(held & set(promotion_ids))
        for promotion_id in gone:
            self.store.basket_offer_set(self.visitor_id, promotion_id, False)
        return gone
