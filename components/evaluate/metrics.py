"""Ranking, rating and probability metrics, one value per query (or visitor) and no averaging.

In go ranked identifiers or a hit matrix; out come arrays of shape (n,), which `bootstrap`
turns into a mean with its interval. Nothing here knows a model; ties are settled before.
"""

from collections.abc import Collection, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def hit_matrix(
    ranked: Sequence[Sequence[Hashable]], relevant: Sequence[Collection[Hashable]], k: int = 10
) -> BoolArray:
    """Mark which of the first `k` ranked products are relevant.

    Args:
        ranked: per query the product ids, best first; a list shorter than `k` misses at the end.
        relevant: per query the relevant ids; use sets for speed.
        k: cut, at least 1.

    Returns:
        (n, k) booleans.

    Raises:
        ValueError: the two have different lengths, or a ranking names a product twice in its head.

    >>> hit_matrix([["a", "b"]], [{"b", "c"}], k=3).tolist()
    [[False, True, False]]
    """
    if len(ranked) != len(relevant):
        raise ValueError(f"{len(ranked)} rankings for {len(relevant)} sets of relevant products.")
    hits = np.zeros((len(ranked), k), dtype=bool)
    for row, (products, wanted) in enumerate(zip(ranked, relevant, strict=True)):
        head = list(products[:k])
        if len(set(head)) != len(head):
            raise ValueError(f"ranking {row} names a product twice within its first {k}.")
        hits[row, : len(head)] = [product in wanted for product in head]
    return hits


def _checked(hits: ArrayLike, n_relevant: ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    gains = np.asarray(hits, dtype=float)
    counts = np.asarray(n_relevant, dtype=float)
    if gains.ndim != 2 or counts.shape != (len(gains),):
        raise ValueError(f"hits {gains.shape} and n_relevant {counts.shape} do not agree.")
    return gains[:, :k], counts


def discounts(k: int) -> FloatArray:
    """Return the weights 1 / log2(rank + 1) of ranks 1 to `k`, shape (k,)."""
    return 1.0 / np.log2(np.arange(2, k + 2))


def ndcg_at_k(hits: ArrayLike, n_relevant: ArrayLike, k: int = 10) -> FloatArray:
    """Compute binary NDCG@k, the ideal being cut at min(k, number of relevant products).

    Args:
        hits: (n, at least min(k, depth)) truth of the ranked list, best first.
        n_relevant: (n,) number of relevant products of each query.
        k: cut, at least 1.

    Returns:
        (n,) values in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: shapes differ, or k is below 1.

    >>> ndcg_at_k([[1, 0, 1]], [2], k=3).round(4).tolist()
    [0.9197]
    """
    gains, counts = _checked(hits, n_relevant, k)
    weights = discounts(k)
    ideal = np.concatenate([[0.0], np.cumsum(weights)])[np.minimum(counts, k).astype(int)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, gains @ weights[: gains.shape[1]] / ideal, np.nan)


def graded_ndcg_at_k(
    gains: ArrayLike, ideal: Sequence[ArrayLike], k: int = 10, *, exponential: bool = True
) -> FloatArray:
    """Compute NDCG@k for graded judgements.

    Args:
        gains: (n, depth) grade of each ranked product, 0 for unjudged, best rank first.
        ideal: per query all grades that exist, in any order.
        k: cut, at least 1.
        exponential: gain 2^grade - 1 when true, the grade itself otherwise.

    Returns:
        (n,) values in [0, 1]; NaN where no grade is above 0.

    >>> graded_ndcg_at_k([[0, 3]], [[3, 0]], k=2).round(4).tolist()
    [0.6309]
    """
    grades, _ = _checked(gains, np.zeros(len(ideal)), k)
    weights = discounts(k)

    def value(grade: FloatArray) -> FloatArray:
        return np.exp2(grade) - 1.0 if exponential else grade

    best = np.array(
        [
            float(
                value(np.sort(np.asarray(row, dtype=float))[::-1][:k])
                @ weights[: min(k, len(np.atleast_1d(row)))]
            )
            for row in ideal
        ]
    )
    got = value(grades) @ weights[: grades.shape[1]]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(best > 0, got / best, np.nan)


def recall_at_k(hits: ArrayLike, n_relevant: ArrayLike, k: int = 10) -> FloatArray:
    """Compute the share of relevant products found in the first `k`, in [0, 1]; NaN without any.

    The denominator is the number of relevant products, not min(k, that number).

    >>> recall_at_k([[1, 0, 1]], [4], k=3).tolist()
    [0.5]
    """
    gains, counts = _checked(hits, n_relevant, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, gains.sum(axis=1) / counts, np.nan)


def precision_at_k(hits: ArrayLike, k: int = 10) -> FloatArray:
    """Compute the share of the first `k` places that are relevant, in [0, 1].

    >>> precision_at_k([[1, 0, 1, 0]], k=4).tolist()
    [0.5]
    """
    gains, _ = _checked(hits, np.zeros(len(np.atleast_2d(np.asarray(hits)))), k)
    return gains.sum(axis=1) / k


def reciprocal_rank(hits: ArrayLike, k: int = 10) -> FloatArray:
    """Compute 1 / rank of the first relevant product within `k`, 0 when there is none.

    >>> reciprocal_rank([[0, 1, 1], [0, 0, 0]], k=3).tolist()
    [0.5, 0.0]
    """
    gains, _ = _checked(hits, np.zeros(len(np.atleast_2d(np.asarray(hits)))), k)
    found = gains > 0
    return np.where(found.any(axis=1), 1.0 / (found.argmax(axis=1) + 1.0), 0.0)


def average_precision(hits: ArrayLike, n_relevant: ArrayLike, k: int = 10) -> FloatArray:
    """Compute average precision at `k`, normalised by min(k, relevant); NaN without any relevant.

    >>> average_precision([[1, 0, 1]], [2], k=3).round(4).tolist()
    [0.8333]
    """
    gains, counts = _checked(hits, n_relevant, k)
    precision = np.cumsum(gains, axis=1) / np.arange(1, gains.shape[1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, (precision * gains).sum(axis=1) / np.minimum(counts, k), np.nan)


def rmse(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Compute the root mean squared error, in the unit of `truth`.

    >>> rmse([1.0, 3.0], [1.0, 1.0]) == 2 ** 0.5
    True
    """
    error = np.asarray(truth, dtype=float) - np.asarray(predicted, dtype=float)
    return float(np.sqrt(np.mean(error**2)))


def mae(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Compute the mean absolute error, in the unit of `truth`.

    >>> mae([1.0, 3.0], [1.0, 1.0])
    1.0
    """
    return float(
        np.mean(np.abs(np.asarray(truth, dtype=float) - np.asarray(predicted, dtype=float)))
    )


def roc_auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Compute the chance that a positive outranks a negative, ties counting half.

    Returns:
        A number in [0, 1]; NaN when one class is absent.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    positive = np.asarray(truth).astype(bool)
    values = np.asarray(score, dtype=float)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(counts) - (counts - 1) / 2.0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = mid_rank[inverse]
    return float(
        (ranks[positive].sum() - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)
    )


def log_loss(truth: ArrayLike, probability: ArrayLike) -> float:
    """Compute the mean negative log-likelihood in nats; probabilities stay 1e-12 off 0 and 1.

    >>> round(log_loss([1, 0], [0.5, 0.5]), 4)
    0.6931
    """
    target = np.asarray(truth, dtype=float)
    chance = np.clip(np.asarray(probability, dtype=float), 1e-12, 1 - 1e-12)
    return float(-np.mean(target * np.log(chance) + (1 - target) * np.log1p(-chance)))


def calibration_error(truth: ArrayLike, probability: ArrayLike, bins: int = 10) -> float:
    """Compute the expected calibration error over bins of equal count.

    Returns:
        Mean distance between stated and observed frequency, weighted by bin size, in [0, 1].

    >>> calibration_error([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], bins=1)
    0.0
    """
    target = np.asarray(truth, dtype=float)
    chance = np.asarray(probability, dtype=float)
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(target[part].mean() - chance[part].mean()) for part in parts]
    return float(np.sum(gaps) / len(target))
