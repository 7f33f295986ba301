"""Slates by hand: MMR, caps, pins, exploration."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from components.recommend.slate import Rule, SlatePolicy, capped, compose, mmr

VECTORS = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8]], dtype=float)


def likeness(item, others):
    return VECTORS[list(others)] @ VECTORS[item]


def parity(item: int) -> int:
    return item % 2


def composed(k: int, policy: SlatePolicy = SlatePolicy(), **kwargs):  # noqa: B008 - frozen
    return compose(
        range(10), [10.0 - i for i in range(10)], k, policy,
        similarity=lambda item, others: np.zeros(len(others)),
        type_of=parity, category_of=lambda item: None, **kwargs,
    )  # fmt: skip


def test_mmr_by_hand():
    # Relevance 1, .9, .5, 0. After item 0: item 1 = .5*.9-.5*1 = -.05; item 2 = .25; item 3 = -.3.
    assert mmr([0, 1, 2, 3], [1.0, 0.9, 0.5, 0.0], 3, 0.5, likeness) == [0, 2, 1]
    assert mmr([0, 1, 2, 3], [1.0, 0.9, 0.5, 0.0], 3, 0.0, likeness) == [0, 1, 2]


def test_caps_are_kept_while_places_can_be_filled():
    assert capped([0, 2, 4, 1, 6], 3, [(parity, 2)]) == [0, 2, 1]
    assert capped([0, 2, 4], 3, [(parity, 2)]) == [0, 2, 4]
    assert [p.item for p in composed(4, SlatePolicy(max_per_type=2))] == [0, 1, 2, 3]


def test_pins_take_their_rank_in_order():
    placed = composed(4, pins=[(1, 7), (3, 9)])
    assert [p.item for p in placed] == [7, 0, 9, 1]
    assert [p.pinned for p in placed] == [True, False, True, False]


def test_fewer_products_than_places_are_all_shown():
    assert len(composed(25)) == 10


def test_exploration_is_seeded_and_its_propensities_add_up():
    policy = SlatePolicy(exploration=0.4)
    pool = [20, 21, 22]
    seen: dict[int, float] = {}
    n = 4000
    for seed in range(n):
        last = composed(3, policy, explorable=pool, seed=seed)[-1]
        seen[last.item] = seen.get(last.item, 0) + 1 / n
        assert last.propensity == pytest.approx(0.4 / 3 if last.item >= 20 else 0.6)
    assert seen[2] == pytest.approx(0.6, abs=0.03)
    assert all(seen[item] == pytest.approx(0.4 / 3, abs=0.02) for item in pool)
    assert composed(3, policy, explorable=pool, seed=5) == composed(
        3, policy, explorable=pool, seed=5
    )


def test_rules_hold_from_start_until_just_before_the_end():
    now = datetime(2020, 1, 1, tzinfo=UTC)
    rule = Rule("pin", ("a",), starts_at=now, ends_at=now + timedelta(days=1), surfaces=("home",))
    assert rule.holds(now, "home")
    assert not rule.holds(now + timedelta(days=1), "home")
    assert not rule.holds(now - timedelta(seconds=1), "home")
    assert not rule.holds(now, "basket")


def test_a_family_is_shown_once_by_its_best_or_its_pin():
    thirds = {"family_of": lambda item: item // 3}
    assert [p.item for p in composed(4, **thirds)] == [0, 3, 6, 9]
    assert [p.item for p in composed(9, SlatePolicy(pool=1), **thirds)] == [0, 3, 6, 9]
    assert [p.item for p in composed(4, pins=[(2, 5)], **thirds)] == [0, 5, 6, 9]
    policy = SlatePolicy(exploration=0.9)
    for seed in range(50):
        shown = [
            p.item for p in composed(6, policy, explorable=[1, 12, 13, 14, 15], seed=seed, **thirds)
        ]
        assert len({item // 3 for item in shown}) == len(shown)
