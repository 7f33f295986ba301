"""Offers that run now: which product, how much, until when, for whom.

An offer that has ended, has not begun, or is meant for others is none. `price_minor` of a product is
what is charged; an offer whose price is not yet in it is priced by `components.merchandise` rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from components.contracts.records import Product


@dataclass(frozen=True)
class Offer:
    """One offer on one product or many, with its dates and audience (empty = everybody)."""

    promotion_id: str
    title: str
    product_ids: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    mechanics: Mapping[str, Any] = field(default_factory=dict)
    audience: frozenset[str] = frozenset()
    targeted: bool = False

    def runs(self, now: datetime, visitor_id: str | None) -> bool:
        """Whether the offer runs now for this visitor."""
        return self.starts_at <= now <= self.ends_at and (
            not self.targeted or (visitor_id or "") in self.audience
        )

    @property
    def percent(self) -> int | None:
        """The reduction in percent, where the offer is one."""
        value = self.mechanics.get("value")
        return int(value) if self.mechanics.get("kind") == "percent" and value is not None else None


class Offers:
    """All offers of the shop, by product."""

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        """Index the offers."""
        self._by_product: dict[str, list[Offer]] = {}
        for offer in offers:
            for product_id in offer.product_ids:
                self._by_product.setdefault(product_id, []).append(offer)

    def of(self, product_id: str, now: datetime, visitor_id: str | None) -> list[Offer]:
        """Return the offers on a product that run now for this visitor, first to end first."""
        running = [o for o in self._by_product.get(product_id, ()) if o.runs(now, visitor_id)]
        return sorted(running, key=lambda o: (o.ends_at, o.promotion_id))

    def running(self, now: datetime, visitor_id: str | None) -> set[str]:
        """Return ids of products with an offer that runs now for this visitor."""
        return {
            i
            for i, offers in self._by_product.items()
            if any(o.runs(now, visitor_id) for o in offers)
        }

    def __bool__(self) -> bool:
        return bool(self._by_product)


def is_reduced(product: Product) -> bool:
    """Whether a product costs less now than its list price says."""
    pairs = [(product.price_minor, product.list_price_minor)]
    pairs += [(v.price_minor, v.list_price_minor) for v in product.variants]
    return any(p is not None and full is not None and p < full for p, full in pairs)
