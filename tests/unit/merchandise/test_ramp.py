"""The ramp: the regret cap holds on every path, flops stop, hits widen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contracts.launches import RampStage
from components.contracts.params import TrainLaunchParams
from components.merchandise.ramp import (
    Account,
    after_decision,
    chance_of_rate,
    decide,
    earned,
    may_show,
    shown,
)
from components.merchandise.train_launch import simulate

STAGES = (RampStage(chance=0.1, exposures=50), RampStage(chance=0.3, exposures=500))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["", "click", "basket_add", "purchase"])),
        max_size=200,
    ),
    st.floats(0, 5),
)
def test_the_cap_is_never_broken(path, cap):
    account = Account()
    for displaced, kind in path:
        if may_show(account, displaced, cap):
            account = shown(account, displaced)
            assert account.regret <= cap + 1e-9
        if kind and account.exposures:
            account = earned(account, kind)


def test_a_flop_stops_and_a_hit_widens():
    flop = Account(exposures=400, successes=0)
    assert decide(flop, STAGES, expected=0.05, flop=0.02, floor=50) == "stop"
    hit = Account(exposures=60, successes=6)
    assert decide(hit, STAGES, expected=0.05, flop=0.02, floor=50) == "widen"
    assert decide(Account(exposures=10), STAGES, expected=0.05, flop=0.02, floor=50) == "go on"
    assert after_decision(flop, "stop").stopped
    assert after_decision(hit, "widen").stage == 1


def test_credit_counts_once_per_exposure():
    account = earned(Account(exposures=1), "click")
    account = earned(account, "purchase", before=0.2)
    assert account.credited == pytest.approx(1.0)
    assert account.successes == 1


def test_chance_of_rate_falls_with_failures():
    chances = [chance_of_rate(0, n, 0.05, 0.02) for n in (0, 50, 100, 200)]
    assert (np.diff(chances) < 0).all()


def test_the_simulator_stops_flops_and_lets_hits_run():
    found = simulate(TrainLaunchParams(), launches=30)
    kinds = {k["kind"]: k for k in found["kinds"]}
    assert found["highest_regret"] <= found["cap"]
    assert kinds["flop"]["stopped"] > 0.9
    assert kinds["hit"]["stopped"] < 0.1
    assert kinds["flop"]["mean_exposures"] < 0.3 * kinds["hit"]["mean_exposures"]
