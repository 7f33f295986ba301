import polars as pl

from components.contracts.records import Product
from components.text.texts import compose, product_text, product_texts, text_hash


def test_record_and_table_row_give_the_same_text():
    product = Product(
        product_id="1",
        title="Trail  shoe",
        description="Light and grippy.",
        brand="Acme",
        category=("Sport", "Shoes"),
        type="Running shoe",
        attributes={"colour": ["red", "blue"], "stock": "7", "waterproof": True, "weight": 3},
    )
    frame = pl.DataFrame(
        {
            "title": ["Trail  shoe"],
            "description": ["Light and grippy."],
            "brand": ["Acme"],
            "category": ["Sport > Shoes"],
            "type": ["Running shoe"],
            "attributes": [
                '{"colour": ["red", "blue"], "stock": "7", "waterproof": true, "weight": 3}'
            ],
        }
    )
    expected = "Trail shoe. Running shoe. Shoes. Sport. Acme. red. blue. Light and grippy."
    assert product_text(product) == expected
    assert product_texts(frame) == [expected]


def test_hash_ignores_spacing_and_width_but_not_words():
    assert text_hash("milk 1 l") == text_hash(" milk  １ l")
    assert text_hash("milk") != text_hash("Milk")
    assert len(compose("a", description="word " * 500)) <= 600
