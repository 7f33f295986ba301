"""What the table decides by columns is what `fit` decides record by record."""

import random

import pytest

from components.assistant.shelf import IN_STOCK, Shelf, fit
from components.contracts.commands import Constraint
from components.contracts.records import Product, Variant
from components.data.catalogue import Catalogue

BRANDS = ("Meadow", "Harbour", "Peak", None)
KINDS = (("Dairy", "Milk"), ("Dairy", "Cheese"), ("Drinks", "Tea"))
SIZES = ("S", "M", "L")


def product(number: int, dice: random.Random) -> Product:
    department, kind = dice.choice(KINDS)
    name = f"p{number}"
    price = dice.randrange(100, 900)
    variants = tuple(
        Variant(
            variant_id=f"{name}-{place}",
            options={"size": dice.choice(SIZES)} if dice.random() < 0.6 else {},
            price_minor=price + dice.randrange(-50, 200),
            stock=dice.choice((None, 0, 3)),
        )
        for place in range(dice.choice((0, 1, 1, 3)))
    )
    return Product(
        product_id=name,
        title=f"{kind} {number}",
        brand=dice.choice(BRANDS),
        type=kind,
        category=(department, kind),
        price_minor=price,
        rating=dice.choice((None, 2.5, 4.0, 4.5)),
        rating_count=dice.randrange(50),
        attributes={"organic": dice.random() < 0.5, "size": dice.choice(SIZES)},
        available=dice.random() < 0.9,
        variants=variants,
    )


def constraints(dice: random.Random) -> list[Constraint]:
    every = [
        Constraint(field="price", op="max", values=(dice.randrange(100, 900),)),
        Constraint(field="price", op="min", values=(dice.randrange(100, 900),)),
        Constraint(field="brand", op=dice.choice(("is", "not")), values=("Meadow", "Peak")),
        Constraint(field="type", values=("Milk",)),
        Constraint(field="category", op=dice.choice(("is", "not")), values=("Dairy",)),
        Constraint(field="size", op=dice.choice(("is", "not")), values=(dice.choice(SIZES),)),
        Constraint(field="rating", op="min", values=(4.0,)),
        Constraint(field="promotion", values=(dice.random() < 0.7,)),
        Constraint(field="organic", values=(True,)),
        Constraint(field="terms", op="not", values=("milk",)),
        IN_STOCK,
    ]
    return dice.sample(every, dice.randrange(4))


@pytest.mark.parametrize("seed", range(40))
def test_the_table_allows_what_fits(seed):
    dice = random.Random(seed)
    held = [product(n, dice) for n in range(60)]
    promoted = {p.product_id for p in held if dice.random() < 0.3}
    barred = {p.product_id for p in held if dice.random() < 0.1}
    shelf = Shelf(Catalogue.from_products(held), promoted=lambda: promoted, barred=barred)
    shelf.refresh()
    for _ in range(20):
        asked = constraints(dice)
        found = {h.product_id: h.variant for h in shelf.allowed(asked)}
        fits = {p.product_id: fit(p, asked, promoted) for p in held if p.product_id not in barred}
        assert found == {i: variant for i, (variant, broken) in fits.items() if not broken}, asked


def test_of_very_many_the_best_liked_are_looked_at_closely():
    dice = random.Random(3)
    held = [product(n, dice) for n in range(900)]
    liked = {p.product_id: dice.random() for p in held}
    shelf = Shelf(Catalogue.from_products(held), popularity_of=lambda ids: liked)
    shelf.refresh()
    scores = {f"p{n}": dice.random() for n in range(0, 900, 3)}
    found = [h.product_id for h in shelf.allowed([], scores=scores)]
    by_worth = sorted(
        held, key=lambda p: (-scores.get(p.product_id, 0.0), -shelf.merit(p), p.product_id)
    )
    assert found == [p.product_id for p in by_worth[: len(found)]]
    assert 300 < len(found) < 900
    assert shelf.count([], shelf.allowed([])) == 900
