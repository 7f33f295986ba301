"""Intervals: repeatable, of the right width, and narrower when paired."""

import numpy as np
import pytest

from components.evaluate.bootstrap import mean_interval, paired_interval


def test_width_agrees_with_theory_and_seed_repeats():
    values = np.random.default_rng(1).normal(0.3, 0.2, 4000)
    mean, low, high = mean_interval(values, n=1000, seed=3)
    assert mean == pytest.approx(values.mean())
    assert (high - low) == pytest.approx(2 * 1.96 * values.std() / np.sqrt(4000), rel=0.1)
    assert mean_interval(values, n=1000, seed=3) == (mean, low, high)
    assert mean_interval(values, n=1000, seed=3, block=17) == (mean, low, high)


def test_coverage_is_about_as_stated():
    generator = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        _, low, high = mean_interval(generator.exponential(1.0, 200), n=200, seed=trial)
        inside += low <= 1.0 <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_paired_is_narrower_than_single_and_skips_nan():
    generator = np.random.default_rng(2)
    ease = generator.normal(0, 1, 500)
    a, b = ease + 0.1 + generator.normal(0, 0.05, 500), ease
    paired = paired_interval(a, b, n=300)
    single = mean_interval(a, n=300)
    assert paired.low > 0.08
    assert paired.high - paired.low < (single.high - single.low) / 5
    a[0] = np.nan
    assert paired_interval(a, b, n=10).mean == pytest.approx(np.nanmean(a - b))
    with pytest.raises(ValueError, match="shapes"):
        paired_interval([1.0], [1.0, 2.0])


def test_no_values_is_nan():
    assert np.isnan(mean_interval([], n=5).mean)
