import importlib
import inspect
import logging
import re
from pathlib import Path

import pytest
import yaml
from prefect import Task

from flows.environment import switches
from flows.run import FLOWS, UsageError, WithoutShutdownNoise, main, parameters_of

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--force"], {"force": True}),
        (["--force", "--reason", "x"], {"force": True, "reason": "x"}),
        (["--limit=5"], {"limit": 5}),
        (["--ignore-hold", "false"], {"ignore_hold": False}),
    ],
)
def test_words_become_parameters(words, expected):
    assert parameters_of(words, ["force", "reason", "limit", "ignore_hold"]) == expected


@pytest.mark.parametrize("words", [["--colour", "red"], ["force"]])
def test_unknown_words_are_named(words):
    with pytest.raises(UsageError, match="no such parameter"):
        parameters_of(words, ["force"])


def test_unknown_flow():
    with pytest.raises(UsageError, match="name a flow"):
        main(["training2"])


def test_shutdown_noise_is_dropped_and_errors_are_kept():
    keep = WithoutShutdownNoise().filter
    record = logging.LogRecord("prefect", logging.ERROR, "", 0, "stage failed", (), None)
    assert keep(record)
    record = logging.LogRecord("prefect", logging.ERROR, "", 0, "task_run_recorder died", (), None)
    assert not keep(record)


def test_every_home_lies_under_var(tmp_path):
    homes = [v for k, v in switches(tmp_path).items() if k.endswith(("_HOME", "_DIR"))]
    assert len(homes) == 3
    assert all(Path(home).is_relative_to(tmp_path / "var") for home in homes)


@pytest.mark.parametrize("name", FLOWS)
def test_flow_is_guarded_recorded_and_deployed(name):
    module, _, attribute = FLOWS[name].partition(":")
    flow = getattr(importlib.import_module(module), attribute)
    assert flow.name == name
    assert flow.timeout_seconds
    assert flow.should_validate_parameters
    assert all([flow.on_failure_hooks, flow.on_crashed_hooks, flow.on_completion_hooks])
    entry = f"flows/{module.split('.')[1]}.py:{attribute}"
    found = [d for d in DEPLOYMENTS if d["entrypoint"] == entry]
    assert len(found) == 1
    assert found[0]["concurrency_limit"]["limit"] == 1
    taken = set(inspect.signature(flow.fn).parameters)
    given = {*found[0].get("parameters", {})}
    for trigger in found[0].get("triggers", []):
        given |= {*trigger["parameters"]}
    assert given <= taken


def test_every_task_ends_in_time_and_waits_longer_before_each_retry():
    tasks = {
        id(found): found
        for path in sorted((ROOT / "flows").glob("*.py"))
        for found in vars(importlib.import_module(f"flows.{path.stem}")).values()
        if isinstance(found, Task)
    }
    assert len(tasks) > 10
    for task in tasks.values():
        assert task.timeout_seconds, task.name
        delays = task.retry_delay_seconds
        if task.retries > 1:
            assert delays == sorted(set(delays)), task.name
            assert len(delays) == task.retries, task.name


def test_the_flows_that_run_by_themselves_have_schedules():
    scheduled = {d["entrypoint"].split(":")[1] for d in DEPLOYMENTS if d.get("schedules")}
    assert scheduled == {"training", "data", "monitoring", "feedback", "scoring"}


def test_every_event_that_a_deployment_waits_for_is_emitted_by_a_flow():
    source = "".join(path.read_text() for path in (ROOT / "flows").glob("*_flow.py"))
    emitted = set(re.findall(r'"(shelfwise\.[a-z]+\.[a-z]+)"', source))
    awaited = {e for d in DEPLOYMENTS for t in d.get("triggers", []) for e in t["expect"]}
    assert awaited <= emitted
