"""Every recommender behind the protocol, on a shop whose right answer is known by construction.

27 visitors, 18 products (not square): visitor v walks through the products of group v % 3 in a
fixed circle and comes back to the start, so the next product, the usual products and the neighbours
are all known. A model must put the own group's products above all others.
"""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from components.contracts.protocols import Recommender
from components.recommend.content import ContentNeighbours, unit_rows
from components.recommend.graph import GraphPropagation
from components.recommend.item_knn import ItemKNN
from components.recommend.own_frequency import OwnFrequency
from components.recommend.popularity import Popularity
from components.recommend.repeat import RepeatPurchase
from components.recommend.segment_popularity import SegmentPopularity
from components.recommend.text_neighbours import TextCoVisits, TextLikeness

VISITORS, PRODUCTS, GROUPS = 27, 18, 3
CIRCLE = PRODUCTS // GROUPS


def shop() -> list[np.ndarray]:
    """Return per visitor 9 products of the own group, in the circle's order."""
    return [
        np.array([(start + step) % CIRCLE * GROUPS + v % GROUPS for step in range(CIRCLE + 3)])
        for v in range(VISITORS)
        for start in [v // GROUPS % CIRCLE]
    ]


def ages(sequences: list[np.ndarray]) -> list[np.ndarray]:
    return [np.arange(len(s), dtype=float)[::-1] * 2.0 + 1.0 for s in sequences]


def text_vectors() -> np.ndarray:
    """Return vectors that tell the group, with a little of each product's own."""
    rows = np.zeros((PRODUCTS, GROUPS + PRODUCTS), dtype=np.float32)
    rows[np.arange(PRODUCTS), np.arange(PRODUCTS) % GROUPS] = 1.0
    rows[np.arange(PRODUCTS), GROUPS + np.arange(PRODUCTS)] = 0.5
    return rows


def sasrec():
    from components.recommend.train_sasrec import SASRecRecommender
    from components.recommend.training import TrainOptions

    return SASRecRecommender(
        width=16, layers=1, heads=2, dropout=0.0, id_dropout=0.0,
        options=TrainOptions(epochs=12, batch_size=9, learning_rate=0.01),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], Recommender], type]] = {
    "own_frequency": (OwnFrequency, OwnFrequency),
    "own_frequency_decay": (lambda: OwnFrequency(4.0), OwnFrequency),
    "repeat": (RepeatPurchase, RepeatPurchase),
    "content": (ContentNeighbours, ContentNeighbours),
    "item_knn": (ItemKNN, ItemKNN),
    "graph": (lambda: GraphPropagation(rank=8), GraphPropagation),
    "words": (TextLikeness, TextLikeness),
    "encoder_last": (lambda: TextLikeness("encoder_last", last=True), TextLikeness),
    "text_knn": (TextCoVisits, TextCoVisits),
    "popularity": (Popularity, Popularity),
    "popularity_decay": (lambda: Popularity(4.0), Popularity),
    "popularity_by_segment": (lambda: SegmentPopularity(3, 4, 5.0), SegmentPopularity),
}
PERSONAL = sorted(set(MODELS) - {"popularity", "popularity_decay"})


def fitted(name: str) -> Recommender:
    sequences = shop()
    rows = unit_rows(text_vectors())
    sides: dict[str, dict[str, object]] = {
        "content": {"vectors": text_vectors()},
        "words": {"rows": sp.csr_matrix(rows)},
        "encoder_last": {"rows": rows},
        "text_knn": {"spread": sp.csr_matrix(rows @ rows.T)},
    }
    side = sides.get(name, {})
    if name in ("popularity_decay", "repeat"):
        side["ages"] = ages(sequences)
    return MODELS[name][0]().fit(sequences, PRODUCTS, **side)


def own_group_first(scores: np.ndarray) -> bool:
    """Say whether each visitor's best product lies in the own group."""
    return bool((scores.argmax(axis=1) % GROUPS == np.arange(VISITORS) % GROUPS).all())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_it_is_a_recommender_with_scores_of_the_right_shape(name):
    model = fitted(name)
    assert isinstance(model, Recommender)
    scores = model.score(shop())
    assert scores.shape == (VISITORS, PRODUCTS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", PERSONAL)
def test_it_finds_the_own_group(name):
    assert own_group_first(fitted(name).score(shop()))


def test_popularity_finds_the_most_popular():
    sequences = [*shop(), np.full(40, 7)]
    scores = Popularity().fit(sequences, PRODUCTS).score(shop())
    assert (scores.argmax(axis=1) == 7).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_row_does_not_depend_on_the_other_rows(name):
    model, sequences = fitted(name), shop()
    batch = model.score(sequences)
    one_by_one = np.concatenate([model.score([s]) for s in sequences])
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.score(sequences[::-1])[::-1], batch, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_saved_and_loaded_scores_are_equal(name, tmp_path):
    model = fitted(name)
    model.save(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    loaded = MODELS[name][1].load(tmp_path)
    np.testing.assert_array_equal(loaded.score(shop()), model.score(shop()))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_newcomer_gets_finite_scores(name):
    scores = fitted(name).score([np.zeros(0, dtype=np.int64)])
    assert scores.shape == (1, PRODUCTS)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_fitting_twice_gives_the_same_scores(name):
    first, second = (fitted(name).score(shop()) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_the_sequential_transformer_too(tmp_path):
    from components.recommend.train_sasrec import SASRecRecommender

    model = sasrec().fit(shop(), PRODUCTS)
    assert isinstance(model, Recommender)
    scores = model.score(shop())
    assert scores.shape == (VISITORS, PRODUCTS)
    assert own_group_first(scores)
    batch = np.concatenate([model.score([s]) for s in shop()])
    np.testing.assert_allclose(batch, scores, rtol=1e-3, atol=1e-4)
    model.save(tmp_path)
    np.testing.assert_array_equal(SASRecRecommender.load(tmp_path).score(shop()), scores)
    assert np.isfinite(model.score([np.zeros(0, dtype=np.int64)])).all()
