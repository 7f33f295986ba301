"""What the shop draws, without a browser."""

import pytest

from components.contracts.messages import Filters, Reason, ScoredProduct
from ui import cards, panels
from ui.acts import Acts
from ui.client import Client
from ui.state import Tab
from ui.words import _WORDS

HOSTILE = "<script>x</script> onerror='1' ${1} {{2}} `"


def product(**more):
    base = {"product_id": "p1", "title": "Milk", "price_minor": 199, "currency": "USD",
            "score": 1.0, "rank": 1}  # fmt: skip
    return ScoredProduct(**{**base, **more})


@pytest.mark.parametrize("field", ["title", "brand", "product_id", "offer", "reason", "category"])
def test_no_field_of_a_card_is_markup(field):
    more = {
        "offer": {"offers": (HOSTILE,)},
        "reason": {"reasons": (Reason(kind="x", text=HOSTILE),)},
        "category": {"category": (HOSTILE,)},
    }.get(field, {field: HOSTILE})
    drawn = cards.card(product(**more), "en")
    assert "<script" not in drawn
    assert "${" not in drawn
    assert "{{" not in drawn
    assert "onerror='" not in drawn


def test_money_in_minor_units():
    assert cards.money(100_000, "USD") == "$1,000.00"
    assert cards.money(5, "EUR") == "€0.05"
    assert cards.money(None, "USD") == "No price"


def test_a_former_price_is_shown_only_if_it_was_higher():
    assert "sw-was" in cards.price_line(100, 150, "USD", "en")
    assert "sw-was" not in cards.price_line(100, 100, "USD", "en")


def test_filters_come_and_go_one_value_at_a_time():
    filters = cards.with_value(cards.with_value(Filters(), "brand", "A"), "size", "2 l")
    assert cards.filter_values(filters) == [("brand", "A"), ("attributes.size", "2 l")]
    assert cards.without(filters, "attributes.size", "2 l").attributes == {}
    assert cards.with_value(filters, "brand", "A").brand == ()


def test_a_ledger_may_be_a_mapping_or_a_list():
    mapping = {
        "constraints": {"price_max": 400, "currency": "USD", "exclude": {"flavour": ["mint"]}}
    }
    entries = {"constraints": [{"field": "price", "op": "max", "values": [400]}]}
    assert panels.ledger(mapping, "USD", "en").count('sw-chip"') == 2
    assert "up to &#36;4.00" in panels.ledger(entries, "USD", "en")
    assert panels.ledger({}, "USD", "en") == ""


def test_every_word_is_in_both_languages_with_the_same_places():
    import string

    for name, (english, chinese) in _WORDS.items():
        places = [
            sorted(p[1] for p in string.Formatter().parse(t) if p[1]) for t in (english, chinese)
        ]
        assert places[0] == places[1], name
        assert chinese.strip(), name


def test_a_service_that_is_not_there_is_told_on_the_page():
    acts = Acts(Client("http://127.0.0.1:9", timeout_seconds=1))
    tab = acts.run(Tab(visitor_id="v"), "start", {})
    assert "cannot be reached" in tab.problem
    assert acts.run(tab, "no_such_act", {}) == tab
