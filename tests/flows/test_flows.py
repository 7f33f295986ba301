"""Flows that need no engines, run for real on one temporary server."""

import json
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError

from components.contracts.artefacts import writing_artefact
from components.contracts.errors import RegistryError
from components.registry.store import Registry
from components.state.store import Store
from flows.feedback_flow import feedback
from flows.forget_flow import forget
from flows.holds import DataHeldError, hold_file
from flows.monitoring_flow import act
from flows.release_flow import release
from flows.training_flow import training

pytestmark = pytest.mark.slow


def registered(root: Path, text: str) -> str:
    with writing_artefact(root / "artefacts" / "x", kind="x", stage="x", seed=1, params={}) as made:
        (made / "model.txt").write_text(text)
    registry = Registry(root / "var" / "registry")
    return registry.register(root / "artefacts", reports=root / "reports", params={}).release_id


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rollback_and_canary_by_flow(project, monkeypatch):
    monkeypatch.setattr(
        "flows.release_flow.package", lambda release_id, by: f"bento of {release_id}"
    )
    registry = Registry(project / "var" / "registry")
    first, second = registered(project, "a"), registered(project, "b")
    for release_id in (first, second):
        registry.promote(release_id, reason="r", by="t")
    state = release(action="rollback", reason="worse", return_state=True)
    assert state.is_completed()
    assert registry.champion().release_id == first
    third = registered(project, "c")
    release(action="canary", share=0.2, reason="try")
    assert json.loads(registry.canary_pointer.read_text()) == {"release_id": third, "share": 0.2}
    release(action="stop_canary")
    assert not registry.canary_pointer.exists()
    with get_client(sync_client=True) as client:
        artefacts = {artefact.key: artefact for artefact in client.read_artifacts()}
    assert {"history", "champion"} <= set(artefacts)
    assert "worse" in json.dumps(json.loads(artefacts["history"].data))


def test_a_flow_that_fails_leaves_an_alert(project):
    with pytest.raises(RegistryError, match="nothing to roll back to"):
        release(action="rollback")
    alert = lines(project / "var" / "alerts.jsonl")[-1]
    assert alert["flow"] == "release"
    assert "nothing to roll back to" in alert["message"]
    assert lines(project / "var" / "runs.jsonl")[-1]["state"] == "Failed"


@pytest.mark.parametrize("wrong", [{"action": "explode"}, {"share": 1.5}, {"colour": "red"}])
def test_parameters_are_validated_before_anything_runs(project, wrong):
    with pytest.raises((ParameterTypeError, TypeError)):
        release(**wrong)
    assert not (project / "var" / "registry").exists()


def test_forgetting_leaves_no_trace_of_the_id_in_records(project):
    visitor = "7b0c7f1e-5a34-4c55-9f1c-5d3a3b1f0e11"
    store = Store(f"sqlite:///{project / 'var' / 'state.db'}")
    store.preference_set(visitor, "brand", "x")
    store.close()
    state = forget(visitor, return_state=True)
    assert state.is_completed()
    assert visitor not in (project / "var" / "runs.jsonl").read_text()
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if "visitor_id" in run.parameters]
    assert runs
    assert all(run.parameters["visitor_id"] == "forgotten" for run in runs)
    assert Registry(project / "var" / "registry").history()[-1].action == "forget"
    assert json.loads((project / "var" / "forgotten.json").read_text())["forgotten"]


def test_feedback_waits_until_there_is_enough(project):
    state = feedback(min_events=5, return_state=True)
    assert state.is_completed()
    assert "not enough yet" in state.message


def test_a_data_fault_holds_training_back_until_the_data_change(project):
    import polars as pl

    tables = project / "data" / "tables"
    tables.mkdir(parents=True)
    pl.DataFrame({"week": [1, 2], "x": [1, 2]}).write_parquet(tables / "events.parquet")
    decision = {"decision": "stop and quarantine", "week": 2, "reason": "prices", "columns": ["x"]}
    assert "held back" in act.fn(decision)
    assert pl.read_parquet(project / "var/monitor/quarantine/week-2.parquet")["x"].to_list() == [2]
    with pytest.raises(DataHeldError, match="week 2: prices"):
        training()
    pl.DataFrame({"week": [1], "x": [1]}).write_parquet(tables / "events.parquet")
    with pytest.raises(RegistryError, match="no artefact"):
        training()
    from components.contracts.artefacts import Layout

    assert not hold_file(Layout(project)).exists()
