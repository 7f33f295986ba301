"""Protocol P7: conversations, attacks and simulated shoppers, written to reports/p7_assistant.json.

The development conversations and those kept apart are of this repository; the evaluation suite is
run too where SHELFWISE_ASSISTANT_SUITE names its folder. `first_try` is what each half scored when
it was run for the first time, before anything was changed because of it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.assistant_simulator import run as simulate
from components.contracts.artefacts import write_json
from tests.golden.dialogue_checks import Shop, conversations, run_conversation

FOLDER = Path("tests/golden/dialogues")
HALVES = {
    "develop": ("home_develop", "grocery_develop"),
    "apart": ("home_apart", "grocery_apart"),
    "later": ("home_later", "grocery_later", "market_later"),
    "talk": ("grocery_talk",),
    "bazaar_develop": ("bazaar_develop",),
    "bazaar_apart": ("bazaar_apart",),
    "parade_develop": ("parade_develop",),
    "parade_apart": ("parade_apart",),
}
REPEAT = 4


def own_rows() -> list[dict[str, Any]]:
    """Run the repository's conversations; one row per half."""
    first = json.loads((FOLDER / "first_try.json").read_text(encoding="utf-8"))
    rows = []
    for half, names in HALVES.items():
        passed = []
        for name in names:
            shop = Shop(FOLDER / name)
            for conversation in conversations(FOLDER / name):
                passed.append([not run_conversation(shop, conversation) for _ in range(REPEAT)])
        rows.append(
            {
                "model": "assistant",
                "shipped": True,
                "slice": f"own:{half}",
                "n": len(passed),
                "pass@1": round(sum(map(sum, passed)) / (REPEAT * len(passed)), 6),
                f"pass^{REPEAT}": round(sum(map(all, passed)) / len(passed), 6),
                "first_try_passed": first[half]["passed"],
                "first_try": round(first[half]["passed"] / first[half]["conversations"], 6),
            }
        )
    return rows


def suite_rows(suite: Path) -> list[dict[str, Any]]:
    """Run the evaluation suite's grader on its conversations and attacks."""
    target = "tests.harness.assistant:AssistantUnderTest"
    grader = [sys.executable, str(suite / "grade.py"), "--suite", str(suite / "dev")]
    with tempfile.TemporaryDirectory() as folder:
        out, attacks = Path(folder) / "s.json", Path(folder) / "a.json"
        run = [*grader, "--target", target, "--quiet"]
        subprocess.run([*run, "--repeat", str(REPEAT), "--json", str(out)], check=False)
        text = str(suite / "attacks.txt")
        subprocess.run([*run, "--attacks", text, "--json", str(attacks)], check=False)
        found, held = json.loads(out.read_text()), json.loads(attacks.read_text())
    rows = [
        {
            "model": "assistant",
            "shipped": True,
            "slice": f"suite:{name}",
            "n": values["conversations"],
            "pass@1": values["pass1"],
            f"pass^{REPEAT}": values["pass_k"],
        }
        for name, values in sorted(found["phenomena"].items())
    ]
    rows.append(
        {
            "model": "assistant",
            "shipped": True,
            "slice": "suite:attacks",
            "n": held["attacks"],
            "held": held["held"],
        }
    )
    return rows


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/p7_assistant.json"))
    out = parser.parse_args().out
    rows = own_rows()
    suite = os.environ.get("SHELFWISE_ASSISTANT_SUITE")
    if suite:
        rows.extend(suite_rows(Path(suite)))
    for row in simulate([FOLDER / "home_develop", FOLDER / "grocery_develop"]):
        rows.append({**row, "shipped": row["model"] == "assistant"})
    report = {
        "protocol": "P7",
        "dataset": "own conversations (five shops), evaluation suite, simulated shoppers",
        "split": " | ".join(HALVES),
        "cut_off": None,
        "n": sum(row["n"] for row in rows),
        "seed": [1, 2, 3, 4, 5],
        "rows": rows,
    }
    write_json(out, report)


if __name__ == "__main__":
    main()
