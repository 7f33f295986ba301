"""Ranker: calibration, candidates with origins, training that learns, and evaluation's own path."""

from dataclasses import replace

import numpy as np
import pytest

from components.contracts.errors import ArtefactError
from components.evaluate.metrics import calibration_error
from components.recommend.candidates import BIT, generate, origin_names, recall_of
from components.recommend.popularity import ranked_indices, tie_order
from components.recommend.ranker import (
    Calibration,
    Ranker,
    fit_calibration,
    rank_visitors,
    top_products,
)
from components.recommend.shop_data import first_baskets, state_at, view_at
from components.recommend.train_ranker import (
    FLOOR_FEATURES,
    bought_among,
    collect_rows,
    train,
    training_weeks,
)
from tests.unit.recommend.small_engine import PARAMS
from tests.unit.recommend.small_shop import PRODUCTS, WEEKS, small_shop


def test_calibration_is_monotone_and_right():
    rng = np.random.default_rng(0)
    score = rng.normal(-3, 2, 40_000)
    truth = 1 / (1 + np.exp(-(0.8 * score - 0.5)))
    bought = rng.random(len(score)) < truth
    calibrated = fit_calibration(score, bought, np.ones(len(score)))
    chance = calibrated(np.linspace(-12, 6, 400))
    assert (np.diff(chance) >= 0).all()
    assert calibration_error(bought, calibrated(score)) < 0.01


def test_weights_undo_the_sampling_of_negatives():
    rng = np.random.default_rng(1)
    score = rng.normal(0, 1, 60_000)
    bought = rng.random(len(score)) < 0.1
    kept = bought | (rng.random(len(score)) < 0.2)
    weight = np.where(bought, 1.0, 5.0)[kept]
    calibrated = fit_calibration(score[kept], bought[kept], weight)
    assert calibrated(score).mean() == pytest.approx(0.1, abs=0.01)


def test_windows_end_before_the_cut_off():
    weeks = training_weeks(1, 49, PARAMS.model_copy(update={"windows": 14, "stride_weeks": 2}))
    assert weeks[0] == 47
    assert weeks[-1] == 21
    assert training_weeks(1, 5, PARAMS) == [4, 2] or training_weeks(1, 5, PARAMS) == [3]


def test_rows_never_reach_into_the_cut_off():
    shop = small_shop()
    week = 20
    rows = collect_rows(shop, week, PARAMS, 1, 3)
    past = replace(shop, log=shop.log.before(week))
    cut = collect_rows(past, week, PARAMS, 1, 3)
    np.testing.assert_array_equal(rows.features, cut.features)
    np.testing.assert_array_equal(rows.bought, cut.bought)


@pytest.fixture(scope="module")
def question():
    shop = small_shop()
    state = state_at(shop, 21, PARAMS, 1)
    baskets = first_baskets(shop.log, 21, WEEKS + 1, state.rankable, 3)
    return shop, state, baskets, view_at(shop, state, baskets)


def test_the_ranker_beats_popularity_on_a_shop_of_habits(question):
    shop, state, baskets, view = question
    ranker = train(collect_rows(shop, 21, PARAMS, 1, 3), PARAMS, threads=1)
    ties = tie_order(state.facts[:, 0], shop.columns.product_ids)
    ranking = rank_visitors(view, state, ranker)
    heads = top_products(ranking, len(baskets), 3, ties)
    popular = ranked_indices(np.tile(state.facts[:, 0], (len(baskets), 1)), ties, 3)

    def share(lists):
        return np.mean([np.isin(x, b).mean() for x, b in zip(lists, baskets.products, strict=True)])

    assert share(heads) > 0.8
    assert share(heads) > share(popular) + 0.3
    one = rank_visitors(view_at(shop, state, baskets.take(slice(5, 6))), state, ranker)
    assert top_products(one, 1, 3, ties)[0].tolist() == heads[5].tolist()
    new = top_products(ranking, len(baskets), 4, ties, owned=False)
    own = shop.log.before(21)
    for visitor, products in zip(baskets.visitor, new, strict=True):
        assert not np.isin(products, own.group[own.visitor == visitor]).any()


def test_save_and_load_give_the_same_scores_for_all_and_for_the_floor(question, tmp_path):
    shop, state, _, view = question
    rows = collect_rows(shop, 21, PARAMS, 1, 3)
    for features in (None, FLOOR_FEATURES):
        ranker = train(rows, PARAMS, threads=1, **({"features": features} if features else {}))
        ranker.save(tmp_path)
        first, second = (rank_visitors(view, state, r) for r in (ranker, Ranker.load(tmp_path)))
        np.testing.assert_array_equal(first.score, second.score)
        np.testing.assert_array_equal(first.probability, second.probability)
    text = (tmp_path / "ranker.json").read_text().replace("own_lines", "own_liens")
    (tmp_path / "ranker.json").write_text(text)
    with pytest.raises(ArtefactError, match="other features"):
        Ranker.load(tmp_path)


def test_candidates_hold_all_that_was_bought_and_say_who_proposed(question):
    _, state, baskets, view = question
    score = np.zeros((len(baskets), PRODUCTS), np.float32)
    score[:, 30], score[:, 29] = 2.0, 1.0
    found = generate(view, state, {"popularity": score}, quotas={"popularity": 1})
    owned = view.own.keys
    assert np.isin(owned, found.visitor * PRODUCTS + found.product).all()
    proposed = found.take((found.origins & BIT["popularity"]) > 0)
    assert set(proposed.product.tolist()) <= {29, 30}
    assert not proposed.owned.any()
    assert origin_names(int(found.origins[found.owned][0])) == ("repeat",)
    assert found.owned.sum() == len(owned)
    recall = recall_of(found, baskets.products, PRODUCTS)
    bought = bought_among(found, baskets, PRODUCTS).sum()
    assert recall["all"] == pytest.approx(bought / sum(map(len, baskets.products)))


def test_ties_go_by_popularity_then_id():
    ties = tie_order(np.array([3, 9, 9, 1]), ["d", "c", "b", "a"])
    ranked = ranked_indices(np.array([[0.0, 0.0, 0.0, 1.0]]), ties, 3)
    assert ranked.tolist() == [[3, 2, 1]]
    allowed = np.array([[True, True, False, False]])
    assert ranked_indices(np.array([[0.0, 0.0, 0.0, 1.0]]), ties, 2, allowed=allowed).tolist() == [
        [1, 0]
    ]


def test_a_default_calibration_is_a_sane_map():
    assert Calibration()(np.array([-20.0, 0.0, 20.0])).tolist() == pytest.approx(
        [0.0003, 0.5, 0.9997]
    )
