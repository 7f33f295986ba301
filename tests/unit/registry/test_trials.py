"""Trials of a release: what stops them, what ends them, and how often chance does."""

import numpy as np
import pytest

from components.contracts.params import PromoteParams
from components.registry.trials import (
    ALPHA,
    Record,
    is_worse,
    judge_canary,
    judge_promotion,
    look_of,
    rate_variance,
)

RULES = PromoteParams(canary_slates=200)


def record(name: str, slates: int, rate: float, **more) -> Record:
    """Four slates a visitor; the first ones clicked."""
    clicked = round(slates * rate)
    visitors = {}
    for number in range(slates // 4):
        here = min(4, max(0, clicked - 4 * number))
        visitors[f"v{number}"] = (4, here)
    return Record(name, answers=slates, visitors=visitors, **more)


def test_a_click_rate_counts_slates_and_its_error_counts_visitors():
    one = Record("a", visitors={"v": (3, 1), "w": (1, 1)})
    assert (one.slates, one.click_rate) == (4, 0.5)
    # Residuals 1 - 1.5 and 1 - 0.5: (0.25 + 0.25) / 16, and never below the Poisson error 0.5 / 16.
    assert rate_variance(one) == pytest.approx(0.5 / 16)
    assert rate_variance(Record("a")) == 0


def test_little_seen_goes_on():
    ruling = judge_canary(record("b", 40, 0.0), record("a", 400, 0.5), RULES)
    assert ruling.action == "go on"
    assert "40 of 200" in ruling.reason


def test_a_clear_loss_stops_at_the_first_look_with_both_figures():
    ruling = judge_canary(record("b", 60, 0.05), record("a", 600, 0.5), RULES)
    assert ruling.action == "stop"
    assert "0.05 clicks a slate on 60 slates, the other 0.50 on 600" in ruling.reason


def test_as_good_passes_at_the_end_of_the_trial():
    assert judge_canary(record("b", 200, 0.48), record("a", 600, 0.5), RULES).action == "pass"


def test_a_loss_within_chance_but_too_large_ends_the_trial_too():
    ruling = judge_canary(record("b", 200, 0.42), record("a", 600, 0.5), RULES)
    assert ruling.action == "stop"
    assert "at the end of the trial" in ruling.reason


def test_failures_stop_before_any_click_is_seen():
    failing = Record("b", answers=20, failures=4)
    ruling = judge_canary(failing, Record("a", answers=200), RULES)
    assert ruling.action == "stop"
    assert "failures: 4 of 20 answers (20.0%)" in ruling.reason
    two = Record("b", answers=20, failures=2)
    assert judge_canary(two, Record("a", answers=200), RULES).action == "go on"
    both = Record("a", answers=200, failures=40)
    assert judge_canary(failing, both, RULES).action == "go on"


def test_slow_answers_stop_but_only_when_enough_were_timed():
    champion = Record("a", answers=200, times_ms=[20.0] * 200)
    slow = Record("b", answers=200, times_ms=[120.0] * 200)
    assert "time to answer: p95 120 ms" in judge_canary(slow, champion, RULES).reason
    few = Record("b", answers=20, times_ms=[120.0] * 20)
    assert judge_canary(few, champion, RULES).action == "go on"


def test_a_promotion_is_taken_back_for_a_large_loss_alone():
    before = record("a", 2000, 0.5)
    assert judge_promotion(record("b", 120, 0.1), before, RULES).action == "stop"
    # Beyond chance, yet shoppers may have changed meanwhile.
    smaller = record("b", 2000, 0.4)
    assert is_worse(smaller, before)[0]
    assert judge_promotion(smaller, before, RULES).action == "pass"


def test_all_looks_together_err_as_seldom_as_stated():
    """Two equal releases, looked at after every 10 slates up to 400: chance stops few trials."""
    generator = np.random.default_rng(7)
    stopped = 0
    trials = 300
    for _ in range(trials):
        draws = generator.random((2, 400)) < 0.5
        for seen in range(50, 401, 10):
            one, other = (
                Record(name, visitors={f"v{i}": (1, int(hit)) for i, hit in enumerate(side[:seen])})
                for name, side in zip("ba", draws, strict=True)
            )
            if is_worse(one, other)[0]:
                stopped += 1
                break
    assert stopped / trials <= ALPHA + 0.03


def test_looks_double():
    assert [look_of(n) for n in (50, 150, 200, 399, 400)] == [0, 1, 2, 2, 3]


@pytest.mark.parametrize(("clicks", "action"), [(12, "pass"), (6, "stop")])
def test_where_nearly_every_slate_has_a_click_their_number_tells(clicks, action):
    def seen(name: str, a_visitor: int) -> Record:
        visitors = {f"v{n}": (4, a_visitor + n % 3 - 1) for n in range(60)}
        return Record(name, answers=240, visitors=visitors)

    new, before = seen("new", clicks), seen("old", 12)
    assert judge_promotion(new, before, RULES).action == action
    assert judge_canary(new, before, RULES).action == action
