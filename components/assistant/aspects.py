"""What reviews praise and fault, by a fixed list of aspects: no words of the reviews get through."""

# ruff: noqa: E501  (patterns)

import re
from collections.abc import Sequence

from components.contracts.records import Review

_ASPECTS: dict[str, str] = {
    "comfort": r"comfort|comfy|soft|fit|snug", "size": r"size|small|large|tight|loose|narrow|wide", "quality": r"quality|sturdy|solid|durable|well made|cheap|flimsy",
    "battery": r"battery|charge", "sound": r"sound|bass|audio|noise|loud|silent", "weight": r"light|heavy|weight", "price": r"price|value|money|expensive|bargain",
    "taste": r"taste|flavou?r|delicious|bland|fresh|bright|fruity", "looks": r"look|design|colou?r|style|beautiful", "durability": r"broke|break|last|wear|tear|zip|sole|strap|cable|headband",
    "grip": r"grip|slip", "ease of use": r"easy|simple|complicated|difficult|wash|clean", "smell": r"smell|scent|odou?r",
}  # fmt: skip
_FAULT = re.compile(
    r"\b(?:but|too|could|stiff|thin|broke\w*|poor|bad|weak|short|loud|heavy|warm|uncomfortable|disappoint\w*|not|never|didn't|doesn't|wish|small|tight|flimsy|cheap)\b",
    re.IGNORECASE,
)


def aspects_of(reviews: Sequence[Review], *, limit: int = 3) -> tuple[list[str], list[str]]:
    """Return the aspects praised and faulted most.

    Args:
        reviews: the product's reviews; at most the first 500 characters of each are read.
        limit: at most so many of each.
    """
    praised: dict[str, int] = {}
    faulted: dict[str, int] = {}
    for review in reviews[:500]:
        text = review.text[:500]
        stars = review.rating if review.rating is not None else 3.0
        for clause in re.split(r"[.,;!?]|\bbut\b", text):
            for name, pattern in _ASPECTS.items():
                if re.search(rf"\b(?:{pattern})", clause, re.IGNORECASE):
                    bad = stars <= 2 or (stars <= 4 and _FAULT.search(clause) is not None)
                    target = faulted if bad else praised
                    target[name] = target.get(name, 0) + 1

    def order(counts):
        return [n for n, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))][:limit]

    return order(praised), order(faulted)
