"""Figures of yes-or-no predictions: AUC, precision at a budget, calibration, with intervals.

Intervals resample visitors, not pairs: the pairs of one visitor stand or fall together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Ordered:
    """Pairs sorted once by a score, so that each resample costs one pass."""

    def __init__(self, score: NDArray[Any], label: NDArray[Any], visitor: NDArray[Any]) -> None:
        """Sort pairs by falling score; equal scores form one block."""
        order = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
        value = np.asarray(score, dtype=np.float64)[order]
        self.label = np.asarray(label, dtype=np.float64)[order]
        self.visitor = np.asarray(visitor, dtype=np.int64)[order]
        self.block = np.cumsum(np.r_[0, np.diff(value) != 0])
        self.n_blocks = int(self.block[-1]) + 1 if len(value) else 0

    def figures(self, weight: FloatArray, budget: float) -> tuple[float, float]:
        """Return AUC and precision at the budget for visitors counted `weight` times.

        Args:
            weight: (visitors,) multiplicities.
            budget: share of the pairs that may be taken, best first, in (0, 1].
        """
        mass = weight[self.visitor]
        hit = np.bincount(self.block, mass * self.label, self.n_blocks)
        all_ = np.bincount(self.block, mass, self.n_blocks)
        miss = all_ - hit
        hits, misses = hit.sum(), miss.sum()
        if not hits or not misses:
            return float("nan"), float("nan")
        above = np.cumsum(hit) - hit
        area = (miss * (above + hit / 2)).sum() / (hits * misses)
        room = budget * all_.sum()
        before = np.cumsum(all_) - all_
        share = np.clip((room - before) / np.maximum(all_, 1e-12), 0.0, 1.0)
        return float(area), float((hit * share).sum() / room)


def auc(score: NDArray[Any], label: NDArray[Any]) -> float:
    """Return the chance that a yes has a higher score than a no; ties count half.

    >>> auc(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1]))
    0.5
    """
    ordered = Ordered(score, label, np.zeros(len(score)))
    return ordered.figures(np.ones(1), 1.0)[0]


def compared(
    scores: Mapping[str, NDArray[Any]],
    label: NDArray[Any],
    visitor: NDArray[Any],
    *,
    shipped: str,
    budget: float,
    n: int,
    seed: int,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Compare scores of the same pairs: one row each, with the shipped one's gain over it.

    Args:
        scores: name to (pairs,) scores.
        label: (pairs,) 1 for yes.
        visitor: (pairs,) dense visitor of each pair.
        shipped: which one is served.
        budget: share of the pairs that may be taken.
        n: resamples of visitors.
        seed: of the resampling.
        level: coverage of the intervals.
    """
    ordered = {name: Ordered(score, label, visitor) for name, score in scores.items()}
    n_visitors = int(np.max(visitor, initial=-1)) + 1
    present = np.unique(visitor)
    point = {name: o.figures(np.ones(n_visitors), budget) for name, o in ordered.items()}
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[tuple[float, float]]] = {name: [] for name in scores}
    for _ in range(n):
        rows = present[generator.integers(0, len(present), len(present))]
        weight = np.bincount(rows, minlength=n_visitors).astype(np.float64)
        for name, one in ordered.items():
            drawn[name].append(one.figures(weight, budget))
    tail = [(1 - level) / 2, 1 - (1 - level) / 2]
    rows_out = []
    best = np.array(drawn[shipped])
    for name in scores:
        row: dict[str, Any] = {"model": name, "shipped": name == shipped, "slice": "all"}
        table = np.array(drawn[name])
        for column, metric in enumerate(("auc", "precision@budget")):
            row[metric] = point[name][column]
            row[f"{metric}_low"], row[f"{metric}_high"] = np.nanquantile(table[:, column], tail)
            if name != shipped:
                gain = best[:, column] - table[:, column]
                row[f"{metric}_gain"] = point[shipped][column] - point[name][column]
                row[f"{metric}_gain_low"], row[f"{metric}_gain_high"] = np.nanquantile(gain, tail)
        row["n"] = len(label)
        rows_out.append(row)
    return rows_out


def reliability(
    chance: NDArray[Any], label: NDArray[Any], *, bins: int = 10, level_z: float = 1.96
) -> list[dict[str, float]]:
    """Compare foretold and observed shares in bins that hold equally many yeses foretold.

    Returns:
        Per bin `foretold` (mean chance), `observed`, its Wilson interval `low` and `high`, and `n`.
    """
    order = np.argsort(chance, kind="stable")
    p, y = np.asarray(chance, dtype=np.float64)[order], np.asarray(label, dtype=np.float64)[order]
    part = np.minimum((np.cumsum(p) / max(p.sum(), 1e-12) * bins).astype(int), bins - 1)
    out = []
    for number in np.unique(part):
        rows = part == number
        n, share = int(rows.sum()), float(y[rows].mean())
        centre = (share + level_z**2 / (2 * n)) / (1 + level_z**2 / n)
        half = level_z * np.sqrt(share * (1 - share) / n + level_z**2 / (4 * n * n))
        half /= 1 + level_z**2 / n
        out.append(
            {"foretold": float(p[rows].mean()), "observed": share,
             "low": float(max(0.0, centre - half)), "high": float(centre + half), "n": n}
        )  # fmt: skip
    return out


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the mean gap between foretold and observed, by pairs, relative to the observed mean.

    >>> calibration_error([{"foretold": 0.1, "observed": 0.2, "n": 10}])
    0.5
    """
    total = sum(b["n"] for b in bins)
    observed = sum(b["n"] * b["observed"] for b in bins) / max(total, 1)
    gap = sum(b["n"] * abs(b["foretold"] - b["observed"]) for b in bins) / max(total, 1)
    return gap / observed if observed else float("nan")
