"""Who would buy a product that nobody has bought yet: households in the order to be told.

In: purchases before the launch and what the product says of itself. Out: a score per household.
Boosted trees learn from earlier launches which households took them up; the likeness of the product
to what a household buys is added, standardised per launch. Only the order within a launch means
anything.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.data.trees import read_trees
from components.recommend.cold_content import (
    CONTENT_FEATURES,
    ColdFacts,
    Launches,
    content_features,
)
from components.recommend.history import BoolArray, FloatArray, IntArray

NEGATIVES = 20  # per buyer, other households of the same launch
OTHER_PAIRS = 10  # per buyer, any household and launch
LIKENESS_WEIGHT = 0.5


@dataclass(frozen=True)
class AudienceModel:
    """The trees as LightGBM text."""

    booster: str

    def score(self, features: FloatArray) -> FloatArray:
        """Return (B, L) scores of households for launches from their (B, L, F) features."""
        b, n, f = features.shape
        booster = read_trees(self.booster, origin="model of audiences")
        flat = booster.predict(features.reshape(b * n, f), raw_score=True, num_threads=1)
        trees = np.asarray(flat, dtype=np.float32).reshape(b, n)
        alike = np.sqrt(np.maximum(features[:, :, CONTENT_FEATURES.index("likeness_mean")], 0.0))
        both = standard(_chance(trees)) + LIKENESS_WEIGHT * standard(alike)
        return np.asarray(both, dtype=np.float32)


def _chance(odds: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float32)


def standard(scores: FloatArray) -> FloatArray:
    """Return (B, L) scores with mean 0 and deviation 1 in each column."""
    spread = scores.std(axis=0) + 1e-9
    return ((scores - scores.mean(axis=0)) / spread).astype(np.float32)


def bought_grid(launches: Launches, n_visitors: int) -> BoolArray:
    """Return (B, L): which household bought which launch."""
    grid = np.zeros((n_visitors, len(launches.items)), dtype=bool)
    for visitor, bought in zip(launches.visitors, launches.bought, strict=True):
        grid[visitor, bought] = True
    return grid


def fit_audience(
    launches: Launches,
    facts: ColdFacts,
    n_visitors: int,
    seed: int,
    *,
    households: int = 1200,
    trees: int = 100,
) -> AudienceModel | None:
    """Learn from earlier launches who takes up what; None when nobody bought any.

    Args:
        launches: earlier launches, with the log before them.
        facts: of all products.
        n_visitors: B.
        seed: of the sampled households and of the trees.
        households: at most so many are learned from; bounds memory and time.
        trees: boosting rounds.
    """
    import lightgbm

    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(n_visitors, size=min(households, n_visitors), replace=False))
    bought = bought_grid(launches, n_visitors)[chosen]
    buyers = np.argwhere(bought)
    if len(buyers) < 20:
        return None
    features = content_features(launches, facts, n_visitors, chosen)
    near = np.stack(
        [rng.integers(0, len(chosen), len(buyers) * NEGATIVES), np.repeat(buyers[:, 1], NEGATIVES)],
        axis=1,
    )
    far = np.stack(
        [
            rng.integers(0, len(chosen), len(buyers) * OTHER_PAIRS),
            rng.integers(0, bought.shape[1], len(buyers) * OTHER_PAIRS),
        ],
        axis=1,
    )
    others = np.concatenate([near, far])
    others = others[~bought[others[:, 0], others[:, 1]]]
    rows = np.concatenate([buyers, others])
    labels = np.r_[np.ones(len(buyers)), np.zeros(len(others))]
    booster = lightgbm.train(
        {
            "objective": "binary", "num_leaves": 15, "learning_rate": 0.06, "min_data_in_leaf": 50,
            "feature_fraction": 0.6, "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed,
            "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1,
        },
        lightgbm.Dataset(
            features[rows[:, 0], rows[:, 1]], labels, feature_name=list(CONTENT_FEATURES)
        ),
        trees,
    )  # fmt: skip
    return AudienceModel(booster.model_to_string())


def lift_at(
    scores: FloatArray, bought: BoolArray, ties: IntArray, share: float = 0.1
) -> NDArray[np.float64]:
    """Return per launch how many more buyers than chance are among the best `share` of households.

    Args:
        scores: (B, L).
        bought: (B, L).
        ties: (B,) order among equal scores.
        share: of households, in (0, 1].

    Returns:
        (L,) lifts, 1 for chance, at most 1 / share; NaN for a launch without a buyer.
    """
    size = max(1, round(share * len(scores)))
    out = np.full(scores.shape[1], np.nan)
    for column in range(scores.shape[1]):
        buyers = int(bought[:, column].sum())
        if buyers:
            best = np.lexsort((ties, -scores[:, column]))[:size]
            out[column] = bought[best, column].sum() / buyers / (size / len(scores))
    return out
