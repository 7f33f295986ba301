"""The boosted-tree ranker: features of candidate pairs to scores and calibrated probabilities.

In: `VisitorView`, `ShopState` and candidates. Out: one score per pair, higher is better, and the
chance that the product is in the visitor's next basket. `rank_visitors` is the one path from a
view to a ranking; training, evaluation and serving all take it. LightGBM is imported when needed.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.data.trees import read_trees
from components.recommend.candidates import QUOTAS, Candidates, generate, generator_scores
from components.recommend.features import (
    FEATURES,
    ShopState,
    VisitorView,
    affinities,
    feature_rows,
)
from components.recommend.history import BoolArray, FloatArray

RANKER_NAME = "ranker.json"
# Log-odds per standard deviation of the Transformer's score, chosen on the weeks before the test
# cut-off (docs/recommendations.md). The trees learn from windows that the Transformer has seen,
# so its score cannot be one of their features.
SEQUENCE_WEIGHT = 0.05


def sigmoid(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-x)), safe for large numbers."""
    x = np.clip(np.asarray(values, dtype=np.float64), -60, 60)
    return 1.0 / (1.0 + np.exp(-x))


@dataclass(frozen=True)
class Calibration:
    """A monotone piecewise-linear map from score to probability; see `fit_calibration`."""

    scores: tuple[float, ...] = (-8.0, 8.0)
    probabilities: tuple[float, ...] = (0.0003, 0.9997)

    def __call__(self, score: NDArray[Any]) -> FloatArray:
        """Return probabilities in [0, 1], flat outside the fitted range."""
        return np.interp(score, self.scores, self.probabilities).astype(np.float32)


def fit_calibration(
    score: NDArray[Any], bought: BoolArray, weight: NDArray[Any], bins: int = 40
) -> Calibration:
    """Fit a calibration by pooling adjacent violators over bins of equal weight.

    Args:
        score: (n,) ranker scores.
        bought: (n,) whether the product was in the basket.
        weight: (n,) how many pairs of the population each row stands for.
        bins: resolution; top bins are small since baskets are.

    Returns:
        A non-decreasing map.
    """
    order = np.argsort(score, kind="stable")
    value, hit, mass = score[order], bought[order].astype(float), weight[order].astype(float)
    rank = np.cumsum(mass) / mass.sum()
    # Half of the bins for the top tenth: that is where slates are made.
    edges = np.unique(
        np.r_[np.linspace(0, 0.9, bins // 2), 1 - np.geomspace(0.1, 0.0005, bins // 2)]
    )
    group = np.searchsorted(edges, rank, "right")
    blocks: list[list[float]] = []
    for label in np.unique(group):
        rows = group == label
        total = mass[rows].sum()
        blocks.append([(value[rows] * mass[rows]).sum() / total,
                       (hit[rows] * mass[rows]).sum() / total, total])  # fmt: skip
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            last, before = blocks.pop(), blocks.pop()
            both = before[2] + last[2]
            pooled = [
                (a * before[2] + b * last[2]) / both
                for a, b in zip(before[:2], last[:2], strict=True)
            ]
            blocks.append([*pooled, both])
    return Calibration(
        tuple(float(b[0]) for b in blocks),
        tuple(float(min(max(b[1], 1e-6), 1 - 1e-6)) for b in blocks),
    )


@dataclass
class Ranker:
    """Boosted trees whose raw scores are averaged with fixed weights, and a calibration.

    Attributes:
        models: LightGBM text of each model; text is what is hashed and stored.
        weights: one per model; scores are weighted sums of raw outputs.
        parts: per model the pairs it scores: `own` products bought before, `new` ones, or `all`.
            Every model gives log-odds, so that the parts' scores stand on one scale.
        features: column names the models were trained on, among `FEATURES`; one may see fewer.
        calibration: score to probability.
        quotas: candidate quotas it was trained with.
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    calibration: Calibration = field(default_factory=Calibration)
    quotas: Mapping[str, int] = field(default_factory=lambda: dict(QUOTAS))
    features: tuple[str, ...] = FEATURES
    parts: tuple[str, ...] = ()
    _boosters: list[Any] = field(default_factory=list, repr=False)

    def boosters(self) -> list[Any]:
        """Return the parsed models."""
        if not self._boosters:
            self._boosters = [read_trees(text, origin="next-basket ranker") for text in self.models]
        return self._boosters

    def score(self, rows: FloatArray, *, threads: int = 1) -> FloatArray:
        """Score feature rows.

        Args:
            rows: (n, F) in the order of `FEATURES`.
            threads: used by LightGBM; the scores do not depend on it.

        Returns:
            (n,) higher is better.
        """
        total = np.zeros(len(rows), dtype=np.float64)
        if not len(rows):
            return total.astype(np.float32)
        own = rows[:, FEATURES.index("own_days")] > 0
        parts = self.parts or ("all",) * len(self.models)
        for booster, weight, part in zip(self.boosters(), self.weights, parts, strict=True):
            at = np.flatnonzero({"own": own, "new": ~own, "all": np.ones_like(own)}[part])
            names = booster.feature_name()
            columns = np.array([FEATURES.index(name) for name in names])
            wanted = rows[at] if names == list(FEATURES) else rows[np.ix_(at, columns)]
            if len(wanted):
                raw = booster.predict(wanted, raw_score=True, num_threads=threads)
                total[at] += weight * raw
        return total.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write `ranker.json` and one text file per model."""
        for place, text in enumerate(self.models):
            (folder / f"model_{place}.txt").write_text(text, encoding="utf-8")
        stored = {
            "weights": list(self.weights),
            "features": list(self.features),
            "parts": list(self.parts),
            "quotas": dict(self.quotas),
            "calibration": {
                "scores": list(self.calibration.scores),
                "probabilities": list(self.calibration.probabilities),
            },
        }
        (folder / RANKER_NAME).write_text(json.dumps(stored, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: made for other features than this code computes.
        """
        stored = json.loads((folder / RANKER_NAME).read_text(encoding="utf-8"))
        if not set(stored["features"]) <= set(FEATURES):
            raise ArtefactError(
                f"{folder}: the ranker was trained on other features than this version computes. "
                "Rebuild it with `shelfwise stage train_ranker`."
            )
        calibration = stored["calibration"]
        return cls(
            models=tuple(
                (folder / f"model_{place}.txt").read_text(encoding="utf-8")
                for place in range(len(stored["weights"]))
            ),
            weights=tuple(stored["weights"]),
            calibration=Calibration(
                tuple(calibration["scores"]), tuple(calibration["probabilities"])
            ),
            quotas=stored["quotas"],
            features=tuple(stored["features"]),
            parts=tuple(stored.get("parts", ())),
        )


@dataclass(frozen=True)
class Ranking:
    """Scored candidates of a batch; arrays (n,) aligned with `candidates`."""

    candidates: Candidates
    score: FloatArray
    probability: FloatArray
    features: FloatArray | None = None


def propose(
    view: VisitorView,
    state: ShopState,
    *,
    quotas: Mapping[str, int] = QUOTAS,
    extra: Mapping[str, FloatArray] | None = None,
    allowed: BoolArray | None = None,
) -> tuple[Candidates, dict[str, FloatArray]]:
    """Generate candidates and return them with the affinities their features need.

    Args:
        view: B visitors as of their requests.
        state: the shop before the week of the requests.
        quotas: per generator.
        extra: further generators' (B, V) scores.
        allowed: (V,) products that may be candidates; those rankable by default.
    """
    affinity = affinities(view, state)
    scores = {**generator_scores(view, state, affinity), **(extra or {})}
    return generate(view, state, scores, quotas=quotas, allowed=allowed), affinity


def standing(scores: FloatArray, candidates: Candidates) -> FloatArray:
    """Return how far each candidate lies above the mean of its visitor's candidates.

    Distances from that mean leave a visitor's chances about right as a whole.

    Args:
        scores: (B, V) of a generator; 0 marks what it does not know.
        candidates: n pairs.

    Returns:
        (n,) in standard deviations over all products known in the visitor's row.

    >>> row = np.array([[1.0, 2.0, 3.0, 0.0]], np.float32)
    >>> both = np.array([0, 0]), np.array([2, 3])
    >>> standing(row, Candidates(*both, np.zeros(2, np.int64), np.zeros(2, bool))).round(2)
    array([ 0.61, -0.61], dtype=float32)
    """
    known = scores > 0
    count = np.maximum(known.sum(axis=1), 1)
    mean = scores.sum(axis=1, where=known) / count
    apart = np.where(known, scores - mean[:, None], np.float32(0))
    spread = np.sqrt(np.square(apart).sum(axis=1) / count)
    visitor = candidates.visitor
    above = apart[visitor, candidates.product] / np.maximum(spread[visitor], 1e-6)
    size = np.maximum(np.bincount(visitor, minlength=len(scores)), 1)
    usual = np.bincount(visitor, above, len(scores)) / size
    return (above - usual[visitor]).astype(np.float32)


def rank_visitors(
    view: VisitorView,
    state: ShopState,
    ranker: Ranker,
    *,
    extra: Mapping[str, FloatArray] | None = None,
    allowed: BoolArray | None = None,
    threads: int = 1,
    keep_features: bool = False,
) -> Ranking:
    """Generate and score candidates for a batch of visitors.

    Args:
        view: B visitors as of their requests.
        state: the shop before the week of the requests.
        ranker: the trained model.
        extra: further generators' (B, V) scores, for instance `sasrec`.
        allowed: (V,) products that may be candidates; those rankable by default.
        threads: for the trees.
        keep_features: also return the feature rows.

    Returns:
        The candidates with scores and calibrated chances, in candidate order.
    """
    candidates, affinity = propose(view, state, quotas=ranker.quotas, extra=extra, allowed=allowed)
    rows = feature_rows(view, state, candidates.visitor, candidates.product, affinity)
    score: FloatArray = ranker.score(rows, threads=threads)
    if extra and "sasrec" in extra:
        score += np.float32(SEQUENCE_WEIGHT) * standing(extra["sasrec"], candidates)
    return Ranking(candidates, score, ranker.calibration(score), rows if keep_features else None)


def top_products(
    ranking: Ranking, n_visitors: int, k: int, ties: NDArray[np.int64], *, owned: bool | None = None
) -> list[NDArray[np.int64]]:
    """Return each visitor's `k` best products, ties by `ties`.

    Args:
        ranking: scored candidates.
        n_visitors: B.
        k: products wanted.
        ties: (V,) places, smaller first.
        owned: True keeps only products bought before, False only others, None all.
    """
    c = ranking.candidates
    rows = np.arange(len(c)) if owned is None else np.flatnonzero(c.owned == owned)
    order = rows[np.lexsort((ties[c.product[rows]], -ranking.score[rows], c.visitor[rows]))]
    bounds = np.searchsorted(c.visitor[order], np.arange(n_visitors + 1))
    return [c.product[order[a : min(b, a + k)]] for a, b in itertools.pairwise(bounds)]


def scores_by_visitor(ranking: Ranking, n_visitors: int) -> Sequence[tuple[Any, Any]]:
    """Return per visitor the (products, scores) of its candidates, in candidate order."""
    bounds = np.searchsorted(ranking.candidates.visitor, np.arange(n_visitors + 1))
    return [
        (ranking.candidates.product[a:b], ranking.score[a:b]) for a, b in itertools.pairwise(bounds)
    ]
