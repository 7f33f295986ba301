"""Titles a shopper reads: a reviewed list of real rows, sizes as tills print them, stated facts."""

import re
from pathlib import Path

import pytest

from components.data.sizes import parse_size
from components.data.titles import compose, read_words, spell_out, stated

GOLDEN = Path(__file__).parents[2] / "golden" / "titles.tsv"
ROWS = [line.split("\t") for line in GOLDEN.read_text(encoding="utf-8").splitlines()[1:]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[5])
def test_reviewed_titles(row):
    department, brand, category, type_, size, title, path = row
    texts = compose(department, brand, category, type_ or None, size or None)
    assert texts.title == title
    assert " > ".join(texts.category) == path


def test_enough_titles_are_reviewed():
    assert len(ROWS) >= 60


@pytest.mark.parametrize(
    ("raw", "text", "value", "unit", "pack"),
    [
        ("12 OZ", "12 oz", 12.0, "oz", None),
        (".75 OZ", "0.75 oz", 0.75, "oz", None),
        ("6/4 OZ", "6 x 4 oz", 4.0, "oz", 6),
        ("3/4 OZ", "0.75 oz", 0.75, "oz", None),
        ("10 1/2 OZ", "10.5 oz", 10.5, "oz", None),
        ("P    16 OZ", "16 oz", 16.0, "oz", None),
        ("12 PK/12 OZ", "12 x 12 oz", 12.0, "oz", 12),
        ("12 OZ/12 PK", "12 oz, 12 count", 12.0, "oz", 12),
        ("8 LB 3 OZ", "8 lb 3 oz", 8.1875, "lb", None),
        ("GAL", "1 gal", 1.0, "gal", None),
        ("1 DZ", "12 count", 12.0, "ct", None),
        ("42-48 CT", "42-48 count", None, None, None),
        ("30 X15 IN", "30 x 15 in", None, None, None),
        ("22 CT/SZ 5", "size 5, 22 count", 22.0, "ct", None),
        ("16 OZ BTL", "16 oz bottle", 16.0, "oz", None),
        ("522797 CTN", "", None, None, None),
        ("1 CT", "", 1.0, "ct", None),
        (None, "", None, None, None),
    ],
)
def test_sizes(raw, text, value, unit, pack):
    size = parse_size(raw)
    assert (size.text, size.value, size.unit, size.pack) == (text, value, unit, pack)


@pytest.mark.parametrize(
    ("type_", "category", "expected"),
    [
        ("CANDY BAGS-NON CHOCOLATE", "CANDY - PACKAGED", {}),
        ("CANDY BAGS-CHOCOCLATE", "CANDY - PACKAGED", {"flavour": "chocolate"}),
        ("CARROTS", "ORGANICS FRUIT & VEGETABLES", {"diet": "organic"}),
        ("PIZZA/PREMIUM", "FROZEN PIZZA", {"form": "frozen"}),
        ("CREAM CHEESE", "CHEESE", {}),
        ("VITAMIN - NON HERBAL SUPPLEMEN", "VITAMINS", {}),
    ],
)
def test_only_stated_facts_become_attributes(type_, category, expected):
    assert stated(type_, category) == expected


def test_a_type_no_line_covers_is_spelled_out():
    assert spell_out("FRZN CHOC PIE(EX:MINI", read_words().words) == "Frozen chocolate pie"
    assert spell_out("CHILDREN S MUSICAL TOYS", read_words().words) == "Children's musical toys"


def test_brand_kind_shows_only_the_stores_own():
    own = compose("GROCERY", "Private", "FROZEN PIZZA", "PIZZA/PREMIUM", "12 OZ")
    other = compose("GROCERY", "National", "FROZEN PIZZA", "PIZZA/PREMIUM", "12 OZ")
    assert own.title == "Premium frozen pizza, 12 oz (store brand)"
    assert own.brand == "Store brand"
    assert other.title == "Premium frozen pizza, 12 oz"
    assert other.brand is None
    assert "National" not in other.title


def test_produce_hides_the_crate():
    assert compose("PRODUCE", "National", "TROPICAL FRUIT", "BANANAS", "40 LB").title == "Bananas"
    bag = compose("PRODUCE", "National", "POTATOES", "POTATOES RUSSET (BULK&BAG)", "5 LB BAG")
    assert bag.title == "Russet potatoes, 5 lb bag"


def test_table_has_no_till_words_on_the_human_side():
    words = read_words()
    human = [*words.types.values(), *(path for path, _ in words.categories.values())]
    shouting = [text for text in human if re.search(r"\b[A-Z]{4,}\b", text)]
    assert not shouting
    assert not [text for text in human if re.search(r"\b(FRZN|PWDR|W/|MISC)\b", text)]
