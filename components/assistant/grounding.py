"""Ground words in a catalogue: which constraints, which order, which words are left over.

`Lexicon` is what the catalogue calls things: categories, types, brands, attribute values, options.
`Lexicon.read` turns a glossed message into a `Reading`. Only names and short values of the
catalogue's structured fields become vocabulary; descriptions and reviews never do, so that planted
text cannot teach the assistant a word.
"""

# ruff: noqa: E501  (patterns)

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from components.assistant.language import Token, digits_for_words, stem, stems_of, tokens_of
from components.assistant.meaning import Meaning
from components.assistant.money import read_money
from components.assistant.synonyms import (
    ANTONYMS,
    COLOR_WORDS,
    COMMON_WORDS,
    EVERYDAY_VERBS,
    OPTION_NAMES,
    PEOPLE_OPTIONS,
    QUALITY_NOUNS,
    STOPWORDS,
    SUPERLATIVES,
    SYNONYMS,
    UNIT_WORDS,
    USES,
    VERBS,
)
from components.assistant.thesaurus import heads_after, is_noun, same_as, wider_than
from components.contracts.commands import Constraint
from components.contracts.records import Product

Phrase = tuple[str, ...]
_LONGEST = 5
_FIELD_RANK = {"type": 0, "category": 1, "brand": 2}
_RATING = re.compile(
    r"(?:(?:rat(?:ed|ing|ings)|scores?|scored|reviews?|reviewed)\s*(?:of|is|are|be|should be|must be)?\s*(?:at least|above|over|better than|more than|higher than|from|minimum|>=?)?\s*(\d(?:[.,]\d+)?)(?:\s*(?:stars?|points?))?(?:\s*(?:or (?:more|above|better|higher)|and (?:up|above)|\+|plus))?"
    r"|(?:at least|above|over|more than|minimum(?: of)?|min|better than|>=?)\s*(?:an?\s+)?(\d(?:[.,]\d+)?)[\s-]*stars?"
    r"|(\d(?:[.,]\d+)?)\s*(?:\+|plus)?[\s-]*stars?\s*(?:\+|or (?:more|above|better|higher|up)|and (?:up|above|more|over|higher)|minimum|rating|rated)?)"
)
_QUANTITY = re.compile(
    r"(?P<op>at least|over|more than|min(?:imum)?(?: of)?|no less than|not less than|under|below|less than|at most|no more than|up to|max(?:imum)?(?: of)?)?\s*(?P<n>\d+(?:[.,]\d+)?)\s*[- ]?(?P<u>[a-z\"]+)(?P<post>\s*(?:\+|or (?:more|longer|larger|bigger|above|less|under)|and (?:up|more|above)|plus\b|at least|minimum))?"
)
_SIZE = re.compile(
    r"\b(?:(?:shoe |clothing |eu |uk |us )?sizes?\s*(?:is|are|of|:|=|in|should be|must be|to|eu|uk|us)?\s*(?P<a>\d{1,2}(?:[.,]5)?|x{0,3}[sl]\b|m\b|small|medium|large|extra large|extra small)\b"
    r"|(?:eu|eur)\s*(?P<b>\d{2}(?:[.,]5)?)\b|\bin (?:a |an )?(?P<c>\d{2}(?:[.,]5)?|x{0,3}[sl]|m)(?=\s*(?:$|[,.;?!)]|please|and|or|for|if|but|under|below|with|instead|too|now|thanks))"
    r"|(?<![\d.,-])(?P<d>\d{2}(?:[.,]5)?)(?=\s*(?:$|[,.;?!)]|please\b|thanks\b)))"
)
_BREAKS = frozenset(
    {
        ",",
        ";",
        ".",
        "!",
        "?",
        ":",
        "but",
        "just",
        "only",
        "with",
        "under",
        "below",
        "please",
        "instead",
        "rather",
        "that",
        "which",
        "then",
        "in",
        "for",
        "though",
        "over",
        "more",
        "show",
        "is",
        "are",
        "now",
        "i",
        "so",
        "because",
        "than",
        "from",
        "between",
        "less",
        "at",
        "up",
        "cheap",
        "give",
        "add",
    }
)
_NOT = re.compile(
    r"\b(?:don't (?:want|like|need|show|include|care for|fancy)(?: me)?(?: any)?|do not (?:want|like|need|show|include)(?: me)?(?: any)?|doesn't (?:have|contain|include|need|come with)|not (?:from|by|in|for|made of|made from|the|a|an)|nothing (?:from|by|in|for|with|made of|that(?:'s| is| has)?)|nothing(?! else)|does not (?:have|contain|include)|none (?:from|by|of|in|with)|won't (?:buy|wear|have)|remove (?:all|the|any)?|never(?: again)?|except(?: for)?|everything but|anything but|cannot stand|(?:allergic|sensitive|intolerant) (?:to|of)|reacts? (?:badly )?to|(?:can't|cannot) (?:wear|eat|have|use|drink|tolerate|abide)(?: any)?|can't stand|rather than|other than|apart from|instead of|filter out|excluding|leave out|avoiding|rule out|without|exclude|besides|dislike|neither|free of|detest|aren't|avoid|minus|isn't|hate|skip|not|non|nor|no)\b"
)
_FREE_OF = re.compile(
    r"\b(?:(?:does|do|need|needs)(?: not|n't)? (?:need |have )?to be|(?:doesn't|don't|needn't|does not|do not|don't|needs not|need not) (?:really )?(?:need to |have to |necessarily )?be|doesn't (?:have to|need to) be|don't (?:have to|need to) be|not necessarily|no need (?:for|to be|for it to be|for them to be)|don't care (?:about|if|whether)(?: it's| it is| they are| the| they're)?|doesn't matter(?: if| whether)?(?: it's| it is)?|never mind(?: about)?(?: the)?|forget(?: about)?(?: the)?|ignore(?: the)?|drop(?: the)?|lift(?: the)?|scrap(?: the)?|lose(?: the)?|leave off(?: the)?|regardless of|irrespective of|remove(?: the)?|take off(?: the)?|clear(?: the)?|no longer(?: needs?)?(?: to be)?|delete(?: the)?)\b"
)
_FIELD_WORDS: dict[str, tuple[str, ...]] = {
    "price": ("price", "budget", "cost", "money", "price limit", "price range", "spending", "price cap", "price filter", "budget limit", "price restriction", "max price", "limit"),
    "color": ("color", "colors"), "size": ("size", "sizes"), "brand": ("brand", "brands", "make", "maker", "manufacturer", "label"), "material": ("material", "fabric"),
    "rating": ("rating", "ratings", "stars", "star rating", "review score", "score", "reviews"), "promotion": ("promotion", "discount", "sale", "deal", "offer", "on sale", "deals"), "in_stock": ("stock", "availability"),
    "type": ("type", "kind", "style"), "*": ("filters", "all filters", "everything", "constraints", "filter", "all constraints", "all the filters", "all of that", "all requirements"),
}  # fmt: skip
_SORTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"\b(?:cheapest|lowest[- ]priced?|least expensive|lowest cost|most affordable|price (?:ascending|low to high|from low)|low(?:est)? (?:price )?to high|cheap(?:est)? (?:ones? )?first|by (?:rising |ascending |increasing )?price|(?:order|sort(?:ed)?)(?: (?:them|these|it|those|results))? by (?:the )?(?:lowest |cheapest )?(?:price|cost)|lowest price|cheap to expensive)\b"
        ),
        "price",
    ),
    (
        re.compile(
            r"\b(?:most expensive|priciest|dearest|highest[- ]priced?|price (?:descending|high to low)|high(?:est)? to low|expensive first|most premium|top of the (?:line|range))\b"
        ),
        "-price",
    ),
    (
        re.compile(
            r"\b(?:best[- ]?rated|top[- ]?rated|highest[- ]?rat(?:ed|ing)|best reviewed|best reviews?|highest reviewed|by (?:customer )?(?:rating|stars|reviews)|well[- ]rated|highly[- ]rated|highest rating|best ratings?|most loved|highest scored?|good reviews|great reviews|top reviews)\b"
        ),
        "rating",
    ),
    (re.compile(r"\b(?:newest|latest|most recent|new arrivals|just in)\b"), "newest"),
    (
        re.compile(
            r"\b(?:most popular|best[- ]?selling|bestsellers?|best sellers?|most bought|most reviewed|trending)\b"
        ),
        "popular",
    ),
)
_PROMOTION = re.compile(
    r"\b(?:on sale|on offer|on promotion|on special|discounted|reduced|marked down|with (?:a )?(?:discount|promotion|deal|offer)|special offers?|on discount|sale items?|in (?:the )?sale|bargains?|promo(?:tional)?|(?:that (?:have|has)|having) (?:a )?(?:discount|promotion|offer))\b"
)
_IN_STOCK = re.compile(
    r"\b(?:in stock|available (?:now|today|right now|immediately)|currently available|ready to ship|that(?:'s| is| are) available|not sold out)\b"
)
_ASKING = re.compile(
    r"^.*?\b(?:look(?:ing)? for|search(?:ing)? for|in the market for|interested in|shopping for)\b"
)
_ABOUT_PREPOSITION = re.compile(
    r"\b(?:for|in|with|to|that|which|on|at|from|of|about|under|below|made)\b"
)
_IDLE = frozenset(
    [
        "idea",
        "clue",
        "problem",
        "worry",
        "rush",
        "hurry",
        "matter",
        "doubt",
        "longer",
        "way",
        "experience",
        "preference",
        "specific",
        "particular",
        "restriction",
        "trouble",
        "sure",
    ]
)
_GENERIC = frozenset(
    [
        "gear",
        "stuff",
        "equipment",
        "accessory",
        "clothes",
        "clothing",
        "device",
        "gadget",
        "tool",
        "food",
        "snack",
        "thing",
        "material",
        "apparel",
        "supply",
        "essential",
        "idea",
    ]
)
_LETTER_SIZE = re.compile(
    r"(?:^|\b(?:in|an?|the|or|then|also|take|make it|ok|okay|fine|and)[\s,]+)(x{0,3}[sl]|m|\d{2,3})(?=\s*(?:$|[,.;?!]|(?:is|are|would|will|should|works?|do|please|then|instead|it is|fine|for me|and|or|too|size)\b))"
)
_HAN_ONLY = re.compile(r"^[\u3400-\u9fffA-Za-z0-9% ]+$")
_SUPERLATIVES = [
    (re.compile(rf"\b{re.escape(word)}\b"), SUPERLATIVES[word])
    for word in sorted(SUPERLATIVES, key=lambda w: (-len(w), w))
]
_SUPERLATIVE_WORDS = frozenset(w for w in SUPERLATIVES if " " not in w)
_TO_DO = re.compile(
    r"\b(?:something|anything|some ?thing|a thing|thing|things|machine|tool|device|gadget|what do i need|one)\b(?: \w+)? (?:to|that can|which can|i can|that|for) (?:can )?(\w+?)(?:ing|s)?\b(?=(.*))"
)
_NEED_NOT = re.compile(
    r"\b(?:doesn't|does not|don't|do not|needn't|need not|isn't|not) (?:really |actually )?(?:have to|need to|necessarily|need|needed|required|important)(?: to)?(?: be| have)?\b"
)


_AGE = re.compile(
    r"\b(?:aged?|age of|turn(?:s|ing|ed)?)\s+(\d{1,2})\b|\b(\d{1,2})\s*(?:years?\s+olds?|yrs? old|yo|year)\b"
)


@lru_cache(maxsize=64)
def _counted(what: str) -> re.Pattern[str]:
    people = (
        "|people|persons?|of us|friends|adults|kids|children"
        if what in ("player", "person", "people", "guest")
        else ""
    )
    return re.compile(rf"\b(\d{{1,3}})\s+(?:{re.escape(what)}s?{people})\b")


@dataclass(frozen=True)
class Reading:
    """What a message says about products.

    `constraints` are in the order spoken; `drops` are fields the visitor let go ("*": all);
    `terms` are content words that no structured field explains; `names_kind` says whether a category
    or type was named; `facets` are the spans that were understood (start, end, field).
    """

    constraints: tuple[Constraint, ...] = ()
    sort: str | None = None
    terms: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    corrected: tuple[tuple[str, str], ...] = ()
    unknown_currencies: tuple[str, ...] = ()
    parts: tuple[tuple[Constraint, ...], ...] = ()
    superlative: tuple[str, str] | None = None
    head: tuple[str, ...] = ()
    text: str = ""

    @property
    def names_kind(self) -> bool:
        """Whether a kind of product is asked for."""
        return any(c.field in ("category", "type") and c.op == "is" for c in self.constraints)

    @property
    def is_empty(self) -> bool:
        """Whether nothing about products was said."""
        return not (self.constraints or self.sort or self.terms or self.drops)

    def field(self, name: str, op: str = "is") -> Constraint | None:
        """Return the constraint on a field, if any."""
        return next((c for c in self.constraints if c.field == name and c.op == op), None)


@dataclass(frozen=True)
class _Facet:
    field: str
    value: bool | str
    parts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    wider: bool = False  # the words name something that is only a kind of this


@dataclass
class Lexicon:
    """The names a catalogue uses. Grown product by product; never shrinks within its life."""

    currency: str
    rates: Mapping[str, str | float | Decimal] = field(default_factory=dict)
    phrases: dict[Phrase, list[_Facet]] = field(default_factory=lambda: defaultdict(list))
    heads: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    categories_of_type: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    options: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    numeric: set[str] = field(default_factory=set)
    booleans: set[str] = field(default_factory=set)
    commas: set[Phrase] = field(default_factory=set)
    type_counts: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    brands: set[str] = field(default_factory=set)
    meaning: Meaning = field(default_factory=lambda: Meaning(None))
    leads: dict[Phrase, set[str]] = field(default_factory=lambda: defaultdict(set))
    chinese: dict[str, str] = field(default_factory=dict)
    _chinese_ends: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    types: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    _fuzzy: list[str] = field(default_factory=list)
    _choices: tuple[tuple[int, ...], list[str]] = field(default=((), []))
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _called: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _kind_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def from_products(
        cls,
        products: Iterable[Product],
        *,
        currency: str,
        rates: Mapping[str, str | float | Decimal] | None = None,
    ) -> "Lexicon":
        """Build the vocabulary of a catalogue."""
        lexicon = cls(currency=currency, rates=dict(rates or {}))
        lexicon.add(products)
        return lexicon

    def add(self, products: Iterable[Product]) -> None:
        """Learn the names of new or changed products."""
        for product in products:
            self._add_product(product)
        self._fuzzy = sorted(word for word in self.words if len(word) >= 4 and word.isalpha())
        self.chinese = {
            end: next(iter(kinds)) for end, kinds in self._chinese_ends.items() if len(kinds) == 1
        }

    def _learn_chinese(self, title: object, kind: str) -> None:
        """Remember how a Chinese title ends: that is what the thing is called, if no other is."""
        if not isinstance(title, str) or not 2 <= len(title) <= 20 or not _HAN_ONLY.match(title):
            return
        for length in range(2, min(6, len(title)) + 1):
            self._chinese_ends[title[-length:]].add(kind)

    def _learn_other_names(self, kind: str) -> None:
        """Remember what else a kind is called, and what it is a kind of."""
        name = " ".join(stems_of(kind.partition(",")[0]))
        for other in same_as(name):
            self._called[other].add(kind)
        for wide in wider_than(name):
            self._kind_of[wide].add(kind)

    def _put(self, text: str, facet: _Facet) -> None:
        phrase = stems_of(text)
        if not phrase or len(phrase) > _LONGEST or len(text) > 60:
            return
        for word in phrase:
            self.words[word] += 1
        if "," in text:
            self.commas.add(phrase)
        if (text, facet.field) not in self._seen:
            self._seen.add((text, facet.field))
            if facet not in self.phrases[phrase]:
                self.phrases[phrase].append(facet)
                self.phrases[phrase].sort(
                    key=lambda f: (_FIELD_RANK.get(f.field, 3), f.field in OPTION_NAMES, f.field)
                )

    def _add_product(self, product: Product) -> None:
        for level in product.category:
            self._put(level, _Facet("category", level))
            self.categories.add(level)
        if product.type:
            self._put(product.type, _Facet("type", product.type))
            if product.type not in self.types:
                self._learn_other_names(product.type)
            self.types.add(product.type)
            head = stems_of(product.type)
            if head:
                self.heads[head[-1]].add(product.type)
            self._learn_chinese(product.attributes.get("title_zh"), product.type)
            lead = stems_of(product.type.partition(",")[0])
            if "," in product.type and lead:
                self.leads[lead].add(product.type)
            self.type_counts[product.type] += 1
            for level in dict.fromkeys(product.category):
                self.categories_of_type[product.type][level] += 1
        if product.brand:
            self._put(product.brand, _Facet("brand", product.brand))
            self.brands.add(product.brand)
        for name, value in product.attributes.items():
            self._add_attribute(name, value)
        for variant in product.variants:
            for name, value in variant.options.items():
                self.options[name].add(value)
                if not re.fullmatch(r"[\d.,]{1,5}|x{0,3}[slm]", value.casefold()):
                    self._put(value, _Facet(name, value))
        for word in stems_of(product.title[:200]):
            self.words[word] += 1

    def _add_attribute(self, name: str, value: object) -> None:
        if isinstance(value, bool):
            self.booleans.add(name)
            self._put(name.replace("_", " "), _Facet(name, True))
            for noun in nouns_behind(name):
                self._put(noun, _Facet(name, True))
        elif isinstance(value, int | float):
            self.numeric.add(name)
        elif isinstance(value, str) and value and not name.startswith("title"):
            if len(value.split()) <= 4 and not re.fullmatch(r"[\d.,\s]+", value):
                self._put(value, _Facet(name, value))
        elif isinstance(value, list | tuple):
            for one in value:
                if isinstance(one, str) and not name.startswith("title"):
                    self._add_attribute(name, one)

    # -- looking up

    def facets_of(self, phrase: Phrase) -> list[_Facet]:
        """Return what a phrase names here, after synonyms; empty if nothing."""
        if phrase in self.phrases:
            return self.phrases[phrase]
        key = " ".join(phrase)
        known = [
            f
            for o in SYNONYMS.get(key, ())
            for f in (
                self.phrases.get(stems_of(o))
                or [
                    _Facet("type", sorted(kinds)[0], tuple(sorted(kinds)))
                    for kinds in [self.leads.get(stems_of(o), set())]
                    if kinds
                ]
            )
        ]
        if known:
            first = [f for f in known if f.field == known[0].field and f.value == known[0].value]
            others = tuple(str(f.value) for f in known if f.field == "type" and f not in first)
            return [replace(first[0], others=others)] if not first[0].parts else first
        for other in ANTONYMS.get(key, ()):
            for facet in self.phrases.get(stems_of(other), ()):
                if facet.value is True:
                    return [_Facet(facet.field, False)]
        if phrase in self.leads:
            kinds = tuple(sorted(self.leads[phrase]))
            return [_Facet("type", kinds[0], kinds)]
        if len(phrase) == 1:
            types = self.heads.get(phrase[0])
            if types:
                return [_Facet("type", sorted(types)[0], tuple(sorted(types)))]
        elif len(phrase) == 2 and phrase[1] in self.heads:
            types = {t for t in self.heads[phrase[1]] if phrase[0] in stems_of(t)}
            if types:
                return [_Facet("type", sorted(types)[0], tuple(sorted(types)))]
        return self._by_other_name(phrase)

    def _by_other_name(self, phrase: Phrase) -> list[_Facet]:
        """Return the kinds that a thesaurus says a phrase may mean; nothing for everyday words."""
        name = " ".join(phrase)
        if not name.isascii() or any(w.isdigit() for w in phrase):
            return []
        if len(phrase) == 1 and (
            name in self.words
            or name in COMMON_WORDS
            or name in _SUPERLATIVE_WORDS
            or len(name) < 3
        ):
            return []
        kinds = self._called.get(name) or {
            str(f.value) for other in same_as(name) for f in self._kinds_named(other)
        }
        completed = heads_after(name)
        if not kinds and len(completed) <= 2:  # "jigsaw" is short for one thing, "power" for many
            kinds = {str(f.value) for o in completed for f in self._kinds_named(o)}
        if kinds:
            return [_Facet("type", sorted(kinds)[0], tuple(sorted(kinds)))]
        for other in wider_than(name):
            found = self._kinds_named(other)
            if found:
                return [replace(found[0], wider=True)]
        kinds = self._kind_of.get(name, set())
        return [_Facet("type", sorted(kinds)[0], tuple(sorted(kinds)))] if kinds else []

    def _kinds_named(self, name: str) -> list[_Facet]:
        """Return types and categories of exactly this name."""
        found = self.phrases.get(tuple(name.split()), ())
        kinds = [f for f in found if f.field in ("type", "category")]
        types = self.heads.get(name) if not kinds and " " not in name else None
        return kinds or ([_Facet("type", sorted(types)[0], tuple(sorted(types)))] if types else [])

    def knows(self, word: str) -> bool:
        """Whether a stem is a word of this catalogue or of everyday language."""
        return (
            word in self.words
            or word in COMMON_WORDS
            or word in EVERYDAY_VERBS
            or word in SYNONYMS
            or word in ANTONYMS
            or word in COLOR_WORDS
            or word in _SUPERLATIVE_WORDS
            or is_noun(word)
        )

    def correct(self, word: str) -> str | None:
        """Return the catalogue's word that a misspelt stem stands for, or None."""
        if len(word) < 4 or not word.isalpha() or self.knows(word) or not word.isascii():
            return None
        if word.endswith("ve"):  # scarves, knives: the plural of a word in -f or -fe
            singular = next(
                (w for w in (f"{word[:-2]}f", f"{word[:-2]}fe") if w in self.words), None
            )
            if singular is not None:
                return singular
        cutoff = 1 if len(word) < 7 else 2
        candidates = process.extract(
            word, self._candidates(), scorer=OSA.distance, score_cutoff=cutoff, limit=8
        )
        best = sorted(
            candidates, key=lambda c: (c[1], c[0][0] != word[0], -self.words.get(c[0], 0), c[0])
        )
        if not best:
            return None
        target, distance, _ = best[0]
        if target[0] != word[0] and (len(word) < 6 or distance > 1):
            return None
        return target

    def _candidates(self) -> list[str]:
        size = (len(self._fuzzy), len(self.phrases), len(self.leads), len(self.words))
        if self._choices[0] != size:  # made anew only where the catalogue has new names
            extra = [k for k in SYNONYMS if " " not in k and len(k) >= 5 and self.facets_of((k,))]
            extra += [k for k in ANTONYMS if " " not in k and self.facets_of((k,))]
            self._choices = (size, sorted({*self._fuzzy, *extra, *COLOR_WORDS}))
        return self._choices[1]

    def category_of(self, types: Sequence[str]) -> str | None:
        """Return the category that every product of these types lies in, the widest used; or None."""
        shared = [
            category
            for category, _ in sorted(self.categories_of_type.get(types[0], Counter()).items())
            if all(self.categories_of_type[t][category] == self.type_counts[t] for t in types)
        ]
        return shared[0] if shared else None

    # -- reading

    def read(self, text: str, *, chinese: bool = False, expects_size: bool = False) -> Reading:
        """Read a glossed message.

        Args:
            text: as `language.gloss` gives it.
            chinese: whether the message was Chinese.
            expects_size: whether a bare number may be a size, because one was asked for.
        """
        text = digits_for_words(
            text.replace("-", " ") if not re.search(r"\d\s*-\s*\d", text) else text
        )
        taken: list[tuple[int, int]] = []
        constraints: list[tuple[int, Constraint]] = []
        drops: list[str] = []
        sort = None
        superlative = None

        def free(start: int, end: int) -> bool:
            return not any(start < b and a < end for a, b in taken)

        for match in _RATING.finditer(text):
            value = float((match.group(1) or match.group(2) or match.group(3)).replace(",", "."))
            if 1 <= value <= 5:
                constraints.append(
                    (match.start(), Constraint(field="rating", op="min", values=(value,)))
                )
                taken.append(match.span())
        for start, constraint, span in [*self._bounds(text, free), *self._numeric(text, free)]:
            constraints.append((start, constraint))
            taken.append(span)
        money = read_money(
            _blank(text, taken), home=self.currency, rates=self.rates, chinese=chinese
        )
        for amount in money.amounts:
            taken.append((amount.start, amount.end))
            if amount.low_minor is not None:
                constraints.append(
                    (amount.start, Constraint(field="price", op="min", values=(amount.low_minor,)))
                )
            if amount.high_minor is not None:
                constraints.append(
                    (amount.start, Constraint(field="price", op="max", values=(amount.high_minor,)))
                )
        for start, constraint, span in self._size(text, free, expects_size):
            constraints.append((start, constraint))
            taken.append(span)
        for pattern, order in _SORTS:
            match = pattern.search(text)
            if match and free(*match.span()) and not re.match(r"\s*than\b", text[match.end() :]):
                sort = sort or order
                taken.append(match.span())
        for said, (name, end) in _SUPERLATIVES:
            if superlative is None and said.search(text):
                attribute = self.attribute_like(name)
                if attribute is not None:
                    superlative = (attribute, end)
        drop_spans = self._drops(text, drops)
        taken.extend(drop_spans)
        for pattern, name in ((_PROMOTION, "promotion"), (_IN_STOCK, "in_stock")):
            match = pattern.search(text)
            if match and free(*match.span()):
                constraints.append((match.start(), Constraint(field=name, values=(True,))))
                taken.append(match.span())
        tokens = [t for t in tokens_of(text) if free(t.start, t.end)]
        more, terms, corrected, loose = self._facets(text, tokens, drops)
        doer = self._doer(text, free)
        if doer is not None:
            more = [m for m in more if m[1].field not in ("type", "category") or m[1].op == "not"]
            more.append(doer)
            terms = [t for t in terms if t not in (stem(doer[2]), doer[2])]
        more = [m[:2] for m in more]
        terms = list(dict.fromkeys(USES.get(t, t) for t in terms))
        constraints.extend(more)
        constraints.sort(key=lambda item: item[0])
        merged = _merge([c for _, c in constraints])
        merged, terms = self._join_kind(merged, terms, loose)
        explained = {part for c in merged if c.field in self.numeric for part in c.field.split("_")}
        terms = [t for t in terms if t not in explained]
        head = self._head(text, terms)
        if not any(c.field in ("category", "type") for c in merged):
            meant, used = self._meant(terms, head)
            if meant is not None:
                merged.append(meant)
                terms = [t for t in terms if t not in used]
                head = ()
        merged = [named_in_full(c, text) for c in merged]
        quality, used = self._quality(text, terms, merged)
        if quality is not None:
            merged.append(quality)
            terms = [t for t in terms if t not in used]
            head = tuple(h for h in head if h not in used)
        return Reading(
            constraints=tuple(merged),
            sort=sort,
            terms=tuple(terms),
            drops=tuple(dict.fromkeys(drops)),
            corrected=tuple(corrected),
            unknown_currencies=money.unknown_currencies,
            superlative=superlative,
            head=head,
            text=text,
        )

    def _meant(
        self, terms: Sequence[str], head: tuple[str, ...]
    ) -> tuple[Constraint | None, set[str]]:
        """Propose the kind that words meant which nothing in the catalogue is called."""
        unknown = {t for t in terms if t not in self.words and t not in COMMON_WORDS and len(t) > 2}
        if not self.meaning or not unknown or len(terms) > 6 or not (set(head) & unknown):
            return None, set()
        phrase = " ".join(t for t in terms if t.isascii())
        names = self.meaning.kinds(phrase, self.types | self.categories)
        if not names:
            return None, set()
        field_name = "type" if names[0] in self.types else "category"
        among = self.types if field_name == "type" else self.categories
        values = tuple(n for n in names if n in among)
        return Constraint(field=field_name, values=values), unknown

    def _quality(
        self, text: str, terms: Sequence[str], said: Sequence[Constraint]
    ) -> tuple[Constraint | None, set[str]]:
        """Read "that can go in the washing machine" as the quality that it describes."""
        left = self.booleans - {c.field for c in said}
        places = [t for t in tokens_of(text) if t.is_word and t.stem in terms]
        if not self.meaning or not left or not places or len(places) > 5:
            return None, set()
        phrase = text[places[0].start : places[-1].end]
        if len(phrase.split()) > 8 or _NOT.search(text[: places[0].start]):
            return None, set()
        names = self.meaning.qualities(phrase, left)
        if not names:
            return None, set()
        return Constraint(field=names[0], values=(True,)), {t.stem for t in places}

    def _bounds(
        self, text: str, free: Callable[[int, int], bool]
    ) -> list[tuple[int, Constraint, tuple[int, int]]]:
        """Read "for a five-year-old", "for 6 players": the product's own limits must include it."""
        found = []
        for name in sorted(self.numeric):
            parts = name.casefold().split("_")
            bound = next((b for b in ("min", "max") if b in parts), None)
            if bound is None or len(parts) != 2:
                continue
            about = stem(next(p for p in parts if p != bound))
            pattern = _AGE if about == "age" else _counted(about)
            match = pattern.search(text)
            if match is None or not free(*match.span()):
                continue
            number = int(next(g for g in match.groups() if g is not None))
            op = "max" if bound == "min" else "min"
            found.append(
                (match.start(), Constraint(field=name, op=op, values=(number,)), match.span())
            )
        return found

    def _head(self, text: str, terms: Sequence[str]) -> tuple[str, ...]:
        """Return the word that says what is wanted: the last content word before "for", "in", "with"."""
        before = _ABOUT_PREPOSITION.split(_ASKING.sub("", text), maxsplit=1)[0]
        words = [t.stem for t in tokens_of(before) if t.is_word]
        mine = [w for w in dict.fromkeys(self.correct(w) or w for w in words) if w in terms]
        named = [w for w in mine if w not in _GENERIC]
        if not named:
            return tuple(mine[-1:])
        return tuple(named[-1:])

    def attribute_like(self, pattern: str) -> str | None:
        """Return the numeric attribute whose name holds one of the stems, or None."""
        names = sorted(n for n in self.numeric if any(p in n for p in pattern.split("|")))
        return names[0] if names else None

    def _numeric(
        self, text: str, free: Callable[[int, int], bool]
    ) -> list[tuple[int, Constraint, tuple[int, int]]]:
        found = []
        for match in _QUANTITY.finditer(text):
            if not free(*match.span()):
                continue
            unit = match.group("u")
            single = stem(unit)
            raw = match.group("n").replace(",", ".")
            packed = self._pack(raw, unit)
            if packed is not None:
                found.append(
                    (match.start(), Constraint(field=packed[0], values=(packed[1],)), match.span())
                )
                continue
            names = [
                n for n in sorted(self.numeric)
                if stem(n) == single or single in UNIT_WORDS.get(n.rsplit("_", 1)[-1].casefold(), ()) or unit in UNIT_WORDS.get(n.rsplit("_", 1)[-1].casefold(), ())
            ]  # fmt: skip
            if not names:
                continue
            window = text[max(0, match.start() - 30) : match.end() + 30]
            names.sort(key=lambda n: (-sum(part in window for part in n.split("_")[:-1]), n))
            operator, post = match.group("op") or "", (match.group("post") or "").strip()
            value = float(raw)
            number: float | int = int(value) if value.is_integer() else value
            if re.match(r"under|below|less|at most|no more|up to|max", operator) or re.search(
                r"less|under", post
            ):
                op = "max"
            elif (
                operator
                or post
                or names[0].endswith(("hours", "h"))
                or "laptop" in names[0]
                or "screen" in names[0]
            ):
                op = "min"
            else:
                op = "is"
            span = (match.start(), match.end())
            found.append((match.start(), Constraint(field=names[0], op=op, values=(number,)), span))
        return found

    def _pack(self, number: str, unit: str) -> tuple[str, str] | None:
        want = _squeeze(f"{number}{stem(unit)}")
        for name in sorted(self.options):
            if name in ("color", "colour", "size"):
                continue
            for value in sorted(self.options[name]):
                if _squeeze(value) == want or _squeeze(value) == _squeeze(f"{number}{unit}"):
                    return name, value
        return None

    def _size(
        self, text: str, free: Callable[[int, int], bool], expects: bool
    ) -> list[tuple[int, Constraint, tuple[int, int]]]:
        name = next((n for n in ("size", "sizes") if n in self.options), None)
        if name is None:
            return []
        known = {v.casefold(): v for v in self.options[name]}
        found = []
        for match in _SIZE.finditer(text):
            if not free(*match.span()):
                continue
            value = next(g for g in match.groups() if g is not None)
            value = PEOPLE_OPTIONS.get(value, value).replace(",", ".")
            explicit = match.group("a") is not None or match.group("b") is not None
            if not explicit and value.casefold() not in known:
                continue
            if (
                match.group("d") is not None
                and not expects
                and not re.search(r"size|wear|in|a", text[: match.start()])
                and text.strip() != match.group().strip()
            ):
                continue
            found.append(
                (
                    match.start(),
                    Constraint(field=name, values=(known.get(value.casefold(), value),)),
                    match.span(),
                )
            )
        if not expects and not found:
            alone = _LETTER_SIZE.search(text)
            if alone and alone.group(1) in known and free(*alone.span(1)):
                value = known[alone.group(1)]
                found.append(
                    (alone.start(1), Constraint(field=name, values=(value,)), alone.span(1))
                )
        if expects and not found:
            for token in tokens_of(text):
                if token.text in known and free(token.start, token.end):
                    found.append(
                        (
                            token.start,
                            Constraint(field=name, values=(known[token.text],)),
                            (token.start, token.end),
                        )
                    )
                    break
        return found

    def _drops(self, text: str, drops: list[str]) -> list[tuple[int, int]]:
        spans = []
        names = {word: name for name, words in _FIELD_WORDS.items() for word in words}
        for attribute in self.booleans | set(self.options):
            names.setdefault(attribute.replace("_", " "), attribute)
        choice = "|".join(sorted((re.escape(n) for n in names), key=lambda n: (-len(n), n)))
        tail = r"(?:\s*(?:limit|filter|constraint|requirement|restriction|preference|cap))?"
        patterns = (
            rf"(?:{_FREE_OF.pattern}|\b(?:any|whatever|no (?:particular|specific)|without the)\b)\s*(?:the |my |a |about |that |having )*(?P<f>{choice})\b{tail}(?!\s*(?:is|from|the basket|to))",
            rf"\b(?P<f>{choice})\s*(?:isn't|is not|does not|doesn't|don't|do not|isn't really|is no longer) (?:matter|important|relevant|an issue|a problem|a concern|required|necessary)",
            r"\b(?:no|without) (?:the |a )?(?P<f>price|budget|color|size|brand|rating|star) ?(?:limit|filter|constraint|requirement|restriction|preference|cap)",
            rf"\bany (?P<f>{choice})\b(?: is (?:fine|ok|good)| will do| works)?",
            rf"\b(?P<f>{choice})\b (?:any is fine|any|does not matter)",
            rf"(?P<f>{choice}) is no (?:object|issue|problem)",
        )
        plain = text.replace("colour", "color ")
        for pattern in patterns:
            for match in re.finditer(pattern, plain):
                drops.append(names[match.group("f")])
                spans.append(match.span())
        if re.search(
            r"\bmoney (?:is no|isn't an|is not an) (?:object|issue)\b|\bno budget\b", text
        ):
            drops.append("price")
        return spans

    def _facets(
        self, text: str, tokens: list[Token], drops: list[str]
    ) -> tuple[list[Any], list[str], list[tuple[str, str]], dict[str, tuple[str, ...]]]:
        negations = [m.span() for m in _NOT.finditer(text)]
        releases = [m.span() for m in _NEED_NOT.finditer(text)] + [
            m.span() for m in _FREE_OF.finditer(text)
        ]
        corrected: list[tuple[str, str]] = []
        fixed: list[Token] = []
        for token in tokens:
            better = None
            if token.is_word and token.text not in STOPWORDS:
                better = self.correct(token.stem)
                if token.stem != token.text and not self.knows(token.stem):
                    whole = self.correct(token.text)  # a final s may belong to the word
                    if whole is not None and (
                        better is None
                        or OSA.distance(token.text, whole) < OSA.distance(token.stem, better)
                    ):
                        better = whole
                if better is not None:
                    corrected.append((token.text, better))
            fixed.append(replace(token, stem=better) if better else token)
        out: list[tuple[int, Constraint]] = []
        terms: list[str] = []
        loose: dict[str, tuple[str, ...]] = {}
        scope: tuple[str, str | None] | None = None  # (mode, field seen last under it)
        kind_ends_at = -1
        i = 0
        while i < len(fixed):
            token = fixed[i]
            span = next((s for s in releases if s[0] <= token.start < s[1]), None)
            if span is not None:
                scope = ("drop", None)
                i += 1
                continue
            span = next((s for s in negations if s[0] <= token.start < s[1]), None)
            if span is not None and not self.facets_of((token.stem,)):
                scope = ("not", None)
                i += 1
                continue
            if token.text in _BREAKS:
                scope = None
                i += 1
                continue
            length, facets = self._longest(fixed, i)
            hue = next((n for n in ("color", "colour") if n in self.options), None)
            if not facets and hue is not None and token.stem in COLOR_WORDS:
                length, facets = 1, [_Facet(hue, token.text)]  # a colour that nothing here has
            if not facets:
                if token.stem in _SUPERLATIVE_WORDS:
                    i += 1
                    continue
                if token.text in ("and", "&", "+") and scope is not None:
                    after = self._longest(fixed, i + 1)[1] if i + 1 < len(fixed) else []
                    if not after or after[0].field != scope[1]:
                        scope = None
                elif (
                    token.is_word
                    and token.text not in STOPWORDS
                    and token.stem not in STOPWORDS
                    and not (token.text.isdigit() and len(token.text) < 4)
                    and not re.fullmatch(r"x\d{1,3}|\d{1,3}x", token.text)
                ):
                    if scope is not None and scope[0] == "not" and token.stem not in _IDLE:
                        free = self._free_of(token)
                        denied = Constraint(field="terms", op="not", values=(token.stem,))
                        out.append((token.start, free or denied))
                    elif scope is None:
                        terms.append(token.stem)
                i += 1
                continue
            facet = facets[0]
            is_kind = facet.field in ("category", "type")
            if is_kind and kind_ends_at == i and scope is None and out:
                self._keep_head(out, terms, fixed, i, facet)
            if is_kind:
                kind_ends_at = i + length
            before = fixed[i - 1].text if i else ""
            if (
                scope is not None
                and is_kind
                and scope[1] not in (None, "category", "type")
                and before not in ("or", "nor", "and", ",")
            ):
                scope = None  # "not black headphones" denies the colour, not the headphones
            following = fixed[i + length].text if i + length < len(fixed) else ""
            negative = (scope is not None and scope[0] == "not") or following == "free"
            if scope is not None and scope[0] == "drop":
                drops.append(facet.field)
            elif following == "free" and facet.field in ("type", "category"):
                terms.extend([*(t.stem for t in fixed[i : i + length]), "free"])
            else:
                said = text[token.start : fixed[i + length - 1].end]
                free = self._free_of(token) if negative and length == 1 else None
                found = (free,) if free is not None else self._constraints(facets, negative, said)
                out.extend((token.start, c) for c in found)
                if facet.others:
                    loose[str(facet.value)] = facet.others
                if facet.wider and not negative:  # whether it is there at all, its words must say
                    terms.extend(t.stem for t in fixed[i : i + length])
            if following == "free":
                i += 1
            if scope is not None:
                scope = (scope[0], facet.field)
            i += length
        return out, terms, corrected, loose

    def _free_of(self, token: Token) -> Constraint | None:
        """Read "nothing with nickel" as the quality nickel-free, where the catalogue knows it.

        Leaving out what names the word would leave out just the products that are free of it.
        """
        for word in (token.stem, token.text):
            for name in (f"{word}_free", f"no_{word}", f"without_{word}", f"{word}less"):
                if name in self.booleans:
                    return Constraint(field=name, values=(True,))
        return None

    def _keep_head(
        self,
        out: list[tuple[int, Constraint]],
        terms: list[str],
        tokens: Sequence[Token],
        at: int,
        facet: _Facet,
    ) -> None:
        """Of "tea cups" keep the cups: two kinds side by side mean the latter if none is both."""
        start, before = out[-1]
        if before.op != "is" or before.field not in ("category", "type") or not before.hard:
            return
        kinds = facet.parts or (str(facet.value),)
        if before.field == "category" and facet.field == "type":
            both = any(self.categories_of_type[k][str(v)] for k in kinds for v in before.values)
        elif before.field == "type" and facet.field == "category":
            both = any(self.categories_of_type[str(v)][k] for k in kinds for v in before.values)
        else:
            both = False
        if not both:
            out.pop()
            terms.extend(t.stem for t in tokens[:at] if t.is_word and t.start >= start)

    def _constraints(
        self, facets: list[_Facet], negative: bool, said: str
    ) -> tuple[Constraint, ...]:
        """Read a name; one of a type and of its whole category means the category, the type first."""
        kinds = {f.field: f for f in facets if f.field in ("type", "category")}
        wide, narrow = kinds.get("category"), kinds.get("type")
        if (
            wide is not None
            and narrow is not None
            and not negative
            and str(wide.value).casefold() == said.casefold() != str(narrow.value).casefold()
        ):
            return (
                Constraint(field="category", values=(str(wide.value),)),
                Constraint(field="type", values=(str(narrow.value),), hard=False),
            )
        return (self._constraint(facets, negative),)

    def _constraint(self, facets: list[_Facet], negative: bool) -> Constraint:
        facet = facets[0]
        if isinstance(facet.value, bool):
            return Constraint(field=facet.field, values=(facet.value != negative,))
        values = facet.parts or tuple(
            dict.fromkeys(str(f.value) for f in facets if f.field == facet.field)
        )
        return Constraint(field=facet.field, op="not" if negative else "is", values=values)

    def _longest(self, tokens: list[Token], start: int) -> tuple[int, list[_Facet]]:
        for length in range(min(_LONGEST + 2, len(tokens) - start), 0, -1):
            span = tokens[start : start + length]
            piece = [t for t in span if t.is_word]
            marks = {t.text for t in span if not t.is_word}
            if not (span[0].is_word and span[-1].is_word) or marks - {","} or len(piece) > _LONGEST:
                continue
            if length == 1 and piece[0].text in STOPWORDS and (piece[0].stem,) not in self.phrases:
                continue
            phrase = tuple(t.stem for t in piece)
            if marks:  # only a name of the catalogue itself may hold a comma
                if phrase in self.commas:
                    return length, self.phrases[phrase]
                continue
            facets = self.facets_of(phrase)
            if facets and not (
                length == 1
                and phrase[0] in STOPWORDS
                and facets[0].field not in ("category", "type")
            ):
                return length, facets
            if length == 2:
                joined = self.facets_of((stem("".join(t.text for t in piece)),))
                if joined:
                    return 2, joined
        return 0, []

    def _doer(
        self, text: str, free: Callable[[int, int], bool]
    ) -> tuple[int, Constraint, str] | None:
        """Read "something to grind beans with": the kind of thing that does it."""
        match = _TO_DO.search(text)
        if match is None:
            return None
        verb = match.group(1)
        forms = {verb, verb + "e", verb[:-1] if len(verb) > 3 and verb[-1] == verb[-2] else verb}
        for form in sorted(forms):
            names = [f"{form}er", f"{form.removesuffix('e')}er", *VERBS.get(form, ())]
            for name in names:
                facets = [
                    f for f in self.facets_of(stems_of(name)) if f.field in ("type", "category")
                ]
                if facets:
                    return match.start(1), self._constraint(facets, False), verb
        return None

    def _join_kind(
        self, constraints: list[Constraint], terms: list[str], loose: Mapping[str, tuple[str, ...]]
    ) -> tuple[list[Constraint], list[str]]:
        """Read "shoes for running" as the type "running shoes" where the catalogue has it."""
        for c in constraints:
            if c.field != "type" or c.op != "is":
                continue
            for value in c.values:
                for term in terms:
                    better = [o for o in loose.get(str(value), ()) if term in stems_of(o)]
                    if better:
                        new = Constraint(field="type", values=(better[0],))
                        return [new if x is c else x for x in constraints], [
                            t for t in terms if t != term
                        ]
        category = next((c for c in constraints if c.field == "category" and c.op == "is"), None)
        if category is None or any(c.field == "type" and c.op == "is" for c in constraints):
            return constraints, terms
        for term in terms:
            for value in category.values:
                heads = stems_of(str(value))[-1:]
                types = {f.value for f in self.phrases.get((term, *heads), ()) if f.field == "type"}
                types |= {t for t in self.types if set(stems_of(t)) == {term, *heads}}
                types |= {
                    t
                    for t in self.types
                    if str(value) in self.categories_of_type[t]
                    and stems_of(t)[:1] == (term,)
                    and len(stems_of(t)) == 2
                    and stems_of(t)[1] not in self.words
                }
                if types:
                    new = Constraint(field="type", values=tuple(sorted(str(t) for t in types)))
                    return [new if c is category else c for c in constraints], [
                        t for t in terms if t != term
                    ]
        return constraints, terms


def named_in_full(constraint: Constraint, text: str) -> Constraint:
    """Keep of several kinds those whose whole name stands in the text, if there are any.

    "soft drinks" may mean each kind of them; "soft drinks, multipack bottles" means that one.

    >>> kinds = Constraint(field="type", values=("Soft drinks, cans", "Soft drinks, bottles"))
    >>> named_in_full(kinds, "two soft drinks, bottles please").values
    ('Soft drinks, bottles',)
    >>> named_in_full(kinds, "soft drinks please").values
    ('Soft drinks, cans', 'Soft drinks, bottles')
    """
    if constraint.field != "type" or constraint.op != "is" or len(constraint.values) < 2:
        return constraint

    def words(of: object) -> str:
        return " " + " ".join(re.findall(r"\w+", str(of).casefold())) + " "

    said = words(text)
    names = {value: words(value) for value in constraint.values}
    full = tuple(v for v in constraint.values if len(names[v].split()) > 1 and names[v] in said)
    return constraint.model_copy(update={"values": full}) if full else constraint


def nouns_behind(name: str) -> tuple[str, ...]:
    """Return what a quality ending in -ed is made of, and other words for it.

    >>> nouns_behind("scented")[:2], nouns_behind("waterproof")
    (('scent', 'smell'), ())
    """
    if not re.fullmatch(r"[a-z]{4,}ed", name):
        return ()
    noun = name.removesuffix("ed")
    if len(noun) > 3 and noun[-1] == noun[-2]:  # padded: pad
        noun = noun[:-1]
    return (noun, *QUALITY_NOUNS.get(noun, ()))


def _squeeze(text: str) -> str:
    return re.sub(r"(\d)\.0\b", r"\1", re.sub(r"[\s\-]", "", text.casefold()))


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + "#" * (end - start) + text[end:]
    return text


def _merge(constraints: list[Constraint]) -> list[Constraint]:
    """Join values of one field and operator; a later price limit of a kind wins."""
    out: dict[tuple[str, str], Constraint] = {}
    for c in constraints:
        key = (c.field, c.op)
        old = out.get(key)
        if old is None or c.op in ("min", "max") or isinstance(c.values[0], bool):
            out.pop(key, None)
            out[key] = c
        else:
            out[key] = old.model_copy(
                update={"values": tuple(dict.fromkeys((*old.values, *c.values)))}
            )
    return list(out.values())
