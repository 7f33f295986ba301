"""The offers of a release: which are in force at a time, and which of them a visitor may use."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components.contracts.messages import Offer
from components.data.parquet import read_table


@dataclass(frozen=True)
class _Held:
    offer: Offer
    starts_at: datetime
    ends_at: datetime
    campaign_id: str | None


class Offers:
    """Offers by time, product and audience; read-only."""

    def __init__(self, held: list[_Held], audience: dict[str, frozenset[str]]) -> None:
        """Index offers that were read."""
        self._held = sorted(held, key=lambda h: (h.ends_at, h.offer.promotion_id))
        self._audience = audience
        self._of_product: dict[str, list[_Held]] = defaultdict(list)
        for one in self._held:
            for product_id in one.offer.product_ids:
                self._of_product[product_id].append(one)

    @classmethod
    def load(cls, folder: Path) -> "Offers":
        """Read the offer tables beside the catalogue; absent ones mean no offers."""
        catalogue = folder / "catalogue"
        products: dict[str, list[str]] = defaultdict(list)
        for row in read_table("promotion_products", catalogue).iter_rows(named=True):
            products[row["promotion_id"]].append(row["product_id"])
        audience: dict[str, set[str]] = defaultdict(set)
        for row in read_table("promotion_audience", catalogue).iter_rows(named=True):
            audience[row["campaign_id"]].add(row["visitor_id"])
        held = [
            _Held(
                _offer(row, products[row["promotion_id"]]),
                row["starts_at"],
                row["ends_at"],
                row["campaign_id"],
            )
            for row in read_table("promotions", catalogue).iter_rows(named=True)
        ]
        return cls(held, {name: frozenset(members) for name, members in audience.items()})

    def for_assistant(self) -> Any:
        """Return the same offers as the assistant reads them."""
        from components.assistant import offers as spoken

        return spoken.Offers(
            spoken.Offer(
                promotion_id=one.offer.promotion_id,
                title=one.offer.title,
                product_ids=one.offer.product_ids,
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                mechanics=one.offer.mechanics,
                audience=self._audience.get(one.campaign_id or "", frozenset()),
                targeted=one.offer.targeted,
            )
            for one in self._held
        )

    def in_force(self, visitor_id: str | None, now: datetime) -> list[Offer]:
        """Return the offers this visitor may use now, the one that ends first first."""
        return [one.offer for one in self._held if self._applies(one, visitor_id, now)]

    def of_product(self, product_id: str, visitor_id: str | None, now: datetime) -> list[Offer]:
        """Return the offers on a product that this visitor may use now."""
        held = self._of_product.get(product_id, ())
        return [one.offer for one in held if self._applies(one, visitor_id, now)]

    def open_products(self, now: datetime) -> frozenset[str]:
        """Return the products that an offer for everybody names now."""
        return frozenset(
            product_id
            for one in self._held
            if not one.offer.targeted and self._applies(one, None, now)
            for product_id in one.offer.product_ids
        )

    def _applies(self, one: _Held, visitor_id: str | None, now: datetime) -> bool:
        if not one.starts_at <= now < one.ends_at:
            return False
        if not one.offer.targeted:
            return True
        return visitor_id is not None and visitor_id in self._audience.get(
            one.campaign_id or "", ()
        )


def _offer(row: dict[str, Any], product_ids: list[str]) -> Offer:
    return Offer(
        promotion_id=row["promotion_id"],
        title=row["title"],
        mechanics=json.loads(row["mechanics"]),
        product_ids=tuple(sorted(product_ids)),
        ends_at=row["ends_at"].isoformat(),
        targeted=row["targeted"],
    )
