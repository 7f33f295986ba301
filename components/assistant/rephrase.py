"""Whether a reply in other words still says the same: the check before a rephrasing is sent.

A language model may order words otherwise and be kinder; it may not say more, less or something
else. So every claim must stand in it word for word and in the same order, every number, negation
and word of content must be the reply's own, and only words that carry no fact may come or go.
"""

import re
from collections import Counter
from collections.abc import Sequence

from components.assistant.language import stems_of
from components.contracts.messages import Claim

LONGEST = 2.0  # a rephrasing may be this many times as long, and a sentence
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(
    r"\b(?:not|no|none|never|nothing|neither|nor|without|only|cannot)\b|n't\b|[不没无未别非仅]",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[<>{}`\[\]\\|*#]|https?:|www\.|javascript:|://", re.IGNORECASE)
_HAN = re.compile(r"[㐀-鿿]")
# Words that state nothing about a product, a basket or a price. A number or a negation is none.
_EMPTY_WORDS = frozenset(
    stems_of(
        "a an the this that these those it its they them there here i me my we our you your yours "
        "is are be am do does did has have and or but so then also too as at by for from in into "
        "of on onto to with just now please sure certainly okay ok great happy glad gladly course "
        "let what which who where how i'm i've you're it's that's here's let's there's hello "
        "hi hey thanks thank welcome look looking"
    )
)
_EMPTY_HAN = frozenset(
    "的了呢吧吗啊哦您你我们它这那请就为是有在和与也可以好当然很高兴需要帮给把被将会来看到一下哪要想"
)


def changed_fact(reply: str, claims: Sequence[Claim], rephrased: str) -> str | None:
    """Return why a rephrasing does not say the same as the reply; None if it does.

    >>> changed_fact("I found nothing.", (), "Sorry, there is a lamp.")
    'negation'
    >>> changed_fact("Hello! What do you want?", (), "Hi there, and what do you want?") is None
    True
    """
    if not rephrased.strip() or len(rephrased) > LONGEST * len(reply) + 80:
        return "length"
    if _MARKUP.search(rephrased):
        return "markup"
    if bool(_HAN.search(rephrased)) != bool(_HAN.search(reply)):
        return "language"
    if ("?" in reply or "？" in reply) != ("?" in rephrased or "？" in rephrased):
        return "question"
    texts = sorted({c.text for c in claims if c.text}, key=lambda t: (-len(t), t))
    if _stated(reply, texts) != _stated(rephrased, texts):
        return "claims"
    if _NUMBER.findall(reply) != _NUMBER.findall(rephrased):
        return "numbers"
    if _negations(reply) != _negations(rephrased):
        return "negation"
    if _content(reply) != _content(rephrased):
        return "words"
    return None


def _stated(text: str, claims: Sequence[str]) -> list[str]:
    """Return the claims that stand in a text, in its order; a longer one hides those inside it."""
    if not claims:
        return []
    pattern = re.compile("|".join(re.escape(c) for c in claims))
    return pattern.findall(text)


def _negations(text: str) -> Counter[str]:
    return Counter(
        "not" if m.group().casefold() in ("n't", "cannot") else m.group().casefold()
        for m in _NEGATION.finditer(text.replace("’", "'"))
    )


def _content(text: str) -> set[str]:
    """Return the words that may state something."""
    plain = text.replace("’", "'")
    if _HAN.search(plain):
        han = set(_HAN.findall(plain)) - _EMPTY_HAN
        return han | {w for w in stems_of(re.sub(_HAN, " ", plain)) if w not in _EMPTY_WORDS}
    return {w for w in stems_of(plain) if w not in _EMPTY_WORDS}
