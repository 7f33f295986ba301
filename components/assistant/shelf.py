"""What is on the shelf: which products meet constraints, in what order, and what to relax if none.

Constraints are decided on the live record of each product, so nothing stale is ever shown. A
product meets them if ONE of its variants meets all variant-level ones (price, options, stock).
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from components.assistant.language import stems_of
from components.assistant.meaning import FAINT, SURE, Meaning
from components.assistant.safety import quotable
from components.contracts.commands import Constraint
from components.contracts.messages import Filters
from components.contracts.records import Product, Variant
from components.data.catalogue import Catalogue
from components.data.filters import FilterTable
from components.data.words import key, stems

IN_STOCK = Constraint(field="in_stock", values=(True,))
_LONGEST_LIST = 400
_CLOSELY = 600
_KEPT = 50_000  # products of which something is remembered
_DROP_COST = {
    "promotion": 1.0,
    "rating": 1.5,
    "price": 2.0,
    "color": 2.2,
    "colour": 2.2,
    "pack": 2.4,
    "brand": 3.0,
    "material": 3.0,
    "in_stock": 3.2,
    "size": 4.0,
    "terms": 5.0,
    "type": 7.0,
    "category": 20.0,
}
_PRODUCT_FIELDS = ("brand", "type", "category")
Score = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class Hit:
    """A product that fits, and the variant that does (None where any does).

    `standing` is its relevance on the scale of its list; `sponsored`: its place there is paid for.
    """

    product: Product
    variant: Variant | None
    violated: tuple[str, ...] = ()
    standing: float = 0.0
    sponsored: bool = False

    @property
    def product_id(self) -> str:
        """The product's id."""
        return self.product.product_id

    @property
    def price_minor(self) -> int | None:
        """What the fitting variant costs now."""
        return self.variant.price_minor if self.variant else price_of(self.product)


@dataclass(frozen=True)
class Found:
    """Products in order; `relaxed` names the constraints that they do not meet."""

    hits: tuple[Hit, ...]
    total: int
    relaxed: tuple[str, ...] = ()
    unmatched_terms: tuple[str, ...] = ()
    ways_out: tuple[tuple[str, int], ...] = ()


def is_sold(product: Product) -> bool:
    """Whether any variant can be bought now."""
    if not product.available:
        return False
    return (
        any(v.stock is None or v.stock > 0 for v in product.variants) if product.variants else True
    )


def price_of(product: Product) -> int | None:
    """Return what the cheapest variant in stock costs now, else the cheapest of all."""
    live = [v.price_minor for v in product.variants if v.stock is None or v.stock > 0]
    live = live or [v.price_minor for v in product.variants]
    return min(live) if live else product.price_minor


def option_name(product: Product, name: str) -> bool:
    """Whether the product's variants differ by this option."""
    return any(name in v.options for v in product.variants)


def attribute_of(product: Product, name: str) -> Any:
    """Return an attribute's value; None if the product has none."""
    return product.attributes.get(name)


def public_names(constraint: Constraint) -> tuple[str, ...]:
    """Return the names under which a constraint is reported."""
    if constraint.op == "not":
        return (constraint.field, "exclude")
    if constraint.field == "price":
        return ("price_min",) if constraint.op == "min" else ("price_max",)
    if constraint.field == "rating":
        return ("min_rating",)
    if constraint.field == "terms":
        return ("query",)
    return (constraint.field,)


def _is_variant_level(product: Product, c: Constraint) -> bool:
    return c.field in ("price", "in_stock") or option_name(product, c.field)


def _variant_meets(product: Product, variant: Variant | None, c: Constraint) -> bool:
    if c.field == "price":
        price = variant.price_minor if variant else product.price_minor
        if price is None:
            return False
        return price >= int(c.values[0]) if c.op == "min" else price <= int(c.values[0])
    if c.field == "in_stock":
        stock = variant.stock if variant else None
        live = product.available and (stock is None or stock > 0)
        return live == bool(c.values[0])
    option = variant.options.get(c.field) if variant else None
    # A variant without the option is as its product says.
    own = {key(option)} if option is not None else _values_of(attribute_of(product, c.field))
    wanted = {key(v) for v in c.values}
    return not own & wanted if c.op == "not" else bool(own & wanted)


def _product_meets(product: Product, c: Constraint, promoted: Collection[str]) -> bool:
    if c.field == "rating":
        return (product.rating or 0.0) >= float(c.values[0])
    if c.field == "promotion":
        return (product.product_id in promoted) == bool(c.values[0])
    wanted = {key(v) for v in c.values}
    if c.field in _PRODUCT_FIELDS:
        own = (
            {key(level) for level in product.category}
            if c.field == "category"
            else {key(getattr(product, c.field) or "")}
        )
        return not own & wanted if c.op == "not" else bool(own & wanted)
    if c.field == "terms":
        words = words_of(product)
        hit = any(set(stems(str(v))) <= words or set(stems_of(str(v))) <= words for v in c.values)
        return not hit if c.op == "not" else hit
    value = attribute_of(product, c.field)
    if c.op in ("min", "max"):
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return value >= float(c.values[0]) if c.op == "min" else value <= float(c.values[0])
    if isinstance(c.values[0], bool):
        return bool(value) == c.values[0] if value is not None else not c.values[0]
    own = _values_of(value)
    return not own & wanted if c.op == "not" else bool(own & wanted)


def _values_of(value: Any) -> set[str]:
    if value is None:
        return set()
    return {key(v) for v in value} if isinstance(value, list | tuple) else {key(value)}


def fit(
    product: Product, constraints: Iterable[Constraint], promoted: Collection[str] = ()
) -> tuple[Variant | None, tuple[Constraint, ...]]:
    """Return the variant that meets all constraints, and the constraints that are broken.

    The variant is the cheapest that fits; None where the product has no variants.
    """
    level = [c for c in constraints if c.hard]
    at_variant = [c for c in level if _is_variant_level(product, c)]
    broken = [c for c in level if c not in at_variant and not _product_meets(product, c, promoted)]
    variants: Sequence[Variant | None] = product.variants or (None,)
    good = [v for v in variants if all(_variant_meets(product, v, c) for c in at_variant)]
    if not good:
        alone = [c for c in at_variant if not any(_variant_meets(product, v, c) for v in variants)]
        broken.extend(alone or at_variant)
        good = [v for v in variants if v is None or v.stock is None or v.stock > 0] or list(
            variants
        )
    return min(good, key=_in_stock_then_price), tuple(broken)


def _in_stock_then_price(variant: Variant | None) -> tuple[bool, int]:
    if variant is None:
        return False, 0
    return variant.stock is not None and variant.stock <= 0, variant.price_minor


def _cheapest_fit(product: Product, hard: Sequence[Constraint]) -> Variant | None:
    """Return the variant that `fit` names, of a product that is known to meet the constraints."""
    if not product.variants:
        return None
    asked = [c for c in hard if _is_variant_level(product, c)]
    best_first = _by_price(product)
    for variant in best_first:
        if all(_variant_meets(product, variant, c) for c in asked):
            return variant
    return best_first[0]


def _merit(product: Product, popularity: float) -> float:
    return (product.rating or 3.0) * math.log1p(product.rating_count) + 20.0 * popularity


def _needs_a_look(c: Constraint) -> bool:
    """Whether the filter table alone cannot decide a constraint."""
    return c.hard and (
        (c.op in ("min", "max") and c.field not in ("price", "rating"))
        or c.field == "terms"
        or (c.field == "promotion" and c.values[0] is not True)
        or (isinstance(c.values[0], bool) and c.field not in ("in_stock", "promotion"))
        or (
            isinstance(c.values[0], int | float)
            and c.field not in ("price", "rating", "in_stock", "promotion")
        )
    )


T = TypeVar("T")


class _Remembered(Generic[T]):
    """What is made of a product's record, kept until another record takes its place."""

    def __init__(self, make: Callable[[Product], T]) -> None:
        self._make = make
        self._held: dict[int, tuple[Product, T]] = {}

    def __call__(self, product: Product) -> T:
        known = self._held.get(id(product))
        if known is not None and known[0] is product:
            return known[1]
        if len(self._held) > _KEPT:
            self._held.clear()
        made = self._make(product)
        self._held[id(product)] = product, made
        return made


_title_stems = _Remembered(lambda product: frozenset(stems_of(product.title[:120])))
_by_price = _Remembered(lambda product: tuple(sorted(product.variants, key=_in_stock_then_price)))


def title_stems(product: Product) -> frozenset[str]:
    """Return the stems of a product's title."""
    return _title_stems(product)


def words_of(product: Product) -> frozenset[str]:
    """Return the stems of a product's text, planted sentences left out."""
    return _words(product)


def _read_words(product: Product) -> frozenset[str]:
    found = set(_title_words(product))
    for sentence in quotable(product.description, limit=6):
        found.update(stems_of(sentence))
    for name, value in product.attributes.items():
        values = value if isinstance(value, list | tuple) else (value,)
        for one in values:
            if isinstance(one, str):
                found.update(stems_of(one[:80]))
            elif one is True:
                found.update(stems_of(name.replace("_", " ")))
    return frozenset(found)


_words = _Remembered(_read_words)


def _title_words(product: Product) -> set[str]:
    found = set(stems_of(product.title[:200]))
    found.update(stems_of(product.brand or ""), stems_of(product.type or ""))
    for level in product.category:
        found.update(stems_of(level))
    return found


@dataclass
class Shelf:
    """The catalogue as the assistant looks through it; follows the live catalogue."""

    catalogue: Catalogue
    promoted: Callable[[], Collection[str]] = lambda: ()
    barred: Collection[str] = frozenset()
    rank_text: Callable[[str, Filters, int], Sequence[str]] | None = None
    meaning: Meaning = field(default_factory=lambda: Meaning(None))
    on_change: Callable[[Sequence[Product]], None] = lambda products: None
    popularity_of: Callable[[Sequence[str]], Mapping[str, float]] = lambda product_ids: {}
    _products: Mapping[str, Product] = field(default_factory=dict)
    _table: FilterTable = field(default_factory=FilterTable)
    _titles: dict[str, set[str]] = field(default_factory=dict)
    _merits: Mapping[str, float] = field(default_factory=dict)
    _places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def merit(self, product: Product) -> float:
        """Return how well liked a product is in general: its stars, and how much it is bought."""
        known = self._merits.get(product.product_id)
        return _merit(product, 0.0) if known is None else known

    def refresh(self) -> None:
        """Take over what changed in the catalogue since the last turn."""
        current = self.catalogue.products
        if current is self._products:
            return
        changed = [p for i, p in current.items() if self._products.get(i) is not p]
        if changed:
            plain = [
                p.model_copy(update={"description": " ".join(quotable(p.description, limit=6))})
                for p in changed
            ]
            self._table = self._table.with_products(plain)
            for product in changed:
                for word in stems_of(product.title[:200]):
                    self._titles.setdefault(word, set()).add(product.product_id)
            self.on_change(changed)
        self._products = current
        popularity = self.popularity_of(list(current))
        self._merits = {i: _merit(p, popularity.get(i, 0.0)) for i, p in current.items()}
        best_first = sorted(current, key=lambda i: (-self._merits[i], i))
        self._places = np.full(len(self._table), len(best_first), np.int64)
        self._places[[self._table.row_of[i] for i in best_first]] = np.arange(len(best_first))

    @property
    def products(self) -> Mapping[str, Product]:
        """The products as of the last refresh."""
        return self._products

    def with_title_word(self, word: str) -> set[str]:
        """Return ids of products whose title holds a stem."""
        return self._titles.get(word, set())

    def knows_word(self, word: str) -> bool:
        """Whether any product's text holds a stem."""
        return bool(self._table.mask(Filters(terms=(word,))).any())

    def allowed(
        self,
        constraints: Sequence[Constraint],
        *,
        scores: Mapping[str, float] | None = None,
        sort: str = "relevance",
    ) -> list[Hit]:
        """Return the products that meet the hard constraints, each with its fitting variant.

        Of very many only those are looked at closely that can come first: by `scores` and liking,
        or by price where that is the order.
        """
        rows = self._allowed_rows(constraints)
        alone = not any(_needs_a_look(c) for c in constraints)  # the table has decided
        if len(rows) > _CLOSELY and alone:
            ids = self._foremost(rows, scores or {}, sort)
        else:
            ids = [self._table.ids[row] for row in rows]
        products = [p for p in map(self._products.get, ids) if p is not None]
        if alone:
            hard = [c for c in constraints if c.hard]
            return [Hit(p, _cheapest_fit(p, hard)) for p in products]
        asks = any(c.field == "promotion" for c in constraints)
        promoted = self.promoted() if asks else ()
        fits = ((p, *fit(p, constraints, promoted)) for p in products)
        return [Hit(p, variant) for p, variant, broken in fits if not broken]

    def _allowed_rows(self, constraints: Sequence[Constraint]) -> NDArray[np.int64]:
        """Return the rows that the filter table, the offers and the shop's bars allow."""
        table = self._table
        mask = table.mask(filters_of(constraints, promoted_known=True))
        if any(c.field == "promotion" and c.values[0] is True for c in constraints):
            on_offer = np.zeros(len(mask), np.bool_)
            on_offer[self._rows_of(self.promoted())] = True
            mask &= on_offer
        mask[self._rows_of(self.barred)] = False
        return np.flatnonzero(mask)

    def _rows_of(self, product_ids: Collection[str]) -> list[int]:
        row_of = self._table.row_of
        return [row_of[i] for i in product_ids if i in row_of]

    def count(self, constraints: Sequence[Constraint], hits: Sequence[Hit]) -> int:
        """Return how many products meet the constraints, of which `hits` were looked at."""
        if len(hits) < _CLOSELY or any(_needs_a_look(c) for c in constraints):
            return len(hits)
        return len(self._allowed_rows(constraints))

    def _foremost(
        self, rows: NDArray[np.int64], scores: Mapping[str, float], sort: str
    ) -> list[str]:
        products, ids = self._products, self._table.ids
        if sort not in ("price", "-price", "rating"):
            liking = np.zeros(len(self._table))
            liking[self._rows_of(scores)] = [
                s for i, s in scores.items() if i in self._table.row_of
            ]
            order = np.lexsort((self._places[rows], -liking[rows]))[:_CLOSELY]
            return [ids[row] for row in rows[order]]
        known = [i for i in (ids[row] for row in rows) if i in products]
        if sort == "rating":
            known.sort(key=lambda i: (-(products[i].rating or 0.0), -products[i].rating_count, i))
        else:
            sign = -1 if sort == "-price" else 1
            known.sort(key=lambda i: (sign * (price_of(products[i]) or 0), i))
        return known[:_CLOSELY]

    def text_scores(self, terms: Sequence[str]) -> dict[str, float]:
        """Return idf-weighted coverage of the terms per product, in [0, 1]; unknown terms count."""
        if not terms or not len(self._table):
            return {}
        size = max(1, len(self._products))
        weights, masks = [], []
        for term in terms:
            mask = self._table.mask(Filters(terms=(term,)))
            count = int(mask.sum())
            weights.append(math.log(1 + size / (1 + count)))
            masks.append(mask)
        total = sum(weights)
        score = np.zeros(len(self._table), np.float64)
        for weight, mask in zip(weights, masks, strict=True):
            score[mask] += weight
        rows = np.flatnonzero(score)
        ids = self._table.ids
        out = {}
        for row in rows:
            product = self._products.get(ids[row])
            if product is not None:
                named = sum(
                    w
                    for w, t in zip(weights, terms, strict=True)
                    if t in self._titles and product.product_id in self._titles[t]
                )
                out[product.product_id] = float(score[row] + named) / (2.0 * total)
        return out

    def find(
        self,
        constraints: Sequence[Constraint],
        *,
        terms: Sequence[str] = (),
        sort: str = "relevance",
        limit: int = 8,
        exclude: Collection[str] = (),
        affinity: Score | None = None,
        prefer: Sequence[Constraint] = (),
    ) -> Found:
        """Find products, or the nearest ones and what they break.

        Args:
            constraints: hard ones exclude; soft ones order.
            terms: content words that no structured field explains.
            sort: relevance, price, -price, rating, newest, popular, or an attribute, '-' falling.
            limit: at most so many.
            exclude: product ids to leave out.
            affinity: product ids to scores in [0, 1] for this visitor.
            prefer: conditions that move a product up, for instance stored preferences.
        """
        hard = [c for c in constraints if c.hard]
        if not any(c.field == "in_stock" for c in hard):
            hard.append(IN_STOCK)
        soft = [c for c in constraints if not c.hard] + list(prefer)
        has_kind = any(c.field in ("category", "type") and c.op == "is" for c in hard)
        scores = self.text_scores(terms)
        named = [c for c in hard if c.field == "terms" and c.op == "is"]
        absent = [c for c in named if not any(self.knows_word(str(v)) for v in c.values)]
        if absent:
            rest = [c for c in hard if c not in absent]
            near = [h for h in self.allowed(rest) if h.product_id not in exclude]
            words = tuple(str(v) for c in absent for v in c.values)
            if not near:
                return self._relax(rest, scores, soft, affinity, min(limit, 4), exclude, words)
            return self._nearest_to_words(near, terms, soft, affinity, limit, words)
        hits = [
            h for h in self.allowed(hard, scores=scores, sort=sort) if h.product_id not in exclude
        ]
        unmatched = tuple(t for t in terms if not self.knows_word(t))
        if terms and hits and self.meaning:
            like = self.meaning.nearest(" ".join(terms), [h.product for h in hits])
            meant = max(like.values(), default=0.0)
            weak = max((scores.get(h.product_id, 0.0) for h in hits), default=0.0) < 0.5
            if not has_kind and weak and meant >= SURE:
                close = [h for h in hits if like.get(h.product_id, 0.0) >= meant - 0.15]
                close = self._order(close, {i: 3.0 * x for i, x in like.items()}, sort, soft, None)
                return Found(tuple(close)[:limit], len(close), (), ())
            scores = {
                h.product_id: scores.get(h.product_id, 0.0) + 0.5 * like.get(h.product_id, 0.0)
                if h.product_id in scores or has_kind
                else 0.0
                for h in hits
            }
            scores = {i: s for i, s in scores.items() if s > 0}
        if terms and hits:
            matched = [h for h in hits if scores.get(h.product_id, 0.0) > 0]
            best = max((scores[h.product_id] for h in matched), default=0.0)
            if not has_kind:
                structured = [
                    c for c in hard if c.field not in ("in_stock", "price", "rating", "promotion")
                ]
                if not named:
                    matched = [h for h in matched if scores[h.product_id] >= 0.6 * best]
                if not matched and structured and not unmatched:
                    matched = hits
                if matched and (best >= 0.25 or named):
                    return Found(
                        self._order(matched, scores, sort, soft, affinity)[:limit],
                        len(matched),
                        (),
                        unmatched,
                    )
                return self._nearest_to_words(hits, terms, soft, affinity, limit, unmatched)
            relaxed = ("query",) if unmatched and not matched else ()
            return Found(
                self._order(hits, scores, sort, soft, affinity)[:limit],
                len(hits),
                relaxed,
                unmatched,
            )
        if hits:
            return Found(
                self._order(hits, scores, sort, soft, affinity)[:limit],
                self.count(hard, hits),
                (),
                unmatched,
            )
        return self._relax(hard, scores, soft, affinity, min(limit, 4), exclude, unmatched)

    def _nearest_to_words(
        self,
        hits: list[Hit],
        terms: Sequence[str],
        soft: Sequence[Constraint],
        affinity: Score | None,
        limit: int,
        unmatched: tuple[str, ...],
    ) -> Found:
        near: Sequence[Hit] = ()
        like = self.meaning.nearest(" ".join(terms), [h.product for h in hits], least=FAINT)
        if like:
            near = sorted(
                (h for h in hits if h.product_id in like),
                key=lambda h: (-like[h.product_id], h.product_id),
            )
            if like[near[0].product_id] >= SURE:
                best = like[near[0].product_id]
                close = [h for h in near if like[h.product_id] >= best - 0.15]
                return Found(tuple(close[:limit]), len(close), (), ())
        elif self.rank_text is not None:
            order = list(self.rank_text(" ".join(terms), Filters(), 20))
            by_id = {h.product_id: h for h in hits}
            near = [by_id[i] for i in order if i in by_id]
        near = near[:4] or self._order(hits, {}, "popular", soft, affinity)[:4]
        return Found(
            tuple(near[: min(limit, 4)]),
            0,
            ("query", "type", "category"),
            unmatched or tuple(terms),
        )

    def _relax(
        self,
        hard: list[Constraint],
        scores: Mapping[str, float],
        soft: Sequence[Constraint],
        affinity: Score | None,
        limit: int,
        exclude: Collection[str],
        unmatched: tuple[str, ...],
    ) -> Found:
        ways: list[tuple[float, tuple[Constraint, ...], list[Hit]]] = []
        for size in range(1, min(4, len(hard)) + 1):
            for dropped in combinations(hard, size):
                cost = sum(_DROP_COST.get(c.field, 4.0) for c in dropped)
                if ways and cost >= ways[0][0] and size > 1:
                    continue
                left = [c for c in hard if c not in dropped]
                if (
                    not any(c.field != "in_stock" for c in left)
                    and len(hard) > 2
                    and size < len(hard)
                ):
                    continue
                hits = [h for h in self.allowed(left) if h.product_id not in exclude]
                if hits:
                    ways.append((cost, dropped, hits))
                    ways.sort(key=lambda w: w[0])
            if ways and size >= 2:
                break
        if not ways:
            return Found((), 0, (), unmatched)
        _, dropped, hits = ways[0]
        by_price = next((c for c in dropped if c.field == "price"), None)
        sort = "relevance"
        if by_price is not None:
            sort = "price" if by_price.op == "max" else "-price"
        ordered = self._order(hits, scores, sort, soft, affinity)[:limit]
        promoted = self.promoted()
        shown, names = [], []
        for hit in ordered:
            broken = fit(hit.product, hard, promoted)[1]
            missed = [c for c in dropped if c in broken] or list(dropped)
            own = tuple(dict.fromkeys(n for c in missed for n in public_names(c)))
            shown.append(Hit(hit.product, hit.variant, own))
            names.extend(own)
        single = tuple((w[1][0].field, len(w[2])) for w in ways if len(w[1]) == 1)
        return Found(tuple(shown), 0, tuple(dict.fromkeys(names)), unmatched, single)

    def _order(
        self,
        hits: Sequence[Hit],
        scores: Mapping[str, float],
        sort: str,
        soft: Sequence[Constraint],
        affinity: Score | None,
    ) -> tuple[Hit, ...]:
        if len(hits) > _LONGEST_LIST and sort in ("relevance", "popular") and not soft:
            hits = sorted(
                hits,
                key=lambda h: (
                    -scores.get(h.product_id, 0.0),
                    -self.merit(h.product),
                    h.product_id,
                ),
            )[:_LONGEST_LIST]
        liked: dict[str, float] = {}
        if affinity is not None and hits and sort == "relevance":
            ids = [h.product_id for h in hits]
            liked = dict(zip(ids, (float(x) for x in affinity(ids)), strict=True))
        promoted = self.promoted() if any(c.field == "promotion" for c in soft) else ()
        wished = [c.model_copy(update={"hard": True}) for c in soft]
        wishes = (
            {h.product_id: sum(not fit(h.product, [c], promoted)[1] for c in wished) for h in hits}
            if wished
            else {}
        )
        top = max((self.merit(h.product) for h in hits), default=1.0) or 1.0

        def relevance(hit: Hit) -> float:
            product_id = hit.product_id
            return (
                3.0 * scores.get(product_id, 0.0)
                + 1.0 * wishes.get(product_id, 0)
                + 0.8 * liked.get(product_id, 0.0)
                + 0.3 * self.merit(hit.product) / top
            )

        falling = sort.startswith("-")
        name = sort.removeprefix("-")

        def place(hit: Hit) -> tuple[Any, ...]:
            if name == "price":
                price = hit.price_minor
                worth = math.inf if price is None else (-price if falling else price)
                return (worth, -relevance(hit), hit.product_id)
            if name == "rating":
                return (-(hit.product.rating or 0.0), -hit.product.rating_count, hit.product_id)
            if name == "newest":
                at = hit.product.updated_at
                return (-(at.timestamp() if at else 0.0), hit.product_id)
            if name == "popular":
                return (-hit.product.rating_count, -self.merit(hit.product), hit.product_id)
            if name != "relevance":
                value = attribute_of(hit.product, name)
                worth = (
                    value
                    if isinstance(value, int | float) and not isinstance(value, bool)
                    else None
                )
                return (
                    worth is None,
                    0 if worth is None else (-worth if falling else worth),
                    hit.product_id,
                )
            return (-relevance(hit), hit.product_id)

        return tuple(replace(h, standing=relevance(h)) for h in sorted(hits, key=place))


def filters_of(constraints: Iterable[Constraint], *, promoted_known: bool = False) -> Filters:
    """Return the part of the constraints that the filter table decides; `fit` decides the rest."""
    lists: dict[str, tuple[str, ...]] = {}
    scalars: dict[str, Any] = {}
    attributes: dict[str, tuple[str, ...]] = {}
    exclude: dict[str, tuple[str, ...]] = {}
    for c in constraints:
        if not c.hard:
            continue
        if c.field == "price":
            scalars["price_min" if c.op == "min" else "price_max"] = int(c.values[0])
        elif c.field == "rating":
            scalars["min_rating"] = float(c.values[0])
        elif c.field == "in_stock":
            scalars["in_stock"] = bool(c.values[0])
        elif c.field == "promotion":
            if not promoted_known:
                scalars["promotion"] = bool(c.values[0])
        elif c.op in ("min", "max") or isinstance(c.values[0], bool) or c.field == "terms":
            continue
        elif c.op == "not":
            exclude[c.field] = tuple(str(v) for v in c.values)
        elif c.field in _PRODUCT_FIELDS:
            lists[c.field] = tuple(str(v) for v in c.values)
        elif isinstance(c.values[0], int | float):
            continue
        else:
            attributes[c.field] = tuple(str(v) for v in c.values)
    return Filters(**lists, **scalars, attributes=attributes, exclude=exclude)
