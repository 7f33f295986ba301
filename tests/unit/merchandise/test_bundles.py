"""Complements and substitutes on a shop made for it; baskets against brute force."""

import itertools

import numpy as np
import pytest

from components.merchandise.bundles import Bundles, build_bundles, fill_basket, judge
from components.recommend.history import build_log

TEA, BISCUIT, SOAP, GREEN_TEA = range(4)


@pytest.fixture(scope="module")
def log():
    """Tea goes with biscuits; green tea is bought in turn with tea; soap goes with nothing."""
    rng = np.random.default_rng(1)
    rows = []
    for visitor in range(80):
        for trip in range(12):
            day = trip * 7
            kind = TEA if (trip + visitor) % 2 else GREEN_TEA
            if trip % 3 == 0:
                rows += [(visitor, kind, day), (visitor, BISCUIT, day)]
            elif rng.random() < 0.5:
                rows.append((visitor, SOAP, day))
            else:
                rows.append((visitor, kind, day))
    table = np.array(rows)
    ones = np.ones(len(table), dtype=np.float32)
    return build_log(
        table[:, 0], table[:, 1], table[:, 2], table[:, 2] // 7 + 1, ones, ones * 0,
        np.full(len(table), -1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundles(log):
    vectors = np.eye(4, dtype=np.float32)
    vectors[GREEN_TEA] = [0.9, 0.0, 0.0, np.sqrt(1 - 0.81)]
    return build_bundles(
        log, ("tea", "biscuit", "soap", "green"), np.array([0, 1, 2, 0]), vectors, min_lines=5
    )


def test_what_is_bought_together_goes_together_and_what_is_alike_stands_in(bundles):
    goes = bundles.complements.other[bundles.complements.of(TEA)].tolist()
    assert goes == [BISCUIT]
    stands = bundles.substitutes.other[bundles.substitutes.of(TEA)].tolist()
    assert stands == [GREEN_TEA]
    assert bundles.complements.of(SOAP) == slice(*[bundles.complements.of(SOAP).start] * 2)


def test_round_trip_and_products_it_never_saw(bundles, tmp_path):
    bundles.save(tmp_path)
    assert (tmp_path / "bundles.npz").stat().st_size > 0
    assert bundles.complements.of(99) == slice(0, 0)
    assert Bundles.load(tmp_path) is None  # no manifest: not an artefact


def test_later_baskets_hold_what_was_named_for_them(bundles, log):
    rows = {r["model"]: r for r in judge(bundles, log, 7, n=50, seed=1)}
    assert rows["shelfwise"]["lift@5"] > 1.3
    assert rows["shelfwise"]["lift@5_low"] <= rows["shelfwise"]["lift@5"]


def best_by_force(values, prices, budget, groups, at_most, at_least, must, never, lines):
    best = None
    for size in range(len(values) + 1):
        for chosen in itertools.combinations(range(len(values)), size):
            held = set(chosen)
            counts = [sum(groups[i] == g for i in chosen) for g in range(3)]
            if (
                sum(prices[i] for i in chosen) <= budget
                and held >= set(must)
                and not any(a in held and b in held for a, b in never)
                and (lines is None or size <= lines)
                and all(counts[g] <= n for g, n in at_most.items())
                and all(counts[g] >= n for g, n in at_least.items())
            ):
                value = sum(values[i] for i in chosen)
                best = value if best is None else max(best, value)
    return best


@pytest.mark.parametrize("seed", range(40))
def test_filled_baskets_are_the_best_there_are(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    values = np.round(rng.random(n) * 5, 2).tolist()
    prices = rng.integers(50, 400, n).tolist()
    groups = rng.integers(0, 3, n).tolist()
    budget = int(rng.integers(100, 1200))
    at_most = {int(rng.integers(3)): int(rng.integers(0, 3))} if rng.random() < 0.5 else {}
    at_least = {int(rng.integers(3)): 1} if rng.random() < 0.4 else {}
    must = (int(rng.integers(n)),) if rng.random() < 0.4 else ()
    never = [(0, n - 1)] if n > 1 and rng.random() < 0.5 else []
    lines = int(rng.integers(1, 5)) if rng.random() < 0.5 else None
    expected = best_by_force(values, prices, budget, groups, at_most, at_least, must, never, lines)
    found = fill_basket(
        values, prices, budget, groups=groups, at_most=at_most, at_least=at_least, must=must,
        never=never, lines=lines,
    )  # fmt: skip
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.is_optimal
        assert found.value == pytest.approx(expected, abs=1e-6)
        assert found.cost_minor <= budget
