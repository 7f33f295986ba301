import hashlib
import threading

import numpy as np
import pytest

from components.contracts.messages import Filters, SearchRequest
from components.data.catalogue import Catalogue
from components.data.filters import matches
from components.search.engine import SearchEngine, best_variant, merge_filters
from tests.unit.search.shop import product, shop


class Bag:
    """A stand-in language: a text's vector is the sum of its words' random directions."""

    width = 64

    def encode(self, texts):
        rows = np.zeros((len(texts), self.width), np.float32)
        for n, text in enumerate(texts):
            for word in text.lower().replace(",", " ").split():
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
                rows[n] += np.random.default_rng(seed).normal(size=self.width)
            rows[n] /= np.linalg.norm(rows[n]) + 1e-9
        return rows


@pytest.fixture(params=["words", "meaning"])
def engine(request):
    encoder = Bag() if request.param == "meaning" else None
    return SearchEngine.from_products(Catalogue.from_products(shop()), encoder)


def found(engine, query, **fields):
    return [p.product_id for p in engine.search(SearchRequest(query=query, **fields)).products]


def test_a_product_is_found_and_accessories_come_after_it(engine):
    assert found(engine, "notebook")[:2] == ["n1", "n2"]
    assert found(engine, "notebook case")[0] == "n2"


def test_hard_constraints_hold_and_negation_is_obeyed(engine):
    assert set(found(engine, "kids cereal under $4, not chocolate")) == {"c1"}
    assert set(found(engine, "milk, not chocolate")) == {"m1"}


def test_typos_and_chinese_find_the_same(engine):
    assert found(engine, "kids cerael")[0] in ("c1", "c2")
    assert found(engine, "牛奶")[0] == found(engine, "milk")[0] or "k1" in found(engine, "牛奶")


def test_one_variant_meets_all_and_the_right_one_is_shown(engine):
    result = engine.search(SearchRequest(query="red running shoes size 44 in stock"))
    assert result.relaxed  # the red 44 is sold out in both
    assert result.total == 0
    result = engine.search(SearchRequest(query="red running shoes size 42"))
    assert {p.variant_id for p in result.products} == {"s1-red-42", "s2-red-42"}


def test_an_empty_result_says_what_to_drop_and_what_that_buys(engine):
    result = engine.search(SearchRequest(query="headphones under $10"))
    assert result.relaxed == ("price_max",)
    assert result.relaxations[0].drop == ("price_max",)
    assert result.relaxations[0].hits == 2
    assert {p.product_id for p in result.products} == {"h1", "h2"}


class Drawn:
    """A stand-in language in which a lobster is near seafood and not so far from carrots."""

    width = 3
    meanings = (("lobster", (1, 0, 0)), ("seafood", (0.7, 0.714, 0)), ("carrots", (0.55, 0, 0.835)))

    def encode(self, texts):
        rows = np.zeros((len(texts), 3), np.float32)
        for n, text in enumerate(texts):
            near = next((v for word, v in self.meanings if word in text.lower()), (0, 1, 0))
            rows[n] = np.asarray(near, np.float32) / np.linalg.norm(near)
        return rows


def test_what_merely_shares_a_constraint_is_no_answer():
    organic = {"diet": "organic"}
    shelf = [
        product("sea", "Seafood, 8 oz", type="Seafood", price_minor=900),
        *(
            product(f"o{n}", f"Organic carrots, {n} lb", price_minor=100 + n, attributes=organic)
            for n in range(1, 5)
        ),
    ]
    engine = SearchEngine.from_products(Catalogue.from_products(shelf), Drawn())
    result = engine.search(SearchRequest(query="organic lobster"))
    assert result.corrected_query is None
    assert (result.total, result.relaxed) == (0, ("attributes.diet",))
    assert [p.product_id for p in result.products] == ["sea"]
    first = result.relaxations[0]
    assert (first.drop, first.hits) == (("attributes.diet",), 1)
    assert found(engine, "lobster") == ["sea"]


def test_sort_orders(engine):
    assert found(engine, "headphones", sort="price") == ["h2", "h1"]
    assert found(engine, "headphones", sort="-price") == ["h1", "h2"]
    assert found(engine, "headphones", sort="rating") == ["h1", "h2"]
    assert found(engine, "cheapest headphones") == ["h2", "h1"]


def test_pages_are_stable_and_cover_everything_once(engine):
    whole = found(engine, "", limit=100)
    pages, cursor = [], None
    while True:
        result = engine.search(SearchRequest(query="", limit=5, cursor=cursor))
        pages += [p.product_id for p in result.products]
        cursor = result.cursor
        if cursor is None:
            break
    assert pages == whole
    assert len(set(whole)) == len(shop())
    assert found(engine, "", limit=5, cursor="nonsense") == whole[:5]


def test_facets_count_what_was_found(engine):
    facets = {
        f.field: dict(f.values) for f in engine.search(SearchRequest(query="headphones")).facets
    }
    assert facets["brand"] == {"Auralis": 1, "Tonika": 1}
    assert facets["category"] == {"Audio": 2}


def test_an_upsert_is_visible_at_once(engine):
    assert "z1" not in found(engine, "zanzibar tea")
    engine.upsert([product("z1", "Zanzibar tea", type="Tea", brand="Zed", price_minor=100)])
    assert found(engine, "zanzibar tea")[0] == "z1"
    assert engine.parse("tea from Zed").filters.brand == ("Zed",)
    engine.upsert([product("z1", "Zanzibar tea", type="Tea", brand="Zed", price_minor=900)])
    assert (
        found(engine, "zanzibar tea under $5") == []
        or engine.search(SearchRequest(query="zanzibar tea under $5")).relaxed
    )
    assert found(engine, "zanzibar tea").count("z1") == 1
    engine.upsert([product("z1", "Zanzibar tea", type="Tea", available=False, price_minor=900)])
    result = engine.search(SearchRequest(query="zanzibar tea in stock"))
    assert result.total == 0


def test_readers_during_upserts_see_whole_states(engine):
    errors = []

    def read():
        for _ in range(30):
            result = engine.search(SearchRequest(query="headphones under $50"))
            for shown in result.products:
                if not result.relaxed and (shown.price_minor or 0) >= 5000:
                    errors.append(shown)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(10):
        engine.upsert(
            [product(f"u{n}", f"Extra headphones {n}", type="Headphones", price_minor=4000 + n)]
        )
    reader.join()
    assert not errors
    assert "u9" in found(engine, "headphones under $50")


def test_a_search_amid_an_upsert_reads_one_state(engine, monkeypatch):
    """What is asked while an upsert is half done sees the shop as it was before, whole."""
    asked = "wired headphones under $50"
    before = engine.search(SearchRequest(query=asked))
    seen = []
    add = engine._index.add

    def adding(*given):
        seen.append(engine.search(SearchRequest(query=asked)))
        add(*given)
        seen.append(engine.search(SearchRequest(query=asked)))

    late = []
    remove = engine._index.remove

    def removing(rows):
        late.append(engine.search(SearchRequest(query="wired headphones")))
        remove(rows)
        late.append(engine.search(SearchRequest(query="wired headphones")))

    monkeypatch.setattr(engine._index, "add", adding)
    monkeypatch.setattr(engine._index, "remove", removing)
    old = engine.catalogue.get("h2")
    engine.upsert([old.model_copy(update={"price_minor": 8900, "variants": ()})])
    for result in seen:
        assert [(p.product_id, p.price_minor) for p in result.products] == [
            (p.product_id, p.price_minor) for p in before.products
        ]
    for result in late:
        assert [p.price_minor for p in result.products if p.product_id == "h2"] == [8900]
    after = engine.search(SearchRequest(query=asked))
    assert after.relaxed or "h2" not in [p.product_id for p in after.products]


def test_words_as_typed_are_not_corrected(engine):
    assert engine.search(SearchRequest(query="hedphones")).corrected_query == "headphones"
    typed = engine.search(SearchRequest(query="hedphones", correct=False))
    assert typed.corrected_query is None
    assert not any("words" in p.origin for p in typed.products)


def test_liking_moves_products_among_answers_only(engine):
    plain = found(engine, "headphones")
    liked = engine.search(
        SearchRequest(query="headphones"),
        affinity=lambda ids: np.asarray([float(i == plain[-1]) * 5 for i in ids], np.float32),
    )
    assert liked.products[0].product_id == plain[-1]
    assert {p.product_id for p in liked.products} == set(plain)


def test_words_alone_are_said_to_be_degraded():
    lexical = SearchEngine.from_products(Catalogue.from_products(shop()))
    assert lexical.search(SearchRequest(query="milk")).degraded == ("encoder",)
    full = SearchEngine.from_products(Catalogue.from_products(shop()), Bag())
    assert full.search(SearchRequest(query="milk")).degraded == ()


def test_an_empty_catalogue_answers_nothing():
    empty = SearchEngine.from_products(Catalogue.from_products([]))
    result = empty.search(SearchRequest(query="milk"))
    assert result.products == ()
    assert empty.suggest("mi") == ()


def test_given_filters_join_those_from_the_words():
    parsed = Filters(price_max=500, brand=("A",), exclude={"terms": ("x",)})
    given = Filters(price_max=300, brand=("B",), exclude={"terms": ("y",)})
    joined = merge_filters(parsed, given)
    assert (joined.price_max, joined.brand, joined.exclude["terms"]) == (300, ("B",), ("x", "y"))


def test_the_best_variant_is_the_cheapest_fitting_one_in_stock():
    shoe = shop()[0]
    assert best_variant(shoe, Filters()).variant_id == "s1-blue-42"
    assert best_variant(shoe, Filters(attributes={"color": ("red",)})).variant_id == "s1-red-42"
    assert best_variant(shop()[2], Filters()) is None


def test_every_answer_to_generated_queries_meets_its_constraints(engine):
    nouns = ("shoes", "milk", "cereal", "headphones", "notebook", "thing", "牛奶")
    limits = ("", " under $5", " over 3 dollars", " between 1 and 40", " 5块以下")
    others = (
        "",
        " not chocolate",
        " without corn",
        " in red",
        " wireless",
        " in stock",
        " no leather",
    )
    products = {p.product_id: p for p in shop()}
    for noun in nouns:
        for limit in limits:
            for other in others:
                result = engine.search(SearchRequest(query=noun + limit + other, limit=100))
                if result.relaxed:
                    assert result.total == 0
                    continue
                for shown in result.products:
                    assert matches(products[shown.product_id], result.understood), (
                        noun,
                        limit,
                        other,
                    )


def test_equal_cards_are_shown_once_on_all_pages(engine):
    twins = [
        product(f"t{n}", "Twin tea,  20 count" if n % 2 else "twin tea, 20 count", type="Tea",
                price_minor=100 + n, rating_count=n)
        for n in range(7)
    ]  # fmt: skip
    other = product("t9", "Twin tea, 20 count", type="Tea", brand="Zed", price_minor=900)
    engine.upsert([*twins, other])
    result = engine.search(SearchRequest(query="twin tea", limit=50))
    mine = [p.product_id for p in result.products if p.product_id.startswith("t")]
    assert len(mine) == 2
    assert "t9" in mine
    assert result.total == len(result.products)
    assert found(engine, "twin tea", sort="price")[0] == "t0"
    assert found(engine, "twin tea over $1.05")[0] == "t6"
    pages, cursor = [], None
    while True:
        page = engine.search(SearchRequest(query="", limit=3, cursor=cursor))
        pages += [p.product_id for p in page.products]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(pages) == page.total == len(shop()) + 2
    hidden = engine.search(SearchRequest(query="twin tea under $0.50"))
    assert hidden.relaxations[0].hits == len(hidden.products) == 2
