"""Content neighbours: products alike by what is written about them; needs no interaction at all.

Rows are unit vectors from any encoder, or, without one, from hashed words projected at random, so
that a product can be placed the moment its text exists. Adding products makes a new snapshot.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.records import Product
from components.data.words import stems

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Encode = Callable[[Sequence[str]], FloatArray]
HASH_BINS = 1 << 15
HASH_WIDTH = 192


def unit_rows(rows: FloatArray) -> FloatArray:
    """Scale rows to length 1; zero rows stay zero."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0).astype(np.float32)


def content_words(product: Product) -> list[tuple[str, float]]:
    """Return the weighted words of a product: type and category count more than title words."""
    words = [(f"w:{stem}", 1.0) for stem in stems(product.title)]
    words += [(f"w:{stem}", 0.3) for stem in stems(product.description)[:60]]
    words += [(f"c:{depth}:{level}", 1.5) for depth, level in enumerate(product.category)]
    if product.type:
        words.append((f"t:{product.type}", 2.0))
    if product.brand:
        words.append((f"b:{product.brand}", 0.7))
    return words


def hashed_vectors(products: Sequence[Product]) -> FloatArray:
    """Return (n, 192) unit rows from hashed words, by a fixed random projection."""
    projection = _projection()
    out = np.zeros((len(products), HASH_WIDTH), dtype=np.float32)
    for row, product in enumerate(products):
        for word, weight in content_words(product):
            out[row] += weight * projection[zlib.crc32(word.encode()) % HASH_BINS]
    return unit_rows(out)


_PROJECTION: list[FloatArray] = []


def _projection() -> FloatArray:
    if not _PROJECTION:
        generator = np.random.default_rng(20)
        _PROJECTION.append(generator.standard_normal((HASH_BINS, HASH_WIDTH), dtype=np.float32))
    return _PROJECTION[0]


class ContentNeighbours:
    """Scores products by their likeness to what the visitor chose, recent choices first."""

    name = "content"

    def __init__(self, recency_power: float = 0.5, history: int = 50) -> None:
        """Set how fast older choices fade.

        Args:
            recency_power: the k-th last choice weighs 1 / k ** recency_power.
            history: choices looked at.
        """
        self.recency_power = recency_power
        self.history = history
        self.vectors: FloatArray = np.zeros((0, 1), dtype=np.float32)

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Take the product vectors.

        Args:
            sequences: not looked at.
            n_products: V.
            side: `vectors`, (V, D).

        Raises:
            ValueError: vectors absent, or not one per product.
        """
        vectors = side.get("vectors")
        if vectors is None or len(vectors) != n_products:
            raise ValueError(f"content needs vectors=({n_products}, D).")
        self.vectors = unit_rows(np.asarray(vectors, dtype=np.float32))
        return self

    def profile(self, sequence: Any) -> FloatArray:
        """Return the (D,) weighted mean of the chosen products' vectors; zeros for none."""
        items = np.asarray(sequence, dtype=np.int64)[-self.history :]
        if not len(items):
            return np.zeros(self.vectors.shape[1], dtype=np.float32)
        weight = np.arange(len(items), 0, -1.0) ** -self.recency_power
        return (weight.astype(np.float32) @ self.vectors[items]) / np.float32(weight.sum())

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) mean cosines in [-1, 1]."""
        out = np.zeros((len(sequences), len(self.vectors)), dtype=np.float32)
        for row, sequence in enumerate(sequences):
            # One visitor at a time: a matrix product rounds differently with the batch's size.
            out[row] = self.vectors @ self.profile(sequence)
        return out

    def save(self, folder: Path) -> None:
        """Write `content.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "content.npz", vectors=self.vectors)
        stored = {"recency_power": self.recency_power, "history": self.history}
        (folder / "content.json").write_text(json.dumps(stored))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls(**json.loads((folder / "content.json").read_text()))
        with np.load(folder / "content.npz", allow_pickle=False) as stored:
            model.vectors = stored["vectors"]
        return model
