"""Surface of a message: clean characters, one gloss for English and Chinese, tokens with stems.

A Chinese message is glossed word by word into the English that the rules read, so both languages
share one set of rules. What has no gloss stays as it is. Nothing here knows the catalogue.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from components.assistant.bilingual import CHINESE_PATTERNS, CHINESE_WORDS
from components.assistant.thesaurus import chinese_thing
from components.data.words import stem as singular

MAX_CHARACTERS = 2000
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\uffff]"
)
_COMBINING = re.compile("[\u0300-\u036f]{3,}")
_TAG = re.compile(r"<[^<>]{0,300}>")
_SCRIPT = re.compile(
    r"<(script|style|iframe|svg)\b[^>]{0,500}>.{0,4000}?</\1\s*>", re.IGNORECASE | re.DOTALL
)
_ADDRESS = re.compile(r"\S*://\S*|\bwww\.\S+", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]")
_LONE_HAN = re.compile(r"(?<![\u3400-\u9fff])[\u3400-\u9fff](?![\u3400-\u9fff])")
_TOKEN = re.compile(r"[a-z0-9]+(?:[.'][a-z0-9]+)*|[\u3400-\u9fff]+|[,;.!?:()&+/€$£¥%-]")
_DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_CHINESE_NUMBER = re.compile("[零〇一二两三四五六七八九十百千万]+")
NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20,
    "thirty": 30, "forty": 40,
    "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
    "dozen": 12,
}  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLINGS = {
    "colour": "color", "coloured": "colored", "grey": "gray", "jewellery": "jewelry",
    "cancelling": "canceling", "cancellation": "canceling", "litre": "liter", "fibre": "fiber",
    "flavour": "flavor", "favourite": "favorite", "yoghurt": "yogurt", "aluminium": "aluminum",
    "tyre": "tire", "organisation": "organization", "kilo": "kg", "pyjama": "pajama",
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """One word or mark of a glossed message; `start` and `end` are places in the gloss."""

    text: str
    stem: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether it is a word or a number rather than a mark."""
        return self.text[0].isalnum()


def clean(text: str) -> str:
    r"""Return the text without control, invisible, reversing and surrogate characters, bounded.

    >>> clean("a\u202eb\u0000  c")
    'ab c'
    """
    text = text[: MAX_CHARACTERS * 4]
    text = "".join(" " if "\ud800" <= ch <= "\udfff" else ch for ch in text)
    text = _COMBINING.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    return re.sub(r"\s+", " ", text).strip()[:MAX_CHARACTERS]


def without_markup(text: str) -> str:
    """Return the text with tags and their angle brackets taken out.

    >>> without_markup("<b>x</b> 1 < 2")
    'x 1 2'
    """
    return re.sub(r"\s+", " ", re.sub(r"[<>]", " ", _TAG.sub(" ", text))).strip()


def is_chinese(text: str) -> bool:
    """Return whether the text holds any Chinese character."""
    return _HAN.search(text) is not None


def chinese_number(text: str) -> int | None:
    """Read a Chinese numeral below 10^8; None if it is none.

    >>> chinese_number("两百五"), chinese_number("三千零二十"), chinese_number("十二")
    (250, 3020, 12)
    """
    if not text or any(ch not in _DIGITS and ch not in _UNITS for ch in text):
        return None
    total = section = digit = 0
    last_unit = 1
    for ch in text:
        if ch in _DIGITS:
            digit = _DIGITS[ch]
            if ch in "零〇":
                last_unit = 1
        elif ch == "万":
            total, section, digit = (total + section + digit) * 10_000, 0, 0
            last_unit = 10_000
        else:
            section += (digit or 1) * _UNITS[ch]
            last_unit, digit = _UNITS[ch], 0
    tail = digit * (last_unit // 10) if digit and last_unit >= 100 else digit
    return total + section + tail


@lru_cache(maxsize=16)
def _words_with(named: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {**CHINESE_WORDS, **dict(named)}


_LONGEST_CHINESE = 20


def _translated(text: str, words: Mapping[str, str]) -> str:
    """Replace Chinese words from left to right, the longest first; ours before the dictionary's.

    A word of the dictionary must be longer than any of ours that begins there. What is left over
    between words is looked up once more, down to two characters.
    """
    out: list[str] = []
    rest = ""
    at = 0

    def leave(run: str) -> None:
        place = 0
        while place < len(run):
            thing = chinese_thing(run, place, least=2)
            out.append(f" {thing[1]} " if thing else run[place])
            place += thing[0] if thing else 1

    while at < len(text):
        own = next(
            (n for n in range(min(_LONGEST_CHINESE, len(text) - at), 0, -1)
             if text[at : at + n] in words),
            0,
        )  # fmt: skip
        thing = chinese_thing(text, at, least=max(3, own + 1)) if _HAN.match(text[at]) else None
        if not own and thing is None:
            rest += text[at]
            at += 1
            continue
        leave(rest)
        rest = ""
        length, english = thing if thing is not None else (own, words[text[at : at + own]])
        out.append(f" {english} ")
        at += length
    leave(rest)
    return "".join(out)


def gloss(text: str, named: Mapping[str, str] | None = None) -> str:
    """Return the message in lower case with Chinese words replaced by the English the rules read.

    Args:
        text: the message.
        named: Chinese words for kinds of things, learnt from the shop's own Chinese titles.

    >>> gloss("第二个加入购物车")
    'the second one add to basket'
    """
    text = re.sub(r"<=?\s*(?=[€$£¥]?\d)", " under ", clean(text))
    text = re.sub(r">=?\s*(?=[€$£¥]?\d)", " over ", text)
    text = _ADDRESS.sub(" ", without_markup(_SCRIPT.sub(" ", text))).casefold()
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    if not is_chinese(text):
        return text
    for pattern, template in CHINESE_PATTERNS:
        text = re.sub(pattern, template, text)
    text = _translated(text, _words_with(tuple(sorted((named or {}).items()))))

    def number(match: re.Match[str]) -> str:
        value = chinese_number(match.group())
        return match.group() if value is None else f" {value} "

    text = _CHINESE_NUMBER.sub(number, text)
    text = _LONE_HAN.sub(" ", text)
    text = text.translate(str.maketrans("，。！？；：、（）", ",.!?;:,()"))
    return re.sub(r"\s+", " ", text).strip()


def stem(word: str) -> str:
    """Return a word's singular, in one spelling.

    >>> [stem(word) for word in ("Shoes", "batteries", "boxes", "grey", "headphones")]
    ['shoe', 'battery', 'box', 'gray', 'headphone']
    """
    word = word.casefold()
    base = singular(word.removesuffix("'s"))
    return _SPELLINGS.get(base, base)


def tokens_of(text: str) -> list[Token]:
    """Cut a glossed text into words and marks; hyphens separate words."""
    return [
        Token(match.group(), stem(match.group()), match.start(), match.end())
        for match in _TOKEN.finditer(text.casefold().replace("-", " "))
    ]


def stems_of(text: str) -> tuple[str, ...]:
    """Return the stems of a phrase's words, marks left out.

    >>> stems_of("Over-ear headphones")
    ('over', 'ear', 'headphone')
    """
    return tuple(token.stem for token in tokens_of(text) if token.is_word)


def number_of(word: str) -> int | None:
    """Read a whole number written in digits or as an English word; None if it is none."""
    if word.isdigit() and len(word) <= 9:
        return int(word)
    return NUMBER_WORDS.get(word)


def digits_for_words(text: str) -> str:
    """Replace English number words by digits where they are unmistakable.

    >>> digits_for_words("under twenty five euros, not one hundred")
    'under 25 euros, not 100'
    """
    text = re.sub(
        rf"\b({'|'.join(_TENS)})[ -](one|two|three|four|five|six|seven|eight|nine)\b",
        lambda m: str(NUMBER_WORDS[m.group(1)] + NUMBER_WORDS[m.group(2)]),
        text,
    )
    text = re.sub(
        r"\b(one|two|three|four|five|six|seven|eight|nine|a)\s+hundred\b(?:\s+and\s+)?",
        lambda m: str((1 if m.group(1) == "a" else NUMBER_WORDS[m.group(1)]) * 100),
        text,
    )
    text = re.sub(
        r"\b(a|one|two|three|four|five|\d{1,3}) thousand\b",
        lambda m: str((number_of(m.group(1)) or 1) * 1000),
        text,
    )
    words = "|".join(word for word in NUMBER_WORDS if word not in ("one", "hundred"))
    text = re.sub(r"\bhalf a dozen\b(?: of)?", "6", text)
    text = re.sub(r"\ba dozen\b(?: of)?", "12", text)
    text = re.sub(r"\b(?:a )?couple of\b", "2", text)
    text = re.sub(
        r"\b(make (?:it|that|them|this)|take|want|need|get|have) a (?:pair|couple)\b(?! of)",
        r"\1 2",
        text,
    )
    text = re.sub(
        r"\b(?:a|one) (dollar|euro|pound|quid|buck|yuan|fiver|tenner|grand)\b", r"1 \1", text
    )
    text = re.sub(
        r"\b1 fiver\b", "5", re.sub(r"\b1 tenner\b", "10", re.sub(r"\b1 grand\b", "1000", text))
    )
    return re.sub(rf"\b({words})\b", lambda m: str(NUMBER_WORDS[m.group(1)]), text)
