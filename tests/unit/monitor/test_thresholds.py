from datetime import date

import numpy as np
import pytest

from components.monitor.profile import GROUPS, Histogram, Measure, Profile
from components.monitor.thresholds import (
    FLOORS,
    RARE,
    Reference,
    aligned,
    calibrate,
    distances,
    false_alarm_rate,
    hellinger,
    pool,
    sample_weeks,
)

MEASURE = Measure("category", "category", "behaviour", "lines")


def profile(week: int, shares: dict[str, float], *, lines: int = 6400, seed: int = 0) -> Profile:
    rng = np.random.default_rng(100 * week + seed)
    names = tuple(sorted(shares))
    counts = rng.multinomial(lines // GROUPS, [shares[n] for n in names], size=GROUPS).astype(float)
    return Profile(
        week=week,
        first_day=date(2024, 1, 1),
        last_day=date(2024, 1, 7),
        days=7,
        histograms={"category": Histogram(MEASURE, names, counts)},
        volume=counts.sum(axis=1),
    )


@pytest.mark.parametrize(
    ("counts", "shares", "expected"),
    [
        ([1, 1], [0.5, 0.5], 0.0),
        ([1, 0], [0.0, 1.0], 1.0),
        ([1, 0], [0.5, 0.5], np.sqrt(1 - np.sqrt(0.5))),
    ],
)
def test_hellinger_by_hand(counts, shares, expected):
    assert hellinger(np.array(counts, float), np.array(shares)) == pytest.approx(expected)


def test_an_empty_row_has_no_distance():
    assert np.isnan(hellinger(np.zeros(2), np.array([0.5, 0.5])))


def test_rare_and_new_bins_are_compared_together():
    histogram = Histogram(MEASURE, ("a", "new", "rare"), np.tile([8.0, 1.0, 1.0], (GROUPS, 1)))
    counts, shares = aligned(histogram, {"a": 1 - RARE / 2, "rare": RARE / 2})
    assert counts.sum(axis=0).tolist() == [8.0 * GROUPS, 2.0 * GROUPS]
    assert shares.tolist() == [1 - RARE / 2, pytest.approx(RARE / 2)]


def test_pool_weighs_weeks_equally():
    reference = pool(
        [profile(1, {"a": 1.0, "b": 0.0}), profile(2, {"a": 0.0, "b": 1.0}, lines=640)]
    )
    assert reference.shares["category"] == pytest.approx({"a": 0.5, "b": 0.5})
    assert reference.weeks == (1, 2)


def test_volume_is_a_log_ratio():
    half = distances(profile(1, {"a": 1.0}, lines=3200), Reference({}, 6400.0, (1,)))
    assert half["lines in the week"][0] == pytest.approx(np.log(2))


def weeks(n: int, shares=None) -> list[tuple[Profile, Reference]]:
    usual = shares or {"a": 0.5, "b": 0.3, "c": 0.2}
    made = [profile(week, usual) for week in range(n + 4)]
    return [(made[i], pool(made[i - 4 : i])) for i in range(4, n + 4)]


def test_calm_weeks_keep_the_stated_rate_and_a_shift_exceeds_the_limit():
    samples = sample_weeks(weeks(24), resamples=20, seed=1)
    rate, judged = false_alarm_rate(samples, rate=0.05, draws=200, seed=1)
    assert rate <= 0.05
    assert judged > 15
    thresholds = calibrate(samples, rate=0.05)
    moved = distances(profile(99, {"a": 0.35, "b": 0.4, "c": 0.25}), weeks(1)[0][1])
    assert thresholds.exceedance(MEASURE, float(moved["category"][0])) > 1


def test_a_gross_week_among_the_history_does_not_blind_the_monitor():
    history = weeks(24)
    broken = (profile(99, {"a": 0.0, "b": 0.0, "c": 1.0}), history[0][1])
    clean = calibrate(sample_weeks(history, resamples=20, seed=1), rate=0.05)
    spoilt = calibrate(sample_weeks([*history[1:], broken], resamples=20, seed=1), rate=0.05)
    assert 99 not in spoilt.calm_weeks
    assert spoilt.limit(MEASURE) < 1.5 * clean.limit(MEASURE)


def test_floors_hold_and_little_history_falls_back():
    thresholds = calibrate(sample_weeks(weeks(24), resamples=5, seed=1), rate=0.05)
    assert thresholds.limit(MEASURE) >= FLOORS["behaviour"]
    few = calibrate(sample_weeks(weeks(3), resamples=5, seed=1), rate=0.05)
    assert not few.calibrated
    assert few.limit(MEASURE) == 0.2
    assert np.isnan(
        false_alarm_rate(sample_weeks(weeks(3), resamples=5, seed=1), rate=0.05, draws=9, seed=1)[0]
    )
