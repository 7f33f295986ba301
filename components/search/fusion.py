"""Several rankings into one: by rank, or by weighted score."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.search.index import Hits

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def reciprocal_rank_fusion(
    lists: Sequence[Hits], *, k: int = 60, weights: Sequence[float] | None = None
) -> Hits:
    """Fuse rankings by the sum of weight / (k + rank).

    Needs no comparable scores, and so cannot tell a close second from a far one.

    Args:
        lists: rankings, best first.
        k: damps the first ranks; 60 in the source.
        weights: one per ranking, 1 by default.

    Source: Cormack, Clarke & Buettcher, SIGIR 2009.

    >>> first = Hits(np.array([3, 1]), np.array([9.0, 8.0]))
    >>> reciprocal_rank_fusion([first, Hits(np.array([1]), np.array([0.5]))]).rows.tolist()
    [1, 3]
    """
    total: dict[int, float] = {}
    for hits, weight in zip(lists, weights or [1.0] * len(lists), strict=True):
        for rank, row in enumerate(hits.rows.tolist(), start=1):
            total[row] = total.get(row, 0.0) + weight / (k + rank)
    return _ordered(total)


def weighted_fusion(lists: Sequence[Hits], weights: Sequence[float]) -> Hits:
    """Fuse rankings by the weighted sum of scores, each list scaled to a best of 1.

    A row absent from a list counts 0 there.

    >>> words = Hits(np.array([0, 1]), np.array([2.0, 1.0]))
    >>> weighted_fusion([words, Hits(np.array([1]), np.array([0.8]))], [1.0, 0.6]).rows.tolist()
    [1, 0]
    """
    total: dict[int, float] = {}
    for hits, weight in zip(lists, weights, strict=True):
        best = float(np.max(np.abs(hits.scores))) if len(hits.scores) else 0.0
        for row, score in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True):
            total[row] = total.get(row, 0.0) + (weight * score / best if best else 0.0)
    return _ordered(total)


def _ordered(total: dict[int, float]) -> Hits:
    rows = np.fromiter(total, np.int64, len(total))
    scores = np.fromiter(total.values(), np.float32, len(total))
    order = np.lexsort((rows, -scores))
    return Hits(rows[order], scores[order])
