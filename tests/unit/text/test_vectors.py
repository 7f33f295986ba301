import subprocess
import sys

import numpy as np
import pytest

from components.contracts.errors import ArtefactError
from components.text.vectors import CachedEncoder, TextVectors, best_columns, top_k


class Counting:
    """A real encoder for its purpose: letters to counts, and it remembers what it was asked."""

    width = 26

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked.extend(texts)
        rows = np.zeros((len(texts), 26), np.float32)
        for i, text in enumerate(texts):
            for letter in text.lower():
                if "a" <= letter <= "z":
                    rows[i, ord(letter) - 97] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_a_text_is_encoded_once_and_then_found():
    encoder = Counting()
    known = TextVectors.of(["milk", "bread", "milk "], encoder)
    assert len(known) == 2
    assert len(encoder.asked) == 2
    cached = CachedEncoder(encoder, known, recent=2)
    first = cached.encode(["milk", "eggs", "eggs"])
    assert encoder.asked[2:] == ["eggs"]
    np.testing.assert_array_equal(cached.encode(["milk", "eggs", "eggs"]), first)
    assert encoder.asked[2:] == ["eggs"]
    cached.encode(["a", "b", "c"])  # pushes eggs out of the bounded memory
    cached.encode(["eggs"])
    assert encoder.asked[2:] == ["eggs", "a", "b", "c", "eggs"]


def test_saved_table_is_equal_and_digest_sees_a_change(tmp_path):
    table = TextVectors.of(["milk", "bread"], Counting())
    table.save(tmp_path / "one.npz")
    table.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = TextVectors.load(tmp_path / "one.npz")
    assert again.digest() == table.digest()
    moved = TextVectors(table.hashes, table.rows + np.float32(1e-3))
    assert moved.digest() != table.digest()
    with pytest.raises(ArtefactError, match="absent"):
        TextVectors.load(tmp_path / "absent.npz")


def test_top_k_agrees_with_a_full_sort_and_breaks_ties_by_row():
    generator = np.random.default_rng(1)
    queries, rows = (generator.normal(size=(n, 5)).astype(np.float32) for n in (7, 40))
    rows[20] = rows[3]
    ids, scores = top_k(queries, rows, 9, block=2)
    full = queries @ rows.T
    expected = np.argsort(-full, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(ids, expected)
    assert (np.diff(scores, axis=1) <= 0).all()
    tied, _ = best_columns(np.array([[1.0, 2.0, 2.0, 2.0]], np.float32), 2)
    assert tied.tolist() == [[1, 2]]


def test_serving_imports_neither_torch_nor_transformers():
    code = (
        "import sys, components.text.vectors, components.text.encoder; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
