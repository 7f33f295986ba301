"""Which offer goes to whom: the best set under budget, frequency and fatigue caps.

In: worth and expected cost of pairs of a visitor and an offer, and the caps. Out: the chosen pairs.
An integer program for HiGHS (`scipy.optimize.milp`), whose optimum is proven up to `gap`; nothing
here knows how worth was estimated.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs, (n,) each.

    Attributes:
        visitor: dense visitor.
        offer: dense offer.
        worth: what giving it is expected to bring, any unit; pairs worth 0 or less are never given.
        cost: what it is expected to give away, in minor units, at least 0.
    """

    visitor: IntArray
    offer: IntArray
    worth: FloatArray
    cost: FloatArray

    def __len__(self) -> int:
        """Return n."""
        return len(self.visitor)


@dataclass(frozen=True)
class Caps:
    """What must hold.

    Attributes:
        per_visitor: (visitors,) most offers each may get: frequency, less what fatigue takes.
        per_offer: most visitors one offer may go to; None for no cap.
        budget: most expected cost in all, in minor units; None for no cap.
    """

    per_visitor: IntArray
    per_offer: int | None = None
    budget: float | None = None


@dataclass(frozen=True)
class Allocation:
    """The chosen pairs, as places in `Pairs`, ascending; and how good they are known to be."""

    chosen: IntArray
    worth: float
    cost: float
    gap: float
    status: str


def fatigue_caps(
    n_visitors: int, contacts: IntArray, *, max_per_visitor: int, max_in_fatigue: int
) -> IntArray:
    """Return how many offers each visitor may still get.

    Args:
        n_visitors: how many there are.
        contacts: (visitors,) offers each got within the fatigue time.
        max_per_visitor: most offers at once.
        max_in_fatigue: most offers within the fatigue time, these included.

    >>> fatigue_caps(3, np.array([0, 5, 9]), max_per_visitor=3, max_in_fatigue=6).tolist()
    [3, 1, 0]
    """
    left = np.maximum(max_in_fatigue - contacts[:n_visitors], 0)
    return np.minimum(left, max_per_visitor).astype(np.int64)


def allocate(pairs: Pairs, caps: Caps, *, gap: float = 1e-6, seconds: float = 60.0) -> Allocation:
    """Choose the pairs that are worth most together.

    Where everybody's best offers keep the caps that visitors share, they are the optimum and no
    solver is asked.

    Args:
        pairs: candidates.
        caps: what must hold.
        gap: relative distance to the optimum at which the search may stop.
        seconds: after so long the best set found is returned with its gap.

    Returns:
        A set that keeps every cap.
    """
    useful = np.flatnonzero((pairs.worth > 0) & (caps.per_visitor[pairs.visitor] > 0))
    if not len(useful):
        return _made(pairs, useful, 0.0, "optimal")
    wished = first_choice(pairs, useful, caps)
    if _keeps(pairs, wished, caps):
        return _made(pairs, wished, 0.0, "optimal")
    return _solved(pairs, useful, caps, gap, seconds)


def first_choice(pairs: Pairs, rows: IntArray, caps: Caps) -> IntArray:
    """Return each visitor's best offers, as if nobody else were there."""
    order = np.lexsort((pairs.offer[rows], -pairs.worth[rows], pairs.visitor[rows]))
    visitor = pairs.visitor[rows][order]
    place = np.arange(len(order)) - np.searchsorted(visitor, visitor)
    return np.sort(rows[order[place < caps.per_visitor[visitor]]])


def _keeps(pairs: Pairs, chosen: IntArray, caps: Caps) -> bool:
    if caps.budget is not None and pairs.cost[chosen].sum() > caps.budget:
        return False
    most = np.bincount(pairs.offer[chosen]).max(initial=0)
    return caps.per_offer is None or most <= caps.per_offer


def _solved(pairs: Pairs, rows: IntArray, caps: Caps, gap: float, seconds: float) -> Allocation:
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(rows)
    columns = np.arange(n)
    visitors, who = np.unique(pairs.visitor[rows], return_inverse=True)
    ones = np.ones(n)
    limits = [
        LinearConstraint(
            sp.csr_matrix((ones, (who, columns)), (len(visitors), n)),
            ub=caps.per_visitor[visitors].astype(float),
        )
    ]
    if caps.per_offer is not None:
        offers, what = np.unique(pairs.offer[rows], return_inverse=True)
        limits.append(
            LinearConstraint(
                sp.csr_matrix((ones, (what, columns)), (len(offers), n)), ub=float(caps.per_offer)
            )
        )
    if caps.budget is not None:
        limits.append(LinearConstraint(sp.csr_matrix(pairs.cost[rows][None, :]), ub=caps.budget))
    scale = float(np.abs(pairs.worth[rows]).max())
    found = milp(
        -pairs.worth[rows] / scale,
        constraints=limits,
        integrality=np.ones(n),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": gap, "time_limit": seconds, "presolve": True},
    )
    if found.x is None:
        return _made(pairs, rows[:0], float("inf"), str(found.message))
    chosen = rows[np.round(found.x) > 0.5]
    while not _keeps(pairs, chosen, caps):  # a solver's tolerance may overdraw the budget by cents
        chosen = np.delete(chosen, int(pairs.worth[chosen].argmin()))
    bound = float(found.mip_gap) if found.mip_gap is not None else 0.0
    return _made(pairs, chosen, bound, "optimal" if found.status == 0 else "time limit")


def _made(pairs: Pairs, chosen: IntArray, gap: float, status: str) -> Allocation:
    return Allocation(
        np.sort(chosen), float(pairs.worth[chosen].sum()), float(pairs.cost[chosen].sum()), gap,
        status,
    )  # fmt: skip
