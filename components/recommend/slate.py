"""From a ranking to a slate: rules, caps, diversity, exploration with logged propensities.

In: products with scores, already past the hard filters. Out: placed products with the chance that
the policy shows them there. Deterministic given the seed; never returns fewer products than it can.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.contracts.params import ServeParams
from components.recommend.goals import Goals

FloatArray = NDArray[np.float32]
POLICY_KEYS = ("diversity", "exploration", "margin", "discovery")


@dataclass(frozen=True)
class Rule:
    """A dated wish of the shop.

    Attributes:
        kind: `pin` puts products on a rank, `boost` adds to their score, `block` removes them.
        product_ids: whom it concerns.
        rank: for a pin, from 1; several products of one pin follow each other.
        amount: for a boost, added to the score (log-odds of a purchase).
        starts_at: first moment it holds; None means always.
        ends_at: first moment it no longer holds; None means forever.
        surfaces: where it holds; empty means everywhere.
    """

    kind: Literal["pin", "boost", "block"]
    product_ids: tuple[str, ...]
    rank: int = 1
    amount: float = 0.0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    surfaces: tuple[str, ...] = ()

    def holds(self, now: datetime, surface: str) -> bool:
        """Say whether the rule holds at this moment on this surface."""
        return (
            (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
            and (not self.surfaces or surface in self.surfaces)
        )


@dataclass(frozen=True)
class SlatePolicy:
    """How a slate is composed.

    Attributes:
        diversity: weight of dissimilarity in MMR, in [0, 1); 0 keeps the ranking.
        max_per_type: at most so many products of one type; 0 means no cap.
        max_per_category: likewise for the category path.
        exploration: chance in [0, 1] that a slot of the last third goes to a product from the
            exploration pool.
        pool: products of the ranking looked at for MMR and caps.
        goals: what counts beside the purchase.
    """

    diversity: float = 0.0
    max_per_type: int = 0
    max_per_category: int = 0
    exploration: float = 0.0
    pool: int = 100
    goals: Goals = field(default_factory=Goals)


def policy_of(params: ServeParams) -> SlatePolicy:
    """Return how the service composes slates."""
    return SlatePolicy(
        diversity=params.diversity,
        exploration=params.exploration,
        goals=Goals(margin=params.margin, discovery=params.discovery),
    )


@dataclass(frozen=True)
class Placed:
    """One place of a slate. `propensity` is the policy's chance of showing it there, in (0, 1]."""

    item: int
    score: float
    propensity: float
    explored: bool = False
    pinned: bool = False


Similarity = Callable[[int, Sequence[int]], NDArray[np.floating]]


def mmr(
    items: Sequence[int], scores: Sequence[float], k: int, diversity: float, similarity: Similarity
) -> list[int]:
    """Order by maximal marginal relevance (Carbonell & Goldstein, 1998).

    Args:
        items: distinct, best first.
        scores: one per item, any scale; scaled to [0, 1] over these items.
        k: how many are wanted.
        diversity: weight of dissimilarity in [0, 1); 0 returns the first `k`.
        similarity: of one item to several, in [0, 1].

    Returns:
        The chosen items in order.
    """
    if diversity <= 0 or len(items) <= 1:
        return list(items[:k])
    low, high = min(scores), max(scores)
    relevance = (np.asarray(scores, dtype=float) - low) / max(high - low, 1e-9)
    chosen: list[int] = []
    nearest = np.zeros(len(items))
    left = np.ones(len(items), dtype=bool)
    while len(chosen) < min(k, len(items)):
        value = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(value.argmax())
        left[best] = False
        chosen.append(items[best])
        nearest = np.maximum(nearest, similarity(items[best], items))
    return chosen


def capped(
    items: Sequence[int], k: int, labels: Sequence[tuple[Callable[[int], object], int]]
) -> list[int]:
    """Return the first `k` items that keep every cap; the skipped ones follow if places are left.

    >>> capped([1, 3, 5, 2], 3, [(lambda item: item % 2, 2)])
    [1, 3, 2]
    >>> capped([1, 3, 5], 3, [(lambda item: item % 2, 2)])
    [1, 3, 5]
    """
    taken: list[int] = []
    skipped: list[int] = []
    counts: dict[tuple[int, object], int] = {}
    for item in items:
        if len(taken) == k:
            break
        keys = [(n, label(item)) for n, (label, cap) in enumerate(labels) if cap > 0]
        if all(counts.get(key, 0) < labels[key[0]][1] for key in keys):
            taken.append(item)
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
        else:
            skipped.append(item)
    return (taken + skipped)[:k]


def compose(
    items: Sequence[int],
    scores: Sequence[float],
    k: int,
    policy: SlatePolicy,
    *,
    similarity: Similarity,
    type_of: Callable[[int], object],
    category_of: Callable[[int], object],
    family_of: Callable[[int], object] | None = None,
    pins: Sequence[tuple[int, int]] = (),
    explorable: Collection[int] = (),
    seed: int = 0,
) -> list[Placed]:
    """Compose a slate.

    Args:
        items: distinct products, best first, blocked ones already removed.
        scores: one per item.
        k: places.
        policy: see there.
        similarity: for MMR.
        type_of: label for the type cap.
        category_of: label for the category cap.
        family_of: of products with one label only the best is shown, or the pinned ones; None means
            that every product is its own family.
        pins: (rank from 1, item); a pinned item need not be among `items`.
        explorable: items the shop has to learn about; slots of the last third may go to one of them
            drawn uniformly, and the propensities say so.
        seed: of the exploration draw; equal seeds give equal slates.

    Returns:
        At most `k` places, as many as there are products.
    """
    score_of = dict(zip(items, (float(s) for s in scores), strict=True))
    pinned = {item: rank for rank, item in sorted(pins, reverse=True)}
    family = family_of or (lambda item: item)
    rest = one_each(items, max(policy.pool, 5 * k), family, pinned)
    pool = rest[: max(policy.pool, 3 * k)]
    ordered = mmr(pool, [score_of[i] for i in pool], len(pool), policy.diversity, similarity)
    caps = [(type_of, policy.max_per_type), (category_of, policy.max_per_category)]
    line = capped(ordered, k, caps)
    if len(line) < k:
        held = set(line)
        line += [item for item in rest if item not in held][: k - len(line)]
    placed = [Placed(item, score_of[item], 1.0) for item in line]
    unseen = one_each(sorted(set(explorable)), len(explorable), family, [*pinned, *line])
    placed = _explored(placed, k, policy, unseen, seed, score_of)
    for item, rank in sorted(pinned.items(), key=lambda pair: pair[1]):
        pin = Placed(item, score_of.get(item, 0.0), 1.0, pinned=True)
        placed.insert(min(rank - 1, len(placed)), pin)
    return placed[:k]


def one_each(
    items: Iterable[int], n: int, family: Callable[[int], object], shown: Iterable[int]
) -> list[int]:
    """Return the first `n` items of families of their own, none of them shown already."""
    held = {family(item) for item in shown}
    kept: list[int] = []
    for item in items:
        if len(kept) == n:
            break
        label = family(item)
        if label not in held:
            held.add(label)
            kept.append(item)
    return kept


def _explored(
    placed: list[Placed],
    k: int,
    policy: SlatePolicy,
    explorable: Sequence[int],
    seed: int,
    score_of: dict[int, float],
) -> list[Placed]:
    """Give slots of the last third to exploration, each with its chance; keep propensities true."""
    shown = {p.item for p in placed}
    pool = sorted(set(explorable) - shown)
    slots = range(max(0, len(placed) - max(1, k // 3)), len(placed))
    if policy.exploration <= 0 or not pool or not placed:
        return placed
    generator = np.random.default_rng(seed)
    out = list(placed)
    for slot in slots:
        draws = generator.random(), int(generator.integers(len(pool)))
        if draws[0] < policy.exploration and pool:
            item = pool.pop(draws[1])
            chance = policy.exploration / (len(pool) + 1)
            out[slot] = Placed(item, score_of.get(item, 0.0), chance, explored=True)
        else:
            out[slot] = Placed(out[slot].item, out[slot].score, 1.0 - policy.exploration)
        if not pool:
            break
    return out
