"""Deployments for real: a local server, a pool, a worker, and every way a run can start.

Starts a Prefect server on a free port with its own home, deploys `prefect.yaml`, and waits for a
scheduled run, a run on demand and a run caused by a drift event; reads their artefacts through the
API and stops all it started by pid. Works on the checkout it is called in; the data flow is given a
minutely schedule for the test.

    python -m benchmarks.deployments [--minutes 6] [--root CHECKOUT] [--out FILE]
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, ready: Callable[[], Any], seconds: float) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = ready()
        if found:
            return found
        time.sleep(2)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Stack:
    """Server and worker; each in its own process group, stopped by pid."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = os.environ | {
            "SHELFWISE_ROOT": str(root),
            "PYTHONPATH": str(root),
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self.children: list[subprocess.Popen[bytes]] = []
        home.mkdir(parents=True, exist_ok=True)
        self.log = (home / "stack.log").open("ab")

    def start(self, *words: str) -> None:
        command = [sys.executable, "-m", "prefect", *words]
        self.children.append(
            subprocess.Popen(
                command, cwd=self.root, env=self.environment, stdout=self.log,
                stderr=self.log, start_new_session=True,
            )
        )  # fmt: skip

    def call(self, *words: str) -> None:
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"prefect {' '.join(words)}: {done.stdout[-800:]}{done.stderr[-800:]}"
            )

    def stop(self) -> None:
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for child in reversed(self.children):
                if child.poll() is None:
                    os.killpg(child.pid, how)
            until = time.monotonic() + 15
            while time.monotonic() < until and any(c.poll() is None for c in self.children):
                time.sleep(0.2)
        self.log.close()


def minutely(root: Path, home: Path) -> Path:
    """Write a copy of prefect.yaml in which the data flow runs every minute."""
    import yaml

    described = yaml.safe_load((root / "prefect.yaml").read_text(encoding="utf-8"))
    for deployment in described["deployments"]:
        if deployment["entrypoint"].endswith(":data"):
            deployment["schedules"] = [{"cron": "* * * * *", "timezone": "UTC", "active": True}]
        else:
            deployment["schedules"] = []
    path = home / "prefect.yaml"
    path.write_text(yaml.safe_dump(described), encoding="utf-8")
    return path


def completed(name: str, *, auto: bool | None = None, since: int = 0) -> Any:
    """Return a completed run of the flow, or None; fails at once if one failed."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        for run in client.read_flow_runs(limit=200):
            if flows.get(run.flow_id) != name or (auto is not None and run.auto_scheduled != auto):
                continue
            if run.state and run.state.is_final() and not run.state.is_completed():
                raise RuntimeError(f"{name} {run.name}: {run.state.name}: {run.state.message}")
            if (
                run.state
                and run.state.is_completed()
                and run.expected_start_time.timestamp() > since
            ):
                return run
    return None


def exercise(stack: Stack, minutes: float) -> dict[str, Any]:
    """Deploy, then wait for each kind of run; return what was seen."""
    os.environ.update(stack.environment)
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment
    from prefect.events import emit_event

    seconds = minutes * 60
    scheduled = wait_for("scheduled data run", lambda: completed("data", auto=True), seconds)
    asked: Any = run_deployment("monitoring/daily", timeout=0, parameters={"act_on_it": False})
    wait_for("monitoring run", lambda: completed("monitoring"), seconds)
    started = time.time() - 1
    emit_event(
        "shelfwise.drift.detected",
        resource={"prefect.resource.id": "shelfwise.drift.weekly"},
        payload={"reason": "benchmark"},
    )
    caused = wait_for(
        "training run", lambda: completed("training", since=int(started)), 3 * seconds
    )
    with get_client(sync_client=True) as client:
        artefacts = sorted({artefact.key for artefact in client.read_artifacts() if artefact.key})
        limit = client.read_global_concurrency_limit_by_name("dvc-repro")
    return {
        "scheduled": {"flow": "data", "run": scheduled.name, "state": scheduled.state.name},
        "on_demand": {"flow": "monitoring", "run": asked.name},
        "by_event": {
            "flow": "training",
            "run": caused.name,
            "state": caused.state.name,
            "reason": caused.parameters.get("reason"),
        },
        "artefacts": artefacts,
        "dvc_limit": limit.limit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--root", type=Path, default=Path.cwd())
    parser.add_argument("--out", type=Path, default=Path("var/deployments.json"))
    given = parser.parse_args()
    root = given.root.resolve()
    home = root / "var" / f"prefect-trial-{os.getpid()}"
    stack = Stack(root, home)
    try:
        stack.start("server", "start", "--host", "127.0.0.1", "--port", str(stack.port))
        wait_for("server", lambda: answers(f"{stack.url}/health"), 180)
        stack.call("work-pool", "create", "local", "--type", "process")
        described = minutely(root, home)
        stack.call("deploy", "--all", "--prefect-file", str(described))
        stack.start("worker", "start", "--pool", "local", "--type", "process")
        seen = exercise(stack, given.minutes)
    finally:
        stack.stop()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(seen, indent=2))


if __name__ == "__main__":
    main()
