"""Sequential item-kNN: products that follow each other closely belong together.

In: sequences of dense product indices, oldest first, optionally with the basket each belongs to.
Out: a sparse product-product matrix, and for a history the recency-weighted sum of its rows.
Knows neither text nor visitors; a product never sold has no neighbours here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.sequences import flatten

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ItemKNNConfig:
    """What counts as following, and how frequent products are held back.

    Attributes:
        window: steps (positions, or baskets) within which two products are related.
        gap_power: a pair `gap` steps apart weighs 1 / gap ** gap_power.
        backward: weight of "was followed by", beside "followed" as 1.
        source_power: how strongly a product's own count in the history lowers its rows.
        target_power: how strongly the count of the product recommended lowers its score.
        shrink: added to the denominator; keeps pairs seen once from ruling.
        recency_power: the k-th last step of a history weighs 1 / k ** recency_power.
        history: steps of a history that are looked at.
        neighbours: entries kept per row of the matrix; 0 keeps all.
    """

    window: int = 20
    gap_power: float = 0.5
    backward: float = 0.4
    source_power: float = 0.7
    target_power: float = 0.15
    shrink: float = 10.0
    recency_power: float = 1.2
    history: int = 50
    neighbours: int = 0


def co_occurrence(
    sequences: Sequence[Any],
    n_products: int,
    *,
    steps: Sequence[Any] | None = None,
    window: int = 20,
    gap_power: float = 0.7,
    backward: float = 0.8,
) -> sp.csr_matrix:
    """Count how closely products follow each other.

    Args:
        sequences: per visitor (T,) product indices, oldest first.
        n_products: V.
        steps: per visitor (T,) non-decreasing basket numbers; products of one basket are related
            with gap 1 in both directions, the next basket has gap 1 too (forward and backward).
            Without it each product is a step of its own.
        window: largest gap in steps.
        gap_power: weight 1 / gap ** gap_power.
        backward: weight of the reverse direction.

    Returns:
        (V, V) float32: entry (i, j) is large when j comes soon after (or, less so, before) i.

    >>> co_occurrence([np.array([0, 1, 2])], 3, gap_power=1.0, backward=0.5).toarray().tolist()
    [[0.0, 1.0, 0.5], [0.5, 0.0, 1.0], [0.25, 0.5, 0.0]]
    """
    items, owner = flatten(sequences)
    forward = sp.csr_matrix((n_products, n_products), dtype=np.float32)
    if not len(items):
        return forward
    same = forward
    if steps is None:
        row, row_owner = np.arange(len(items)), owner
    else:
        numbers, _ = flatten(steps)
        starts = np.r_[True, (numbers[1:] != numbers[:-1]) | (owner[1:] != owner[:-1])]
        row = np.cumsum(starts) - 1
        row_owner = owner[starts]
    held = sp.csr_matrix(
        (np.ones(len(items), np.float32), (row, items)), shape=(len(row_owner), n_products)
    )
    held.data[:] = 1.0
    if steps is not None:
        same = sp.csr_matrix(held.T @ held, dtype=np.float32)
    for gap in range(1, min(window, len(row_owner) - 1) + 1):
        source = np.flatnonzero(row_owner[:-gap] == row_owner[gap:])
        if not len(source):
            break
        forward = forward + (held[source].T @ held[source + gap]) * np.float32(gap**-gap_power)
    both = sp.csr_matrix(forward + forward.T * np.float32(backward) + same)
    both.setdiag(0.0)
    both.eliminate_zeros()
    both.sort_indices()
    return both.astype(np.float32)


def history_matrix(
    sequences: Sequence[Any],
    n_products: int,
    *,
    steps: Sequence[Any] | None = None,
    history: int = 50,
    recency_power: float = 0.7,
) -> sp.csr_matrix:
    """Return (B, V) float32: each visitor's products, weighted by how recent they are.

    >>> history_matrix([np.array([2, 0])], 3, recency_power=1.0).toarray().tolist()
    [[1.0, 0.0, 0.5]]
    """
    rows, columns, weights = [], [], []
    for b, sequence in enumerate(sequences):
        if steps is None:
            tail = np.asarray(sequence)[-history:]
            age = np.arange(len(tail), 0, -1)
        else:
            numbers = np.asarray(steps[b])
            _, dense = np.unique(numbers, return_inverse=True)
            age = (dense.max() if len(dense) else 0) - dense + 1
            keep = age <= history
            tail, age = np.asarray(sequence)[keep], age[keep]
        rows.append(np.full(len(tail), b))
        columns.append(tail)
        weights.append(age.astype(np.float32) ** -recency_power)
    if not rows:
        return sp.csr_matrix((0, n_products), dtype=np.float32)
    return sp.csr_matrix(
        (
            np.concatenate(weights).astype(np.float32),
            (np.concatenate(rows), np.concatenate(columns).astype(np.int64)),
        ),
        shape=(len(sequences), n_products),
    )


class ItemKNN:
    """Co-visitation neighbours of recent products; fits in about a second on 10^5 events."""

    name = "item_knn"

    def __init__(self, config: ItemKNNConfig = ItemKNNConfig()) -> None:
        self.config = config
        self.similarity: sp.csr_matrix | None = None

    def fit(
        self,
        sequences: Sequence[Any],
        n_products: int,
        *,
        steps: Sequence[Any] | None = None,
        **_: Any,
    ) -> Self:
        """Count and normalise.

        Args:
            sequences: per visitor (T,) product indices in [0, V), oldest first.
            n_products: V.
            steps: per visitor (T,) basket numbers, for shops that sell in baskets.
        """
        c = self.config
        counts = np.bincount(flatten(sequences)[0], minlength=n_products).astype(np.float64)
        pairs = co_occurrence(
            sequences, n_products, steps=steps,
            window=c.window, gap_power=c.gap_power, backward=c.backward,
        ).tocoo()  # fmt: skip
        floor = np.maximum(counts, 1.0)
        weight = pairs.data / (
            floor[pairs.row] ** c.source_power * floor[pairs.col] ** c.target_power + c.shrink
        )
        matrix = sp.csr_matrix(
            (weight.astype(np.float32), (pairs.row, pairs.col)), shape=(n_products, n_products)
        )
        self.similarity = keep_largest(matrix, c.neighbours) if c.neighbours else matrix
        return self

    def score(self, sequences: Sequence[Any], *, steps: Sequence[Any] | None = None) -> FloatArray:
        """Return (B, V) float32, 0 where no product of the history has this neighbour."""
        similarity = self._fitted()
        held = history_matrix(
            sequences, similarity.shape[0], steps=steps,
            history=self.config.history, recency_power=self.config.recency_power,
        )  # fmt: skip
        return np.asarray((held @ similarity).todense(), dtype=np.float32)

    def neighbours(self, item_index: int, *, limit: int = 10) -> list[tuple[int, float]]:
        """Return the products most closely following one, best first, ties by index."""
        row = self._fitted().getrow(item_index)
        order = np.lexsort((row.indices, -row.data))[:limit]
        return [(int(row.indices[i]), float(row.data[i])) for i in order]

    def save(self, folder: Path) -> None:
        """Write `item_knn.npz`, exact."""
        similarity = self._fitted()
        folder.mkdir(parents=True, exist_ok=True)
        settings = json.dumps(asdict(self.config), sort_keys=True)
        np.savez(
            folder / "item_knn.npz",
            data=similarity.data, indices=similarity.indices, indptr=similarity.indptr,
            n_products=np.int64(similarity.shape[0]),
            config=np.frombuffer(settings.encode(), np.uint8),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "item_knn.npz", allow_pickle=False) as stored:
            model = cls(ItemKNNConfig(**json.loads(stored["config"].tobytes().decode())))
            n = int(stored["n_products"])
            model.similarity = sp.csr_matrix(
                (stored["data"], stored["indices"], stored["indptr"]), shape=(n, n)
            )
        return model

    def _fitted(self) -> sp.csr_matrix:
        if self.similarity is None:
            raise ValueError("ItemKNN has no neighbours yet; call fit or load first.")
        return self.similarity


def keep_largest(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Return the matrix with the k largest entries of each row, ties by column."""
    matrix = sp.csr_matrix(matrix)
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    place = np.arange(len(order)) - matrix.indptr[row[order]]
    kept = np.sort(order[place < k])
    return sp.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
