"""Candidate generation: the union of several generators' best products, each with its origins.

In: a batch of visitors, the shop's state and each generator's (B, V) scores. Out: pairs (visitor,
product) with a bit per generator that proposed them. Everything rankable that a visitor bought is a
candidate; the other generators propose products never bought, each up to its quota.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.recommend.features import ShopState, VisitorView
from components.recommend.history import BoolArray, FloatArray, IntArray

ORIGINS = (
    "repeat", "item_knn", "companions", "taste", "popularity", "promoted", "sasrec", "graph",
    "content", "session",
)  # fmt: skip
BIT: Mapping[str, int] = {name: 1 << place for place, name in enumerate(ORIGINS)}
QUOTAS: Mapping[str, int] = {
    "item_knn": 120, "companions": 40, "taste": 60, "popularity": 60, "promoted": 150,
    "sasrec": 80, "graph": 60, "content": 40, "session": 60,
}  # fmt: skip


@dataclass(frozen=True)
class Candidates:
    """Pairs sorted by visitor, then product; all arrays (n,)."""

    visitor: IntArray
    product: IntArray
    origins: IntArray
    owned: BoolArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.visitor)

    def take(self, rows: IntArray | BoolArray) -> "Candidates":
        """Return the chosen pairs."""
        return Candidates(
            self.visitor[rows], self.product[rows], self.origins[rows], self.owned[rows]
        )


def origin_names(bits: int) -> tuple[str, ...]:
    """Return the generators behind a pair, in a fixed order.

    >>> origin_names(3)
    ('repeat', 'item_knn')
    """
    return tuple(name for name in ORIGINS if bits & BIT[name])


def promoted_scores(
    view: VisitorView, state: ShopState, affinity: Mapping[str, FloatArray]
) -> FloatArray:
    """Return (B, V) likeness to the visitor, raised for what is displayed or mailed that week.

    The place's own assortment enters by the square root of its lines, so that a product which the
    visitor's usual place hardly sells is not proposed for its display elsewhere.
    """
    out = affinity["neighbours"] + np.float32(0.05)
    place = view.visitors.place
    known = np.flatnonzero((place >= 0) & (place < len(state.place_share)))
    if len(known):
        places, row_of = np.unique(place[known], return_inverse=True)
        out[known] *= np.sqrt(state.place_share[places])[row_of]
    for week in np.unique(view.week):
        shares = state.exposures.shares.get(int(week))
        exposed = np.float32(0.3) if shares is None else 0.3 + shares.sum(axis=1)
        out[view.week == week] *= exposed
    return out


def generator_scores(
    view: VisitorView, state: ShopState, affinity: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Return the (B, V) scores of the generators that need nothing but the state."""
    month = np.broadcast_to(state.facts[:, 1], (len(view), state.n_products))
    return {
        "item_knn": affinity["neighbours"],
        "companions": affinity["companions"],
        "taste": affinity["svd"],
        "popularity": month,
        "promoted": promoted_scores(view, state, affinity),
    }


def best_columns(scores: FloatArray, k: int) -> IntArray:
    """Return the (B, k) best columns of each row in no particular order."""
    k = min(k, scores.shape[1])
    return np.argpartition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k :]


def generate(
    view: VisitorView,
    state: ShopState,
    scores: Mapping[str, FloatArray],
    *,
    quotas: Mapping[str, int] = QUOTAS,
    allowed: BoolArray | None = None,
    block: int = 128,
) -> Candidates:
    """Collect candidates.

    Args:
        view: B visitors.
        state: the shop before the week of the request.
        scores: generator name to (B, V); a product scored 0 or less is not proposed by it.
        quotas: generator name to how many products never bought it may propose.
        allowed: (V,) products that may be candidates at all; those rankable by default.
        block: visitors at a time; bounds memory.

    Returns:
        Pairs with their origins.
    """
    may = state.rankable if allowed is None else allowed
    columns = np.flatnonzero(may)
    place_of = np.full(state.n_products, -1)
    place_of[columns] = np.arange(len(columns))
    owner, product = view.own.keys // state.n_products, view.own.keys % state.n_products
    parts: list[tuple[IntArray, IntArray, IntArray, BoolArray]] = []
    for start in range(0, len(view), block):
        stop = min(len(view), start + block)
        bits = np.zeros((stop - start, len(columns)), dtype=np.int64)
        mine = (owner >= start) & (owner < stop) & may[product]
        own_row, own_column = owner[mine] - start, place_of[product[mine]]
        for name, matrix in scores.items():
            if not quotas.get(name, 0) or not len(columns):
                continue
            part = np.array(matrix[start:stop][:, columns], dtype=np.float32)
            part[own_row, own_column] = -np.inf
            best = best_columns(part, quotas[name])
            good = np.take_along_axis(part, best, axis=1) > 0
            row = np.repeat(np.arange(stop - start), best.shape[1]).reshape(best.shape)
            bits[row[good], best[good]] |= BIT[name]
        bits[own_row, own_column] |= BIT["repeat"]
        row, column = np.nonzero(bits)
        origin = bits[row, column]
        parts.append((row + start, columns[column], origin, (origin & BIT["repeat"]) > 0))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Candidates(none, none, none, np.zeros(0, dtype=bool))
    return Candidates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def recall_of(
    candidates: Candidates, targets: Sequence[IntArray], n_products: int
) -> dict[str, float]:
    """Measure how much of what was bought each generator proposed, and their union.

    Args:
        candidates: of visitors 0 to len(targets) - 1.
        targets: per visitor the products bought.
        n_products: V.

    Returns:
        Origin (and `all`) to recall in [0, 1], pooled over visitors.
    """
    wanted = np.concatenate([i * n_products + np.asarray(t) for i, t in enumerate(targets)])
    found = np.isin(candidates.visitor * n_products + candidates.product, wanted)
    total = max(len(wanted), 1)
    recall = {
        name: float((found & ((candidates.origins & BIT[name]) > 0)).sum() / total)
        for name in ORIGINS
        if bool((candidates.origins & BIT[name]).any())
    }
    return {"all": float(found.sum() / total), **recall}
