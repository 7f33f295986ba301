import numpy as np
import pytest

from components.recommend.item_knn import (
    ItemKNN,
    ItemKNNConfig,
    co_occurrence,
    history_matrix,
    keep_largest,
)


def test_pairs_weigh_by_gap_and_direction():
    counted = co_occurrence([np.array([0, 1, 2]), np.array([0, 2])], 4, gap_power=1.0, backward=0.5)
    # 0 -> 2: half (gap 2) from the first visitor, one from the second; back: half of that.
    assert counted.toarray().tolist() == [
        [0.0, 1.0, 1.5, 0.0],
        [0.5, 0.0, 1.0, 0.0],
        [0.75, 0.5, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_window_cuts():
    counted = co_occurrence([np.array([0, 1, 2])], 3, window=1, gap_power=1.0, backward=0.0)
    assert counted[0, 2] == 0.0
    assert counted[0, 1] == 1.0


def test_products_of_one_basket_are_neighbours_both_ways():
    counted = co_occurrence(
        [np.array([0, 1, 2])], 3, steps=[np.array([5, 5, 9])], gap_power=1.0, backward=0.25
    ).toarray()
    assert counted[0, 1] == counted[1, 0] == 1.0
    assert counted[0, 2] == counted[1, 2] == 1.0
    assert counted[2, 0] == 0.25


def test_baskets_do_not_join_visitors():
    counted = co_occurrence(
        [np.array([0]), np.array([1])], 2, steps=[np.array([0]), np.array([0])], gap_power=1.0
    )
    assert counted.nnz == 0


def test_scores_by_hand():
    config = ItemKNNConfig(
        window=5, gap_power=1.0, backward=0.0, source_power=1.0, target_power=0.0, shrink=0.0,
        recency_power=1.0,
    )  # fmt: skip
    model = ItemKNN(config).fit([np.array([0, 1, 2]), np.array([0, 2])], 4)
    # counts 2, 1, 2: row 0 = [0, 1/2, 1.5/2], row 1 = [0, 0, 1]; history 0, 1 weighs 1/2, 1.
    assert model.score([np.array([0, 1])])[0].tolist() == pytest.approx([0.0, 0.25, 1.375, 0.0])
    assert model.neighbours(0) == [(2, 0.75), (1, 0.5)]


def test_recency_of_baskets_counts_baskets():
    held = history_matrix([np.array([0, 1, 2])], 3, steps=[np.array([3, 8, 8])], recency_power=1.0)
    assert held.toarray().tolist() == [[0.5, 1.0, 1.0]]


def test_keep_largest_breaks_ties_by_column():
    model = ItemKNN(ItemKNNConfig(neighbours=1, gap_power=0.0, backward=0.0))
    model.fit([np.array([0, 1]), np.array([0, 2])], 3)
    assert model.similarity is not None
    assert model.similarity[0].indices.tolist() == [1]
    assert keep_largest(model.similarity, 5).nnz == model.similarity.nnz


def test_saved_model_scores_the_same(tmp_path):
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, 9, 6) for _ in range(20)]
    model = ItemKNN().fit(sequences, 11)
    model.save(tmp_path)
    again = ItemKNN.load(tmp_path)
    assert again.config == model.config
    assert np.array_equal(again.score(sequences), model.score(sequences))


def test_unfitted_says_so():
    with pytest.raises(ValueError, match="fit or load"):
        ItemKNN().score([np.array([0])])
