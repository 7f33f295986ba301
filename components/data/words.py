"""Words: the one way in which titles, queries, attribute values and filters are cut and compared.

Text goes in, folded and stemmed tokens come out, with their places in the original text when asked.
English gets a light plural stemmer, Chinese is segmented. Nothing here knows a catalogue; spelling
and meaning are the query parser's work.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:['’][^\W\d_{CJK}]+)?|[$€£¥￥%]")
_HAS_CJK = re.compile(f"[{CJK}]")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NUMBER_UNIT = re.compile(r"(\d+)([a-z]+)")

# One spelling per unit; the right-hand side is what titles and queries are both turned into.
UNITS: dict[str, str] = {
    **dict.fromkeys(("oz", "ounce", "ounces", "盎司"), "oz"),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds", "磅"), "lb"),
    **dict.fromkeys(("g", "gram", "grams", "gr", "gramme", "grammes", "克"), "g"),
    **dict.fromkeys(("kg", "kilo", "kilos", "kilogram", "kilograms", "公斤", "千克"), "kg"),
    **dict.fromkeys(("mg", "milligram", "milligrams", "毫克"), "mg"),
    **dict.fromkeys(("l", "liter", "liters", "litre", "litres", "ltr", "升"), "l"),
    **dict.fromkeys(("ml", "milliliter", "milliliters", "millilitre", "millilitres", "毫升"), "ml"),
    **dict.fromkeys(("gal", "gallon", "gallons", "加仑"), "gal"),
    **dict.fromkeys(("qt", "quart", "quarts"), "qt"),
    **dict.fromkeys(("pt", "pint", "pints"), "pt"),
    **dict.fromkeys(("ct", "count", "counts"), "ct"),
    **dict.fromkeys(("pk", "pack", "packs"), "pk"),
    **dict.fromkeys(("in", "inch", "inches", "英寸", "寸"), "in"),
    **dict.fromkeys(("ft", "foot", "feet", "英尺"), "ft"),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres", "厘米"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres", "毫米"), "mm"),
    **dict.fromkeys(("gb", "gigabyte", "gigabytes"), "gb"),
    **dict.fromkeys(("tb", "terabyte", "terabytes"), "tb"),
    **dict.fromkeys(("mb", "megabyte", "megabytes"), "mb"),
    **dict.fromkeys(("w", "watt", "watts", "瓦"), "w"),
    **dict.fromkeys(("v", "volt", "volts", "伏"), "v"),
    **dict.fromkeys(("mah",), "mah"),
    **dict.fromkeys(("ghz", "gigahertz"), "ghz"),
    **dict.fromkeys(("hz", "hertz"), "hz"),
}
_GLUED_UNITS = frozenset(u for u in UNITS if u.isascii() and u not in ("pt", "ft"))
_IRREGULAR_PAIRS = """
shoes:shoe mice:mouse knives:knife leaves:leaf loaves:loaf feet:foot men:man women:woman
children:child teeth:tooth halves:half movies:movie cookies:cookie brownies:brownie
smoothies:smoothie pies:pie ties:tie hoodies:hoodie selfies:selfie calories:calorie
species:species series:series gps:gps lens:lens lenses:lens news:news always:always
swiss:swiss its:its his:his has:has was:was plus:plus ios:ios caches:cache
headaches:headache aches:ache toothaches:toothache axes:axe veggies:veggie wedgies:wedgie
berries:berry candies:candy quiches:quiche
"""
_IRREGULAR = {p.partition(":")[0]: p.partition(":")[2] for p in _IRREGULAR_PAIRS.split()}


class Token(NamedTuple):
    """One token: its folded form, its stem, and where it stood in the original text."""

    text: str
    stem: str
    start: int
    end: int


def fold(text: str) -> str:
    """Return `text` in one Unicode form: compatibility-composed, lower case, accents removed.

    >>> fold("Crème Brûlée ＡＢＣ")
    'creme brulee abc'
    """
    if text.isascii():
        return text.lower()
    text = text.replace("®", " ").replace("™", " ").replace("©", " ")
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize(
        "NFC", "".join(c for c in decomposed if not unicodedata.combining(c))
    )


def has_chinese(text: str) -> bool:
    """Say whether `text` holds a Han character."""
    return _HAS_CJK.search(text) is not None


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Strip an English plural; all else stays, so that a stem is nearly always a word.

    >>> [stem(w) for w in ("batteries", "switches", "boxes", "glass", "headphones", "gps", "15s")]
    ['battery', 'switch', 'box', 'glass', 'headphone', 'gps', '15s']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or not word.isalpha():
        return word
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
        return word[:-2]
    if word.endswith("oes") and len(word) > 5:
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    """Load the Chinese segmenter once; its dictionary takes about a second."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba.Tokenizer()


def segment_chinese(text: str) -> list[tuple[str, int, int]]:
    """Cut a run of Han characters into words with their places.

    >>> [word for word, _, _ in segment_chinese("巧克力牛奶")]
    ['巧克力', '牛奶']
    """
    return [(w, start, end) for w, start, end in _segmenter().tokenize(text) if w.strip()]


def tokens(text: str, *, split_units: bool = True) -> list[Token]:
    """Cut text into tokens with their places in it.

    A number glued to a unit is two tokens (`12oz` is `12`, `oz`); a model number stays whole
    (`ps4`); a hyphen or slash parts words. Currency and percent signs are tokens of their own.

    Args:
        text: anything a person or a catalogue wrote.
        split_units: part a number from the unit written onto it.

    >>> [t.stem for t in tokens("2 Batteries, 12oz")]
    ['2', 'battery', '12', 'oz']
    """
    found: list[Token] = []
    for match in _PIECE.finditer(text):
        piece, start, end = match.group(), match.start(), match.end()
        if _HAS_CJK.match(piece):
            found.extend(Token(w, w, start + a, start + b) for w, a, b in segment_chinese(piece))
            continue
        folded = fold(piece).strip()
        if folded.endswith(("'s", "’s")):
            folded = folded[:-2]
        folded = folded.replace("'", "").replace("’", "")
        if not folded:
            continue
        glued = _NUMBER_UNIT.fullmatch(folded) if split_units and folded[0].isdigit() else None
        if glued is not None and glued.group(2) in _GLUED_UNITS:
            middle = start + len(glued.group(1))
            unit = UNITS[glued.group(2)]
            found.append(Token(glued.group(1), glued.group(1), start, middle))
            found.append(Token(unit, unit, middle, end))
            continue
        for part in folded.split():
            found.append(Token(part, stem(part), start, end))
    return found


_FAST = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def stems(text: str) -> list[str]:
    """Return the stems of a text in order; the fast path for building an index.

    >>> stems("Kids' Cereals, 12oz")
    ['kid', 'cereal', '12', 'oz']
    """
    return list(_stems(text)) if len(text) <= 100 else list(_stems.__wrapped__(text))


@lru_cache(maxsize=50_000)  # brands, types and categories are cut again and again
def _stems(text: str) -> tuple[str, ...]:
    if not text.isascii():
        return tuple(t.stem for t in tokens(text) if t.text not in "$€£¥￥%")
    found: list[str] = []
    for word in _FAST.findall(text.lower()):
        if "'" in word:
            word = word[:-2] if word.endswith("'s") else word.replace("'", "")
        if word[0].isdigit() and not word.isdigit():
            glued = _NUMBER_UNIT.fullmatch(word)
            if glued is not None and glued.group(2) in _GLUED_UNITS:
                found.append(glued.group(1))
                found.append(UNITS[glued.group(2)])
                continue
        found.append(stem(word))
    return tuple(found)


def key(value: object) -> str:
    """Return the form in which an attribute value, brand or category is compared.

    Case, accents, punctuation, plurals and unit spellings do not matter; `True` equals `"true"`
    and `16` equals `16.0`.

    >>> key("Kid's Cereals"), key(True), key(16.0), key("12 Ounces")
    ('kid cereal', 'true', '16', '12 oz')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = str(value)
    words = stems(text)
    if not words:
        return fold(text).strip()
    numeric = _NUMBER.fullmatch(text.strip())
    if numeric is not None and "." in text:
        return key(float(text.replace(",", "")))
    return " ".join(UNITS.get(word, word) for word in words)


def values_of(value: object) -> list[str]:
    """Return the comparison keys of one attribute value, which may be a list."""
    if value is None:
        return []
    if isinstance(value, list | tuple | set | frozenset):
        return [key(v) for v in value if v is not None]
    return [key(value)]


def ngrams(words: list[str], longest: int) -> Iterable[tuple[int, int, str]]:
    """Yield (start, end, phrase) for all runs of up to `longest` words, longer ones first.

    >>> [p for _, _, p in ngrams(["a", "b"], 2)]
    ['a b', 'a', 'b']
    """
    for size in range(min(longest, len(words)), 0, -1):
        for start in range(len(words) - size + 1):
            yield start, start + size, " ".join(words[start : start + size])
