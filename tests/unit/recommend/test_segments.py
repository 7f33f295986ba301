"""Segments on a shop whose groups are known."""

import numpy as np
import pytest

from components.contracts.params import TrainRankerParams
from components.recommend.segments import Segments, agreement, build_segments, visitor_vectors
from components.recommend.shop_data import state_at
from tests.unit.recommend.small_shop import GROUPS, VISITORS, WEEKS, small_shop

NAMES = ("Food > tea", "Food > bread", "Home > soap", "Food > cheese")


@pytest.fixture(scope="module")
def built():
    shop = small_shop()
    params = TrainRankerParams(neighbours=5, svd_dimensions=8)
    state = state_at(shop, WEEKS + 1, params, 1)
    segments = build_segments(
        shop.log, VISITORS, state.svd, shop.columns.category_of, NAMES, k=GROUPS
    )
    return shop, state, segments


def test_the_true_groups_are_found_named_and_stable(built):
    _, _, segments = built
    truth = np.arange(VISITORS) % GROUPS
    assert agreement(segments.labels, truth) == 1.0
    assert segments.stability == pytest.approx(1.0)
    for group in range(GROUPS):
        label = segments.labels[group]
        assert segments.names[label].startswith(NAMES[group].split(" > ")[1])
        assert segments.leads[label][0][1] > 2


def test_popularity_by_segment_prefers_the_segments_products(built):
    _, _, segments = built
    for group in range(GROUPS):
        row = segments.popularity[segments.labels[group]]
        assert row.sum() == pytest.approx(1.0, abs=1e-5)
        assert int(row.argmax()) % GROUPS == group


def test_newcomers_join_and_files_round_trip(built, tmp_path):
    shop, state, segments = built
    segments.save(tmp_path)
    loaded = Segments.load(tmp_path)
    assert loaded.names == segments.names
    assert loaded.leads == segments.leads
    vectors = visitor_vectors(shop.log, VISITORS, state.svd)
    np.testing.assert_array_equal(loaded.of(vectors), segments.labels)


def test_agreement_by_hand():
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)
