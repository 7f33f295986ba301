import pytest

from components.contracts.messages import Filters
from components.search.query import parse_query
from components.search.vocabulary import Vocabulary
from tests.unit.search.shop import shop

WORDS = Vocabulary.from_products(shop())


def read(text, **options):
    return parse_query(text, WORDS, **options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("milk under $4", {"price_max": 399}),
        ("milk up to 4 dollars", {"price_max": 400}),
        ("milk for less than 3 dollars", {"price_max": 299}),
        ("milk between 5 and 10", {"price_min": 500, "price_max": 1000}),
        ("milk $5-$10", {"price_min": 500, "price_max": 1000}),
        ("milk from $2.50", {"price_min": 250}),
        ("milk over 1,000 dollars", {"price_min": 100000}),
        ("milk around $10", {"price_min": 800, "price_max": 1200}),
        ("milk 5 dollars or less", {"price_max": 500}),
        ("milk below 90 cents", {"price_max": 89}),
        ("4块以下的牛奶", {"price_max": 400}),
        ("不超过20元的巧克力", {"price_max": 2000}),
        ("十块以内的牛奶", {"price_max": 1000}),
        ("10到20元的牛奶", {"price_min": 1000, "price_max": 2000}),
        ("低于5块的牛奶", {"price_max": 499}),
    ],
)
def test_prices(text, expected):
    filters = read(text).filters
    assert {
        k: v
        for k, v in filters.model_dump().items()
        if k in ("price_min", "price_max") and v is not None
    } == expected
    assert filters.currency == "USD"


@pytest.mark.parametrize(
    "text", ["under 12 oz milk", "at least 4 stars", "notebook 15 inch", "milk 2"]
)
def test_what_is_no_price(text):
    assert read(text).filters.price_max is None
    assert read(text).filters.price_min is None


def test_foreign_money_is_converted_or_named_never_misread():
    assert read("milk under 100 yuan", rates={"CNY": "7.80"}).filters.price_max == 1281
    unknown = read("milk under 10 euros")
    assert unknown.filters.price_max is None
    assert unknown.unresolved == ("EUR",)


def test_spans_say_which_words_became_which_constraint():
    text = "running shoes from Korda in red, size 42, under $120"
    spans = {s.field: s.text for s in read(text).spans}
    assert spans["brand"] == "Korda"
    assert spans["colour"] == "red"
    assert spans["size"] == "size 42"
    assert spans["price_max"] == "under $120"
    assert all(text[s.start : s.end] == s.text for s in read(text).spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cereal, not chocolate", {"terms": ("chocolate",)}),
        ("cereal without corn or chocolate", {"terms": ("corn", "chocolate")}),
        ("shoes not from Korda", {"brand": ("Korda",)}),
        ("shoes that aren't leather", {"material": ("leather",)}),
        ("headphones, nothing wired", {"wireless": ("false",)}),
        ("不要巧克力的麦片", {"terms": ("chocolate",)}),
    ],
)
def test_negation(text, expected):
    assert read(text).filters.exclude == expected


def test_a_negated_kind_is_excluded_as_kind_and_as_word():
    assert read("notebook but not a notebook case").filters.exclude == {
        "type": ("Notebook case",),
        "terms": ("notebook case",),
    }


@pytest.mark.parametrize(
    ("text", "rest", "corrected"),
    [
        ("choclate milk", "chocolate milk", "chocolate milk"),
        ("runing shoes", "running shoes", "running shoes"),
        ("hedphones", "headphones", "headphones"),
        ("head phones", "head phones", None),
        ("milk", "milk", None),
        ("牛奶", "milk", None),
    ],
)
def test_spelling(text, rest, corrected):
    parsed = read(text)
    assert (parsed.rest, parsed.corrected) == (rest, corrected)


@pytest.mark.parametrize(
    "text", ["organic lobster", "lobster", "okra", "oaster toast", "milk lobster", "shoal"]
)
def test_what_the_shop_lacks_is_not_bent_into_what_it_has(text):
    parsed = read(text)
    assert (parsed.corrected, parsed.corrections) == (None, ()), parsed


def test_a_far_word_is_believed_only_where_titles_speak_for_it():
    assert WORDS.correct("toazzer") == "toaster"  # two slips of a long word
    assert WORDS.correct("mlki") is None
    assert WORDS.correct("mlki", before="whole") == "milk"
    assert WORDS.correct("xhole") is None  # few miss a first letter
    assert WORDS.correct("xhole", after="milk") == "whole"
    assert WORDS.correct("hwole") == "whole"


def test_asking_whether_there_is_some_is_no_negation():
    assert read("有没有牛奶").filters.exclude == {}
    assert read("有没有牛奶").rest == "milk"
    assert read("没有巧克力的麦片").filters.exclude == {"terms": ("chocolate",)}


def test_no_word_of_the_catalogue_is_ever_corrected():
    for product in shop():
        for word in product.title.lower().replace(",", " ").split():
            assert WORDS.correct(word) is None, word


def test_two_words_for_one_widen_the_search():
    assert "headphone" in read("head phones").expansions


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hello", "chat"),
        ("你好", "chat"),
        ("my usual", "replenish"),
        ("reorder milk", "replenish"),
        ("how do I wash running shoes?", "question"),
        ("is this milk fresh?", "question"),
        ("milk", "category"),
        ("do you have milk?", "category"),
        ("有牛奶吗？", "category"),
        ("milk under $4", "attribute"),
        ("cheapest milk", "attribute"),
        ("Korda", "navigational"),
        ("Aero running shoes", "navigational"),
    ],
)
def test_intent(text, intent):
    assert read(text).intent == intent


def test_sort_words_stock_offers_and_ratings():
    assert read("cheapest milk").sort == "price"
    assert read("最便宜的牛奶").sort == "price"
    assert read("best rated headphones").sort == "rating"
    assert read("milk in stock").filters.in_stock is True
    assert read("cereal on sale").filters.promotion is True
    assert read("headphones with 4 stars and up").filters.min_rating == 4.0


def test_a_query_that_says_nothing_constrains_nothing():
    for text in ("", "   ", "???", "$", "🙂", "a" * 500):
        assert read(text).filters == Filters()


def test_the_category_meant_has_a_probability():
    parsed = read("kids cereal")
    assert parsed.category == "Cereal"
    assert 0.5 < parsed.category_confidence <= 1.0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("milk under $4 in stock", 399),
        ("milk under 4 in stock", 399),
        ("milk at most $4 in red", 400),
        ("milk between $2 and $4 in stock", 400),
        ("cable under 4 in", None),
        ("milk under 4 oz", None),
    ],
)
def test_a_unit_behind_an_amount_is_told_from_a_word(query, expected):
    assert read(query).filters.price_max == expected
