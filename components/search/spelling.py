"""Which words of a catalogue a typed word may mean: a noisy channel with titles as its context.

A slip costs by its kind (a swap, a missing or a doubled letter is likelier than a strange one). A
candidate gains by how often products hold it, by how often they *are* it, and by how many titles
hold it together with the other words of the query. `Speller` is made from products alone.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

IntArray = NDArray[np.int32]
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = frozenset(
    (a, b)
    for row, keys in enumerate(_KEYS)
    for place, a in enumerate(keys)
    for other in (row - 1, row, row + 1)
    if 0 <= other < len(_KEYS)
    for b in _KEYS[other][max(0, place - 1) : place + 2]
    if a != b
)
_SWAP, _MISSING, _DOUBLED, _STRANGE, _NEAR_KEY, _FIRST = 1.0, 1.0, 0.9, 1.3, 1.1, 0.5
LEAST_LETTERS = 6  # of a word in which two slips are believed on no more than likeness
_MOST = 60  # near words looked at per length
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = Path(__file__).with_name("english.txt")


@dataclass(frozen=True)
class Guess:
    """A word of the catalogue that may be meant, and its score; the difference is log odds."""

    word: str
    stem: str
    score: float
    edits: int
    together: int  # titles that hold it along with another word of the query


@dataclass(frozen=True)
class Weights:
    """Of the parts of a score; fitted on slips made in titles of three catalogues."""

    cost: float = -3.0
    held: float = 0.05
    asked: float = 0.55
    beside: float = 0.7
    together: float = 0.5
    alone: float = -2.5  # there are other known words, and no title holds it along with one
    digit: float = -0.2  # it holds a digit and the typed word does not
    typed: float = 1.0  # the typed word itself, where the catalogue has it


def slip_cost(typed: str, meant: str) -> float:
    """Return what it costs to type one word for another: about 1 per slip, 0 for equal words.

    >>> slip_cost("hte", "the"), slip_cost("lettter", "letter")
    (1.5, 0.9)
    """
    rows, columns = len(typed) + 1, len(meant) + 1
    table = [[0.0] * columns for _ in range(rows)]
    for i in range(1, rows):
        table[i][0] = table[i - 1][0] + _STRANGE
    for j in range(1, columns):
        table[0][j] = table[0][j - 1] + _MISSING
    for i in range(1, rows):
        a, before_a = typed[i - 1], typed[i - 2] if i > 1 else ""
        above, row = table[i - 1], table[i]
        for j in range(1, columns):
            b = meant[j - 1]
            if a == b:
                best = above[j - 1]
            else:
                best = above[j - 1] + (_NEAR_KEY if (a, b) in _NEAR else _STRANGE)
            best = min(best, above[j] + (_DOUBLED if a == before_a else _STRANGE))
            best = min(best, row[j - 1] + _MISSING)
            if i > 1 and j > 1 and a == meant[j - 2] and before_a == b:
                best = min(best, table[i - 2][j - 2] + _SWAP)
            row[j] = best
    return table[-1][-1] + (_FIRST if typed[:1] != meant[:1] else 0.0)


def one_edit(word: str) -> set[str]:
    """Return all texts one missing, strange, wrong or swapped letter away from a word.

    >>> sorted(one_edit("ab") & {"a", "ba", "abb", "cb", "ab", "cd"})
    ['a', 'abb', 'ba', 'cb']
    """
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    found = {a + b[1:] for a, b in cuts if b}
    found.update(a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1)
    found.update(a + c + b[1:] for a, b in cuts if b for c in _LETTERS)
    found.update(a + c + b for a, b in cuts for c in _LETTERS)
    found.discard(word)
    return found


def letters_of(word: str) -> int:
    """Return the set of letters and digits of a word, a bit each.

    >>> letters_of("abba") == letters_of("ab"), letters_of("a1") ^ letters_of("a")
    (True, 134217728)
    """
    found = 0
    for letter in word:
        place = _LETTERS.find(letter)
        if place >= 0:
            found |= 1 << place
    return found


def is_close(typed: str, guess: Guess) -> bool:
    """Say whether a guess may be meant though no title speaks for it.

    People seldom miss a word's first letter, and two slips in a short word leave too little of it:
    a shop without lobster sells no toasters to those who ask for it.

    >>> is_close("lobster", Guess("toaster", "toaster", 0, edits=2, together=0))
    False
    >>> is_close("choclat", Guess("chocolate", "chocolate", 0, edits=2, together=0))
    True
    """
    same_start = typed[0] == guess.word[0] or typed[:2] == guess.word[1::-1]
    longer = max(len(typed), len(guess.word))
    return same_start and (guess.edits == 1 or longer >= LEAST_LETTERS)


@lru_cache(maxsize=1)
def english() -> frozenset[str]:
    """Return common words of English: no slips, even where a catalogue lacks them."""
    lines = _WORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@dataclass(frozen=True)
class Speller:
    """The words of one catalogue as targets of slips; immutable."""

    held: Mapping[str, int]  # stem to products that hold it
    asked: Mapping[str, int]  # stem to products that it names the kind or brand of
    beside: Mapping[tuple[str, str], int]  # neighbours in titles
    weights: Weights = field(default_factory=Weights)
    _stems: Mapping[str, str] = field(default_factory=dict, repr=False)
    _by_length: dict[tuple[int, bool], list[str]] = field(default_factory=dict, repr=False)
    _letters: dict[tuple[int, bool], NDArray[np.uint64]] = field(default_factory=dict, repr=False)
    _rows: dict[str, IntArray] = field(default_factory=dict, repr=False)
    _near_cache: dict[tuple[str, int], list[tuple[str, str, float, int]]] = field(
        default_factory=dict, repr=False
    )
    _both_cache: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        words: Mapping[str, str],
        held: Mapping[str, int],
        asked: Mapping[str, int],
        beside: Mapping[tuple[str, str], int],
        titles: Iterable[Sequence[str]],
        *,
        weights: Weights | None = None,
    ) -> "Speller":
        """Make a speller.

        Args:
            words: spelling in the catalogue to its stem.
            held: stem to products that hold it.
            asked: stem to products that it names the kind or brand of.
            beside: pairs of neighbouring stems to titles.
            titles: stems of each title.
            weights: of the parts of a score.
        """
        targets = {w: s for w, s in words.items() if w.isascii() and len(w) >= 3}
        lengths: dict[tuple[int, bool], list[tuple[float, str]]] = {}
        for word, stem in targets.items():
            weight = math.log1p(held.get(stem, 0)) + 3 * math.log1p(asked.get(stem, 0))
            lengths.setdefault((len(word), word.isalpha()), []).append((-weight, word))
        # Of equally near words the likeliest are looked at.
        by_length = {kind: [w for _, w in sorted(entries)] for kind, entries in lengths.items()}
        rows: dict[str, array[int]] = {}
        for place, title in enumerate(titles):
            for stem in set(title):
                rows.setdefault(stem, array("i")).append(place)
        return cls(
            held,
            asked,
            beside,
            weights or Weights(),
            targets,
            by_length,
            _rows={stem: np.frombuffer(places, np.int32) for stem, places in rows.items()},
        )

    def both(self, first: str, second: str) -> int:
        """Return how many titles hold two stems."""
        if first > second:
            first, second = second, first
        known = self._both_cache.get((first, second))
        if known is None:
            a, b = self._rows.get(first), self._rows.get(second)
            known = 0
            if a is not None and b is not None and first != second:
                small, large = (a, b) if len(a) <= len(b) else (b, a)
                places = np.minimum(np.searchsorted(large, small), len(large) - 1)
                known = int((large[places] == small).sum())
            if len(self._both_cache) > 50_000:
                self._both_cache.clear()
            self._both_cache[first, second] = known
        return known

    def near(self, typed: str, most: int) -> list[tuple[str, str, float, int]]:
        """Return (word, stem, cost, edits) of catalogue words at most `most` edits away."""
        known = self._near_cache.get((typed, most))
        if known is not None:
            return known
        found = [
            (other, self._stems[other], slip_cost(typed, other), 1)
            for other in sorted(one_edit(typed))
            if other in self._stems
        ]
        if most > 1:
            found += self._farther(typed, most)
        if len(self._near_cache) > 20_000:
            self._near_cache.clear()
        self._near_cache[typed, most] = found
        return found

    def _farther(self, typed: str, most: int) -> list[tuple[str, str, float, int]]:
        """Return the words from two edits on; letters are seldom typed for a model number."""
        found = []
        sizes = range(max(3, len(typed) - most), len(typed) + most + 1)
        kinds = (True,) if typed.isalpha() else (True, False)
        for kind in ((size, is_alpha) for size in sizes for is_alpha in kinds):
            for other, edits, _ in process.extract(
                typed,
                self._with_like_letters(typed, kind, most),
                scorer=OSA.distance,
                score_cutoff=most,
                limit=_MOST,
            ):
                if edits < 2 or (len(typed) <= 4 and other[0] != typed[0]):
                    continue
                found.append((other, self._stems[other], slip_cost(typed, other), int(edits)))
        return found

    def _with_like_letters(self, typed: str, kind: tuple[int, bool], most: int) -> list[str]:
        """Return the words of a length whose letters allow for `most` edits, in their order.

        An edit takes one letter away and brings another at most. Comparing the sets of letters
        of all words is one pass over numbers, and leaves few words to be compared one by one.
        """
        words = self._by_length.get(kind)
        if words is None:
            return []
        held = self._letters.get(kind)
        if held is None:
            held = self._letters[kind] = np.fromiter(map(letters_of, words), np.uint64, len(words))
        apart = np.bitwise_count(held ^ np.uint64(letters_of(typed)))
        return [words[place] for place in np.flatnonzero(apart <= 2 * most)]

    def parts(
        self,
        typed: str,
        word: str,
        stem: str,
        cost: float,
        *,
        before: str | None,
        after: str | None,
        others: Sequence[str],
    ) -> tuple[tuple[float, ...], int]:
        """Return the parts of a candidate's score in the order of `Weights`, and its company."""
        beside = self.beside.get((before or "", stem), 0) + self.beside.get((stem, after or ""), 0)
        known = [o for o in others if o != stem and o in self._rows]
        together = max((self.both(stem, o) for o in known), default=0)
        return (
            cost,
            math.log1p(self.held.get(stem, 0)),
            math.log1p(self.asked.get(stem, 0)),
            math.log1p(beside),
            math.log1p(together),
            float(bool(known) and together == 0),
            float(not word.isalpha() and typed.isalpha()),
            float(word == typed),
        ), together

    def guesses(
        self,
        typed: str,
        *,
        stem: str | None = None,
        before: str | None = None,
        after: str | None = None,
        others: Sequence[str] = (),
        edits: int | None = None,
        most: int = 5,
    ) -> list[Guess]:
        """Return what a typed word may stand for, best first.

        Args:
            typed: folded.
            stem: the stem of the typed word where the catalogue has it: it competes then.
            before: the stem to its left.
            after: the stem to its right.
            others: stems of all other words asked for.
            edits: allowed; by default 1 up to three letters, 2 from there on. Three are never a
                slip of the same word: what they reach is another word.
            most: guesses wanted.
        """
        allowed = edits if edits is not None else 1 if len(typed) <= 3 else 2
        w = self.weights
        weights = (w.cost, w.held, w.asked, w.beside, w.together, w.alone, w.digit, w.typed)
        best: dict[str, Guess] = {}
        candidates = self.near(typed, allowed)
        if stem is not None:
            candidates = [(typed, stem, 0.0, 0), *candidates]
        for word, other, cost, distance in candidates:
            if not other:
                continue
            parts, together = self.parts(
                typed, word, other, cost, before=before, after=after, others=others
            )
            score = sum(a * b for a, b in zip(weights, parts, strict=True))
            held = best.get(other)
            if held is None or held.score < score:
                best[other] = Guess(word, other, score, distance, together)
        return sorted(best.values(), key=lambda g: (-g.score, g.word))[:most]
