"""One Prefect server for all flow tests, and a tiny project whose pipeline is one DVC stage."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = ("dvc_tasks", "training_flow", "release_flow", "data_flow", "records", "scoring_flow",
           "forget_flow", "forgetting", "feedback_flow", "monitoring_flow")  # fmt: skip

STAGE = """
stages:
  numbers:
    cmd: {python} make.py
    deps: [make.py]
    outs: [numbers.txt]
"""


@pytest.fixture(scope="session")
def prefect_server():
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch, prefect_server) -> Path:
    """A checkout with DVC, one stage, and its own `var/`; all flows are pointed at it."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "var" / "dvc"))
    for name in MODULES:
        monkeypatch.setattr(importlib.import_module(f"flows.{name}"), "ROOT", tmp_path)
    (tmp_path / "params.yaml").write_text("ingest: {source: synthetic}\n")
    (tmp_path / "make.py").write_text("open('numbers.txt', 'w').write('1 2 3')\n")
    (tmp_path / "dvc.yaml").write_text(STAGE.format(python=sys.executable))
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True
    )
    return tmp_path
