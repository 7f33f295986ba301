import numpy as np
import polars as pl
import pytest

from components.recommend.item_text import (
    cached_vectors,
    nearest,
    product_texts,
    text_columns,
    word_matrix,
)


def table():
    return pl.DataFrame(
        {
            "item_id": [1, 2, 3, 4],
            "code": ["B001", "B002", "B003", "B004"],
            "title": ["red <b>nail</b> polish", "blue nail polish", "hair dryer", None],
            "tags": [["Nails"], ["Nails", "Blue"], ["Hair"], None],
            "tags_ids": [[1], [1, 2], [3], None],
            "price": [1.5, 2.0, 3.0, 4.0],
        }
    )


def test_columns_are_read_by_what_they_hold():
    assert text_columns(table()) == {"title": "text", "tags": "tokens"}


def test_texts_are_clean_and_readable():
    assert product_texts(table()) == [
        "red nail polish, Nails",
        "blue nail polish, Nails, Blue",
        "hair dryer, Hair",
        "",
    ]


def test_words_are_unit_rows_and_alike_products_are_near():
    words = word_matrix(table())
    lengths = np.asarray(words.multiply(words).sum(1)).ravel()
    assert lengths == pytest.approx([1.0, 1.0, 0.0, 0.0], abs=1e-6)
    near = nearest(words, None, 2)
    assert near[0].indices.tolist() == [1]
    assert near[3].nnz == 0


def test_a_table_without_text_gives_no_words():
    bare = pl.DataFrame({"item_id": [1, 2], "price": [0.5, 0.7]})
    assert word_matrix(bare).shape == (2, 0)
    assert product_texts(bare) == ["", ""]


def test_vectors_are_made_once(tmp_path):
    class Counting:
        width = 2
        calls = 0

        def encode(self, texts):
            self.calls += 1
            return np.array([[len(text), 1.0] for text in texts], np.float32)

    encoder = Counting()
    first = cached_vectors(["a", "bb"], encoder, tmp_path)
    second = cached_vectors(["a", "bb"], encoder, tmp_path)
    cached_vectors(["a", "c"], encoder, tmp_path)
    assert np.array_equal(first, second)
    assert encoder.calls == 2
