"""The learned order of candidates: trees for the whole list, a line for what people judged.

`prior` needs no data: reasoned weights over a few features, used until a shop has judgements or
clicks. `LearnedRanker` adds up, standardised within the query, a LambdaMART that counts an unjudged
product as irrelevant, and a ridge regression fitted on judged products alone. The first knows what
belongs at the top of the whole catalogue, the second tells good from fair without the bias of the
engines that chose what was judged.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import write_json
from components.contracts.errors import ArtefactError, MissingExtraError
from components.data.trees import read_trees
from components.search.features import NAMES

FloatArray = NDArray[np.floating[Any]]
_TREES_NAME, _LINE_NAME = "ranker.txt", "ranker.json"
_PRIOR = {
    "words": 1.0,
    "meaning": 0.6,
    "title_cover_idf": 0.3,
    "head_last": 0.15,
    "head_exact": 0.1,
    "type_share": 0.25,
    "accessory": -0.2,
    "after_for": -0.1,
    "brand_hit": 0.1,
    "model_hit": 0.2,
    "popularity": 0.03,
    "affinity": 0.15,
    "same_cover": 0.2,
    "noun_hit": 1.2,
}


@dataclass(frozen=True)
class RankerSettings:
    """How the learned ranker is fitted; fixed beforehand, not tuned per shop."""

    trees: int = 100
    leaves: int = 7
    learning_rate: float = 0.05
    min_rows: int = 40
    feature_share: float = 0.6
    row_share: float = 0.7
    l2: float = 5.0
    members: int = 3
    line_penalty: float = 100.0
    line_weight: float = 0.7
    seed: int = 7


def prior(features: FloatArray) -> FloatArray:
    """Score candidates without learning.

    Args:
        features: (n, len(NAMES)).

    Returns:
        (n,) scores, higher is better.
    """
    values = np.nan_to_num(features, nan=0.0)
    weights = np.asarray([_PRIOR.get(name, 0.0) for name in NAMES], np.float32)
    return values @ weights


def standardised(scores: FloatArray) -> FloatArray:
    """Return scores of one query with mean 0 and deviation 1."""
    return (scores - scores.mean()) / (scores.std() + 1e-9) if len(scores) else scores


@dataclass
class LearnedRanker:
    """A fitted ranker; see the module's docstring."""

    settings: RankerSettings = field(default_factory=RankerSettings)
    _trees: list[Any] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _mean: FloatArray = field(default_factory=lambda: np.zeros(len(NAMES), np.float32))
    _scale: FloatArray = field(default_factory=lambda: np.ones(len(NAMES), np.float32))
    _line: FloatArray = field(default_factory=lambda: np.zeros(len(NAMES), np.float32))

    def fit(
        self,
        features: Sequence[FloatArray],
        grades: Sequence[NDArray[np.int64]],
        weights: Sequence[FloatArray] | None = None,
    ) -> Self:
        """Learn from queries.

        Args:
            features: per query (n, len(NAMES)).
            grades: per query (n,) 0-3, -1 = not judged.
            weights: per query (n,) positive weights, such as inverse propensities; None = 1.

        Raises:
            MissingExtraError: lightgbm is not installed.
        """
        try:
            import lightgbm
        except ImportError as error:
            raise MissingExtraError(
                "Learning to rank needs the extra `pipeline`: pip install -e '.[pipeline]'."
            ) from error
        s = self.settings
        matrix = np.concatenate(features)
        labels = np.concatenate(grades)
        weight = None if weights is None else np.concatenate(weights)
        self._trees, self._texts = [], []
        for member in range(s.members):
            data = lightgbm.Dataset(
                matrix, label=np.maximum(labels, 0), group=[len(f) for f in features], weight=weight
            )
            booster = lightgbm.train(
                {
                    "objective": "lambdarank", "num_leaves": s.leaves,
                    "learning_rate": s.learning_rate,
                    "min_data_in_leaf": s.min_rows, "feature_fraction": s.feature_share,
                    "bagging_fraction": s.row_share, "bagging_freq": 1, "lambda_l2": s.l2,
                    "lambdarank_truncation_level": 15, "label_gain": [0, 1, 3, 7], "verbosity": -1,
                    "num_threads": 1, "seed": s.seed + member, "deterministic": True,
                },
                data,
                s.trees,
            )  # fmt: skip
            self._texts.append(booster.model_to_string())
        self._open()
        self._fit_line(features, grades, weights)
        return self

    def _fit_line(
        self,
        features: Sequence[FloatArray],
        grades: Sequence[NDArray[np.int64]],
        weights: Sequence[FloatArray] | None,
    ) -> None:
        kept = [g >= 0 for g in grades]
        matrix = np.nan_to_num(
            np.concatenate([f[k] for f, k in zip(features, kept, strict=True)]), nan=0.5
        ).astype(np.float64)
        labels = np.concatenate([g[k] for g, k in zip(grades, kept, strict=True)])
        if len(matrix) < 2:
            return
        target = (np.exp2(labels) - 1) / 7
        self._mean = matrix.mean(0).astype(np.float32)
        self._scale = (matrix.std(0) + 1e-6).astype(np.float32)
        rows = (matrix - self._mean) / self._scale
        weight = (
            np.ones(len(rows))
            if weights is None
            else np.concatenate([w[k] for w, k in zip(weights, kept, strict=True)])
        )
        middle = np.average(target, weights=weight)
        left = rows.T @ (rows * weight[:, None]) + self.settings.line_penalty * np.eye(
            rows.shape[1]
        )
        self._line = np.linalg.solve(left, rows.T @ (weight * (target - middle))).astype(np.float32)

    def _open(self) -> None:
        self._trees = [read_trees(text, origin="search ranker") for text in self._texts]

    def score(self, features: FloatArray) -> FloatArray:
        """Score the candidates of ONE query: a score only compares within it.

        Args:
            features: (n, len(NAMES)).

        Returns:
            (n,) float32.
        """
        if not len(features):
            return np.zeros(0, np.float32)
        trees = np.mean([t.predict(features, num_threads=1) for t in self._trees], axis=0)
        line = ((np.nan_to_num(features, nan=0.5) - self._mean) / self._scale) @ self._line
        both = standardised(trees) + self.settings.line_weight * standardised(line)
        return np.asarray(both, np.float32)

    def save(self, folder: Path) -> None:
        """Write LightGBM's text and the line as JSON."""
        for place, text in enumerate(self._texts):
            (folder / f"{place}.{_TREES_NAME}").write_text(text, encoding="utf-8")
        write_json(
            folder / _LINE_NAME,
            {
                "features": list(NAMES),
                "members": len(self._texts),
                "line_weight": self.settings.line_weight,
                "mean": [float(v) for v in self._mean],
                "scale": [float(v) for v in self._scale],
                "line": [float(v) for v in self._line],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> "LearnedRanker | None":
        """Read what `save` wrote; None where nothing was learned.

        Raises:
            ArtefactError: made for other features.
        """
        path = folder / _LINE_NAME
        if not path.is_file():
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        if tuple(held["features"]) != NAMES:
            raise ArtefactError(
                f"{path}: learned on other features. Rebuild with `shelfwise stage index`."
            )
        ranker = cls(RankerSettings(line_weight=held["line_weight"]))
        ranker._texts = [
            (folder / f"{place}.{_TREES_NAME}").read_text(encoding="utf-8")
            for place in range(held["members"])
        ]
        ranker._mean, ranker._scale, ranker._line = (
            np.asarray(held[name], np.float32) for name in ("mean", "scale", "line")
        )
        ranker._open()
        return ranker
