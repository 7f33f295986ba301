"""Graph propagation over visitor-product links, and visitor-visitor links where a table has them.

In: sequences, and optionally weighted relations between visitors. Out: scores for any history.
This is LightGCN with its embeddings left at the identity, in closed form: each of K layers carries
a visitor's products to the visitors who share them and on to their products, with the symmetric
normalisation, and the layers are averaged. On the singular vectors of the normalised matrix of
visitors and products that is one low-pass filter: nothing is trained by gradient and new visitors
cost nothing.
Knows neither order (beyond the recency given to a history) nor text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.item_knn import history_matrix
from components.recommend.sequences import flatten

FloatArray = NDArray[np.float32]


class GraphPropagation:
    """Closed-form LightGCN: a low-pass filter on the visitor-product graph."""

    name = "graph"

    def __init__(
        self,
        *,
        rank: int = 192,
        layers: int = 3,
        degree_power: float = 0.5,
        recency_power: float = 0.7,
        history: int = 50,
        social: float = 0.5,
    ) -> None:
        """Keep the settings.

        Args:
            rank: singular vectors kept; higher frequencies of the graph are dropped as noise.
            layers: K, propagation steps averaged.
            degree_power: power of the product's degree in the normalisation; 0.5 is LightGCN's.
            recency_power: the k-th last product of a history counts 1 / k ** recency_power.
            history: products of a history looked at.
            social: weight of related visitors' products beside the visitor's own.
        """
        self.settings = {
            "rank": float(rank), "layers": float(layers), "degree_power": degree_power,
            "recency_power": recency_power, "history": float(history), "social": social,
        }  # fmt: skip
        self.vectors: FloatArray | None = None
        self.gain: FloatArray = np.zeros(0, np.float32)
        self.damping: FloatArray = np.zeros(0, np.float32)
        self.friends: sp.csr_matrix | None = None

    def fit(
        self,
        sequences: Sequence[Any],
        n_products: int,
        *,
        relations: Any | None = None,
        **_: Any,
    ) -> Self:
        """Find the graph's low frequencies.

        Args:
            sequences: per visitor (T,) product indices.
            n_products: V.
            relations: (n_visitors, n_visitors) sparse weights between the visitors of `sequences`;
                row u says whose products speak for u.
        """
        items, owner = flatten(sequences)
        links = sp.csr_matrix(
            (np.ones(len(items), np.float64), (owner, items)), shape=(len(sequences), n_products)
        )
        links.data[:] = 1.0
        of_visitor = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1.0)
        of_product = np.maximum(np.asarray(links.sum(axis=0)).ravel(), 1.0)
        power = self.settings["degree_power"]
        normal = sp.diags(of_visitor**-0.5) @ links @ sp.diags(of_product**-power)
        rank = int(min(self.settings["rank"], min(links.shape) - 1))
        self.damping = of_product.astype(np.float32) ** np.float32(-power)
        if rank < 1 or not normal.nnz:
            self.vectors = np.zeros((n_products, 1), np.float32)
            self.gain = np.zeros(1, np.float32)
        else:
            from scipy.sparse.linalg import svds

            first = np.random.default_rng(0).standard_normal(min(normal.shape))
            _, values, right = svds(sp.csr_matrix(normal), k=rank, v0=first)
            order = np.argsort(-values, kind="stable")
            share = np.square(values[order] / max(float(values.max()), 1e-12))
            layers = int(self.settings["layers"])
            self.gain = np.mean([share**k for k in range(1, layers + 1)], axis=0).astype(np.float32)
            vectors = right[order].T
            sign = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(rank)])
            self.vectors = (vectors * np.where(sign == 0, 1.0, sign)).astype(np.float32)
        self.friends = None
        if relations is not None:
            weights = sp.csr_matrix(relations, dtype=np.float64)
            total = np.asarray(abs(weights).sum(axis=1)).ravel()
            scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
            own = sp.diags(of_visitor**-0.5) @ links
            self.friends = sp.csr_matrix(sp.diags(scale) @ weights @ own, dtype=np.float32)
        return self

    def score(self, sequences: Sequence[Any], *, visitors: Any | None = None) -> FloatArray:
        """Return (B, V) float32.

        Args:
            sequences: per visitor (T,) product indices.
            visitors: (B,) rows of the fitted visitors, whose relations are then used; -1 for a
                visitor not seen in fitting.
        """
        if self.vectors is None:
            raise ValueError("GraphPropagation is not fitted; call fit or load first.")
        held = history_matrix(
            sequences, len(self.vectors), history=int(self.settings["history"]),
            recency_power=self.settings["recency_power"],
        )  # fmt: skip
        if visitors is not None and self.friends is not None:
            rows = np.asarray(visitors)
            theirs = self.friends[np.maximum(rows, 0)]
            known = sp.diags((rows >= 0).astype(np.float32) * self.settings["social"])
            held = sp.csr_matrix(held + known @ theirs, dtype=np.float32)
        damped = sp.csr_matrix(held @ sp.diags(self.damping), dtype=np.float32)
        carried = np.asarray(damped @ self.vectors, np.float32) * self.gain  # (B, rank)
        return np.asarray(carried @ self.vectors.T, np.float32)

    def save(self, folder: Path) -> None:
        """Write `graph.npz`."""
        if self.vectors is None:
            raise ValueError("GraphPropagation is not fitted; nothing to save.")
        folder.mkdir(parents=True, exist_ok=True)
        friends = self.friends
        np.savez(
            folder / "graph.npz", vectors=self.vectors, gain=self.gain, damping=self.damping,
            names=np.array(sorted(self.settings)),
            settings=np.array([self.settings[name] for name in sorted(self.settings)]),
            **({} if friends is None else {
                "friends_data": friends.data, "friends_indices": friends.indices,
                "friends_indptr": friends.indptr, "friends_shape": np.array(friends.shape),
            }),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "graph.npz", allow_pickle=False) as stored:
            model = cls()
            model.settings = dict(
                zip(stored["names"].tolist(), stored["settings"].tolist(), strict=True)
            )
            model.vectors, model.gain = stored["vectors"], stored["gain"]
            model.damping = stored["damping"]
            if "friends_data" in stored:
                parts = (stored[f"friends_{name}"] for name in ("data", "indices", "indptr"))
                model.friends = sp.csr_matrix(tuple(parts), shape=tuple(stored["friends_shape"]))
        return model
