"""Percentile bootstrap intervals over visitors (or queries), alone and paired.

In go per-visitor values; out come a mean and the ends of its interval. The resampling unit is the
row: correlated rows (two queries of one visitor) must be averaged by the caller first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """A mean and its interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float).ravel()
    return array[~np.isnan(array)]


def mean_interval(
    values: ArrayLike, *, n: int = 1000, seed: int = 7, level: float = 0.95, block: int = 64
) -> Interval:
    """Estimate a mean with its percentile bootstrap interval.

    Args:
        values: one value per visitor; NaN (not defined for this visitor) is left out.
        n: number of resamples.
        seed: makes the interval repeatable.
        level: coverage wanted, in (0, 1).
        block: resamples drawn at a time; bounds memory at block x values numbers, and does not
            change the result.

    Returns:
        mean, low, high; all NaN without values.

    >>> mean_interval([1.0, 1.0, 1.0], n=10, seed=0)
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    array = _finite(values)
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"))
    generator = np.random.default_rng(seed)
    means = np.empty(n)
    for start in range(0, n, block):
        stop = min(n, start + block)
        draws = np.stack(
            [generator.integers(0, len(array), len(array)) for _ in range(start, stop)]
        )
        means[start:stop] = array[draws].mean(axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(array.mean()), float(low), float(high))


def paired_interval(
    a: ArrayLike, b: ArrayLike, *, n: int = 1000, seed: int = 7, level: float = 0.95
) -> Interval:
    """Estimate the mean of a - b over the same visitors, with its interval.

    Pairing removes what makes one visitor easier than another, so this interval is much narrower
    than the two single ones suggest. Rows where either is NaN are left out.

    Raises:
        ValueError: the two have different lengths.

    >>> paired_interval([3.0, 4.0], [1.0, 2.0], n=10).low
    2.0
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"paired values of shapes {first.shape} and {second.shape}.")
    return mean_interval(first - second, n=n, seed=seed, level=level)
