"""Several goals in one order: that it is bought, what a sale brings, that it is new to the visitor.

In: log-odds of a purchase and facts of the products. Out: one value per product to rank by. On the
scale of log-odds the weights have plain meanings: with `margin` 1 products stand by expected gain
per place, chance times what a sale brings; with `discovery` 1 something never bought counts as if
it were e times as likely. Diversity is the slate's business (`SlatePolicy.diversity`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contracts.records import Product

FloatArray = NDArray[np.float32]
MARGIN_KEY = "margin_minor"


@dataclass(frozen=True)
class Goals:
    """Weights of the goals beside the purchase, whose weight is 1.

    Attributes:
        margin: of what a sale brings, in [0, 1] where 1 maximises the expected gain.
        discovery: added to the log-odds of products the visitor never bought.
    """

    margin: float = 0.0
    discovery: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Say whether the purchase is the only goal."""
        return self.margin == 0.0 and self.discovery == 0.0


def gains(products: Sequence[Product | None]) -> FloatArray:
    """Return what one sale of each product brings, in minor units.

    It is the attribute `margin_minor` where the shop states it, else the price; an unknown price
    counts as the median one, so that it neither helps nor harms.
    """
    stated = np.array(
        [
            np.nan if p is None
            else float(p.attributes.get(MARGIN_KEY) or p.price_minor or np.nan)
            for p in products
        ],
        dtype=np.float64,
    )  # fmt: skip
    known = np.isfinite(stated) & (stated > 0)
    usual = float(np.median(stated[known])) if known.any() else 1.0
    return np.where(known, stated, usual).astype(np.float32)


def valued(
    log_odds: NDArray[np.floating],
    gain: NDArray[np.floating],
    owned: NDArray[np.bool_],
    goals: Goals,
) -> FloatArray:
    """Return the value to rank by.

    Args:
        log_odds: (n,) of being bought.
        gain: (n,) what a sale brings, above 0, any unit.
        owned: (n,) whether the visitor bought it before.
        goals: the weights.

    >>> owned = np.array([True, True])
    >>> valued(np.array([0.0, -1.0]), np.array([1.0, 10.0]), owned, Goals(margin=1))
    array([0.       , 1.3025851], dtype=float32)
    """
    if goals.is_plain:
        return np.asarray(log_odds, dtype=np.float32)
    value = log_odds + goals.margin * np.log(np.maximum(gain, 1e-6))
    return (value + goals.discovery * ~owned).astype(np.float32)
