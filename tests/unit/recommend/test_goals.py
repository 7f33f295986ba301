"""Several goals in one order: what each weight does, in the function, the engine and the report."""

import numpy as np

from components.recommend.candidates import Candidates
from components.recommend.goals import Goals, gains, valued
from components.recommend.ranker import Ranking
from components.recommend.slate import SlatePolicy
from components.stages.trade_offs import Pools, trade_off_rows
from tests.unit.recommend.small_engine import NOW, engine, product


def test_a_stated_margin_comes_before_the_price_and_the_unknown_is_usual():
    stated = product(1, attributes={"margin_minor": 30}, price_minor=500)
    priced, unknown = product(2, price_minor=90), product(3, price_minor=0)
    assert gains([stated, priced, unknown, None]).tolist() == [30, 90, 60, 60]


def test_margin_one_orders_by_expected_gain_of_rare_purchases():
    chance, gain = np.array([0.010, 0.004, 0.002]), np.array([100.0, 300.0, 400.0])
    odds = np.log(chance / (1 - chance))
    owned = np.zeros(3, dtype=bool)
    order = np.argsort(-valued(odds, gain, owned, Goals(margin=1.0)))
    assert order.tolist() == np.argsort(-chance * gain).tolist() == [1, 0, 2]
    assert np.argsort(-valued(odds, gain, owned, Goals())).tolist() == [0, 1, 2]


def test_discovery_moves_only_what_is_new_to_the_visitor():
    value = valued(np.zeros(2), np.ones(2), np.array([True, False]), Goals(discovery=0.7))
    np.testing.assert_allclose(value, [0.0, 0.7])


def test_a_slate_follows_the_weights_it_is_asked_with_and_no_other():
    one = engine()
    plain = one.recommend("v01", [], now=NOW, limit=3)
    dear = one.recommend(
        "v01", [], now=NOW, limit=3, policy=SlatePolicy(goals=Goals(margin=1.0))
    )  # fmt: skip

    assert (dear.products[0].price_minor or 0) > (plain.products[0].price_minor or 0)
    bold = one.recommend("v01", [], now=NOW, limit=3, policy=SlatePolicy(goals=Goals(discovery=30)))
    assert not any("repeat" in p.origin for p in bold.products)
    assert one.recommend("v01", [], now=NOW, limit=3) == plain


def test_the_report_shows_what_a_goal_costs():
    """Two products: a likely cheap one, always bought, and a dear one of which it is said likewise.

    With all weight on the margin the dear one comes first: its slate of one finds nothing.
    """
    n = 12
    candidates = Candidates(
        visitor=np.repeat(np.arange(n), 2), product=np.tile([0, 1], n),
        origins=np.ones(2 * n, np.int64), owned=np.tile([True, False], n),
    )  # fmt: skip
    chance = np.tile(np.array([0.3, 0.2], np.float32), n)
    pools = Pools(np.array([100.0, 900.0], np.float32))
    pools.add(n, Ranking(candidates, chance, chance))
    rows = trade_off_rows(
        pools, [frozenset([0])] * n, [frozenset([0])] * n, np.eye(2, dtype=np.float32),
        np.array([0, 1]), k=1, n_products=2, bootstrap=20, seed=7,
    )  # fmt: skip
    by_name = {row["model"]: row for row in rows}
    assert [row["model"] for row in rows if row["shipped"]] == ["purchase only"]
    assert by_name["purchase only"]["ndcg@1"] == 1.0
    assert by_name["purchase only"]["gain_minor@1"] == 100.0
    assert by_name["margin 1"]["ndcg@1"] == 0.0
    assert by_name["margin 1"]["new_share"] == 1.0
    assert by_name["purchase only"]["new_share"] == 0.0
