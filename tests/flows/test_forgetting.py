"""A forgotten visitor leaves the tables by the next training or data flow, and only then."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from prefect import flow

from components.contracts.artefacts import Layout
from components.contracts.errors import SourceError
from components.state.store import Store
from flows.forget_flow import forget
from flows.forgetting import forgotten_in_data, repro_without_forgotten

pytestmark = pytest.mark.slow
INGEST = """
from pathlib import Path
from components.contracts.artefacts import Layout
from components.contracts.params import load_params
from components.data.ingest import run
run(load_params(Path("params.yaml")), Layout("."))
"""
COUNT = """
import polars as pl
visitors = pl.read_parquet("data/ingested/events.parquet")["visitor_id"].n_unique()
open("visitors.txt", "w").write(str(visitors))
"""
STAGES = """
stages:
  ingest:
    cmd: {python} ingest.py
    params: [ingest]
    outs: [data/ingested]
  count:
    cmd: {python} count.py
    deps: [data/ingested]
    outs: [visitors.txt]
"""


@flow
def pipeline() -> list[str]:
    return repro_without_forgotten()


@pytest.fixture
def shop(project: Path) -> Path:
    """The synthetic shop, ingested by the real stage under a real `dvc.yaml`."""
    (project / "ingest.py").write_text(INGEST)
    (project / "count.py").write_text(COUNT)
    (project / "dvc.yaml").write_text(STAGES.format(python=sys.executable))
    assert pipeline() == ["ingest", "count"]
    return project


def visitors(root: Path) -> set[str]:
    return set(pl.read_parquet(root / "data" / "ingested" / "events.parquet")["visitor_id"])


def test_nobody_forgotten_runs_nothing_and_leaves_the_lock_alone(shop):
    lock = (shop / "dvc.lock").read_bytes()
    assert pipeline() == []
    (shop / "var" / "forgotten.json").write_text(json.dumps({"salt": "00", "forgotten": {}}))
    assert pipeline() == []
    forget("a visitor whom the tables do not know")
    assert pipeline() == []
    assert (shop / "dvc.lock").read_bytes() == lock


def test_a_forgotten_visitor_leaves_the_tables_once_and_stays_away(shop):
    before = (shop / "dvc.lock").read_text()
    gone, *others = sorted(visitors(shop))
    store = Store(f"sqlite:///{shop / 'var' / 'state.db'}")
    store.preference_set(gone, "brand", "x")
    store.close()
    assert forget(gone, return_state=True).is_completed()
    assert forgotten_in_data(Layout(shop)) == 1
    assert pipeline() == ["ingest", "count"]
    assert visitors(shop) == set(others)
    assert (shop / "visitors.txt").read_text() == str(len(others))
    assert forgotten_in_data(Layout(shop)) == 0
    assert pipeline() == []
    # Tables from before the request, as a person or a remote may bring them back.
    (shop / "dvc.lock").write_text(before)
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q", "-f"], cwd=shop, check=True)
    assert gone in visitors(shop)
    assert pipeline()[0] == "ingest"
    assert visitors(shop) == set(others)


def test_damaged_tombstones_stop_the_flow(shop):
    (shop / "var" / "forgotten.json").write_text('{"salt"')
    with pytest.raises(SourceError, match="damaged"):
        pipeline()
