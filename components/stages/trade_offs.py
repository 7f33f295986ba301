"""What each goal costs the others: the shipped ranking under other weights, on protocol P1.

In: the ranker's candidates for P1's visitors with their chances. Out: rows of
`reports/p1_trade_offs.json`, one per setting of the weights: NDCG and recall of the next basket
beside what the hits brought, how much was new to the visitor, how varied the slates were. The row
of the plain goal is the shipped one; nothing is chosen here.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.beyond_accuracy import category_diversity, coverage
from components.evaluate.metrics import hit_matrix, ndcg_at_k, recall_at_k
from components.evaluate.report import metric_row
from components.recommend.goals import Goals, valued
from components.recommend.history import FloatArray, IntArray
from components.recommend.ranker import Ranking
from components.recommend.slate import mmr

POOL = 100
SETTINGS: tuple[tuple[Goals, float], ...] = (
    (Goals(), 0.0),
    (Goals(margin=0.25), 0.0),
    (Goals(margin=0.5), 0.0),
    (Goals(margin=1.0), 0.0),
    (Goals(discovery=0.5), 0.0),
    (Goals(discovery=1.0), 0.0),
    (Goals(discovery=2.0), 0.0),
    (Goals(), 0.1),
    (Goals(), 0.3),
    (Goals(), 0.5),
    (Goals(margin=0.25, discovery=0.5), 0.1),
)


class Pools:
    """Each visitor's best candidates by each goal: what any of the settings may show.

    Args:
        gain: (V,) what a sale of each product brings.
        size: candidates kept per visitor and setting.
    """

    def __init__(self, gain: FloatArray, size: int = POOL) -> None:
        self.gain = gain
        self.size = size
        self.products: list[IntArray] = []
        self.log_odds: list[FloatArray] = []
        self.owned: list[NDArray[np.bool_]] = []

    def add(self, n_visitors: int, ranking: Ranking) -> None:
        """Keep the heads of the next `n_visitors` visitors."""
        c = ranking.candidates
        bounds = np.searchsorted(c.visitor, np.arange(n_visitors + 1))
        chance = np.clip(ranking.probability.astype(np.float64), 1e-6, 1 - 1e-6)
        # The calibrated chance is flat over steps; the raw score breaks its ties, as in serving.
        value = np.log(chance / (1 - chance)) + 1e-3 * ranking.score
        for start, stop in pairwise(bounds.tolist()):
            product, odds = c.product[start:stop], value[start:stop].astype(np.float32)
            owned = c.owned[start:stop]
            kept = np.zeros(len(product), dtype=bool)
            for goals in {goals for goals, _ in SETTINGS}:
                wanted = valued(odds, self.gain[product], owned, goals)
                kept[np.argsort(-wanted, kind="stable")[: self.size]] = True
            self.products.append(product[kept])
            self.log_odds.append(odds[kept])
            self.owned.append(owned[kept])


def slates_under(
    pools: Pools, goals: Goals, diversity: float, vectors: FloatArray, k: int
) -> list[IntArray]:
    """Return each visitor's slate under these weights.

    Args:
        pools: candidates.
        goals: weights.
        diversity: of MMR.
        vectors: (V, D) unit rows; likeness for MMR.
        k: places.
    """
    slates = []
    for product, odds, owned in zip(pools.products, pools.log_odds, pools.owned, strict=True):
        value = valued(odds, pools.gain[product], owned, goals)
        order = np.argsort(-value, kind="stable")[: pools.size if diversity else k]

        def likeness(item: int, others: Sequence[int]) -> FloatArray:
            return np.clip(vectors[list(others)] @ vectors[item], 0.0, 1.0)

        line = mmr(product[order].tolist(), value[order].tolist(), k, diversity, likeness)
        slates.append(np.array(line, dtype=np.int64))
    return slates


def trade_off_rows(
    pools: Pools,
    targets: Sequence[frozenset[int]],
    owned: Sequence[frozenset[int]],
    vectors: FloatArray,
    category: IntArray,
    *,
    k: int,
    n_products: int,
    bootstrap: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return one row per setting.

    Args:
        pools: candidates of B visitors.
        targets: (B,) what each bought.
        owned: (B,) what each had bought before.
        vectors: (V, D) unit rows for MMR.
        category: (V,) of each product.
        k: places.
        n_products: that could be shown; for coverage.
        bootstrap: resamples.
        seed: of the resamples.
    """
    rows = []
    for goals, diversity in SETTINGS:
        slates = slates_under(pools, goals, diversity, vectors, k)
        hits = hit_matrix([slate.tolist() for slate in slates], targets, k)
        sizes = np.array([len(wanted) for wanted in targets])
        gain = np.array([
            sum(float(pools.gain[p]) for p in slate if p in wanted)
            for slate, wanted in zip(slates, targets, strict=True)
        ])  # fmt: skip
        found_new = np.array([
            sum(p in wanted and p not in own for p in slate.tolist())
            for slate, wanted, own in zip(slates, targets, owned, strict=True)
        ], dtype=float)  # fmt: skip
        new = np.array([
            np.mean([p not in own for p in slate.tolist()]) if len(slate) else 0.0
            for slate, own in zip(slates, owned, strict=True)
        ])  # fmt: skip
        values = {
            f"ndcg@{k}": ndcg_at_k(hits, sizes, k),
            f"recall@{k}": recall_at_k(hits, sizes, k),
            f"gain_minor@{k}": gain,
            f"new_found@{k}": found_new,
            "new_share": new,
        }
        full = np.stack([np.resize(slate, k) for slate in slates if len(slate)])
        values["category_diversity"] = category_diversity(full, category)
        plain = goals.is_plain and diversity == 0.0
        labels = {
            "model": "purchase only" if plain else name_of(goals, diversity),
            "margin": goals.margin, "discovery": goals.discovery, "diversity": diversity,
            "coverage": coverage(full, n_products), "shipped": plain, "slice": "all",
        }  # fmt: skip
        rows.append(metric_row(values, bootstrap=bootstrap, seed=seed, **labels))
    return rows


def name_of(goals: Goals, diversity: float) -> str:
    """Name a setting by its weights above 0.

    >>> name_of(Goals(margin=0.5), 0.1)
    'margin .5, diversity .1'
    """
    parts = (("margin", goals.margin), ("discovery", goals.discovery), ("diversity", diversity))
    return ", ".join(f"{name} {f'{weight:g}'.lstrip('0')}" for name, weight in parts if weight)
