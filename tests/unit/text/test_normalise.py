import pytest

from components.text.normalise import normalise, singular, sizes, tokens, without_accents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 oz", [("mass", 340.194)]),
        ("12OZ", [("mass", 340.194)]),
        ("64 fl. oz", [("volume", 1892.706)]),
        ("6x330ml", [("volume", 1980.0)]),
        ("1,5 l", [("volume", 1500.0)]),
        ("2 litres of milk", [("volume", 2000.0)]),
        ("24 ct", [("count", 24.0)]),
        ("2 dozen eggs", [("count", 24.0)]),
        ("500克", [("mass", 500.0)]),
        ("1/0 lb", []),
        ("in 7 days", []),
        ("iphone 12 pro", []),
        ("", []),
    ],
)
def test_sizes_by_hand(text, expected):
    assert [(s.dimension, round(s.amount, 3)) for s in sizes(text)] == expected


def test_size_names_its_place():
    (size,) = sizes("milk 12 oz cold")
    assert "milk 12 oz cold"[size.start : size.end] == "12 oz"


@pytest.mark.parametrize(
    ("many", "one"),
    [("cookies", "cookie"), ("dishes", "dish"), ("buses", "buse"), ("bass", "bass"), ("tv", "tv")],
)
def test_singular(many, one):
    assert singular(many) == one


@pytest.mark.parametrize("text", ["Ｃafé  Crème", "jalapeño—hot", "牛奶 2升", "ﬁne", "ß"])
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)
    assert tokens(normalise(text)) == tokens(text)
    assert without_accents(without_accents(text)) == without_accents(text)
