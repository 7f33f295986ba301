"""Vectors by text: encoded once, kept by text hash, searched exactly.

`artefacts/finetune` holds the served encoder and the vector of every catalogue text;
`CachedEncoder`
looks a text up there before it runs the model. Approximate search belongs to `components.search`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.contracts.protocols import Encoder
from components.text.encoder import OnnxEncoder
from components.text.texts import clean, text_hash

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
ENCODER_ARTEFACT = "finetune"
VECTORS_NAME = "vectors.npz"
PRODUCTS_NAME = "products.npz"


class TextVectors:
    """A table of unit rows by text hash; immutable once made."""

    def __init__(self, hashes: Sequence[str], rows: FloatArray) -> None:
        """Keep `rows` (n, D), row i for `hashes[i]`."""
        if len(hashes) != len(rows):
            raise ValueError(f"{len(hashes)} hashes for {len(rows)} rows.")
        self.hashes = list(hashes)
        self.rows = rows
        self._place = {name: index for index, name in enumerate(self.hashes)}

    @classmethod
    def of(cls, texts: Sequence[str], encoder: Encoder) -> Self:
        """Encode every distinct text once."""
        named = {text_hash(text): text for text in texts}
        hashes = sorted(named)
        return cls(hashes, encoder.encode([named[name] for name in hashes]))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: absent or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as held:
                return cls([str(name) for name in held["hashes"]], held["rows"])
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{path}: no readable table of text vectors ({error}).") from error

    def save(self, path: Path) -> None:
        """Write an npz file; equal tables give equal bytes."""
        np.savez(path, hashes=np.asarray(self.hashes, dtype="U32"), rows=self.rows)

    def __len__(self) -> int:
        return len(self.hashes)

    def __contains__(self, text: str) -> bool:
        return text_hash(text) in self._place

    def get(self, text: str) -> FloatArray | None:
        """Return the row of a text, or None where it is not held."""
        index = self._place.get(text_hash(text))
        return None if index is None else self.rows[index]

    def matrix(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, D) rows of texts that are all held.

        Raises:
            KeyError: a text is not held.
        """
        return self.rows[[self._place[text_hash(text)] for text in texts]]

    def digest(self) -> str:
        """Return a hex sha256 over hashes and rows: it changes when any served vector changes."""
        import hashlib

        digest = hashlib.sha256("\n".join(self.hashes).encode())
        digest.update(np.ascontiguousarray(self.rows, np.float32).tobytes())
        return digest.hexdigest()


class CachedEncoder:
    """An encoder in front of a table of known vectors and a bounded memory of recent texts."""

    def __init__(
        self, encoder: Encoder, known: TextVectors | None = None, *, recent: int = 4096
    ) -> None:
        """Look in `known` first, then among the last `recent` texts, then run `encoder`."""
        self.encoder = encoder
        self.width = encoder.width
        self._known = known
        self._recent: OrderedDict[str, FloatArray] = OrderedDict()
        self._size = recent
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return (B, D) unit rows; a remembered text is not run again."""
        rows: dict[str, FloatArray] = {}
        absent: list[str] = []
        for text in dict.fromkeys(clean(text) for text in texts):
            row = self._known.get(text) if self._known is not None else None
            if row is None:
                with self._lock:
                    row = self._recent.get(text)
                    if row is not None:
                        self._recent.move_to_end(text)
            if row is None:
                absent.append(text)
            else:
                rows[text] = row
        if absent:
            made = self.encoder.encode(absent)
            with self._lock:
                for text, row in zip(absent, made, strict=True):
                    rows[text] = row
                    self._recent[text] = row
                while len(self._recent) > self._size:
                    self._recent.popitem(last=False)
        out = np.empty((len(texts), self.width), np.float32)
        for index, text in enumerate(texts):
            out[index] = rows[clean(text)]
        return out


def load_encoder(artefacts: Path, *, threads: int = 1) -> CachedEncoder:
    """Return the served encoder with every catalogue text's vector at hand; imports no torch.

    Raises:
        ArtefactError: `artefacts/finetune` is absent or incomplete.
    """
    folder = artefacts / ENCODER_ARTEFACT
    known = TextVectors.load(folder / VECTORS_NAME) if (folder / VECTORS_NAME).is_file() else None
    return CachedEncoder(OnnxEncoder(folder, threads=threads), known)


def product_vectors(artefacts: Path) -> tuple[list[str], FloatArray]:
    """Return the catalogue's product ids and their (V, D) unit rows, in the order of the ids.

    Raises:
        ArtefactError: the stage `finetune` has not run.
    """
    folder = artefacts / ENCODER_ARTEFACT
    vectors = TextVectors.load(folder / VECTORS_NAME)
    try:
        with np.load(folder / PRODUCTS_NAME, allow_pickle=False) as held:
            ids = [str(name) for name in held["product_ids"]]
            place = {name: index for index, name in enumerate(vectors.hashes)}
            return ids, vectors.rows[[place[str(name)] for name in held["hashes"]]]
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{folder}: product vectors cannot be read ({error}). Run `shelfwise stage finetune`."
        ) from error


def top_k(
    queries: FloatArray, rows: FloatArray, k: int, *, block: int = 256
) -> tuple[IntArray, FloatArray]:
    """Find the `k` nearest rows by inner product, exactly; ties go to the smaller row number.

    Args:
        queries: (B, D).
        rows: (V, D).
        k: at most V; a larger one is cut to V.
        block: queries at a time; bounds memory at block x V numbers.

    Returns:
        (B, k) row numbers, best first, and their scores.

    >>> ids, _ = top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1)
    >>> ids.tolist()
    [[0], [1]]
    """
    k = min(k, len(rows))
    ids = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), block):
        part = queries[start : start + block] @ rows.T  # (B, V)
        ids[start : start + block], scores[start : start + block] = best_columns(part, k)
    return ids, scores


def best_columns(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Return the `k` best columns of each row, best first, ties to the smaller column."""
    k = min(k, scores.shape[1])
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
    ids = np.empty((len(scores), k), np.int64)
    for row, (values, least) in enumerate(zip(scores, kth, strict=True)):
        candidates = np.flatnonzero(values >= least)
        order = np.lexsort((candidates, -values[candidates]))[:k]
        ids[row] = candidates[order]
    return ids, np.take_along_axis(scores, ids, axis=1)
