"""Run every protocol that is no part of the pipeline: `make bench`.

`benchmarks/dvc.yaml` (injected faults, auctions on a made-up shop) needs the accepted tables only.
The others need data of their own, read from the folder that SHELFWISE_BENCH_DATA names. Each of
these is one `shelfwise bench` command, so that a reader can run just one.
"""

import os
import subprocess
import sys
from pathlib import Path

PIPELINE = [sys.executable, "-m", "dvc", "repro", "benchmarks/dvc.yaml"]
SHELFWISE = [sys.executable, "-m", "components.cli", "bench"]


def commands(data: Path) -> dict[str, list[str]]:
    """Return the command of each protocol with data of its own, by the name of its report."""
    beauty, chorus = data / "amazon_beauty", data / "chorus_electronics"
    return {
        "p2_sequences": [
            *SHELFWISE, "sequences", "--interactions", str(beauty / "interactions.parquet"),
            "--items", str(beauty / "items.parquet"), "--out", "reports/p2_sequences.json",
        ],
        "p3_search": [
            *SHELFWISE, "search", "--products", str(chorus / "products.parquet"),
            "--judgements", str(chorus / "judgments.csv.gz"), "--out", "reports/p3_search.json",
        ],
        "p6_ratings": [
            *SHELFWISE, "ratings",
            "--reviews", str(data / "amazon_music_reviews" / "reviews.parquet"),
            "--out", "reports/p6_ratings.json",
        ],
    }  # fmt: skip


def main() -> int:
    """Run all protocols that can be run here; return 1 if one failed."""
    folder = os.environ.get("SHELFWISE_BENCH_DATA", "")
    wanted = {"p9_validation, sponsored": PIPELINE}
    if folder and Path(folder).is_dir():
        wanted |= commands(Path(folder))
    else:
        print("SHELFWISE_BENCH_DATA names no folder: protocols with data of their own are left out")
    failed = []
    for name, command in wanted.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    print(f"failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
