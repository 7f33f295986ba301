"""`shelfwise merchandise` on a small release: what it prints, what it writes, how it fails."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from components.contracts.artefacts import Layout
from components.contracts.errors import ShelfwiseError
from components.contracts.merchandise import Campaign, ShopRule
from components.merchandise.commands import app
from components.state.merchandise import MerchandiseState
from components.state.store import Store
from tests.service.commerce import write_commerce
from tests.service.conftest import END, write_release


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    layout = Layout(tmp_path_factory.mktemp("checkout"))
    write_release(layout.artefacts)
    write_commerce(layout)
    return layout


def run(checkout, monkeypatch, *words):
    monkeypatch.setenv("SHELFWISE_ROOT", str(checkout.root))
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_a_launch_is_planned_and_written(checkout, monkeypatch, tmp_path):
    path = tmp_path / "plan.json"
    made = run(checkout, monkeypatch, "launch", "p36", "--weeks", "4", "--out", str(path))
    assert made.exit_code == 0, made.output
    plan = json.loads(path.read_text())
    assert plan["product_id"] == "p36"
    assert plan["request"]["horizon_weeks"] == 4
    demand = plan["demand"]
    assert demand["low"] <= demand["middle"] <= demand["high"]
    assert f"demand in 4 weeks: {demand['low']} to {demand['high']} lines" in made.output


def test_segments_are_listed_and_exported(checkout, monkeypatch, tmp_path):
    path = tmp_path / "segments.csv"
    made = run(checkout, monkeypatch, "segments", "--out", str(path))
    assert made.exit_code == 0, made.output
    assert "Tea and coffee" in made.output
    assert path.read_text().splitlines() == ["visitor_id,segment", "ann,0", "bob,1"]


def test_companions_are_listed(checkout, monkeypatch):
    made = run(checkout, monkeypatch, "goes-with", "p00", "--limit", "1")
    assert made.exit_code == 0, made.output
    assert "p04" in made.output
    assert "Ground coffee, 12 oz" in made.output
    assert "3.00" in made.output
    assert "p06" not in made.output


@pytest.mark.parametrize("words", [("allocate",), ("fill", "1000")])
def test_without_a_service_the_commands_that_ask_it_say_so(checkout, monkeypatch, words):
    monkeypatch.setenv("SHELFWISE_API_URL", "http://127.0.0.1:9")
    made = run(checkout, monkeypatch, *words)
    assert isinstance(made.exception, ShelfwiseError)
    assert "shelfwise run" in str(made.exception)


def test_campaigns_and_rules_are_read_from_the_state(checkout, monkeypatch):
    made = run(checkout, monkeypatch, "rules")
    assert "Start the service once" in str(made.exception)
    layout = Layout(checkout.root)
    layout.var.mkdir(exist_ok=True)
    store = Store(f"sqlite:///{layout.var / 'state.db'}")
    state = MerchandiseState(store)
    state.rule_put(ShopRule(rule_id="r1", kind="bury", product_ids=("p03",)), by="mia")
    state.campaign_put(
        Campaign(
            campaign_id="c1", name="Spring", product_ids=("p01",), bid_minor=9,
            budget_minor=1234, starts_at=END, ends_at=END + timedelta(days=1),
        ),
        by="mia",
    )  # fmt: skip
    store.close()
    told = run(checkout, monkeypatch, "rules").output
    assert "bury" in told
    assert "mia" in told
    told = run(checkout, monkeypatch, "campaigns").output
    assert "Spring" in told
    assert "12.34" in told


@pytest.mark.parametrize("words", [("launch", "nowhere"), ("goes-with", "nowhere")])
def test_an_unknown_product_is_told_in_one_line(checkout, monkeypatch, words):
    made = run(checkout, monkeypatch, *words)
    assert made.exit_code != 0
    assert isinstance(made.exception, ShelfwiseError)
    assert "nowhere" in str(made.exception)


@pytest.mark.parametrize(
    "words", [("launch", "p1"), ("segments",), ("goes-with", "p1"), ("offers", "v")]
)
def test_a_checkout_without_artefacts_says_what_to_run(tmp_path, monkeypatch, words):
    made = run(Layout(tmp_path), monkeypatch, *words)
    assert isinstance(made.exception, ShelfwiseError)
    assert "make pipeline" in str(made.exception)
