"""Hard constraints: which products of a catalogue meet a `Filters`, decided in one place.

A product matches if ONE of its variants meets all variant-level constraints (price, options, stock)
and the product itself meets the rest. `FilterTable.mask` decides it for a whole catalogue at once,
`matches` for one product in plain Python; property tests hold the two together. A product without
variants is its own only variant. Values are compared by `components.data.words.key`.

The table is immutable: `with_products` returns a new one, so that readers keep a whole snapshot. An
updated product gets a new row and its old row dies; rows are never reused within a table's life.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components.contracts.messages import Filters
from components.contracts.records import Product, Variant
from components.data.words import fold, key, stems, values_of

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int32]
PRODUCT_FIELDS = ("brand", "type", "category")
_SPELLINGS = {"color": "colour", "colours": "colour", "colors": "colour", "flavor": "flavour"}
_NO_PRICE = -1
_EMPTY = np.zeros(0, np.int32)


@lru_cache(maxsize=4096)
def attribute_name(name: str) -> str:
    """Return the form in which attribute names are compared.

    >>> attribute_name("Color"), attribute_name("screen_size")
    ('colour', 'screen size')
    """
    folded = " ".join(fold(name).replace("_", " ").replace("-", " ").split())
    return _SPELLINGS.get(folded, folded)


def family_key(title: str, brand: str | None) -> str:
    """Return what cards of one family have in common: the words a shopper reads on them.

    >>> family_key("Whole milk,  1 gal", None) == family_key("whole milk, 1 gal", None)
    True
    """
    return " ".join(fold(title).split()) + "\n" + " ".join(fold(brand or "").split())


def product_words(product: Product) -> set[str]:
    """Return all stems of a product's text: title, description, brand, type, category, values."""
    parts = [
        product.title,
        product.description,
        product.brand or "",
        product.type or "",
        *product.category,
    ]
    for name, value in product.attributes.items():
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, list | tuple):
            parts.extend(v for v in value if isinstance(v, str))
        elif value is True:
            parts.append(name.replace("_", " "))
    found: set[str] = set()
    for part in parts:
        if part:
            found.update(stems(part))
    return found


def _category_keys(product: Product) -> list[str]:
    levels = [key(level) for level in product.category]
    return list(dict.fromkeys([*levels, key(" > ".join(product.category))])) if levels else []


def is_promoted(product: Product, promoted: Collection[str] = ()) -> bool:
    """Say whether a product is on offer: named by an offer, or sold below its list price."""
    if product.product_id in promoted:
        return True
    pairs = [(product.price_minor, product.list_price_minor)]
    pairs += [(v.price_minor, v.list_price_minor) for v in product.variants]
    return any(p is not None and full is not None and p < full for p, full in pairs)


def matches(product: Product, filters: Filters, *, promoted: Collection[str] = ()) -> bool:
    """Decide one product in plain Python; the same rule as `FilterTable.mask`.

    Args:
        product: the product with its variants.
        filters: what it has to meet; prices in minor units.
        promoted: ids of products that an offer names today.
    """
    f = filters
    wanted = {attribute_name(n): {key(v) for v in vs} for n, vs in f.attributes.items() if vs}
    banned = {n: {key(v) for v in vs} for n, vs in f.exclude.items() if vs}
    own = {
        "brand": {key(product.brand)} if product.brand else set[str](),
        "type": {key(product.type)} if product.type else set[str](),
        "category": set(_category_keys(product)),
    }
    for name, accepted in (("brand", f.brand), ("type", f.type), ("category", f.category)):
        if accepted and not own[name] & {key(v) for v in accepted}:
            return False
        if own[name] & banned.get(name, set()):
            return False
    if f.min_rating is not None and (product.rating is None or product.rating < f.min_rating):
        return False
    if f.promotion is not None and is_promoted(product, promoted) != f.promotion:
        return False
    if f.terms or "terms" in banned:
        words = product_words(product)
        if any(not set(stems(term)) <= words for term in f.terms):
            return False
        if any(set(phrase) <= words for t in f.exclude.get("terms", ()) if (phrase := stems(t))):
            return False
    has_price = f.price_min is not None or f.price_max is not None
    if has_price and f.currency is not None and product.currency != f.currency:
        return False
    attributes = {attribute_name(n): set(values_of(v)) for n, v in product.attributes.items()}
    bans = {
        attribute_name(n): vs for n, vs in banned.items() if n not in (*PRODUCT_FIELDS, "terms")
    }
    variants = [(v.options, v.price_minor, v.stock) for v in product.variants]
    for options, price, stock in variants or [({}, product.price_minor, None)]:
        chosen = {attribute_name(n): {key(v)} for n, v in options.items()}
        is_here = product.available and (stock is None or stock > 0)
        if (
            all(chosen.get(n, attributes.get(n, set())) & vs for n, vs in wanted.items())
            and not any(chosen.get(n, attributes.get(n, set())) & vs for n, vs in bans.items())
            and (f.price_min is None or (price is not None and price >= f.price_min))
            and (f.price_max is None or (price is not None and price <= f.price_max))
            and (f.in_stock is None or is_here == f.in_stock)
        ):
            return True
    return False


def fitting_variants(product: Product, filters: Filters) -> list[Variant]:
    """Return the variants that meet the variant-level constraints: price, stock, options.

    The same rule as `matches` for each variant alone; constraints on the product are not looked at.
    """
    f = filters
    wanted = {attribute_name(n): {key(v) for v in vs} for n, vs in f.attributes.items() if vs}
    bans = {
        attribute_name(n): {key(v) for v in vs}
        for n, vs in f.exclude.items()
        if vs and n not in (*PRODUCT_FIELDS, "terms")
    }
    low, high, here = f.price_min, f.price_max, f.in_stock
    found = [
        v
        for v in product.variants
        if (low is None or (v.price_minor is not None and v.price_minor >= low))
        and (high is None or (v.price_minor is not None and v.price_minor <= high))
        and (here is None or (product.available and (v.stock is None or v.stock > 0)) == here)
    ]
    if not found or not (wanted or bans):
        return found
    own = {attribute_name(n): set(values_of(v)) for n, v in product.attributes.items()}

    def fits(variant: Variant) -> bool:
        chosen = {attribute_name(n): {key(v)} for n, v in variant.options.items()}
        return all(chosen.get(n, own.get(n, set())) & vs for n, vs in wanted.items()) and not any(
            chosen.get(n, own.get(n, set())) & vs for n, vs in bans.items()
        )

    return [v for v in found if fits(v)]


Postings = dict[str, IntArray]


def _frozen(lists: dict[str, "array[int]"]) -> Postings:
    return {name: np.frombuffer(rows, np.int32) for name, rows in lists.items()}


@dataclass(frozen=True)
class _Segment:
    """Columns of some consecutive rows: arrays per variant (W,) and per product (V,)."""

    ids: tuple[str, ...]
    variant_row: IntArray  # (W,) row of the variant's product
    price: NDArray[np.int64]  # (W,) minor units, -1 = unknown
    in_stock: BoolArray  # (W,)
    rating: NDArray[np.float32]  # (V,) NaN = unknown
    promoted: BoolArray  # (V,) sold below its list price
    currency: Postings
    fields: dict[str, Postings]  # brand, type, category: value -> rows
    words: Postings  # stem -> rows
    attributes: dict[str, Postings]  # name -> value -> rows
    options: dict[str, Postings]  # name -> value -> variants
    has_option: dict[str, IntArray]  # name -> variants that have it
    products: tuple[Product, ...] = field(default=(), repr=False)  # kept while the segment is small

    @classmethod
    def build(cls, products: Sequence[Product], *, keep: bool) -> "_Segment":
        variant_row, price, stock = array("i"), array("q"), array("b")
        rating = np.full(len(products), np.nan, np.float32)
        promoted = np.zeros(len(products), np.bool_)

        def lists() -> dict[str, "array[int]"]:
            return defaultdict(lambda: array("i"))

        currency, words = lists(), lists()
        fields = {name: lists() for name in PRODUCT_FIELDS}
        attributes: dict[str, dict[str, array[int]]] = defaultdict(lists)
        options: dict[str, dict[str, array[int]]] = defaultdict(lists)
        has_option: dict[str, array[int]] = defaultdict(lambda: array("i"))
        for row, product in enumerate(products):
            if product.rating is not None:
                rating[row] = product.rating
            promoted[row] = is_promoted(product)
            currency[product.currency].append(row)
            if product.brand:
                fields["brand"][key(product.brand)].append(row)
            if product.type:
                fields["type"][key(product.type)].append(row)
            for value in _category_keys(product):
                fields["category"][value].append(row)
            for word in product_words(product):
                words[word].append(row)
            for name, value in product.attributes.items():
                for one in set(values_of(value)):
                    attributes[attribute_name(name)][one].append(row)
            variants = [(v.options, v.price_minor, v.stock) for v in product.variants]
            for chosen, amount, left in variants or [({}, product.price_minor, None)]:
                variant = len(variant_row)
                variant_row.append(row)
                price.append(_NO_PRICE if amount is None else amount)
                stock.append(product.available and (left is None or left > 0))
                for name, value in chosen.items():
                    options[attribute_name(name)][key(value)].append(variant)
                    has_option[attribute_name(name)].append(variant)
        return cls(
            ids=tuple(p.product_id for p in products),
            variant_row=np.frombuffer(variant_row, np.int32) if variant_row else _EMPTY,
            price=np.frombuffer(price, np.int64) if price else np.zeros(0, np.int64),
            in_stock=np.frombuffer(stock, np.bool_) if stock else np.zeros(0, np.bool_),
            rating=rating,
            promoted=promoted,
            currency=_frozen(currency),
            fields={name: _frozen(values) for name, values in fields.items()},
            words=_frozen(words),
            attributes={name: _frozen(values) for name, values in attributes.items()},
            options={name: _frozen(values) for name, values in options.items()},
            has_option={name: np.frombuffer(rows, np.int32) for name, rows in has_option.items()},
            products=tuple(products) if keep else (),
        )

    def _any(self, postings: Postings, values: Iterable[object], size: int) -> BoolArray:
        found = np.zeros(size, np.bool_)
        for value in values:
            rows = postings.get(key(value))
            if rows is not None:
                found[rows] = True
        return found

    def _phrase(self, phrase: str) -> BoolArray:
        found = np.zeros(len(self.ids), np.bool_)
        rows: IntArray | None = None
        for word in set(stems(phrase)):
            here = self.words.get(word, _EMPTY)
            rows = here if rows is None else np.intersect1d(rows, here, assume_unique=True)
        if rows is None:
            found[:] = True
        else:
            found[rows] = True
        return found

    def _attribute(self, name: str, values: Iterable[object]) -> BoolArray:
        """Say per variant whether its option, or lacking that its product, has a value."""
        name, values = attribute_name(name), tuple(values)
        product = self._any(self.attributes.get(name, {}), values, len(self.ids))
        found = product[self.variant_row]
        if name in self.options:
            found[self.has_option[name]] = False
            found |= self._any(self.options[name], values, len(self.variant_row))
        return found

    def mask(self, f: Filters, promoted: BoolArray | None) -> BoolArray:
        """Decide the segment's rows (V,)."""
        size = len(self.ids)
        ok = np.ones(size, np.bool_)
        for name, accepted in (("brand", f.brand), ("type", f.type), ("category", f.category)):
            if accepted:
                ok &= self._any(self.fields[name], accepted, size)
            if f.exclude.get(name):
                ok &= ~self._any(self.fields[name], f.exclude[name], size)
        if f.min_rating is not None:
            ok &= np.nan_to_num(self.rating, nan=-1.0) >= np.float32(f.min_rating)
        if f.promotion is not None:
            on_offer = self.promoted if promoted is None else self.promoted | promoted
            ok &= on_offer == f.promotion
        for phrase in f.terms:
            ok &= self._phrase(phrase)
        for phrase in f.exclude.get("terms", ()):
            if stems(phrase):
                ok &= ~self._phrase(phrase)
        has_price = f.price_min is not None or f.price_max is not None
        if has_price and f.currency is not None:
            ok &= self._any_exact(self.currency, f.currency)
        wanted = [(n, vs) for n, vs in f.attributes.items() if vs]
        banned = [
            (n, vs) for n, vs in f.exclude.items() if vs and n not in (*PRODUCT_FIELDS, "terms")
        ]
        if not (has_price or wanted or banned or f.in_stock is not None):
            return ok
        good = np.ones(len(self.variant_row), np.bool_)
        if f.price_min is not None:
            good &= self.price >= max(f.price_min, 0)
        if f.price_max is not None and f.price_max >= 0:
            # Read as unsigned, an unknown price is the highest of all: one pass over the rows.
            good &= self.price.view(np.uint64) <= np.uint64(f.price_max)
        elif f.price_max is not None:
            good[:] = False
        if f.in_stock is not None:
            good &= self.in_stock == f.in_stock
        for name, values in wanted:
            good &= self._attribute(name, values)
        for name, values in banned:
            good &= ~self._attribute(name, values)
        if len(self.variant_row) == size:  # one variant each: row by row
            return ok & good
        has_good = np.zeros(size, np.bool_)
        has_good[self.variant_row[good]] = True
        return ok & has_good

    def _any_exact(self, postings: Postings, value: str) -> BoolArray:
        rows = postings.get(value, _EMPTY)
        if len(rows) == len(self.ids):  # a shop of one currency
            return np.ones(len(self.ids), np.bool_)
        found = np.zeros(len(self.ids), np.bool_)
        found[rows] = True
        return found


_KEEP_ROWS = 4096  # segments up to this size keep their products, so that they can be merged


@dataclass(frozen=True)
class FilterTable:
    """An immutable snapshot of a catalogue's filterable columns; see the module's docstring."""

    segments: tuple[_Segment, ...] = ()
    alive: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    ids: tuple[str, ...] = ()
    row_of: dict[str, int] = field(default_factory=dict, repr=False)
    promoted: frozenset[str] = frozenset()

    @classmethod
    def from_products(
        cls, products: Iterable[Product], *, promoted: Collection[str] = ()
    ) -> "FilterTable":
        """Build the table; row i is the i-th product.

        Args:
            products: the catalogue, each id once.
            promoted: ids of products that an offer names today.
        """
        return replace(cls(), promoted=frozenset(promoted)).with_products(products)

    def __len__(self) -> int:
        """Return the number of rows, dead ones too."""
        return len(self.ids)

    def with_promoted(self, promoted: Collection[str]) -> "FilterTable":
        """Return the table with other products on offer."""
        return replace(self, promoted=frozenset(promoted))

    def with_products(self, products: Iterable[Product]) -> "FilterTable":
        """Return a table in which these products are new or replaced, at the end of the rows."""
        fresh = list({p.product_id: p for p in products}.values())
        if not fresh:
            return self
        segments = [*self.segments, _Segment.build(fresh, keep=len(fresh) <= _KEEP_ROWS)]
        while len(segments) > 1:
            before, last = segments[-2], segments[-1]
            merged = (*before.products, *last.products)
            if not (before.products and last.products) or len(merged) > _KEEP_ROWS:
                break
            if len(before.ids) > 2 * len(last.ids) and len(segments) < 12:
                break
            segments[-2:] = [_Segment.build(merged, keep=True)]
        alive = np.concatenate([self.alive, np.ones(len(fresh), np.bool_)])
        row_of = dict(self.row_of)
        for offset, product in enumerate(fresh):
            old = row_of.get(product.product_id)
            if old is not None:
                alive[old] = False
            row_of[product.product_id] = len(self.ids) + offset
        ids = self.ids + tuple(p.product_id for p in fresh)
        return replace(self, segments=tuple(segments), alive=alive, ids=ids, row_of=row_of)

    def _parts(self) -> Iterator[tuple[int, _Segment]]:
        start = 0
        for segment in self.segments:
            yield start, segment
            start += len(segment.ids)

    def mask(self, filters: Filters | None) -> BoolArray:
        """Decide every row.

        Args:
            filters: the hard constraints; None means all living rows.

        Returns:
            (V,) bool, V = len(self); a dead row is False.
        """
        if filters is None or filters == Filters():
            return self.alive.copy()
        found = np.zeros(len(self.ids), np.bool_)
        for start, segment in self._parts():
            size = len(segment.ids)
            on_offer = None
            if filters.promotion is not None and self.promoted:
                on_offer = np.fromiter((i in self.promoted for i in segment.ids), np.bool_, size)
            found[start : start + size] = segment.mask(filters, on_offer)
        return found & self.alive

    def allowed_ids(self, filters: Filters | None) -> list[str]:
        """Return the ids of all products that match, in row order."""
        return [self.ids[row] for row in np.flatnonzero(self.mask(filters))]

    def facet(self, name: str, chosen: BoolArray) -> dict[str, int]:
        """Count the values of a field among chosen rows.

        Args:
            name: `brand`, `type`, `category`, or an attribute or option.
            chosen: (V,) bool.

        Returns:
            Comparison key of the value to the number of chosen products that have it.
        """
        counts: dict[str, int] = defaultdict(int)
        for start, segment in self._parts():
            here = chosen[start : start + len(segment.ids)]
            if name in PRODUCT_FIELDS:
                for value, rows in segment.fields[name].items():
                    if n := int(here[rows].sum()):
                        counts[value] += n
                continue
            attribute = attribute_name(name)
            values = segment.attributes.get(attribute, {}), segment.options.get(attribute, {})
            for value in {*values[0], *values[1]}:
                rows = values[0].get(value, _EMPTY)
                variants = segment.variant_row[values[1].get(value, _EMPTY)]
                every = np.union1d(rows, variants) if len(variants) else rows
                if n := int(here[every].sum()):
                    counts[value] += n
        return dict(counts)
