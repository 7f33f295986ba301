"""Intent classifier: a sentence's vector and its hashed n-grams into a softmax regression.

Used where no rule matches. The encoder that also serves search gives the vector, so that a wording
nobody wrote down lies near those that were; without an encoder the n-grams decide alone. The
weights are an npz file; the classifier of small shops is trained from the same utterances in
memory.
"""

import functools
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from components.assistant.language import stems_of
from components.contracts.artefacts import read_manifest
from components.contracts.errors import ArtefactError

ARTEFACT = "train_classifier"
WIDTH = 4096
MEANING = 2.0  # length of the sentence's vector beside the n-grams' length of 1
Encode = Callable[[Sequence[str]], Any]
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

    def __init__(
        self, labels: Sequence[str], weights: FloatArray, encode: Encode | None = None
    ) -> None:
        """Hold labels, weights (WIDTH + D + 1, n labels) and the encoder of D; intercepts last."""
        self.labels = tuple(labels)
        self.weights = weights
        self.encode = encode

    @property
    def width(self) -> int:
        """D, the width of the sentence's vector that the weights expect; 0 without an encoder."""
        return len(self.weights) - WIDTH - 1

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        intents: Sequence[str],
        *,
        encode: Encode | None = None,
        penalty: float = 1e-4,
        iterations: int = 120,
    ) -> "IntentClassifier":
        """Fit by L-BFGS from zero: deterministic.

        Args:
            texts: glossed utterances.
            intents: their labels.
            encode: texts to (n, D) unit vectors; None = n-grams alone.
            penalty: weight of the squared norm.
            iterations: at most so many.
        """
        labels = sorted(set(intents))
        index = {label: i for i, label in enumerate(labels)}
        meaning = np.zeros((len(texts), 0))
        if encode is not None:
            meaning = MEANING * np.round(np.asarray(encode(list(texts)), np.float64), 4)
        width = WIDTH + meaning.shape[1]
        ones = np.ones((len(texts), 1))
        x = sparse.hstack([matrix_of(texts), sparse.csr_matrix(meaning), ones]).tocsr()
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
        weights = np.zeros((width + 1, len(labels)))
        weights[used] = found.x.reshape(len(used), len(labels))
        return cls(labels, weights, encode)

    def probabilities(self, text: str) -> dict[str, float]:
        """Return the chance of each intent."""
        logits = self.weights[-1].copy()
        if self.encode is not None and self.width:
            vector = np.asarray(self.encode([text[:400]])[0], np.float64)
            logits += MEANING * vector @ self.weights[WIDTH:-1]
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
    def load(cls, artefacts: Path, encode: Encode | None = None) -> "IntentClassifier":
        """Read `artefacts/train_classifier`, made with the same encoder as `encode`.

        Raises:
            ArtefactError: absent, half-written or altered since it was made, or made with an
                encoder while none is here.
        """
        folder = artefacts / ARTEFACT
        read_manifest(folder)
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        with np.load(folder / "classifier.npz", allow_pickle=False) as file:
            model = cls(labels, file["weights"].astype(np.float64), encode)
        if model.width and encode is None:
            raise ArtefactError(f"{folder}: made with an encoder, and there is none here.")
        return model


@functools.lru_cache(maxsize=2)
def default_classifier(encode: Encode | None = None) -> Any:
    """Return `classify` of a classifier trained in memory, once, for shops without artefacts."""
    from components.assistant.utterances import utterances

    pairs = list(utterances(1500, seed=7))
    return IntentClassifier.fit(
        [t for t, _ in pairs], [i for _, i in pairs], encode=encode, iterations=60
    ).classify
