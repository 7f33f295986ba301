"""A sweep of parameters through DVC's queue, and a page that compares what came of it.

    python -m benchmarks.sweep --set train_ranker.trees=20,60 --set train_sasrec.width=16,32

Every combination is one `dvc exp run --queue -S section.key=value ...`; `dvc queue start` runs them
one after the other, each in a folder of DVC's own, and each runs only the stages that its change
touches. Sections of `params.yaml` are named as the stages. The page is `var/sweep.html`, the rows
`var/sweep.json`; `dvc exp apply NAME` takes a run over. Without `--root` it is tried on the
synthetic shop in a temporary copy of the checkout, whose line is run first.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.deployments import TrialError
from components.contracts.artefacts import write_json
from components.stages.experiments import METRICS, Run, compare, write_page


def dvc(root: Path, *words: str) -> str:
    """Run a DVC command in a checkout; return what it wrote.

    Raises:
        TrialError: it failed.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",  # each run imports the code of its own folder
        "DVC_SITE_CACHE_DIR": str(root / "var" / "dvc"),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=root, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise TrialError(f"dvc {' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def combinations(wanted: list[str]) -> list[dict[str, str]]:
    """Return every combination of `section.key=a,b` settings.

    >>> combinations(["a.x=1,2", "b.y=3"])
    [{'a.x': '1', 'b.y': '3'}, {'a.x': '2', 'b.y': '3'}]
    """
    names = [text.partition("=")[0] for text in wanted]
    values = [text.partition("=")[2].split(",") for text in wanted]
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*values)]


def report_at(root: Path, revision: str, name: str) -> dict[str, Any]:
    """Return a report as an experiment's commit holds it; empty if it has none."""
    done = subprocess.run(
        ["git", "show", f"{revision}:reports/{name}"], cwd=root, capture_output=True, text=True
    )
    return json.loads(done.stdout) if done.returncode == 0 else {}


def experiments(root: Path) -> dict[str, str]:
    """Return the experiments of the present commit: name to revision."""
    lines = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    found = {}
    for line in lines:
        name, _, revision = line.partition(" ")
        if name and name.split("/")[2] not in ("celery", "exec", "temp"):
            found[name.split("/")[-1]] = revision
    return found


def sweep(root: Path, wanted: list[str], out: Path) -> list[dict[str, Any]]:
    """Queue, run and compare; return the rows.

    Raises:
        TrialError: a run failed.
    """
    chosen = combinations(wanted)
    prefix = f"sweep-{int(time.time()) % 10**6}"
    for number, changes in enumerate(chosen):
        words = [word for name, value in changes.items() for word in ("-S", f"{name}={value}")]
        dvc(root, "exp", "run", "--queue", "-n", f"{prefix}-{number}", *words)
    began = time.monotonic()
    dvc(root, "exp", "run", "--run-all", "-j", "1")
    seconds = (time.monotonic() - began) / len(chosen)
    known = experiments(root)
    base = Run("base", {}, {file: report_at(root, "HEAD", file) for file, _ in METRICS})
    runs = []
    for number, changes in enumerate(chosen):
        name = f"{prefix}-{number}"
        if name not in known:
            raise TrialError(f"{name} ({changes}) left no result: `dvc queue logs {name}` says why")
        reports = {file: report_at(root, known[name], file) for file, _ in METRICS}
        runs.append(Run(name, changes, reports, seconds))
    rows = compare(runs, base)
    first = [row for row in rows if row["metric"] == METRICS[0][1] and row["run"] != "base"]
    best = max(first, key=lambda row: row["value"])["run"] if first else runs[0].name
    said = dvc(root, "metrics", "diff", "HEAD", best, "--targets",
               "reports/p1_next_basket.json", "reports/p4_cold_products.json")  # fmt: skip
    write_page(out, rows, said=f"$ dvc metrics diff HEAD {best}\n{said}")
    write_json(out.with_suffix(".json"), {"rows": rows, "best": best, "metrics_diff": said})
    return rows


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=A,B")
    parser.add_argument("--root", type=Path, help="a checkout whose line was run and committed")
    parser.add_argument("--out", type=Path, default=Path("var/sweep.html"))
    given = parser.parse_args()
    wanted = given.set or ["train_ranker.trees=10,40", "train_sasrec.width=16,32"]
    out = given.out.resolve()
    if given.root:
        rows = sweep(given.root.resolve(), wanted, out)
    else:
        from benchmarks.replay_clone import make_origin

        with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
            made = Path(folder).resolve() / "origin"
            made.mkdir()
            rows = sweep(make_origin(made), wanted, out)
    for row in rows:
        changed = " ".join(f"{k}={v}" for k, v in row["changed"].items()) or "base"
        print(
            f"{row['report']} {row['metric']} {row['value']:.4f} {row['difference']:+.4f} {changed}"
        )
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
