import json

import numpy as np
import polars as pl
import pytest

from components.contracts.errors import SourceError
from components.stages import bench_images, bench_ratings
from components.stages.bench_ratings import (
    before_purchase,
    pairwise_accuracy,
    principal,
    read_reviews,
    score,
    seconds_of,
)
from components.text.ratings import Ratings


def _file(path, n: int = 300, **columns):
    g = np.random.default_rng(1)
    stars = g.integers(1, 6, n).astype(float)
    words = np.array(["awful", "poor", "fair", "good", "great"])
    frame = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in g.integers(40, size=n)],
            "item_id": g.integers(20, size=n),
            "rating": stars,
            "review_text": [f"it is {words[int(s) - 1]} really" for s in stars],
            "timestamp": 1_300_000_000 + np.arange(n) * 40_000,
            **columns,
        }
    )
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


def test_reads_parquet_and_csv_and_names_what_is_missing(tmp_path):
    whole = read_reviews(_file(tmp_path / "a.parquet"))
    same = read_reviews(_file(tmp_path / "a.csv"))
    assert whole.ratings.products == same.ratings.products
    np.testing.assert_array_equal(whole.ratings.days, same.ratings.days)
    assert (np.diff(whole.ratings.days) >= 0).all()
    pl.DataFrame({"user_id": ["a"], "item_id": ["b"], "rating": [5]}).write_csv(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="no column for text"):
        read_reviews(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="no such file"):
        read_reviews(tmp_path / "c.csv")
    _file(tmp_path / "d.parquet", n=20)
    with pytest.raises(SourceError, match="at least 100"):
        read_reviews(tmp_path / "d.parquet")


def test_the_minimal_file_without_time_keeps_its_order(tmp_path):
    path = tmp_path / "minimal.csv"
    frame = pl.read_parquet(_file(tmp_path / "a.parquet"))
    frame.select(
        "user_id", "item_id", "rating", pl.col("review_text").alias("description")
    ).write_csv(path)
    held = read_reviews(path)
    assert not held.has_time
    np.testing.assert_array_equal(held.ratings.stars, frame["rating"].to_numpy())


def test_times_in_any_form():
    seconds = seconds_of(pl.Series([1_300_000_000])).to_list()
    assert seconds_of(pl.Series([1_300_000_000_000])).to_list() == seconds
    assert seconds_of(pl.Series(["2011-03-13T07:06:40"])).to_list() == seconds
    with pytest.raises(SourceError, match="not a time"):
        seconds_of(pl.Series(["soon"]))


def test_figures_by_hand():
    stars = np.array([5.0, 3.0, 1.0])
    test = Ratings(["a", "a", "b"], ["p", "q", "p"], stars, np.arange(3))
    row = score(np.array([9.0, 4.0, 1.0]), test, against={"biases": np.full(3, 3.0)}, model="m")
    assert row["rmse"] == pytest.approx(np.sqrt(1 / 3))  # 9 is clipped to 5
    assert row["mae"] == pytest.approx(1 / 3)
    assert row["ranking_accuracy"] == 1.0
    assert row["macro_rmse"] == pytest.approx(1 / 3)
    assert row["mse_gain_over_biases"] == pytest.approx((4 + 0 + 4) / 3 - 1 / 3)
    assert pairwise_accuracy(["a", "a"], np.array([2.0, 1.0]), np.array([3.0, 3.0])).tolist() == [
        0.5
    ]


def test_before_the_purchase_no_word_or_star_of_the_test_rows_helps(tmp_path):
    """Changing a test row's own text and stars must not change its own prediction."""
    held = read_reviews(
        _file(tmp_path / "a.parquet", timestamp=1_300_000_000 + np.arange(300) * 90_000)
    )
    vectors = np.random.default_rng(0).normal(size=(300, 3))
    told = held.ratings.stars.copy()
    first = before_purchase(held, vectors, lambda known: told)
    vectors[-1], told[-1] = 100.0, 100.0
    second = before_purchase(held, vectors, lambda known: told)
    assert first == second
    assert sum(row["shipped"] for row in first) == 1
    models = {row["model"] for row in first}
    assert {"global_mean", "biases", "matrix_factorisation", "leanings"} <= models


def test_principal_components_are_fitted_on_the_known_rows():
    rows = np.random.default_rng(0).normal(size=(50, 6))
    first = principal(rows, 40, 2)
    rows[45] = 99.0
    np.testing.assert_allclose(principal(rows, 40, 2)[:40], first[:40])


def test_bench_images_on_shapes(tmp_path):
    from PIL import Image

    g = np.random.default_rng(1)
    for kind, box in (("upright", (4, 44, 14, 24)), ("flat", (20, 28, 2, 38))):
        (tmp_path / "shapes" / kind).mkdir(parents=True)
        for n in range(15):
            picture = np.full((48, 40, 3), 255, np.uint8)
            shift = int(g.integers(3))
            picture[box[0] : box[1], box[2] + shift : box[3] + shift] = g.integers(0, 120, 3)
            Image.fromarray(picture).save(tmp_path / "shapes" / kind / f"{kind}{n}.png")
    bench_images.run(tmp_path / "shapes", tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    shipped = {row["slice"]: row for row in report["rows"] if row["shipped"]}
    assert shipped["category"]["accuracy"] > 0.9
    assert shipped["similarity"]["same_class@5"] > 0.9
    with pytest.raises(SourceError, match="two or more"):
        bench_images.run(tmp_path / "shapes" / "flat", tmp_path / "r.json")
    assert bench_ratings.SEED == bench_images.SEED
