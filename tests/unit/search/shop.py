"""A small shop with known answers, for the tests of search."""

from components.contracts.records import Product, Variant


def product(product_id: str, title: str, **fields) -> Product:
    return Product(product_id=product_id, title=title, **fields)


def shop() -> list[Product]:
    def shoe(product_id, title, brand, material, waterproof, price, colours):
        return product(
            product_id,
            title,
            brand=brand,
            category=("Shoes",),
            type="running shoes",
            price_minor=price,
            attributes={"material": material, "waterproof": waterproof},
            rating=4.2,
            rating_count=10,
            variants=tuple(
                Variant(
                    variant_id=f"{product_id}-{colour}-{size}",
                    options={"color": colour, "size": size},
                    price_minor=price + 500 * (size == "44"),
                    stock=0 if (colour, size) == ("red", "44") else 3,
                )
                for colour in colours
                for size in ("42", "44")
            ),
        )

    return [
        shoe("s1", "Aero running shoes", "Stride", "mesh", False, 7900, ("blue", "red")),
        shoe("s2", "Trail running shoes", "Korda", "leather", True, 10900, ("black", "red")),
        product(
            "m1", "Whole milk, 1 gal", category=("Dairy", "Milk"), type="Milk", price_minor=299
        ),
        product(
            "m2",
            "Chocolate milk, 12 oz",
            category=("Dairy", "Milk"),
            type="Chocolate milk",
            price_minor=199,
        ),
        product(
            "c1",
            "Kids cereal, 12 oz",
            category=("Pantry", "Cereal"),
            type="Kids cereal",
            price_minor=349,
        ),
        product(
            "c2",
            "Chocolate kids cereal, 15 oz",
            category=("Pantry", "Cereal"),
            type="Kids cereal",
            price_minor=379,
            list_price_minor=449,
        ),
        product(
            "c3",
            "Corn cereal, 20 oz",
            category=("Pantry", "Cereal"),
            type="Cereal",
            price_minor=449,
        ),
        product(
            "n1",
            "Acme 15 notebook",
            brand="Acme",
            category=("Computers",),
            type="Notebook",
            price_minor=59900,
        ),
        product(
            "n2",
            "Notebook case 15 inch",
            brand="Case Co",
            category=("Computers",),
            type="Notebook case",
            price_minor=1999,
        ),
        product(
            "h1",
            "Auralis wireless headphones",
            brand="Auralis",
            category=("Audio",),
            type="Headphones",
            price_minor=9900,
            attributes={"wireless": True},
            rating=4.7,
            rating_count=90,
        ),
        product(
            "h2",
            "Tonika wired headphones",
            brand="Tonika",
            category=("Audio",),
            type="Headphones",
            price_minor=3900,
            attributes={"wireless": False},
            rating=3.9,
            rating_count=5,
        ),
        product(
            "k1",
            "牛奶巧克力 Milk chocolate bar",
            category=("Sweets",),
            type="Candy bar",
            price_minor=150,
        ),
        product(
            "x1",
            "Retired toaster",
            category=("Kitchen",),
            type="Toaster",
            price_minor=2500,
            available=False,
        ),
    ]
