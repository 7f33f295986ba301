"""What was accepted once is kept: rewritten, lost, moved and added rows are seen."""

import numpy as np
import polars as pl
import pytest

from components.contracts.params import IngestParams, SyntheticSource, ValidateParams
from components.data import synthetic
from components.data.parquet import write_table
from components.validation.data_docs import file_name, write_data_docs
from components.validation.kept import compare_sample, make_sample
from components.validation.mutate import failures
from components.validation.plain import PlainJudge
from components.validation.profile import is_batch, make_profile, write_profile
from components.validation.suites import _Suites, validate_folder, validate_tables

SIZE = SyntheticSource(visitors=120, products=96, weeks=12)
LIMITS = ValidateParams()


@pytest.fixture(scope="module")
def shop():
    tables, _ = synthetic.build(IngestParams(source="synthetic", seed=3, synthetic=SIZE))
    return tables


@pytest.fixture(scope="module")
def profile(shop):
    return make_profile(shop)


def judged(tables, profile):
    return failures(validate_tables(tables, LIMITS, before=profile, judge=PlainJudge()))


def among(frame, column, share, seed=1):
    """Permute a column among a share of the rows: every distribution stays as it was."""
    random = np.random.default_rng(seed)
    order = np.arange(frame.height)
    hit = random.choice(frame.height, max(2, round(share * frame.height)), replace=False)
    order[hit] = np.roll(order[hit], 1)
    return frame.with_columns(frame[column].gather(order))


@pytest.mark.parametrize(
    ("table", "column", "share"),
    [("events", "price_minor", 0.02), ("events", "place", 0.02), ("products", "category", 0.2),
     ("products", "title", 0.2), ("events", "discount_minor", 0.02)],
)  # fmt: skip
def test_values_exchanged_among_rows_block(shop, profile, table, column, share):
    if shop[table][column].n_unique() < 2:
        pytest.skip(f"{column} has one value in this shop")
    found = judged(dict(shop) | {table: among(shop[table], column, share)}, profile)
    assert f"{table}.rows_unchanged" in found["block"]


def test_a_count_that_was_never_filled_is_not_filled_from_the_future(profile, shop):
    silent = dict(shop) | {"products": shop["products"].with_columns(rating_count=pl.lit(0))}
    before = make_profile(silent)
    filled = silent["products"].with_columns(rating_count=pl.int_range(pl.len()) % 4)
    found = judged(silent | {"products": filled}, before)
    assert "products.rating_count_steady" in found["block"]
    assert judged(silent, before)["block"] == []


def test_a_corrected_title_is_a_remark_at_most(shop, profile):
    first = pl.col("product_id") == shop["products"]["product_id"][0]
    better = shop["products"].with_columns(
        pl.when(first).then(pl.lit("A better title")).otherwise(pl.col("title")).alias("title")
    )
    assert judged(dict(shop) | {"products": better}, profile)["block"] == []


def test_lost_rows_block_and_a_forgotten_visitors_do_not(shop, profile):
    events = shop["events"]
    thinned = events.filter(pl.int_range(pl.len()) % 50 != 7)
    assert "events.rows_kept" in judged(dict(shop) | {"events": thinned}, profile)["block"]
    gone = events["visitor_id"].value_counts().sort("count", "visitor_id")["visitor_id"][0]
    forgotten = {
        name: frame.filter(pl.col("visitor_id") != gone) if "visitor_id" in frame.columns else frame
        for name, frame in shop.items()
    }
    sample = make_sample("events", events)
    (kept,) = (
        m
        for m in compare_sample(
            "events", forgotten["events"], sample, visitors=forgotten["visitors"]["visitor_id"]
        )
        if m.name == "rows_kept"
    )
    assert kept.value == 0.0


def test_rows_set_aside_are_not_lost_as_well(shop, profile):
    events = shop["events"].with_row_index("n")
    price = pl.when(pl.col("n") % 100 == 0).then(-5).otherwise(pl.col("price_minor"))
    broken = events.with_columns(price.alias("price_minor")).drop("n")
    found = judged(dict(shop) | {"events": broken}, profile)
    assert "events.rows_kept" not in found["block"]
    assert "events.price_plausible" in found["quarantine"]


def test_orders_delivered_again_within_a_minute_block_without_a_profile(shop):
    bought = shop["events"].filter(pl.col("order_id").is_not_null())
    orders = bought["order_id"].unique().sort().gather_every(50)
    again = bought.filter(pl.col("order_id").is_in(orders.implode())).with_columns(
        pl.col("event_id") + "-2", pl.col("order_id") + "-2", pl.col("session_id") + "-2",
        pl.col("at") + pl.duration(seconds=20),
    )  # fmt: skip
    tables = dict(shop) | {"events": pl.concat([shop["events"], again])}
    assert "events.not_again_within_1_min" in judged(tables, None)["block"]


def test_one_whole_week_is_a_batch_and_a_torn_one_is_not(shop, profile, tmp_path):
    events = shop["events"]
    week = events.filter(pl.col("week") == 6)
    assert is_batch(week, profile)
    assert not is_batch(week.head(week.height // 2), profile)
    assert not is_batch(events.filter(pl.col("week") <= 6), profile)
    assert not is_batch(events.clear(), profile)
    for name, frame in (dict(shop) | {"events": week}).items():
        write_table(frame, name, tmp_path / "week")
    (tmp_path / "accepted").mkdir()
    write_profile(tmp_path / "accepted", profile)
    code = validate_folder(tmp_path / "week", tmp_path / "R.json", accepted=tmp_path / "accepted")
    assert code == 0
    assert '"a batch of a week or two"' in (tmp_path / "R.json").read_text()


def test_data_docs_lead_nowhere_outside(shop, tmp_path):
    suites = _Suites()
    broken = dict(shop) | {"variants": shop["variants"].with_columns(pl.lit(-5).alias("stock"))}
    validate_tables(broken, LIMITS, judge=suites)
    write_data_docs(tmp_path / "docs", suites.results)
    pages = sorted((tmp_path / "docs").glob("*.html"))
    assert len(pages) == len(suites.results) + 1
    for page in pages:
        said = page.read_text(encoding="utf-8")
        assert "//" not in said.replace("<!--", ""), page.name
        assert "<script" not in said
    rows = (tmp_path / "docs" / file_name("variants: rows")).read_text(encoding="utf-8")
    assert "stock_not_negative" in rows
    index = (tmp_path / "docs" / "data_docs.html").read_text(encoding="utf-8")
    assert all(page.name in index for page in pages if page.name != "data_docs.html")
