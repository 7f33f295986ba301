"""The synthetic shop: seeded, non-square, and true to the truth it hands over."""

import numpy as np
import polars as pl
import pytest

from components.contracts.params import IngestParams, SyntheticSource
from components.contracts.tables import SPECS
from components.data import synthetic

SMALL = IngestParams(
    source="synthetic", seed=3, synthetic=SyntheticSource(visitors=60, products=97, weeks=10)
)


@pytest.fixture(scope="module")
def shop():
    return synthetic.build(SMALL)


def test_every_table_is_filled_and_keys_are_unique(shop):
    tables, _ = shop
    assert set(tables) == set(SPECS)
    for name, frame in tables.items():
        assert not frame.is_empty(), name
        assert frame.n_unique(list(SPECS[name].key)) == frame.height, name


def test_equal_seeds_give_equal_shops_and_others_do_not(shop):
    again, _ = synthetic.build(SMALL)
    assert all(shop[0][name].equals(again[name]) for name in again)
    other, _ = synthetic.build(SMALL.model_copy(update={"seed": 4}))
    assert not shop[0]["events"].equals(other["events"])


def test_propensities_are_exact_given_what_stands_above(shop):
    impressions = shop[0]["impressions"]
    assert impressions["propensity"].is_between(0, 1).all()
    home = shop[0]["slates"].filter(pl.col("surface") == "home")
    first = impressions.filter(pl.col("rank") == 1).join(home, on="slate_id", how="semi")
    share = first["product_id"].value_counts(normalize=True)
    logged = first.group_by("product_id").agg(pl.col("propensity").mean())
    both = share.join(logged, on="product_id").sort("proportion", descending=True).head(5)
    gap = (both["proportion"] - both["propensity"]).abs().max()
    assert gap < 0.05


def test_clicks_follow_liking_and_rank(shop):
    tables, truth = shop
    clicks = tables["events"].filter(pl.col("kind") == "click").select("slate_id", "product_id")
    shown = tables["impressions"].join(
        clicks.with_columns(pl.lit(1).alias("hit")), on=["slate_id", "product_id"], how="left"
    )
    shown = shown.join(tables["slates"].select("slate_id", "visitor_id"), on="slate_id")
    rate = shown.with_columns(pl.col("hit").fill_null(0)).group_by("rank").agg(pl.col("hit").mean())
    by_rank = dict(rate.iter_rows())
    assert by_rank[1] > by_rank[5] > 0
    v = shown["visitor_id"].str.slice(1).cast(int).to_numpy()
    p = shown["product_id"].str.slice(1).cast(int).to_numpy()
    liked = truth.utility[v, p]
    hit = shown["hit"].fill_null(0).to_numpy()
    assert liked[hit == 1].mean() > liked[hit == 0].mean() + 0.2


def test_friends_are_alike(shop):
    tables, truth = shop
    pairs = tables["relations"]
    a = truth.segment[pairs["visitor_id"].str.slice(1).cast(int).to_numpy()]
    b = truth.segment[pairs["other_id"].str.slice(1).cast(int).to_numpy()]
    chance = np.mean(truth.segment[:, None] == truth.segment[None, :])
    assert (a == b).mean() > chance + 0.2


def test_nothing_is_sold_before_its_launch(shop):
    tables, truth = shop
    bought = tables["events"].filter(pl.col("kind") == "purchase")
    product = bought["product_id"].str.slice(1).cast(int).to_numpy()
    assert (bought["week"].to_numpy() >= truth.launch_week[product]).all()
    assert (truth.launch_week > 1).any()


def test_stars_and_words_agree(shop):
    reviews = shop[0]["reviews"]
    assert reviews.filter(pl.col("rating") == 1)["text"].str.contains("Awful|Terrible").all()
    assert reviews.filter(pl.col("rating") == 5)["text"].str.contains("Excellent|Love").all()
