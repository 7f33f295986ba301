"""Reviews on the synthetic shop: only by consent, and in the order a feed promises."""

import numpy as np
import polars as pl
import pytest

from components.contracts.artefacts import Layout
from components.contracts.params import IngestParams, Params, SyntheticSource
from components.data import catalogue, synthetic
from components.data.parquet import write_table
from components.merchandise.feed import Community

SMALL = IngestParams(
    source="synthetic", seed=5, synthetic=SyntheticSource(visitors=60, products=97, weeks=10)
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The synthetic shop in which every third visitor did not consent; (layout, tables)."""
    tables, _ = synthetic.build(SMALL)
    consent = pl.int_range(pl.len()) % 3 != 0
    tables["visitors"] = tables["visitors"].with_columns(consent=consent)
    layout = Layout(tmp_path_factory.mktemp("shop"))
    for name, frame in tables.items():
        write_table(frame, name, layout.tables)
    catalogue.run(Params(), layout)
    return layout, tables


def test_a_release_holds_reviews_of_consenting_visitors_alone(shop):
    layout, tables = shop
    kept = pl.read_parquet(layout.artefact("catalogue") / "reviews.parquet")
    consents = set(tables["visitors"].filter(pl.col("consent"))["visitor_id"])
    written = tables["reviews"]
    assert 0 < kept.height < written.height
    assert set(kept["visitor_id"]) <= consents
    expected = written.filter(pl.col("visitor_id").is_in(list(consents)))
    short = (
        expected.group_by("product_id").len().filter(pl.col("len") <= catalogue.REVIEWS_A_PRODUCT)
    )
    assert kept.join(short, on="product_id", how="semi").height == short["len"].sum()
    assert kept.group_by("product_id").len()["len"].max() <= catalogue.REVIEWS_A_PRODUCT


def test_without_reviews_a_release_has_none_and_a_feed_is_empty(shop, tmp_path):
    _, tables = shop
    nobody = tables["visitors"].with_columns(consent=pl.lit(False))
    assert catalogue.community(tables["reviews"], nobody).is_empty()
    nothing = Community.load(tmp_path)
    assert len(nothing) == 0
    assert list(nothing.feed({"p": 1.0}, visitor_id="v")) == []


def test_a_feed_prefers_what_one_likes_and_never_repeats_a_product(shop):
    community = Community.load(shop[0].artefacts)
    ids = community.product_ids()
    rng = np.random.default_rng(1)
    liking = dict(zip(ids, rng.random(len(ids)).tolist(), strict=True))
    reader = community.of(ids[0])[0].visitor_id
    found = list(community.feed(liking, visitor_id=reader))
    shown = [r.product_id for r in found]
    assert len(set(shown)) == len(shown) > 10
    assert all(r.visitor_id != reader for r in found)
    half = len(shown) // 2
    liked = [liking[p] for p in shown]
    assert np.mean(liked[:half]) > np.mean(liked[half:])
    loved = {**liking, shown[-1]: 9.0}
    assert next(community.feed(loved, visitor_id=reader)).product_id == shown[-1]


def test_ones_people_come_first_and_whoever_may_not_be_shown_stays_out(shop):
    community = Community.load(shop[0].artefacts)
    liking = dict.fromkeys(community.product_ids(), 0.2)
    plain = list(community.feed(liking, visitor_id=None))
    friend = plain[-1].visitor_id
    near = list(community.feed(liking, visitor_id=None, near={friend}))
    assert near[0].visitor_id == friend
    gone = list(community.feed(liking, visitor_id=None, may_show=lambda r: r.visitor_id != friend))
    assert friend not in {r.visitor_id for r in gone}
    assert {r.product_id for r in plain} >= {r.product_id for r in gone}
    bad = [r.rating for r in plain if r.rating is not None and r.rating <= 2]
    assert bad  # stars decide nothing
