import numpy as np

from components.search.facets import MOST_VALUES, FacetCounter
from tests.unit.search.shop import product


def test_all_rows_found_are_counted_and_nothing_else():
    counter = FacetCounter()
    shelf = [
        product(
            f"p{n}",
            "tea",
            brand="Acme" if n % 3 else "Nord",
            category=("Drinks", "Tea"),
            attributes={"Colour": ["red", "red", "blue"] if n % 2 else "red", "note": "x" * 40},
        )
        for n in range(3000)
    ]
    counter.add(shelf[:10])
    counter.add(shelf[10:])
    found = {f.field: dict(f.values) for f in counter.count(np.arange(3000))}
    assert found == {
        "category": {"Tea": 3000},
        "brand": {"Acme": 2000, "Nord": 1000},
        "colour": {"red": 3000, "blue": 1500},
    }
    assert {f.field: dict(f.values) for f in counter.count(np.array([0, 6]))} == {
        "category": {"Tea": 2},
        "brand": {"Nord": 2},
    }
    assert counter.count(np.zeros(0, np.int64)) == ()


def test_the_commonest_values_come_first():
    counter = FacetCounter()
    counter.add([product(f"p{n}", "tea", brand=f"b{n % 40:02d}") for n in range(60)])
    (brand,) = counter.count(np.arange(60))
    assert len(brand.values) == MOST_VALUES
    assert brand.values[0] == ("b00", 2)
    assert [v for v, _ in brand.values] == sorted(v for v, _ in brand.values)
