"""The suites: clean data pass and keep every row, faults are set aside or block with a message."""

import json

import polars as pl
import pytest

from components.contracts.artefacts import Layout
from components.contracts.errors import ValidationBlockedError
from components.contracts.params import (
    IngestParams,
    MutateParams,
    Params,
    SyntheticSource,
    ValidateParams,
)
from components.data import ingest, synthetic
from components.data.parquet import read_table
from components.validation.checks import structure
from components.validation.faults import CATALOGUE, by_name
from components.validation.mutate import failures, inject
from components.validation.page import render
from components.validation.plain import PlainJudge
from components.validation.profile import compare, is_same_shop, make_profile, psi
from components.validation.suites import run, validate_folder, validate_tables

SIZE = SyntheticSource(visitors=60, products=96, weeks=8)
PARAMS = Params(ingest=IngestParams(source="synthetic", seed=5, synthetic=SIZE))
LIMITS = ValidateParams()


@pytest.fixture(scope="module")
def shop():
    tables, _ = synthetic.build(PARAMS.ingest)
    return tables


@pytest.fixture(scope="module")
def profile(shop):
    return make_profile(shop)


def test_clean_tables_pass_whole(shop, profile):
    outcome = validate_tables(shop, LIMITS, before=profile, judge=PlainJudge())
    assert failures(outcome) == {"block": [], "quarantine": [], "warn": []}
    assert outcome.report["status"] == "passed"
    assert all(outcome.tables[name].height == frame.height for name, frame in shop.items())


def test_great_expectations_and_the_plain_judge_agree(shop, profile):
    broken = by_name("stock_negative").apply(dict(shop), 0.01, _random())
    broken = by_name("new_event_kind").apply(broken, 0.2, _random())
    by_gx = validate_tables(broken, LIMITS, before=profile)
    plain = validate_tables(broken, LIMITS, before=profile, judge=PlainJudge())
    assert by_gx.report == plain.report
    assert by_gx.blocked_by == plain.blocked_by


def _random():
    import numpy as np

    return np.random.default_rng(1)


def test_rows_in_are_rows_kept_and_rows_set_aside_with_their_reason(shop, profile):
    broken = by_name("copied_rows").apply(dict(shop), 0.01, _random())
    outcome = validate_tables(broken, LIMITS, before=profile, judge=PlainJudge())
    aside = outcome.quarantine["events"]
    assert outcome.tables["events"].height + aside.height == broken["events"].height
    assert outcome.tables["events"].height == shop["events"].height
    assert aside["reason"].str.contains("not_a_copy").all()


def test_conflicting_rows_of_one_key_are_all_set_aside(shop):
    first = shop["products"].head(1)
    clash = first.with_columns(pl.lit("Something else").alias("title"))
    broken = dict(shop) | {"products": pl.concat([shop["products"], clash])}
    outcome = validate_tables(broken, LIMITS, judge=PlainJudge())
    aside = outcome.quarantine["products"]
    assert aside["product_id"].to_list() == [first["product_id"][0]] * 2
    assert set(aside["reason"]) == {"key_not_reused"}


@pytest.mark.parametrize(
    "name",
    ["currency_mixed_in_products", "paid_in_other_unit", "times_in_the_future", "ranks_from_zero",
     "column_renamed", "products_lost", "time_zone_lost", "visitors_shuffled",
     "reviews_from_the_future", "optional_column_renamed", "target_copied_into_history"],
)  # fmt: skip
def test_faults_are_caught_at_their_full_strength(shop, profile, name):
    rows = inject(by_name(name), shop, profile, LIMITS, MutateParams(seed=7), {})
    assert rows[-1]["caught"], rows[-1]
    assert rows[-1]["by"]


def test_the_catalogue_is_broad_and_its_names_are_unique():
    names = [fault.name for fault in CATALOGUE]
    assert len(set(names)) == len(names) >= 30
    assert {"key", "money", "time", "leak", "text", "volume", "behaviour", "schema"} <= {
        fault.group for fault in CATALOGUE
    }


def test_new_column_is_a_remark_and_is_left_out(shop, profile):
    wider = dict(shop) | {"events": shop["events"].with_columns(channel=pl.lit("app"))}
    outcome = validate_tables(wider, LIMITS, before=profile, judge=PlainJudge())
    assert outcome.blocked_by == []
    assert outcome.report["status"] == "passed with remarks"
    assert "channel" not in outcome.tables["events"].columns


def test_a_blocking_message_names_expectation_observation_and_sample(shop):
    broken = by_name("currency_mixed_in_products").apply(dict(shop), 0.2, _random())
    outcome = validate_tables(broken, LIMITS, judge=PlainJudge())
    message = next(m for m in outcome.blocked_by if m.startswith("products: "))
    assert "quarantined_share" in message
    assert "expected at most 0.05" in message


def test_stage_writes_tables_quarantine_profile_and_the_same_report_twice(tmp_path):
    layout = Layout(tmp_path)
    ingest.run(PARAMS, layout)
    run(PARAMS, layout)
    first = (layout.reports / "validation.json").read_bytes()
    assert json.loads(first)["status"] == "passed"
    assert (layout.tables / "profile.json").is_file()
    assert (layout.quarantine / "quarantine.json").is_file()
    events = read_table("events", layout.tables)
    run(PARAMS, layout)
    assert (layout.reports / "validation.json").read_bytes() == first
    assert read_table("events", layout.tables).equals(events)


def test_stage_blocks_and_leaves_accepted_tables_alone(tmp_path):
    layout = Layout(tmp_path)
    ingest.run(PARAMS, layout)
    run(PARAMS, layout)
    before = (layout.tables / "events.parquet").read_bytes()
    path = layout.ingested / "events.parquet"
    events = pl.read_parquet(path)
    events.with_columns(pl.col("price_minor") * 100).write_parquet(path)
    with pytest.raises(ValidationBlockedError, match="events: expectation"):
        run(PARAMS, layout)
    assert (layout.tables / "events.parquet").read_bytes() == before
    assert json.loads((layout.reports / "validation.json").read_text())["status"] == "blocked"


def test_validate_folder_exits_by_the_verdict(tmp_path, shop):
    for name, frame in shop.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    out = tmp_path / "r.json"
    assert validate_folder(tmp_path, out) == 0
    path = tmp_path / "events.parquet"
    path.write_bytes(path.read_bytes()[:-2000])
    assert validate_folder(tmp_path, out) == 2
    report = json.loads(out.read_text())
    assert report["status"] == "blocked"
    assert "cannot be read as Parquet" in report["blocked_by"][0]
    assert out.with_suffix(".html").is_file()


def test_page_escapes_what_comes_from_data(shop):
    evil = shop["products"].with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("<script>x</script>\ufffd"))
        .otherwise(pl.col("title")).alias("title")
    )  # fmt: skip
    outcome = validate_tables(dict(shop) | {"products": evil}, LIMITS, judge=PlainJudge())
    page = render(outcome.report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page


def test_structure_names_what_is_wrong(shop):
    frame = shop["events"].drop("visitor_id").with_columns(pl.col("week").cast(pl.String))
    named = {m.name: m for m in structure("events", frame)}
    assert named["columns_present"].sample == ("visitor_id",)
    assert "week: text, expected whole number" in named["column_types"].sample
    assert not named["columns_present"].passed


@pytest.mark.parametrize(
    ("expected", "observed", "value"),
    [
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([0.5, 0.5], [0.25, 0.75], 0.274653),
        ([1.0, 0.0], [1.0, 0.0], 0.0),
    ],
)
def test_psi_by_hand(expected, observed, value):
    assert psi(expected, observed) == pytest.approx(value, abs=1e-6)


def test_same_shop_is_told_by_its_products(shop, profile):
    assert is_same_shop(profile, shop["products"])
    other = shop["products"].with_columns(pl.format("z{}", "product_id").alias("product_id"))
    assert not is_same_shop(profile, other)


def test_a_batch_of_one_week_is_not_asked_for_history(shop, profile):
    week = dict(shop) | {"events": shop["events"].filter(pl.col("week") == 4)}
    found = compare(week, profile, max_volume_change=0.5, history=False)
    assert "history_kept" not in {m.name for m in found["events"]}
    found = compare(week, profile, max_volume_change=0.5)
    assert not next(m for m in found["events"] if m.name == "history_kept").passed
