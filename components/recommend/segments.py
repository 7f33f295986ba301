"""Segments: groups of visitors who buy alike, named by what sets them apart.

In: a `Log` and factors of what is bought. Out: a label per visitor, names from the categories with
the highest lift, how far two groupings agree, and `SegmentModel`, which knows each visitor's
segment, finds one for a newcomer from what he looked at, and tells what is popular in it. Segments
describe; no price or right depends on them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.artefacts import read_manifest
from components.contracts.errors import ArtefactError
from components.recommend.content import unit_rows
from components.recommend.features import normalised
from components.recommend.history import FloatArray, IntArray, Log

ARTEFACT = "segments"
MIN_SHARE = 0.002


def visitor_vectors(log: Log, n_visitors: int, factors: FloatArray) -> FloatArray:
    """Return (B, D) unit vectors: the visitors' damped purchases on the factors."""
    made = _damped(log, n_visitors, len(factors)) @ factors
    return unit_rows(np.asarray(made, dtype=np.float32))


def learn_factors(log: Log, n_visitors: int, n_groups: int, dimensions: int) -> FloatArray:
    """Learn (G, D) factors of what is bought, by a truncated SVD of visitors' damped purchases.

    Args:
        log: purchases.
        n_visitors: B.
        n_groups: G, products or types, as `log.group` has them.
        dimensions: D; fewer where the matrix is smaller.
    """
    from scipy.sparse.linalg import svds

    matrix = _damped(log, n_visitors, n_groups)
    rank = min(dimensions, min(matrix.shape) - 1)
    if rank < 1 or not matrix.nnz:
        return np.ones((n_groups, 1), dtype=np.float32)
    first = np.random.default_rng(0).standard_normal(min(matrix.shape))
    _, values, right = svds(matrix.astype(np.float64), k=rank, v0=first)
    order = np.argsort(-values, kind="stable")
    # Without its first direction, which all visitors share, a visitor is what sets him apart.
    kept = right[order][1:].T if rank > 2 else right[order].T
    sign = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return np.ascontiguousarray(kept * np.where(sign == 0, 1.0, sign), dtype=np.float32)


def _damped(log: Log, n_visitors: int, n_groups: int) -> sp.csr_matrix:
    matrix = sp.csr_matrix(
        (log.amount.astype(np.float32), (log.visitor, log.group)), (n_visitors, n_groups)
    )
    matrix.data = np.log1p(matrix.data)
    return sp.csr_matrix(normalised(matrix))


def k_means(
    vectors: FloatArray,
    k: int,
    seed: int,
    *,
    starts: int = 8,
    rounds: int = 50,
    begin: IntArray | None = None,
) -> tuple[IntArray, FloatArray]:
    """Group unit vectors by cosine (spherical k-means), the best of several seeded starts.

    Args:
        vectors: (B, D) unit rows; zero rows go to the nearest centre like any other.
        k: groups, at most B.
        seed: of the k-means++ starts.
        starts: how many.
        rounds: at most per start.
        begin: (B,) an earlier grouping to go on from, -1 for visitors it did not have; then there
            is one start, and the numbers of the groups are kept.

    Returns:
        (B,) labels numbered by falling size, and (k, D) centres.
    """
    best: tuple[float, IntArray, FloatArray] | None = None
    k = min(k, len(vectors))
    for start in range(starts if begin is None else 1):
        generator = np.random.default_rng([seed, start])
        centres = _spread(vectors, k, generator)
        if begin is not None:
            for group in range(k):
                if (begin == group).any():
                    centres[group] = vectors[begin == group].mean(axis=0)
            centres = unit_rows(centres)
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
    if begin is not None:
        return best[1], best[2]
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


def matched(labels: IntArray, other: IntArray, k: int) -> IntArray:
    """Return `other` renumbered so that it agrees with `labels` on as many visitors as possible.

    >>> matched(np.array([0, 0, 1]), np.array([1, 1, 0]), 2).tolist()
    [0, 0, 1]
    """
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((k, k))
    np.add.at(table, (other, labels), 1)
    rows, columns = linear_sum_assignment(-table)
    place = np.arange(k)
    place[rows] = columns
    return place[other]


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


def names_of(leads: Sequence[Sequence[tuple[str, float]]]) -> tuple[str, ...]:
    """Return a readable name per segment from the two categories that set it apart most.

    A category names the segment in which its lift is highest; another one takes it only when it has
    nothing of its own.

    >>> names_of([[("Baby > Diapers", 2.0), ("Baby > Food", 1.9)], []])
    ('Diapers and food', 'A bit of everything')
    >>> names_of([[("Tea", 2.0)], [("Tea", 3.0), ("Jam", 1.5)]])
    ('Tea', 'Tea and jam')
    """
    highest: dict[str, float] = {}
    for lead in leads:
        for category, lift in lead:
            highest[category] = max(highest.get(category, 0.0), lift)
    names: list[str] = []
    for place, lead in enumerate(leads):
        own = [c for c, lift in lead if lift >= highest[c]]
        parts = [c.split(" > ")[-1] for c in (own or [c for c, _ in lead])[:2]]
        name = "A bit of everything"
        if parts:
            name = " and ".join([parts[0], *(p[0].lower() + p[1:] for p in parts[1:])])
        names.append(name if name not in names else f"{name} ({place + 1})")
    return tuple(names)


@dataclass(frozen=True)
class SegmentModel:
    """Who belongs where, and what is popular there.

    Attributes:
        number_of: visitor id to segment; visitors it does not hold are placed by what they do.
        profiles: per segment what the report and the pages say of it.
        factors: (G, D) of types.
        centres: (k, D).
        type_of: product id to type.
        popular: per segment product ids with their share of its lines, best first.
    """

    number_of: Mapping[str, int]
    profiles: tuple[dict[str, Any], ...]
    factors: FloatArray
    centres: FloatArray
    type_of: Mapping[str, int]
    popular: tuple[tuple[tuple[str, float], ...], ...]

    def __len__(self) -> int:
        """Return k."""
        return len(self.profiles)

    def of(self, visitor_id: str | None, product_ids: Sequence[str] = ()) -> int | None:
        """Return the segment of a visitor, by id or else by products he bought or looked at."""
        known = self.number_of.get(visitor_id or "")
        if known is not None:
            return known
        types = [self.type_of[p] for p in product_ids if p in self.type_of]
        if not types:
            return None
        counts = np.log1p(np.bincount(types, minlength=len(self.factors))).astype(np.float32)
        vector = unit_rows((counts @ self.factors)[None, :])[0]
        return int((self.centres @ vector).argmax()) if vector.any() else None

    def names(self, number: int | None) -> tuple[str, ...]:
        """Return what an audience may call a segment: its name and its number."""
        return () if number is None else (str(self.profiles[number]["name"]), str(number))

    def members(self, number: int) -> list[str]:
        """Return the visitors of a segment by id."""
        return sorted(v for v, n in self.number_of.items() if n == number)

    def save(self, folder: Path) -> None:
        """Write `segments.npz` and `segments.json`."""
        np.savez_compressed(folder / "segments.npz", factors=self.factors, centres=self.centres)
        stored = {
            "profiles": self.profiles, "number_of": dict(sorted(self.number_of.items())),
            "type_of": dict(sorted(self.type_of.items())), "popular": self.popular,
        }  # fmt: skip
        (folder / "segments.json").write_text(json.dumps(stored))

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read the artefact of a release; None if it has none.

        Raises:
            ArtefactError: it is there but altered or unreadable.
        """
        folder = artefacts / ARTEFACT
        if not (folder / "manifest.json").is_file():
            return None
        read_manifest(folder)
        try:
            stored = json.loads((folder / "segments.json").read_text())
            with np.load(folder / "segments.npz", allow_pickle=False) as held:
                return cls(
                    number_of=stored["number_of"],
                    profiles=tuple(stored["profiles"]),
                    factors=held["factors"],
                    centres=held["centres"],
                    type_of=stored["type_of"],
                    popular=tuple(
                        tuple((p, float(x)) for p, x in line) for line in stored["popular"]
                    ),
                )
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{folder}: cannot be read ({error}).") from error
