"""Deployments for real: a local server, a pool, a worker, and every way a run can start.

Starts a Prefect server on a free port with its own home, deploys all of `prefect.yaml`, and brings
the schedules of training and monitoring forward. Waits until both have run by schedule, a data run
on demand, and a training run that a drift event caused through its automation; reads what they left
through the API; stops all it started by pid, also on failure. Works in a temporary copy of the
checkout on the small synthetic shop, or in the checkout given by `--root`.

    python -m benchmarks.deployments [--minutes 15] [--root CHECKOUT] [--out FILE]
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

SOON = timedelta(seconds=15)
STOP_SECONDS = 20
LOG_LINES = 30
# The API keeps a link as Markdown that is nothing but the link.
LINK = re.compile(r"\[[^\]]*\]\([^)]*\)")
SWITCHES = {
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Changed schedules and new runs are seen within seconds.
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "DO_NOT_TRACK": "1",
}


class TrialError(RuntimeError):
    """A run failed or did not come; the message carries its last words."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, ready: Callable[[], Any], until: float) -> Any:
    while time.monotonic() < until:
        found = ready()
        if found:
            return found
        time.sleep(1)
    raise TrialError(f"{what}: not in time")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Stack:
    """Server and worker as children, in a home of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "var" / f"prefect-trial-{os.getpid()}"
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT")},
            **SWITCHES,
            "PYTHONPATH": str(root),
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.url,
            # What runs here keeps its state here, whatever the caller's own homes are.
            "DVC_SITE_CACHE_DIR": str(root / "var" / "dvc"),
            "BENTOML_HOME": str(root / "var" / "bentoml"),
        }
        self.children: list[subprocess.Popen[bytes]] = []
        self.log = (self.home / "stack.log").open("ab")

    def start(self, *words: str) -> None:
        """Start `prefect WORDS` and leave it running."""
        child = subprocess.Popen(
            [sys.executable, "-m", "prefect", *words],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        self.children.append(child)

    def call(self, *words: str) -> None:
        """Run `prefect WORDS` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = f"{done.stdout[-800:]}{done.stderr[-800:]}"
            raise TrialError(f"prefect {' '.join(words)}: {said}")

    def stop(self) -> list[int]:
        """Stop the worker, its runs and the server, by pid; return the pids that would not go."""
        family: list[psutil.Process] = []
        for child in reversed(self.children):
            try:
                process = psutil.Process(child.pid)
                family += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        alive = family
        for end in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for process in alive:
                try:
                    process.send_signal(end)
                except psutil.NoSuchProcess:
                    continue
            _, alive = psutil.wait_procs(alive, timeout=STOP_SECONDS)
        self.log.close()
        return [process.pid for process in alive]

    def last_words(self) -> str:
        """Return the end of what server and worker wrote."""
        lines = (self.home / "stack.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


@contextmanager
def pointed_at(stack: Stack) -> Iterator[None]:
    """Let this process's own client talk to the trial's server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(updates={PREFECT_API_URL: stack.url}):
        yield


def hold_schedules() -> dict[str, dict[str, Any]]:
    """Switch every schedule off, so that only what is asked for runs; return the deployments."""
    from prefect.client.orchestration import get_client

    found: dict[str, dict[str, Any]] = {}
    with get_client(sync_client=True) as client:
        names = {flow.id: flow.name for flow in client.read_flows()}
        for deployment in client.read_deployments():
            found[names[deployment.flow_id]] = {
                "id": deployment.id,
                "name": f"{names[deployment.flow_id]}/{deployment.name}",
                "schedules": [str(s.schedule) for s in deployment.schedules],
            }
            for schedule in deployment.schedules:
                client.update_deployment_schedule(deployment.id, schedule.id, active=False)
    return found


def bring_forward(deployment_id: Any) -> None:
    """Let the deployment's schedule fire once, in a few seconds."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import IntervalSchedule

    with get_client(sync_client=True) as client:
        (schedule,) = client.read_deployment_schedules(deployment_id)
        client.update_deployment_schedule(
            deployment_id,
            schedule.id,
            active=True,
            schedule=IntervalSchedule(
                interval=timedelta(days=1), anchor_date=datetime.now(UTC) + SOON
            ),
        )


def started_by(run: Any) -> str:
    """Return `schedule`, `event` or `on demand`."""
    if run.auto_scheduled:
        return "schedule"
    created = run.created_by
    return "event" if created is not None and created.type == "AUTOMATION" else "on demand"


def ended(deployment_id: Any, by: str, *, known: Collection[str] = ()) -> Any:
    """Return a run of the deployment that was started so and is Completed; None if not yet.

    Args:
        deployment_id: whose runs.
        by: see `started_by`.
        known: names of runs that are not looked at.

    Raises:
        TrialError: it ended otherwise.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        LogFilter,
        LogFilterFlowRunId,
    )

    which = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(deployment_filter=which):
            if run.name in known or started_by(run) != by:
                continue
            if run.state is None or not run.state.is_final():
                continue
            if run.state.is_completed():
                return run
            logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
            said = "\n".join(line.message for line in logs[-LOG_LINES:])
            raise TrialError(f"{run.name}: {run.state.name}: {run.state.message}\n{said}")
    return None


def artefacts_of(run: Any) -> dict[str, dict[str, Any]]:
    """Return what a run left: key -> type and content, as the API gives it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    which = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    found = {}
    with get_client(sync_client=True) as client:
        for artefact in client.read_artifacts(artifact_filter=which):
            data = artefact.data
            if artefact.type == "table" and isinstance(data, str):
                data = json.loads(data)
            link = isinstance(data, str) and LINK.fullmatch(data.strip())
            found[artefact.key or ""] = {"type": "link" if link else artefact.type, "data": data}
    return dict(sorted(found.items()))


def account(flow: str, by: str, run: Any) -> dict[str, Any]:
    """Return one run as a row with its artefacts."""
    return {
        "flow": flow,
        "by": by,
        "run": run.name,
        "state": run.state.name,
        "type": run.state.type.value,
        "message": run.state.message,
        "parameters": run.parameters,
        "seconds": round(run.total_run_time.total_seconds(), 1),
        "artefacts": artefacts_of(run),
    }


def exercise(until: float) -> dict[str, Any]:
    """Make every kind of run happen and wait for it; return what was seen."""
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment
    from prefect.events import emit_event

    deployments = hold_schedules()
    runs = []

    def expect(flow: str, by: str) -> None:
        found = wait_for(f"{flow} by {by}", lambda: ended(deployments[flow]["id"], by), until)
        runs.append(account(flow, by, found))

    bring_forward(deployments["training"]["id"])
    expect("training", "schedule")
    # Three at once: the limit of one `dvc repro` lets data and training take turns.
    bring_forward(deployments["monitoring"]["id"])
    run_deployment(deployments["data"]["name"], timeout=0, as_subflow=False)
    emit_event(
        "shelfwise.drift.detected",
        resource={"prefect.resource.id": "shelfwise.drift.weekly"},
        payload={"reason": "deployments trial"},
    )
    expect("data", "on demand")
    expect("monitoring", "schedule")
    expect("training", "event")
    with get_client(sync_client=True) as client:
        limit = client.read_global_concurrency_limit_by_name("dvc-repro")
    return {
        "deployments": {flow: entry["name"] for flow, entry in deployments.items()},
        "schedules": {flow: entry["schedules"] for flow, entry in deployments.items()},
        "limit": {"name": limit.name, "limit": limit.limit},
        "runs": runs,
    }


def trial(root: Path, *, minutes: float = 15) -> dict[str, Any]:
    """Run the whole trial in the checkout at `root`.

    Returns:
        `deployments` and `schedules` by flow, `limit` on `dvc repro`, `runs` (one row per run, with
        the content of its artefacts), `left`: pids that could not be stopped.

    Raises:
        TrialError: a run failed or did not come in `minutes`.
    """
    until = time.monotonic() + minutes * 60
    stack = Stack(root)
    left: list[int] = []
    try:
        stack.start("server", "start", "--host", "127.0.0.1", "--port", str(stack.port))
        wait_for("server", lambda: answers(f"{stack.url}/health"), until)
        stack.call("work-pool", "create", "local", "--type", "process")
        stack.start("worker", "start", "--pool", "local", "--type", "process")
        stack.call("deploy", "--all")
        with pointed_at(stack):
            seen = exercise(until)
    except TrialError as error:
        raise TrialError(f"{error}\n{stack.last_words()}") from error
    finally:
        left = stack.stop()
    return {**seen, "left": left}


def as_table(seen: dict[str, Any]) -> str:
    """Return the runs as a Markdown table."""
    lines = ["| flow | by | state | seconds | artefacts |", "| --- | --- | --- | --- | --- |"]
    for run in seen["runs"]:
        keys = ", ".join(f"{key} ({value['type']})" for key, value in run["artefacts"].items())
        lines.append(
            f"| {run['flow']} | {run['by']} | {run['state']} | {run['seconds']} | {keys} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--root", type=Path, help="a checkout; a temporary copy if not given")
    parser.add_argument("--out", type=Path, default=Path("var/deployments.json"))
    given = parser.parse_args()
    if given.root:
        seen = trial(given.root.resolve(), minutes=given.minutes)
    else:
        from tests.pipeline.conftest import copy_checkout

        with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
            seen = trial(copy_checkout(Path(folder).resolve()).root, minutes=given.minutes)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(seen, indent=2, default=str) + "\n", encoding="utf-8")
    print(as_table(seen))
    for run in seen["runs"]:
        print(f"{run['flow']} by {run['by']}: {run['message']}")


if __name__ == "__main__":
    main()
