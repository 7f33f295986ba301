"""Score visitors with a trained sequential Transformer, in numpy alone.

In: the weights that training wrote. Out: the same states and scores that torch gives, within float
rounding. Serving so needs no torch, and one visitor takes a few milliseconds on one thread.
Letters: B batch, T time, D width, H heads, V products, E text dimensions.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from components.contracts.errors import ArtefactError

FloatArray = NDArray[np.float32]
WEIGHTS_NAME = "sasrec.safetensors"


def time_gap_buckets(hours: Any, n_buckets: int) -> NDArray[np.int64]:
    """Return the bucket of each event's time since the one before: 0, then doubling from one hour.

    >>> time_gap_buckets(np.array([5.0, 5.5, 8.0, 1000.0]), 6).tolist()
    [0, 0, 1, 5]
    """
    at = np.asarray(hours, dtype=np.float64)
    gap = np.diff(at, prepend=at[:1])
    return np.clip(np.log2(1.0 + np.maximum(gap, 0.0)), 0, n_buckets - 1).astype(np.int64)


class SequenceScorer:
    """The trained model as plain arrays."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, FloatArray]) -> None:
        """Keep the arrays.

        Args:
            config: the fields of `SASRecConfig` and `max_events`.
            weights: name to array, as in the torch module, with `table` (V, D) in place of
                identifiers and text; `text_to_table` (E', D) and `text_offset` (D,) turn the
                encoder's own vectors into table rows where the model was fused with text.
        """
        self.config = dict(config)
        self.weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.table = self.weights["table"]
        self.max_events = int(config["max_events"])

    @property
    def n_products(self) -> int:
        """V, products with sales the model was trained on."""
        return len(self.table)

    def text_rows(self, vectors: FloatArray) -> FloatArray:
        """Return (N, D) table rows of products known by text alone.

        Args:
            vectors: (N, E') rows of the encoder the model was trained with.

        Raises:
            ValueError: the model was trained without text.
        """
        if "text_to_table" not in self.weights:
            raise ValueError("this sequential model was trained without text vectors.")
        moved = vectors.astype(np.float32) @ self.weights["text_to_table"]
        return moved + self.weights["text_offset"]

    def with_new_products(self, vectors: FloatArray) -> Self:
        """Return a scorer whose table has rows for N further products, known by text (N, E')."""
        weights = dict(self.weights)
        weights["table"] = np.concatenate([self.table, self.text_rows(vectors)])
        return type(self)({**self.config, "n_products": len(weights["table"])}, weights)

    def states(
        self,
        sequences: Sequence[Any],
        *,
        kinds: Sequence[Any] | None = None,
        hours: Sequence[Any] | None = None,
    ) -> FloatArray:
        """Return (B, D) state after each visitor's last event; zeros for an empty sequence.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            kinds: per visitor (T,) event kinds, used if the model was trained with them.
            hours: per visitor (T,) times in hours, likewise.
        """
        out = np.zeros((len(sequences), self.table.shape[1]), np.float32)
        lengths = np.array(
            [min(len(sequence), self.max_events) for sequence in sequences], np.int64
        )
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        start = 0
        while start < len(order):
            longest = int(lengths[order[min(start + 255, len(order) - 1)]])
            rows = order[start : start + max(1, min(256, 8192 // longest))]
            out[rows] = self._states(rows, lengths, sequences, kinds, hours)
            start += len(rows)
        return out

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) float32 logits; all zero for an empty sequence."""
        return self.states(sequences, **side) @ self.table.T

    def _states(
        self, rows: Any, lengths: Any, sequences: Sequence[Any],
        kinds: Sequence[Any] | None, hours: Sequence[Any] | None,
    ) -> FloatArray:  # fmt: skip
        w, t = self.weights, int(lengths[rows].max())
        x = np.zeros((len(rows), t, self.table.shape[1]), np.float32)  # (B, T, D)
        for b, row in enumerate(rows):
            n = int(lengths[row])
            x[b, :n] = self.table[np.asarray(sequences[row])[-n:]]
            if kinds is not None and "kind" in w:
                x[b, :n] += w["kind"][np.asarray(kinds[row])[-n:]]
            if hours is not None and "time_gap" in w:
                buckets = time_gap_buckets(hours[row], len(w["time_gap"]))
                x[b, :n] += w["time_gap"][buckets[-n:]]
        x = _norm(x, w["norm_in.weight"], w["norm_in.bias"])
        age = np.arange(t)[:, None] - np.arange(t)[None, :]
        age = np.broadcast_to(age, (len(rows), t, t))  # (B, T, T)
        layers = int(self.config["layers"])
        last = (lengths[rows] - 1)[:, None]  # (B, 1)
        for layer in range(layers):
            # Nobody reads the other states of the last layer: it is asked for one place a visitor.
            asked = last if layer == layers - 1 else np.broadcast_to(np.arange(t), (len(rows), t))
            x = self._block(
                x, f"blocks.{layer}.", np.take_along_axis(age, asked[..., None], 1), asked
            )
        return _norm(x[:, 0], w["norm_out.weight"], w["norm_out.bias"])

    def _block(self, x: FloatArray, at: str, age: Any, asked: Any) -> FloatArray:
        """Return the (B, Q, D) states at places `asked` (B, Q); `age` (B, Q, T) of their keys."""
        w, heads = self.weights, int(self.config["heads"])
        b, t, d = x.shape
        y: Any = _norm(x, w[at + "norm_attention.weight"], w[at + "norm_attention.bias"])
        joint = y @ w[at + "query_key_value.weight"].T + w[at + "query_key_value.bias"]
        q, k, v = (
            joint.reshape(b, t, 3, heads, d // heads)[:, :, part].transpose(0, 2, 1, 3)
            for part in range(3)
        )  # (B, H, T, D/H)
        own = asked[..., None]  # (B, Q, 1)
        q = np.take_along_axis(q, own[:, None], 2)  # (B, H, Q, D/H)
        hidden, age_log = age < 0, np.log1p(np.maximum(age, 0)).astype(np.float32)
        logits = q @ k.transpose(0, 1, 3, 2) * np.float32((d // heads) ** -0.5)
        logits -= w[at + "slope"].reshape(-1, 1, 1) * age_log[:, None]  # (B, H, Q, T)
        mixed = (_softmax(logits, hidden[:, None]) @ v).transpose(0, 2, 1, 3).reshape(b, -1, d)
        mixed = mixed @ w[at + "out.weight"].T + w[at + "out.bias"]
        if self.config.get("frequency"):
            rate = np.log1p(np.exp(w[at + "fading"]))
            low = _softmax(-rate * (np.exp(age_log) - 1.0), hidden) @ y
            part = 1.0 / (1.0 + np.exp(-w[at + "branch"]))
            now = np.take_along_axis(y, own, 1)
            mixed = part * (low + w[at + "high"] ** 2 * (now - low)) + (1.0 - part) * mixed
        x = np.take_along_axis(x, own, 1) + mixed
        y = _norm(x, w[at + "norm_forward.weight"], w[at + "norm_forward.bias"])
        y = np.maximum(y @ w[at + "wide.weight"].T + w[at + "wide.bias"], 0.0)
        return (x + y @ w[at + "narrow.weight"].T + w[at + "narrow.bias"]).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write one safetensors file; the configuration lies in its header."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(self.weights[name]) for name in sorted(self.weights)},
            folder / WEIGHTS_NAME,
            metadata={"config": json.dumps(self.config, sort_keys=True)},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: absent, or not such a file.
        """
        path = folder / WEIGHTS_NAME
        if not path.is_file():
            raise ArtefactError(f"{path}: no such model. Run `shelfwise stage train_sasrec`.")
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            if "config" not in metadata:
                raise ArtefactError(f"{path}: not a sequential model's file.")
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return cls(json.loads(metadata["config"]), weights)


def _norm(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(1e-5)) * weight + bias


def _softmax(logits: Any, hidden: Any) -> Any:
    logits = np.where(hidden, np.float32(-np.inf), logits)
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return share / share.sum(axis=-1, keepdims=True)
