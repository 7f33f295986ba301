"""Own frequency: what this visitor chose most often, optionally decayed; the habit to beat.

Recommends nothing the visitor never chose (score 0; ties are settled by the caller, by
popularity), so it is strong on groceries and silent for a newcomer.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class OwnFrequency:
    """Scores products by the visitor's own (decayed) counts."""

    def __init__(self, half_life: float | None = None) -> None:
        """Set the half-life of a count, in the unit of `ages`; None counts all alike."""
        self.half_life = half_life
        self.n_products = 0
        self.name = "own_frequency" if half_life is None else "own_frequency_decay"

    def fit(self, sequences: Sequence[Any], n_products: int, **side: Any) -> Self:
        """Remember the size of the catalogue; there is nothing to learn."""
        self.n_products = n_products
        return self

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) counts.

        Args:
            sequences: per visitor (T,) product indices.
            side: `ages`, per visitor (T,) ages of the events; without it the last event has age 0
                and each step back is one unit older.
        """
        out = np.zeros((len(sequences), self.n_products), dtype=np.float32)
        ages = side.get("ages")
        for row, sequence in enumerate(sequences):
            items = np.asarray(sequence, dtype=np.int64)
            weight = None
            if self.half_life is not None:
                age = ages[row] if ages is not None else np.arange(len(items))[::-1]
                weight = np.exp2(-np.asarray(age, dtype=float) / self.half_life)
            out[row] = np.bincount(items, weight, self.n_products)
        return out

    def save(self, folder: Path) -> None:
        """Write `own_frequency.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        stored = {"half_life": self.half_life, "n_products": self.n_products}
        (folder / "own_frequency.json").write_text(json.dumps(stored))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads((folder / "own_frequency.json").read_text())
        model = cls(stored["half_life"])
        model.n_products = stored["n_products"]
        return model
