"""What a basket costs with offers: integers only, no stacking, each offer once per household.

Rules: an offer applies to one line that it names; a line takes one offer; an amount never exceeds
the
line's worth; a percentage is rounded down in favour of the shop. The choice of offers is the one
that
saves most; equal savings go to the offer that ends first. The order of lines or offers changes
nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from components.assistant.offers import Offer


@dataclass(frozen=True)
class PricedLine:
    """So many pieces of a product at a price each."""

    product_id: str
    quantity: int
    price_minor: int


@dataclass(frozen=True)
class Bill:
    """The sum, what offers take off, and which offer went to which line."""

    gross_minor: int
    discount_minor: int
    used: tuple[tuple[str, str, int], ...]

    @property
    def total_minor(self) -> int:
        """What is charged; never negative."""
        return self.gross_minor - self.discount_minor


def saving(line: PricedLine, offer: Offer) -> int:
    """Return what an offer takes off a line, in minor units, at most the line's worth."""
    if line.product_id not in offer.product_ids or offer.mechanics.get("already_in_price"):
        return 0
    worth = line.quantity * line.price_minor
    value = int(offer.mechanics.get("value", 0))
    if value <= 0:
        return 0
    if offer.mechanics.get("kind") == "percent":
        return worth * min(value, 100) // 100
    return min(value, worth) if offer.mechanics.get("kind") == "amount" else 0


def price_basket(
    lines: Sequence[PricedLine], offers: Sequence[Offer], redeemed: Collection[str] = ()
) -> Bill:
    """Price a basket.

    Args:
        lines: what is in it; lines of one product are allowed.
        offers: those that run now for this visitor.
        redeemed: ids of offers the household has used already.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    gross = sum(line.quantity * line.price_minor for line in lines)
    rows = sorted(
        range(len(lines)),
        key=lambda i: (lines[i].product_id, lines[i].price_minor, lines[i].quantity),
    )
    open_offers = {o.promotion_id: o for o in offers if o.promotion_id not in redeemed}
    columns = sorted(open_offers.values(), key=lambda o: (o.ends_at, o.promotion_id))
    if not rows or not columns:
        return Bill(gross, 0, ())
    gains = np.array([[saving(lines[i], o) for o in columns] for i in rows], dtype=np.int64)
    preference = np.arange(len(columns))[::-1]  # equal savings: the offer that ends first
    scaled = gains * (len(columns) * len(rows) + 1) + np.where(gains > 0, preference[None, :], 0)
    picked = linear_sum_assignment(scaled, maximize=True)
    used = tuple(
        (columns[c].promotion_id, lines[rows[r]].product_id, int(gains[r, c]))
        for r, c in zip(*picked, strict=True)
        if gains[r, c] > 0
    )
    return Bill(gross, sum(amount for _, _, amount in used), tuple(sorted(used)))
