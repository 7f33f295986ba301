"""Learn the order of candidates from judgements, or from clicks freed of their position's help.

A product shown first is clicked for being first. `examination_by_rank` separates how often a rank
is looked at from how attractive its product is (position-based click model, fitted by expectation
maximisation), and each click then counts 1 / examination. Queries seen at one rank only teach
little about position: with few logs the estimate stays near its start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.search.engine import SearchEngine
from components.search.ranker import LearnedRanker, RankerSettings

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST_WEIGHT = 10.0
MIN_QUERIES = 20  # fewer judged or clicked queries than this teach nothing that lasts
GRADE = {"click": 1, "basket_add": 2, "purchase": 3}


@dataclass(frozen=True)
class Lesson:
    """One query with what is known of its products: grade 0-3 and the weight of knowing it."""

    text: str
    grades: Mapping[str, int]
    weights: Mapping[str, float]


def examination_by_rank(
    ranks: IntArray, pairs: IntArray, clicks: FloatArray, shown: FloatArray, *, rounds: int = 50
) -> FloatArray:
    """Estimate how often each rank is looked at, relative to the first.

    Args:
        ranks: (n,) rank from 1.
        pairs: (n,) dense number of the query-product pair.
        clicks: (n,) clicks of the pair at that rank.
        shown: (n,) impressions of the pair at that rank, at least `clicks`.
        rounds: of expectation maximisation.

    Returns:
        (max rank,) in (0, 1], the first 1; clicks at rank r are worth 1 / value[r - 1].

    Source: Craswell et al., WSDM 2008 (position model); Wang et al., WSDM 2018 (regression EM).

    >>> rank, pair = np.array([1, 2, 1, 2]), np.array([0, 0, 1, 1])
    >>> seen = np.full(4, 1000.0)
    >>> examination_by_rank(rank, pair, np.array([400.0, 200, 200, 100]), seen).round(2).tolist()
    [1.0, 0.5]
    """
    looked = 1.0 / np.arange(1, int(ranks.max(initial=1)) + 1, dtype=np.float64) ** 0.5
    liked = np.full(int(pairs.max(initial=0)) + 1, 0.2)
    place = ranks - 1
    missed = shown - clicks
    for _ in range(rounds):
        p, a = looked[place], liked[pairs]
        no_click = np.maximum(1.0 - p * a, 1e-9)
        seen = clicks + missed * p * (1 - a) / no_click
        drawn = clicks + missed * a * (1 - p) / no_click
        looked = _ratio(place, seen, shown, len(looked), looked)
        liked = _ratio(pairs, drawn, shown, len(liked), liked)
    return np.clip(looked / looked[0], 1e-3, 1.0)


def _ratio(
    group: IntArray, top: FloatArray, bottom: FloatArray, size: int, before: FloatArray
) -> FloatArray:
    above = np.bincount(group, top, size)
    below = np.bincount(group, bottom, size)
    return np.where(below > 0, np.clip(above / np.maximum(below, 1e-9), 1e-4, 1 - 1e-4), before)


def lessons_from_judgements(queries: pl.DataFrame, judgements: pl.DataFrame) -> list[Lesson]:
    """Read lessons from the tables `queries` and `judgements`, in the order of query ids."""
    joined = judgements.join(queries.select("query_id", "text"), on="query_id")
    lessons = []
    for (_,), part in joined.sort("query_id", "product_id").group_by(
        "query_id", maintain_order=True
    ):
        grades = dict(zip(part["product_id"], part["grade"], strict=True))
        lessons.append(Lesson(part["text"][0], grades, dict.fromkeys(grades, 1.0)))
    return lessons


def lessons_from_clicks(clickthroughs: pl.DataFrame, queries: pl.DataFrame) -> list[Lesson]:
    """Read lessons from joined slates.

    Args:
        clickthroughs: rows of `data/clickthroughs`: query_id, product_id, rank, and per outcome
            whether it followed. Rows without a query are left out.
        queries: the canonical table; equal texts are one query.

    Returns:
        One lesson per text: a product's grade is that of its best outcome, its weight the mean
        inverse examination of its outcomes (at most `MOST_WEIGHT`), 1 where there was none.
    """
    rows = clickthroughs.filter(pl.col("query_id").is_not_null()).join(
        queries.select("query_id", pl.col("text").str.to_lowercase().str.strip_chars()),
        on="query_id",
    )
    if rows.is_empty():
        return []
    grade = pl.max_horizontal(
        pl.when(pl.col(kind)).then(pl.lit(value)).otherwise(0) for kind, value in GRADE.items()
    )
    rows = rows.with_columns(grade=grade, clicked=grade > 0)
    counts = (
        rows.group_by("text", "product_id", "rank")
        .agg(clicks=pl.col("clicked").sum(), shown=pl.len())
        .sort("text", "product_id", "rank")
        .with_columns(pair=pl.struct("text", "product_id").rank("dense").cast(pl.Int64) - 1)
    )
    looked = examination_by_rank(
        counts["rank"].to_numpy(),
        counts["pair"].to_numpy(),
        counts["clicks"].to_numpy().astype(np.float64),
        counts["shown"].to_numpy().astype(np.float64),
    )
    table = pl.DataFrame(
        {
            "rank": np.arange(1, len(looked) + 1),
            "worth": np.minimum(1 / looked, MOST_WEIGHT),
        }
    )
    best = (
        rows.join(table, on="rank")
        .group_by("text", "product_id")
        .agg(
            pl.col("grade").max(),
            worth=pl.col("worth").filter(pl.col("clicked")).mean().fill_null(1.0),
        )
        .sort("text", "product_id")
    )
    return [
        Lesson(
            str(text),
            dict(zip(part["product_id"], part["grade"], strict=True)),
            dict(zip(part["product_id"], part["worth"], strict=True)),
        )
        for (text,), part in best.group_by("text", maintain_order=True)
    ]


def fit_ranker(
    engine: SearchEngine, lessons: Sequence[Lesson], settings: RankerSettings | None = None
) -> LearnedRanker | None:
    """Fit the ranker on an engine's own candidates.

    Args:
        engine: proposes and describes candidates.
        lessons: what is known; queries without any product above grade 0 are left out.
        settings: of the fit.

    Returns:
        The ranker, or None when fewer than `MIN_QUERIES` lessons can teach.
    """
    features, grades, weights = [], [], []
    for lesson in lessons:
        if max(lesson.grades.values(), default=0) <= 0:
            continue
        ids, described = engine.candidates(lesson.text)
        if not ids:
            continue
        features.append(described)
        grades.append(np.asarray([lesson.grades.get(i, -1) for i in ids], np.int64))
        weights.append(np.asarray([lesson.weights.get(i, 1.0) for i in ids], np.float32))
    if len(features) < MIN_QUERIES:
        return None
    return LearnedRanker(settings or RankerSettings()).fit(features, grades, weights)
