"""Features: worked by hand where small, and blind to the future."""

from dataclasses import replace

import numpy as np
import pytest

from components.contracts.params import TrainRankerParams
from components.recommend.features import FEATURES, affinities, feature_rows, view_visitors
from components.recommend.history import Log, build_log
from components.recommend.shop import cosine_neighbours
from components.recommend.shop_data import first_baskets, state_at, view_at
from tests.unit.recommend.small_shop import PRODUCTS, small_shop

PARAMS = TrainRankerParams(neighbours=5, svd_dimensions=6)


def all_pairs(n_visitors: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(n_visitors), PRODUCTS), np.tile(np.arange(PRODUCTS), n_visitors)


def rows_at(shop, week: int, baskets=None):
    state = state_at(shop, week, PARAMS, min_purchases=1)
    asked = baskets or first_baskets(shop.log, week, week + 4, state.rankable, 3)
    view = view_at(shop, state, asked)
    visitor, product = all_pairs(len(asked))
    return feature_rows(view, state, visitor, product, affinities(view, state)), asked


def column(rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, FEATURES.index(name)].reshape(-1, PRODUCTS)


def test_no_feature_sees_its_own_future():
    shop = small_shop()
    week = 17
    rows, asked = rows_at(shop, week)
    rng = np.random.default_rng(0)
    future = shop.log.week >= week
    assert future.sum() > 100
    altered = replace(
        shop.log,
        group=np.where(future, rng.permutation(shop.log.group), shop.log.group),
        amount=np.where(future, 9, shop.log.amount).astype(np.float32),
        discounted=np.where(future, 1, shop.log.discounted).astype(np.float32),
    )
    order = np.lexsort((altered.day, altered.group, altered.visitor))
    other, _ = rows_at(replace(shop, log=altered.take(order)), week, asked)
    np.testing.assert_array_equal(rows, other)
    without, _ = rows_at(replace(shop, log=shop.log.before(week)), week, asked)
    np.testing.assert_array_equal(rows, without)


def test_the_test_above_can_fail():
    shop = small_shop()
    rows, asked = rows_at(shop, 17)
    past = replace(shop.log, amount=np.where(shop.log.week == 15, 9, shop.log.amount))
    other, _ = rows_at(replace(shop, log=past), 17, asked)
    assert np.abs(rows - other).max() > 0


def test_later_exposures_do_not_enter_usual_shares():
    shop = small_shop()
    rows, asked = rows_at(shop, 17)
    shares = {w: s if w <= 20 else s + 1 for w, s in shop.calendar.shares.items()}
    other, _ = rows_at(replace(shop, calendar=replace(shop.calendar, shares=shares)), 17, asked)
    np.testing.assert_array_equal(rows, other)


def test_one_visitor_by_hand():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, min_purchases=1)
    days = np.array([100, 110, 110, 130])
    log = build_log(
        np.zeros(4, int), np.array([2, 2, 5, 2]), days, np.array([14, 16, 16, 19]),
        np.array([1, 2, 1, 1], np.float32), np.array([0, 1, 0, 0], np.float32),
        np.array([1, 1, 1, 0]),
    )  # fmt: skip
    view = view_visitors(log, np.array([140]), np.array([20]), state)
    visitor, product = all_pairs(1)
    rows = feature_rows(view, state, visitor, product, affinities(view, state))
    own = {n: column(rows, f"own_{n}")[0] for n in ("lines", "days", "recency", "age", "gap")}
    assert own["lines"][[2, 5, 7]].tolist() == [4, 1, 0]
    assert own["days"][[2, 5, 7]].tolist() == [3, 1, 0]
    assert own["recency"][[2, 5, 7]].tolist() == [10, 30, 999]
    assert own["age"][2] == 40
    assert own["gap"][[2, 5]].tolist() == [15, 999]
    assert column(rows, "own_due")[0][2] == pytest.approx(10 / 15)
    assert column(rows, "own_last_gap")[0][2] == 20
    assert column(rows, "own_gap_spread")[0][2] == pytest.approx(5.0)
    assert column(rows, "own_trips_since")[0][[2, 5]].tolist() == [0, 1]
    assert column(rows, "own_trip_share")[0][[2, 5]].tolist() == [1.0, 0.5]
    assert column(rows, "own_last_1")[0][[2, 5]].tolist() == [1, 0]
    assert column(rows, "own_discounted")[0][2] == pytest.approx(0.5)
    expected = 2.0 ** (-40 / 42) + 2 * 2.0 ** (-30 / 42) + 2.0 ** (-10 / 42)
    assert column(rows, "own_decay_42")[0][2] == pytest.approx(expected)
    assert column(rows, "visitor_trips")[0][0] == 3
    assert column(rows, "visitor_away")[0][0] == 10
    assert column(rows, "visitor_basket")[0][0] == pytest.approx(5 / 3)
    assert view.visitors.place[0] == 1


def test_one_by_one_equals_a_batch():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, min_purchases=1)
    asked = first_baskets(shop.log, 20, 24, state.rankable, 3)
    batch, _ = rows_at(shop, 20, asked)
    for row in (0, 7, 39):
        single, _ = rows_at(shop, 20, asked.take(slice(row, row + 1)))
        np.testing.assert_allclose(single, batch.reshape(-1, PRODUCTS, len(FEATURES))[row],
                                   rtol=2e-5, atol=1e-6)  # fmt: skip


def test_history_after_the_request_is_refused():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, min_purchases=1)
    log = shop.log.of_visitors(np.array([0]), 40)
    with pytest.raises(ValueError, match="after the request"):
        view_visitors(log, np.array([17_050]), np.array([20]), state)


def test_a_visitor_without_history_has_rows_of_absence():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, min_purchases=1)
    empty: Log = shop.log.take(slice(0, 0))
    view = view_visitors(empty, np.array([17_200]), np.array([20]), state)
    visitor, product = all_pairs(1)
    rows = feature_rows(view, state, visitor, product, affinities(view, state))
    assert np.isfinite(rows).all()
    assert column(rows, "own_lines").max() == 0
    assert column(rows, "own_recency").min() == 999


def test_neighbours_are_those_bought_by_the_same_visitors():
    import scipy.sparse as sp

    bought = sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=float))
    near = cosine_neighbours(bought, 2, keep=np.ones(3, bool), shrink=0.0)
    assert near.toarray().tolist() == [
        [0, pytest.approx(1), 0],
        [pytest.approx(1), 0, 0],
        [0, 0, 0],
    ]
    damped = cosine_neighbours(bought, 2, keep=np.ones(3, bool), shrink=3.0)
    assert damped[0, 1] == pytest.approx(0.5)
