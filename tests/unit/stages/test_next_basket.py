"""What P1 asks of a visitor, and what it leaves out when two releases are compared."""

from dataclasses import replace

import numpy as np
import pytest

from components.contracts.params import Params
from components.data.split import CutOffs
from components.recommend.shop_data import state_at
from components.stages.next_basket import Answer, ask, next_basket_rows, visitors_frame
from tests.unit.recommend.small_shop import WEEKS, small_shop

CUT = CutOffs(18, 21, 1, WEEKS, "weeks")


@pytest.fixture(scope="module")
def question():
    shop = small_shop()
    state = state_at(shop, CUT.test_from_week, Params().train_ranker, 1)
    return ask(shop, state, CUT, 3)


def showing(question, rows):
    """Return the question in a shop where slates led to these rows of its log."""
    return replace(question, shop=replace(question.shop, shown=question.shop.log.take(rows)))


def in_basket(question, visitor):
    """Return the rows of the log that make a visitor's basket, by her place in the question."""
    log, baskets = question.shop.log, question.baskets
    return (log.visitor == baskets.visitor[visitor]) & (log.day == baskets.day[visitor])


def test_without_slates_all_is_sought(question):
    assert question.sought() is question


def test_what_a_slate_led_to_is_no_target_and_the_rest_is(question):
    rows = np.flatnonzero(in_basket(question, 3))
    shown = question.shop.log.group[rows[:2]]
    left = showing(question, rows[:2]).sought()
    before, after = question.targets("all"), left.targets("all")
    assert after[3] == before[3] - set(shown.tolist())
    assert after[3]
    assert after[:3] + after[4:] == before[:3] + before[4:]


def test_a_slate_of_another_day_or_visitor_takes_nothing_away(question):
    log, baskets = question.shop.log, question.baskets
    mine = (log.visitor == baskets.visitor[3]) & (log.day != baskets.day[3])
    theirs = (log.visitor != baskets.visitor[3]) & (log.day == baskets.day[3])
    left = showing(question, mine | theirs).sought()
    assert left.targets("all")[3] == question.targets("all")[3]


def test_history_keeps_what_was_shown(question):
    left = showing(question, in_basket(question, 3)).sought()
    assert left.owned == question.owned
    assert left.history is question.history


def test_where_slates_led_to_everything_everything_is_asked(question):
    everything = np.ones(len(question.shop.log), bool)
    assert showing(question, everything).sought().targets("all") == question.targets("all")


def test_a_ranking_gains_nothing_by_its_own_showing(question):
    """The champion puts new products first, and they are bought; a rival knows the habits."""
    wanted = question.targets("all")
    new = [sorted(products - own) for products, own in zip(wanted, question.owned, strict=True)]
    known = [sorted(products & own) for products, own in zip(wanted, question.owned, strict=True)]
    log = question.shop.log
    bought_new = np.zeros(len(log), bool)
    for place, products in enumerate(new):
        bought_new |= in_basket(question, place) & np.isin(log.group, products)
    assert bought_new.any()

    def answer(head):
        return Answer([np.array(p, np.int64) for p in head], [np.array([], np.int64)] * len(head))

    shower, rival = answer(new), answer(known)
    asked = showing(question, bought_new)
    told = {
        name: visitors_frame(asked, given, 10).filter(slice="all")["ndcg@10"].mean()
        for name, given in (("shower", shower), ("rival", rival))
    }
    assert told["shower"] == 0.0
    assert told["rival"] == pytest.approx(1.0)
    assert visitors_frame(question, shower, 10).filter(slice="all")["ndcg@10"].mean() > 0.0
    params = Params()
    answers = {"shelfwise": shower, "popularity": rival}
    rows = next_basket_rows(asked, answers, "shelfwise", CUT, params)
    by_model = {row["model"]: row for row in rows if row["slice"] == "sought"}
    assert by_model["shelfwise"]["ndcg@10"] == 0.0
    assert by_model["popularity"]["ndcg@10"] == pytest.approx(1.0)
    plain = next_basket_rows(question, {"shelfwise": shower}, "shelfwise", CUT, params)
    assert "sought" not in {row["slice"] for row in plain}
