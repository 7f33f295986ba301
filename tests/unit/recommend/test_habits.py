"""Full trips, answers to promotions and the crowd: worked by hand where small."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from components.contracts.params import TrainRankerParams
from components.recommend.crowd import Crowd, gather_crowd
from components.recommend.demand import Demand, learn_demand
from components.recommend.features import FEATURES, affinities, feature_rows, view_visitors
from components.recommend.history import build_log
from components.recommend.ranker import Ranker, rank_visitors
from components.recommend.shop import load_state, save_state
from components.recommend.shop_data import first_baskets, state_at, view_at
from components.recommend.train_ranker import (
    FLOOR_FEATURES,
    Member,
    collect_rows,
    members_of,
    train,
)
from components.recommend.trips import full_trips, regularity
from tests.unit.recommend.small_engine import PARAMS
from tests.unit.recommend.small_shop import PRODUCTS, small_shop


def log_of(rows: list[tuple[int, int, int, int]]):
    """Return a log of (visitor, product, day, week), one line each, without a place."""
    visitor, product, day, week = np.array(rows).T
    n = len(rows)
    return build_log(
        visitor, product, day, week, np.ones(n, np.float32), np.zeros(n, np.float32),
        np.full(n, -1),
    )  # fmt: skip


def test_small_trips_do_not_count():
    full = [(0, p, day, day // 7) for day in (7, 21, 28) for p in (1, 2, 3)]
    small = [(0, 4, 14, 2), (0, 4, 30, 4)]
    log = log_of([*full, *small, (0, 5, 28, 4)])
    trips = full_trips(log, 2, np.ones(6, bool))
    assert trips.count.tolist() == [3, 0]
    assert trips.size.tolist() == [pytest.approx(10 / 3), 0]
    keys, values = regularity(log, log.group, trips, 6)
    assert keys.tolist() == [1, 2, 3, 5]
    assert values["share"].tolist() == pytest.approx([1, 1, 1, 1 / 3])
    assert values["since"].tolist() == [0, 0, 0, 0]
    assert values["in_2"].tolist() == [2, 2, 2, 1]
    decayed = [2 ** (-back / 3) for back in range(3)]
    assert values["even_3"].tolist() == pytest.approx([1, 1, 1, 1 / sum(decayed)])
    narrow = full_trips(log, 2, np.array([1, 1, 1, 0, 1, 1], bool))
    assert narrow.count.tolist() == [1, 0]


def test_sales_answer_to_mailers_as_they_did_before():
    rows = [(v, 0, 7 * w, w) for w in range(1, 11) for v in range(8 if w % 2 else 2)]
    rows += [(v, 1, 7 * w, w) for w in range(1, 11) for v in range(2 if w % 2 else 8)]
    shares = {w: np.array([[0, w % 2, 0], [0, 0, 0]], np.float32) for w in range(1, 13)}
    demand = learn_demand(log_of(rows), 11, shares, 2)
    assert demand.mailed[0] > 6
    assert demand.unmailed[0] < 4
    assert demand.mailed_share.tolist() == pytest.approx([0.5, 0], abs=0.03)
    hot, cold = demand.expected(shares[11]), demand.expected(shares[12])
    assert hot[0, 0] > cold[0, 0] + 0.4
    assert hot[1].tolist() == cold[1].tolist()
    unknown = demand.expected(None)
    assert cold[0, 0] < unknown[0, 0] < hot[0, 0]
    assert demand.mailed_then(log_of([(0, 0, 21, 3), (0, 0, 28, 4), (0, 0, 91, 13)])).tolist() == [
        1, 0, 0,
    ]  # fmt: skip


def test_demand_looks_at_no_later_week():
    rows = [(v, p, 7 * w, w) for w in range(1, 11) for v in range(3) for p in range(2)]
    shares = {w: np.full((2, 3), 0.1 * w, np.float32) for w in range(1, 20)}
    later = {w: s if w < 11 else s + 5 for w, s in shares.items()}
    first, second = (learn_demand(log_of(rows), 11, s, 2) for s in (shares, later))
    for name in Demand.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_the_crowd_is_others_who_buy_alike():
    rows = [
        (0, 0, 10, 1),
        (0, 1, 10, 1),
        (1, 0, 9, 1),
        (1, 1, 9, 1),
        (1, 2, 90, 12),
        (2, 3, 90, 12),
    ]
    crowd = gather_crowd(log_of(rows), 100, 4, 5)
    taste = sp.csr_matrix(np.array([[1, 1, 0, 0, 0]], np.float32))
    known = crowd.scores(taste, np.array([0]))
    assert known["crowd_lately"][0].tolist() == pytest.approx([0, 0, 1, 0, 0], abs=1e-6)
    assert known["crowd_ever"][0, 0] > 0
    assert known["crowd_fresh"][0, [0, 2, 3]].tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    stranger = crowd.scores(taste, np.array([-1]))
    assert 0.1 < stranger["crowd_lately"][0, 2] < 0.9
    again = Crowd.from_arrays(crowd.arrays()).scores(taste, np.array([0]))
    for name, values in known.items():
        np.testing.assert_allclose(again[name], values, atol=1e-3)


def test_few_and_many_visitors_are_scored_alike():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, 1)
    asked = first_baskets(shop.log, 20, 24, state.rankable, 3)
    assert len(asked) > 32
    many = state.crowd.scores(view_at(shop, state, asked).taste, asked.visitor)
    part = asked.take(slice(0, 5))
    few = state.crowd.scores(view_at(shop, state, part).taste, part.visitor)
    for name, values in few.items():
        np.testing.assert_allclose(values, many[name][:5], rtol=1e-4, atol=1e-6)


def test_a_week_without_known_exposures_takes_nothing_from_them():
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, 1)
    other = {w: s + 1 for w, s in shop.calendar.shares.items() if w >= 20}
    changed = replace(state, exposures=replace(state.exposures, shares=other))
    log = shop.log.before(20).of_visitors(np.array([0, 1]), 40)
    now, week = np.full(2, log.day.max() + 3), np.full(2, -1)
    rows = []
    for each in (state, changed):
        view = view_visitors(log, now, week, each)
        pair = np.repeat([0, 1], PRODUCTS), np.tile(np.arange(PRODUCTS), 2)
        rows.append(feature_rows(view, each, *pair, affinities(view, each)))
    np.testing.assert_array_equal(rows[0], rows[1])
    names = [n for n in FEATURES if n.startswith(("earlier_", "exposure_"))]
    assert (rows[0][:, [FEATURES.index(n) for n in names]] == -1).all()


def test_serving_features_are_those_of_training(tmp_path):
    shop = small_shop()
    state = state_at(shop, 20, PARAMS, 1)
    save_state(tmp_path, state, shop.columns.product_ids)
    loaded, _ = load_state(tmp_path)
    asked = first_baskets(shop.log, 20, 21, state.rankable, 3)
    pair = np.repeat(np.arange(len(asked)), PRODUCTS), np.tile(np.arange(PRODUCTS), len(asked))
    first, second = (
        feature_rows(view, each, *pair, affinities(view, each))
        for each in (state, loaded)
        for view in [view_at(shop, each, asked)]
    )
    np.testing.assert_allclose(first, second, rtol=2e-3, atol=2e-3)


def test_members_leave_out_different_visitors():
    members = members_of(FEATURES, split=True)
    assert {m.part for m in members} == {"own", "new"}
    assert {m.fold for m in members} == set(range(6))
    assert [m.random for m in members] == [False, False, True, True] * 3
    assert len({m.features for m in members}) == 2
    assert members_of(FLOOR_FEATURES, split=False) == (Member("all", FLOOR_FEATURES, 0),)


def test_each_pair_is_scored_by_its_own_trees(tmp_path):
    shop = small_shop()
    params: TrainRankerParams = PARAMS
    rows = collect_rows(shop, 21, params, 1, 3)
    ranker = train(rows, params, split_from=1, threads=1)
    assert ranker.parts == ("own", "new") * 6
    ranker.save(tmp_path)
    state = state_at(shop, 21, params, 1)
    baskets = first_baskets(shop.log, 21, 24, state.rankable, 3)
    ranking = rank_visitors(view_at(shop, state, baskets), state, Ranker.load(tmp_path))
    owned = ranking.candidates.owned
    silent = replace(ranker, weights=(0.0, 1 / 6) * 6, _boosters=[])
    other = rank_visitors(view_at(shop, state, baskets), state, silent)
    assert (other.score[owned] == 0).all()
    np.testing.assert_array_equal(other.score[~owned], ranking.score[~owned])
    assert ranking.probability[owned].mean() > 2 * ranking.probability[~owned].mean()
    again = train(rows, params, split_from=1, threads=2)
    assert again.models == ranker.models
    assert again.calibration == ranker.calibration
