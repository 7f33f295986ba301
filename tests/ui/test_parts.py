"""What the shop draws, without a browser."""

import pytest

from components.contracts.messages import (
    Filters,
    Reason,
    Relaxation,
    ScoredProduct,
    SearchResponse,
    Span,
)
from ui import cards, panels
from ui.acts import Acts
from ui.app import title
from ui.client import Client
from ui.reasons import in_words
from ui.state import Tab, Tabs
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


def test_reasons_are_told_in_the_page_s_language():
    said = "Often bought by people who buy <b>Tea</b> and Milk, as you do"
    assert "常买它" in in_words(said, "zh")
    assert in_words(said, "en") == said
    assert in_words("Something nobody foresaw", "zh") == "Something nobody foresaw"


def test_each_session_s_newest_state_is_kept_for_the_tabs_used_last():
    tabs = Tabs(most=2)
    tabs.of("a").tab = Tab(visitor_id="v1")
    tabs.of("b")
    assert tabs.of("a").tab is not None
    tabs.of("b").tab = Tab(visitor_id="v2")
    assert tabs.of("a").tab is not None
    tabs.of("c")  # the one used longest ago makes room
    assert tabs.of("a").tab is not None
    assert tabs.of("b").tab is None
    assert tabs.of(None) is not tabs.of(None)


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


def found(**more) -> SearchResponse:
    base = {"request_id": "r", "slate_id": "s", "model_version": "m", "degraded": (),
            "products": (product(),), "query": "milk", "total": 1}  # fmt: skip
    return SearchResponse(**{**base, **more})


def searched(**more) -> str:
    answer = found(**more)
    return title(Tab(visitor_id="v", query=answer.query, found=answer, products=answer.products))


def test_one_part_of_a_query_is_one_chip_in_the_words_that_were_used():
    spans = (
        Span(start=5, end=13, text="under $4", field="price_max", value=399),
        Span(start=14, end=22, text="not mint", field="exclude.flavour", value="mint"),
        Span(start=14, end=22, text="not mint", field="exclude.terms", value="mint"),
    )
    drawn = cards.chips(found(spans=spans), Filters(), "USD", "en")
    assert drawn.count('class="sw-chip"') == 2
    assert "under &#36;4.00" in drawn


def test_nearest_products_come_with_every_way_out():
    ways = (
        Relaxation(drop=("min_rating",), hits=41),
        Relaxation(drop=("price_max",), hits=3),
        Relaxation(drop=("query",), hits=17000),
    )
    drawn = searched(total=0, relaxed=("min_rating",), relaxations=ways)
    assert drawn.count('data-act="relax"') == 2
    assert "41" in drawn
    assert "17,000" not in drawn


def test_what_nothing_met_is_named_by_its_value():
    organic = Span(start=0, end=7, text="organic", field="diet", value="organic")
    ways = (Relaxation(drop=("attributes.diet",), hits=143),)
    drawn = searched(
        query="organic lobster", spans=(organic,), total=0, relaxed=("attributes.diet",),
        relaxations=ways,
    )  # fmt: skip
    assert "Nothing met organic" in drawn
    assert "without organic: 143" in drawn


def test_a_correction_can_be_refused_and_is_not_claimed_where_nothing_was_found():
    assert 'data-act="as_typed"' in searched(query="mlik", corrected_query="milk")
    nothing = searched(query="zzq", corrected_query="zzp", total=0, relaxed=("query",))
    assert "zzp" not in nothing


@pytest.mark.parametrize(
    ("intent", "confidence", "points"),
    [("question", 0.95, True), ("question", 0.6, False), ("category", 0.99, False)],
)
def test_a_sure_question_points_to_the_assistant(intent, confidence, points):
    drawn = searched(intent=intent, intent_confidence=confidence)
    assert ('data-act="say"' in drawn) is points
