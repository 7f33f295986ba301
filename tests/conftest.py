"""What all tests share: telemetry off, and what a machine must have to run a test."""

import logging
import os
import shutil
from pathlib import Path

import pytest

for name, value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "BENTOML_DO_NOT_TRACK": "True",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(name, value)


def missing(what: str, message: str) -> None:
    """Skip, or fail where SHELFWISE_REQUIRE says that `what` must be there."""
    required = os.environ.get("SHELFWISE_REQUIRE", "").split(",")
    (pytest.fail if what in required else pytest.skip)(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium to drive."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium", "Chromium is not installed")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def bench_data() -> Path:
    """Folder of the benchmark data."""
    folder = os.environ.get("SHELFWISE_BENCH_DATA")
    if not folder or not Path(folder).is_dir():
        missing("bench_data", "SHELFWISE_BENCH_DATA names no folder; benchmark data is absent")
    assert folder is not None
    return Path(folder)


@pytest.fixture(autouse=True)
def own_loggers_speak():
    """Undo what a server's logging setup in this process did to loggers that were there before."""
    for name, logger in logging.root.manager.loggerDict.items():
        ours = name.startswith(("components", "flows", "bentos", "ui"))
        if ours and isinstance(logger, logging.Logger):
            logger.disabled = False
