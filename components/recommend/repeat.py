"""Due-time repeat purchase: the chance that a bought product is bought again on the next trip.

Each past purchase interval of a product, over all visitors, tells how likely a return is after so
many days; a visitor's own interval is mixed in as it becomes known. Counts decide how sure, the
clock decides when. Says nothing about products never bought.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
EDGES = np.array([0.0, 0.15, 0.35, 0.6, 0.85, 1.15, 1.5, 2.0, 3.0, 5.0, 8.0, np.inf])


class RepeatPurchase:
    """Scores bought products by re-buy rate, own frequency and how far they are due.

    The hazard of a return is learned per band of due ratio (time since last purchase over the mean
    interval, own or the product's), over all products; a product's own re-buy rate scales it.
    """

    name = "repeat"

    def __init__(self, half_life: float = 91.0, prior_intervals: float = 2.0) -> None:
        """Set how fast old purchases fade and how many own intervals outweigh the product's.

        Args:
            half_life: of a purchase's weight, in the unit of `ages` (days).
            prior_intervals: weight of the product's mean interval beside the visitor's own ones.
        """
        self.half_life = half_life
        self.prior_intervals = prior_intervals
        self.interval: FloatArray = np.zeros(0, dtype=np.float32)
        self.rebuy: FloatArray = np.zeros(0, dtype=np.float32)
        self.hazard: FloatArray = np.ones(len(EDGES) - 1, dtype=np.float32)

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Learn product intervals, re-buy rates and the hazard by due ratio.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            n_products: V.
            side: `ages`, per visitor (T,) ages in days, not increasing; positions if absent.
        """
        ages = _ages(sequences, side.get("ages"))
        gaps, counts = np.zeros(n_products), np.zeros(n_products)
        again, chances = np.zeros(n_products), np.zeros(n_products)
        intervals: list[tuple[NDArray[Any], NDArray[Any]]] = []
        waits: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for items, age in zip(sequences, ages, strict=True):
            products = np.asarray(items, dtype=np.int64)
            order = np.lexsort((-age, products))
            p, a = products[order], age[order]
            same = (p[1:] == p[:-1]) & (a[1:] < a[:-1])
            gap = (a[:-1] - a[1:])[same]
            gaps += np.bincount(p[1:][same], gap, n_products)
            counts += np.bincount(p[1:][same], minlength=n_products)
            again += np.bincount(p[:-1][same], minlength=n_products)
            last = np.r_[p[1:] != p[:-1], True][: len(p)]
            chances += np.bincount(np.r_[p[:-1][same], p[last]], minlength=n_products)
            intervals.append((p[:-1][same], gap))
            waits.append((p[last], a[last]))
        overall = gaps.sum() / max(counts.sum(), 1.0)
        self.interval = ((gaps + 3 * overall) / (counts + 3)).astype(np.float32)
        base = again.sum() / max(chances.sum(), 1.0)
        self.rebuy = ((again + 5 * base) / (chances + 5)).astype(np.float32)
        self.hazard = self._hazard(intervals, waits)
        return self

    def _hazard(self, intervals: list[Any], waits: list[Any]) -> FloatArray:
        """Return, per band of due ratio, returns in it over those still waiting at its start."""
        bands = len(EDGES) - 1
        ended = np.concatenate([g / self.interval[p] for p, g in intervals] or [np.zeros(0)])
        open_ = np.concatenate([g / self.interval[p] for p, g in waits] or [np.zeros(0)])
        back = np.histogram(ended, EDGES)[0].astype(float)
        left = np.histogram(open_, EDGES)[0].astype(float)
        at_risk = np.cumsum((back + left)[::-1])[::-1]
        width = np.diff(np.r_[EDGES[:-1], 12.0])
        rate = (back + 1.0) / (at_risk + bands) / width
        return (rate / rate.max()).astype(np.float32)

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V): 0 for a product never bought, more for one often bought and now due.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            side: `ages` as in `fit`, counted back from the request.
        """
        out = np.zeros((len(sequences), len(self.interval)), dtype=np.float32)
        ages = _ages(sequences, side.get("ages"))
        for row, (items, age) in enumerate(zip(sequences, ages, strict=True)):
            products = np.asarray(items, dtype=np.int64)
            if not len(products):
                continue
            unique, inverse = np.unique(products, return_inverse=True)
            n = np.bincount(inverse)
            youngest = np.full(len(unique), np.inf)
            np.minimum.at(youngest, inverse, age)
            oldest = np.zeros(len(unique))
            np.maximum.at(oldest, inverse, age)
            weight = np.bincount(inverse, np.exp2(-age / self.half_life))
            own = (oldest - youngest) + self.prior_intervals * self.interval[unique]
            interval = np.maximum(own / (n - 1 + self.prior_intervals), 1e-3)
            band = np.clip(np.searchsorted(EDGES, youngest / interval, "right") - 1, 0, None)
            rate = self.hazard[np.minimum(band, len(self.hazard) - 1)]
            out[row, unique] = np.log1p(weight) * np.sqrt(self.rebuy[unique]) * (0.5 + rate)
        return out

    def save(self, folder: Path) -> None:
        """Write `repeat.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "repeat.npz", interval=self.interval, rebuy=self.rebuy, hazard=self.hazard
        )
        stored = {"half_life": self.half_life, "prior_intervals": self.prior_intervals}
        (folder / "repeat.json").write_text(json.dumps(stored))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls(**json.loads((folder / "repeat.json").read_text()))
        with np.load(folder / "repeat.npz", allow_pickle=False) as stored:
            model.interval, model.rebuy = stored["interval"], stored["rebuy"]
            model.hazard = stored["hazard"]
        return model


def _ages(sequences: Sequence[Any], ages: Sequence[Any] | None) -> list[NDArray[np.float64]]:
    if ages is None:
        return [np.arange(len(s), dtype=float)[::-1] for s in sequences]
    return [np.asarray(age, dtype=float) for age in ages]
