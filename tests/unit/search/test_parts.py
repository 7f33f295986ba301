"""Index, fusion, features, ranker, training, suggestions."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from components.contracts.messages import Filters
from components.search.build import popularity_of, recent_of
from components.search.categories import CategoryModel
from components.search.features import NAMES, Asked, Signals, card_of, head_of
from components.search.fusion import reciprocal_rank_fusion, weighted_fusion
from components.search.index import (
    EmbeddedIndex,
    FieldWeights,
    Hits,
    SearchIndex,
    VectorIndex,
    WordQuery,
)
from components.search.ranker import LearnedRanker, RankerSettings, prior
from components.search.relax import constraint_names, without
from components.search.shelf import Shelf
from components.search.suggest import QueryLog, Suggester
from components.search.train import (
    examination_by_rank,
    lessons_from_clicks,
    lessons_from_judgements,
)
from components.search.vocabulary import Vocabulary
from tests.unit.search.shop import product, shop


def filled(kind="flat", folder=None):
    index = EmbeddedIndex(width=8, vectors=kind, folder=folder)
    vectors = np.eye(8, dtype=np.float32)[np.arange(len(shop())) % 8]
    index.add(range(len(shop())), shop(), vectors)
    return index


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_the_index_pushes_constraints_down_and_forgets_removed_rows(kind, tmp_path):
    index = filled(kind, tmp_path / "index")
    assert isinstance(index, SearchIndex)
    milk = WordQuery.of("milk")
    assert set(index.words(milk, k=10).rows.tolist()) == {2, 3, 11}
    allowed = np.zeros(len(shop()), np.bool_)
    allowed[[3, 5]] = True
    assert index.words(milk, k=10, allowed=allowed).rows.tolist() == [3]
    near = index.nearest(np.eye(8, dtype=np.float32)[3], k=2, allowed=allowed)
    assert near.rows[0] == 3
    index.remove([3])
    assert 3 not in index.words(milk, k=10).rows
    assert 3 not in index.nearest(np.eye(8, dtype=np.float32)[3], k=13).rows


def test_a_filter_that_keeps_many_rows_still_fills_k():
    index = EmbeddedIndex()
    many = [product(f"p{n}", "plain milk") for n in range(3000)]
    index.add(range(3000), many)
    allowed = np.ones(3000, np.bool_)
    allowed[:900] = False
    rows = index.words(WordQuery.of("milk"), k=50, allowed=allowed).rows
    assert len(rows) == 50
    assert allowed[rows].all()


def test_exact_vectors_equal_the_matrix_product():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(200, 16)).astype(np.float32)
    index = VectorIndex(16)
    index.add(range(200), rows)
    asked = generator.normal(size=16).astype(np.float32)
    expected = np.argsort(-(rows @ asked), kind="stable")[:10]
    assert index.search(asked, k=10).rows.tolist() == expected.tolist()
    assert np.allclose(index.vectors(np.array([5, 7])), rows[[5, 7]])


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_quick_vectors_find_nearly_all_and_all_of_a_few_allowed(kind, monkeypatch):
    monkeypatch.setattr("components.search.index._EXACT", 100)
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, 16)).astype(np.float32)
    rows = centres[generator.integers(0, 40, 3000)] + generator.normal(0, 0.3, (3000, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    index = VectorIndex(16, kind=kind)
    index.add(range(2990), rows[:2990])
    index.add(range(2990, 3000), rows[2990:])
    index.remove([7])
    half = generator.random(3000) < 0.5
    few = np.zeros(3000, np.bool_)
    few[generator.choice(3000, 60, replace=False)] = True
    few[7] = True
    found = []
    for asked in rows[generator.choice(3000, 30, replace=False)]:
        for allowed in (None, half):
            scores = rows @ asked
            scores[7] = -9
            if allowed is not None:
                scores[~allowed] = -9
            best = set(np.argsort(-scores)[:10].tolist())
            hits = index.search(asked, k=10, allowed=allowed)
            assert allowed is None or allowed[hits.rows].all()
            found.append(len(best & set(hits.rows.tolist())) / 10)
        scores = np.where(few, rows @ asked, -9)
        scores[7] = -9
        hits = index.search(asked, k=10, allowed=few)
        assert hits.rows.tolist() == np.argsort(-scores)[:10].tolist()
    assert np.mean(found) > 0.9
    assert np.allclose(index.vectors(np.array([5, 2995])), rows[[5, 2995]])


def test_title_counts_more_than_description():
    index = EmbeddedIndex(weights=FieldWeights())
    index.add(
        [0, 1],
        [product("a", "plain", description="milk"), product("b", "milk", description="plain")],
    )
    assert index.words(WordQuery.of("milk"), k=2).rows.tolist() == [1, 0]


def test_fusion():
    first, second = (
        Hits(np.array([1, 2]), np.array([3.0, 1.0])),
        Hits(np.array([2, 3]), np.array([0.9, 0.1])),
    )
    assert reciprocal_rank_fusion([first, second]).rows.tolist() == [2, 1, 3]
    assert weighted_fusion([first, second], [1.0, 0.1]).rows.tolist() == [1, 2, 3]


def test_the_kind_of_a_product_is_read_from_its_title_when_no_type_is_given():
    def head(title, **fields):
        return " ".join(head_of(product("x", title, **fields)))

    assert (
        head("HP 840 Notebook Silver 35.6 cm", brand="HP", attributes={"model": "840"})
        == "notebook"
    )
    assert (
        head("Targus CN313 notebook case 34 cm", brand="Targus", attributes={"model": "CN313"})
        == "notebook case"
    )
    assert head("Acme USB Cable - 2 m", brand="Acme") == "usb cable"
    assert head("Anything", type="Kids cereal") == "kid cereal"


def described(query="notebook"):
    shelf = Shelf()
    shelf.add([card_of(p) for p in shop()])
    rows = np.arange(len(shop()))
    zero = np.zeros(len(rows), np.float32)
    return shelf.features(Asked(tuple(query.split())), rows, Signals(zero, zero, zero, zero))


def test_features_tell_a_thing_from_its_accessory():
    features = described()
    column = {name: n for n, name in enumerate(NAMES)}
    assert features.shape == (len(shop()), len(NAMES))
    notebook, case = features[7], features[8]
    assert notebook[column["head_last"]] == 1
    assert case[column["head_last"]] == 0
    assert (notebook[column["accessory"]], case[column["accessory"]]) == (0, 1)
    assert prior(features)[7] > prior(features)[8]


def test_features_do_not_depend_on_the_order_of_candidates():
    shelf = Shelf()
    shelf.add([card_of(p) for p in shop()])
    rows = np.arange(len(shop()))
    words = np.linspace(1, 0, len(rows)).astype(np.float32)
    zero = np.zeros(len(rows), np.float32)
    there = shelf.features(Asked(("milk",)), rows, Signals(words, zero + words, zero, zero))
    back = shelf.features(
        Asked(("milk",)),
        rows[::-1].copy(),
        Signals(words[::-1].copy(), words[::-1].copy(), zero, zero),
    )
    assert np.allclose(there, back[::-1], equal_nan=True)


def lessons(n=24, seed=0):
    generator = np.random.default_rng(seed)
    features, grades = [], []
    for _ in range(n):
        rows = generator.normal(size=(30, len(NAMES))).astype(np.float32)
        rows[0, 3] = np.nan
        truth = rows[:, 0] + rows[:, 2]
        grade = np.digitize(truth, [0.5, 1.5, 2.5])
        grade[generator.random(30) < 0.3] = -1
        features.append(rows)
        grades.append(grade)
    return features, grades


def test_the_ranker_learns_what_matters_and_survives_saving(tmp_path):
    features, grades = lessons()
    ranker = LearnedRanker(RankerSettings(members=1, trees=20)).fit(features, grades)
    fresh = lessons(5, seed=9)[0]
    for rows in fresh:
        assert np.corrcoef(ranker.score(rows), rows[:, 0] + rows[:, 2])[0, 1] > 0.7
    ranker.save(tmp_path)
    again = LearnedRanker.load(tmp_path)
    assert again is not None
    assert np.allclose(again.score(fresh[0]), ranker.score(fresh[0]))
    assert LearnedRanker.load(tmp_path / "absent") is None


def test_clicks_are_freed_of_their_position():
    generator = np.random.default_rng(3)
    looked, liked = np.array([1.0, 0.6, 0.3]), np.array([0.5, 0.4, 0.2])
    ranks = np.tile([1, 2, 3], 3)
    pairs = np.repeat([0, 1, 2], 3)
    shown = np.full(9, 20_000.0)
    clicks = generator.binomial(20_000, looked[ranks - 1] * liked[pairs]).astype(float)
    assert np.allclose(
        examination_by_rank(ranks, pairs, clicks, shown, rounds=300), looked, atol=0.05
    )


def test_lessons_from_tables():
    queries = pl.DataFrame({"query_id": ["q1", "q2", "q3"], "text": ["Milk ", "milk", "tea"]})
    judged = pl.DataFrame({"query_id": ["q1", "q1"], "product_id": ["a", "b"], "grade": [3, 0]})
    (one,) = lessons_from_judgements(queries, judged)
    assert one.grades == {"a": 3, "b": 0}
    clicks = pl.DataFrame(
        {
            "query_id": ["q1", "q1", "q2", None],
            "product_id": ["a", "b", "a", "a"],
            "rank": [1, 2, 2, 1],
            "click": [True, False, True, True],
            "basket_add": [False] * 4,
            "purchase": [False, False, True, False],
        }
    )
    (milk,) = lessons_from_clicks(clicks, queries)
    assert milk.text == "milk"
    assert milk.grades == {"a": 3, "b": 0}
    assert milk.weights["a"] >= 1.0
    assert lessons_from_clicks(clicks.filter(pl.col("query_id").is_null()), queries) == []


def suggester(sessions=(), k=3):
    words = Vocabulary.from_products(shop())
    return Suggester(words, QueryLog.from_sessions(sessions, k=k), titles=[p.title for p in shop()])


def texts(suggestions):
    return [s.text for s in suggestions]


def test_suggestions_complete_prefixes_typos_and_chinese():
    plain = suggester()
    assert "running shoes" in texts(plain.suggest("run"))
    assert "running shoes" in texts(plain.suggest("sho"))
    assert "milk" in texts(plain.suggest("mlik"))
    assert "milk" in texts(plain.suggest("牛"))
    assert "Korda" in texts(plain.suggest("kor"))
    assert len(plain.suggest("", limit=3)) == 3


def test_own_queries_come_without_their_slips():
    plain = suggester()
    assert texts(plain.suggest("choc", own=["choclate milk"]))[0] == "chocolate milk"
    assert "choclate milk" not in texts(plain.suggest("choc", own=["choclate milk"]))
    assert texts(plain.suggest("lob", own=["lobster under $4"])) == ["lobster under $4"]


def test_nothing_typed_by_fewer_than_k_visitors_is_suggested():
    secret = [(f"v{n}", ["my secret query"]) for n in range(2)]
    common = [(f"v{n}", ["running gift", "milk"]) for n in range(3)]
    repeated = [("v0", ["my secret query"])] * 50  # one visitor typing often is still one
    log = suggester([*secret, *common, *repeated])
    assert "my secret query" not in texts(log.suggest("my"))
    assert texts(log.suggest("running"))[0] == "running gift"
    assert log.related("running gift") == ("milk",)
    assert log.related("my secret query") == ()
    assert "my secret query" in texts(log.suggest("my", own=["my secret query"]))


def test_constraints_are_named_and_dropped_one_by_one():
    filters = Filters(price_max=3, attributes={"colour": ("red",)}, exclude={"brand": ("A",)})
    assert constraint_names(filters) == ["price_max", "attributes.colour", "exclude.brand"]
    assert without(filters, ["attributes.colour"]).attributes == {}
    assert without(filters, ["exclude.brand", "price_max"]) == Filters(
        attributes={"colour": ("red",)}
    )


def test_category_confidence_is_a_probability():
    model = CategoryModel.fit(shop() * 5)
    guesses = model.guess(["cereal"], best=3)
    assert guesses[0].category == "Cereal"
    assert sum(g.confidence for g in model.guess(["cereal"], best=99)) == pytest.approx(1.0)
    assert model.guess(["unheard"]) == ()


def test_recent_sales_are_those_of_the_last_four_weeks():
    end = datetime(2018, 1, 1, tzinfo=UTC)
    events = pl.DataFrame(
        {
            "product_id": ["pumpkin", "pumpkin", "milk", "tea"],
            "kind": ["purchase", "purchase", "purchase", "click"],
            "at": [end - timedelta(days=d) for d in (70, 28, 27, 0)],
        }
    )
    assert popularity_of(recent_of(events)) == {"milk": 0.693147}
    assert recent_of(events.clear()).is_empty()


def test_a_query_by_meaning_takes_one_thread_and_gives_the_others_back(monkeypatch):
    index = VectorIndex(8)
    index.add(range(8), np.eye(8, dtype=np.float32))
    before, during = index._faiss.omp_get_max_threads(), []
    index._faiss.omp_set_num_threads(2)
    inner = index._index.search

    def search(*args, **options):
        during.append(index._faiss.omp_get_max_threads())
        return inner(*args, **options)

    monkeypatch.setattr(index._index, "search", search)
    try:
        assert index.search(np.eye(8, dtype=np.float32)[3], k=1).rows.tolist() == [3]
        assert during == [1]
        assert index._faiss.omp_get_max_threads() == 2
    finally:
        index._faiss.omp_set_num_threads(before)
