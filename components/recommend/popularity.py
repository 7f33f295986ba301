"""Popularity: how often a product was chosen, optionally decayed by age; the same for everybody.

The first baseline of every protocol and the last step of the serving's fallback chain. Knows no
visitor, so it cannot be wrong about one, nor right.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Popularity:
    """Scores products by (decayed) counts."""

    name = "popularity"

    def __init__(self, half_life: float | None = None) -> None:
        """Set the half-life of a count, in the unit of `ages`; None counts all alike."""
        self.half_life = half_life
        self.counts: FloatArray = np.zeros(0, dtype=np.float32)

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Count products.

        Args:
            sequences: per visitor (T,) product indices.
            n_products: V.
            side: `ages`, per visitor (T,) ages of the events; used with a half-life.
        """
        counts = np.zeros(n_products)
        ages = side.get("ages")
        for row, sequence in enumerate(sequences):
            weight = None
            if self.half_life is not None and ages is not None:
                weight = np.exp2(-np.asarray(ages[row], dtype=float) / self.half_life)
            counts += np.bincount(np.asarray(sequence, dtype=np.int64), weight, n_products)
        self.counts = counts.astype(np.float32)
        return self

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) counts, the same row for each visitor."""
        return np.tile(self.counts, (len(sequences), 1))

    def save(self, folder: Path) -> None:
        """Write `popularity.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "popularity.npz", counts=self.counts)
        (folder / "popularity.json").write_text(json.dumps({"half_life": self.half_life}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls(**json.loads((folder / "popularity.json").read_text()))
        with np.load(folder / "popularity.npz", allow_pickle=False) as stored:
            model.counts = stored["counts"]
        return model


def tie_order(popularity: NDArray[Any], product_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return each product's place when equals are ordered by popularity, then by product_id.

    >>> tie_order(np.array([1, 5, 1]), ["b", "a", "c"]).tolist()
    [1, 0, 2]
    """
    by_id = np.argsort(np.argsort(np.asarray(product_ids, dtype=str), kind="stable"))
    order = np.lexsort((by_id, -np.asarray(popularity)))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def ranked_indices(
    scores: NDArray[Any],
    ties: NDArray[np.int64],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return the `k` best products of each row, ties by `ties`.

    Args:
        scores: (B, V); -inf is never returned before a finite score.
        ties: (V,) places from `tie_order`.
        k: products wanted.
        allowed: (V,) or (B, V); others rank last.

    Returns:
        (B, k) product indices, best first.
    """
    values = np.asarray(scores, dtype=np.float64)
    if allowed is not None:
        values = np.where(allowed, values, -np.inf)
    out = np.empty((len(values), min(k, values.shape[1])), dtype=np.int64)
    for row, line in enumerate(values):
        cut = np.partition(line, len(line) - out.shape[1])[len(line) - out.shape[1]]
        head = np.flatnonzero(line >= cut)
        out[row] = head[np.lexsort((ties[head], -line[head]))[: out.shape[1]]]
    return out
