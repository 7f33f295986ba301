"""Offers to visitors: every cap holds, and no allowed set is worth more."""

import itertools

import numpy as np
import pytest

from components.merchandise.allocation import Caps, Pairs, allocate, fatigue_caps


def best_by_force(pairs, caps):
    best = 0.0
    for size in range(len(pairs) + 1):
        for chosen in itertools.combinations(range(len(pairs)), size):
            rows = list(chosen)
            per_visitor = np.bincount(pairs.visitor[rows], minlength=len(caps.per_visitor))
            per_offer = np.bincount(pairs.offer[rows]).max(initial=0)
            if (
                (per_visitor <= caps.per_visitor).all()
                and (caps.per_offer is None or per_offer <= caps.per_offer)
                and (caps.budget is None or pairs.cost[rows].sum() <= caps.budget)
            ):
                best = max(best, float(pairs.worth[rows].sum()))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_allocation_is_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    every = list(itertools.product(range(3), range(4)))
    kept = [every[i] for i in sorted(rng.choice(len(every), size=9, replace=False))]
    visitor, offer = np.array(kept).T
    pairs = Pairs(
        visitor, offer, np.round(rng.normal(1, 1, 9), 3), rng.integers(0, 50, 9).astype(float)
    )
    caps = Caps(
        per_visitor=rng.integers(0, 3, 3),
        per_offer=int(rng.integers(1, 3)) if seed % 2 else None,
        budget=float(rng.integers(20, 120)) if seed % 3 else None,
    )
    found = allocate(pairs, caps)
    rows = found.chosen
    counts = np.bincount(pairs.visitor[rows], minlength=3)
    assert (counts <= caps.per_visitor).all()
    if caps.per_offer is not None:
        assert np.bincount(pairs.offer[rows]).max(initial=0) <= caps.per_offer
    if caps.budget is not None:
        assert found.cost <= caps.budget
    assert found.status == "optimal"
    assert found.worth == pytest.approx(best_by_force(pairs, caps), abs=1e-5)


def test_fatigue_takes_from_what_a_visitor_may_get():
    caps = fatigue_caps(3, np.array([0, 5, 9]), max_per_visitor=3, max_in_fatigue=6)
    assert caps.tolist() == [3, 1, 0]
