"""`dvc repro` as a task: one at a time, streamed, retried while the project is busy.

DVC owns what depends on what; nothing here names a dependency. A run that finds the project in use
(a person's own `dvc repro`) waits and tries again. What killed processes left behind (a lock entry
of a dead process, a stage that still runs without its parent) is dealt with before each run.
"""

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.concurrency.sync import concurrency
from prefect.logging import get_run_logger

from flows.environment import ROOT

LIMIT = "dvc-repro"
# Waits between attempts in seconds, 25 minutes in all: longer than the whole default pipeline.
BUSY_DELAYS: list[float] = [2, 5, 10, 20, 30, 60, 120, 240, 480, 600]
BUSY = re.compile(
    r"is busy, it is being blocked by|Unable to acquire lock|is locked", re.IGNORECASE
)
SLOT_SECONDS = 60.0
LAST_LINES = 12


class PipelineBusyError(RuntimeError):
    """Another process holds what this run needs; trying again later helps."""


class PipelineFailedError(RuntimeError):
    """A stage failed; trying again gives the same answer."""


class PipelineKilledError(RuntimeError):
    """`dvc` or a stage was killed; trying again may help."""


def worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    """Tell Prefect whether another attempt can end better than this one."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, PipelineBusyError | PipelineKilledError)


@task(
    name="dvc repro",
    retries=len(BUSY_DELAYS),
    retry_delay_seconds=BUSY_DELAYS,
    retry_condition_fn=worth_retrying,
    timeout_seconds=3 * 3600,
)
def repro(targets: tuple[str, ...] = (), *, pull: bool = False, force: bool = False) -> list[str]:
    """Bring the pipeline (or `targets` and what they need) up to date.

    Args:
        targets: stages; empty means all.
        pull: fetch what the remote already has instead of computing it.
        force: run the targets although nothing changed.

    Returns:
        The stages that ran, in order; empty if all was up to date.

    Raises:
        PipelineBusyError: in use by another process (retried).
        PipelineKilledError: killed by a signal (retried).
        PipelineFailedError: a stage failed; carries the last lines it wrote.
    """
    logger = get_run_logger()
    ensure_limit()
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(concurrency(LIMIT, occupy=1, timeout_seconds=SLOT_SECONDS))
        except TimeoutError as error:
            raise PipelineBusyError("another run of the pipeline holds its limit.") from error
        for note in clear_leftovers(ROOT):
            logger.warning(note)
        options = [*(["--pull"] if pull else []), *(["--force"] if force else [])]
        return run_repro(ROOT, [*options, *targets], logger.info)


def ensure_limit() -> None:
    """Make the global limit of one `dvc repro` at a time, and free it of a run that was killed.

    A server that was killed with its run forgets the lease but not the slot, which would then be
    held for ever. Where two runs pass here at once, DVC's own lock still lets one wait.
    """
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(LIMIT, 1)
        if not is_running(ROOT):
            client.update_global_concurrency_limit(
                LIMIT, GlobalConcurrencyLimitUpdate(active_slots=0)
            )


def is_running(root: Path) -> bool:
    """Tell whether a `dvc repro` of this checkout runs."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()[:5]
            if "repro" in words and Path(process.cwd()) == root:
                return True
        except psutil.Error:
            continue
    return False


def run_repro(root: Path, arguments: list[str], tell: Callable[[str], object]) -> list[str]:
    """Run `dvc repro` as a child and pass its lines on; see `repro`."""
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(root)}
    path = Path(sys.executable).parent
    environment["PATH"] = f"{path}{os.pathsep}{environment.get('PATH', '')}"
    lines: list[str] = []
    with running(command, root, environment) as child:
        assert child.stdout is not None
        for raw in child.stdout:
            line = raw.rstrip()
            if line:
                lines.append(line)
                tell(line)
        code = child.wait()
    text = "\n".join(lines)
    if code == 0:
        return re.findall(r"Running stage '([^']+)'", text)
    if code < 0 or re.search(r"exited with -?(9|15|137|143)\b", text):
        raise PipelineKilledError(f"dvc repro or a stage was killed (exit {code}).")
    if BUSY.search(text):
        raise PipelineBusyError(_last(lines))
    raise PipelineFailedError(_last(lines))


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str]
) -> Iterator["subprocess.Popen[str]"]:
    """Yield a child whose output can be read; stopped with the caller if the caller is."""
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _last(lines: list[str]) -> str:
    return "\n".join(lines[-LAST_LINES:]) or "dvc repro failed without a word"


def clear_leftovers(root: Path) -> list[str]:
    """Remove lock entries of dead processes and wait for stages that lost their parent.

    Returns:
        One sentence for each thing found.
    """
    notes = []
    dropped = drop_dead_locks(root / ".dvc" / "tmp" / "rwlock")
    if dropped:
        notes.append(f"removed the locks of dead processes: {', '.join(dropped)}")
    orphans = orphaned_stages(root)
    if orphans:
        names = ", ".join(" ".join(process.cmdline()[-2:]) for process in orphans)
        notes.append(f"waiting for stages of a killed run: {names}")
        psutil.wait_procs(orphans, timeout=1800)
    return notes


def drop_dead_locks(path: Path) -> list[str]:
    """Remove from DVC's lock file what no living DVC process holds; return the commands dropped.

    DVC itself does so for a process id that is free, but not when the id has been given to another
    program since, nor when it was killed while writing the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    try:
        lock = json.loads(text)
    except json.JSONDecodeError:
        path.unlink()
        return ["a half-written lock file"]
    dropped: set[str] = set()

    def held(info: dict[str, Any]) -> bool:
        alive = _is_dvc(int(info["pid"]))
        if not alive:
            dropped.add(f"{info['cmd']} (pid {info['pid']})")
        return alive

    writers = {name: info for name, info in lock.get("write", {}).items() if held(info)}
    readers = {
        name: kept
        for name, infos in lock.get("read", {}).items()
        if (kept := [i for i in infos if held(i)])
    }
    if dropped:
        temporary = path.with_name(f".rwlock.{os.getpid()}")
        temporary.write_text(json.dumps({"write": writers, "read": readers}), encoding="utf-8")
        temporary.replace(path)
    return sorted(dropped)


def _is_dvc(pid: int) -> bool:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return any("dvc" in Path(word).name or word == "dvc" for word in words[:4])


def orphaned_stages(root: Path) -> list[psutil.Process]:
    """Return stages of this checkout that run on although the `dvc` that started them is gone."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "components.cli" not in words or "stage" not in words or Path(process.cwd()) != root:
                continue
            above = process.parents()
            if not any("dvc" in " ".join(parent.cmdline()[:4]) for parent in above):
                by_hand = any(parent.terminal() for parent in above)
                if not by_hand:
                    found.append(process)
        except psutil.Error:
            continue
    return found


logging.getLogger("prefect.concurrency").setLevel(logging.WARNING)
