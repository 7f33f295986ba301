# ruff: noqa: E501 (patterns and wordings read best on their lines)
"""What a query is for, and how surely: six intents with probabilities that can be believed.

Evidence about the words (which patterns they match, how much of them the catalogue knows, what
they name) goes in, a distribution over intents comes out: a multinomial logistic regression whose
weights lie in `intents.json`. They were fitted by `python -m benchmarks.search_intents` on
generated queries, its temperature on wordings left out of the fit. No feature names a product, so
they hold for any catalogue. The deciding rule that came before is one part of the evidence.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.words import fold, has_chinese, stems, tokens
from components.search.patterns import (
    CHAT,
    QUERY_WORDS,
    QUESTION,
    REPLENISH,
    STOP_WORDS,
    WANTS,
    ZH_STOP,
)
from components.search.vocabulary import Vocabulary

if TYPE_CHECKING:
    from components.search.query import ParsedQuery

FloatArray = NDArray[np.float64]
INTENTS = ("navigational", "category", "attribute", "question", "replenish", "chat")
TALK = ("question", "replenish", "chat")  # for these the assistant answers better than a shelf
_PATH = Path(__file__).with_name("intents.json")
_CUES = {  # words that speak for an intent without deciding it
    "asks": re.compile(
        r"\b(?:how|why|when|where|who|whose|what|which|is|are|does|do|did|can|could|should|will"
        r"|would|explain|wonder(?:ing)?|difference|mean(?:s|ing)?)\b|怎么|如何|为什么|什么|哪|吗|呢|几|多久"
    ),
    "asks_first": re.compile(r"^\W*(?:how|why|when|where|who|what|which|is|are|does|do|did|can|should)\b"),
    "about": re.compile(
        r"\b(?:long|much|many|often|safe|healthy|keep|last|store|cook|wash|clean|use|deliver(?:y|ed)?"
        r"|shipping|returns?|refund|pay(?:ment)?|open(?:ing)?|hours|warranty|ingredients|calories"
        r"|contain|better|versus|vs|compared?|instead)\b|配送|退货|营业|保质|热量|成分|区别|安全|保存"
    ),
    "own": re.compile(r"\b(?:i|i'm|im|i've|my|me|we|we're|our|us)\b|我|咱"),
    "you": re.compile(r"\b(?:you|your|you're|u)\b|你|您"),
    "habit": re.compile(
        r"\b(?:usual(?:ly)?|again|always|regular(?:ly)?|same|favou?rites?|last|previous|another|bought"
        r"|ordered|normally|every (?:week|month)|weekly|monthly|stock(?:ing)?|top)\b"
        r"|常|老|又|再|上次|上回|上周|照|平时|同样|一直"
    ),
    "gone": re.compile(
        r"\b(?:out|low|finish(?:ed)?|empty|gone|left|refill|restock|reorder|replenish|replace"
        r"|replacement|used|more|end|short)\b|完|没了|不多|快没|补|续"
    ),
    "courtesy": re.compile(
        r"\b(?:hi|hello|hey|hiya|howdy|good|nice|great|thank(?:s|ful)?|cheers|bye|goodbye|night|morning"
        r"|evening|day|meet|welcome|sorry|please|love|awesome|funny|joke|lol|haha|bored|feel(?:ing)?"
        r"|happy|ok|okay|cool|wow|name|robot|human|weather)\b|好|谢|再见|晚安|笑|哈|开心|聊|天气|名字|早"
    ),
    "wish": re.compile(
        r"\b(?:want|need|looking|find|show|get|buy|shop(?:ping)?|search|some|for)\b|想|要|买|找|看看|来"
    ),
}  # fmt: skip
FEATURES = (
    "bias",
    *(f"rule_{name}" for name in INTENTS),
    "chat_pattern", "replenish_pattern", "question_pattern", "wants_pattern", "question_mark",
    "words_1", "words_2", "words_3_4", "words_more", "known", "stop", "asking",
    "hard", "sort", "brand_filter", "brand", "kind", "title", "in_title", "model", "rest_empty",
    "rare", "named", "number", "chinese", "noun", "noun_last", "small_talk", "courtesy_to_noun",
    *_CUES,
)  # fmt: skip


class IntentGuess(NamedTuple):
    """An intent and the probability in [0, 1] that it is the one meant."""

    intent: str
    confidence: float


@dataclass(frozen=True)
class IntentModel:
    """Logits are evidence @ weights / temperature."""

    weights: FloatArray  # (F, 6)
    temperature: float = 1.0

    def chances(self, evidence: FloatArray) -> FloatArray:
        """Return (n, 6) probabilities of the intents, in the order of `INTENTS`."""
        logits = np.atleast_2d(evidence) @ self.weights / self.temperature
        raised = np.exp(logits - logits.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True)

    def guess(self, evidence: FloatArray) -> tuple[IntentGuess, ...]:
        """Return every intent with its probability, likeliest first."""
        chances = self.chances(evidence)[0]
        order = np.lexsort((np.arange(len(INTENTS)), -chances))
        return tuple(IntentGuess(INTENTS[n], float(chances[n])) for n in order)


@lru_cache(maxsize=1)
def load_model() -> IntentModel:
    """Read the packaged weights.

    >>> load_model().weights.shape == (len(FEATURES), len(INTENTS))
    True
    """
    held = json.loads(_PATH.read_text(encoding="utf-8"))
    weights = np.asarray([held["weights"][name] for name in FEATURES], np.float64)
    return IntentModel(weights, float(held["temperature"]))


def guess_intent(parsed: "ParsedQuery", vocabulary: Vocabulary) -> tuple[IntentGuess, ...]:
    """Return every intent with the probability that it is meant, likeliest first.

    An empty query is `chat` for sure: nothing was asked for.
    """
    if not parsed.text.strip():
        rest = tuple(IntentGuess(name, 0.0) for name in INTENTS if name != "chat")
        return (IntentGuess("chat", 1.0), *rest)
    return load_model().guess(evidence_of(parsed, vocabulary))


def evidence_of(parsed: "ParsedQuery", vocabulary: Vocabulary) -> FloatArray:
    """Return (F,) what speaks for and against the intents, in the order of `FEATURES`."""
    text = fold(parsed.text)
    words = [t for t in tokens(text) if t.text not in "$€£¥￥%"]
    plain = [w for w in words if w.text not in STOP_WORDS and w.text not in ZH_STOP]
    rest = stems(parsed.rest)
    n = max(len(words), 1)
    rule = intent_by_rule(parsed, vocabulary)
    held = {f"rule_{rule}": 1.0, "bias": 1.0}
    hard = [s for s in parsed.spans if s.field not in ("brand", "sort")]
    named = [(m.start, m.end) for m in (*parsed.mentions, *parsed.spans)]
    held |= {name: float(bool(cue.search(text))) for name, cue in _CUES.items()}
    held |= {
        "chat_pattern": float(bool(CHAT.match(text))),
        "replenish_pattern": float(bool(REPLENISH.search(text))),
        "question_pattern": float(bool(QUESTION.match(text))),
        "wants_pattern": float(bool(WANTS.search(text))),
        "question_mark": float(text.rstrip().endswith(("?", "？"))),
        "words_1": float(n == 1),
        "words_2": float(n == 2),
        "words_3_4": float(3 <= n <= 4),
        "words_more": min(max(n - 4, 0), 8) / 4,
        "known": _share([w.stem in vocabulary.stems for w in plain]),
        "stop": 1 - len(plain) / n,
        "asking": _share([w.text in QUERY_WORDS for w in words]),
        "hard": min(len(hard), 3) / 2,
        "sort": float(parsed.sort != "relevance"),
        "brand_filter": float(any(s.field == "brand" for s in parsed.spans)),
        "brand": max((m.share for m in parsed.mentions if m.field == "brand"), default=0.0),
        "kind": float(any(m.field in ("type", "category") for m in parsed.mentions)),
        "title": float(" ".join(stems(text)) in vocabulary.titles),
        "in_title": float(" ".join(rest) in vocabulary.titles),
        "model": float(_names_model(rest, vocabulary)),
        "rest_empty": float(not rest),
        "rare": _rarity(rest, vocabulary),
        "named": _share([any(a <= w.start and w.end <= b for a, b in named) for w in words]),
        "number": float(any(c.isdigit() for c in text)),
        "chinese": float(has_chinese(text)),
        "noun": float(bool(parsed.noun)),
        "noun_last": float(bool(rest) and rest[-1] in parsed.noun),
        "small_talk": _share([_is_small_talk(w.text) for w in words]),
        # "night cream" and "hello" both hold a courteous word; only one is about a thing.
        "courtesy_to_noun": float(bool(parsed.noun) and bool(_CUES["courtesy"].search(text))),
    }  # fmt: skip
    return np.asarray([held.get(name, 0.0) for name in FEATURES], np.float64)


def _is_small_talk(word: str) -> bool:
    """Say whether a word by itself is a courtesy, a person or a filler."""
    cues = (_CUES[name] for name in ("courtesy", "own", "you"))
    return word in STOP_WORDS or word in ZH_STOP or any(cue.fullmatch(word) for cue in cues)


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 0.0


def _rarity(rest: Sequence[str], vocabulary: Vocabulary) -> float:
    """Return in [0, 1] how few products hold the rarest known word: 1 = a single one."""
    counts = [c for w in rest if (c := vocabulary.stems.get(w, 0))]
    if not counts or vocabulary.size < 2:
        return 0.0
    return 1 - float(np.log(min(counts)) / np.log(vocabulary.size))


def _names_model(rest: Sequence[str], vocabulary: Vocabulary) -> bool:
    """Say whether a word of letters and digits stands for a handful of products."""
    return any(
        any(c.isdigit() for c in w)
        and any(c.isalpha() for c in w)
        and 0 < vocabulary.stems.get(w, 0) <= 3
        for w in rest
    )


def intent_by_rule(parsed: "ParsedQuery", vocabulary: Vocabulary) -> str:
    """Decide between the six intents; constraints and questions outrank bare words."""
    text = parsed.text
    if not text.strip() or CHAT.match(text):
        return "chat"
    if REPLENISH.search(text):
        return "replenish"
    if QUESTION.match(text) and not WANTS.search(text):
        return "question"
    title = " ".join(stems(text))
    if (
        title in vocabulary.titles
        and title not in vocabulary.types
        and title not in vocabulary.categories
    ):
        return "navigational"
    hard = [s for s in parsed.spans if s.field not in ("brand", "sort")]
    if hard or parsed.sort != "relevance":
        return "attribute"
    rest = stems(parsed.rest)
    names_brand = any(s.field == "brand" for s in parsed.spans) or any(
        m.field == "brand" for m in parsed.mentions
    )
    if _names_model(rest, vocabulary) or (names_brand and not rest):
        return "navigational"
    if names_brand and not any(m.field in ("type", "category") for m in parsed.mentions):
        return "navigational"
    return "category"
