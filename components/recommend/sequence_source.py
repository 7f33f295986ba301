"""The sequential Transformer as a candidate generator: scores in the shop's dense order.

In: `artefacts/train_sasrec` when it is there, and a visitor's log. Out: (B, V) scores that
`candidates.generate` takes as the generator `sasrec`. Reads no torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from components.recommend.history import FloatArray, Log
from components.recommend.sequence_model import SequenceModel

FOLDER = "train_sasrec"


class SequenceSource:
    """Turns logs into sequences, and the model's scores into the shop's product order."""

    def __init__(self, model: SequenceModel, *, max_events: int = 100) -> None:
        """Keep the model; only the last `max_events` lines of a visitor are looked at."""
        self.model = model
        self.max_events = max_events
        self._columns: tuple[Sequence[str], np.ndarray] | None = None

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read the artefact; None when the stage has not run."""
        if not (artefacts / FOLDER / "manifest.json").is_file():
            return None
        return cls(SequenceModel.load(artefacts))

    def columns(self, product_ids: Sequence[str]) -> np.ndarray:
        """Return the model's row of each of the shop's products, -1 for one it does not know."""
        known = self._columns
        if known is None or known[0] is not product_ids:
            found = np.array([self.model.index.get(n, -1) for n in product_ids], dtype=np.int64)
            known = self._columns = (product_ids, found)
        return known[1]

    def scores_of_log(self, log: Log, n_visitors: int, product_ids: Sequence[str]) -> FloatArray:
        """Score all products for visitors 0 to n_visitors - 1 of a log.

        Scores are shifted to be above 0 for what the model knows, so that the generator may
        propose it; products it does not know, and visitors without history, get 0.

        Args:
            log: purchases; those of one day count as one basket.
            n_visitors: B.
            product_ids: the shop's dense order.
        """
        columns = self.columns(product_ids)
        order = np.lexsort((log.group, log.day, log.visitor))
        item = columns[log.group[order]]
        known = item >= 0
        visitor, item = log.visitor[order][known], item[known]
        hours = log.day[order][known] * 24.0
        bounds = np.searchsorted(visitor, np.arange(1, n_visitors))
        items = [part[-self.max_events :] for part in np.split(item, bounds)]
        times = [part[-self.max_events :] for part in np.split(hours, bounds)]
        raw = self.model.scorer.score(items, hours=times)
        out = np.zeros((n_visitors, len(columns)), dtype=np.float32)
        inside = columns >= 0
        shifted = raw - raw.min(axis=1, keepdims=True) + 1e-3
        empty = np.array([len(part) == 0 for part in items])
        shifted[empty] = 0.0
        out[:, inside] = shifted[:, columns[inside]]
        return out
