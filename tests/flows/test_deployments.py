"""Scheduled, on-demand and event runs on a real server and worker, on the synthetic shop."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
import yaml

from benchmarks.deployments import as_table, trial
from tests.pipeline.conftest import copy_checkout

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = copy_checkout(tmp_path_factory.mktemp("deployments"))
    checkout.set_params({"pretrain": {"steps": 5}, "finetune": {"steps": 5}})
    return checkout.root


@pytest.fixture(scope="module")
def seen(root: Path) -> dict[str, Any]:
    return trial(root, minutes=20)


def run_of(seen: dict[str, Any], flow: str, by: str) -> dict[str, Any]:
    (run,) = (r for r in seen["runs"] if (r["flow"], r["by"]) == (flow, by))
    return run


def test_every_deployment_is_there_with_its_schedule(seen, root):
    described = yaml.safe_load((root / "prefect.yaml").read_text())["deployments"]
    assert set(seen["deployments"]) == {
        "training", "release", "monitoring", "data", "feedback", "scoring", "forget",
    }  # fmt: skip
    for entry in described:
        flow = entry["entrypoint"].split(":")[1]
        crons = [schedule["cron"] for schedule in entry.get("schedules", [])]
        for cron, found in zip(crons, seen["schedules"][flow], strict=True):
            assert f"'{cron}'" in found
    assert seen["limit"] == {"name": "dvc-repro", "limit": 1}


@pytest.mark.parametrize(
    ("flow", "by"),
    [
        ("training", "schedule"),
        ("monitoring", "schedule"),
        ("data", "on demand"),
        ("training", "event"),
    ],
)
def test_run_completes_and_leaves_tables_pages_and_links(seen, flow, by):
    run = run_of(seen, flow, by)
    assert run["type"] == "COMPLETED"
    kinds = {value["type"] for value in run["artefacts"].values()}
    assert {"table", "link"} <= kinds
    for value in run["artefacts"].values():
        assert value["data"]
        if value["type"] == "link":
            uri = re.search(r"\((.*)\)", value["data"])
            assert uri is not None
            assert Path(unquote(urlparse(uri[1]).path)).is_file()


def test_the_scheduled_training_ran_the_line_and_promoted_its_release(seen, root):
    artefacts = run_of(seen, "training", "schedule")["artefacts"]
    ran = {row["stage"] for row in artefacts["stages"]["data"] if row["ran now"] == "yes"}
    assert {"ingest", "validate", "train_sasrec", "train_ranker", "evaluate", "monitor"} <= ran
    assert "promoted" in artefacts["verdict"]["data"].splitlines()[0]
    figures = {row["figure"]: row["value"] for row in artefacts["champion"]["data"]}
    champion = json.loads((root / "var" / "registry" / "champion.json").read_text())
    assert figures["release"] == champion["release_id"]
    assert figures["bento"].startswith(f"shelfwise:{champion['release_id']}-")
    assert any((root / "var" / "bentoml" / "bentos").iterdir())


def test_the_scheduled_monitoring_compared_two_windows_and_judged_the_week(seen):
    artefacts = run_of(seen, "monitoring", "schedule")["artefacts"]
    columns = {row["column"] for row in artefacts["two-windows"]["data"]}
    assert {"price_minor", "quantity", "category"} <= columns
    assert artefacts["monitoring"]["data"].startswith("# Week ")
    assert {"report-evidently", "report-monitoring", "recent-weeks"} <= set(artefacts)


def test_rows_in_are_rows_kept_and_quarantined(seen):
    rows = run_of(seen, "data", "on demand")["artefacts"]["tables"]["data"]
    assert rows
    for row in rows:
        assert row["rows_in"] == row["rows_kept"] + row["rows_quarantined"], row


def test_the_drift_event_started_a_training_that_had_nothing_to_do(seen):
    run = run_of(seen, "training", "event")
    assert run["parameters"]["reason"] == "drift detected"
    assert all(row["ran now"] == "" for row in run["artefacts"]["stages"]["data"])


def test_nothing_failed_and_nothing_was_left_running(seen, root):
    assert seen["left"] == []
    assert not (root / "var" / "alerts.jsonl").exists()
    lines = (root / "var" / "runs.jsonl").read_text().splitlines()
    assert {json.loads(line)["state"] for line in lines} == {"Completed"}
    assert as_table(seen).count("Completed") == len(seen["runs"])
