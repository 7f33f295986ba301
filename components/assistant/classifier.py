"""Intent classifier: hashed word and character n-grams into a softmax regression.

Used where no rule matches. Light enough for every request: one sparse product, no model server. The
weights are an npz file; the classifier of small shops is trained from the same utterances in
memory.
"""

import functools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from components.assistant.language import stems_of
from components.contracts.artefacts import read_manifest

ARTEFACT = "train_classifier"
WIDTH = 4096
FloatArray = NDArray[np.float64]


def features_of(text: str) -> dict[int, float]:
    """Return hashed word 1-2-grams and character 3-4-grams of a glossed text, of unit length."""
    words = stems_of(text[:400])
    names = [f"w {w}" for w in words]
    names += [f"b {a} {b}" for a, b in zip(("^", *words), (*words, "$"), strict=True)]
    joined = f" {' '.join(words)} "
    names += [f"c {joined[i : i + n]}" for n in (3, 4) for i in range(max(0, len(joined) - n + 1))]
    counts: dict[int, float] = {}
    for name in names:
        slot = zlib.crc32(name.encode()) % WIDTH
        counts[slot] = counts.get(slot, 0.0) + (1.0 if name[0] != "c" else 0.4)
    norm = sum(v * v for v in counts.values()) ** 0.5
    return {k: v / norm for k, v in sorted(counts.items())} if norm else {}


def matrix_of(texts: Sequence[str]) -> Any:
    """Return (B, WIDTH) sparse features."""
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        for column, value in features_of(text).items():
            rows.append(row)
            columns.append(column)
            values.append(value)
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), WIDTH))


class IntentClassifier:
    """Softmax regression over hashed n-grams."""

    def __init__(self, labels: Sequence[str], weights: FloatArray) -> None:
        """Hold labels and weights (WIDTH + 1, n labels); the last row is the intercept."""
        self.labels = tuple(labels)
        self.weights = weights

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        intents: Sequence[str],
        *,
        penalty: float = 1e-4,
        iterations: int = 120,
    ) -> "IntentClassifier":
        """Fit by L-BFGS from zero: deterministic.

        Args:
            texts: glossed utterances.
            intents: their labels.
            penalty: weight of the squared norm.
            iterations: at most so many.
        """
        labels = sorted(set(intents))
        index = {label: i for i, label in enumerate(labels)}
        x = sparse.hstack([matrix_of(texts), np.ones((len(texts), 1))]).tocsr()
        used = np.flatnonzero(np.asarray(abs(x).sum(axis=0)).ravel())
        x = x[:, used]
        target = np.zeros((len(texts), len(labels)))
        target[np.arange(len(texts)), [index[i] for i in intents]] = 1.0

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            weights = flat.reshape(len(used), len(labels))
            logits = x @ weights
            logits -= logits.max(axis=1, keepdims=True)
            exponent = np.exp(logits)
            shares = exponent / exponent.sum(axis=1, keepdims=True)
            value = -np.log(
                np.maximum((shares * target).sum(axis=1), 1e-12)
            ).mean() + penalty * float((weights**2).sum())
            gradient = x.T @ (shares - target) / len(texts) + 2 * penalty * weights
            return float(value), np.asarray(gradient).ravel()

        found = optimize.minimize(
            loss,
            np.zeros(len(used) * len(labels)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations},
        )
        weights = np.zeros((WIDTH + 1, len(labels)))
        weights[used] = found.x.reshape(len(used), len(labels))
        return cls(labels, weights)

    def probabilities(self, text: str) -> dict[str, float]:
        """Return the chance of each intent."""
        logits = self.weights[WIDTH].copy()
        for column, value in features_of(text).items():
            logits += value * self.weights[column]
        exponent = np.exp(logits - logits.max())
        shares = exponent / exponent.sum()
        return {label: float(p) for label, p in zip(self.labels, shares, strict=True)}

    def classify(self, text: str) -> tuple[str, float]:
        """Return the likeliest intent and its probability; ties by name."""
        shares = self.probabilities(text)
        best = min(shares, key=lambda label: (-shares[label], label))
        return best, shares[best]

    def save(self, folder: Path) -> None:
        """Write `classifier.npz` (weights as float32) and `labels.json`."""
        np.savez(folder / "classifier.npz", weights=self.weights.astype(np.float32))
        (folder / "labels.json").write_text(json.dumps(list(self.labels)), encoding="utf-8")

    @classmethod
    def load(cls, artefacts: Path) -> "IntentClassifier":
        """Read `artefacts/train_classifier`.

        Raises:
            ArtefactError: absent, half-written or altered since it was made.
        """
        folder = artefacts / ARTEFACT
        read_manifest(folder)
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        with np.load(folder / "classifier.npz", allow_pickle=False) as file:
            return cls(labels, file["weights"].astype(np.float64))


@functools.lru_cache(maxsize=1)
def default_classifier() -> Any:
    """Return `classify` of a classifier trained in memory, once, for shops without artefacts."""
    from components.assistant.utterances import utterances

    pairs = list(utterances(2000, seed=7))
    return IntentClassifier.fit(
        [t for t, _ in pairs], [i for _, i in pairs], iterations=60
    ).classify
