import numpy as np
import pytest

from components.contracts.errors import ArtefactError
from components.text.ratings import (
    Leanings,
    LeaningSettings,
    RatingModel,
    Ratings,
    frozen_biases,
    matrix_factorisation,
    replay,
    text_features,
)


def _ratings(n: int = 400, seed: int = 1) -> Ratings:
    g = np.random.default_rng(seed)
    visitors, products = g.integers(30, size=n), g.integers(17, size=n)
    lean_v, lean_p = g.normal(0, 0.6, 30), g.normal(0, 0.6, 17)
    stars = np.clip(3.5 + lean_v[visitors] + lean_p[products] + g.normal(0, 0.3, n), 1, 5)
    return Ratings(
        [f"v{i}" for i in visitors], [f"p{i}" for i in products], stars, np.arange(n) // 4
    )


def test_leanings_by_hand():
    state = Leanings(LeaningSettings(visitor_hold=1.0, product_hold=1.0), mean=3.0)
    state.learn(Ratings(["a"], ["p"], np.array([5.0]), np.array([0])), 0, 1)
    # The product: 2 over / (1 + 1). The visitor: 2 over, the product had no leaning: 2 / (1 + 1).
    assert state.product("p") == 1.0
    assert state.visitor("a", 9) == 1.0
    assert state.predict("a", "p", 9) == 5.0
    assert state.predict("new", "new", 9) == 3.0


def test_the_recent_half_forgets():
    settings = LeaningSettings(visitor_hold=1.0, product_hold=1.0, visitor_days=10.0)
    state = Leanings(settings, mean=3.0)
    state.learn(Ratings(["a"], ["p"], np.array([5.0]), np.array([0])), 0, 1)
    assert state.visitor("a", 0) == 1.0
    assert 0 < state.visitor("a", 100) < 0.7


def test_no_prediction_sees_its_own_day_or_later():
    ratings = _ratings()
    settings = LeaningSettings()
    visitor, product, _ = replay(ratings, settings, 3.5)
    changed = Ratings(ratings.visitors, ratings.products, ratings.stars.copy(), ratings.days)
    changed.stars[200:] = 1.0
    visitor2, product2, _ = replay(changed, settings, 3.5)
    first = int(np.flatnonzero(ratings.days == ratings.days[200])[-1]) + 1
    np.testing.assert_array_equal(visitor[:first], visitor2[:first])
    np.testing.assert_array_equal(product[:first], product2[:first])
    assert not np.allclose(product[first:], product2[first:])

    vectors = np.random.default_rng(0).normal(size=(400, 3))
    told = ratings.stars.copy()
    sides = text_features(ratings, vectors, told, overall=3.5)
    vectors[200:], told[200:] = 9.0, 9.0
    np.testing.assert_array_equal(
        sides[:200], text_features(ratings, vectors, told, overall=3.5)[:200]
    )


def test_every_model_beats_the_mean_where_leanings_are_real():
    ratings = _ratings(800)
    train, test = ratings.part(0, 640), ratings.part(640, 800)

    def rmse(predicted):
        return float(np.sqrt(np.mean((predicted - test.stars) ** 2)))

    mean = rmse(np.full(160, train.stars.mean()))
    biases = rmse(frozen_biases(train, test, visitor_hold=1.0, product_hold=1.0))
    factors = rmse(
        matrix_factorisation(
            train, test, rank=2, regularisation=5.0, visitor_hold=1.0, product_hold=1.0, seed=0
        )
    )
    model = RatingModel.fit(train)
    served = rmse(
        np.array([model.predict(v, p) for v, p in zip(test.visitors, test.products, strict=True)])
    )
    assert biases < 0.7 * mean
    assert factors < 0.7 * mean
    assert served < 0.8 * mean


def test_saved_model_predicts_the_same_and_absent_is_none(tmp_path):
    assert RatingModel.load(tmp_path) is None
    texts = [("wonderful, five stars", 5.0), ("broke after a day, awful", 1.0)] * 150
    model = RatingModel.fit(_ratings(), reviews=texts)
    folder = tmp_path / "finetune" / "ratings"
    model.save(folder)
    again = RatingModel.load(tmp_path)
    assert again is not None
    assert again.predict("v1", "p1") == model.predict("v1", "p1")
    assert again.predict(None, "unheard of") == pytest.approx(model.state.mean)
    good, bad = again.predict_text("wonderful!"), again.predict_text("awful, it broke")
    assert good is not None
    assert bad is not None
    assert 1.0 <= bad < good <= 5.0
    assert good == pytest.approx(model.predict_text("wonderful!"), abs=1e-4)
    parts = again.explain("v1", "p1")
    total = parts["mean"] + parts["product"] + parts["visitor"]
    assert again.predict("v1", "p1") == pytest.approx(min(5.0, max(1.0, total)))
    (folder / "leanings.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtefactError, match="rating model"):
        RatingModel.load(tmp_path)
