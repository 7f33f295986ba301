from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from components.contracts.artefacts import Layout
from components.contracts.errors import ParamsError
from components.stages import scoring

END = datetime(2026, 1, 4, 23, tzinfo=UTC)  # of the release's data: week 1


class Engine:
    """Remembers with what it was asked; answers with one product."""

    def __init__(self) -> None:
        self.asked = []

    def recommend(self, visitor, recent, *, now, limit):
        self.asked.append((visitor, [event.event_id for event in recent], now))
        return SimpleNamespace(products=[SimpleNamespace(rank=1, product_id="p", score=0.5)])


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    loaded = SimpleNamespace(recommend=made, now=END)
    monkeypatch.setattr(scoring, "Engines", SimpleNamespace(load=lambda folder: loaded))
    events = pl.DataFrame(
        [
            {"event_id": f"w{week}-{visitor}", "at": END + timedelta(weeks=week - 1, minutes=-week),
             "week": week, "visitor_id": visitor, "kind": "purchase", "product_id": "p",
             "rating": None}
            for week in (1, 2, 3)
            for visitor in ("a", "b")
        ]
    )  # fmt: skip
    tables = {"visitors": pl.DataFrame({"visitor_id": ["b", "a"]}), "events": events}
    monkeypatch.setattr(scoring, "read_table", lambda name, folder: tables[name])
    return made


def score(root, weeks):
    release: Any = SimpleNamespace(release_id="r1", folder=root)
    return scoring.score_visitors(Layout(root), release, weeks=weeks)


def test_a_missed_week_is_scored_as_it_stood_when_it_ended(engine, tmp_path):
    done = score(tmp_path, [2, 3])
    assert [row["week"] for row in done] == [2, 3]
    assert engine.asked == [
        ("a", ["w2-a"], END + timedelta(weeks=1, minutes=-2)),
        ("b", ["w2-b"], END + timedelta(weeks=1, minutes=-2)),
        ("a", ["w2-a", "w3-a"], END + timedelta(weeks=2, minutes=-3)),
        ("b", ["w2-b", "w3-b"], END + timedelta(weeks=2, minutes=-3)),
    ]
    made = pl.read_parquet(tmp_path / done[0]["path"])
    assert made["visitor_id"].to_list() == ["a", "b"]


def test_a_week_that_the_release_was_trained_on_is_refused(engine, tmp_path):
    with pytest.raises(ParamsError, match="trained on week 1; weeks after its data: 2 to 3"):
        score(tmp_path, [1, 2])


def test_without_weeks_the_end_of_the_release_is_now(engine, tmp_path):
    (row,) = score(tmp_path, None)
    assert (row["path"], row["rows"]) == ("var/scores/r1.parquet", 2)
    assert [now for _, _, now in engine.asked] == [END, END]
