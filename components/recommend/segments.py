"""Segments: groups of visitors who buy alike, named by what sets them apart.

In: a `Log` and the shop's product factors. Out: a label per visitor, a name per segment from the
categories with the highest lift, how stable the grouping is, and popularity by segment. Segments
describe; no price or right depends on them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.content import unit_rows
from components.recommend.features import normalised
from components.recommend.history import FloatArray, IntArray, Log

MIN_SHARE = 0.002


def visitor_vectors(log: Log, n_visitors: int, factors: FloatArray) -> FloatArray:
    """Return (B, D) unit vectors: the visitors' damped purchases on the product factors."""
    matrix = sp.csr_matrix(
        (log.amount.astype(np.float32), (log.visitor, log.group)), (n_visitors, len(factors))
    )
    matrix.data = np.log1p(matrix.data)
    return unit_rows(np.asarray(normalised(matrix) @ factors, dtype=np.float32))


def k_means(
    vectors: FloatArray, k: int, seed: int, *, starts: int = 8, rounds: int = 50
) -> tuple[IntArray, FloatArray]:
    """Group unit vectors by cosine (spherical k-means), the best of several seeded starts.

    Args:
        vectors: (B, D) unit rows; zero rows go to the nearest centre like any other.
        k: groups, at most B.
        seed: of the k-means++ starts.
        starts: how many.
        rounds: at most per start.

    Returns:
        (B,) labels numbered by falling size, and (k, D) centres.
    """
    best: tuple[float, IntArray, FloatArray] | None = None
    k = min(k, len(vectors))
    for start in range(starts):
        generator = np.random.default_rng([seed, start])
        centres = _spread(vectors, k, generator)
        labels = np.full(len(vectors), -1)
        for _ in range(rounds):
            likeness = vectors @ centres.T
            fresh = likeness.argmax(axis=1)
            if np.array_equal(fresh, labels):
                break
            labels = fresh
            for group in range(k):
                if (labels == group).any():
                    centres[group] = vectors[labels == group].mean(axis=0)
            centres = unit_rows(centres)
        score = float((vectors @ centres.T).max(axis=1).sum())
        if best is None or score > best[0] + 1e-6:
            best = (score, labels, centres.copy())
    assert best is not None
    sizes = np.bincount(best[1], minlength=k)
    order = np.lexsort((np.arange(k), -sizes))
    rank = np.empty(k, dtype=np.int64)
    rank[order] = np.arange(k)
    return rank[best[1]], best[2][order]


def _spread(vectors: FloatArray, k: int, generator: np.random.Generator) -> FloatArray:
    chosen = [int(generator.integers(len(vectors)))]
    nearest = 1.0 - vectors @ vectors[chosen[0]]
    while len(chosen) < k:
        weight = np.clip(nearest, 0.0, None).astype(np.float64) ** 2 + 1e-12
        chosen.append(int(generator.choice(len(vectors), p=weight / weight.sum())))
        nearest = np.minimum(nearest, 1.0 - vectors @ vectors[chosen[-1]])
    return vectors[chosen].copy()


def agreement(a: IntArray, b: IntArray) -> float:
    """Return the adjusted Rand index of two labellings: 1 equal, about 0 for chance.

    >>> agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    """
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    total = len(a) * (len(a) - 1) / 2
    expected = rows * columns / max(total, 1.0)
    highest = (rows + columns) / 2
    return 1.0 if highest == expected else float((together - expected) / (highest - expected))


@dataclass(frozen=True)
class Segments:
    """A grouping of visitors.

    Attributes:
        labels: (B,) segment of each visitor, 0 the largest.
        names: one per segment.
        leads: per segment the categories that set it apart, with their lift.
        centres: (k, D) for visitors yet to come.
        stability: mean adjusted Rand index with groupings of other seeds, at most 1.
        popularity: (k, V) share of each product in the segment's lines.
    """

    labels: IntArray
    names: tuple[str, ...]
    leads: tuple[tuple[tuple[str, float], ...], ...]
    centres: FloatArray
    stability: float
    popularity: FloatArray

    def of(self, vectors: FloatArray) -> IntArray:
        """Return the segment of further visitors' unit vectors (B, D)."""
        return (vectors @ self.centres.T).argmax(axis=1)

    def save(self, folder: Path) -> None:
        """Write `segments.npz` and `segments.json`."""
        np.savez_compressed(
            folder / "segments.npz",
            labels=self.labels.astype(np.int16),
            centres=self.centres,
            popularity=self.popularity,
        )
        stored = {"names": self.names, "leads": self.leads, "stability": self.stability}
        (folder / "segments.json").write_text(json.dumps(stored, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads((folder / "segments.json").read_text())
        with np.load(folder / "segments.npz", allow_pickle=False) as held:
            return cls(
                labels=held["labels"].astype(np.int64),
                names=tuple(stored["names"]),
                leads=tuple(tuple((n, x) for n, x in lead) for lead in stored["leads"]),
                centres=held["centres"],
                stability=stored["stability"],
                popularity=held["popularity"],
            )


def category_lifts(
    log: Log, labels: IntArray, category_of: IntArray, names: Sequence[str], k: int, top: int = 3
) -> tuple[tuple[tuple[str, float], ...], ...]:
    """Return per segment the categories with the highest lift over everybody.

    Categories with less than 0.2 % of all lines are left out: their lift is mostly chance. Lift is
    damped by 50 lines of the shop's own mix.
    """
    n = len(names)
    lines = np.zeros((k, n))
    np.add.at(lines, (labels[log.visitor], category_of[log.group]), log.amount)
    overall = lines.sum(axis=0) / max(lines.sum(), 1.0)
    share = (lines + 50 * overall) / (lines.sum(axis=1, keepdims=True) + 50)
    lift = np.where(overall >= MIN_SHARE, share / np.maximum(overall, 1e-12), 0.0)
    out = []
    for row in lift:
        order = np.lexsort((np.arange(n), -row))[:top]
        out.append(tuple((names[c], round(float(row[c]), 3)) for c in order if row[c] > 1.05))
    return tuple(out)


def build_segments(
    log: Log,
    n_visitors: int,
    factors: FloatArray,
    category_of: IntArray,
    category_names: Sequence[str],
    *,
    k: int = 8,
    seed: int = 7,
) -> Segments:
    """Group visitors, name the groups and measure how stable they are.

    Args:
        log: purchases to group by.
        n_visitors: B.
        factors: (V, D) product factors of the shop's state.
        category_of: (V,) dense category.
        category_names: readable names of the categories, in dense order.
        k: segments wanted.
        seed: of the grouping; stability compares with four other seeds.
    """
    vectors = visitor_vectors(log, n_visitors, factors)
    labels, centres = k_means(vectors, k, seed)
    others = [k_means(vectors, k, seed + 100 * (n + 1))[0] for n in range(4)]
    groups = len(centres)
    leads = category_lifts(log, labels, category_of, category_names, groups)
    names: list[str] = []
    for place, lead in enumerate(leads):
        parts = [category.split(" > ")[-1] for category, _ in lead[:2]]
        name = " and ".join(parts) if parts else "A bit of everything"
        names.append(name if name not in names else f"{name} ({place + 1})")
    popularity = np.zeros((groups, len(factors)), dtype=np.float32)
    np.add.at(popularity, (labels[log.visitor], log.group), log.amount)
    popularity /= np.maximum(popularity.sum(axis=1, keepdims=True), 1.0)
    return Segments(
        labels=labels,
        names=tuple(names),
        leads=leads,
        centres=centres,
        stability=float(np.mean([agreement(labels, other) for other in others])),
        popularity=popularity,
    )
