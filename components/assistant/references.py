"""What "the second one", "it", "the blue one" or a product's name points to.

A reference is sought among what was shown, what is talked about, the basket and then the whole
catalogue, by place, by superlative, by description or by title. Nothing is guessed: several equal
candidates are returned as such, and the caller asks.
"""

# ruff: noqa: E501  (patterns)

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.assistant.grounding import Lexicon, Reading
from components.assistant.language import is_chinese, stems_of, tokens_of
from components.assistant.shelf import (
    Shelf,
    attribute_of,
    fit,
    is_sold,
    price_of,
    title_stems,
)
from components.assistant.state import DialogueState
from components.assistant.synonyms import COMMON_WORDS, STOPWORDS
from components.contracts.records import Product

_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "sixth": 6, "6th": 6, "seventh": 7, "7th": 7, "eighth": 8, "8th": 8, "ninth": 9, "9th": 9, "tenth": 10, "10th": 10,
    "top": 1,
}  # fmt: skip
_PLACE = re.compile(
    r"\b(?:number|no\.?|#|option|item|result|nr\.?|product)\s*#?(\d{1,2})\b|#(\d{1,2})\b|\b(first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|1st|2nd|3rd|\d{1,2}th)\b(?!\s+(?:time|of all|class|step|search|query|order|choice))"
)
_NUMBER_PLACE = re.compile(r"\b(?:number|option|item|result)\s+(one|two|three|four|five|six)\b")
_GROUP = re.compile(
    r"\b(?:the )?(?:first|top) (two|three|four|2|3|4)\b|\b(?:the )?last (two|three|2|3)\b"
)
_ALL = re.compile(
    r"\b(?:both(?: of (?:them|these|those))?|all (?:of (?:them|these|those)|three|four|five|3|4|5)|them all|these (?:two|three|four|2|3)|those (?:two|three|2|3)|the (?:two|three|2|3)|(?:these|those|the) (?:ones|products|items|options)|each of them|them|these|those)\b"
)
_LOT = re.compile(
    r"\ball (?:of )?(?:it|that|this)\b|\bthe (?:whole|entire|full|complete)? ?(?:lot|set|bundle|outfit|kit|package|thing|combo|list)\b|\bevery(?:thing| one)(?: of (?:it|them|that))?\b|\ball(?: of (?:them|these|those))?(?: (?:please|items|products|\d))?\s*$"
)
_LAST = re.compile(
    r"\b(?:the )?(?:last|bottom|final) (?:one|option|item|product|of (?:them|these))?\b|\bthe last\b"
)
_OTHER = re.compile(r"\bthe other(?: one)?\b|\banother one of those\b")
_CHEAP = re.compile(
    r"\b(?:cheapest|cheaper(?! than)|least expensive|less expensive|lowest[- ]priced?|lower[- ]priced|most affordable|more affordable)\b"
)
_DEAR = re.compile(
    r"\b(?:most expensive|more expensive(?! than)|priciest|pricier|dearest|dearer|pricey one|pricy one|expensive one|(?:at|with|of) (?:the |a )?high(?:er|est) price|high(?:er|est)[- ]priced)\b"
)
_RATED = re.compile(
    r"\b(?:best[- ]rated|better[- ]rated|highest[- ]rated|higher[- ]rated|top[- ]rated|best reviewed|with the (?:best|highest|better|higher) (?:rating|reviews)|highest rating|better reviews)\b"
)
_WORST = re.compile(r"\b(?:worst[- ]rated|lowest[- ]rated|lower[- ]rated)\b")
_PRONOUN = re.compile(
    r"\b(?:it|its|it's|this|that|this one|that one|this thing|the same|these shoes|them|those|these|the one|one of (?:them|those|these)|such)\b"
)
_ONE = re.compile(r"\b(?:ones?|pair|version|model)\b")


@dataclass(frozen=True)
class Pointed:
    """Product ids that a phrase points to; `how` says by what, `is_sure` whether they are meant."""

    product_ids: tuple[str, ...] = ()
    how: str = "none"
    is_sure: bool = True
    unknown: str | None = None


def _numbered(word: str) -> int:
    return {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "one": 1}.get(word) or int(word)


class References:
    """Resolves references within one turn."""

    def __init__(
        self,
        shelf: Shelf,
        lexicon: Lexicon,
        state: DialogueState,
        basket: Sequence[str],
        wishlist: Sequence[str],
    ) -> None:
        """Hold what can be pointed at."""
        self.shelf = shelf
        self.lexicon = lexicon
        self.state = state
        self.basket = tuple(dict.fromkeys(basket))
        self.wishlist = tuple(wishlist)
        self.shown = tuple(s.product_id for s in state.shown if s.product_id in shelf.products)
        self.listed = tuple(s.product_id for s in state.listed if s.product_id in shelf.products)

    def _product(self, product_id: str) -> Product:
        return self.shelf.products[product_id]

    def by_id(self, text: str) -> Pointed | None:
        """Find a product id written out; an id-like word that is none is reported as unknown."""
        unknown = None
        for word in re.findall(r"[\w][\w-]{2,63}", text):
            for form in (word, word.upper(), word.lower()):
                if form in self.shelf.products:
                    if form.isdigit() and len(form) < 5 and form not in self.shown:
                        continue
                    return Pointed((form,), "id")
            if re.fullmatch(r"[A-Za-z]{1,6}-?\d{3,10}", word) or re.fullmatch(r"\d{6,12}", word):
                unknown = word
        return (
            Pointed((), "id", unknown=unknown)
            if unknown and not re.match(r"(?i)o-?\d", unknown)
            else None
        )

    def by_place(self, gloss: str) -> Pointed | None:
        """Resolve "the second one", "the first two", "the last one", "both"."""
        source = self._source(gloss)
        if not source:
            return None
        match = _GROUP.search(gloss)
        if match:
            word = match.group(1) or match.group(2)
            n = _numbered(word)
            ids = source[:n] if match.group(1) else source[-n:]
            return Pointed(ids, "place", len(ids) == n)
        places = list(_PLACE.finditer(gloss))
        found: list[str] = []
        missing = False
        for m in places:
            raw = m.group(1) or m.group(2) or m.group(3)
            n = _ORDINALS.get(raw) or (int(raw) if raw.isdigit() else int(re.sub(r"\D", "", raw)))
            if 1 <= n <= len(source):
                found.append(source[n - 1])
            else:
                missing = True
        match = _NUMBER_PLACE.search(gloss)
        if match and not places:
            n = _numbered(match.group(1))
            if n <= len(source):
                found.append(source[n - 1])
            else:
                missing = True
        if (
            re.search(r"\b(?:the )?last(?: one| option| item| product| of)?\b", gloss)
            and _LAST.search(gloss)
            and not re.search(
                r"\blast (?:time|week|month|order|year|night|long)|at last|lasts?\b(?= (?:long|for|the))",
                gloss,
            )
        ):
            found.append(source[-1])
        if found:
            return Pointed(tuple(dict.fromkeys(found)), "place")
        if missing:
            return Pointed((), "place", False)
        return None

    def _source(self, gloss: str) -> tuple[str, ...]:
        if len(self.shown) > 1:
            return self.shown
        return self.listed or self.shown

    def by_superlative(self, gloss: str, pool: Sequence[str] | None = None) -> Pointed | None:
        """Resolve "the cheaper one", "the best rated", "the lightest" among what was shown."""
        source = (
            tuple(pool)
            if pool is not None
            else (
                self.state.compared
                if len(self.state.compared) > 1 and set(self.state.compared) <= set(self.shown)
                else self.shown
                if len(self.shown) > 1
                else self.listed or self.shown
            )
        )
        if not source:
            return None
        products = [self._product(i) for i in source if i in self.shelf.products]

        def best(value: "object", high: bool) -> Pointed | None:
            scored = [(value(p), p.product_id) for p in products if value(p) is not None]  # type: ignore[operator]
            if not scored:
                return None
            top = (max if high else min)(s for s, _ in scored)
            return Pointed(tuple(i for s, i in scored if s == top), "superlative")

        if _CHEAP.search(gloss):
            return best(price_of, False)
        if _DEAR.search(gloss):
            return best(price_of, True)
        if _RATED.search(gloss):
            return best(lambda p: p.rating, True)
        if _WORST.search(gloss):
            return best(lambda p: p.rating, False)
        reading = self.lexicon.read(gloss)
        if reading.superlative is not None:
            name, direction = reading.superlative
            return best(lambda p: attribute_of(p, name), direction == "high")
        return None

    def by_description(self, reading: Reading, pool: Sequence[str]) -> Pointed | None:
        """Resolve "the blue one", "the boots": products of the pool that meet what was said."""
        wanted = [c for c in reading.constraints if c.field not in ("in_stock",)]
        if not wanted or not pool:
            return None
        promoted = self.shelf.promoted()
        fitting = [
            i
            for i in pool
            if i in self.shelf.products and not fit(self._product(i), wanted, promoted)[1]
        ]
        if reading.terms and fitting:
            scores = {
                i: len(set(reading.terms) & set(stems_of(self._product(i).title))) for i in fitting
            }
            top = max(scores.values())
            if top:
                fitting = [i for i in fitting if scores[i] == top]
        return Pointed(tuple(fitting), "description") if fitting else None

    def by_title(
        self, gloss: str, raw: str, pool: Sequence[str] | None = None, *, least: float = 0.5
    ) -> Pointed | None:
        """Resolve a product's name: the title whose rare words the message holds."""
        size = max(1, len(self.shelf.products))
        said = {
            t.stem
            for t in tokens_of(gloss)
            if t.is_word and (t.text not in STOPWORDS or t.text.isdigit())
        }
        said |= {
            fixed for t in tokens_of(gloss) if t.is_word and (fixed := self.lexicon.correct(t.stem))
        }
        scores: dict[str, float] = {}
        among = set(pool) if pool is not None else None
        weight: dict[str, float] = {}
        for word in said:
            ids = self.shelf.with_title_word(word)
            if not ids:
                continue
            weight[word] = math.log(1 + size / len(ids))
            if len(ids) > 2000 and among is None:
                continue
            for product_id in ids if among is None else ids & among:
                scores[product_id] = scores.get(product_id, 0.0) + weight[word]
        best: list[tuple[float, float, str]] = []
        for product_id, score in scores.items():
            product = self.shelf.products.get(product_id)
            if product is None:
                continue
            title = title_stems(product)
            total = sum(
                weight.get(w) or math.log(1 + size / max(1, len(self.shelf.with_title_word(w))))
                for w in title
            )
            coverage = score / total if total else 0.0
            best.append((score, coverage, product_id))
        if is_chinese(raw):
            best.extend(self._by_chinese_title(raw, among))
        if not best:
            return None
        best.sort(key=lambda b: (-b[0], -b[1], b[2]))
        top = [b for b in best if b[0] >= best[0][0] - 1e-9 and b[1] >= best[0][1] - 1e-9]
        if best[0][1] < least and not self._is_distinctive(said, best[0][2], size):
            return None
        return Pointed(tuple(b[2] for b in top), "title", len(top) == 1)

    def _is_distinctive(self, said: set[str], product_id: str, size: int) -> bool:
        """Whether a word was said that is in this title alone and names nothing else."""
        mine = [w for w in said if self.shelf.with_title_word(w) == {product_id}]
        return size > 1 and any(
            len(w) > 2
            and not w.isdigit()
            and w not in COMMON_WORDS
            and not self.lexicon.facets_of((w,))
            for w in mine
        )

    def _by_chinese_title(self, raw: str, among: set[str] | None) -> list[tuple[float, float, str]]:
        found = []
        for product_id, product in self.shelf.products.items():
            title = product.attributes.get("title_zh")
            if (
                not isinstance(title, str)
                or len(title) < 2
                or (among is not None and product_id not in among)
            ):
                continue
            if title in raw:
                found.append((50.0 + len(title), 1.0, product_id))
            else:
                longest = _common(title, raw)
                if longest >= max(3, math.ceil(0.6 * len(title))):
                    found.append((10.0 + longest, longest / len(title), product_id))
        return found

    def resolve(
        self,
        gloss: str,
        raw: str,
        reading: Reading,
        *,
        pools: Sequence[Sequence[str]] | None = None,
    ) -> Pointed:
        """Resolve whatever the text points to, most explicit first."""
        explicit = self.by_id(raw)
        if explicit is not None:
            return explicit
        named = self.by_title(gloss, raw, least=0.8)
        if (
            named is not None
            and len(named.product_ids) == 1
            and len(stems_of(self._product(named.product_ids[0]).title)) > 1
        ):
            return named
        place = self.by_place(gloss)
        if place is not None:
            return place
        if _OTHER.search(gloss) and len(self._two()) == 2:
            rest = tuple(i for i in self._two() if i not in self.state.focus)
            if len(rest) == 1:
                return Pointed(rest, "other")
        about = self._about(reading)
        superlative = (
            self.by_superlative(gloss, self._narrow(about))
            if not re.search(r"\b(?:both|all)\b", gloss)
            else None
        )
        if superlative is not None:
            return superlative
        pools = pools if pools is not None else (self.shown, self.listed, self.basket)
        for pool in pools:
            described = self.by_description(about, pool)
            if described is not None and not self._only_brandless(about, described, pool):
                titled = self.by_title(gloss, raw, described.product_ids, least=0.34)
                return (
                    titled
                    if titled is not None
                    and len(titled.product_ids) == 1
                    and len(described.product_ids) > 1
                    else described
                )
        for pool in (*pools, None):
            titled = self.by_title(gloss, raw, pool, least=0.34 if pool is not None else 0.45)
            if titled is not None:
                return titled
        if _LOT.search(gloss) and not about.constraints and len(self.shown) > 1:
            return Pointed(self.shown, "all")
        if _ALL.search(gloss) and not about.constraints:
            many = self.state.compared or (self.shown if len(self.shown) > 1 else ())
            if len(self.state.focus) > 1:
                many = self.state.focus
            if re.search(r"\bboth\b|\bthe two\b|\bthese two\b", gloss):
                many = many[:2] if len(many) >= 2 else self._two()
                many = many if len(many) == 2 else self.listed[:2]
            if len(many) > 1 and re.search(
                r"\b(?:both|all|them|these|those|the (?:two|three|2|3)|each)\b", gloss
            ):
                return Pointed(tuple(many), "all")
        if _PRONOUN.search(gloss) or _ONE.search(gloss):
            return self.pronoun()
        return Pointed()

    def pronoun(self) -> Pointed:
        """Resolve "it": what is talked about, the only product shown, or the last one added."""
        if len(self.state.focus) == 1 and self.state.focus[0] in self.shelf.products:
            return Pointed(self.state.focus, "focus")
        if len(self.shown) == 1:
            return Pointed(self.shown, "focus")
        if self.state.focus:
            return Pointed(self.state.focus, "focus", len(self.state.focus) == 1)
        if self.shown:
            return Pointed(self.shown, "focus", False)
        if self.state.last_added and self.state.last_added in self.shelf.products:
            return Pointed((self.state.last_added,), "focus")
        if len(self.basket) == 1:
            return Pointed(self.basket, "focus")
        return Pointed()

    def _two(self) -> tuple[str, ...]:
        if len(self.state.compared) == 2:
            return self.state.compared
        return self.shown if len(self.shown) == 2 else self.shown[:2]

    def _about(self, reading: Reading) -> Reading:
        kept = tuple(
            c
            for c in reading.constraints
            if c.field not in ("price", "rating", "promotion", "in_stock", "terms") or c.op == "not"
        )
        return Reading(
            constraints=kept,
            terms=reading.terms,
            superlative=reading.superlative,
            text=reading.text,
        )

    def _narrow(self, about: Reading) -> Sequence[str] | None:
        if not about.constraints:
            return None
        base = self.shown if len(self.shown) > 1 else self.listed or self.shown
        described = self.by_description(about, base)
        return described.product_ids if described is not None else ()

    def _only_brandless(self, about: Reading, described: Pointed, pool: Sequence[str]) -> bool:
        return len(about.constraints) == 0 or (
            len(described.product_ids) == len(pool) > 1
            and all(c.field in ("category",) for c in about.constraints)
            and len(pool) > 4
        )

    def sold_out(self, ids: Sequence[str]) -> Mapping[str, bool]:
        """Return which products cannot be bought now."""
        return {i: not is_sold(self._product(i)) for i in ids}


def _common(a: str, b: str) -> int:
    best = 0
    for i in range(len(a)):
        while i + best < len(a) and a[i : i + best + 1] in b:
            best += 1
    return best
