"""What a catalogue can be asked about: its words, brands, types, categories and attribute values.

Made from the products alone, so that the query parser works for any shop. It also corrects
spelling: an unknown word is matched against the catalogue's words, a known one is never touched.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from components.contracts.records import Product
from components.data.filters import attribute_name
from components.data.words import UNITS, fold, key, ngrams, stems, tokens
from components.search.categories import CategoryModel
from components.search.features import head_of
from components.search.lexicon import load_lexicon

LONGEST_PHRASE = 4
_MAX_VALUES = 400  # an attribute with more values is text, not a choice
_FREE_TEXT = (
    "title",
    "name",
    "description",
    "summary",
    "text",
    "notes",
    "url",
    "image",
    "gtin",
    "ean",
)


class HasProducts(Protocol):
    """Anything that holds products by id, for instance `components.data.catalogue.Catalogue`."""

    @property
    def products(self) -> "dict[str, Product]":
        """Products by id."""
        ...


@dataclass(frozen=True)
class Known:
    """A phrase of the catalogue: which field it fills, with which values, and how surely.

    `share` is the part of the products whose title holds the phrase that also carry the value:
    low means that the phrase is an ordinary word as well, and so no hard constraint.
    """

    field: str
    values: tuple[str, ...]
    share: float
    products: int


@dataclass
class _Counts:
    surface: Counter[str] = field(default_factory=Counter)
    stem: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Vocabulary:
    """The words of one catalogue; immutable, built by `from_catalogue`."""

    brands: dict[str, Known]
    types: dict[str, Known]
    categories: dict[str, Known]
    values: dict[str, tuple[Known, ...]]
    flags: dict[str, str]
    units: dict[str, tuple[str, ...]]
    attributes: frozenset[str]
    kind_words: frozenset[str]
    asked: dict[str, int]  # stem to products that it names the kind or brand of
    titles: dict[str, str]
    surface: dict[str, int]
    stems: dict[str, int]
    pairs: dict[tuple[str, str], int]
    currency: str
    size: int
    category_model: CategoryModel = field(default_factory=CategoryModel, repr=False)
    _by_length: dict[int, tuple[list[str], list[int]]] = field(default_factory=dict, repr=False)

    @classmethod
    def from_catalogue(cls, catalogue: HasProducts, *, currency: str | None = None) -> "Vocabulary":
        """Read a catalogue's vocabulary.

        Args:
            catalogue: holds `products`.
            currency: of the shop; by default the commonest of its products.
        """
        return cls.from_products(catalogue.products.values(), currency=currency)

    @classmethod
    def from_products(
        cls, products: Iterable[Product], *, currency: str | None = None
    ) -> "Vocabulary":
        """Read the vocabulary of products that come from anywhere."""
        products = list(products)
        counts = _Counts()
        brands: dict[str, Counter[str]] = defaultdict(Counter)
        types: dict[str, Counter[str]] = defaultdict(Counter)
        categories: dict[str, Counter[str]] = defaultdict(Counter)
        values: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        flags: Counter[str] = Counter()
        numbers: dict[str, set[str]] = defaultdict(set)
        attributes: set[str] = set()
        currencies: Counter[str] = Counter()
        titles: dict[str, str] = {}
        asked: Counter[str] = Counter()
        synonyms: dict[str, int] = {}  # words that are not in the catalogue but have targets there
        own: list[tuple[list[str], set[tuple[str, str]]]] = []
        for product in products:
            carried: set[tuple[str, str]] = set()
            title = _count_title(product, counts)
            titles.setdefault(" ".join(title), product.product_id)
            currencies[product.currency] += 1
            asked.update({*head_of(product), *stems(product.brand or "")})
            if product.brand:
                brands[_phrase(product.brand)][product.brand] += 1
                carried.add(("brand", _phrase(product.brand)))
            if product.type:
                types[_phrase(product.type)][product.type] += 1
                carried.add(("type", _phrase(product.type)))
            for level in product.category:
                categories[_phrase(level)][level] += 1
                carried.add(("category", _phrase(level)))
            for name, value in _choices(product):
                attributes.add(name)
                if isinstance(value, bool):
                    flags[name] += 1
                    if value:
                        carried.add((name, "true"))
                elif isinstance(value, int | float):
                    numbers[name].add(key(value))
                else:
                    phrase = _phrase(value)
                    if phrase and len(phrase.split()) <= LONGEST_PHRASE:
                        values[name][phrase][value] += 1
                        carried.add((name, phrase))
            own.append((title, carried))
        kept = {
            n: v for n, v in values.items() if len(v) <= _MAX_VALUES and not n.endswith(_FREE_TEXT)
        }
        for name, table in kept.items():
            if any(p.replace(".", "", 1).isdigit() for p in table):
                numbers[name].update(p for p in table if p.replace(".", "", 1).isdigit())
        seen, both = _shares(own, brands, types, categories, kept, flags)

        def known(name: str, phrase: str, spellings: Counter[str]) -> Known:
            held = seen[phrase]
            share = both[name, phrase] / held if held else 1.0
            return Known(name, tuple(sorted(spellings)), share, sum(spellings.values()))

        by_value: dict[str, list[Known]] = defaultdict(list)
        for name in sorted(kept):
            for phrase, spellings in kept[name].items():
                if phrase in types or phrase in categories or phrase.replace(" ", "").isdigit():
                    continue
                by_value[phrase].append(known(name, phrase, spellings))
        for phrase, tables in list(by_value.items()):
            by_value[phrase] = sorted(tables, key=lambda k: (-k.products, k.field))
        units: dict[str, list[str]] = defaultdict(list)
        for name in sorted(numbers):
            last = name.split()[-1]
            if last in UNITS:
                units[UNITS[last]].append(name)
        for phrase, targets in load_lexicon().same.items():
            if " " not in phrase and phrase not in counts.stem:
                best = max((min(counts.stem[w] for w in stems(t)) for t in targets), default=0)
                if best:
                    synonyms[phrase] = best
        lengths: dict[int, list[str]] = defaultdict(list)
        for word in sorted({*counts.surface, *synonyms}):
            if word.isascii() and len(word) >= 3 and any(c.isalpha() for c in word):
                lengths[len(word)].append(word)
        return cls(
            brands={p: known("brand", p, s) for p, s in brands.items() if p},
            types={p: known("type", p, s) for p, s in types.items() if p},
            categories={p: known("category", p, s) for p, s in categories.items() if p},
            values={p: tuple(t) for p, t in by_value.items()},
            flags={" ".join(stems(name)): name for name in sorted(flags)},
            units={u: tuple(n) for u, n in units.items()},
            attributes=frozenset(attributes),
            kind_words=frozenset(w for p in (*types, *categories) for w in p.split()),
            asked=dict(asked),
            titles=titles,
            surface=dict(counts.surface),
            stems=dict(counts.stem),
            pairs={pair: n for pair, n in counts.pairs.items() if n >= 2 or len(products) < 5000},
            currency=currency or (currencies.most_common(1)[0][0] if currencies else "USD"),
            size=len(products),
            category_model=CategoryModel.fit(products),
            _by_length={
                n: (w, [counts.surface[x] or synonyms[x] for x in w]) for n, w in lengths.items()
            },
        )

    def knows(self, word: str) -> bool:
        """Say whether the catalogue holds a folded word, in the singular or the plural."""
        return word in self.surface or " ".join(stems(word)) in self.stems

    def compounds(self, left: str, right: str) -> str | None:
        """Return the catalogue's one-word spelling of two words (`head set`), or None."""
        joined = stems(left + right)
        return joined[0] if len(joined) == 1 and joined[0] in self.stems else None

    def split(self, word: str) -> tuple[str, str] | None:
        """Return the best cut of an unknown word into two known ones that stand side by side."""
        best: tuple[int, tuple[str, str]] | None = None
        for cut in range(3, len(word) - 2):
            pair = (word[:cut], word[cut:])
            stemmed = stems(pair[0]), stems(pair[1])
            if len(stemmed[0]) != 1 or len(stemmed[1]) != 1:
                continue
            count = self.pairs.get((stemmed[0][0], stemmed[1][0]), 0)
            if count and (best is None or count > best[0]):
                best = (count, pair)
        return None if best is None else best[1]

    def near(self, word: str, *, most: int | None = None) -> list[tuple[str, int, int]]:
        """Return catalogue words close to `word`: (word, edits, products), best first.

        Args:
            word: folded, letters only.
            most: edits allowed (a swap of neighbours is one); by default by the word's length.
        """
        length = len(word)
        allowed = most if most is not None else (1 if length <= 3 else 2 if length <= 9 else 3)
        found = [(w, e, n) for _, w, e, n in self._scored(word, allowed)]
        return found

    def _scored(self, word: str, allowed: int) -> list[tuple[float, str, int, int]]:
        """Return (score, word, edits, products) of near words, best first."""
        length = len(word)
        found: list[tuple[float, str, int, int]] = []
        for size in range(max(3, length - allowed), length + allowed + 1):
            words, counts = self._by_length.get(size, ([], []))
            for other, edits, place in process.extract(
                word, words, scorer=OSA.distance, score_cutoff=allowed, limit=40
            ):
                if not edits or (edits > 1 and (length <= 4 and other[0] != word[0])):
                    continue
                # What a product is (or who makes it) is asked for more often than what it has.
                middle = stems(other)[0]
                count = max(counts[place], self.stems.get(middle, 0))
                score = 0.25 * math.log1p(count) - 3.0 * edits
                score += 0.25 * math.log1p(self.asked.get(middle, 0))
                score += 12.0 * JaroWinkler.similarity(word, other)
                score += 0.7 * (sorted(other) == sorted(word))
                score += 1.5 * (_single(other) == _single(word))
                score -= 2.0 * (not other.isalpha() and word.isalpha())
                found.append((score, other, int(edits), counts[place]))
        found.sort(key=lambda f: (-f[0], f[1]))
        return found

    def correct(
        self, word: str, *, before: str | None = None, after: str | None = None
    ) -> str | None:
        """Return the catalogue's word that an unknown word most likely means, or None.

        Args:
            word: folded; a word that the catalogue has is never corrected.
            before: the stem to its left; a pair that the catalogue knows wins.
            after: the stem to its right.
        """
        if self.knows(word) or not word.isascii() or len(word) < 2 or word.isdigit():
            return None
        allowed = 1 if len(word) <= 3 else 2 if len(word) <= 9 else 3
        best: tuple[float, str] | None = None
        for score, other, _, _ in self._scored(word, allowed)[:15]:
            middle = stems(other)
            if len(middle) != 1:
                continue
            pair = self.pairs.get((before or "", middle[0]), 0)
            pair += self.pairs.get((middle[0], after or ""), 0)
            if len(word) < 3 and not pair:
                continue  # two letters say too little by themselves
            score += 0.8 * math.log1p(pair)
            if best is None or score > best[0]:
                best = (score, other)
        return None if best is None else best[1]

    def others(self, word: str, chosen: str, *, most: int = 2) -> list[str]:
        """Return further words that an unknown word may have meant, to widen the search."""
        allowed = 1 if len(word) <= 3 else 2
        near = self._scored(word, allowed)[: most + 1]
        return [other for _, other, _, _ in near if other != chosen][:most]

    def likelier(self, word: str, *, before: str | None, after: str | None) -> str | None:
        """Return a commoner near word that goes with its neighbours, where a rare one does not.

        The word typed stays what is asked for; this one only widens the search.

        Args:
            word: a stem that the catalogue has.
            before: the stem to its left.
            after: the stem to its right.
        """
        count = self.stems.get(word, 0)
        if count > 5 or len(word) < 3 or not word.isalpha():
            return None
        if self.pairs.get((before or "", word), 0) or self.pairs.get((word, after or ""), 0):
            return None
        for _, other, _, often in self._scored(word, 1)[:5]:
            middle = stems(other)[0]
            pair = self.pairs.get((before or "", middle), 0)
            pair += self.pairs.get((middle, after or ""), 0)
            alone = before is None and after is None
            if often >= 10 * max(count, 1) and (pair >= 2 or alone):
                return middle
        return None


def _single(word: str) -> str:
    """Return a word with runs of one letter written once; doubling is the commonest slip."""
    return "".join(c for i, c in enumerate(word) if i == 0 or c != word[i - 1])


def _phrase(text: str) -> str:
    return " ".join(stems(text))


def _choices(product: Product) -> list[tuple[str, str | bool | int | float]]:
    """Return (attribute, one value) of a product and of its variants' options."""
    found: dict[tuple[str, str], tuple[str, str | bool | int | float]] = {}
    for raw, value in product.attributes.items():
        name = attribute_name(raw)
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, str | bool | int | float):
                found[name, key(one)] = (name, one)
    for variant in product.variants:
        for raw, value in variant.options.items():
            name = attribute_name(raw)
            found[name, key(value)] = (name, value)
    return list(found.values())


def _count_title(product: Product, counts: _Counts) -> list[str]:
    """Count a product's words once each; returns the stems of its title."""
    title = stems(product.title)
    counts.pairs.update(set(pairwise(title)))
    texts = [product.title, product.brand or "", product.type or "", *product.category]
    texts += [v for v in product.attributes.values() if isinstance(v, str)]
    texts += [n.replace("_", " ") for n, v in product.attributes.items() if v is True]
    texts.append(product.description)
    surface: set[str] = set()
    for text in texts:
        if text.isascii():
            surface.update(
                w for w in fold(text).replace("'s", "").replace("'", "").translate(_BLANKS).split()
            )
        else:
            surface.update(t.text for t in tokens(text))
    counts.surface.update(surface)
    stemmed = {s for text in texts for s in stems(text)}
    counts.stem.update(stemmed)
    return title


_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum()}


def _shares(
    own: list[tuple[list[str], set[tuple[str, str]]]],
    brands: dict[str, Counter[str]],
    types: dict[str, Counter[str]],
    categories: dict[str, Counter[str]],
    values: dict[str, dict[str, Counter[str]]],
    flags: Counter[str],
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Count how many titles hold a phrase, and how many of those products carry its value."""
    fields_of: dict[str, list[str]] = defaultdict(list)
    for name, table in (
        ("brand", brands),
        ("type", types),
        ("category", categories),
        *values.items(),
    ):
        for phrase in table:
            fields_of[phrase].append(name)
    seen: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    for title, carried in own:
        for phrase in {p for _, _, p in ngrams(title, LONGEST_PHRASE)}:
            names = fields_of.get(phrase)
            if names is None:
                continue
            seen[phrase] += 1
            for name in names:
                if (name, phrase) in carried:
                    both[name, phrase] += 1
    return seen, both
