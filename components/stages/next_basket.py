"""Protocol P1, next basket: what will a visitor's first basket after the cut-off hold?

In: accepted tables, the split, and `artefacts/train_ranker`. Out: `reports/p1_next_basket.json`
(every baseline and the shipped ranking, by slice, with intervals), the report beyond accuracy, and
`artefacts/evaluate/p1_slates.parquet`. The shipped ranking comes from `rank_visitors`, the same
function that serving calls; history ends before the cut-off's week, the moment of the request is
the day of the basket.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.params import Params
from components.data.split import CutOffs
from components.evaluate.beyond_accuracy import (
    category_diversity,
    coverage,
    gini,
    novelty,
    popularity_bias,
    tail_share,
)
from components.evaluate.bootstrap import paired_interval
from components.evaluate.metrics import hit_matrix, ndcg_at_k, recall_at_k
from components.evaluate.report import metric_row
from components.recommend.candidates import recall_of
from components.recommend.features import ShopState
from components.recommend.history import BoolArray, FloatArray, IntArray, Log
from components.recommend.item_knn import ItemKNN
from components.recommend.own_frequency import OwnFrequency
from components.recommend.popularity import Popularity, ranked_indices, tie_order
from components.recommend.ranker import Ranker, Ranking, rank_visitors, top_products
from components.recommend.segment_popularity import SegmentPopularity
from components.recommend.shop_data import Baskets, ShopData, first_baskets, least_basket, view_at

BLOCK = 256
DECAY_WEEKS = 13.0
COLD_TRIPS = 20
SLICES = ("all", "repeat", "novel")


@dataclass(frozen=True)
class Question:
    """Everything P1 asks, and what it is judged by.

    Attributes:
        shop: all data in dense form.
        state: the shop before the cut-off.
        baskets: the baskets to be guessed.
        history: (B,) each visitor's purchases before the cut-off, one entry per line, oldest first.
        ages: (B,) ages of these lines in weeks before the last week of history.
        owned: (B,) sets of products bought before.
        ties: (V,) order among equals: popularity, then product_id.
    """

    shop: ShopData
    state: ShopState
    baskets: Baskets
    history: list[IntArray]
    steps: list[IntArray]
    ages: list[IntArray]
    owned: list[frozenset[int]]
    ties: NDArray[np.int64]
    popularity: NDArray[np.float64]

    def targets(self, slice_: str) -> list[frozenset[int]]:
        """Return per visitor what counts as a hit in a slice."""
        pairs = zip(self.baskets.products, self.owned, strict=True)
        if slice_ == "repeat":
            return [frozenset(p for p in products.tolist() if p in own) for products, own in pairs]
        if slice_ == "novel":
            return [
                frozenset(p for p in products.tolist() if p not in own) for products, own in pairs
            ]
        return [frozenset(products.tolist()) for products, _ in pairs]

    def sought(self) -> "Question":
        """Return the question without what a slate led to; unchanged if that is nothing, or all.

        A ranking must not be judged by its own showing: what it put before a visitor's eyes is
        bought more often for that alone, and what another would have shown there could not be.
        """
        baskets, shown, n = self.baskets, self.shop.shown, self.shop.n_products
        days = int(max(baskets.day.max(initial=0), shown.day.max(initial=0))) + 1
        pairs = (shown.visitor * n + shown.group) * days + shown.day
        left = tuple(
            products[~np.isin((visitor * n + products) * days + day, pairs)]
            for visitor, day, products in zip(
                baskets.visitor, baskets.day, baskets.products, strict=True
            )
        )
        sizes = sum(len(products) for products in left)
        if sizes in (0, sum(len(products) for products in baskets.products)):
            return self
        return replace(self, baskets=replace(baskets, products=left))


def ask(shop: ShopData, state: ShopState, cut: CutOffs, min_basket: int) -> Question:
    """Collect the baskets after the cut-off and the histories before it."""
    baskets = first_baskets(
        shop.log,
        cut.test_from_week,
        cut.last_week + 1,
        state.rankable,
        least_basket(shop.log, state.rankable, min_basket),
    )
    before = shop.log.before(cut.test_from_week)
    popularity = np.bincount(before.group, before.amount, shop.n_products).astype(np.float64)
    mine = before.of_visitors(baskets.visitor, len(shop.visitor_ids))
    history, steps, ages = sequences_of(mine, len(baskets), cut.test_from_week - 1)
    return Question(
        shop=shop,
        state=state,
        baskets=baskets,
        history=history,
        steps=steps,
        ages=ages,
        owned=[frozenset(items.tolist()) for items in history],
        ties=tie_order(popularity, shop.columns.product_ids),
        popularity=popularity,
    )


def sequences_of(
    log: Log, n_visitors: int, last_week: int
) -> tuple[list[IntArray], list[IntArray], list[IntArray]]:
    """Unroll a log to one entry per line, oldest first: products, trip numbers, ages in weeks."""
    order = np.lexsort((log.group, log.day, log.visitor))
    repeats = np.maximum(np.rint(log.amount[order]).astype(np.int64), 1)
    rows = np.repeat(order, repeats)
    bounds = np.searchsorted(log.visitor[rows], np.arange(1, n_visitors))
    return (
        np.split(log.group[rows], bounds),
        np.split(log.trip[rows], bounds),
        np.split(last_week - log.week[rows], bounds),
    )


Scorer = Callable[[slice], FloatArray]


@dataclass(frozen=True)
class Answer:
    """A model's rankings of one protocol: heads for all products and for novel ones."""

    head: list[NDArray[np.int64]]
    novel: list[NDArray[np.int64]]

    def of(self, slice_: str) -> list[NDArray[np.int64]]:
        """Return the ranking a slice is judged on."""
        return self.novel if slice_ == "novel" else self.head


def answer_of_scores(question: Question, score: Scorer, k: int) -> Answer:
    """Rank the whole catalogue by a baseline's scores: all products, and those never bought."""
    head: list[NDArray[np.int64]] = []
    novel: list[NDArray[np.int64]] = []
    n = len(question.baskets)
    for start in range(0, n, BLOCK):
        part = slice(start, min(n, start + BLOCK))
        scores = score(part)
        allowed: BoolArray = np.tile(question.state.rankable, (part.stop - start, 1))
        head += list(ranked_indices(scores, question.ties, k, allowed=allowed))
        for row, own in enumerate(question.owned[part]):
            allowed[row, list(own)] = False
        novel += list(ranked_indices(scores, question.ties, k, allowed=allowed))
    return Answer(head, novel)


def baselines(question: Question, cut: CutOffs) -> dict[str, Scorer]:
    """Return the baselines as functions from a block of visitors to (block, V) scores."""
    n = question.shop.n_products
    own = OwnFrequency().fit([], n)
    decay = OwnFrequency(DECAY_WEEKS).fit([], n)
    popularity = Popularity()
    popularity.counts = question.popularity.astype(np.float32)
    before = question.shop.log.before(cut.test_from_week)
    ranked = before.take(question.state.rankable[before.group])
    everyone, steps, _ = sequences_of(ranked, len(question.shop.visitor_ids), 0)
    knn = ItemKNN().fit(everyone, n, steps=steps)
    segments = SegmentPopularity().fit(everyone, n)
    return {
        "popularity": lambda part: popularity.score(question.history[part]),
        "popularity_by_segment": lambda part: segments.score(question.history[part]),
        "own_frequency": lambda part: own.score(question.history[part]),
        "own_frequency_decay": lambda part: decay.score(
            question.history[part], ages=question.ages[part]
        ),
        "item_knn": lambda part: knn.score(question.history[part], steps=question.steps[part]),
    }


class Heads:
    """Heads of a ranker's lists, block after block; see `Answer`."""

    def __init__(self, question: Question, k: int) -> None:
        """Begin with none."""
        self._question, self._k = question, k
        self._head: list[NDArray[np.int64]] = []
        self._novel: list[NDArray[np.int64]] = []

    def add(
        self, size: int, ranking: Ranking
    ) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """Keep the heads of a block of `size` visitors; returns whole lists and novel heads."""
        ties = self._question.ties
        whole = top_products(ranking, size, self._question.shop.n_products, ties)
        new = top_products(ranking, size, self._k, ties, owned=False)
        self._head += [products[: self._k] for products in whole]
        self._novel += new
        return whole, new

    def answer(self) -> Answer:
        """Return what was kept."""
        return Answer(self._head, self._novel)


def answer_of_ranker(
    question: Question,
    ranker: Ranker,
    k: int,
    *,
    extra: Callable[[slice], Mapping[str, FloatArray]] | None = None,
    threads: int = 2,
    watch: Callable[[Baskets, Ranking], None] | None = None,
) -> tuple[Answer, list[NDArray[np.int64]], dict[str, float]]:
    """Rank by the served function.

    Args:
        question: whose visitors are ranked for.
        ranker: the trees.
        k: depth of the heads.
        extra: further generators' scores of a block of visitors.
        threads: of the trees.
        watch: called with each block's baskets and scored candidates with their features, in order.

    Returns:
        The answer, each visitor's full ranking as deep as ten novel products, and the recall of
        each generator's candidates.
    """
    deep: list[NDArray[np.int64]] = []
    heads = Heads(question, k)
    recalls: list[tuple[int, dict[str, float]]] = []
    n = len(question.baskets)
    for start in range(0, n, BLOCK):
        part = slice(start, min(n, start + BLOCK))
        block = question.baskets.take(part)
        view = view_at(question.shop, question.state, block)
        ranking = rank_visitors(
            view, question.state, ranker, threads=threads,
            extra=extra(part) if extra is not None else None, keep_features=watch is not None,
        )  # fmt: skip
        if watch is not None:
            watch(block, ranking)
        size = len(block)
        whole, new = heads.add(size, ranking)
        for products, last in zip(whole, new, strict=True):
            depth = int(np.flatnonzero(products == last[-1])[0]) + 1 if len(last) else k
            deep.append(products[: max(depth, 2 * k)])
        found = recall_of(ranking.candidates, block.products, question.shop.n_products)
        recalls.append((size, found))
    names = sorted({name for _, found in recalls for name in found})
    recall = {
        name: sum(size * found.get(name, 0.0) for size, found in recalls) / max(n, 1)
        for name in names
    }
    return heads.answer(), deep, recall


def measured(
    question: Question, answer: Answer, slice_: str, k: int
) -> dict[str, NDArray[np.float64]]:
    """Return NDCG and recall of a slice, per visitor who has a target in it."""
    targets = question.targets(slice_)
    rows = [row for row, wanted in enumerate(targets) if wanted]
    ranked = answer.of(slice_)
    hits = hit_matrix([ranked[row].tolist() for row in rows], [targets[row] for row in rows], k)
    sizes = [len(targets[row]) for row in rows]
    return {f"ndcg@{k}": ndcg_at_k(hits, sizes, k), f"recall@{k}": recall_at_k(hits, sizes, k)}


def further_slices(question: Question, cut: CutOffs) -> dict[str, BoolArray]:
    """Return masks over visitors: basket size, and visitors with few trips so far."""
    size = np.array([len(products) for products in question.baskets.products])
    trips = np.array([len(np.unique(steps)) for steps in question.steps])
    return {
        "basket 3-7": size <= 7,
        "basket 8-19": (size >= 8) & (size <= 19),
        "basket 20+": size >= 20,
        f"visitors under {COLD_TRIPS} trips": trips < COLD_TRIPS,
        "visitors 100+ trips": trips >= 100,
    }


def slates_frame(question: Question, deep: Sequence[NDArray[np.int64]]) -> pl.DataFrame:
    """Return the shipped ranking as visitor_id, rank, product_id."""
    ids = np.array(question.shop.columns.product_ids)
    lengths = [len(products) for products in deep]
    visitors = np.repeat([question.shop.visitor_ids[v] for v in question.baskets.visitor], lengths)
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    products = ids[np.concatenate([np.asarray(p, dtype=np.int64) for p in deep])]
    return pl.DataFrame({"visitor_id": visitors, "rank": ranks, "product_id": products})


def next_basket_rows(
    question: Question, answers: Mapping[str, Answer], shipped: str, cut: CutOffs, params: Params
) -> list[dict[str, Any]]:
    """Return the report's rows: each model by slice, and the paired gain over the best habit."""
    k, seed, n = params.evaluate.k, params.evaluate.seed, params.evaluate.bootstrap
    rows: list[dict[str, Any]] = []
    reference = "own_frequency_decay"
    for slice_ in SLICES:
        base = {name: measured(question, answer, slice_, k) for name, answer in answers.items()}
        for name, values in base.items():
            row = metric_row(
                values, bootstrap=n, seed=seed, model=name, slice=slice_, shipped=name == shipped,
                seen="removed" if slice_ == "novel" else "kept",
            )  # fmt: skip
            against = "popularity" if slice_ == "novel" else reference
            if name == shipped and against in base:
                gain = paired_interval(
                    values[f"ndcg@{k}"], base[against][f"ndcg@{k}"], n=n, seed=seed
                )
                row |= {
                    "against": against,
                    "gain": gain.mean,
                    "gain_low": gain.low,
                    "gain_high": gain.high,
                }
            rows.append(row)
    sought = question.sought()
    if sought is not question:
        for name, answer in answers.items():
            values = measured(sought, answer, "all", k)
            rows.append(metric_row(values, bootstrap=n, seed=seed, model=name, slice="sought",
                                   shipped=name == shipped, seen="kept"))  # fmt: skip
    everything = {name: measured(question, answer, "all", k) for name, answer in answers.items()}
    for label, mask in further_slices(question, cut).items():
        for name in ("popularity", reference, shipped):
            if name in everything and mask.any():
                values = {metric: v[mask] for metric, v in everything[name].items()}
                rows.append(metric_row(values, bootstrap=n, seed=seed, model=name, slice=label,
                                       shipped=name == shipped, seen="kept"))  # fmt: skip
    return rows


def beyond_rows(
    question: Question, answers: Mapping[str, Answer], shipped: str
) -> list[dict[str, Any]]:
    """Return coverage, novelty, diversity and popularity bias of each model's slates."""
    rankable = question.state.rankable
    dense = np.cumsum(rankable) - 1
    counts = question.popularity[rankable]
    category = question.shop.columns.category_of[rankable]
    bought = [dense[np.array(sorted(own), dtype=np.int64)] for own in question.owned]
    bought = [items[items >= 0] for items in bought]
    rows = []
    for name, answer in answers.items():
        depth = min(len(head) for head in answer.head)
        slates = dense[np.array([head[:depth] for head in answer.head])]
        rows.append(
            {
                "model": name,
                "shipped": name == shipped,
                "slice": "all",
                "coverage": coverage(slates, int(rankable.sum())),
                "gini": gini(slates, int(rankable.sum())),
                "novelty_bits": float(novelty(slates, counts).mean()),
                "category_diversity": float(category_diversity(slates, category).mean()),
                "popularity_bias": popularity_bias(slates, bought, counts),
                "tail_share": tail_share(slates, counts),
                "own_share": float(
                    np.mean([np.mean([p in own for p in head]) for head, own in
                             zip(answer.head, question.owned, strict=True)])
                ),
            }
        )  # fmt: skip
    return rows


def write_slates(frame: pl.DataFrame, folder: Path) -> None:
    """Write `p1_slates.parquet` into an artefact being written."""
    frame.write_parquet(folder / "p1_slates.parquet", compression="zstd")


def visitors_frame(question: Question, answer: Answer, k: int) -> pl.DataFrame:
    """Return the shipped ranking's figures per visitor: visitor_id, slice, ndcg@k, recall@k.

    Of what was sought alone, see `Question.sought`: the gate compares two releases by these, and
    one of them may have filled the slates. A visitor without targets in a slice is left out of it.
    """
    question = question.sought()
    names = [question.shop.visitor_ids[v] for v in question.baskets.visitor]
    parts = []
    for slice_ in SLICES:
        pairs = zip(names, question.targets(slice_), strict=True)
        asked = [name for name, wanted in pairs if wanted]
        values = measured(question, answer, slice_, k)
        parts.append(pl.DataFrame({"visitor_id": asked, "slice": [slice_] * len(asked), **values}))
    return pl.concat(parts)
