"""A temporary clone of the checkout on the synthetic shop, with the whole line run once."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SMALL: dict[str, dict[str, object]] = {
    "ingest": {"source": "synthetic"},
    "split": {"valid_from_week": None, "test_from_week": None, "min_purchases": 3},
    "mutate": {"strengths": 1},
    "pretrain": {"init": "scratch", "width": 32, "vocabulary": 800, "steps": 20},
    "finetune": {"steps": 20, "batch_size": 16},
    "train_sasrec": {"width": 16, "epochs": 2, "max_events": 50, "seconds": 30.0},
    "train_ranker": {"trees": 20, "windows": 2, "svd_dimensions": 8, "neighbours": 20},
    "train_classifier": {"utterances": 400},
    "train_promotions": {"trees": 30, "bootstrap": 60},
    "train_launch": {"trees": 30},
    "social": {"shops": 1, "bootstrap": 100},
    "sponsored": {"pages": 400},
    "monitor": {"resamples": 60},
    "evaluate": {"bootstrap": 100, "cold_from_week": 12, "cold_to_week": 18},
}


@dataclass(frozen=True)
class Checkout:
    """A checkout of its own, and how to run things in it."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
            "DVC_SITE_CACHE_DIR": str(self.root / "var" / "dvc"),
            "PREFECT_HOME": str(self.root / "var" / "prefect"),
            "BENTOML_HOME": str(self.root / "var" / "bentoml"),
            "OMP_NUM_THREADS": "2",
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        if check and result.returncode != 0:
            pytest.fail(
                f"{' '.join(command)} -> {result.returncode}\n"
                f"{result.stdout[-3000:]}\n{result.stderr[-5000:]}"
            )
        return result

    def set_params(self, changes: dict[str, dict[str, object]]) -> None:
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        for section, values in changes.items():
            unknown = set(values) - set(params[section])
            assert not unknown, f"params.yaml has no {section}: {unknown}"
            params[section].update(values)
        path.write_text(yaml.safe_dump(params, sort_keys=False))


def copy_checkout(target: Path) -> Checkout:
    """Copy the tracked files as they are now, and commit them, since DVC reads git."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in names:
        if (ROOT / name).is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    checkout = Checkout(target)
    checkout.set_params(SMALL)
    checkout.run("git", "init", "-q", "-b", "main")
    checkout.run("git", "add", "-A")
    checkout.run(
        "git",
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "commit",
        "-q",
        "-m",
        "start",
    )
    return checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The line, run once from raw data to reports."""
    made = copy_checkout(tmp_path_factory.mktemp("checkout"))
    made.run("dvc", "repro")
    return made
