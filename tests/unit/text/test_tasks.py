from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from components.text.finetune import false_negatives, hard_negatives
from components.text.pairs import (
    baskets,
    bought_together,
    describe,
    generated_pairs,
    part_of_group,
    popularity_of,
    product_pairs,
    recorded_pairs,
)
from components.text.tasks import Row, build_tasks, query_texts, score_tasks
from components.text.texts import text_hash
from components.text.vectors import TextVectors

KINDS = [
    "milk",
    "bread",
    "soap",
    "rice",
    "tea",
    "salt",
    "oil",
    "nuts",
    "jam",
    "beer",
    "wine",
    "corn",
]


def _products(n: int = 36) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "product_id": [f"p{i:02d}" for i in range(n)],
            "title": [f"{KINDS[i % 12].title()}, {i + 1} oz" for i in range(n)],
            "description": [""] * n,
            "brand": ["Acme" if i % 2 else None for i in range(n)],
            "category": [f"Shop > {'Food' if i % 12 < 9 else 'Drinks'}" for i in range(n)],
            "type": [KINDS[i % 12] for i in range(n)],
            "attributes": ["{}"] * n,
        }
    )


def _events(orders: list[tuple[str, int, list[int]]]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {
            "event_id": f"{visitor}-{day}-{product}",
            "at": start + timedelta(days=day),
            "week": day // 7 + 1,
            "visitor_id": visitor,
            "session_id": None,
            "order_id": f"{visitor}-{day}",
            "query_id": None,
            "kind": "purchase",
            "product_id": f"p{product:02d}",
        }
        for visitor, day, products in orders
        for product in products
    ]
    schema = {"session_id": pl.String, "query_id": pl.String}
    return pl.DataFrame(rows, schema_overrides=schema)


def test_partners_are_those_bought_together_most():
    catalogue = describe(_products())
    events = _events([(f"v{n}", n, [0, 1] if n % 2 else [2, 3, 4]) for n in range(60)])
    assert baskets(events)["products"].to_list()[0] == ["p02", "p03", "p04"]
    lefts, rights, weights = bought_together(catalogue, events, least=3)
    partners = {left: set(rights[lefts == left].tolist()) for left in set(lefts.tolist())}
    assert partners[0] == {1}
    assert partners[3] == {2, 4}
    np.testing.assert_allclose(weights[lefts == 0], 1.0, atol=1e-6)
    pairs = product_pairs(
        catalogue,
        (lefts, rights, weights),
        50,
        seed=1,
        popularity=popularity_of(catalogue, events),
    )
    assert all(
        r in partners[int(p)] for p, r in zip(pairs.left_products, pairs.rights, strict=True)
    )


def test_generated_queries_never_use_held_out_groups():
    catalogue = describe(_products())
    parts = {part_of_group(kind) for kind in KINDS}
    assert "train" in parts
    pairs = generated_pairs(catalogue, 200, seed=3, popularity=np.ones(36))
    assert {part_of_group(catalogue.groups[place]) for place in pairs.rights} == {"train"}
    again = generated_pairs(catalogue, 200, seed=3, popularity=np.ones(36))
    assert pairs.lefts == again.lefts


def test_hard_and_false_negatives():
    catalogue = describe(_products())
    pairs = generated_pairs(catalogue, 40, seed=3, popularity=np.ones(36))
    rows = np.random.default_rng(0).normal(size=(36, 4)).astype(np.float32)
    mined = hard_negatives(catalogue, pairs, rows, 2, seed=1)
    assert mined.shape == (40, 2)
    for right, query, negatives in zip(pairs.rights, pairs.left_words, mined, strict=True):
        for place in negatives[negatives >= 0]:
            assert catalogue.groups[place] != catalogue.groups[right]
            assert not query <= catalogue.words[place]
    milk = frozenset(["milk"])
    marked = false_negatives(
        catalogue,
        [milk, frozenset()],
        np.array([-1, 5]),
        np.array([0, 7, 12, 5]),
        {(5, 7)},
    )
    assert marked.tolist() == [[True, False, True, False], [False, True, False, True]]


def test_tasks_hold_out_what_they_ask_for_and_scores_are_right():
    catalogue = describe(_products())
    history = _events([(f"v{n}", n, [n % 12, 12 + n % 12]) for n in range(20)])
    part = _events([(f"v{n}", 40 + n, [n % 12, 24 + n % 12, 13]) for n in range(20)])
    tasks = build_tasks(catalogue, history=history, part=part, recorded=[], name="test", seed=1)
    for row in tasks["next_product"]:
        assert not row.wanted & set(row.excluded)
        assert set(row.context) <= set(row.excluded)
    for row in tasks["same_basket"]:
        assert len(row.wanted) == 1
        assert not row.wanted & set(row.context)
    texts = [*catalogue.texts, *query_texts(tasks), "jug of milk"]
    hashes = sorted({text_hash(text) for text in texts})
    place = {name: i for i, name in enumerate(hashes)}
    rows = np.eye(len(hashes), dtype=np.float32)
    rows[place[text_hash("jug of milk")]] = rows[place[text_hash(catalogue.texts[3])]]
    known = {
        "same_basket": [Row((3,), "", frozenset([3])), Row((3,), "", frozenset([4]), (4,))],
        "query_product": [Row((), "jug of milk", frozenset([3]))],
    }
    scored = score_tasks(known, TextVectors(hashes, rows), catalogue)
    assert scored["same_basket"]["ndcg@10"].tolist() == [1.0, 0.0]
    assert scored["query_product"]["recall@10"].tolist() == [1.0]


def test_recorded_pairs_need_a_good_grade_or_an_interaction():
    catalogue = describe(_products())
    queries = pl.DataFrame({"query_id": ["q1", "q2"], "text": ["milk please", " "]})
    judgements = pl.DataFrame(
        {"query_id": ["q1", "q1", "q2"], "product_id": ["p00", "p01", "p02"], "grade": [3, 1, 3]}
    )
    events = _events([("v", 1, [5])]).with_columns(query_id=pl.lit("q1"))
    assert recorded_pairs(catalogue, queries, judgements, events) == [
        ("milk please", 0),
        ("milk please", 5),
    ]
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        recorded_pairs(catalogue, queries.drop("text"), judgements, events)
