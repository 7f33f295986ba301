"""What the learned ranking looks at: how a query's words, meaning and kind meet a product.

A product becomes a `Card`, a query an `Asked`; `shelf.Shelf` compares them. Every feature compares
(shares, places, ranks among the candidates), none names a word, a brand or a catalogue, so that
what is learned on one shop or query holds on another.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contracts.records import Product
from components.data.filters import family_key
from components.data.words import fold, stems

FloatArray = NDArray[np.float32]
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
