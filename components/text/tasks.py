"""What a text encoder is judged by: next products and queries, ranked over the whole catalogue.

Three tasks, each on a valid and a test part: `next_product` (the next basket of a visitor, products
already bought left out, from the mean vector of the last ten), `same_basket` (a product held out of
a basket, from the mean of the others), `query_product` (words of held-out product groups, and
recorded queries where a shop has them). No model is trained here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.evaluate.metrics import ndcg_at_k, recall_at_k
from components.text.normalise import tokens
from components.text.pairs import ProductWords, baskets, make_query, part_of_group
from components.text.vectors import TextVectors, best_columns

FloatArray = NDArray[np.float32]
TASKS = ("next_product", "same_basket", "query_product")
RECENT = 10
CHOICE_DEPTH = 100
_BLOCK = 256


@dataclass(frozen=True)
class Row:
    """One thing to rank for: known products or a query on one side, wanted products on the other.

    Attributes:
        context: product places whose mean vector is the question; empty for a query.
        query: the question in words; empty for products.
        wanted: product places.
        excluded: product places that may not be ranked.
    """

    context: tuple[int, ...]
    query: str
    wanted: frozenset[int]
    excluded: tuple[int, ...] = ()


Tasks = dict[str, list[Row]]


def _chance(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:8], "big")


def basket_rows(
    catalogue: ProductWords, history: pl.DataFrame, part: pl.DataFrame, *, most: int, least: int
) -> tuple[list[Row], list[Row]]:
    """Build the rows of `next_product` and `same_basket` from events before and in a part.

    Each visitor gives at most one row to each task: the first basket of the part with at least
    `least` products. At most `most` visitors, chosen by the hash of their id.
    """
    index = catalogue.index
    first = (
        baskets(part)
        .filter(pl.col("products").list.len() >= least)
        .unique("visitor_id", keep="first", maintain_order=True)
    )
    chosen = sorted(first.iter_rows(named=True), key=lambda row: _chance(row["visitor_id"]))[:most]
    visitors = [row["visitor_id"] for row in chosen]
    earlier = (
        history.filter(pl.col("visitor_id").is_in(visitors))
        .sort("at", "event_id")
        .group_by("visitor_id", maintain_order=True)
        .agg("product_id")
    )
    seen = dict(zip(earlier["visitor_id"], earlier["product_id"].to_list(), strict=True))
    following, together = [], []
    for row in chosen:
        bought = [index[name] for name in row["products"] if name in index]
        before = [index[name] for name in seen.get(row["visitor_id"], []) if name in index]
        recent = tuple(dict.fromkeys(reversed(before)))[:RECENT]
        novel = frozenset(bought) - set(before)
        if recent and novel:
            following.append(Row(recent, "", novel, tuple(sorted(set(before)))))
        if len(bought) >= max(2, least):
            target = bought[_chance(row["basket"], "held out") % len(bought)]
            context = tuple(place for place in bought if place != target)
            if context:
                together.append(Row(context, "", frozenset([target]), context))
    return following, together


def query_rows(
    catalogue: ProductWords,
    recorded: Sequence[tuple[str, int]],
    part: Literal["valid", "test"],
    *,
    most: int,
    seed: int,
) -> list[Row]:
    """Build the rows of `query_product`: made-up queries of held-out groups, and recorded ones.

    What answers a made-up query is every product that has all its words, or, where a typing error
    or the choice of words leaves none, every product of the group it was made from. Recorded
    queries are split by the hash of their words, so one query is never on both sides.
    """
    members: dict[str, list[int]] = {}
    for place, group in enumerate(catalogue.groups):
        if part_of_group(group) == part:
            members.setdefault(group, []).append(place)
    holders: dict[str, set[int]] = {}
    for place, words in enumerate(catalogue.words):
        for word in words:
            holders.setdefault(word, set()).add(place)
    generator = np.random.default_rng([seed, 1 if part == "valid" else 2])
    rows = []
    groups = sorted(members, key=lambda group: _chance(group))
    rounds = -(-most // max(1, len(groups)))
    for group in (group for _ in range(min(rounds, 3)) for group in groups):
        place = members[group][int(generator.integers(len(members[group])))]
        query = make_query(catalogue, place, generator)
        words = set(tokens(query))
        full = set.intersection(*(holders.get(word, set()) for word in words)) if words else set()
        rows.append(Row((), query, frozenset(full or members[group])))
    answers: dict[str, set[int]] = {}
    for text, place in recorded:
        if part_of_group(text.casefold()) == part:
            answers.setdefault(text, set()).add(place)
    rows.extend(Row((), text, frozenset(found)) for text, found in sorted(answers.items()))
    return rows[:most] if len(rows) <= most else sorted(rows, key=lambda r: _chance(r.query))[:most]


def build_tasks(
    catalogue: ProductWords,
    *,
    history: pl.DataFrame,
    part: pl.DataFrame,
    recorded: Sequence[tuple[str, int]],
    name: Literal["valid", "test"],
    seed: int,
    most: int = 2000,
    least: int = 3,
) -> Tasks:
    """Build all three tasks of one part; a task without rows is left out."""
    following, together = basket_rows(catalogue, history, part, most=most, least=least)
    asked = query_rows(catalogue, recorded, name, most=most, seed=seed)
    made = dict(zip(TASKS, (following, together, asked), strict=True))
    return {task: rows for task, rows in made.items() if rows}


def query_texts(*tasks: Tasks) -> list[str]:
    """Return every query of the tasks, sorted, once."""
    return sorted(
        {row.query for task in tasks for rows in task.values() for row in rows if row.query}
    )


def score_tasks(
    tasks: Tasks, vectors: TextVectors, catalogue: ProductWords, *, k: int = 10
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Rank the whole catalogue for every row.

    Products with equal text have equal scores; ties go to the earlier product.

    Returns:
        task -> metric (`ndcg@k`, `recall@k`) -> (n,) values per row.
    """
    rows = vectors.matrix(catalogue.texts)  # (V, D)
    results = {}
    for task, wanted in tasks.items():
        hits = np.zeros((len(wanted), k), bool)
        for start in range(0, len(wanted), _BLOCK):
            block = wanted[start : start + _BLOCK]
            asked = np.stack(
                [
                    rows[list(row.context)].mean(axis=0)
                    if row.context
                    else vectors.matrix([row.query])[0]
                    for row in block
                ]
            )  # (B, D)
            scores = asked @ rows.T  # (B, V)
            for i, row in enumerate(block):
                scores[i, list(row.excluded)] = -np.inf
            best, _ = best_columns(scores, k)
            for i, row in enumerate(block):
                hits[start + i, : best.shape[1]] = [int(place) in row.wanted for place in best[i]]
        relevant = np.array([len(row.wanted) for row in wanted])
        results[task] = {
            f"ndcg@{k}": ndcg_at_k(hits, relevant, k),
            f"recall@{k}": recall_at_k(hits, relevant, k),
        }
    return results


def choice_score(tasks: Tasks, vectors: TextVectors, catalogue: ProductWords) -> float:
    """Return one number to choose by: the geometric mean of the tasks' mean NDCG@100.

    The geometric mean weighs a gain of one part in ten alike on an easy and on a hard task; the
    deep cut lets a hard task count more than the few rows whose answer reaches the first ten.
    """
    results = score_tasks(tasks, vectors, catalogue, k=CHOICE_DEPTH)
    means = [max(float(np.mean(v[f"ndcg@{CHOICE_DEPTH}"])), 1e-6) for v in results.values()]
    return float(np.exp(np.mean(np.log(means)))) if means else 0.0


def read_part(name: Literal["train", "valid", "test"], splits: Path) -> pl.DataFrame:
    """Read one part of the split events."""
    from components.data.parquet import read_frame

    return read_frame(splits / f"{name}.parquet")
