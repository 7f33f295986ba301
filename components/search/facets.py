"""Facets: how many of the products found carry each category, type, brand and attribute value.

What a row carries is read once, when it is added; counting is one pass over numbers, so that all
products found are counted, however many they are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.contracts.messages import Facet
from components.contracts.records import Product
from components.data.filters import attribute_name
from components.search.shelf import Lists

FIRST = ("category", "type", "brand")
MOST_ATTRIBUTES = 6
MOST_VALUES = 20
OFTEN = 0.2  # an attribute is shown when so many values of it stand on each product, on average
_LONGEST = 30


class FacetCounter:
    """What each row carries; grows, never shrinks."""

    def __init__(self) -> None:
        self._names: list[tuple[str, str]] = []  # number -> field and value
        self._ids: dict[tuple[str, str], int] = {}
        self._carried = Lists()

    def add(self, products: Sequence[Product]) -> None:
        """Append rows."""
        self._carried.extend([[self._number(c) for c in _carried(p)] for p in products])

    def _number(self, carried: tuple[str, str]) -> int:
        number = self._ids.get(carried)
        if number is None:
            number = self._ids[carried] = len(self._names)
            self._names.append(carried)
        return number

    def count(self, rows: NDArray[np.int64]) -> tuple[Facet, ...]:
        """Count the values of rows.

        Args:
            rows: (n,) of the products found.

        Returns:
            Category, type and brand, then the attributes that most products have and that tell
            them apart; the commonest values of each, ties by name.
        """
        numbers, _, _, _ = self._carried.take(rows)
        counts = np.bincount(numbers)
        found = np.flatnonzero(counts)
        by_field: dict[str, list[tuple[str, int]]] = {name: [] for name in FIRST}
        for number, count in zip(found.tolist(), counts[found].tolist(), strict=True):
            name, value = self._names[number]
            by_field.setdefault(name, []).append((value, count))
        totals = {name: sum(n for _, n in values) for name, values in by_field.items()}
        often = [
            name
            for name in sorted(by_field, key=lambda n: (-totals[n], n))
            if name not in FIRST and len(by_field[name]) > 1 and totals[name] >= OFTEN * len(rows)
        ]
        return tuple(
            Facet(
                field=name,
                values=tuple(sorted(by_field[name], key=lambda v: (-v[1], v[0]))[:MOST_VALUES]),
            )
            for name in (*FIRST, *often[:MOST_ATTRIBUTES])
            if by_field[name]
        )


def _carried(product: Product) -> list[tuple[str, str]]:
    """Return the fields and values of a product, as a shopper reads them, each once."""
    found: dict[tuple[str, str], None] = {}
    if product.category:
        found["category", product.category[-1]] = None
    if product.type:
        found["type", product.type] = None
    if product.brand:
        found["brand", product.brand] = None
    pairs = [
        *product.attributes.items(),
        *((n, o) for v in product.variants for n, o in v.options.items()),
    ]
    for raw, value in pairs:
        name = attribute_name(raw)
        if name in FIRST:
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, bool):
                text = "yes" if one else ""
            else:
                text = one if isinstance(one, str) and len(one) <= _LONGEST else ""
            if text:
                found[name, text] = None
    return list(found)
