import numpy as np
import polars as pl
import pytest

from components.contracts.params import PromoteParams
from components.registry.gate import (
    Check,
    Evidence,
    as_markdown,
    decide,
    read_verdict,
    write_verdict,
)

RULES = PromoteParams()
N = 400


def evidence(
    release_id: str,
    shift: float = 0.0,
    *,
    slices: dict[str, float] | None = None,
    noise: float = 0.0,
    baseline: float = 0.26,
    cut_off: str = "week 49",
    latency: dict[str, float] | None = None,
) -> Evidence:
    """A release whose visitors score 0.3 on average, moved by `shift` (per slice if given)."""
    base = np.random.default_rng(1).uniform(0.1, 0.5, N)
    extra = np.random.default_rng(2).normal(0, noise, N) if noise else np.zeros(N)
    parts = []
    for name in ("all", "repeat", "novel"):
        moved = base + (slices or {}).get(name, shift) + extra
        ids = [f"v{i}" for i in range(N)]
        parts.append(pl.DataFrame({"visitor_id": ids, "slice": [name] * N, "ndcg@10": moved}))
    visitors = pl.concat(parts)
    value = float(visitors.filter(pl.col("slice") == "all")["ndcg@10"].mean())
    report = {
        "protocol": "P1",
        "dataset": "d",
        "split": "s",
        "cut_off": cut_off,
        "n": N,
        "rows": [
            {"model": "own_frequency_decay", "slice": "all", "ndcg@10": baseline},
            {"model": "ours", "shipped": True, "slice": "all", "ndcg@10": value},
        ],
    }
    return Evidence(release_id, report, visitors, latency or {})


def failed(verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_first_release_is_promoted_on_its_own_merits():
    verdict = decide(evidence("a"), None, RULES)
    assert verdict.promote
    assert verdict.champion_id is None
    assert "first champion" in verdict.summary


@pytest.mark.parametrize(
    ("shift", "promote"), [(0.01, True), (0.0, True), (-0.001, False), (-0.01, False)]
)
def test_paired_loss(shift, promote):
    """Without noise even a loss of .001 is significant; pairing shows it."""
    assert decide(evidence("b", shift), evidence("a"), RULES).promote is promote


def test_a_loss_within_the_limit_that_may_be_chance_is_let_through():
    verdict = decide(evidence("b", -0.0005, noise=0.05), evidence("a"), RULES)
    assert verdict.promote, verdict.reasons


def test_worse_challenger_is_refused_with_its_figures_in_the_reason():
    verdict = decide(evidence("b", -0.02), evidence("a"), RULES)
    assert not verdict.promote
    assert "-0.0200" in verdict.reasons[0]
    assert "all visitors" in verdict.reasons[0]


def test_one_slice_may_not_pay_for_the_mean():
    challenger = evidence("b", slices={"all": 0.01, "repeat": 0.05, "novel": -0.03})
    assert failed(decide(challenger, evidence("a"), RULES)) == [
        "ndcg@10, novel visitors, against the champion"
    ]


def test_below_the_baseline():
    assert failed(decide(evidence("a", baseline=0.5), None, RULES)) == ["better than the baselines"]


def test_too_good_to_be_true():
    assert failed(decide(evidence("a", 0.5), None, RULES)) == ["not too good to be true"]


def test_a_release_without_figures_is_refused():
    verdict = decide(Evidence("a"), None, RULES)
    assert failed(verdict) == ["evaluation"]


def test_other_test_data_are_compared_by_lift_over_habit():
    champion = evidence("a", cut_off="week 45")
    better = decide(evidence("b", 0.0, baseline=0.25), champion, RULES)
    assert better.promote
    worse = decide(evidence("b", 0.0, baseline=0.28), champion, RULES)
    assert failed(worse) == ["lift over the strongest baseline, against the champion's"]


@pytest.mark.parametrize(
    ("now", "before", "ok"),
    [(20.0, 15.0, True), (40.0, 15.0, False), (300.0, 290.0, False), (4.0, 1.0, True)],
)
def test_latency(now, before, ok):
    verdict = decide(
        evidence("b", latency={"search": now}), evidence("a", latency={"search": before}), RULES
    )
    assert verdict.promote is ok


def test_a_failed_extra_check_refuses():
    leak = Check(name="canary: shuffled time", passed=False, observed="not seen", allowed="seen")
    verdict = decide(evidence("a"), None, RULES, extra=[leak])
    assert verdict.reasons == ("canary: shuffled time: not seen (allowed: seen)",)


def test_verdict_is_written_for_people_and_programs(tmp_path):
    verdict = decide(evidence("b", -0.02), evidence("a"), RULES)
    page = write_verdict(verdict, tmp_path)
    assert page.read_text() == as_markdown(verdict)
    assert "# Release b: refused" in page.read_text()
    assert read_verdict("b", tmp_path) == verdict
    assert read_verdict("other", tmp_path) is None


def test_a_verdict_says_that_it_compared_what_was_sought():
    pair = [evidence(name) for name in ("b", "a")]
    for one in pair:
        one.report["compared_on"] = "sought"
    assert as_markdown(decide(*pair, RULES)).count("no slate led to") == 1
    assert "no slate led to" not in as_markdown(decide(evidence("b"), evidence("a"), RULES))
