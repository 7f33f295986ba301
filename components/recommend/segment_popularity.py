"""Popularity by segment: what visitors who buy alike choose most.

Between popularity, which knows nobody, and neighbours, which need a history: a few purchases place
a visitor in a segment, and the segment's counts, damped towards everybody's, are the scores.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.recommend.features import normalised
from components.recommend.segments import k_means
from components.recommend.shop import item_factors

FloatArray = NDArray[np.float32]


class SegmentPopularity:
    """Groups visitors by their purchases on a few factors; scores by the group's counts."""

    name = "popularity_by_segment"

    def __init__(
        self, segments: int = 8, dimensions: int = 16, damping: float = 200.0, seed: int = 7
    ) -> None:
        """Set the grouping.

        Args:
            segments: groups at most.
            dimensions: factors the visitors are compared on.
            damping: choices of everybody's that are mixed into a group's counts.
            seed: of the factors and the groups' starts.
        """
        self.settings = {
            "segments": segments, "dimensions": dimensions, "damping": damping, "seed": seed,
        }  # fmt: skip
        self.factors: FloatArray = np.zeros((0, 1), dtype=np.float32)
        self.centres: FloatArray = np.zeros((0, 1), dtype=np.float32)
        self.shares: FloatArray = np.zeros((1, 0), dtype=np.float32)

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Find the groups and count in them.

        Args:
            sequences: per visitor (T,) product indices.
            n_products: V.
            **side: unused.
        """
        s = self.settings
        bought = self._bought(sequences, n_products)
        taste = normalised(self._damped(bought))
        keep = np.ones(n_products, dtype=bool)
        self.factors = item_factors(taste, int(s["dimensions"]), int(s["seed"]), keep=keep)
        vectors = np.asarray(taste @ self.factors, dtype=np.float32)
        labels, self.centres = k_means(vectors, int(s["segments"]), int(s["seed"]))
        overall = np.asarray(bought.sum(axis=0), dtype=np.float64).ravel()
        overall /= max(overall.sum(), 1e-9)
        shares = [overall]
        for group in range(len(self.centres)):
            counts = np.asarray(bought[labels == group].sum(axis=0), dtype=np.float64).ravel()
            total = counts.sum() + float(s["damping"])
            shares.append((counts + float(s["damping"]) * overall) / max(total, 1e-9))
        self.shares = np.stack(shares).astype(np.float32)
        return self

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) shares of the visitor's segment; of everybody for a newcomer."""
        bought = self._bought(sequences, self.shares.shape[1])
        vectors = np.asarray(normalised(self._damped(bought)) @ self.factors, dtype=np.float32)
        group = (vectors @ self.centres.T).argmax(axis=1) + 1
        nobody = np.asarray(bought.sum(axis=1)).ravel() == 0
        return self.shares[np.where(nobody, 0, group)]

    @staticmethod
    def _bought(sequences: Sequence[Any], n_products: int) -> sp.csr_matrix:
        row = np.repeat(np.arange(len(sequences)), [len(part) for part in sequences])
        parts = [np.asarray(part, dtype=np.int64) for part in sequences]
        column = np.concatenate([np.zeros(0, np.int64), *parts])
        ones = np.ones(len(column), dtype=np.float32)
        return sp.csr_matrix((ones, (row, column)), shape=(len(sequences), n_products))

    @staticmethod
    def _damped(bought: sp.csr_matrix) -> sp.csr_matrix:
        damped = bought.copy()
        damped.data = np.log1p(damped.data)
        return damped

    def save(self, folder: Path) -> None:
        """Write `segment_popularity.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        head = np.frombuffer(json.dumps(self.settings).encode(), np.uint8)
        np.savez(
            folder / "segment_popularity.npz", head=head, factors=self.factors,
            centres=self.centres, shares=self.shares,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "segment_popularity.npz", allow_pickle=False) as held:
            model = cls(**json.loads(held["head"].tobytes().decode()))
            model.factors, model.centres = held["factors"], held["centres"]
            model.shares = held["shares"]
        return model
