"""Whose figures the gate compares when the data went on between two releases."""

import polars as pl
import pytest

from components.contracts.artefacts import Layout, Manifest, write_json
from components.contracts.errors import ArtefactError
from components.contracts.params import Params
from components.registry.gate import REPORT, Evidence, same_yardstick
from components.registry.store import Release
from components.stages import gate

VISITORS = pl.DataFrame({"visitor_id": ["a"], "slice": ["all"], "ndcg@10": [0.5]})


def report(week: int, n: int = 40) -> dict:
    return {
        "protocol": "P1 next basket",
        "dataset": "a log",
        "split": "one global time cut-off by shop week",
        "cut_off": f"week {week}",
        "n": n,
        "rows": [],
    }


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path)
    made.reports.mkdir(parents=True)
    write_json(made.reports / REPORT, report(30))
    return made


def anew(layout, monkeypatch, champion, challenger, measured=lambda *_: VISITORS):
    monkeypatch.setattr(gate, "measured_now", measured)
    release = Release("old", layout.root, Manifest.model_construct())
    old = Evidence("old", champion, VISITORS, {"search": 3.0})
    new = Evidence("new", challenger, VISITORS)
    return new, gate.judged_anew(Params(), layout, new, old, release)


def test_the_champion_is_measured_on_the_challengers_week(layout, monkeypatch):
    new, found = anew(layout, monkeypatch, report(26), report(30))
    assert found is not None
    assert same_yardstick(new, found)
    assert found.release_id == "old"
    assert found.latency_ms == {"search": 3.0}


@pytest.mark.parametrize(
    ("champion", "challenger"),
    [
        (report(30), report(30)),  # tested on the same data already
        (report(32), report(30)),  # it learned from what it would be tested on
        (report(26), report(29)),  # the tables of now are not the challenger's
        ({}, report(30)),
        (report(26), {}),
    ],
)
def test_else_it_is_judged_by_its_own_report(layout, monkeypatch, champion, challenger):
    assert anew(layout, monkeypatch, champion, challenger)[1] is None


@pytest.mark.parametrize("error", [ArtefactError("altered"), ValueError("other features")])
def test_trees_that_cannot_be_tried_are_judged_by_their_own_report(layout, monkeypatch, error):
    def fails(*_):
        raise error

    assert anew(layout, monkeypatch, report(26), report(30), fails)[1] is None


def test_figures_of_all_purchases_are_not_held_against_those_of_sought_ones(layout, monkeypatch):
    sought = report(30) | {"compared_on": "sought"}
    write_json(layout.reports / REPORT, sought)
    new, found = anew(layout, monkeypatch, report(30), sought)
    assert found is not None
    assert same_yardstick(new, found)
