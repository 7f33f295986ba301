"""The whole line on the synthetic shop: from its raw data to reports, again, and after a change."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from components.contracts.artefacts import Layout, read_manifest
from components.contracts.params import load_params
from components.stages.evaluate import measured_now
from tests.pipeline.conftest import Checkout

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def report_hashes(root: Path) -> dict[str, str]:
    files = sorted((root / "reports").glob("*.json"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_reports_have_intervals_and_one_shipped_row_per_slice(checkout: Checkout):
    report = json.loads((checkout.root / "reports" / "p1_next_basket.json").read_text())
    by_slice: dict[str, list[dict]] = {}
    for row in report["rows"]:
        by_slice.setdefault(row["slice"], []).append(row)
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
    assert {"all", "repeat", "novel"} <= set(by_slice)
    for name, rows in by_slice.items():
        assert sum(bool(row.get("shipped")) for row in rows) == 1, name
    assert {"popularity", "own_frequency", "own_frequency_decay", "item_knn"} <= {
        row["model"] for row in by_slice["all"]
    }


def test_a_release_measured_anew_on_its_own_data_measures_the_same(checkout: Checkout):
    """So may a champion be measured on a later week, for the gate."""
    layout = Layout(checkout.root)
    anew = measured_now(layout.artefacts, load_params(layout.params_file), layout)
    told = pl.read_parquet(layout.artefacts / "evaluate" / "p1_visitors.parquet")
    assert anew.equals(told)
    assert anew["ndcg@10"].std()


def test_slates_agree_with_the_report(checkout: Checkout):
    slates = pl.read_parquet(checkout.root / "artefacts" / "evaluate" / "p1_slates.parquet")
    assert slates.columns[:3] == ["visitor_id", "rank", "product_id"]
    report = json.loads((checkout.root / "reports" / "p1_next_basket.json").read_text())
    assert slates["visitor_id"].n_unique() == report["n"]
    assert not slates.select(pl.struct("visitor_id", "product_id").is_duplicated().any()).item()


def test_every_artefact_verifies(checkout: Checkout):
    manifests = sorted((checkout.root / "artefacts").glob("*/manifest.json"))
    assert len(manifests) >= 5
    for path in manifests:
        read_manifest(path.parent)


def test_rows_in_are_rows_kept_or_quarantined(checkout: Checkout):
    for path in sorted((checkout.root / "data" / "ingested").glob("*.parquet")):
        kept = checkout.root / "data" / "tables" / path.name
        if not kept.exists():
            continue
        away = checkout.root / "data" / "quarantine" / path.name
        quarantined = pl.read_parquet(away).height if away.exists() else 0
        assert pl.read_parquet(path).height == pl.read_parquet(kept).height + quarantined, path.name


def test_nothing_changed_runs_nothing(checkout: Checkout):
    assert "Running stage" not in checkout.run("dvc", "repro").stdout


def test_a_clean_clone_pulls_instead_of_training(checkout: Checkout, tmp_path: Path):
    remote, clone = tmp_path / "remote", Checkout(tmp_path / "clone")
    checkout.run("dvc", "remote", "add", "-q", "--local", "-f", "-d", "store", str(remote))
    checkout.run("dvc", "push", "-q")
    checkout.run("git", "add", "-A")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    checkout.run("git", *identity, "commit", "-q", "--allow-empty", "-m", "what the line made")
    checkout.run("git", "clone", "-q", str(checkout.root), str(clone.root))
    clone.run("dvc", "remote", "add", "-q", "--local", "-d", "store", str(remote))
    clone.run("dvc", "pull", "-q")
    assert "Running stage" not in clone.run("dvc", "repro").stdout
    made = {p.parent.name: read_manifest(p.parent) for p in clone.root.glob("artefacts/*/man*")}
    assert len(made) >= 5
    for name, manifest in made.items():
        assert manifest == read_manifest(checkout.root / "artefacts" / name), name
    assert clone.run("git", "status", "--short").stdout == ""


def test_one_parameter_reruns_only_what_depends_on_it(checkout: Checkout):
    checkout.set_params({"train_ranker": {"trees": 21}})
    text = checkout.run("dvc", "repro", "--dry").stdout
    ran = {line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")}
    checkout.set_params({"train_ranker": {"trees": 20}})
    assert "train_ranker" in ran
    assert not ran & {
        "ingest",
        "validate",
        "catalogue",
        "split",
        "pretrain",
        "finetune",
        "index",
        "train_sasrec",
    }


def test_a_second_run_from_nothing_writes_the_same_reports(checkout: Checkout):
    before = report_hashes(checkout.root)
    checkout.run("dvc", "repro", "--force")
    assert report_hashes(checkout.root) == before
    assert len(before) >= 2
