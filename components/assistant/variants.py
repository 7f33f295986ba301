"""Which variant of a product is meant: sizes are never guessed, stock is honoured.

A size comes from the message, from a constraint in force or from a stored preference, else it is
asked for. Where variants differ in colour or pack only and none was named, the first in stock is
taken. Nothing sold out is chosen.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.contracts.commands import Constraint
from components.contracts.records import Product, Variant
from components.data.words import key

_FOOTWEAR = re.compile(
    r"shoe|boot|sneaker|sandal|footwear|trainer|slipper|heel|loafer|clog", re.IGNORECASE
)


@dataclass(frozen=True)
class Choice:
    """A variant, or why there is none: `ask` an option, `sold_out`, or `unknown` option value."""

    variant: Variant | None = None
    outcome: str = "chosen"
    option: str | None = None
    values: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def in_stock(product: Product, variant: Variant | None) -> bool:
    """Whether this form can be bought now."""
    return product.available and (variant is None or variant.stock is None or variant.stock > 0)


def stock_of(product: Product, variant: Variant | None) -> int | None:
    """Return how many pieces there are; None = not counted."""
    if not product.available:
        return 0
    return variant.stock if variant is not None else None


def _values(variants: Sequence[Variant], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v.options[name] for v in variants if name in v.options))


def is_size(name: str) -> bool:
    """Whether an option is a size, which is never guessed."""
    return name.casefold() in ("size", "shoe_size", "clothing_size", "ring_size")


def choose(
    product: Product,
    options: Mapping[str, str],
    *,
    constraints: Sequence[Constraint] = (),
    preferences: Mapping[str, str] | None = None,
    held: Sequence[str] = (),
) -> Choice:
    """Choose a variant.

    Args:
        product: the product.
        options: what the message named.
        constraints: those in force; they narrow, and are ignored where nothing would be left.
        preferences: stored ones; a size among them decides.
        held: variant ids of this product in the basket; a tie goes to them.
    """
    if not product.variants:
        return Choice() if in_stock(product, None) else Choice(outcome="sold_out")
    left: list[Variant] = list(product.variants)
    for name, value in options.items():
        if not any(name in v.options for v in product.variants):
            continue
        fitting = [v for v in left if key(v.options.get(name, "")) == key(value)]
        if not fitting:
            live = [v for v in product.variants if in_stock(product, v)]
            return Choice(outcome="unknown", option=name, values=_values(live, name))
        left = fitting
    live = [v for v in left if in_stock(product, v)]
    if not live:
        others = [v for v in product.variants if in_stock(product, v)]
        named = [n for n in options if any(n in v.options for v in product.variants)]
        if others and named:
            return Choice(
                outcome="unknown_stock", option=named[-1], values=_values(others, named[-1])
            )
        return Choice(outcome="sold_out")
    for c in constraints:
        if c.op == "not" and c.field not in options:
            narrowed = [
                v
                for v in live
                if c.field not in v.options
                or key(v.options[c.field]) not in {key(x) for x in c.values}
            ]
        elif c.field == "price":
            narrowed = [
                v
                for v in live
                if (
                    v.price_minor <= int(c.values[0])
                    if c.op == "max"
                    else v.price_minor >= int(c.values[0])
                )
            ]
        elif c.op == "is" and c.field not in options:
            if not any(c.field in v.options for v in live):
                continue
            narrowed = [
                v for v in live if key(v.options.get(c.field, "")) in {key(x) for x in c.values}
            ]
            if not narrowed and is_size(c.field):
                return Choice(
                    outcome="unknown_stock", option=c.field, values=_values(live, c.field)
                )
        else:
            continue
        live = narrowed or live
    assumed: list[str] = []
    for name in sorted({n for v in live for n in v.options}):
        if not is_size(name):
            continue
        values = _values(live, name)
        if len(values) < 2:
            continue
        kept = preferred_size(product, name, values, preferences or {})
        if kept is None:
            return Choice(outcome="ask", option=name, values=values)
        live = [v for v in live if key(v.options.get(name, "")) == key(kept)]
        assumed.append(name)
    mine = [v for v in live if v.variant_id in held]
    return Choice((mine or live)[0], assumed=tuple(assumed))


def preferred_size(
    product: Product, name: str, values: Sequence[str], preferences: Mapping[str, str]
) -> str | None:
    """Return the stored size that fits this kind of product, if it is among the values."""
    text = " ".join([product.title, product.type or "", *product.category])
    footwear = _FOOTWEAR.search(text) is not None
    for key_name, value in sorted(preferences.items()):
        lowered = key_name.casefold()
        if "size" not in lowered and "尺码" not in lowered and "鞋码" not in lowered:
            continue
        if (
            "shoe" in lowered or "foot" in lowered or "鞋" in lowered
        ) != footwear and lowered not in ("size", "sizes", "尺码"):
            continue
        for one in re.findall(r"[\w.]+", str(value)):
            match = next((v for v in values if key(v) == key(one)), None)
            if match is not None:
                return match
    return None


def option_text(variant: Variant | None) -> tuple[str, ...]:
    """Return a variant's option values in a fixed order."""
    return tuple(str(variant.options[n]) for n in sorted(variant.options)) if variant else ()


def variant_of(product: Product, variant_id: str | None) -> Variant | None:
    """Return a product's variant by id, or its only one."""
    for variant in product.variants:
        if variant.variant_id == variant_id:
            return variant
    return product.variants[0] if len(product.variants) == 1 and variant_id is None else None


def line_price(product: Product, variant_id: str | None) -> int | None:
    """Return what one piece of a basket line costs now."""
    variant = variant_of(product, variant_id)
    if variant is not None:
        return variant.price_minor
    live = [v.price_minor for v in product.variants if in_stock(product, v)] or [
        v.price_minor for v in product.variants
    ]
    return min(live) if live else product.price_minor


def facts_of(product: Product) -> dict[str, Any]:
    """Return which option values are in stock, by option."""
    live = [v for v in product.variants if in_stock(product, v)]
    return {
        name: _values(live, name)
        for name in sorted({n for v in product.variants for n in v.options})
    }
