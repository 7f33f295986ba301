"""The smallest relaxation equals brute force on generated catalogues and constraints."""

from itertools import combinations

import numpy as np

from components.contracts.messages import Filters
from components.contracts.records import Product
from components.data.filters import FilterTable
from components.search.relax import constraint_names, smallest_relaxations, without

COLOURS, KINDS = ("red", "blue", "green"), ("Shoe", "Shirt", "Sock")


def a_case(seed: int):
    generator = np.random.default_rng(seed)
    products = [
        Product(
            product_id=f"p{n}",
            title=f"{generator.choice(KINDS)} number {n}",
            brand=str(generator.choice(["Acme", "Nord"])),
            type=str(generator.choice(KINDS)),
            price_minor=int(generator.integers(1, 10)),
            rating=float(generator.integers(1, 6)),
            available=bool(generator.random() < 0.7),
            attributes={"colour": str(generator.choice(COLOURS))},
        )
        for n in range(int(generator.integers(1, 8)))
    ]
    options = {
        "price_max": int(generator.integers(1, 10)),
        "price_min": int(generator.integers(1, 10)),
        "brand": (str(generator.choice(["Acme", "Nord", "Absent"])),),
        "type": (str(generator.choice(KINDS)),),
        "min_rating": float(generator.integers(1, 6)),
        "in_stock": True,
        "attributes": {"colour": (str(generator.choice(COLOURS)),)},
        "exclude": {"terms": (str(generator.choice(KINDS)).lower(),)},
    }
    chosen = {k: v for k, v in options.items() if generator.random() < 0.5}
    words = str(generator.choice(KINDS)).lower() if generator.random() < 0.5 else ""
    return products, Filters(**chosen), words


def test_smallest_relaxation_equals_brute_force_on_500_cases():
    empty = 0
    seed = 0
    while empty < 500:
        seed += 1
        products, filters, words = a_case(seed)
        table = FilterTable.from_products(products)

        def holds(product, words=words):
            return not words or words in product.title.lower().split()

        def count(part, with_words, table=table, products=products, holds=holds):
            allowed = set(table.allowed_ids(part))
            return sum(p.product_id in allowed and (not with_words or holds(p)) for p in products)

        if count(filters, bool(words)):
            continue
        empty += 1
        names = constraint_names(filters, has_words=bool(words))
        subsets = [set(c) for n in range(1, len(names) + 1) for c in combinations(names, n)]
        bring = {
            frozenset(s): n
            for s in subsets
            if (n := count(without(filters, sorted(s)), bool(words) and "query" not in s))
        }
        least = min((len(s) for s in bring), default=0)
        expected = {s: n for s, n in bring.items() if len(s) == least}
        got = smallest_relaxations(filters, count, has_words=bool(words))
        assert {frozenset(r.drop): r.hits for r in got} == expected, (seed, filters, words)
