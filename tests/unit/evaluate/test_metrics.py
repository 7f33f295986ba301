"""Metrics against numbers worked by hand."""

import math

import numpy as np
import pytest

from components.evaluate.metrics import (
    average_precision,
    calibration_error,
    graded_ndcg_at_k,
    hit_matrix,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    roc_auc,
)

LOG3 = 1 / math.log2(3)


@pytest.mark.parametrize(
    ("hits", "n_relevant", "k", "expected"),
    [
        ([1, 0, 0], 1, 3, 1.0),
        ([0, 1, 0], 1, 3, LOG3),
        ([0, 0, 1], 1, 3, 0.5),
        ([1, 0, 1], 2, 3, 1.5 / (1 + LOG3)),
        ([1, 1, 1], 30, 3, 1.0),
        ([0, 0, 0], 4, 3, 0.0),
        ([1, 0, 1], 2, 1, 1.0),
        ([1], 2, 3, 1 / (1 + LOG3)),
    ],
)
def test_ndcg_by_hand(hits, n_relevant, k, expected):
    assert ndcg_at_k([hits], [n_relevant], k)[0] == pytest.approx(expected)


def test_ndcg_is_undefined_without_relevant_products():
    assert np.isnan(ndcg_at_k([[0, 0]], [0], 2)[0])


@pytest.mark.parametrize(
    ("grades", "ideal", "exponential", "expected"),
    [
        ([3, 0], [3, 1], True, 7 / (7 + LOG3)),
        ([1, 3], [3, 1], False, (1 + 3 * LOG3) / (3 + LOG3)),
        ([0, 0], [2], True, 0.0),
    ],
)
def test_graded_ndcg_by_hand(grades, ideal, exponential, expected):
    assert graded_ndcg_at_k([grades], [ideal], 2, exponential=exponential)[0] == pytest.approx(
        expected
    )


def test_recall_precision_and_reciprocal_rank_by_hand():
    hits = [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert recall_at_k(hits, [4, 1], 4).tolist() == [0.5, 0.0]
    assert precision_at_k(hits, 4).tolist() == [0.5, 0.0]
    assert reciprocal_rank(hits, 4).tolist() == [0.5, 0.0]
    assert average_precision(hits, [2, 1], 4)[0] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_hit_matrix_pads_short_lists_and_refuses_doubles():
    assert hit_matrix([["a"], []], [{"a"}, {"b"}], 2).tolist() == [[True, False], [False, False]]
    with pytest.raises(ValueError, match="twice"):
        hit_matrix([["a", "a"]], [{"a"}], 2)
    with pytest.raises(ValueError, match="2 rankings for 1"):
        hit_matrix([["a"], ["b"]], [{"a"}], 2)


def test_auc_and_calibration_by_hand():
    assert roc_auc([1, 0], [0.2, 0.9]) == 0.0
    assert roc_auc([1, 0, 0, 1], [1, 1, 1, 1]) == 0.5
    assert np.isnan(roc_auc([1, 1], [0.2, 0.9]))
    assert calibration_error([0, 0, 1, 1], [0.1, 0.1, 0.7, 0.7], bins=2) == pytest.approx(0.2)
