import pytest

from components.contracts.messages import Filters
from components.contracts.records import Product, Variant
from components.data.filters import FilterTable, attribute_name, matches


def variant(name, price, stock=1, **options):
    return Variant(variant_id=name, price_minor=price, stock=stock, options=options)


SHIRT = Product(
    product_id="shirt",
    title="Cotton shirt",
    brand="Nord",
    type="Shirt",
    category=("Clothes", "Shirts"),
    attributes={"material": "cotton", "organic": True, "colour": "white"},
    rating=4.0,
    price_minor=1000,
    variants=(
        variant("a", 1000, color="red", size="M"),
        variant("b", 2000, 0, color="blue", size="L"),
    ),
)
NUTS = Product(product_id="nuts", title="Mixed nuts", price_minor=500, list_price_minor=600)
FREE = Product(product_id="free", title="A thing without price", available=False)
TABLE = FilterTable.from_products([SHIRT, NUTS, FREE], promoted={"shirt"})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), {"shirt", "nuts", "free"}),
        (Filters(price_max=999), {"nuts"}),
        (Filters(price_min=1500), {"shirt"}),
        (Filters(price_min=1500, attributes={"color": ("red",)}), set()),  # no ONE variant has both
        (Filters(attributes={"colour": ("blue",)}, in_stock=True), set()),
        (Filters(attributes={"colour": ("white",)}), set()),  # the variants' colours decide
        (Filters(attributes={"material": ("Cotton",)}), {"shirt"}),
        (Filters(attributes={"organic": ("true",)}), {"shirt"}),
        (Filters(in_stock=True), {"shirt", "nuts"}),
        (Filters(in_stock=False), {"shirt", "free"}),
        (Filters(min_rating=4.0), {"shirt"}),
        (Filters(min_rating=4.1), set()),
        (Filters(promotion=True), {"shirt", "nuts"}),
        (Filters(promotion=False), {"free"}),
        (Filters(category=("shirts",)), {"shirt"}),
        (Filters(category=("Clothes > Shirts",)), {"shirt"}),
        (Filters(terms=("nut",)), {"nuts"}),
        (Filters(terms=("mixed nuts",)), {"nuts"}),
        (Filters(exclude={"terms": ("nuts",)}), {"shirt", "free"}),
        (Filters(exclude={"brand": ("NORD",)}), {"nuts", "free"}),
        (Filters(exclude={"color": ("red",)}), {"shirt", "nuts", "free"}),  # the blue variant stays
        (Filters(exclude={"color": ("red",)}, in_stock=True), {"nuts"}),
        (Filters(exclude={"material": ("cotton",)}), {"nuts", "free"}),
        (Filters(price_max=10_000, currency="EUR"), set()),
    ],
)
def test_mask_agrees_with_the_rule_worked_by_hand(filters, expected):
    assert set(TABLE.allowed_ids(filters)) == expected
    by_one = {p.product_id for p in (SHIRT, NUTS, FREE) if matches(p, filters, promoted={"shirt"})}
    assert by_one == expected


def test_an_upsert_makes_a_new_snapshot_and_leaves_the_old_one():
    newer = TABLE.with_products([NUTS.model_copy(update={"price_minor": 5000})])
    assert newer.allowed_ids(Filters(price_max=999)) == []
    assert TABLE.allowed_ids(Filters(price_max=999)) == ["nuts"]
    assert len(newer) == 4
    assert int(newer.alive.sum()) == 3
    assert newer.row_of["nuts"] == 3


def test_many_small_upserts_answer_like_one_table():
    products = [
        NUTS.model_copy(update={"product_id": f"p{n}", "price_minor": n}) for n in range(60)
    ]
    table = FilterTable()
    for product in products:
        table = table.with_products([product])
    whole = FilterTable.from_products(products)
    for limit in (0, 7, 59):
        wanted = Filters(price_max=limit)
        assert table.allowed_ids(wanted) == whole.allowed_ids(wanted)
    assert len(table.segments) < 20


def test_facets_count_products_not_variants():
    counts = TABLE.facet("colour", TABLE.mask(None))
    assert counts == {"white": 1, "red": 1, "blue": 1}
    assert TABLE.facet("brand", TABLE.mask(None)) == {"nord": 1}


def test_attribute_names_compare_without_spelling():
    assert attribute_name("Color") == attribute_name("colour") == "colour"
