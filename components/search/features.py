"""What the learned ranking looks at: how a query's words, meaning and kind meet a product.

`Shelf` keeps per row what the features need; `Shelf.features` gives one row of numbers per
candidate. Every feature compares (shares, places, ranks among the candidates), none names a word,
a brand or a catalogue, so that what is learned on one shop or query holds on another.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components.contracts.records import Product
from components.data.filters import family_key
from components.data.words import fold, stems

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
_NAMES_TEXT = """
words words_log_rank meaning meaning_gap meaning_head title_cover title_cover_idf title_phrase
title_first title_density head_cover head_covered head_last head_exact type_share after_for
accessory brand_hit brand_other model_hit body_cover same_cover price_place price_type_place
newness fullness popularity affinity query_words noun_hit
"""
NAMES = tuple(_NAMES_TEXT.split())
_COLOURS_TEXT = """
black white red blue green grey gray silver gold yellow orange pink purple brown beige transparent
multicolor multicolour titanium charcoal graphite ivory navy bronze copper metallic
"""
_COLOURS = frozenset(_COLOURS_TEXT.split())
_CUT_TEXT = "for with from by and or in to of the w incl including compatible original via pro plus"
_CUT = frozenset(_CUT_TEXT.split())
# Heads of things that go with another thing; a search for the other thing does not mean them.
_ACCESSORY_TEXT = """
case cover bag sleeve pouch adapter cable charger battery mount stand holder bracket lock screen
protector cartridge toner ink ribbon drum fuser lamp bulb filter strap kit part spare warranty
license memory module cord remote skin dock cradle tray refill lid sheet cleaner wipe paper film
accessory replacement extension adaptor connector splitter backpack briefcase folio keyboard pen
clip hook rack shelf lead plug converter cap hood tripod label tape book manual service support
"""
ACCESSORIES = frozenset(_ACCESSORY_TEXT.split())


def head_of(product: Product) -> tuple[str, ...]:
    """Return the stems of the words that say what kind of thing a product is.

    Its type when the catalogue gives one. Otherwise the title's words after brand and model up to
    the first colour, number or preposition; where nothing is left, the last words before those.
    """
    if product.type:
        return tuple(stems(product.type))
    words = stems(product.title)
    brand = stems(product.brand) if product.brand else []
    model = product.attributes.get("model") or product.attributes.get("name")
    named = stems(str(model)) if model else []
    for lead in (brand, named):
        if lead and words[: len(lead)] == lead:
            words = words[len(lead) :]
    after = _kind_words(words)[:4] if named and words else []
    if after:
        return tuple(after)
    whole = stems(_FIRST_PART.split(product.title, maxsplit=1)[0])
    if brand and whole[: len(brand)] == brand:
        whole = whole[len(brand) :]
    return tuple([w for w in whole if _is_plain(w)][-3:])


def nouns_of(product: Product, head: Sequence[str] | None = None) -> frozenset[str]:
    """Return the nouns among the stems of `head_of`: the last word of each thing a type names.

    Args:
        product: the product.
        head: of the product, where it is known already.

    >>> product = Product(product_id="1", title="Jam", type="Jam, jelly or fruit spread for bread")
    >>> sorted(nouns_of(product))
    ['jam', 'jelly', 'spread']
    """
    if not product.type:
        words = head_of(product) if head is None else head
        return frozenset(words[-1:])
    found = set()
    for part in _THINGS.split(fold(product.type)):
        words = [w for w in stems(_BEFORE.split(part, maxsplit=1)[0]) if _is_plain(w)]
        found.update(words[-1:])
    return frozenset(found)


_THINGS = re.compile(r"[,;/&]|\band\b|\bor\b")
_BEFORE = re.compile(r"\b(?:for|with|from|in|to|of|without)\b|[(]")
_FIRST_PART = re.compile(
    r"(?<=\w{3})(?: [-–|/] |, | \(|; | for | with | w/ | to | compatible )", re.IGNORECASE
)
_NO_KIND_TEXT = "pc s cm mm m ft gb tb mb in inch x type piece pack set of a the de no"
_NO_KIND = frozenset(_NO_KIND_TEXT.split())


def _is_plain(word: str) -> bool:
    return word.isalpha() and len(word) > 1 and word not in _COLOURS and word not in _NO_KIND


def _kind_words(words: Sequence[str]) -> list[str]:
    """Return the first run of ordinary words, up to a colour, number or preposition."""
    kept: list[str] = []
    for word in words:
        if _is_plain(word) and word not in _CUT:
            kept.append(word)
        elif kept:
            break
    return kept


@dataclass(frozen=True, slots=True)
class Card:
    """What is kept per row."""

    title: tuple[str, ...]
    head: tuple[str, ...]
    brand: tuple[str, ...]
    body: frozenset[str]
    price: float  # minor units, NaN = unknown
    newness: float  # year, NaN = unknown
    fullness: float
    popularity: float
    family: str  # equal for products that read alike on a card
    nouns: frozenset[str] = frozenset()  # what it is, in one word each

    def holds(self, word: str) -> bool:
        """Say whether a stem stands anywhere in the product's text."""
        return word in self.body or word in self.title or word in self.brand


def card_of(product: Product, *, popularity: float = 0.0) -> Card:
    """Read what ranking needs from a product.

    Args:
        product: the product.
        popularity: log(1 + purchases) or the like, at least 0; its ratings are added.
    """
    parts = [product.description, product.type or "", *product.category]
    parts += [v for v in product.attributes.values() if isinstance(v, str)]
    newness = product.attributes.get("year")
    head = head_of(product)
    return Card(
        title=tuple(stems(product.title)),
        head=head,
        brand=tuple(stems(product.brand)) if product.brand else (),
        body=frozenset(s for part in parts if part for s in stems(part)),
        price=float("nan") if product.price_minor is None else float(product.price_minor),
        newness=float(newness) if isinstance(newness, int | float) else float("nan"),
        fullness=math.log1p(len(product.attributes) + len(product.description) / 50),
        popularity=popularity + math.log1p(product.rating_count),
        family=family_key(product.title, product.brand),
        nouns=nouns_of(product, head),
    )


@dataclass(frozen=True)
class Asked:
    """The query as ranking sees it."""

    words: tuple[str, ...]  # stems of the words to look for, in order
    same: tuple[tuple[str, ...], ...] = ()  # stems of other phrases for it
    brands: frozenset[str] = frozenset()  # stems of brands that the query names
    noun: tuple[str, ...] = ()  # stems of the kind of thing asked for, its noun last


@dataclass(frozen=True)
class Signals:
    """Scores of the candidates from elsewhere, each (n,); zeros where there is none."""

    words: FloatArray
    meaning: FloatArray
    meaning_head: FloatArray
    affinity: FloatArray


class Shelf:
    """Cards by row, with the document frequency of title words; grows, never shrinks."""

    def __init__(self) -> None:
        self.cards: list[Card] = []
        self.frequency: Counter[str] = Counter()
        self.heads: dict[tuple[str, ...], int] = {}
        self.head_rows: list[int] = []
        self.families: dict[str, int] = {}
        self.family_rows: IntArray = np.zeros(0, np.int64)  # place of each row's family

    def add(self, cards: Sequence[Card]) -> None:
        """Append rows."""
        fresh = [self.families.setdefault(card.family, len(self.families)) for card in cards]
        self.family_rows = np.concatenate([self.family_rows, np.asarray(fresh, np.int64)])
        for card in cards:
            self.frequency.update(set(card.title))
            self.head_rows.append(self.heads.setdefault(card.head, len(self.heads)))
            self.cards.append(card)

    def firsts(self, rows: IntArray) -> IntArray:
        """Return the places in `rows`, ascending, of the first row of each family."""
        _, places = np.unique(self.family_rows[rows], return_index=True)
        return np.sort(places)

    def count(self, chosen: NDArray[np.bool_]) -> int:
        """Return how many families the chosen rows, (V,) bool, belong to."""
        found = np.zeros(len(self.families), np.bool_)
        found[self.family_rows[: len(chosen)][chosen]] = True
        return int(found.sum())

    def idf(self, word: str) -> float:
        """Return the inverse document frequency of a stem among titles; at least 0."""
        count = self.frequency.get(word, 0)
        return math.log1p((len(self.cards) - count + 0.5) / (count + 0.5))

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
        cards = [self.cards[row] for row in rows]
        column = {name: place for place, name in enumerate(NAMES)}
        top = float(signals.words.max(initial=0.0)) or 1.0
        out[:, column["words"]] = signals.words / top
        out[:, column["words_log_rank"]] = _log_rank(signals.words)
        out[:, column["meaning"]] = signals.meaning
        out[:, column["meaning_gap"]] = signals.meaning - signals.meaning.max(initial=0.0)
        out[:, column["meaning_head"]] = signals.meaning_head
        weights = {word: self.idf(word) for word in asked.words}
        total = sum(weights.values()) or 1.0
        words = asked.words
        asked_set = frozenset(words)
        wants_accessory = bool(ACCESSORIES & asked_set)
        shares = self._type_shares(rows, signals)
        for place, card in enumerate(cards):
            row = out[place]
            row[5:22] = _text_features(
                card, words, asked_set, asked, weights, total, wants_accessory
            )
        out[:, column["type_share"]] = shares
        prices = np.asarray([card.price for card in cards])
        out[:, column["price_place"]] = _places(prices)
        out[:, column["price_type_place"]] = _places_within(prices, [card.head for card in cards])
        newness = np.asarray([card.newness for card in cards])
        out[:, column["newness"]] = newness - (
            np.nanmax(newness) if np.isfinite(newness).any() else 0.0
        )
        out[:, column["fullness"]] = [card.fullness for card in cards]
        out[:, column["popularity"]] = [card.popularity for card in cards]
        out[:, column["affinity"]] = signals.affinity
        out[:, column["query_words"]] = len(words)
        if asked.noun:
            out[:, column["noun_hit"]] = [_noun_hit(card, asked.noun) for card in cards]
        return out

    def _type_shares(self, rows: IntArray, signals: Signals) -> FloatArray:
        """Say how common a candidate's kind is among the best by both scores."""
        order = _log_rank(signals.words) + _log_rank(signals.meaning)
        best = np.argsort(order, kind="stable")[:30]
        weight: Counter[str] = Counter()
        for place in best:
            head = self.cards[rows[place]].head
            for word in set(head[-2:]):
                weight[word] += 1.0 / len(best)  # type: ignore[assignment]
        return np.asarray(
            [
                max((weight.get(word, 0.0) for word in self.cards[row].head[-2:]), default=0.0)
                for row in rows
            ],
            np.float32,
        )


def _text_features(
    card: Card,
    words: tuple[str, ...],
    asked_set: frozenset[str],
    asked: Asked,
    weights: dict[str, float],
    total: float,
    wants_accessory: bool,
) -> tuple[float, ...]:
    """Return features 5 to 21 in the order of `NAMES`; `type_share` is filled by the caller."""
    title, head = card.title, card.head
    title_set = set(title)
    held = asked_set & title_set
    n = max(len(asked_set), 1)
    cover = len(held) / n
    first = next((i for i, word in enumerate(title) if word in asked_set), len(title))
    phrase = 0.0
    if len(words) > 1 and cover == 1.0:
        size = len(words)
        phrase = float(any(title[i : i + size] == words for i in range(len(title) - size + 1)))
    elif len(words) == 1:
        phrase = cover
    head_set = set(head)
    in_head = asked_set & head_set
    after_for = 0.0
    for mark in ("for", "compatible"):
        if mark in title:
            at = title.index(mark)
            if any(w in asked_set for w in title[at + 1 :]) and not held & set(title[:at]):
                after_for = 1.0
    accessory = float(not wants_accessory and not ACCESSORIES.isdisjoint(head))
    brand = set(card.brand)
    models = _models(asked_set)
    same = 0.0
    for phrase_set in map(set, asked.same):
        if phrase_set:
            both = sum(w in title_set or w in head_set for w in phrase_set)
            same = max(same, both / len(phrase_set))
    return (
        cover,
        sum(weights[w] for w in held) / total,
        phrase,
        first / max(len(title), 1),
        len(held) / max(len(title), 1),
        len(in_head) / n,
        len(in_head) / max(len(head_set), 1),
        float(bool(head) and head[-1] in asked_set),
        float(bool(head) and head_set == asked_set),
        0.0,
        after_for,
        accessory,
        float(bool(brand) and brand <= asked_set),
        float(bool(asked.brands) and not brand & asked.brands),
        len(models & title_set) / len(models) if models else 0.0,
        sum(w in card.body or w in title_set for w in asked_set) / n,
        same,
    )


def compare_readings(features: FloatArray, words: FloatArray, rows: IntArray) -> None:
    """Let candidates of several readings of one query compete: their places become common ones.

    Args:
        features: (n, len(NAMES)), changed in place.
        words: (n,) scores by words, as the index gave them.
        rows: (n,) products; one may stand here once per reading.
    """
    column = {name: place for place, name in enumerate(NAMES)}
    features[:, column["words"]] = words / (float(words.max(initial=0.0)) or 1.0)
    meaning = features[:, column["meaning"]]
    features[:, column["meaning_gap"]] = meaning - meaning.max(initial=0.0)
    _, place = np.unique(rows, return_inverse=True)
    best = np.zeros(place.max(initial=-1) + 1, words.dtype)
    np.maximum.at(best, place, words)
    ahead = len(best) - np.searchsorted(np.sort(best), words, side="right")
    features[:, column["words_log_rank"]] = np.log(1 + ahead)


def _noun_hit(card: Card, phrase: tuple[str, ...]) -> float:
    """Say in [0, 1] whether a product is, is made of, or only mentions the kind asked for."""
    noun = phrase[-1]
    level = 1.0 if noun in card.nouns else 0.6 if noun in card.head else 0.4
    held = sum(map(card.holds, phrase)) / len(phrase)
    return level * held if card.holds(noun) else 0.0


@lru_cache(maxsize=1024)
def _models(words: frozenset[str]) -> frozenset[str]:
    """Return the words that hold a digit, as model numbers do."""
    return frozenset(w for w in words if any(c.isdigit() for c in w))


def _log_rank(scores: FloatArray) -> FloatArray:
    order = np.lexsort((np.arange(len(scores)), -scores))
    ranks = np.empty(len(scores), np.float32)
    ranks[order] = np.arange(1, len(scores) + 1)
    return np.log(ranks)


def _places(values: NDArray[np.float64]) -> FloatArray:
    """Return each value's place among all, in [0, 1]; NaN stays."""
    out = np.full(len(values), np.nan, np.float32)
    known = np.flatnonzero(np.isfinite(values))
    if len(known):
        held = values[known]
        ordered = np.sort(held)
        low, high = np.searchsorted(ordered, held), np.searchsorted(ordered, held, side="right")
        out[known] = (low + high) / 2 / len(held)
    return out


def _places_within(values: NDArray[np.float64], groups: Sequence[tuple[str, ...]]) -> FloatArray:
    """Return each value's place among those of its own kind (the head's last word)."""
    by_group: dict[str, list[int]] = {}
    for place, head in enumerate(groups):
        by_group.setdefault(head[-1] if head else "", []).append(place)
    out = np.full(len(values), np.nan, np.float32)
    for places in by_group.values():
        if len(places) == 1:  # alone among its kind: in the middle
            out[places[0]] = 0.5 if math.isfinite(values[places[0]]) else np.nan
        else:
            out[places] = _places(values[places])
    return out
