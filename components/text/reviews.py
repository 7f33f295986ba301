"""Stars from a review's own words: word and letter tables, linear models, a boosted stack.

This answers "what does this text say?", after the purchase. It must never be used to predict a
rating before its review exists; `components.text.ratings` keeps the two apart.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from components.contracts.errors import ArtefactError
from components.contracts.protocols import Encoder
from components.data.trees import read_trees
from components.text.normalise import normalise

Matrix = NDArray[np.float64]
STARS = (2, 3, 4, 5)  # besides the stars themselves, each model learns P(stars >= k)
_FOLDS = 5
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|[!?]")
_STAR_WORDS = re.compile(r"\b([1-5]|one|two|three|four|five)[ -]?stars?\b")
_STAR_NAMES = {"one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0}
_DOUBT = re.compile(
    r"\b(?:not|no|never|but|however|unfortunately|return\w*|broke\w*|disappoint\w*|\w+n't|ok|okay)\b"
)
MODEL_NAME = "review_model.npz"
STACK_NAME = "review_stack.txt"


def word_grams(text: str, low: int, high: int) -> list[str]:
    """Return runs of `low` to `high` words, exclamation and question marks counting as words.

    >>> word_grams("Not bad!", 1, 2)
    ['not', 'bad', '!', 'not bad', 'bad !']
    """
    words = _WORD.findall(normalise(text))
    return [
        " ".join(words[i : i + n]) for n in range(low, high + 1) for i in range(len(words) - n + 1)
    ]


def letter_grams(text: str, low: int, high: int) -> list[str]:
    """Return runs of letters within words, word ends marked by a space.

    >>> letter_grams("ok", 2, 3)
    [' o', 'ok', 'k ', ' ok', 'ok ']
    """
    found = []
    for word in _WORD.findall(normalise(text)):
        edged = f" {word} "
        for n in range(low, high + 1):
            found.extend(edged[i : i + n] for i in range(len(edged) - n + 1))
    return found


@dataclass(frozen=True)
class GramTable:
    """Sublinear TF-IDF over grams seen in at least `least` texts; rows have length 1.

    Attributes:
        letters: letter grams instead of word grams.
        low: shortest gram.
        high: longest gram.
        names: grams, in the order of the columns.
        weights: (V,) inverse document frequency.
    """

    letters: bool
    low: int
    high: int
    names: list[str]
    weights: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        *,
        letters: bool = False,
        low: int = 1,
        high: int = 2,
        least: int = 2,
        at_most: int = 80_000,
    ) -> Self:
        """Count the texts of each gram; keep the most frequent ones, in alphabetical order."""
        counts: Counter[str] = Counter()
        grams = letter_grams if letters else word_grams
        for text in texts:
            counts.update(set(grams(text, low, high)))
        kept = sorted(
            (name for name, n in counts.items() if n >= least),
            key=lambda name: (-counts[name], name),
        )[:at_most]
        names = sorted(kept)
        held = np.array([counts[name] for name in names], float)
        return cls(letters, low, high, names, np.log((1 + len(texts)) / (1 + held)) + 1.0)

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Return (n, V) rows."""
        index = {name: column for column, name in enumerate(self.names)}
        grams = letter_grams if self.letters else word_grams
        rows, columns, values = [], [], []
        for row, text in enumerate(texts):
            counted = Counter(
                place
                for gram in grams(text, self.low, self.high)
                if (place := index.get(gram)) is not None
            )
            if not counted:
                continue
            places = np.fromiter(counted.keys(), int, len(counted))
            value = (
                1.0 + np.log(np.fromiter(counted.values(), float, len(counted)))
            ) * self.weights[places]
            rows.append(np.full(len(places), row))
            columns.append(places)
            values.append(value / np.linalg.norm(value))
        if not rows:
            return csr_matrix((len(texts), len(self.names)))
        data = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_matrix(data, shape=(len(texts), len(self.names)))


def signals(texts: Sequence[str], summaries: Sequence[str]) -> Matrix:
    """Return (n, 8) plain counts: lengths, marks, words of doubt, and stars named in words.

    The last column is NaN where no number of stars is named.
    """
    rows = []
    for text, summary in zip(texts, summaries, strict=True):
        low = normalise(f"{summary} {text}")
        named = _STAR_WORDS.search(low)
        stars = float("nan")
        if named:
            stars = _STAR_NAMES.get(named[1]) or float(named[1])
        rows.append(
            [
                np.log1p(len(text)),
                np.log1p(len(summary)),
                text.count("!"),
                summary.count("!"),
                text.count("?"),
                len(_DOUBT.findall(low)),
                len(_DOUBT.findall(normalise(summary))),
                stars,
            ]
        )
    return np.asarray(rows, float).reshape(len(texts), 8)


def summaries_of(texts: Sequence[str], summaries: Sequence[str] | None) -> list[str]:
    """Return the summaries, or where there are none each text's first sentence (twelve words)."""
    if summaries is not None:
        return list(summaries)
    return [" ".join(re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].split()[:12]) for text in texts]


def ridge_targets(stars: NDArray[np.float64]) -> Matrix:
    """Return (n, 5): the stars, and whether they reach 2, 3, 4 and 5.

    The steps let a later model bend the scale: from four stars to five is another distance than
    from one to two, and most reviews have five.
    """
    return np.column_stack([stars, *[(stars >= k).astype(float) for k in STARS]])


def fit_ridge(rows: Any, targets: Matrix, alpha: float) -> tuple[Matrix, NDArray[np.float64]]:
    """Fit ridge regressions with an intercept; returns (V, K) weights and (K,) intercepts."""
    from sklearn.linear_model import Ridge

    solver = "cholesky" if isinstance(rows, np.ndarray) else "sparse_cg"
    model = Ridge(alpha=alpha, solver=solver, tol=1e-4).fit(rows, targets)
    return np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)


class ReviewReader:
    """Reads stars out of reviews; fit once, then numpy, scipy and LightGBM alone."""

    BLOCKS = ("text_words", "summary_words", "summary_letters", "text_letters")

    def __init__(self) -> None:
        """Make an unfitted reader."""
        self.tables: dict[str, GramTable] = {}
        self.weights: dict[str, Matrix] = {}
        self.intercepts: dict[str, NDArray[np.float64]] = {}
        self.booster: Any = None
        self.encoder: Encoder | None = None

    def fit(
        self,
        texts: Sequence[str],
        stars: NDArray[np.float64],
        *,
        summaries: Sequence[str] | None = None,
        encoder: Encoder | None = None,
        alpha: float = 1.0,
        trees: int = 200,
        seed: int = 7,
    ) -> Self:
        """Fit every linear model out of fold, then the stack on their out-of-fold predictions.

        Args:
            texts: reviews.
            stars: (n,) in [1, 5].
            summaries: one-line summaries; without them each text's first sentence.
            encoder: text vectors of the summary and the opening join the words if given.
            alpha: ridge strength.
            trees: of the stack, each of 7 leaves, strongly regularised.
            seed: of the stack and of nothing else; folds go by row number.
        """
        import lightgbm

        self.encoder = encoder
        heads = summaries_of(texts, summaries)
        self.tables = {
            "text_words": GramTable.fit(texts),
            "summary_words": GramTable.fit(heads, high=3, least=1),
            "summary_letters": GramTable.fit(heads, letters=True, low=2, high=5),
            "text_letters": GramTable.fit(
                texts, letters=True, low=3, high=4, least=5, at_most=40_000
            ),
        }
        targets = ridge_targets(stars)
        fold = np.arange(len(texts)) % _FOLDS
        columns = []
        for name, rows in self._blocks(texts, heads).items():
            strength = alpha if name in self.tables else 3.0
            held_out = np.zeros_like(targets)
            for k in range(_FOLDS):
                weight, intercept = fit_ridge(rows[fold != k], targets[fold != k], strength)
                held_out[fold == k] = rows[fold == k] @ weight + intercept
            columns.append(held_out)
            self.weights[name], self.intercepts[name] = fit_ridge(rows, targets, strength)
        features = np.column_stack([*columns, signals(texts, heads)])
        self.booster = lightgbm.train(
            {
                "objective": "regression",
                "num_leaves": 7,
                "learning_rate": 0.03,
                "min_data_in_leaf": min(40, max(1, len(texts) // 10)),
                "bagging_fraction": 0.7,
                "bagging_freq": 1,
                "feature_fraction": 0.4,
                "lambda_l2": 10.0,
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,
                "num_threads": 1,
                "verbosity": -1,
            },
            lightgbm.Dataset(features, label=stars),
            num_boost_round=trees,
        )
        return self

    def _blocks(self, texts: Sequence[str], heads: Sequence[str]) -> dict[str, Any]:
        sources = {name: heads if name.startswith("summary") else texts for name in self.tables}
        blocks: dict[str, Any] = {
            name: table.transform(sources[name]) for name, table in self.tables.items()
        }
        from scipy.sparse import hstack

        blocks["all_words"] = hstack(list(blocks.values())).tocsr()
        if self.encoder is not None:
            opening = [f"{head}. {text}" for head, text in zip(heads, texts, strict=True)]
            blocks["vectors"] = np.column_stack(
                [self.encoder.encode(heads), self.encoder.encode(opening)]
            ).astype(float)
        return blocks

    def predict_blocks(
        self, texts: Sequence[str], *, summaries: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the stars each linear model alone would give, and those of the stack (`stack`)."""
        heads = summaries_of(texts, summaries)
        columns, alone = [], {}
        for name, rows in self._blocks(texts, heads).items():
            columns.append(np.asarray(rows @ self.weights[name] + self.intercepts[name]))
            alone[name] = np.clip(columns[-1][:, 0], 1.0, 5.0)
        features = np.column_stack([*columns, signals(texts, heads)])
        alone["stack"] = np.clip(np.asarray(self.booster.predict(features)), 1.0, 5.0)
        return alone

    def predict(
        self, texts: Sequence[str], *, summaries: Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """Return stars in [1, 5], one per text."""
        if not len(texts):
            return np.empty(0)
        return self.predict_blocks(texts, summaries=summaries)["stack"]

    def save(self, folder: Path) -> None:
        """Write `review_model.npz` and `review_stack.txt`."""
        held: dict[str, Any] = {"vectors": np.array(self.encoder is not None)}
        for name, table in self.tables.items():
            held[f"{name}.names"] = np.asarray(table.names)
            held[f"{name}.idf"] = table.weights
            held[f"{name}.shape"] = np.array([int(table.letters), table.low, table.high])
        for name, weight in self.weights.items():
            held[f"{name}.weight"] = weight.astype(np.float32)
            held[f"{name}.intercept"] = self.intercepts[name]
        np.savez_compressed(folder / MODEL_NAME, **held)
        (folder / STACK_NAME).write_text(self.booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, encoder: Encoder | None = None) -> Self:
        """Read what `save` wrote; needs the encoder it was fitted with, if any.

        Raises:
            ArtefactError: absent, damaged, or fitted with an encoder that is not given.
        """
        reader = cls()
        try:
            with np.load(folder / MODEL_NAME, allow_pickle=False) as held:
                if bool(held["vectors"]):
                    if encoder is None:
                        raise ArtefactError(f"{folder}: this review model needs its text encoder.")
                    reader.encoder = encoder
                for name in cls.BLOCKS:
                    letters, low, high = (int(value) for value in held[f"{name}.shape"])
                    names = [str(gram) for gram in held[f"{name}.names"]]
                    reader.tables[name] = GramTable(
                        bool(letters), low, high, names, held[f"{name}.idf"]
                    )
                for key in held.files:
                    if key.endswith(".weight"):
                        name = key.removesuffix(".weight")
                        reader.weights[name] = held[key].astype(float)
                        reader.intercepts[name] = held[f"{name}.intercept"]
            text = (folder / STACK_NAME).read_text(encoding="utf-8")
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{folder}: no readable review model ({error}).") from error
        reader.booster = read_trees(text, origin=f"{folder}/{STACK_NAME}")
        return reader
