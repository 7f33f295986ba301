"""What offers brought beyond habit: difference in differences, and what that cannot show.

In: spending of visitors who were and were not in a campaign, before and while it ran. Out: the
extra spending per visitor and week with its interval, and the same figure for the window before,
when nothing ran (a placebo: it should hold zero).

Offers are not given at random: campaigns choose their visitors by what they bought. Comparing the
change of visitors of equal earlier spending removes what is stable about them; it does not remove a
trend that the campaign's choice foresaw. Within a campaign of type A each visitor got some 16 of
the coupons, chosen by purchases and not recorded, so no effect of a single coupon can be told.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Spending:
    """Spending per visitor in one window, (n,) each, in minor units a week.

    Attributes:
        before: in the window before.
        during: in the window asked about.
        total_before: on everything in the window before; says how much of a shopper one is.
    """

    before: FloatArray
    during: FloatArray
    total_before: FloatArray


def strata(spending: Spending, bins: int = 5) -> IntArray:
    """Group visitors by earlier spending, on the products and on everything.

    Returns:
        (n,) a number for each pair of quantile groups; those who spent nothing stand alone.
    """
    groups = []
    for values in (spending.before, spending.total_before):
        some = values > 0
        edges = np.quantile(values[some], np.linspace(0, 1, bins + 1)[1:-1]) if some.any() else []
        groups.append(np.where(some, 1 + np.searchsorted(edges, values, "right"), 0))
    return (groups[0] * (bins + 1) + groups[1]).astype(np.int64)


def extra(spending: Spending, treated: BoolArray, weight: FloatArray, stratum: IntArray) -> float:
    """Estimate the extra spending of treated visitors, in minor units a week.

    In each stratum the mean change of the treated minus that of the others, weighted by how many
    treated the stratum holds; strata without both are left out.

    Args:
        spending: of all visitors.
        treated: (n,) who was in the campaign.
        weight: (n,) how often each visitor counts; a bootstrap gives multiplicities.
        stratum: (n,) from `strata`.

    Returns:
        The estimate; NaN if no stratum holds both.

    >>> s = Spending(np.zeros(4), np.array([3.0, 5.0, 1.0, 1.0]), np.ones(4))
    >>> extra(s, np.array([True, True, False, False]), np.ones(4), np.zeros(4, dtype=int))
    3.0
    """
    change = spending.during - spending.before
    size = int(stratum.max(initial=0)) + 1
    sums = {}
    for name, who in (("treated", treated), ("others", ~treated)):
        mass = np.bincount(stratum[who], weight[who], size)
        sums[name] = (mass, np.bincount(stratum[who], (weight * change)[who], size))
    (n1, s1), (n0, s0) = sums["treated"], sums["others"]
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        return float("nan")
    gap = s1[both] / n1[both] - s0[both] / n0[both]
    return float((n1[both] * gap).sum() / n1[both].sum())


def _pooled(
    parts: list[tuple[Spending, BoolArray]], groups: list[IntArray], weight: FloatArray
) -> float:
    """Average the campaigns' estimates by how many visitors they treated."""
    values = [
        (extra(s, t, weight, g), float(weight[t].sum()))
        for (s, t), g in zip(parts, groups, strict=True)
    ]
    kept = [(v, w) for v, w in values if np.isfinite(v) and w > 0]
    mass = sum(w for _, w in kept)
    return sum(v * w for v, w in kept) / mass if mass else float("nan")


def extra_intervals(
    real: list[tuple[Spending, BoolArray]],
    placebo: list[tuple[Spending, BoolArray]],
    *,
    n: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, tuple[float, float, float]]:
    """Estimate the extra spending over several campaigns, with a bootstrap over visitors.

    Args:
        real: per campaign the spending of all visitors and who was in it; visitors in one order.
        placebo: the same campaigns one window earlier.
        n: resamples; real and placebo share them.
        seed: of the resampling.
        level: coverage wanted.

    Returns:
        (estimate, low, high) in minor units per treated visitor and week: `extra` while it ran,
        `placebo` one window earlier, and `net`, the first less the second: what is left when the
        trend that was there already is taken off.
    """
    visitors = len(real[0][1]) if real else 0
    groups = [[strata(s) for s, _ in part] for part in (real, placebo)]

    def estimate(weight: FloatArray) -> tuple[float, float, float]:
        now, then = _pooled(real, groups[0], weight), _pooled(placebo, groups[1], weight)
        return now, then, now - then

    names = ("extra", "placebo", "net")
    if not real or not placebo:
        return dict.fromkeys(names, (float("nan"), float("nan"), float("nan")))
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(n):
        rows = generator.integers(0, visitors, visitors)
        drawn.append(estimate(np.bincount(rows, minlength=visitors).astype(np.float64)))
    tail = (1 - level) / 2
    point, table = estimate(np.ones(visitors)), np.array(drawn)
    out = {}
    for column, name in enumerate(names):
        low, high = np.nanquantile(table[:, column], [tail, 1 - tail])
        out[name] = (point[column], float(low), float(high))
    return out
