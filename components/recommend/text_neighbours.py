"""Generators that read: likeness of texts, and co-visits lent among products that read alike.

In: per product a row of word weights or of an encoder, and who chose what. Out: (B, V) scores.
Likeness needs no interaction at all; lent co-visits give a rare product what its neighbours in text
have earned.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.item_knn import ItemKNN, ItemKNNConfig, history_matrix

FloatArray = NDArray[np.float32]


class TextLikeness:
    """Cosine of each product's text to the texts of what the visitor chose, recent ones first."""

    def __init__(
        self, name: str = "words", *, last: bool = False, recency_power: float = 1.0,
        history: int = 50,
    ) -> None:  # fmt: skip
        """Set what is looked at.

        Args:
            name: of the generator; several may stand beside each other, one per kind of rows.
            last: look at the last choice alone.
            recency_power: the k-th last choice weighs 1 / k ** recency_power.
            history: choices looked at.
        """
        self.name = name
        self.recency_power = recency_power
        self.history = 1 if last else history
        self.rows: Any = np.zeros((0, 1), dtype=np.float32)
        self._columns: Any = self.rows.T

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Keep the products' rows; nothing is learnt from `sequences`.

        Args:
            sequences: unused.
            n_products: V.
            **side: `rows`, (V, D) unit rows, dense or sparse.

        Raises:
            ValueError: no rows, or not one per product.
        """
        rows = side.get("rows")
        if rows is None or rows.shape[0] != n_products:
            raise ValueError("likeness of texts needs `rows`, one per product.")
        self._hold(sp.csr_matrix(rows, dtype=np.float32) if sp.issparse(rows) else rows)
        return self

    def _hold(self, rows: Any) -> None:
        self.rows = rows
        self._columns = sp.csc_matrix(rows.T) if sp.issparse(rows) else rows.T

    def score(self, sequences: Sequence[Any]) -> FloatArray:
        """Return (B, V) float32."""
        held = history_matrix(
            sequences, self.rows.shape[0], recency_power=self.recency_power, history=self.history
        )
        found = (held @ self.rows) @ self._columns
        return np.asarray(found.todense() if sp.issparse(found) else found, np.float32)

    def save(self, folder: Path) -> None:
        """Write `text_likeness.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        head = json.dumps([self.name, self.recency_power, self.history])
        np.savez(
            folder / "text_likeness.npz", head=np.frombuffer(head.encode(), np.uint8),
            **sparse_parts("rows", sp.csr_matrix(self.rows)), is_sparse=sp.issparse(self.rows),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "text_likeness.npz", allow_pickle=False) as held:
            name, power, history = json.loads(held["head"].tobytes().decode())
            model = cls(name, recency_power=power, history=history)
            rows = sparse_of("rows", held)
            model._hold(rows if held["is_sparse"] else rows.toarray())
        return model


class TextCoVisits:
    """Item-kNN whose co-visits are shared among products alike in text, on both sides."""

    name = "text_knn"

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        """Set how co-visits are counted; see `ItemKNNConfig`."""
        self.knn = ItemKNN(config or ItemKNNConfig())
        self.spread: Any = None
        self._back: Any = None

    def fit(
        self, sequences: Sequence[Any], n_products: int, *, knn: ItemKNN | None = None, **side: Any
    ) -> Self:
        """Count co-visits.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            n_products: V.
            knn: already fitted on the same sequences with the same settings; fitted here if None.
            **side: `spread`, (V, V) sparse; row i says what products i stands for, itself included.

        Raises:
            ValueError: `spread` is missing or of another size.
        """
        spread = side.get("spread")
        if spread is None or spread.shape != (n_products, n_products):
            raise ValueError("lent co-visits need `spread`, one row and column per product.")
        self.knn = knn or self.knn.fit(sequences, n_products)
        self._hold(sp.csr_matrix(spread, dtype=np.float32))
        return self

    def _hold(self, spread: sp.csr_matrix) -> None:
        self.spread, self._back = spread, sp.csr_matrix(spread.T)

    def score(self, sequences: Sequence[Any]) -> FloatArray:
        """Return (B, V) float32."""
        config = self.knn.config
        held = history_matrix(
            sequences, self.spread.shape[0], history=config.history,
            recency_power=config.recency_power,
        )  # fmt: skip
        near = (held @ self.spread) @ self.knn.similarity
        return np.asarray(near.todense(), np.float32) @ self._back

    def save(self, folder: Path) -> None:
        """Write `text_knn.npz` and the co-visits."""
        self.knn.save(folder)
        np.savez(folder / "text_knn.npz", **sparse_parts("spread", self.spread))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        knn = ItemKNN.load(folder)
        model = cls(ItemKNNConfig(**asdict(knn.config)))
        model.knn = knn
        with np.load(folder / "text_knn.npz", allow_pickle=False) as held:
            model._hold(sparse_of("spread", held))
        return model


def sparse_parts(name: str, matrix: sp.csr_matrix) -> dict[str, Any]:
    """Return a sparse matrix as arrays for an npz file; `sparse_of` reads them."""
    return {
        f"{name}_data": matrix.data, f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr, f"{name}_shape": np.array(matrix.shape),
    }  # fmt: skip


def sparse_of(name: str, held: Any) -> sp.csr_matrix:
    """Read what `sparse_parts` made."""
    parts = tuple(held[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    return sp.csr_matrix(parts, shape=tuple(int(n) for n in held[f"{name}_shape"]))
