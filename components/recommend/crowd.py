"""Shoppers like this one: what they buy, bought lately, and bought lately for the first time.

In: a `Log` cut before a week. Out: a `Crowd`, which scores every product for a visitor by the
purchases of the visitors most like her. Rare products weigh more in the likeness. A visitor is
never her own neighbour: what she did herself is in her own features.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from components.recommend.history import FloatArray, IntArray, Log

LIKE = 150
FEW = 32
RECENT_DAYS = 28
FRESH_DAYS = 56
HALF_LIFE_DAYS = 182.0
CROWD_NAMES = ("crowd_lately", "crowd_fresh", "crowd_ever")


def unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Scale rows to length 1; empty rows stay empty."""
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(1.0 / np.maximum(norm, 1e-9)) @ matrix, dtype=np.float32)


@dataclass(frozen=True)
class Crowd:
    """All visitors of the log, as neighbours.

    Attributes:
        rarity: (V,) weight of a product in the likeness.
        tastes: (N, V) rows of length 1.
        ever: (N, V) purchases, decayed and damped, at most 1.
        lately: (N, V) 1 for what was bought in the last 28 days.
        fresh: (N, V) 1 for what was bought for the first time in the last 56 days.
    """

    rarity: FloatArray
    tastes: sp.csr_matrix
    ever: sp.csr_matrix
    lately: sp.csr_matrix
    fresh: sp.csr_matrix

    def scores(self, taste: sp.csr_matrix, ident: IntArray) -> dict[str, FloatArray]:
        """Score all products by the nearest visitors' purchases.

        Args:
            taste: (B, V) purchases of the visitors asked for; see `VisitorView.taste`.
            ident: (B,) their numbers among N, -1 for a visitor the log does not know.

        Returns:
            Names of `CROWD_NAMES` to (B, V) weighted shares of the neighbours, in [0, 1].
        """
        near = self.nearest(taste, ident)
        return {
            name: dense(near @ matrix)
            for name, matrix in zip(CROWD_NAMES, (self.lately, self.fresh, self.ever), strict=True)
        }

    def nearest(self, taste: sp.csr_matrix, ident: IntArray) -> sp.csr_matrix:
        """Return (B, N) squared likeness to the `LIKE` nearest visitors; rows sum to 1."""
        size, n = taste.shape[0], self.tastes.shape[0]
        own = unit_rows(sp.csr_matrix(taste @ sp.diags(self.rarity)))
        if size <= FEW:  # one visitor must not pay for turning the whole matrix round
            likeness = np.ascontiguousarray((self.tastes @ own.toarray().T).T, dtype=np.float32)
        else:
            likeness = dense(own @ self.tastes.T)
        known = np.flatnonzero((ident >= 0) & (ident < n))
        likeness[known, ident[known]] = 0.0
        k = min(LIKE, n)
        best = np.sort(np.argpartition(-likeness, k - 1, axis=1)[:, :k], axis=1)
        weight = np.take_along_axis(likeness, best, axis=1) ** 2
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        rows = np.repeat(np.arange(size), k)
        return sp.csr_matrix((weight.ravel(), (rows, best.ravel())), shape=(size, n))

    def arrays(self) -> dict[str, Any]:
        """Return what `from_arrays` reads, for an npz file."""
        out: dict[str, Any] = {"crowd_rarity": self.rarity}
        for name in _MATRICES:
            matrix: sp.csr_matrix = getattr(self, name)
            values = matrix.data.astype(np.float16) if name in ("tastes", "ever") else np.ones(1)
            out |= {
                f"crowd_{name}_data": values,
                f"crowd_{name}_indices": matrix.indices.astype(np.int32),
                f"crowd_{name}_indptr": matrix.indptr.astype(np.int32),
            }
        return out

    @classmethod
    def from_arrays(cls, held: Any) -> "Crowd":
        """Read what `arrays` made.

        Raises:
            KeyError: an array is absent.
        """
        rarity = held["crowd_rarity"]
        parts = {}
        for name in _MATRICES:
            indices, indptr = held[f"crowd_{name}_indices"], held[f"crowd_{name}_indptr"]
            data = np.broadcast_to(held[f"crowd_{name}_data"].astype(np.float32), len(indices))
            parts[name] = sp.csr_matrix(
                (data.copy(), indices, indptr), shape=(len(indptr) - 1, len(rarity))
            )
        return cls(rarity=rarity, **parts)


_MATRICES = ("tastes", "ever", "lately", "fresh")


def dense(matrix: Any) -> FloatArray:
    """Return a sparse product as a dense float32 array."""
    return sp.csr_matrix(matrix).toarray().astype(np.float32, copy=False)


def gather_crowd(log: Log, today: int, n_visitors: int, n_products: int) -> Crowd:
    """Build the crowd from rows before day `today`; all of them are used.

    Args:
        log: rows sorted by visitor, product, day.
        today: the day after the last one known.
        n_visitors: N.
        n_products: V.
    """
    shape = (n_visitors, n_products)
    age = (today - log.day).astype(np.float32)
    bought = sp.csr_matrix(
        (log.amount * np.exp2(-age / HALF_LIFE_DAYS), (log.visitor, log.group)), shape=shape
    )
    bought.data = np.log1p(bought.data).astype(np.float32)
    buyers = np.asarray((bought > 0).sum(axis=0)).ravel()
    rarity = np.sqrt(np.maximum(np.log(n_visitors / np.maximum(buyers, 1)), 0.05))
    ever = bought.copy()
    ever.data = np.minimum(ever.data, 1.0)
    first = np.r_[True, (np.diff(log.group) != 0) | (np.diff(log.visitor) != 0)][: len(log)]

    def marked(rows: Any) -> sp.csr_matrix:
        matrix = sp.csr_matrix(
            (np.ones(int(rows.sum()), np.float32), (log.visitor[rows], log.group[rows])),
            shape=shape,
        )
        matrix.data[:] = 1.0
        return matrix

    return Crowd(
        rarity=rarity.astype(np.float32),
        tastes=unit_rows(sp.csr_matrix(bought @ sp.diags(rarity))),
        ever=ever,
        lately=marked(age <= RECENT_DAYS),
        fresh=marked(first & (age <= FRESH_DAYS)),
    )
