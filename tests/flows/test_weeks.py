import json

import pytest

from components.contracts.errors import ParamsError
from flows import monitoring_flow
from flows.weeks import chosen_weeks


@pytest.mark.parametrize(
    ("asked", "weeks"),
    [((None, None), None), ((4, 5), [4, 5]), ((4, None), [4, 5, 6]), ((None, 4), [4])],
)
def test_a_range_may_be_open(asked, weeks):
    assert chosen_weeks(*asked, known={3, 4, 5, 6}) == weeks


@pytest.mark.parametrize(
    ("asked", "known", "said"),
    [((5, 4), {4, 5}, "lies after"), ((4, 6), {4, 6}, "5"), ((4, 5), set(), "flow data")],
)
def test_what_cannot_be_caught_up_on_is_said(asked, known, said):
    with pytest.raises(ParamsError, match=said):
        chosen_weeks(*asked, known=known)


def test_catching_up_writes_the_decisions_on_the_weeks_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(monitoring_flow, "ROOT", tmp_path)
    decisions = [
        {"week": week, "diagnosis": "no drift", "remedy": "none", "reason": "calm"}
        for week in (3, 4, 5)
    ]
    folder = tmp_path / "var" / "monitor"
    folder.mkdir(parents=True)
    (folder / "history.json").write_text(json.dumps({"decisions": decisions}))
    assert [row["week"] for row in monitoring_flow.catch_up.fn([4, 5])] == [4, 5]
    made = sorted(path.name for path in (folder / "weeks").iterdir())
    assert made == ["week-4.json", "week-5.json"]
    assert json.loads((folder / "weeks" / "week-4.json").read_text()) == decisions[1]


def test_a_remedy_is_carried_out_once_for_a_week(tmp_path, monkeypatch):
    """The flow looks daily and finds the same week again."""
    monkeypatch.setattr(monitoring_flow, "ROOT", tmp_path)
    asked = []
    monkeypatch.setattr(monitoring_flow, "emit_event", lambda name, **about: asked.append(name))
    decision = {"decision": "retrain", "week": 30, "reason": "new habits", "columns": ["category"]}
    said = [monitoring_flow.act.fn(decision) for _ in range(2)]
    assert said == ["asked for a retrain", "retrain: done for this week already"]
    monitoring_flow.act.fn(decision | {"week": 31})
    assert asked == ["shelfwise.drift.detected"] * 2
