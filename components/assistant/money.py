"""Money in words: amounts read from a message, converted, and written back.

Amounts are integers in minor units. An amount in another currency is converted with the shop's
rates (units per 1 of the shop's currency); a currency without a rate is reported, never guessed.
"""

# ruff: noqa: E501  (patterns)

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "HUF": 2, "KWD": 3, "BHD": 3}
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "CNY": "¥", "JPY": "¥"}
LARGEST_MINOR = 10**11
_NAMES = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR", "$": "USD", "usd": "USD", "us$": "USD",
    "dollar": "USD", "dollars": "USD", "bucks": "USD", "buck": "USD", "£": "GBP", "gbp": "GBP",
    "pound": "GBP", "pounds": "GBP", "quid": "GBP", "cny": "CNY", "rmb": "CNY", "yuan": "CNY",
    "renminbi": "CNY", "kuai": "CNY", "jpy": "JPY", "yen": "JPY", "chf": "CHF", "franc": "CHF",
    "francs": "CHF", "sek": "SEK", "nok": "NOK", "dkk": "DKK", "pln": "PLN", "krw": "KRW", "won": "KRW",
    "inr": "INR", "rupee": "INR", "rupees": "INR", "aud": "AUD", "cad": "CAD", "hkd": "HKD", "try": "TRY",
    "czk": "CZK", "huf": "HUF", "brl": "BRL", "mxn": "MXN", "zar": "ZAR", "sgd": "SGD", "twd": "TWD",
}  # fmt: skip
_WORD_CURRENCY = "|".join(
    sorted((k for k in _NAMES if k.isalpha() and k != "try"), key=lambda k: (-len(k), k))
)
_CUR = rf"(?:us\$|[€$£¥]|(?:{_WORD_CURRENCY})\b)"
_NUM = r"\d{1,60}(?:[.,]\d{1,3})*(?![.,]?\d)(?:\s?k\b)?"


def _amount(n: int) -> str:
    return rf"(?P<c{n}>{_CUR})?\s*(?P<n{n}>(?<![\w.,]){_NUM})\s*(?P<d{n}>{_CUR}|(?:,-))?"


_MAX_WORDS = (
    r"under|below|less than|lower than|cheaper than|up to|upto|at most|at the most|no more than|not more than|not over|"
    r"not above|no higher than|within|inside|max(?:imum)?(?: price)?(?: of| is)?|beneath|<=?|not exceeding|"
    r"don't want to (?:spend|pay) (?:more|over) than|can't (?:spend|pay|go) (?:more than|over|above)|"
    r"(?:my )?(?:budget|limit)(?: is| of|:| would be| will be| around)?(?: only| about)?|spend(?:ing)?(?: up to| only| max| at most)?|"
    r"(?:have|got)(?: only| just| about)?|capped? at|limit(?:ed)? to|tops|for less than|for under|not (?:to )?cost more than|costing less than"
)
_MIN_WORDS = r"over|above|more than|at least|from|starting (?:at|from)|min(?:imum)?(?: of| is)?|no less than|not less than|not under|not below|upwards of|exceeding|>=?|dearer than|higher than|pricier than"
_ABOUT_WORDS = r"around|about|roughly|approximately|approx\.?|circa|near|close to|~|in the region of|in the range of"
_UNITS_AFTER = (
    r"(?!\s*(?:%|percent|stars?\b|hours?\b|hrs?\b|h\b|inch(?:es)?\b|\"|l\b|lit(?:er|re)s?\b|ml\b|g\b|kg\b|grams?\b|oz\b|ounces?\b|lbs?\b|"
    r"cm\b|mm\b|gb\b|tb\b|w\b|watts?\b|mah\b|cups?\b|pieces?\b|items?\b|pairs?\b|people\b|persons?\b|guests?\b|days?\b|weeks?\b|months?\b|years?\b|yrs?\b|minutes?\b|"
    r"pages?\b|reviews?\b|ratings?\b|settings?\b|of (?:the|them|these|those|it)\b|more\b|out of\b|mp\b|megapixels?\b|hz\b|ct\b|count\b|pack\b|feet\b|ft\b|gallons?\b|kcal\b|calories\b))"
)
_RANGE = re.compile(
    rf"(?:between|from|price range(?: of)?|in the range(?: of)?)?\s*{_amount(1)}\s*(?:and|to|-|–|~)\s*{_amount(2)}{_UNITS_AFTER}"
)
_UPPER = re.compile(
    rf"(?<![a-z])(?P<w>{_MAX_WORDS})\s*(?:the |a |about |around |only |just |total |price |of |is )*{_amount(1)}{_UNITS_AFTER}"
)
_LOWER = re.compile(rf"(?<![a-z])(?P<w>{_MIN_WORDS})\s*{_amount(1)}{_UNITS_AFTER}")
_ABOUT = re.compile(rf"(?<![a-z])(?P<w>{_ABOUT_WORDS})\s*{_amount(1)}{_UNITS_AFTER}")
_POST_MAX = re.compile(
    rf"{_amount(1)}\s*(?:or (?:less|under|below|cheaper)|and (?:under|below)|max(?:imum)?\b|tops\b|at (?:the )?most|budget\b|limit\b|total\b|in total\b|all in\b|altogether\b)"
)
_POST_MIN = re.compile(rf"{_amount(1)}\s*(?:or (?:more|above|over)|and (?:up|above|over)|\+)")
_PLAIN = re.compile(_amount(1))
_RATING_BEFORE = re.compile(
    r"(?:rat(?:ed|ing|ings)|stars?|score[ds]?|reviewed)\s*(?:of|is|are|at|being)?\s*$"
)


@dataclass(frozen=True)
class Amount:
    """A price limit read from a message, in minor units of the shop's currency."""

    low_minor: int | None
    high_minor: int | None
    start: int
    end: int
    currency: str | None
    approximate: bool = False


@dataclass(frozen=True)
class MoneyReading:
    """All limits found, and currencies that have no rate here."""

    amounts: tuple[Amount, ...]
    unknown_currencies: tuple[str, ...] = ()


def exponent(currency: str) -> int:
    """Return how many decimal places a currency's minor unit has."""
    return EXPONENTS.get(currency, 2)


def number_in(text: str) -> Decimal | None:
    """Read a number as people write it; None if it is too large or none.

    >>> [str(number_in(t)) for t in ("1,000", "49,99", "1.000,50", "1.5k", "89.90")]
    ['1000', '49.99', '1000.50', '1500.0', '89.90']
    """
    text = text.strip().replace(" ", "")
    factor = Decimal(1)
    if text.endswith("k"):
        factor, text = Decimal(1000), text[:-1]
    if "," in text and "." in text:
        text = (
            text.replace(",", "")
            if text.rfind(".") > text.rfind(",")
            else text.replace(".", "").replace(",", ".")
        )
    elif text.count(",") >= 1:
        head, _, tail = text.rpartition(",")
        text = text.replace(",", "") if len(tail) == 3 or "," in head else f"{head}.{tail}"
    elif text.count(".") > 1 or (text.count(".") == 1 and len(text.partition(".")[2]) == 3):
        text = text.replace(".", "")
    try:
        value = Decimal(text) * factor
    except InvalidOperation:
        return None
    return value if value < Decimal(10) ** 10 else None


def to_home(
    value: Decimal, currency: str | None, home: str, rates: Mapping[str, str | float | Decimal]
) -> int | None:
    """Convert an amount to minor units of the shop's currency; None without a rate.

    >>> to_home(Decimal(110), "USD", "EUR", {"USD": "1.10"})
    10000
    """
    source = currency or home
    if source != home:
        rate = rates.get(source)
        if rate is None or not Decimal(str(rate)) > 0:
            return None
        value = value / Decimal(str(rate)) * Decimal(str(rates.get(home, 1)))
    minor = (value * 10 ** exponent(home)).quantize(Decimal(1), ROUND_HALF_UP)
    return int(minor) if minor <= LARGEST_MINOR else LARGEST_MINOR


def _currency(
    match: re.Match[str], n: int, chinese: bool, rates: Mapping[str, object]
) -> str | None:
    for name in (match.group(f"c{n}"), match.group(f"d{n}")):
        if not name or name == ",-":
            continue
        if name == "¥":
            return "CNY" if chinese or "JPY" not in rates else "JPY"
        return _NAMES[name]
    return None


def read_money(
    text: str, *, home: str, rates: Mapping[str, str | float | Decimal], chinese: bool = False
) -> MoneyReading:
    """Find price limits in a glossed message.

    Args:
        text: lower case, words for numbers already in digits.
        home: the shop's currency.
        rates: units per 1 of the shop's currency.
        chinese: whether the original message was Chinese, where a bare yuan sign is CNY.

    >>> r = read_money("shoes between 20 and 40 euros", home="EUR", rates={})
    >>> (r.amounts[0].low_minor, r.amounts[0].high_minor)
    (2000, 4000)
    """
    found: list[Amount] = []
    unknown: list[str] = []

    def free(match: re.Match[str]) -> bool:
        return not any(match.start() < a.end and a.start < match.end() for a in found)

    def amount(
        match: re.Match[str], n: int, fallback: str | None = None
    ) -> tuple[int | None, str | None]:
        value = number_in(match.group(f"n{n}"))
        currency = _currency(match, n, chinese, rates) or fallback
        if value is None:
            return None, currency
        minor = to_home(value, currency, home, rates)
        if minor is None and currency is not None and currency not in unknown:
            unknown.append(currency)
        return minor, currency

    def near_rating(match: re.Match[str]) -> bool:
        return _RATING_BEFORE.search(text[max(0, match.start() - 20) : match.start()]) is not None

    for match in _RANGE.finditer(text):
        low_cur, high_cur = _currency(match, 1, chinese, rates), _currency(match, 2, chinese, rates)
        lead = text[max(0, match.start() - 1) : match.end()].strip()
        if not (
            low_cur
            or high_cur
            or lead.startswith(("between", "from", "price range", "in the range"))
        ):
            continue
        if near_rating(match):
            continue
        low, _ = amount(match, 1, high_cur)
        high, currency = amount(match, 2, low_cur)
        if low is not None and high is not None:
            found.append(
                Amount(min(low, high), max(low, high), match.start(), match.end(), currency)
            )
    for pattern, kind in (
        (_POST_MAX, "max"),
        (_POST_MIN, "min"),
        (_UPPER, "max"),
        (_LOWER, "min"),
        (_ABOUT, "about"),
    ):
        for match in pattern.finditer(text):
            if not free(match) or near_rating(match):
                continue
            named = _currency(match, 1, chinese, rates)
            word = match.groupdict().get("w") or ""
            if named is None and (
                word in ("from", "have", "got", "about", "inside", "near", "max")
                or word.startswith(("have", "got"))
            ):
                continue
            if named is None and pattern is _POST_MIN:
                continue
            minor, currency = amount(match, 1)
            if minor is None:
                if currency in unknown:
                    found.append(Amount(None, None, match.start(), match.end(), currency))
                continue
            if kind == "max":
                found.append(Amount(None, minor, match.start(), match.end(), currency))
            elif kind == "min":
                found.append(Amount(minor, None, match.start(), match.end(), currency))
            else:
                found.append(
                    Amount(
                        minor * 8 // 10,
                        minor * 12 // 10,
                        match.start(),
                        match.end(),
                        currency,
                        True,
                    )
                )
    for match in _PLAIN.finditer(text):
        if not free(match) or _currency(match, 1, chinese, rates) is None:
            continue
        minor, currency = amount(match, 1)
        if minor is not None:
            found.append(Amount(None, minor, match.start(), match.end(), currency))
    return MoneyReading(tuple(sorted(found, key=lambda a: a.start)), tuple(unknown))


def money_text(minor: int, currency: str, locale: str = "en") -> str:
    """Write an amount for a reader.

    >>> money_text(129900, "EUR"), money_text(500, "JPY"), money_text(950, "CNY", "zh")
    ('€1,299.00', '¥500', '9.50 元')
    """
    places = exponent(currency)
    value = f"{Decimal(minor).scaleb(-places):,.{places}f}"
    if locale == "zh":
        unit = {"EUR": "欧元", "USD": "美元", "GBP": "英镑", "CNY": "元", "JPY": "日元"}.get(
            currency, currency
        )
        return f"{value} {unit}"
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{value}" if symbol else f"{value} {currency}"
