"""What a product's reviews say: how many praise and fault it, and the sentences that do so most.

The release's review model (stars read out of words, stage `finetune`) is applied when a summary is
asked for: to reviews that carry no stars, and to single sentences, so that "the strap broke" counts
as a fault inside a five-star review. Only sentences that address nobody are read or repeated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from components.assistant.safety import quotable
from components.contracts.records import Review

Read = Callable[[Sequence[str]], Iterable[float]]
CLEAR = 0.25  # stars above or below the usual from which a sentence leans
MOST_REVIEWS = 200
MOST_SENTENCES = 16  # read for one summary: each costs some milliseconds
_PER_REVIEW = 3
_REMEMBERED = 20_000


@dataclass(frozen=True)
class Heard:
    """A summary of reviews.

    Attributes:
        total: reviews counted.
        praise: those that speak well of the product.
        fault: those that speak ill of it.
        liked: (review id, sentence) that praise most.
        criticised: (review id, sentence) that fault most.
    """

    total: int
    praise: int
    fault: int
    liked: tuple[tuple[str, str], ...] = ()
    criticised: tuple[tuple[str, str], ...] = ()


class Sentiment:
    """Leanings of texts in stars above or below what the model usually reads."""

    def __init__(self, read: Read, usual: float) -> None:
        """Hold the model: texts to stars, and the mean of the stars it learnt from."""
        self._read = read
        self._usual = usual
        self._known: dict[str, float] = {}

    def leanings(self, texts: Sequence[str]) -> list[float]:
        """Return one leaning per text; each text is read once."""
        fresh = [t for t in dict.fromkeys(texts) if t not in self._known]
        found = dict(zip(fresh, map(float, self._read(fresh)), strict=True)) if fresh else {}
        out = [
            (found[t] if t in found else self._known.get(t, self._usual)) - self._usual
            for t in texts
        ]
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known.update(found)
        return out


def verdict(review: Review, sentiment: Sentiment | None) -> int:
    """Return 1 for praise, -1 for fault, 0 for neither: by the stars, else by the words."""
    if review.rating is not None:
        return 1 if review.rating >= 4 else -1 if review.rating <= 2 else 0
    said = " ".join(quotable(review.text, limit=_PER_REVIEW))
    if sentiment is None or not said:
        return 0
    leaning = sentiment.leanings([said])[0]
    return 1 if leaning >= 0 else -1 if leaning <= -2 * CLEAR else 0


def count(reviews: Sequence[Review], sentiment: Sentiment | None) -> Heard:
    """Count reviews by their verdict, without choosing sentences."""
    verdicts = [verdict(r, sentiment) for r in reviews[:MOST_REVIEWS]]
    return Heard(len(verdicts), verdicts.count(1), verdicts.count(-1))


def hear(reviews: Sequence[Review], sentiment: Sentiment | None, *, limit: int = 2) -> Heard:
    """Sum up reviews.

    Args:
        reviews: of one product; at most `MOST_REVIEWS` are counted.
        sentiment: reads the words; without it stars alone count and no sentence is chosen.
        limit: at most so many sentences of each kind.
    """
    heard = count(reviews, sentiment)
    reviews = reviews[:MOST_REVIEWS]
    verdicts = [verdict(r, sentiment) for r in reviews]
    if sentiment is None:
        return heard
    sentences = list(_spread(reviews, verdicts))[:MOST_SENTENCES]
    leanings = sentiment.leanings([s for _, s, _ in sentences])
    liked = sorted((-x, n) for n, x in enumerate(leanings) if x >= 0 and sentences[n][2] >= 0)
    faulted = sorted((x, n) for n, x in enumerate(leanings) if x <= -CLEAR)
    return Heard(
        heard.total,
        heard.praise,
        heard.fault,
        _first([sentences[n] for _, n in liked], limit),
        _first([sentences[n] for _, n in faulted], limit),
    )


def _spread(reviews: Sequence[Review], verdicts: Sequence[int]) -> list[tuple[str, str, int]]:
    """Return (review id, sentence, verdict), first sentences first, good and bad in turn."""
    order = sorted(range(len(reviews)), key=lambda n: (_turn(verdicts, n), n))
    rows = []
    for place in range(_PER_REVIEW):
        for n in order:
            said = quotable(reviews[n].text, limit=_PER_REVIEW)
            if place < len(said):
                rows.append((reviews[n].review_id, said[place], verdicts[n]))
    return rows


def _turn(verdicts: Sequence[int], n: int) -> int:
    return sum(1 for v in verdicts[:n] if v == verdicts[n])


def _first(found: Sequence[tuple[str, str, int]], limit: int) -> tuple[tuple[str, str], ...]:
    out: dict[str, str] = {}
    for review_id, sentence, _ in found:
        if sentence not in out.values() and review_id not in out:
            out[review_id] = sentence
    return tuple(out.items())[:limit]


def is_said(sentence: str, reviews: Sequence[Review], review_id: str) -> bool:
    """Whether a review holds a sentence among those that may be repeated."""
    return any(
        sentence in quotable(r.text, limit=_PER_REVIEW) for r in reviews if r.review_id == review_id
    )
