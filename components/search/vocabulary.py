"""What a catalogue can be asked about: its words, brands, types, categories and attribute values.

Made from the products alone, so that the query parser works for any shop. It also corrects
spelling: an unknown word is matched against the catalogue's words, a known one is never touched.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from components.contracts.records import Product
from components.data.filters import attribute_name
from components.data.words import UNITS, fold, key, ngrams, stems, tokens
from components.search.categories import CategoryModel
from components.search.features import head_of, nouns_of
from components.search.lexicon import load_lexicon
from components.search.patterns import STOP_WORDS
from components.search.spelling import Guess, Speller, english, is_close

LONGEST_PHRASE = 4
NOUN_SHARE = 0.3  # of the kinds that hold a word, how many must end in it to make it a noun
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
    title: set[str] = field(default_factory=set)
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
    speller: Speller = field(default_factory=lambda: Speller({}, {}, {}), repr=False)
    nouns: dict[str, int] = field(default_factory=dict, repr=False)  # stem to kinds it ends

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
        ends: Counter[str] = Counter()
        within: Counter[str] = Counter()
        synonyms: dict[str, int] = {}  # words that are not in the catalogue but have targets there
        own: list[tuple[list[str], set[tuple[str, str]]]] = []
        for product in products:
            carried: set[tuple[str, str]] = set()
            title = _count_title(product, counts)
            titles.setdefault(" ".join(title), product.product_id)
            currencies[product.currency] += 1
            head = head_of(product)
            asked.update({*head, *stems(product.brand or "")})
            ends.update(nouns_of(product, head))
            within.update(set(head))
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
        pairs = {p: n for p, n in counts.pairs.items() if n >= 2 or len(products) < 5000}
        spelt = {
            word: " ".join(stems(word))
            for word in sorted(counts.surface)
            if len(word) >= 3
            and word not in STOP_WORDS
            and (any(c.isalpha() for c in word) or word in counts.title)
        } | {word: word for word in sorted(synonyms) if len(word) >= 3}
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
            nouns={w: n for w, n in ends.items() if n >= 2 and n >= NOUN_SHARE * within[w]},
            titles=titles,
            surface=dict(counts.surface),
            stems=dict(counts.stem),
            pairs=pairs,
            currency=currency or (currencies.most_common(1)[0][0] if currencies else "USD"),
            size=len(products),
            category_model=CategoryModel.fit(products),
            speller=Speller.of(
                {word: stem for word, stem in spelt.items() if " " not in stem},
                {**synonyms, **counts.stem},
                dict(asked),
                pairs,
                (t for t, _ in own),
            ),
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

    def correct(
        self,
        word: str,
        *,
        before: str | None = None,
        after: str | None = None,
        others: Sequence[str] = (),
    ) -> str | None:
        """Return the catalogue's word that an unknown word most likely means, or None.

        Args:
            word: folded; a word that the catalogue has is never corrected, and one of plain English
                only where its better stands in titles along with another word of the query. So it
                is with a better that is far: another start, or two edits in a short word.
            before: the stem to its left; a pair that the catalogue knows wins.
            after: the stem to its right.
            others: stems of all other words of the query.
        """
        guesses = self.guesses(word, before=before, after=after, others=others)
        return guesses[0].word if guesses else None

    def guesses(
        self,
        word: str,
        *,
        before: str | None = None,
        after: str | None = None,
        others: Sequence[str] = (),
    ) -> list[Guess]:
        """Return what an unknown word may mean, best first; empty for a known one.

        Args: as of `correct`.
        """
        if self.knows(word) or not word.isascii() or len(word) < 2 or word.isdigit():
            return []
        others = others or tuple(w for w in (before, after) if w)
        is_word = word in english()
        guesses = self.speller.guesses(
            word, before=before, after=after, others=others, edits=1 if is_word else None
        )
        if is_word or (len(word) < 3 and others):  # two letters say too little beside others
            return [g for g in guesses if g.together]
        return [g for g in guesses if g.together or is_close(word, g)]

    def likelier(
        self,
        word: str,
        *,
        before: str | None = None,
        after: str | None = None,
        others: Sequence[str] = (),
    ) -> list[tuple[str, float]]:
        """Return words that may be meant although the catalogue has the one typed.

        The word typed stays what is asked for; these only widen the search.

        Args:
            word: folded, and a word of the catalogue.
            before: the stem to its left.
            after: the stem to its right.
            others: stems of all other words of the query.

        Returns:
            (word, log odds against the one typed), best first.
        """
        stemmed = stems(word)
        if len(stemmed) != 1 or len(word) < 2 or not word.isascii():
            return []
        guesses = self.speller.guesses(
            word, stem=stemmed[0], before=before, after=after, others=others, edits=1, most=4
        )
        own = next((g.score for g in guesses if g.stem == stemmed[0]), None)
        if own is None:
            own = max((g.score for g in guesses), default=0.0) + 9.0
        return [(g.word, g.score - own) for g in guesses if g.stem != stemmed[0]]


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
    counts.title.update(title)
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
