import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from flows import dvc_tasks
from flows.dvc_tasks import (
    PipelineBusyError,
    PipelineFailedError,
    PipelineKilledError,
    drop_dead_locks,
    orphaned_stages,
    repro,
    run_repro,
    worth_retrying,
)


@flow
def pipeline() -> list[str]:
    return repro()


@pytest.mark.slow
def test_repro_runs_what_changed_and_only_that(project):
    assert pipeline() == ["numbers"]
    assert (project / "numbers.txt").read_text() == "1 2 3"
    assert pipeline() == []


@pytest.mark.slow
def test_a_failing_stage_fails_the_flow_with_its_words_and_is_not_retried(project):
    (project / "make.py").write_text("raise SystemExit('no such source: lines.csv')\n")
    started = time.monotonic()
    with pytest.raises(PipelineFailedError, match="numbers"):
        pipeline()
    assert time.monotonic() - started < sum(dvc_tasks.BUSY_DELAYS[:3]) + 20


@pytest.mark.slow
def test_a_persons_own_repro_at_the_same_time_is_waited_for(project):
    (project / "make.py").write_text(
        "import time\ntime.sleep(6)\nopen('numbers.txt', 'w').write('1')\n"
    )
    own = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=project)
    while not (project / ".dvc" / "tmp" / "rwlock").is_file() or not json.loads(
        (project / ".dvc" / "tmp" / "rwlock").read_text() or "{}"
    ).get("write"):
        assert own.poll() is None
        time.sleep(0.05)
    assert pipeline() == []
    assert own.wait() == 0
    assert (project / "numbers.txt").read_text() == "1"


@pytest.mark.slow
def test_a_slot_that_a_killed_run_held_is_free_again(project):
    assert pipeline() == ["numbers"]
    with get_client(sync_client=True) as client:
        taken = GlobalConcurrencyLimitUpdate(active_slots=1)
        client.update_global_concurrency_limit(dvc_tasks.LIMIT, taken)
    (project / "make.py").write_text("open('numbers.txt', 'w').write('4')\n")
    assert pipeline() == ["numbers"]


def fake_dvc(folder: Path, body: str, monkeypatch) -> None:
    """Put a `dvc` module in front of the real one that prints and exits as told."""
    (folder / "dvc.py").write_text(body)
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("'data' is busy, it is being blocked by:", 255, PipelineBusyError),
        (
            "Unable to acquire lock. Most likely another DVC process is running",
            255,
            PipelineBusyError,
        ),
        ("failed to run: python x.py, exited with 1", 255, PipelineFailedError),
        ("failed to run: python x.py, exited with -9", 255, PipelineKilledError),
    ],
)
def test_what_dvc_says_becomes_the_right_error(tmp_path, monkeypatch, text, code, error):
    fake_dvc(tmp_path, f"import sys\nprint({text!r})\nsys.exit({code})\n", monkeypatch)
    with pytest.raises(error):
        run_repro(tmp_path, [], lambda line: None)


def test_stages_that_ran_are_returned_and_lines_are_passed_on(tmp_path, monkeypatch):
    fake_dvc(
        tmp_path, "print(\"Running stage 'a':\")\nprint(\"Stage 'b' didn't change\")\n", monkeypatch
    )
    lines: list[str] = []
    assert run_repro(tmp_path, [], lines.append) == ["a"]
    assert len(lines) == 2


def test_only_busy_and_killed_are_worth_retrying():
    class State:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def result(self, raise_on_failure: bool) -> Exception:
            return self.error

    assert worth_retrying(None, None, State(PipelineBusyError()))
    assert worth_retrying(None, None, State(PipelineKilledError()))
    assert not worth_retrying(None, None, State(PipelineFailedError()))


def test_locks_of_dead_and_of_other_processes_are_dropped(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    other = subprocess.Popen(["sleep", "30"])
    held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", "dvc"])
    try:
        path = tmp_path / "rwlock"
        info = {
            name: {"pid": process.pid, "cmd": f"dvc repro {name}"}
            for name, process in (("dead", done), ("reused", other), ("alive", held))
        }
        path.write_text(json.dumps({"write": info, "read": {"x": [info["dead"], info["alive"]]}}))
        dropped = drop_dead_locks(path)
        assert [line.split(" (")[0] for line in dropped] == ["dvc repro dead", "dvc repro reused"]
        left = json.loads(path.read_text())
        assert list(left["write"]) == ["alive"]
        assert [i["cmd"] for i in left["read"]["x"]] == ["dvc repro alive"]
    finally:
        for process in (other, held):
            process.kill()
            process.wait()


def test_a_half_written_lock_file_is_removed(tmp_path):
    path = tmp_path / "rwlock"
    path.write_text('{"write": {"a"')
    assert drop_dead_locks(path) == ["a half-written lock file"]
    assert not path.exists()
    assert drop_dead_locks(path) == []


def test_no_stage_of_another_checkout_counts_as_orphaned(tmp_path):
    assert orphaned_stages(tmp_path) == []
