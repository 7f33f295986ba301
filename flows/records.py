"""What flows leave behind: artefacts in Prefect, and lines in `var/` that outlive its database.

`var/runs.jsonl` has one line per flow run with its state, cost and message; `var/alerts.jsonl` one
per run that failed, crashed or was cancelled. The operations page reads both.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from components.registry.store import Release
from flows.environment import ROOT

RUNS = "runs.jsonl"
ALERTS = "alerts.jsonl"
PERSONAL = ("visitor_id",)


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one JSON line in a single write, so that writers at once do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def remember(flow: Any, run: Any, state: Any) -> None:
    """Hook: keep one line about a run that ended."""
    started = run.start_time
    ended = datetime.now(UTC)
    append_line(
        ROOT / "var" / RUNS,
        {
            "flow": flow.name,
            "run": run.name,
            "run_id": str(run.id),
            "started": started.isoformat(timespec="seconds") if started else None,
            "ended": ended.isoformat(timespec="seconds"),
            "seconds": round((ended - started).total_seconds(), 1) if started else None,
            "state": state.name,
            "message": state.message,
            "parameters": {k: v for k, v in run.parameters.items() if k not in PERSONAL},
        },
    )


def alert(flow: Any, run: Any, state: Any) -> None:
    """Hook: raise the hand when a run failed, crashed or was cancelled."""
    remember(flow, run, state)
    append_line(
        ROOT / "var" / ALERTS,
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "flow": flow.name,
            "run": run.name,
            "state": state.name,
            "message": state.message,
            "advice": f"`shelfwise flow {flow.name}` runs it again; see var/log/ for its output.",
        },
    )


def recorded() -> dict[str, Any]:
    """Return the hooks that every flow carries."""
    return {
        "on_completion": [remember],
        "on_failure": [alert],
        "on_crashed": [alert],
        "on_cancellation": [alert],
    }


def publish(key: str, markdown: str, *, description: str | None = None) -> None:
    """Publish a page as an artefact of the run; `key` in lower case with dashes."""
    create_markdown_artifact(markdown=markdown, key=key, description=description)


def publish_table(key: str, rows: Sequence[Mapping[str, Any]], *, description: str) -> None:
    """Publish rows as a table artefact; none if there are no rows."""
    if rows:
        create_table_artifact(table=[dict(row) for row in rows], key=key, description=description)


def publish_link(key: str, path: Path, text: str) -> None:
    """Publish a link to a file of this checkout."""
    if path.is_file():
        create_link_artifact(link=path.resolve().as_uri(), link_text=text, key=key)


def publish_costs(ran: Sequence[str]) -> None:
    """Publish what each stage cost when it last ran, and which ones ran now."""
    try:
        timings = json.loads((ROOT / "var" / "timings.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        timings = {}
    rows = [
        {"stage": name, "ran now": "yes" if name in ran else "", **cost}
        for name, cost in timings.items()
    ]
    publish_table("stages", rows, description="Wall seconds and peak memory of the last runs")


def publish_releases(champion: Release, bento: str) -> None:
    """Publish the champion with its headline figures, and links to the reports."""
    rows = [{"figure": name, "value": value} for name, value in sorted(champion.metrics.items())]
    rows += [
        {"figure": "release", "value": champion.release_id},
        {"figure": "bento", "value": bento},
    ]
    publish_table("champion", rows, description=f"Champion {champion.release_id}")
    for name in ("validation.html", "monitoring.html", "p1_next_basket.json"):
        path = ROOT / "reports" / name
        publish_link(f"report-{path.stem.replace('_', '-')}", path, name)
    get_run_logger().info("champion %s %s", champion.release_id, bento)


def redact(parameters: Mapping[str, Any]) -> None:
    """Overwrite parameters of the present run and of its tasks in the orchestrator's database."""
    run_id = flow_run.get_id()
    if run_id is None:
        return
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run_id), parameters=dict(parameters))


def git_commit(root: Path) -> str:
    """Return the commit of the checkout, with `+` when tracked files differ; empty without git."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude", "*"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""
