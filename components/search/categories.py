"""Which category a query means, with a confidence that can be believed.

Naive Bayes over the words of titles and types, made from the catalogue alone. Its raw certainty is
divided by a temperature chosen on pseudo-queries (words of products left out of the fit), so that
of the predictions made with confidence .8 about eight in ten are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.contracts.records import Product
from components.data.words import stems

FloatArray = NDArray[np.float64]
_TEMPERATURES = (0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
_SMOOTHING = 0.05
_MOST_PRODUCTS = 50_000  # more teach no more, and the vocabulary is read at every opening
SEED = 7


class CategoryGuess(NamedTuple):
    """A category and the probability in [0, 1] that it is the one meant."""

    category: str
    confidence: float


@dataclass
class CategoryModel:
    """Fitted by `fit`; an empty one guesses nothing."""

    names: list[str] = field(default_factory=list)
    temperature: float = 1.0
    _prior: FloatArray = field(default_factory=lambda: np.zeros(0))
    _floor: FloatArray = field(default_factory=lambda: np.zeros(0))
    _words: dict[str, tuple[NDArray[np.int64], FloatArray]] = field(default_factory=dict)

    @classmethod
    def fit(cls, products: Sequence[Product]) -> "CategoryModel":
        """Learn from products; their category is the narrowest level."""
        rows = [
            (p.category[-1], [*stems(p.title), *(stems(p.type) if p.type else [])])
            for p in products
            if p.category
        ]
        if len(rows) > _MOST_PRODUCTS:
            rows = rows[:: len(rows) // _MOST_PRODUCTS + 1]
        if len({name for name, _ in rows}) < 2:
            return cls()
        held_out = rows[::5]
        trial = cls()._count([row for n, row in enumerate(rows) if n % 5])
        temperature = trial._calibrate(held_out)
        model = cls()._count(rows)
        model.temperature = temperature
        return model

    def guess(self, words: Sequence[str], *, best: int = 1) -> tuple[CategoryGuess, ...]:
        """Guess the category of a query.

        Args:
            words: stems.
            best: how many guesses.

        Returns:
            The most likely categories, best first; none where no word is known.
        """
        if not self.names or not any(w in self._words for w in words):
            return ()
        chances = _softmax(self._scores(words) / self.temperature)
        order = np.lexsort((np.arange(len(chances)), -chances))[:best]
        return tuple(CategoryGuess(self.names[i], float(chances[i])) for i in order)

    def calibration(
        self, rows: Sequence[tuple[str, Sequence[str]]]
    ) -> tuple[FloatArray, FloatArray]:
        """Return confidence and whether it was right, per (category, words)."""
        confidence, right = [], []
        for name, words in rows:
            guesses = self.guess(words)
            if guesses:
                confidence.append(guesses[0].confidence)
                right.append(float(guesses[0].category == name))
        return np.asarray(confidence), np.asarray(right)

    def _count(self, rows: Sequence[tuple[str, Sequence[str]]]) -> "CategoryModel":
        self.names = sorted({name for name, _ in rows})
        place = {name: n for n, name in enumerate(self.names)}
        products = np.zeros(len(self.names))
        totals = np.zeros(len(self.names))
        counts: dict[str, dict[int, int]] = {}
        for name, words in rows:
            here = place[name]
            products[here] += 1
            for word in set(words):
                if not word.isdigit():
                    table = counts.setdefault(word, {})
                    table[here] = table.get(here, 0) + 1
                    totals[here] += 1
        width = len(counts)
        bottom = totals + _SMOOTHING * width
        self._prior = np.log(products / products.sum())
        self._floor = np.log(_SMOOTHING / bottom)
        for word, table in counts.items():
            where = np.fromiter(sorted(table), np.int64, len(table))
            held = np.asarray([table[int(i)] for i in where], float)
            self._words[word] = (
                where,
                np.log((held + _SMOOTHING) / bottom[where]) - self._floor[where],
            )
        return self

    def _scores(self, words: Sequence[str]) -> FloatArray:
        score = self._prior.copy()
        for word in dict.fromkeys(words):
            known = self._words.get(word)
            if known is not None:
                score += self._floor
                score[known[0]] += known[1]
        return score

    def _calibrate(self, rows: Sequence[tuple[str, Sequence[str]]]) -> float:
        """Return the temperature under which pseudo-queries of unseen products are likeliest."""
        place = {name: n for n, name in enumerate(self.names)}
        scored = [
            (place[name], self._scores(words))
            for name, words in pseudo_queries(rows[:2000])
            if name in place and any(w in self._words for w in words)
        ]
        if not scored:
            return 1.0

        def loss(temperature: float) -> float:
            return -sum(
                float(np.log(_softmax(s / temperature)[right] + 1e-12)) for right, s in scored
            )

        return min(_TEMPERATURES, key=lambda t: (round(loss(t), 6), t))


def pseudo_queries(
    rows: Sequence[tuple[str, Sequence[str]]], *, seed: int = SEED
) -> list[tuple[str, list[str]]]:
    """Return (category, one to three neighbouring words) as a shopper might type them."""
    generator = np.random.default_rng(seed)
    out = []
    for name, words in rows:
        plain = [w for w in words if w.isalpha() and len(w) > 2]
        if plain:
            size = int(generator.integers(1, 4))
            start = int(generator.integers(0, max(1, len(plain) - size + 1)))
            out.append((name, plain[start : start + size]))
    return out


def _softmax(scores: FloatArray) -> FloatArray:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
