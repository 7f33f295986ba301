import json

from typer.testing import CliRunner

from components.cli import app


def test_status_shows_what_stages_cost_and_steps_over_what_it_cannot_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SHELFWISE_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    costs = {"ingest": {"seconds": 12.0, "peak_mib": 210}, "old": 3.5, "odd": {"seconds": [1, 2]}}
    (tmp_path / "var" / "timings.json").write_text(json.dumps(costs))
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 0, shown.output
    assert "champion: none yet" in shown.output
    assert "ingest" in shown.output
    assert "210" in shown.output
    assert "odd" not in shown.output
