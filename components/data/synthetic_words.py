# ruff: noqa: E501 - a table reads best with one row a line
"""The words of the synthetic shop: kinds of grocery, invented brands, attributes, review phrases."""

from dataclasses import dataclass

import numpy as np

BRANDS = (
    "Golden Meadow", "Riverbend", "Blue Lantern", "Oak & Thistle", "Sunny Acre", "Harbour House",
    "Little Fox", "Northwind", "Copper Kettle", "Green Gable", "Maple Row", "Silver Spoon Farm",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of product: where it lies, what it may taste of, what it costs about."""

    noun: str
    category: str
    price_minor: int
    words: str
    flavours: tuple[str, ...] = ()
    diets: tuple[str, ...] = ()
    size: tuple[tuple[float, str], ...] = ((12, "oz"),)
    repeatable: bool = True
    option: str = "size"
    sizes: tuple[tuple[str, float], ...] | None = None


_FRUIT = ("strawberry", "vanilla", "peach", "blueberry")
_SWEET = ("chocolate", "vanilla", "honey", "cinnamon")
_DIET = ("organic", "low fat", "sugar free")
_S, _M, _L = ((8, "oz"), (12, "oz")), ((16, "oz"), (24, "oz")), ((32, "oz"), (64, "oz"))
_APPAREL = (("small", 1.0), ("medium", 1.0), ("large", 1.1))

KINDS = (
    Kind("kids cereal", "Breakfast > Cold cereal", 349, "crunchy, for school mornings", _SWEET, ("organic", "gluten free"), ((12, "oz"), (18, "oz"))),
    Kind("granola", "Breakfast > Cold cereal", 479, "oats baked with nuts", _SWEET, ("organic", "gluten free"), _S),
    Kind("oatmeal", "Breakfast > Hot cereal", 329, "warm and filling", ("plain", "apple", "cinnamon"), ("organic", "gluten free"), _M),
    Kind("milk", "Dairy > Milk", 289, "from nearby farms", (), ("organic", "low fat", "lactose free"), ((64, "oz"), (128, "oz"))),
    Kind("yogurt", "Dairy > Yogurt", 99, "smooth, with live cultures", _FRUIT, ("organic", "low fat", "nonfat"), ((6, "oz"), (32, "oz"))),
    Kind("cheddar cheese", "Dairy > Cheese", 429, "aged and sharp", (), ("organic", "low fat"), _S),
    Kind("cream cheese", "Dairy > Cheese", 249, "spreads easily", ("plain", "chive", "strawberry"), ("low fat",), _S),
    Kind("butter", "Dairy > Butter", 399, "churned slowly", (), ("organic", "unsalted"), _M),
    Kind("eggs", "Dairy > Eggs", 279, "from hens that roam", (), ("organic", "free range"), ((12, "ct"), (18, "ct"))),
    Kind("white bread", "Bakery > Bread", 249, "soft slices", (), ("organic",), ((20, "oz"), (24, "oz"))),
    Kind("wheat bread", "Bakery > Bread", 299, "whole grain slices", (), ("organic", "low salt"), ((20, "oz"), (24, "oz"))),
    Kind("bagels", "Bakery > Bread", 329, "boiled, then baked", ("plain", "onion", "cinnamon"), (), ((6, "ct"),)),
    Kind("muffins", "Bakery > Cakes", 399, "baked this morning", ("blueberry", "chocolate", "banana"), (), ((4, "ct"),)),
    Kind("potato chips", "Snacks > Chips", 319, "thin and crisp", ("salted", "barbecue", "sour cream"), ("low fat", "gluten free"), _S),
    Kind("tortilla chips", "Snacks > Chips", 349, "stone-ground corn", ("salted", "lime"), ("organic", "gluten free"), _S),
    Kind("pretzels", "Snacks > Chips", 279, "twisted and salted", ("salted", "honey"), ("low fat",), _M),
    Kind("sandwich cookies", "Snacks > Cookies", 329, "two wafers and a filling", ("chocolate", "vanilla"), ("sugar free",), _M),
    Kind("dark chocolate bar", "Snacks > Candy", 249, "seventy per cent cocoa", ("orange", "mint", "hazelnut"), ("organic", "sugar free"), ((3, "oz"),)),
    Kind("peanut butter", "Pantry > Spreads", 359, "roasted and ground", ("smooth", "crunchy"), ("organic", "sugar free"), _M),
    Kind("strawberry jam", "Pantry > Spreads", 349, "fruit first", (), ("organic", "sugar free"), _S),
    Kind("pasta sauce", "Pantry > Sauces", 299, "simmered tomatoes", ("basil", "garlic", "mushroom"), ("organic", "low salt"), _M),
    Kind("spaghetti", "Pantry > Pasta", 149, "durum wheat", (), ("organic", "gluten free"), _M),
    Kind("brown rice", "Pantry > Rice", 259, "long grain", (), ("organic",), _L),
    Kind("tomato soup", "Pantry > Soup", 179, "heat and serve", ("basil", "pepper"), ("organic", "low salt"), ((10.5, "oz"),)),
    Kind("black beans", "Pantry > Beans", 109, "cooked and canned", (), ("organic", "low salt"), ((15, "oz"),)),
    Kind("olive oil", "Pantry > Oil", 899, "first cold pressing", (), ("organic",), ((17, "oz"), (33, "oz"))),
    Kind("ground coffee", "Drinks > Coffee", 799, "roasted in small lots", ("hazelnut", "vanilla", "dark roast"), ("organic", "decaf"), _S),
    Kind("green tea", "Drinks > Tea", 379, "in paper bags", ("mint", "lemon", "jasmine"), ("organic", "decaf"), ((20, "ct"), (40, "ct"))),
    Kind("orange juice", "Drinks > Juice", 399, "squeezed, not from concentrate", (), ("organic", "no pulp"), _L),
    Kind("sparkling water", "Drinks > Water", 449, "with fine bubbles", ("lime", "lemon", "peach"), (), ((8, "ct"), (12, "ct"))),
    Kind("cola", "Drinks > Soft drinks", 499, "chilled it is best", ("cherry", "vanilla"), ("sugar free",), ((12, "ct"),)),
    Kind("frozen pizza", "Frozen > Pizza", 599, "stone baked", ("cheese", "pepperoni", "vegetable"), ("gluten free", "vegetarian"), _M),
    Kind("frozen peas", "Frozen > Vegetables", 199, "picked and frozen at once", (), ("organic",), _M),
    Kind("ice cream", "Frozen > Ice cream", 499, "slow-churned", ("chocolate", "vanilla", "strawberry", "mint"), ("low fat", "dairy free"), ((48, "oz"), (16, "oz"))),
    Kind("chicken breast", "Meat > Chicken", 899, "boneless and trimmed", (), ("organic", "free range"), ((1, "lb"), (2, "lb"))),
    Kind("ground beef", "Meat > Beef", 649, "ground daily", (), ("organic", "lean"), ((1, "lb"), (3, "lb"))),
    Kind("bananas", "Produce > Fruit", 129, "ripe in two days", (), ("organic",), ((2, "lb"),)),
    Kind("gala apples", "Produce > Fruit", 399, "crisp and sweet", (), ("organic",), ((3, "lb"),)),
    Kind("baby carrots", "Produce > Vegetables", 179, "washed and peeled", (), ("organic",), ((16, "oz"), (32, "oz"))),
    Kind("romaine lettuce", "Produce > Vegetables", 249, "three heads", (), ("organic",), ((3, "ct"),)),
    Kind("paper towels", "Household > Paper", 699, "thick sheets", (), (), ((6, "ct"), (12, "ct"))),
    Kind("dish soap", "Household > Cleaning", 279, "cuts grease", ("lemon", "lavender"), (), ((24, "oz"),)),
    Kind("laundry detergent", "Household > Cleaning", 1099, "for all colours", ("fresh", "unscented"), (), ((50, "oz"), (100, "oz"))),
    Kind("shampoo", "Personal care > Hair care", 549, "mild every day", ("coconut", "mint"), ("sulfate free",), ((12, "oz"),)),
    Kind("dry dog food", "Pets > Dog food", 1899, "complete meal", ("chicken", "beef"), ("grain free",), ((15, "lb"), (30, "lb"))),
    Kind("cast iron pan", "Home > Cookware", 2499, "lasts for decades", (), (), ((10, "in"), (12, "in")), False),
    Kind("water bottle", "Home > Kitchen", 1499, "keeps cold all day", (), (), ((20, "oz"), (32, "oz")), False, "colour", (("blue", 1.0), ("black", 1.0), ("red", 1.05))),
    Kind("kitchen apron", "Home > Kitchen", 1299, "with deep pockets", (), (), ((1, "ct"),), False, "size", _APPAREL),
)  # fmt: skip
CATEGORIES = tuple(sorted({kind.category for kind in KINDS}))

PRAISE = {
    1: ("Awful {noun}, I threw it away.", "Terrible. Would not buy this {noun} again."),
    2: ("Disappointing {noun}, bland and overpriced.", "Not good. Poor quality for the price."),
    3: ("Okay {noun}, nothing special.", "Average, it does the job."),
    4: ("Good {noun}, we like it.", "Nice quality, I would buy it again."),
    5: ("Excellent {noun}, the best we have had!", "Love it. Great taste and great value."),
}  # fmt: skip


def attributes_of(kind: Kind, random: np.random.Generator) -> dict[str, object]:
    """Draw one product's attributes: flavour and diet where the kind has them, and a size."""
    value, unit = kind.size[random.integers(len(kind.size))]
    chosen: dict[str, object] = {
        "size": f"{value:g} {'count' if unit == 'ct' else unit}",
        "size_value": float(value),
        "size_unit": unit,
    }
    if kind.flavours and random.random() < 0.8:
        chosen["flavour"] = kind.flavours[random.integers(len(kind.flavours))]
    if kind.diets and random.random() < 0.4:
        chosen["diet"] = kind.diets[random.integers(len(kind.diets))]
    return chosen


def title_of(kind: Kind, brand: str, chosen: dict[str, object]) -> str:
    """Word the title: brand, diet, flavour, noun, size."""
    words = [brand, chosen.get("diet"), chosen.get("flavour"), kind.noun]
    return " ".join(str(w) for w in words if w) + f", {chosen['size']}"
