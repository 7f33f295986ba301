"""A finished list of answers, handed to whoever may put it in another order before it is paged.

Rules of the shop and sponsored places act on the whole list, once, so that pages neither repeat
nor lose a product. Search knows neither of them: it hands over a `Listing` and takes an `Arranged`
back.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Listing:
    """All answers to a query.

    Attributes:
        product_ids: best first.
        scores: (n,) of each, any scale.
        page: places of a page.
        is_exact: false when no product met every constraint and some were dropped.
        is_relevance: the list is in order of relevance, not of a price or a date.
        may_show: whether a product that is not in the list meets its hard constraints.
    """

    product_ids: Sequence[str]
    scores: NDArray[np.floating]
    page: int
    is_exact: bool
    is_relevance: bool
    may_show: Callable[[str], bool]

    def relevance(self) -> NDArray[np.float64]:
        """Return (n,) relevances in [0, 1]: the scores between the list's lowest and highest.

        A list of one score has relevance 1 throughout.
        """
        scores = np.asarray(self.scores, dtype=np.float64)
        if not len(scores):
            return scores
        low, high = float(scores.min()), float(scores.max())
        if high - low < 1e-9:
            return np.ones(len(scores))
        return (scores - low) / (high - low)


@dataclass(frozen=True)
class Arranged:
    """The list in its new order; who of it is paid for, and who stands where a rule wants him."""

    product_ids: Sequence[str]
    sponsored: Collection[str] = frozenset()
    pinned: Collection[str] = frozenset()


Arrange = Callable[[Listing], Arranged]
