"""A visitor's words to what they ask for: hard constraints, words to look for, intent, language.

`parse_query` is pure: text and a `Vocabulary` go in, a `ParsedQuery` comes out. It reads prices,
sizes, ratings, stock, offers, brands, attribute values, negation and sort words in English and
Chinese, corrects spelling, and says for each constraint which words of the text it came from, so
that a shopper can take it away. What it cannot read as a constraint stays a word to look for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from components.contracts.messages import Filters, Span
from components.data.filters import attribute_name
from components.data.words import UNITS, Token, has_chinese, key, stem, stems, tokens
from components.search.intents import IntentGuess, guess_intent
from components.search.lexicon import Lexicon, load_lexicon
from components.search.patterns import (
    CHAT,
    CURRENCIES,
    LOOSE,
    MINOR,
    NEGATION,
    NEGATION_END,
    NEGATION_FILLERS,
    NEGATION_PARTS,
    OFFER,
    OPPOSITE,
    PRICE_PATTERNS,
    QUERY_WORDS,
    QUESTION,
    RATING,
    SHOE_SIZE,
    SIZE,
    SORTS,
    STOCK,
    STOP_WORDS,
    WANTS,
    ZH_DIGITS,
    ZH_STOP,
)
from components.search.spelling import Guess
from components.search.vocabulary import LONGEST_PHRASE, Known, Vocabulary

SURE = 0.8  # share of a phrase's titles that must carry its value before it is a hard constraint
CLEAR = 2.0  # log odds over its best rival from which a correction may become a hard constraint
LEAST_ODDS = -2.0  # log odds from which a word that may be meant widens the search
MOST_READINGS = 2
ASIDE = re.compile(r"\b(?:for|with|from|in|to|on|by|at)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Mention:
    """A product type, category or brand that the words name, whether or not it became a filter."""

    field: str
    values: tuple[str, ...]
    start: int
    end: int
    share: float


@dataclass(frozen=True)
class ParsedQuery:
    """What was understood; offsets count characters of `text`."""

    text: str
    rest: str = ""  # words to look for: corrected, translated, without what became a constraint
    filters: Filters = field(default_factory=Filters)
    spans: tuple[Span, ...] = ()
    corrected: str | None = None  # the whole text with its spelling corrected, None = nothing to do
    corrections: tuple[tuple[str, str], ...] = ()
    expansions: tuple[str, ...] = ()  # other phrases for the same thing, to be weighted less
    readings: tuple[tuple[str, float], ...] = ()  # other wordings of `rest`, with their log odds
    noun: tuple[str, ...] = ()  # stems of the kind of thing asked for, its noun last
    intent: str = "category"
    intents: tuple[IntentGuess, ...] = ()  # all six with calibrated probabilities, likeliest first
    category: str | None = None  # the one most likely meant, with a calibrated probability
    category_confidence: float = 0.0
    locale: str = "en"
    sort: str = "relevance"
    mentions: tuple[Mention, ...] = ()
    unresolved: tuple[
        str, ...
    ] = ()  # constraints read but not applied, such as an unknown currency

    @property
    def intent_confidence(self) -> float:
        """The probability in [0, 1] that `intent` is the one meant."""
        return self.intents[0].confidence if self.intents else 0.0


def _zh_number(text: str) -> Decimal | None:
    """Read a Chinese numeral below 10^8.

    >>> _zh_number("一百二十"), _zh_number("两千"), _zh_number("十五")
    (Decimal('120'), Decimal('2000'), Decimal('15'))
    """
    total, part, digit = 0, 0, None
    for char in text:
        if char in ZH_DIGITS:
            digit = ZH_DIGITS[char]
        elif char in "十百千":
            part += (1 if digit is None else digit) * {"十": 10, "百": 100, "千": 1000}[char]
            digit = None
        elif char == "万":
            total += (part + (digit or 0)) * 10_000
            part, digit = 0, None
        else:
            return None
    return Decimal(total + part + (digit or 0))


@dataclass
class _Reading:
    """Work in progress: the text, what of it is taken, and what was found."""

    text: str
    vocabulary: Vocabulary
    currency: str
    rates: Mapping[str, object] | None
    taken: list[tuple[int, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    changes: dict[str, object] = field(default_factory=dict)
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: dict[str, tuple[str, ...]] = field(default_factory=dict)
    terms: list[str] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    kinds: list[tuple[int, int]] = field(default_factory=list)  # values that name a kind as well
    guesses: dict[int, list[tuple[str, float]]] = field(default_factory=dict)  # by a word's start
    unsure: list[tuple[int, int]] = field(default_factory=list)  # corrected, with a near rival
    sort: str = "relevance"

    def is_free(self, start: int, end: int) -> bool:
        return all(end <= a or start >= b for a, b in self.taken)

    def take(self, start: int, end: int, name: str, value: object) -> None:
        while end > start and self.text[end - 1].isspace():
            end -= 1
        self.taken.append((start, end))
        self.spans.append(
            Span(start=start, end=end, text=self.text[start:end], field=name, value=value)
        )

    def minor(self, match: re.Match[str], name: str, other: str | None = None) -> int | None:
        """Return an amount in minor units of the shop's currency; None where it cannot be read."""
        groups = match.groupdict()
        raw = groups[f"{name}n"].replace(",", "")
        amount = _zh_number(raw) if raw[0] in "零一二两三四五六七八九十百千万〇" else Decimal(raw)
        if amount is None or amount > 10**9:
            return None
        said = _said(groups, name) or (_said(groups, other) if other else "")
        if said in ("cent", "cents"):
            return int(amount)
        code = CURRENCIES.get(said) if said else None
        shop = Decimal(10) ** MINOR.get(self.currency, 2)
        if code is None or code == self.currency:
            return int(amount * shop)
        rate = (self.rates or {}).get(code)
        if rate is not None:
            return int((amount / Decimal(str(rate)) * shop).to_integral_value())
        if said in LOOSE or said == "$":
            return int(amount * shop)
        self.unresolved.append(code)
        return None


def _said(groups: Mapping[str, str | None], name: str) -> str:
    said = (groups.get(f"{name}s") or groups.get(f"{name}w") or "").lower().strip()
    said = said.replace("us$", "$").replace("us ", "")
    return said if said in CURRENCIES or said.startswith("cent") else said.rstrip("s")


def parse_query(
    text: str,
    vocabulary: Vocabulary,
    *,
    currency: str | None = None,
    rates: Mapping[str, object] | None = None,
    lexicon: Lexicon | None = None,
    correct: bool = True,
) -> ParsedQuery:
    """Read a query.

    Args:
        text: what the visitor typed, at most some hundred characters.
        vocabulary: of the catalogue that is searched.
        currency: in which an amount without a currency is read; by default the vocabulary's.
        rates: units of a currency per unit of the shop's (`{"CNY": "7.80"}` in a shop in euro). A
            foreign amount without a rate is not applied, and is named in `unresolved`; the
            everyday 块 and 元 and a bare `$` then mean the shop's own unit.
        lexicon: words of other languages and synonyms; by default the packaged one.
        correct: whether spelling is corrected.

    Returns:
        The parse. A limit said as "under" or "less than" excludes the amount itself (one minor
        unit less); "up to", "at most" and 以下 include it. `filters` are hard; a type or category
        named is only a mention, since a search ranks by it. A brand or value is hard when at least
        the share `SURE` of the titles with that phrase carry it.
    """
    lexicon = lexicon or load_lexicon()
    reading = _Reading(text, vocabulary, currency or vocabulary.currency, rates)
    _read_prices(reading)
    _read_marks(reading)
    _read_sizes(reading)
    words = _words(reading, lexicon)
    is_talk = CHAT.match(text) or (QUESTION.match(text) and not WANTS.search(text))
    corrections: list[tuple[Token, str]] = []
    if correct and not is_talk:
        words, corrections = _corrected(words, reading, lexicon)
    words = _read_negations(words, reading, lexicon)
    _read_values(words, reading)
    rest = _rest(words, reading)
    expansions = _expansions(rest, lexicon, vocabulary)
    filters = Filters(
        **reading.changes,  # type: ignore[arg-type]
        attributes=reading.attributes,
        exclude=reading.exclude,
        terms=tuple(reading.terms),
    )
    parsed = ParsedQuery(
        text=text,
        rest=" ".join(w.text for w in rest),
        filters=filters,
        spans=tuple(sorted(reading.spans, key=lambda s: (s.start, s.end, s.field))),
        corrected=_rewritten(text, corrections),
        corrections=tuple((text[w.start : w.end], new) for w, new in corrections),
        expansions=expansions,
        readings=_readings(rest, reading, lexicon) if correct and not is_talk else (),
        noun=_noun(rest, reading) or _last_noun(expansions, vocabulary),
        locale="zh" if has_chinese(text) else "en",
        sort=reading.sort,
        mentions=tuple(reading.mentions),
        unresolved=tuple(dict.fromkeys(reading.unresolved)),
    )
    guesses = vocabulary.category_model.guess(stems(parsed.rest))
    if guesses:
        guess = guesses[0]
        confidence = round(guess.confidence, 6)
        parsed = replace(parsed, category=guess.category, category_confidence=confidence)
    intents = guess_intent(parsed, vocabulary)
    return replace(parsed, intent=intents[0].intent, intents=intents)


def _read_prices(reading: _Reading) -> None:
    for kind, pattern in PRICE_PATTERNS:
        for match in pattern.finditer(reading.text):
            start, end = match.span()
            if not reading.is_free(start, end) or (
                start
                and reading.text[start - 1].isalpha()
                and reading.text[start].isascii()
                and reading.text[start - 1].isascii()
                and reading.text[start].isalpha()
            ):
                continue
            groups = match.groupdict()
            is_money = any(groups.get(f"{n}{k}") for n in "ab" for k in "sw")
            if kind in ("signed_range", "around_zh") and not is_money:
                continue
            if kind == "around" and not is_money:
                continue
            if kind == "least" and match.group().lower().startswith("from") and not is_money:
                continue
            low = reading.minor(match, "a", "b")
            high = reading.minor(match, "b", "a") if "bn" in groups else None
            if low is None or ("bn" in groups and high is None):
                reading.taken.append((start, end))
                continue
            changes: dict[str, int] = {}
            if kind in ("range", "signed_range") and high is not None:
                changes = {"price_min": min(low, high), "price_max": max(low, high)}
            elif kind.startswith("around"):
                changes = {"price_min": low * 4 // 5, "price_max": -(-low * 6 // 5)}
            elif kind.startswith("below"):
                changes = {"price_max": max(0, low - 1)}
            elif kind.startswith("most"):
                changes = {"price_max": low}
            else:
                changes = {"price_min": low}
            reading.changes |= changes
            reading.changes["currency"] = reading.currency
            name = "price" if len(changes) == 2 else next(iter(changes))
            value = changes if len(changes) == 2 else next(iter(changes.values()))
            reading.take(start, end, name, value)


def _read_marks(reading: _Reading) -> None:
    """Read ratings, stock, offers and sort words."""
    for match in RATING.finditer(reading.text):
        if reading.is_free(*match.span()):
            raw = match["n"] or match["m"] or match["z"]
            number = float(ZH_DIGITS.get(raw, 0) or raw)
            reading.changes["min_rating"] = number
            reading.take(*match.span(), "min_rating", number)
    for name, pattern in (("in_stock", STOCK), ("promotion", OFFER)):
        for match in pattern.finditer(reading.text):
            if reading.is_free(*match.span()):
                reading.changes[name] = True
                reading.take(*match.span(), name, True)
    for name, pattern in SORTS:
        for match in pattern.finditer(reading.text):
            if reading.is_free(*match.span()):
                reading.sort = name
                reading.take(*match.span(), "sort", name)


def _read_sizes(reading: _Reading) -> None:
    vocabulary = reading.vocabulary
    for match in SHOE_SIZE.finditer(reading.text):
        value = key(match["v"] or match["z"])
        if reading.is_free(*match.span()) and "size" in vocabulary.attributes:
            value = {"small": "s", "medium": "m", "large": "l"}.get(value, value)
            reading.attributes["size"] = (value,)
            reading.take(*match.span(), "size", value)
    for match in SIZE.finditer(reading.text):
        if not reading.is_free(*match.span()):
            continue
        unit = UNITS.get(re.sub(r"[\s.]+", " ", match["u"].lower()).removeprefix("fl "))
        number = key(float(match["n"].replace(",", "")))
        if unit is None:
            continue
        names = vocabulary.units.get(unit, ())
        phrase = f"{match['n']} {unit}"
        if names:
            reading.attributes[names[0]] = (number,)
            reading.take(*match.span(), names[0], number)
        elif all(word in vocabulary.stems for word in stems(phrase)):
            reading.terms.append(phrase)
            reading.take(*match.span(), "size", phrase)


def _words(reading: _Reading, lexicon: Lexicon) -> list[Token]:
    """Return the free words of the text, Chinese ones translated where the lexicon can."""
    found: list[Token] = []
    for run in re.finditer(
        r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+",
        reading.text,
    ):
        if has_chinese(run.group()):
            found.extend(_chinese_words(run.group(), run.start(), reading.vocabulary, lexicon))
        else:
            found.extend(
                Token(t.text, t.stem, t.start + run.start(), t.end + run.start())
                for t in tokens(run.group(), split_units=False)
                if t.text not in "$€£¥￥%"
            )
    return [w for w in found if reading.is_free(w.start, w.end)]


def _chinese_words(run: str, offset: int, vocabulary: Vocabulary, lexicon: Lexicon) -> list[Token]:
    """Cut a Chinese run by the longest lexicon or negation term; the rest by the segmenter."""
    found: list[Token] = []
    place, loose = 0, 0

    def flush(end: int) -> None:
        if end > loose:
            for token in tokens(run[loose:end]):
                found.append(
                    Token(
                        token.text,
                        token.text,
                        offset + loose + token.start,
                        offset + loose + token.end,
                    )
                )

    while place < len(run):
        negation = NEGATION.match(run, place)
        size = len(negation.group()) if negation else 0
        if not size:
            for size in range(min(lexicon.longest_chinese, len(run) - place), 0, -1):
                term = run[place : place + size]
                # A single character is only a word by itself when nothing else can be.
                if term in lexicon.chinese and (
                    size > 1
                    or len(run) == 1
                    or run[place - 1 : place] in "的色、"
                    or place + 1 == len(run)
                    or run[place + 1] in "的色、"
                ):
                    break
            else:
                size = 0
        if not size:
            place += 1
            continue
        flush(place)
        term = run[place : place + size]
        start, end = offset + place, offset + place + size
        if negation:
            found.append(Token(term, term, start, end))
        else:
            found.extend(
                Token(w, stem(w), start, end) for w in re.split(r"[\s-]+", lexicon.chinese[term])
            )
        place += size
        loose = place
    flush(len(run))
    return found


def _corrected(
    words: list[Token], reading: _Reading, lexicon: Lexicon
) -> tuple[list[Token], list[tuple[Token, str]]]:
    """Correct unknown words; a word of the catalogue or of the language of asking stays."""
    vocabulary = reading.vocabulary
    fixed = _fixed(words, reading, lexicon)
    now = list(words)  # what each word reads as so far; a later round knows more of its company
    chosen: dict[int, list[Guess]] = {}
    pairs: dict[int, tuple[str, str]] = {}
    unknown = [n for n, w in enumerate(words) if n not in fixed and not vocabulary.knows(w.text)]
    for _ in range(2 if len(unknown) > 1 else 1):
        for place in unknown:
            word = words[place]
            guesses = vocabulary.guesses(word.text, **_company(now, place))
            pair = vocabulary.split(word.text)
            if pair is not None and (not guesses or guesses[0].edits > 1):
                pairs[place] = pair
            elif guesses:
                chosen[place] = guesses
                best = guesses[0]
                now[place] = Token(best.word, best.stem, word.start, word.end)
    out: list[Token] = []
    corrections: list[tuple[Token, str]] = []
    for place, word in enumerate(words):
        pair = pairs.get(place)
        if pair is not None:
            middle = word.start + len(pair[0])
            out.append(Token(pair[0], stem(pair[0]), word.start, middle))
            out.append(Token(pair[1], stem(pair[1]), middle, word.end))
            corrections.append((word, " ".join(pair)))
        elif place in chosen:
            first, *rest = chosen[place]
            out.append(now[place])
            corrections.append((word, first.word))
            reading.guesses[word.start] = [(g.word, g.score - first.score) for g in rest]
            if rest and first.score - rest[0].score < CLEAR:
                reading.unsure.append((word.start, word.end))
        else:
            out.append(word)
    return out, corrections


def _fixed(words: list[Token], reading: _Reading, lexicon: Lexicon) -> set[int]:
    """Return the places of words that are no slips, whatever the catalogue holds."""
    same = {part for phrase in lexicon.same for part in phrase.split()}
    negations = [m.span() for m in NEGATION.finditer(reading.text)]
    return {
        place
        for place, word in enumerate(words)
        if any(a <= word.start and word.end <= b for a, b in negations)
        or not word.text.isascii()
        or has_chinese(reading.text[word.start : word.end])
        or word.text in STOP_WORDS
        or word.text in QUERY_WORDS
        or word.stem in same
    }


def _company(words: Sequence[Token], place: int) -> dict[str, Any]:
    """Return the neighbours of a word, and all other words that say something."""
    return {
        "before": words[place - 1].stem if place else None,
        "after": words[place + 1].stem if place + 1 < len(words) else None,
        "others": tuple(
            w.stem for n, w in enumerate(words) if n != place and w.text not in STOP_WORDS
        ),
    }


def _readings(
    rest: list[Token], reading: _Reading, lexicon: Lexicon
) -> tuple[tuple[str, float], ...]:
    """Return other wordings of `rest` that slips may hide, with their log odds against it."""
    fixed = _fixed(rest, reading, lexicon)
    beam: list[tuple[tuple[str, ...], float]] = [((), 0.0)]
    for place, word in enumerate(rest):
        options = reading.guesses.get(word.start)
        if options is None and place not in fixed:
            options = reading.vocabulary.likelier(word.text, **_company(rest, place))
        kept = [(word.text, 0.0), *((w, odds) for w, odds in options or () if odds > LEAST_ODDS)]
        beam = [((*said, w), total + odds) for said, total in beam for w, odds in kept]
        beam = sorted(beam, key=lambda b: (-b[1], b[0]))[: MOST_READINGS + 2]
    typed = tuple(w.text for w in rest)
    others = [(" ".join(said), round(odds, 6)) for said, odds in beam if said != typed]
    return tuple(others[:MOST_READINGS])


def _noun(rest: list[Token], reading: _Reading) -> tuple[str, ...]:
    """Return the stems of the kind of thing asked for, its noun last; empty where none is known.

    It is the last word that ends kinds of the catalogue, before words as "for" or "with", along
    with the words that make a type or category with it (`ice cream`).
    """
    nouns = reading.vocabulary.nouns
    end = len(rest)
    for place in range(1, len(rest)):
        if ASIDE.search(reading.text, rest[place - 1].end, rest[place].start):
            end = place
            break
    for part in (rest[:end], rest[end:]):
        place = next((n for n in range(len(part) - 1, -1, -1) if part[n].stem in nouns), None)
        if place is None:
            continue
        vocabulary = reading.vocabulary
        for first in range(max(0, place - LONGEST_PHRASE + 1), place):
            phrase = " ".join(w.stem for w in part[first : place + 1])
            if phrase in vocabulary.categories:
                return tuple(phrase.split())
        return (part[place].stem,)
    return ()


def _last_noun(phrases: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the noun of the first of other phrases for what was asked."""
    words = phrases[0].split() if phrases else []
    return next(((w,) for w in reversed(words) if w in vocabulary.nouns), ())


def _rewritten(text: str, corrections: list[tuple[Token, str]]) -> str | None:
    if not corrections:
        return None
    out, place = [], 0
    for word, new in corrections:
        out.append(text[place : word.start])
        out.append(new)
        place = word.end
    return "".join([*out, text[place:]])


def _read_negations(words: list[Token], reading: _Reading, lexicon: Lexicon) -> list[Token]:
    """Turn negated phrases into exclusions; returns the words that are left."""
    left = words
    for match in NEGATION.finditer(reading.text):
        if not reading.is_free(*match.span()):
            continue
        stop = NEGATION_END.search(reading.text, match.end())
        end = stop.start() if stop else len(reading.text)
        following = next((m for m in NEGATION.finditer(reading.text, match.end())), None)
        if following is not None:
            end = min(end, following.start())
        end = min([end, *(a for a, _ in reading.taken if a >= match.end())])
        inside = [w for w in left if w.start >= match.end() and w.end <= end]
        marks = [w for w in left if w.start >= match.start() and w.end <= match.end()]
        cuts = [m.span() for m in NEGATION_PARTS.finditer(reading.text, match.end(), end)]
        parts: list[list[Token]] = [[]]
        for word in inside:
            if any(a <= word.start and word.end <= b for a, b in cuts):
                parts.append([])
                continue
            if parts[-1] and any(parts[-1][-1].end <= a and b <= word.start for a, b in cuts):
                parts.append([])
            parts[-1].append(word)
        parts = [_without_fillers(part, reading.vocabulary) for part in parts]
        parts = [part for part in parts if part]
        if not parts:
            left = [w for w in left if w not in marks]
            continue
        gone: list[Token] = list(marks)
        for index, part in enumerate(parts):
            start = match.start() if index == 0 else part[0].start
            _exclude(part, start, reading)
            gone += part
        left = [
            w
            for w in left
            if w not in gone and not (match.end() <= w.start and w.end <= parts[-1][-1].end)
        ]
    return left


def _without_fillers(part: list[Token], vocabulary: Vocabulary) -> list[Token]:
    """Drop words that carry nothing, unless the phrase as it stands is a brand, type or value."""
    phrase = " ".join(w.stem for w in part)
    tables = (vocabulary.brands, vocabulary.types, vocabulary.categories, vocabulary.values)
    if any(phrase in table for table in tables):
        return part
    return [w for w in part if w.text not in NEGATION_FILLERS and w.text not in ZH_STOP]


def _exclude(part: list[Token], start: int, reading: _Reading) -> None:
    vocabulary = reading.vocabulary
    phrase = " ".join(w.stem for w in part)
    end = part[-1].end

    def add(name: str, values: tuple[str, ...]) -> None:
        reading.exclude[name] = tuple(dict.fromkeys((*reading.exclude.get(name, ()), *values)))
        reading.take(start, end, f"exclude.{name}", values[0] if len(values) == 1 else list(values))

    flag = _flag(phrase, vocabulary)
    if phrase in vocabulary.brands and vocabulary.brands[phrase].share >= 0.5:
        add("brand", vocabulary.brands[phrase].values)
    elif flag is not None:
        add(flag[0], (flag[1],))
    elif phrase in vocabulary.types:
        add("type", vocabulary.types[phrase].values)
        add("terms", (phrase,))
    elif phrase in vocabulary.categories:
        add("category", vocabulary.categories[phrase].values)
        add("terms", (phrase,))
    elif values := _values_holding(phrase, vocabulary):
        add(*values)
        if vocabulary.values[phrase][0].share < 1:  # some titles say it, their attributes do not
            add("terms", (phrase,))
    elif vocabulary.pairs.get((phrase, "free"), 0) >= 2:
        reading.terms.append(f"{phrase} free")
        reading.take(start, end, "terms", f"{phrase} free")
    else:
        add("terms", (phrase,))


def _flag(phrase: str, vocabulary: Vocabulary) -> tuple[str, str] | None:
    """Return the boolean attribute a phrase names and the value it stands for."""
    if phrase in vocabulary.flags:
        return vocabulary.flags[phrase], "true"
    opposite = OPPOSITE.get(phrase)
    if opposite is not None and opposite in vocabulary.flags:
        return vocabulary.flags[opposite], "false"
    return None


def _values_holding(phrase: str, vocabulary: Vocabulary) -> tuple[str, tuple[str, ...]] | None:
    """Return the attribute whose value is this phrase, with its spellings and wider values."""
    known = vocabulary.values.get(phrase)
    if not known:
        return None
    first = known[0]
    wider = [
        value
        for other, tables in vocabulary.values.items()
        for table in tables
        if table.field == first.field and f" {phrase} " in f" {other} " and other != phrase
        for value in table.values
        if first.field == attribute_name("color")
    ]
    return first.field, tuple(dict.fromkeys((*first.values, *wider)))


def _read_values(words: list[Token], reading: _Reading) -> None:
    """Find brands, types, categories, flags and attribute values, longer phrases first."""
    used = [False] * len(words)
    for size in range(min(LONGEST_PHRASE, len(words)), 0, -1):
        for first in range(len(words) - size + 1):
            part = words[first : first + size]
            if any(used[first : first + size]):
                continue
            phrase = " ".join(w.stem for w in part)
            if first + size < len(words) and words[first + size].stem == "free":
                continue
            found = _read_phrase(phrase, part[0].start, part[-1].end, reading, size)
            if found:
                used[first : first + size] = [True] * size


def _read_phrase(phrase: str, start: int, end: int, reading: _Reading, size: int) -> bool:
    vocabulary = reading.vocabulary
    named: list[Known] = [
        table[phrase] for table in (vocabulary.types, vocabulary.categories) if phrase in table
    ]
    for known in named:
        reading.mentions.append(Mention(known.field, known.values, start, end, known.share))
    brand = vocabulary.brands.get(phrase)
    if brand is not None:
        reading.mentions.append(Mention("brand", brand.values, start, end, brand.share))
    if named or any(a < end and start < b for a, b in reading.unsure):
        return bool(named)
    before = reading.text[:start].rstrip().lower()
    if brand is not None and (
        brand.share >= SURE or before.endswith((" by", " from", "brand", "品牌"))
    ):
        reading.changes["brand"] = tuple(
            dict.fromkeys((*reading.changes.get("brand", ()), *brand.values))  # type: ignore[misc]
        )
        reading.take(start, end, "brand", brand.values[0])
        return True
    flag = _flag(phrase, vocabulary)
    if flag is not None:
        name, value = flag
        reading.attributes[name] = (value,)
        reading.take(start, end, name, value == "true")
        return True
    values = _values_holding(phrase, vocabulary)
    if values is not None and vocabulary.values[phrase][0].share >= SURE:
        name, accepted = values
        reading.attributes[name] = tuple(
            dict.fromkeys((*reading.attributes.get(name, ()), *accepted))
        )
        reading.take(start, end, name, accepted[0])
        if phrase in vocabulary.kind_words:
            reading.kinds.append((start, end))
        return True
    return brand is not None and size > 1


def _rest(words: list[Token], reading: _Reading) -> list[Token]:
    """Return the words to look for: all that did not become a constraint, without filler words."""
    left = [w for w in words if reading.is_free(w.start, w.end)]
    kept = [
        w
        for w in left
        if w.text not in STOP_WORDS
        and w.text not in ZH_STOP
        and not (len(w.text) == 1 and w.text.isalpha() and w.text.isascii() and len(left) > 1)
    ]
    if not kept and reading.kinds:
        kept = [w for w in words if (w.start, w.end) in reading.kinds]
    # A query of filler words alone names things called so, unless it held a constraint.
    return kept or (
        []
        if reading.spans or has_chinese(reading.text)
        else [w for w in left if w.stem in reading.vocabulary.stems]
    )


def _expansions(rest: list[Token], lexicon: Lexicon, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return other phrases for the same thing that the catalogue has."""
    found: dict[str, None] = {}
    stemmed = [w.stem for w in rest]
    for size in range(min(lexicon.longest_same, len(stemmed)), 0, -1):
        for first in range(len(stemmed) - size + 1):
            for target in lexicon.same.get(" ".join(stemmed[first : first + size]), ()):
                words = stems(target)
                if all(w in vocabulary.stems for w in words):
                    said = [*stemmed[:first], *words, *stemmed[first + size :]]
                    said = [w for n, w in enumerate(said) if not n or w != said[n - 1]]
                    if said != stemmed:
                        found[" ".join(said)] = None
    for first in range(len(stemmed) - 1):
        joined = vocabulary.compounds(rest[first].text, rest[first + 1].text)
        if joined is not None:
            found[" ".join([*stemmed[:first], joined, *stemmed[first + 2 :]])] = None
    for first, word in enumerate(rest):
        pair = vocabulary.split(word.text) if word.text.isascii() and word.text.isalpha() else None
        if pair is not None:
            found[" ".join([*stemmed[:first], *(stem(p) for p in pair), *stemmed[first + 1 :]])] = (
                None
            )
    return tuple(found)
