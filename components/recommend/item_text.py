"""What products say about themselves, as vectors: words weighed by rarity, and an encoder's rows.

In: an item table with any text, list or category columns. Out: one text per product, a sparse
word matrix whose rows have length 1, encoder vectors cached by text hash, and each product's
nearest neighbours in text. Knows nothing about who bought what.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.contracts.protocols import Encoder

FloatArray = NDArray[np.float32]
WORD = re.compile(r"[^\W_]+", re.UNICODE)
MARKUP = re.compile(r"<[^>]*>|&[a-z]+;|\\[nrt]")
MAX_CATEGORY_SHARE = 0.2


def text_columns(items: pl.DataFrame, *, key: str = "item_id") -> dict[str, str]:
    """Decide how each column of an item table is read.

    Returns:
        Column name to `text` (words), `tokens` (a list; each entry is one word as a whole, and its
        words too) or `category` (one value of a few). Left out: the key, numbers with many values,
        empty columns, codes (nearly all values distinct, one word each), and `X_ids` beside `X`.
    """
    out: dict[str, str] = {}
    for name, dtype in items.schema.items():
        column = items[name]
        if name == key or column.null_count() == len(column):
            continue
        if dtype == pl.String:
            filled = column.drop_nulls()
            if filled.n_unique() == 1:
                continue
            mean: Any = filled.head(2000).str.count_matches(r"\S+").mean()
            distinct = filled.n_unique() / len(filled)
            if (mean or 0.0) > 1.2:
                out[name] = "text"
            elif distinct < MAX_CATEGORY_SHARE * 2:
                out[name] = "category"
        elif isinstance(dtype, pl.List):
            out[name] = "tokens"
        elif (dtype.is_integer() or dtype == pl.Boolean) and (
            1 < column.n_unique() < MAX_CATEGORY_SHARE * len(column)
        ):
            out[name] = "category"
    coded = {name for name in out if name.endswith("_ids") and name.removesuffix("_ids") in out}
    return {name: kind for name, kind in out.items() if name not in coded}


def product_texts(items: pl.DataFrame, *, key: str = "item_id") -> list[str]:
    """Return one readable text per row for the encoder: texts first, then lists and categories."""
    kinds = text_columns(items, key=key)
    order = [n for n, kind in kinds.items() if kind == "text"]
    order += [n for n, kind in kinds.items() if kind != "text" and not _is_number(items, n)]
    parts = []
    for name in order:
        values = items[name].to_list()
        parts.append(
            [", ".join(str(v) for v in value) if isinstance(value, list) else str(value or "")
             for value in values]
        )  # fmt: skip
    rows = zip(*parts, strict=True) if parts else ([] for _ in range(len(items)))
    return [_clean(", ".join(part for part in row if part)) for row in rows]


def word_matrix(items: pl.DataFrame, *, key: str = "item_id") -> sp.csr_matrix:
    """Return (V, words) float32: rarity-weighted words, each column's part of equal weight.

    Every part of a row, and the row itself, has length 1 (or 0 where nothing is said), so the
    inner product of two rows is their similarity in [0, 1].
    """
    blocks = []
    for name, kind in text_columns(items, key=key).items():
        documents = [_words(value, name, kind) for value in items[name].to_list()]
        block = _rarity(documents)
        if block.shape[1]:
            blocks.append(block)
    if not blocks:
        return sp.csr_matrix((len(items), 0), dtype=np.float32)
    return unit_rows(sp.csr_matrix(sp.hstack(blocks), dtype=np.float32))


def unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Scale rows to length 1; empty rows stay empty."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sp.csr_matrix(sp.diags(scale) @ matrix, dtype=np.float32)


def nearest(
    words: sp.csr_matrix, vectors: FloatArray | None, k: int, *, block: int = 512
) -> sp.csr_matrix:
    """Return (V, V) similarity to the k products nearest in text, ties by index, self left out.

    Args:
        words: (V, words) from `word_matrix`.
        vectors: (V, E) rows of length 1, added to the words' similarity; None without.
        k: neighbours per product.
        block: rows compared at once; bounds memory at block x V numbers.
    """
    n = words.shape[0]
    k = min(k, n - 1)
    rows, columns, values = [], [], []
    other = sp.csc_matrix(words.T)
    for start in range(0, n, block):
        stop = min(start + block, n)
        score = np.asarray((words[start:stop] @ other).todense(), np.float32)
        if vectors is not None:
            score += vectors[start:stop] @ vectors.T
        score[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        head = np.argpartition(-score, k - 1, axis=1)[:, :k]
        held = np.take_along_axis(score, head, axis=1)
        rows.append(np.repeat(np.arange(start, stop), k))
        columns.append(head.ravel())
        values.append(np.maximum(held, 0.0).ravel())
    matrix = sp.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n),
        dtype=np.float32,
    )  # fmt: skip
    matrix.eliminate_zeros()
    return matrix


def cached_vectors(texts: Sequence[str], encoder: Encoder, folder: Path | None) -> FloatArray:
    """Return (V, E) encoder rows, kept in a file named by the texts' and the encoder's hash.

    Args:
        texts: one per product.
        encoder: rows of length 1; used only if the file is absent.
        folder: where files are kept; None keeps none.
    """
    digest = hashlib.sha256("\x00".join([str(getattr(encoder, "digest", "")), *texts]).encode())
    path = None if folder is None else folder / f"{digest.hexdigest()[:32]}.npy"
    if path is not None and path.is_file():
        held = np.load(path, allow_pickle=False)
        if held.shape == (len(texts), encoder.width):
            return held
    vectors = np.asarray(encoder.encode(texts), np.float32)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial.npy")
        np.save(temporary, vectors)
        temporary.replace(path)
    return vectors


def catalogue_vectors(artefacts: Path, product_ids: Sequence[str]) -> tuple[FloatArray | None, str]:
    """Return the fine-tuned encoder's (V, E) rows of these products and their hash.

    Returns:
        (None, "") where the stage `finetune` has not run; products it does not know get zeros.
    """
    from components.text.vectors import product_vectors

    try:
        ids, rows = product_vectors(artefacts)
    except ArtefactError:
        return None, ""
    place = {name: row for row, name in enumerate(ids)}
    out = np.zeros((len(product_ids), rows.shape[1]), np.float32)
    for row, name in enumerate(product_ids):
        if name in place:
            out[row] = rows[place[name]]
    return out, hashlib.sha256(out.tobytes()).hexdigest()


def _is_number(items: pl.DataFrame, name: str) -> bool:
    dtype = items.schema[name]
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return inner is not None and inner != pl.String


def _clean(text: str) -> str:
    return " ".join(MARKUP.sub(" ", text).split())


def _words(value: object, name: str, kind: str) -> Counter[str]:
    if value is None:
        return Counter()
    if kind == "category":
        return Counter([f"{name}={value}"])
    if isinstance(value, list):
        whole = [f"{name}={entry}" for entry in value if entry is not None]
        return Counter(whole)
    return Counter(WORD.findall(_clean(str(value)).lower()))


def _rarity(documents: Sequence[Counter[str]]) -> sp.csr_matrix:
    held = Counter(word for document in documents for word in document)
    names = sorted(word for word, n in held.items() if n > 1)
    place = {word: column for column, word in enumerate(names)}
    n = len(documents)
    rows, columns, values = [], [], []
    for row, document in enumerate(documents):
        for word, count in sorted(document.items()):
            if word in place:
                rows.append(row)
                columns.append(place[word])
                values.append((1 + np.log(count)) * (np.log((1 + n) / (1 + held[word])) + 1))
    matrix = sp.csr_matrix((values, (rows, columns)), shape=(n, len(names)), dtype=np.float32)
    return unit_rows(matrix)
