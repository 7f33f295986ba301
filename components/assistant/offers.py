"""Offers that run now: which product, how much, until when, for whom.

An offer that has ended, has not begun, or is meant for others is none. `price_minor` of a product
is what is charged; an offer whose price is not in it is priced by `components.merchandise` rules.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from components.contracts.records import Product
from components.data.parquet import read_table


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
        self.all = tuple(offers)
        self._by_product: dict[str, list[Offer]] = {}
        for offer in self.all:
            for product_id in offer.product_ids:
                self._by_product.setdefault(product_id, []).append(offer)

    def of(self, product_id: str, now: datetime, visitor_id: str | None) -> list[Offer]:
        """Return the offers on a product that run now for this visitor, first to end first."""
        running = [o for o in self._by_product.get(product_id, ()) if o.runs(now, visitor_id)]
        return sorted(running, key=lambda o: (o.ends_at, o.promotion_id))

    def running(self, now: datetime, visitor_id: str | None) -> set[str]:
        """Return ids of products with an offer that runs now for this visitor."""
        return {i for o in self.all if o.runs(now, visitor_id) for i in o.product_ids}

    def open_products(self, now: datetime) -> frozenset[str]:
        """Return the products that an offer for everybody names now."""
        return frozenset(
            product_id
            for one in self.all
            if not one.targeted and one.starts_at <= now < one.ends_at
            for product_id in one.product_ids
        )

    def __bool__(self) -> bool:
        return bool(self._by_product)


def is_reduced(product: Product) -> bool:
    """Whether a product costs less now than its list price says."""
    pairs = [(product.price_minor, product.list_price_minor)]
    pairs += [(v.price_minor, v.list_price_minor) for v in product.variants]
    return any(p is not None and full is not None and p < full for p, full in pairs)


def read_offers(folder: Path) -> list[Offer]:
    """Read the offer tables beside a release's catalogue; absent ones mean no offers."""
    catalogue = folder / "catalogue"
    products: dict[str, list[str]] = defaultdict(list)
    for row in read_table("promotion_products", catalogue).iter_rows(named=True):
        products[row["promotion_id"]].append(row["product_id"])
    audience: dict[str, set[str]] = defaultdict(set)
    for row in read_table("promotion_audience", catalogue).iter_rows(named=True):
        audience[row["campaign_id"]].add(row["visitor_id"])
    members = {campaign_id: frozenset(found) for campaign_id, found in audience.items()}
    return [
        Offer(
            promotion_id=row["promotion_id"],
            title=row["title"],
            product_ids=tuple(sorted(products[row["promotion_id"]])),
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            mechanics=json.loads(row["mechanics"]),
            audience=members.get(row["campaign_id"] or "", frozenset()),
            targeted=row["targeted"],
        )
        for row in read_table("promotions", catalogue).iter_rows(named=True)
    ]
