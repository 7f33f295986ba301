"""Raw words to comparable words: Unicode, units, sizes, plurals.

In: what a shop or a visitor typed. Out: normal text, tokens, sizes in base units. It corrects no
spelling and knows no catalogue; `components.search.query` does that.
"""

import re
import unicodedata
from dataclasses import dataclass

_SPACES = re.compile(r"\s+")
_TOKEN = re.compile(r"[0-9]+(?:[.,][0-9]+)*|[^\W\d_]+(?:'[^\W\d_]+)?", re.UNICODE)
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_QUOTES = {ord("’"): "'", ord("‘"): "'", ord("“"): '"', ord("”"): '"', ord("´"): "'", ord("`"): "'"}
_TRANSLATION = {**_DASHES, **_QUOTES, ord("\u200b"): None, ord("\ufeff"): None, ord("\u00ad"): None}

# Written unit: (dimension, how many base units it holds). Base units: gram, millilitre, centimetre,
# piece. A bare "oz" is a mass here; "fl oz" is a volume.
UNITS: dict[str, tuple[str, float]] = {
    "g": ("mass", 1.0), "gr": ("mass", 1.0), "gram": ("mass", 1.0), "克": ("mass", 1.0),
    "kg": ("mass", 1000.0), "kilo": ("mass", 1000.0), "公斤": ("mass", 1000.0),
    "千克": ("mass", 1000.0), "mg": ("mass", 0.001), "oz": ("mass", 28.349523125),
    "ounce": ("mass", 28.349523125), "lb": ("mass", 453.59237), "pound": ("mass", 453.59237),
    "ml": ("volume", 1.0), "cl": ("volume", 10.0), "l": ("volume", 1000.0),
    "lt": ("volume", 1000.0), "ltr": ("volume", 1000.0), "liter": ("volume", 1000.0),
    "litre": ("volume", 1000.0), "毫升": ("volume", 1.0), "升": ("volume", 1000.0),
    "fl oz": ("volume", 29.5735295625), "floz": ("volume", 29.5735295625),
    "pt": ("volume", 473.176473), "pint": ("volume", 473.176473),
    "qt": ("volume", 946.352946), "quart": ("volume", 946.352946),
    "gal": ("volume", 3785.411784), "gallon": ("volume", 3785.411784),
    "mm": ("length", 0.1), "cm": ("length", 1.0), "m": ("length", 100.0),
    "in": ("length", 2.54), "inch": ("length", 2.54), "ft": ("length", 30.48),
    "foot": ("length", 30.48), "feet": ("length", 30.48), "yd": ("length", 91.44),
    "ct": ("count", 1.0), "count": ("count", 1.0), "pk": ("count", 1.0), "pack": ("count", 1.0),
    "pc": ("count", 1.0), "piece": ("count", 1.0), "roll": ("count", 1.0),
    "bag": ("count", 1.0), "can": ("count", 1.0), "sheet": ("count", 1.0),
    "dz": ("count", 12.0), "dozen": ("count", 12.0),
}  # fmt: skip
_UNIT_WORDS = "|".join(sorted((re.escape(u) for u in UNITS), key=len, reverse=True))
_SIZE = re.compile(
    rf"(?<![\w.])(?:(?P<many>\d+)\s*[x×]\s*)?(?P<amount>\d+(?:[.,]\d+)?(?:\s*/\s*\d+)?)[\s-]*"
    rf"(?P<unit>fl\.?\s*oz|(?:{_UNIT_WORDS})(?:e?s)?)\.?(?![^\W\d_])",
    re.IGNORECASE,
)
# Words whose last s is no plural, and plurals that no rule reaches.
_SINGULAR_KEPT = frozenset(
    (
        *(
            "always",
            "as",
            "asparagus",
            "bass",
            "canvas",
            "christmas",
            "citrus",
            "gas",
            "glass",
            "has",
        ),
        *("hummus", "is", "its", "lens", "less", "molasses", "news", "plus", "series", "species"),
        *("swiss", "this", "us", "was", "yes"),
    )
)
_SINGULAR_ODD = {
    "children": "child", "feet": "foot", "geese": "goose", "halves": "half", "knives": "knife",
    "leaves": "leaf", "loaves": "loaf", "men": "man", "mice": "mouse", "shelves": "shelf",
    "teeth": "tooth", "women": "woman", "wolves": "wolf", "cookies": "cookie",
    "brownies": "brownie", "smoothies": "smoothie", "movies": "movie", "ties": "tie",
    "pies": "pie", "shoes": "shoe",
    "caches": "cache", "avocados": "avocado",
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """An amount in base units: grams, millilitres, centimetres or pieces."""

    dimension: str
    amount: float
    start: int
    end: int


def normalise(text: str) -> str:
    """Return text in one Unicode form (NFKC), lower case, plain quotes and dashes, single spaces.

    >>> normalise("  Ｃａｆé—“Crème”  12 OZ ")
    'café-"crème" 12 oz'
    """
    folded = unicodedata.normalize("NFKC", text.translate(_TRANSLATION))
    return _SPACES.sub(" ", folded.translate(_TRANSLATION)).strip().casefold()


def without_accents(text: str) -> str:
    """Return text with Latin accents removed; other scripts stay as they are.

    >>> without_accents("jalapeño crème 奶油")
    'jalapeno creme 奶油'
    """
    split = unicodedata.normalize("NFD", text)
    return unicodedata.normalize(
        "NFC", "".join(c for c in split if unicodedata.category(c) != "Mn")
    )


def singular(word: str) -> str:
    """Return the singular of an English noun in lower case, by rule; other words are unchanged.

    It is consistent rather than a dictionary: what matters is that a query and a title agree.

    >>> [singular(w) for w in ("berries", "tomatoes", "boxes", "glass", "knives", "apples", "ties")]
    ['berry', 'tomato', 'box', 'glass', 'knife', 'apple', 'tie']
    """
    if word in _SINGULAR_ODD:
        return _SINGULAR_ODD[word]
    if len(word) <= 3 or not word.endswith("s") or word in _SINGULAR_KEPT:
        return word
    if word.endswith("'s"):
        return word[:-2]
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1]


def tokens(text: str) -> list[str]:
    """Return normalised words and numbers in order, nouns in the singular, accents removed.

    Runs of Chinese characters stay whole; segmentation belongs to the search.

    >>> tokens("Kids' Cereals, 12-oz boxes")
    ['kid', 'cereal', '12', 'oz', 'box']
    """
    return [singular(w) for w in _TOKEN.findall(without_accents(normalise(text)))]


def sizes(text: str) -> list[Size]:
    """Return every size in the text with its place there, in base units.

    Multipacks are multiplied out. A number without a unit is no size.

    >>> [(s.dimension, round(s.amount, 1)) for s in sizes("6 x 330 ml cola, 1/2 gal milk, 2 lbs")]
    [('volume', 1980.0), ('volume', 1892.7), ('mass', 907.2)]
    """
    found = []
    for match in _SIZE.finditer(text):
        written = re.sub(r"[\s.]+", " ", match["unit"].casefold()).strip()
        unit = UNITS.get(written)
        if unit is None and written.endswith("es"):
            unit = UNITS.get(written[:-2])
        if unit is None and written.endswith("s"):
            unit = UNITS.get(written[:-1])
        if unit is None and written.replace(" ", "") == "floz":
            unit = UNITS["fl oz"]
        if unit is None:
            continue
        top, _, bottom = match["amount"].replace(",", ".").partition("/")
        divisor = float(bottom) if bottom else 1.0
        if divisor == 0:
            continue
        amount = float(top) / divisor * unit[1] * float(match["many"] or 1)
        found.append(Size(unit[0], amount, match.start(), match.end()))
    return found
