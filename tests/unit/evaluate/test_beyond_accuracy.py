"""Beyond accuracy, by hand."""

import numpy as np
import pytest

from components.evaluate.beyond_accuracy import (
    category_diversity,
    coverage,
    diversity,
    gini,
    novelty,
    popularity_bias,
    tail_share,
)


def test_coverage_and_gini_by_hand():
    assert coverage([[0, 1], [0, 1]], 4) == 0.5
    assert gini([[0], [0]], 2) == 0.5
    assert gini([[0, 1]], 2) == 0.0


def test_novelty_counts_bits_and_unseen_as_one():
    assert novelty([[0], [1], [2]], [6, 1, 0]).tolist() == pytest.approx([np.log2(8 / 6), 3.0, 3.0])


def test_diversity_by_hand():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert diversity([[0, 1], [0, 2]], vectors).tolist() == [0.0, 1.0]
    assert category_diversity([[0, 1, 2]], [1, 1, 2]).tolist() == pytest.approx([2 / 3])


def test_popularity_bias_and_tail():
    assert popularity_bias([[0], [0]], [np.array([1]), np.array([], dtype=int)], [30, 10]) == 2.0
    assert tail_share([[0, 1, 2, 3]], [9, 1, 1, 1, 1], head_share=0.2) == 0.75
