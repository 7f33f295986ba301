from components.contracts.messages import OperationsResponse
from ui.operations import page

CHAMPION = {
    "release_id": "aaa",
    "git_commit": "",
    "registered_at": "2026-01-02T03:04:05+00:00",
    "ndcg@10": 0.3,
    "ndcg@10_low": 0.2,
    "ndcg@10_high": 0.4,
}


def shown(**changes):
    about = {
        "request_id": "r", "status": "ok", "advice": ("Nothing to do.",), "model_version": "aaa",
        "now": "2026-01-02T03:04:05+00:00", "champion": CHAMPION, "challenger": CHAMPION,
    }  # fmt: skip
    return page(OperationsResponse.model_validate(about | changes), api_url="http://shop")


def test_a_figure_of_a_release_stands_with_its_interval():
    made = shown()
    assert "0.3 (0.2 to 0.4)" in made
    assert "ndcg@10 low" not in made
    assert "2026-01-02 03:04" in made
    assert "git commit" not in made


def test_the_challenger_has_a_column_only_where_there_is_one():
    assert ">challenger</th>" not in shown()
    both = shown(challenger={**CHAMPION, "release_id": "bbb"})
    assert ">challenger</th>" in both
    assert "bbb" in both


def test_figures_of_slices_are_folded_away():
    rows = [
        {"report": "p1", "model": "m", "slice": name, "ndcg@10": 0.25} for name in ("all", "novel")
    ]
    made = shown(figures=rows)
    opened, folded = made.split("Slices: 1 more")
    assert ">all</td>" in opened
    assert ">novel</td>" in folded
    assert ">novel</td>" not in opened


def test_what_others_wrote_is_text():
    made = shown(advice=("<img src=x onerror=alert(1)> `shelfwise rollback`",))
    assert "<img" not in made
    assert "<code>shelfwise rollback</code>" in made
