"""Choosing sets of products: bundles within a budget, what goes with what, restocking, swaps.

Pure functions over products and the visitor's purchases. The bundle solver is exact for what it is
given: it returns the best-liked choice of one product for each part whose sum keeps to the budget.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from components.assistant.context import Bought
from components.assistant.language import stems_of
from components.assistant.shelf import Hit, Shelf, words_of
from components.assistant.synonyms import STOPWORDS
from components.contracts.records import Product

_MANY = 40
DUE_FROM = 0.8
OCCASIONS: dict[str, tuple[str, ...]] = {
    "breakfast": ("cereal", "milk", "bread", "eggs", "orange juice", "coffee", "yogurt"),
    "brunch": ("eggs", "bacon", "bread", "orange juice", "coffee"),
    "lunch": ("bread", "cheese", "ham", "salad", "chips", "juice"),
    "dinner": ("pasta", "pasta sauce", "ground beef", "salad", "bread", "cheese"),
    "pasta": ("pasta", "pasta sauce", "cheese", "ground beef"),
    "taco": ("tortillas", "ground beef", "salsa", "cheese", "lettuce"),
    "barbecue": ("beef", "hamburger buns", "sausage", "ketchup", "chips", "soft drinks"),
    "bbq": ("beef", "hamburger buns", "sausage", "ketchup", "chips", "soft drinks"),
    "picnic": ("bread", "cheese", "fruit", "chips", "cookies", "juice"),
    "party": ("chips", "soft drinks", "cookies", "candy", "ice cream", "cake"),
    "birthday": ("cake", "ice cream", "candy", "soft drinks", "candles"),
    "baby": ("diapers", "baby food", "wipes"),
    "camping": ("tent", "sleeping bag", "lantern", "backpack"),
    "movie": ("popcorn", "candy", "soft drinks"),
    "baking": ("flour", "sugar", "eggs", "butter", "chocolate"),
    "cleaning": ("laundry detergent", "dish soap", "paper towels", "cleaner"),
    "coffee": ("coffee maker", "coffee grinder", "coffee beans", "mug"),
}


@dataclass(frozen=True)
class Chosen:
    """A choice of one product per part; `over_minor` is by how much it exceeds the budget."""

    hits: tuple[Hit, ...]
    total_minor: int
    over_minor: int = 0


def best_bundle(
    parts: Sequence[Sequence[tuple[Hit, float]]],
    budget_minor: int | None,
    quantities: Sequence[int] | None = None,
) -> Chosen | None:
    """Choose one distinct product for each part, best liked in sum, within the budget.

    Args:
        parts: for each part its candidates with how well they are liked.
        budget_minor: most the sum may be; None = no limit.
        quantities: pieces of each part.

    Returns:
        The choice; if none keeps to the budget the cheapest one, with `over_minor`; None if a part
        has no candidate.
    """
    counts = list(quantities or [1] * len(parts))
    lists: list[list[tuple[int, float, Hit]]] = []
    for candidates, count in zip(parts, counts, strict=True):
        priced = [
            ((h.price_minor or 0) * count, like, h)
            for h, like in candidates
            if h.price_minor is not None
        ]
        if not priced:
            return None
        lists.append(_frontier(priced, len(parts)))
    order = sorted(range(len(lists)), key=lambda i: len(lists[i]))
    least = [min(c for c, _, _ in lists[i]) for i in order]
    rest = [sum(least[k:]) for k in range(len(order) + 1)]
    top = [max(like for _, like, _ in lists[i]) for i in order]
    promise = [sum(top[k:]) for k in range(len(order) + 1)]
    best: tuple[float, int, list[Hit]] | None = None

    def search(k: int, cost: int, like: float, picked: list[Hit]) -> None:
        nonlocal best
        if budget_minor is not None and cost + rest[k] > budget_minor:
            return
        if best is not None and like + promise[k] < best[0]:
            return
        if k == len(order):
            if best is None or (like, -cost) > (best[0], -best[1]):
                best = (like, cost, list(picked))
            return
        for price, liked, hit in lists[order[k]]:
            if any(hit.product_id == p.product_id for p in picked):
                continue
            picked.append(hit)
            search(k + 1, cost + price, like + liked, picked)
            picked.pop()

    search(0, 0, 0.0, [])
    if best is not None:
        by_part = {order[k]: hit for k, hit in enumerate(best[2])}
        return Chosen(tuple(by_part[i] for i in range(len(parts))), best[1])
    cheapest: list[Hit] = []
    total = 0
    for i in range(len(parts)):
        free = [c for c in lists[i] if all(c[2].product_id != h.product_id for h in cheapest)]
        if not free:
            return None
        price, _, hit = min(free, key=lambda c: (c[0], c[2].product_id))
        cheapest.append(hit)
        total += price
    if budget_minor is not None and total <= budget_minor:
        return Chosen(tuple(cheapest), total)
    return Chosen(tuple(cheapest), total, total - (budget_minor or 0))


def _frontier(priced: list[tuple[int, float, Hit]], spare: int) -> list[tuple[int, float, Hit]]:
    """Keep what no `spare` other candidates beat in price and liking, dearest liked first."""
    priced = sorted(priced, key=lambda c: (c[0], -c[1], c[2].product_id))
    kept: list[tuple[int, float, Hit]] = []
    for price, like, hit in priced:
        if sum(k[1] >= like for k in kept) < max(1, spare):
            kept.append((price, like, hit))
    return sorted(kept, key=lambda c: (-c[1], c[0], c[2].product_id))[:_MANY]


def liking(hits: Sequence[Hit]) -> list[tuple[Hit, float]]:
    """Turn an order of products into likings that fall with rank, in (0, 1]."""
    return [(hit, 1.0 / math.log2(rank + 2)) for rank, hit in enumerate(hits[:_MANY])]


def topic_words(product: Product) -> frozenset[str]:
    """Return the words that say what a product is for."""
    return frozenset(
        w for w in words_of(product) if w not in STOPWORDS and len(w) > 2 and not w.isdigit()
    )


def complements(
    anchor: Product,
    shelf: Shelf,
    hits: Sequence[Hit],
    *,
    together: Mapping[str, float] | None = None,
) -> list[tuple[Hit, float]]:
    """Order what goes with a product: shared purpose, another kind of thing, bought together.

    Args:
        anchor: the product to go with.
        shelf: where word frequencies come from.
        hits: candidates.
        together: product id to how often it is bought with the anchor, in [0, 1].
    """
    own = topic_words(anchor)
    title = set(stems_of(anchor.title)) | set(stems_of(anchor.type or ""))
    size = max(1, len(shelf.products))
    scored: list[tuple[Hit, float]] = []
    for hit in hits:
        product = hit.product
        if product.product_id == anchor.product_id or (anchor.type and product.type == anchor.type):
            continue
        words = topic_words(product)
        score = 0.0
        for word in own & words:
            count = sum(1 for _ in shelf.with_title_word(word)) or 2
            weight = math.log(1 + size / count)
            score += weight * (2.0 if word in title else 0.6)
        if set(anchor.category) & set(product.category):
            score += 0.8
        audience = anchor.attributes.get("audience")
        if audience is not None and product.attributes.get("audience") not in (None, audience):
            continue
        score += 3.0 * (together or {}).get(product.product_id, 0.0)
        if score > 0:
            scored.append((hit, score))
    return sorted(scored, key=lambda s: (-s[1], s[0].product_id))


def one_of_each_kind(
    scored: Sequence[tuple[Hit, float]], *, limit: int, budget_minor: int | None
) -> list[Hit]:
    """Take the best of each type in order while the sum keeps to the budget."""
    chosen: list[Hit] = []
    spent = 0
    kinds: set[str] = set()
    for hit, _ in scored:
        kind = (hit.product.type or " > ".join(hit.product.category) or hit.product_id).casefold()
        price = hit.price_minor
        if (
            kind in kinds
            or price is None
            or (budget_minor is not None and spent + price > budget_minor)
        ):
            continue
        chosen.append(hit)
        kinds.add(kind)
        spent += price
        if len(chosen) == limit:
            break
    return chosen


@dataclass(frozen=True)
class Due:
    """A product that is due again: days since the last purchase over the usual gap."""

    product_id: str
    ratio: float
    gap_days: float
    times: int


def due_again(bought: Mapping[str, Bought], now: datetime, *, limit: int = 8) -> list[Due]:
    """Return what the visitor is probably running low on, most urgent first.

    A product counts once it was bought at least twice; long forgotten ones (over four gaps) do not.
    """
    found: list[Due] = []
    for product_id, record in bought.items():
        days = sorted({t.date() for t in record.times})
        if len(days) < 2:
            continue
        gaps = [(b - a).days for a, b in itertools.pairwise(days)]
        gap = max(1.0, float(median(gaps)))
        ratio = (now.date() - days[-1]).days / gap
        if DUE_FROM <= ratio <= 4.0:
            found.append(Due(product_id, ratio, gap, len(days)))
    return sorted(found, key=lambda d: (-d.times * min(d.ratio, 2.0), d.product_id))[:limit]
