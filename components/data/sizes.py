"""Package sizes as tills print them, read into a text a shopper understands, a value and a unit.

In: strings such as `12 OZ`, `6 PK/12 OZ`, `10 1/2 OZ`, `P 16 OZ`, `GAL`. Out: `Size`. Codes that no
shopper could read (`522797 CTN`) give an empty size; nothing is guessed.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

UNITS = {
    "OZ": "oz", "OZS": "oz", "Z": "oz", "REC OZ": "oz", "FL OZ": "fl oz",
    "LB": "lb", "LBS": "lb", "G": "g", "GM": "g", "MG": "mg",
    "L": "l", "LT": "l", "ML": "ml", "QT": "qt", "PT": "pt", "PTS": "pt",
    "GAL": "gal", "GA": "gal", "GALON": "gal", "CT": "ct", "PC": "ct", "PCS": "ct", "CARD": "ct",
    "PK": "ct", "P": "ct", "IN": "in", "FT": "ft", "YD": "yd", "CM": "cm", "MM": "mm",
    "SQ FT": "sq ft", "CU FT": "cu ft", "LOAD": "loads", "LOADS": "loads", "LD": "loads",
    "LDS": "loads", "USE": "uses", "USES": "uses", "STEM": "stems", "STEMS": "stems",
    "DZ": "dozen", "DOZ": "dozen", "DZN": "dozen", "SHEET": "sheets", "SHEETS": "sheets",
    "ROLL": "rolls", "ROLLS": "rolls", "CUP": "cups", "CUPS": "cups", "CP": "cups",
    "PAIR": "pairs", "PADS": "ct", "SLICE": "slices", "SPOONS": "ct", "STRIPS": "ct", "PLY": "ply",
}  # fmt: skip
ALONE = {"GAL": "1 GAL", "HALF GAL": "1/2 GAL", "QT": "1 QT", "PT": "1 PT", "LB": "1 LB",
         "DZ": "1 DZ", "DOZ": "1 DZ"}  # fmt: skip
NAMED = {
    "LARGE": "large", "L": "large", "LG": "large", "MEDIUM": "medium", "MED": "medium",
    "SMALL": "small", "SML": "small", "SM": "small", "X-LARGE": "extra large", "XL": "extra large",
    "MINI": "mini", "TALL": "tall", "KING": "king", "QUEEN": "queen", "ONE SIZE": "one size",
}  # fmt: skip
COUNTED = ("loads", "uses", "stems", "sheets", "rolls", "cups", "pairs", "slices")
WEIGHTS = ("oz", "fl oz", "lb", "g", "mg", "l", "ml", "qt", "pt", "gal")
# Text before a number: till codes, never part of the size.
_LEAD = re.compile(r"^(?:[A-Z]{1,3}|A D|B D|KIOSK|SNGAL|EACH)\s*(?=[\d.])")
_CODE = re.compile(r"\b\d{5,}\b|(?<= )0\d{2,3}\b")
_NUMBER = r"(?:\d+ \d+/\d+|\d+/\d+|\d*\.\d+|\d+)"
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_PART = re.compile(rf"(?P<number>{_NUMBER})[ -]?(?P<unit>{_UNIT})(?![A-Z])")
_PACK_OF = re.compile(
    rf"^(?P<pack>\d+)(?: ?(?:PK|P) ?[/-]? ?| ?[/-] ?)(?P<rest>{_NUMBER} ?(?:{_UNIT}))(?![A-Z])"
)
_RANGE = re.compile(r"^(?P<low>\d+) ?[-/] ?(?P<high>\d+) (?P<unit>CT|LB)\b")
_FLAT = re.compile(
    rf"(?P<a>{_NUMBER}) ?(?:IN)? ?X ?(?P<b>{_NUMBER})(?: ?X ?(?P<c>{_NUMBER}))?"
    r" ?(?P<unit>IN|FT|YD|CM)"
)
CONTAINERS = {
    "CAN": "can", "CN": "can", "BTL": "bottle", "NR": "bottle", "LNNR": "bottle", "PET": "bottle",
    "PLST": "bottle", "BAG": "bag", "BIG BG": "bag", "BOX": "box", "JAR": "jar", "TRAY": "tray",
    "POUCH": "pouch", "AERO": "spray can",
}  # fmt: skip
_CONTAINER = re.compile(rf" (?P<kind>{'|'.join(CONTAINERS)})$")
_DIAPER = re.compile(r"^(\d+) CT/SZ (\d+)$")


@dataclass(frozen=True)
class Size:
    """A size in words; value and unit where it is a measure; pack where several are sold as one."""

    text: str = ""
    value: float | None = None
    unit: str | None = None
    pack: int | None = None


def parse_size(raw: str | None) -> Size:
    """Read one package size.

    >>> parse_size("12 OZ").text, parse_size("6 PK/12 OZ").text, parse_size("10 1/2 OZ").value
    ('12 oz', '6 x 12 oz', 10.5)
    >>> parse_size("522797 CTN")
    Size(text='', value=None, unit=None, pack=None)
    """
    text = re.sub(r"\s+", " ", (raw or "").upper().replace("_", " ")).strip().rstrip(".")
    text = ALONE.get(text, text)
    if text in NAMED:
        return Size(text=NAMED[text])
    text = re.sub(r"\([^)]*\)?", "", _CODE.sub("", text)).strip()
    text = _LEAD.sub("", text)
    if diaper := _DIAPER.match(text):
        return Size(f"size {diaper[2]}, {diaper[1]} count", float(diaper[1]), "ct")
    if flat := _FLAT.search(text):
        sides = [_plain(_number(flat[s])) for s in "abc" if flat[s]]
        return Size(f"{' x '.join(sides)} {UNITS[flat['unit']]}")
    ranged = _RANGE.match(text)
    if ranged and int(ranged["low"]) < int(ranged["high"]) <= 2 * int(ranged["low"]):
        unit = "count" if ranged["unit"] == "CT" else "lb"
        return Size(f"{ranged['low']}-{ranged['high']} {unit}")
    packed = _PACK_OF.match(text)
    if packed and not _is_fraction(text):
        piece = _part(_PART.match(packed["rest"]))
        pack = int(packed["pack"])
        if piece.unit in WEIGHTS and pack > 1:
            return Size(f"{pack} x {piece.text}", piece.value, piece.unit, pack)
    parts = [_part(match) for match in _PART.finditer(text)][:2]
    size = _together([part for part in parts if part.value])
    if (container := _CONTAINER.search(text)) and size.text:
        return replace(size, text=f"{size.text} {CONTAINERS[container['kind']]}")
    return size


def _together(parts: list[Size]) -> Size:
    """Word one or two measures of one package; of two, the weight is what it is compared by."""
    if not parts:
        return Size()
    if len(parts) == 1:
        return parts[0]
    first, second = parts
    if {first.unit, second.unit} == {"oz", "lb"} and first.unit == "lb":
        pounds = float(first.value or 0) + float(second.value or 0) / 16
        return Size(f"{first.text} {second.text}", round(pounds, 4), "lb")
    if first.unit in WEIGHTS and second.unit in WEIGHTS:
        return first  # the same amount in two systems
    words = ", ".join(part.text for part in parts if part.text)
    counted = next((part for part in parts if part.unit == "ct"), None)
    pack = int(counted.value) if counted and counted.value and counted.value > 1 else None
    weight = next((part for part in parts if part.unit in WEIGHTS), None)
    main = weight or counted or first
    return Size(words, main.value, main.unit, pack if main is weight else None)


def _is_fraction(text: str) -> bool:
    """Tell `3/4 OZ` (a fraction) from `6/4 OZ` (six of four ounces)."""
    match = re.match(r"(?:\d+ )?(\d+)/(\d+) ", text)
    if match is None:
        return False
    a, b = int(match[1]), int(match[2])
    return a < b and gcd(a, b) == 1 and b in (2, 3, 4, 8, 16)


def _part(match: re.Match[str] | None) -> Size:
    if match is None:
        return Size()
    value, unit = _number(match["number"]), UNITS[match["unit"]]
    if unit == "dozen":
        return Size(f"{_plain(value * 12)} count", value * 12, "ct")
    if unit == "ct":
        return Size("" if value == 1 else f"{_plain(value)} count", value, unit)
    if unit in COUNTED and value == 1:
        return Size(f"1 {unit.removesuffix('s')}", value, unit)
    return Size(f"{_plain(value)} {unit}", round(value, 4), unit)


def _number(text: str) -> float:
    parts = [part for part in text.split() if not part.endswith("/0")]
    return float(sum(Fraction(part) for part in parts))


def _plain(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
