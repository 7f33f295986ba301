"""What ranking needs of every row, as columns of numbers, and the features of candidates.

`Shelf.add` turns cards into columns: a word is a number, and the words of a row's title, kind,
brand and text lie one after the other. `Shelf.features` compares a query with all its candidates at
once.
Rows are only ever appended, so that a reader of earlier rows is never disturbed.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.search.features import ACCESSORIES, NAMES, Asked, Card, Signals

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
COLUMN = {name: place for place, name in enumerate(NAMES)}
MARKS = ("for", "compatible")  # what stands before them is for what stands behind


class Column:
    """An array that grows at its end; what a reader holds of it never changes."""

    def __init__(self, dtype: Any, width: int | None = None) -> None:
        """Make an empty column; `width` numbers per row where given."""
        self._data = np.zeros((0,) if width is None else (0, width), dtype)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._size

    def extend(self, values: Any) -> None:
        """Append rows."""
        fresh = np.asarray(values, self._data.dtype).reshape(-1, *self._data.shape[1:])
        size = self._size + len(fresh)
        if size > len(self._data):
            grown = np.zeros((max(size, len(self._data) * 3 // 2), *fresh.shape[1:]), fresh.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : size] = fresh
        self._size = size

    @property
    def values(self) -> NDArray[Any]:
        """All rows."""
        return self._data[: self._size]


class Lists:
    """A list of numbers per row."""

    def __init__(self) -> None:
        self._numbers = Column(np.int32)
        self._starts = Column(np.int64)
        self._counts = Column(np.int32)

    def extend(self, lists: Sequence[Sequence[int]]) -> None:
        """Append rows."""
        counts = np.asarray([len(numbers) for numbers in lists], np.int64)
        self._starts.extend(len(self._numbers) + np.cumsum(counts) - counts)
        self._counts.extend(counts)
        self._numbers.extend([n for numbers in lists for n in numbers])

    def take(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Return the numbers of some rows, one row after the other.

        Returns:
            numbers (N,), the place in `rows` that each belongs to (N,), its place in its list (N,),
            and the length of every list (n,).
        """
        counts = self._counts.values[rows].astype(np.int64)
        owner = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        numbers = self._numbers.values[self._starts.values[rows][owner] + place]
        return numbers, owner, place, counts


class Held:
    """Which of some words each of n candidates holds, as an (n, W) table with a column per word."""

    def __init__(self, words: Iterable[str], ids: dict[str, int]) -> None:
        """Give every distinct word a column; unknown words are held by nothing."""
        self.column = {word: n for n, word in enumerate(dict.fromkeys(words))}
        known = sorted((ids[w], n) for w, n in self.column.items() if w in ids)
        self._ids = np.asarray([i for i, _ in known], np.int64)
        self._columns = np.asarray([n for _, n in known], np.int64)

    def columns_of(self, words: Iterable[str]) -> list[int]:
        """Return the columns of words."""
        return [self.column[w] for w in words]

    def find(self, numbers: IntArray) -> IntArray:
        """Return the column of each number, -1 for another word."""
        if not len(self._ids):
            return np.full(len(numbers), -1)
        at = np.minimum(np.searchsorted(self._ids, numbers), len(self._ids) - 1)
        return np.where(self._ids[at] == numbers, self._columns[at], -1)

    def table(self, numbers: IntArray, owner: IntArray, n: int) -> BoolArray:
        """Return the (n, W) table of numbers that belong to their owners."""
        found = self.find(numbers)
        out = np.zeros((n, max(len(self.column), 1)), np.bool_)
        out[owner[found >= 0], found[found >= 0]] = True
        return out


class Shelf:
    """Columns by row, with the document frequency of title words; grows, never shrinks."""

    def __init__(self) -> None:
        self.heads: dict[tuple[str, ...], int] = {}
        self.families: dict[str, int] = {}
        self._ids: dict[str, int] = {}  # stem -> number
        self._accessories: set[int] = set()
        self._title, self._head, self._brand = Lists(), Lists(), Lists()
        self._body, self._nouns = Lists(), Lists()
        self._frequency = Column(np.int64)  # number -> titles that hold it
        self._tail = Column(np.int32, 2)  # the last two words of the kind, -1 = none
        self._head_size = Column(np.int32)  # distinct words of the kind
        self._is_accessory = Column(np.bool_)
        self._head_row, self._family = Column(np.int64), Column(np.int64)
        self._price, self._newness = Column(np.float64), Column(np.float64)
        self._fullness, self._popularity = Column(np.float32), Column(np.float32)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._family)

    def add(self, cards: Sequence[Card]) -> None:
        """Append rows."""
        if not cards:
            return
        numbers = self._numbers
        titles = [numbers(card.title) for card in cards]
        heads = [numbers(card.head) for card in cards]
        self._body.extend([numbers(sorted(card.body)) for card in cards])
        self._brand.extend([numbers(card.brand) for card in cards])
        self._nouns.extend([numbers(sorted(card.nouns)) for card in cards])
        self._title.extend(titles)
        self._head.extend(heads)
        self._tail.extend([([-1, -1, *head])[-2:] for head in heads])
        self._head_size.extend([len(set(head)) for head in heads])
        self._is_accessory.extend([not ACCESSORIES.isdisjoint(card.head) for card in cards])
        self._head_row.extend([self.heads.setdefault(card.head, len(self.heads)) for card in cards])
        self._family.extend(
            [self.families.setdefault(card.family, len(self.families)) for card in cards]
        )
        self._price.extend([card.price for card in cards])
        self._newness.extend([card.newness for card in cards])
        self._fullness.extend([card.fullness for card in cards])
        self._popularity.extend([card.popularity for card in cards])
        self._frequency.extend(np.zeros(len(self._ids) - len(self._frequency), np.int64))
        counted = np.bincount(
            np.asarray([n for title in titles for n in set(title)], np.int64),
            minlength=len(self._ids),
        )
        self._frequency.values[:] += counted

    def _numbers(self, words: Iterable[str]) -> list[int]:
        ids = self._ids
        return [ids.setdefault(word, len(ids)) for word in words]

    @property
    def head_rows(self) -> IntArray:
        """Each row's place in `heads`."""
        return self._head_row.values

    @property
    def popularity(self) -> FloatArray:
        """Each row's popularity."""
        return self._popularity.values

    def firsts(self, rows: IntArray) -> IntArray:
        """Return the places in `rows`, ascending, of the first row of each family."""
        _, places = np.unique(self._family.values[rows], return_index=True)
        return np.sort(places)

    def count(self, chosen: BoolArray) -> int:
        """Return how many families the chosen rows, (V,) bool, belong to."""
        found = np.zeros(len(self.families), np.bool_)
        found[self._family.values[: len(chosen)][chosen]] = True
        return int(found.sum())

    def idf(self, word: str) -> float:
        """Return the inverse document frequency of a stem among titles; at least 0."""
        number = self._ids.get(word)
        frequency = self._frequency.values
        count = int(frequency[number]) if number is not None and number < len(frequency) else 0
        return math.log1p((len(self) - count + 0.5) / (count + 0.5))

    def held(self, words: Iterable[str], rows: IntArray) -> tuple[Held, BoolArray]:
        """Say which words stand anywhere in the text of rows.

        Returns:
            The columns by word, and (n, W) whether the row holds it.
        """
        held = Held(words, self._ids)
        out = np.zeros((len(rows), max(len(held.column), 1)), np.bool_)
        for lists in (self._title, self._brand, self._body):
            numbers, owner, _, _ = lists.take(rows)
            out |= held.table(numbers, owner, len(rows))
        return held, out

    def features(self, asked: Asked, rows: IntArray, signals: Signals) -> FloatArray:
        """Describe candidates.

        Args:
            asked: the query.
            rows: (n,) candidate rows.
            signals: their scores by other means.

        Returns:
            (n, len(NAMES)) float32; NaN where a product lacks the value.
        """
        n = len(rows)
        out = np.full((n, len(NAMES)), np.nan, np.float32)
        if n == 0:
            return out

        def put(name: str, values: Any) -> None:
            out[:, COLUMN[name]] = values

        put("words", signals.words / (float(signals.words.max(initial=0.0)) or 1.0))
        put("words_log_rank", log_rank(signals.words))
        put("meaning", signals.meaning)
        put("meaning_gap", signals.meaning - signals.meaning.max(initial=0.0))
        put("meaning_head", signals.meaning_head)
        for name, values in self._text_features(asked, rows).items():
            put(name, values)
        put("type_share", self._type_shares(rows, signals))
        prices = self._price.values[rows]
        put("price_place", _places(prices))
        put("price_type_place", _places_within(prices, self._tail.values[rows, 1]))
        newness = self._newness.values[rows]
        put("newness", newness - (np.nanmax(newness) if np.isfinite(newness).any() else 0.0))
        put("fullness", self._fullness.values[rows])
        put("popularity", self._popularity.values[rows])
        put("affinity", signals.affinity)
        put("query_words", len(asked.words))
        return out

    def _text_features(self, asked: Asked, rows: IntArray) -> dict[str, Any]:
        words, n = asked.words, len(rows)
        size = max(len(words), 1)
        weights = {word: self.idf(word) for word in words}
        said = (*words, *(w for p in asked.same for w in p), *asked.brands, *asked.noun)
        held = Held(said, self._ids)
        own = held.columns_of(words)

        title, title_owner, title_place, title_size = self._title.take(rows)
        head, head_owner, _, _ = self._head.take(rows)
        brand, brand_owner, _, brand_size = self._brand.take(rows)
        body, body_owner, _, _ = self._body.take(rows)
        nouns, nouns_owner, _, _ = self._nouns.take(rows)
        in_title = held.table(title, title_owner, n)
        in_head = held.table(head, head_owner, n)
        in_body = held.table(body, body_owner, n)
        in_brand = held.table(brand, brand_owner, n)

        is_own = np.zeros(max(len(held.column), 1), np.bool_)
        is_own[own] = True
        found = held.find(title)
        is_asked = (found >= 0) & is_own[found]  # (N,) words of titles that were asked for
        length = np.maximum(title_size, 1)
        first = title_size.copy()
        np.minimum.at(first, title_owner[is_asked], title_place[is_asked])
        cover = in_title[:, own].sum(1) / size
        heads = in_head[:, own].sum(1)
        head_size = self._head_size.values[rows]
        wants_accessory = not ACCESSORIES.isdisjoint(words)
        asked_of_brand = np.bincount(
            brand_owner[(found_brand := held.find(brand)) >= 0],
            weights=is_own[found_brand[found_brand >= 0]],
            minlength=n,
        )
        models = held.columns_of(w for w in words if any(c.isdigit() for c in w))
        anywhere = in_title | in_body | in_brand
        features: dict[str, Any] = {
            "title_cover": cover,
            "title_cover_idf": in_title[:, own]
            @ np.asarray([weights[w] for w in words], np.float64)
            / (sum(weights.values()) or 1.0),
            "title_phrase": cover
            if len(words) == 1
            else self._phrase(words, title, title_owner, n) * (cover == 1.0),
            "title_first": first / length,
            "title_density": in_title[:, own].sum(1) / length,
            "head_cover": heads / size,
            "head_covered": heads / np.maximum(head_size, 1),
            "head_last": np.isin(
                self._tail.values[rows, 1], [self._ids[w] for w in words if w in self._ids]
            ),
            "head_exact": (head_size > 0) & (heads == len(words)) & (heads == head_size),
            "after_for": self._after_for(title, title_owner, title_place, is_asked, n),
            "accessory": self._is_accessory.values[rows] & (not wants_accessory),
            "brand_hit": (brand_size > 0) & (asked_of_brand == brand_size),
            "brand_other": np.zeros(n)
            if not asked.brands
            else ~in_brand[:, held.columns_of(asked.brands)].any(1),
            "model_hit": in_title[:, models].mean(1) if models else np.zeros(n),
            "body_cover": (in_title | in_body)[:, own].sum(1) / size,
            "same_cover": np.zeros(n),
        }
        for phrase in filter(None, map(set, asked.same)):
            both = (in_title | in_head)[:, held.columns_of(phrase)].sum(1) / len(phrase)
            features["same_cover"] = np.maximum(features["same_cover"], both)
        if asked.noun:
            last = held.column[asked.noun[-1]]
            is_it = held.table(nouns, nouns_owner, n)[:, last]
            level = np.where(is_it, 1.0, np.where(in_head[:, last], 0.6, 0.4))
            share = anywhere[:, held.columns_of(asked.noun)].mean(1)
            features["noun_hit"] = level * share * anywhere[:, last]
        return features

    def _phrase(
        self, words: tuple[str, ...], title: IntArray, owner: IntArray, n: int
    ) -> FloatArray:
        """Say whether the words stand side by side, in order, in a title."""
        out = np.zeros(n, np.float32)
        size, ids = len(words), [self._ids.get(word, -1) for word in words]
        if len(title) < size or size < 2:
            return out
        last = len(title) - size + 1
        is_there = owner[:last] == owner[size - 1 :]
        for offset, number in enumerate(ids):
            is_there &= title[offset : offset + last] == number
        out[owner[:last][is_there]] = 1.0
        return out

    def _after_for(
        self, title: IntArray, owner: IntArray, place: IntArray, is_asked: BoolArray, n: int
    ) -> BoolArray:
        """Say whether a title holds words asked for only behind a `for`."""
        out = np.zeros(n, np.bool_)
        for mark in MARKS:
            number = self._ids.get(mark)
            if number is None:
                continue
            at = np.full(n, np.iinfo(np.int64).max)
            is_mark = title == number
            np.minimum.at(at, owner[is_mark], place[is_mark])
            before, after = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
            before[owner[is_asked & (place < at[owner])]] = True
            after[owner[is_asked & (place > at[owner])]] = True
            out |= after & ~before
        return out

    def _type_shares(self, rows: IntArray, signals: Signals) -> FloatArray:
        """Say how common a candidate's kind is among the best by both scores."""
        order = log_rank(signals.words) + log_rank(signals.meaning)
        best = np.argsort(order, kind="stable")[:30]
        tail = self._tail.values[rows].astype(np.int64)
        top = tail[best].copy()
        top[top[:, 0] == top[:, 1], 0] = -1  # a word said twice counts once
        kinds, counts = np.unique(top[top >= 0], return_counts=True)
        if not len(kinds):
            return np.zeros(len(rows), np.float32)
        at = np.minimum(np.searchsorted(kinds, tail), len(kinds) - 1)
        shares = np.where(kinds[at] == tail, counts[at] / len(best), 0.0)
        return shares.max(1).astype(np.float32)


def compare_readings(features: FloatArray, words: FloatArray, rows: IntArray) -> None:
    """Let candidates of several readings of one query compete: their places become common ones.

    Args:
        features: (n, len(NAMES)), changed in place.
        words: (n,) scores by words, as the index gave them.
        rows: (n,) products; one may stand here once per reading.
    """
    features[:, COLUMN["words"]] = words / (float(words.max(initial=0.0)) or 1.0)
    meaning = features[:, COLUMN["meaning"]]
    features[:, COLUMN["meaning_gap"]] = meaning - meaning.max(initial=0.0)
    _, place = np.unique(rows, return_inverse=True)
    best = np.zeros(place.max(initial=-1) + 1, words.dtype)
    np.maximum.at(best, place, words)
    ahead = len(best) - np.searchsorted(np.sort(best), words, side="right")
    features[:, COLUMN["words_log_rank"]] = np.log(1 + ahead)


def log_rank(scores: FloatArray) -> FloatArray:
    """Return the logarithm of each score's rank; ties go to the earlier."""
    order = np.lexsort((np.arange(len(scores)), -scores))
    ranks = np.empty(len(scores), np.float32)
    ranks[order] = np.arange(1, len(scores) + 1)
    return np.log(ranks)


def _places(values: NDArray[np.float64]) -> FloatArray:
    """Return each value's place among all, in [0, 1]; NaN stays."""
    return _places_within(values, np.zeros(len(values), np.int64), alone=None)


def _places_within(
    values: NDArray[np.float64], groups: NDArray[Any], *, alone: float | None = 0.5
) -> FloatArray:
    """Return each value's place among those of its own group, in [0, 1]; NaN stays.

    Equal values share the middle of their places. A member of a group of one stands at `alone`.
    """
    out = np.full(len(values), np.nan, np.float32)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return out
    order = known[np.lexsort((values[known], groups[known]))]
    group, value = groups[order], values[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    group_start, group_size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    is_first = np.r_[True, (group[1:] != group[:-1]) | (value[1:] != value[:-1])]
    runs = np.flatnonzero(is_first)
    lengths = np.diff(np.r_[runs, len(order)])
    low = np.repeat(runs, lengths) - group_start
    high = low + np.repeat(lengths, lengths)
    place = (low + high) / 2 / group_size
    if alone is not None:
        _, inverse, count = np.unique(groups, return_inverse=True, return_counts=True)
        place = np.where(count[inverse[order]] == 1, alone, place)
    out[order] = place
    return out
