"""What a generated query demands in words holds in every result, judged by brute force.

The demands are known from how the query was put together, not from how it was parsed.
"""

import numpy as np
import pytest

from components.contracts.messages import SearchRequest
from components.contracts.records import Product, Variant
from components.data.catalogue import Catalogue
from components.search.engine import SearchEngine

KINDS = ("milk", "cereal", "tea", "biscuits")
BRANDS = ("Meadowlark", "Harbourside", "Quillon")
COLOURS = ("crimson", "teal", "ochre")


def a_shop() -> list[Product]:
    generator = np.random.default_rng(3)
    shelf = []
    for n in range(240):
        kind, brand = str(generator.choice(KINDS)), str(generator.choice(BRANDS))
        colour = str(generator.choice(COLOURS))
        variants = tuple(
            Variant(
                variant_id=f"p{n}v{m}",
                price_minor=int(generator.integers(100, 900)),
                stock=int(generator.integers(0, 3)),
            )
            for m in range(int(generator.integers(0, 3)))
        )
        shelf.append(
            Product(
                product_id=f"p{n}",
                title=f"{brand} {colour} {kind} {n}",
                brand=brand,
                type=kind,
                category=("Food", kind.title()),
                price_minor=int(generator.integers(100, 900)),
                rating=float(generator.integers(2, 6)),
                available=bool(generator.random() < 0.8),
                attributes={"colour": colour},
                variants=variants,
            )
        )
    return shelf


def a_query(generator) -> tuple[str, list, list]:
    """Return words, demands on the product, and demands on one of its variants at once."""
    parts, on_product, on_variant = [], [], []
    if generator.random() < 0.4:
        colour = str(generator.choice(COLOURS))
        parts.append(colour)
        on_product.append(lambda p: p.attributes["colour"] == colour)
    if generator.random() < 0.4:
        brand = str(generator.choice(BRANDS))
        parts.append(brand)
        on_product.append(lambda p: p.brand == brand)
    kind = str(generator.choice(KINDS))
    parts.append(kind)
    amount = int(generator.integers(2, 9))
    limit = int(generator.integers(6))
    if limit < 4:
        words = ("under ${}", "at most ${}", "over ${}", "between $2 and ${}")[limit]
        parts.append(words.format(amount))
        on_variant.append(
            (
                lambda price, _: price < amount * 100,
                lambda price, _: price <= amount * 100,
                lambda price, _: price >= amount * 100,
                lambda price, _: min(200, amount * 100) <= price <= max(200, amount * 100),
            )[limit]
        )
    if generator.random() < 0.3:
        parts.append("in stock")
        on_variant.append(lambda _, is_here: is_here)
    if generator.random() < 0.3:
        parts.append("at least 4 stars")
        on_product.append(lambda p: p.rating >= 4)
    if generator.random() < 0.5:
        other = str(generator.choice(COLOURS))
        parts.append(f"not {other}")
        on_product.append(lambda p: p.attributes["colour"] != other)
    return " ".join(parts), on_product, on_variant


def meets(product: Product, on_product, on_variant) -> bool:
    forms = [(v.price_minor, product.available and v.stock > 0) for v in product.variants]
    forms = forms or [(product.price_minor, product.available)]
    return all(check(product) for check in on_product) and any(
        all(check(*form) for check in on_variant) for form in forms
    )


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    return SearchEngine.from_products(Catalogue.from_products(a_shop()))


@pytest.mark.parametrize("block", range(10))
def test_every_demand_holds_in_every_result(engine, block):
    found_some, shelf = 0, a_shop()
    for seed in range(block * 60, block * 60 + 60):
        query, on_product, on_variant = a_query(np.random.default_rng(seed))
        result = engine.search(SearchRequest(query=query, limit=100))
        allowed = {p.product_id for p in shelf if meets(p, on_product, on_variant)}
        if result.relaxed:  # nothing of that kind may meet the demands then
            kind = query_kind(query)
            assert not {i for i in allowed if engine.catalogue.get(i).type == kind}, query
            continue
        found_some += 1
        shown = [p.product_id for p in result.products]
        assert set(shown) <= allowed, (query, sorted(set(shown) - allowed))
        of_kind = {i for i in allowed if engine.catalogue.get(i).type == query_kind(query)}
        assert of_kind <= set(shown), (query, sorted(of_kind - set(shown)))
    assert found_some >= 50  # of sixty: five hundred and more in all


def query_kind(query: str) -> str:
    return next(kind for kind in KINDS if kind in query.split())
