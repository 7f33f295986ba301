"""The offers of a release as pages show them: which are in force, and who may use them."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from components.contracts.messages import Offer


class Offers:
    """Offers by time, product and audience, over those the assistant speaks of; read-only."""

    def __init__(self, spoken: Any) -> None:
        """Index offers (`components.assistant.offers.Offers`)."""
        self._held = [
            (one, _shown(one))
            for one in sorted(spoken.all, key=lambda o: (o.ends_at, o.promotion_id))
        ]
        self._of_product: dict[str, list[tuple[Any, Offer]]] = defaultdict(list)
        for pair in self._held:
            for product_id in pair[0].product_ids:
                self._of_product[product_id].append(pair)

    def in_force(self, visitor_id: str | None, now: datetime) -> list[Offer]:
        """Return the offers this visitor may use now, the one that ends first first."""
        return [shown for one, shown in self._held if _applies(one, visitor_id, now)]

    def of_product(self, product_id: str, visitor_id: str | None, now: datetime) -> list[Offer]:
        """Return the offers on a product that this visitor may use now."""
        held = self._of_product.get(product_id, ())
        return [shown for one, shown in held if _applies(one, visitor_id, now)]

    def campaigns_since(self, visitor_id: str, since: datetime, now: datetime) -> int:
        """Return how many campaigns meant for him a visitor got in [since, now).

        Offers of one campaign share their dates; a campaign is one contact, however many it holds.
        """
        return len(
            {
                (one.starts_at, one.ends_at)
                for one, _ in self._held
                if one.targeted and since <= one.starts_at < now and visitor_id in one.audience
            }
        )


def _applies(one: Any, visitor_id: str | None, now: datetime) -> bool:
    if not one.starts_at <= now < one.ends_at:
        return False
    return not one.targeted or (visitor_id is not None and visitor_id in one.audience)


def _shown(one: Any) -> Offer:
    return Offer(
        promotion_id=one.promotion_id,
        title=one.title,
        mechanics=dict(one.mechanics),
        product_ids=one.product_ids,
        ends_at=one.ends_at.isoformat(),
        targeted=one.targeted,
    )
