"""Kill the pipeline at random points, run it again, and compare its reports with the ones it had.

    python -m benchmarks.kill_pipeline --kills 5 [--within 600] [--seed 1]

Starts from the checkout as it is: remembers the reports, removes what the pipeline made, starts
`shelfwise flow training`, kills the whole process group after a random number of seconds, and goes
on so. The last run is left to end. Exit 0 if the reports are equal byte by byte.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil

from components.contracts.artefacts import Layout

COMMAND = [sys.executable, "-m", "flows.run", "training"]


def reports(layout: Layout) -> dict[str, str]:
    """Return name to sha256 of the committed reports."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(layout.reports.glob("*.json"))
    }


def running_stage(family: list[psutil.Process]) -> str:
    """Return the stage one of the processes runs, `between stages` if none does."""
    for process in family:
        try:
            words = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if words[-2:-1] == ["stage"]:
            return words[-1]
    return "between stages"


def kill_group(child: "subprocess.Popen[bytes]") -> str:
    """Kill a child and everything it started, its own server included; return the stage hit."""
    family = psutil.Process(child.pid).children(recursive=True)
    stage = running_stage(family)
    for process in [*family, psutil.Process(child.pid)]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    child.wait()
    return stage


def main() -> int:
    """Run the trial; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument(
        "--within", type=float, default=600.0, help="latest kill, in seconds after a start"
    )
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    layout, rng = Layout("."), random.Random(chosen.seed)
    before = reports(layout)
    if not before:
        print("no reports yet: run `make pipeline` first")
        return 2
    for folder in (layout.root / "data", layout.artefacts, layout.root / ".dvc" / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    for number in range(chosen.kills):
        wait = rng.uniform(5.0, chosen.within)
        child = subprocess.Popen(
            COMMAND, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.2)
        if child.poll() is not None:
            print(f"kill {number + 1}: the run had ended by itself (exit {child.returncode})")
            continue
        stage = kill_group(child)
        print(f"kill {number + 1}: after {wait:.0f} s, in {stage}", flush=True)
    code = subprocess.run(COMMAND, check=False).returncode
    after = reports(layout)
    different = sorted(name for name in before | after if before.get(name) != after.get(name))
    print(f"last run: exit {code}; reports that differ: {different or 'none'}")
    return 0 if code == 0 and not different else 1


if __name__ == "__main__":
    sys.exit(main())
