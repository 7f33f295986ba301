"""Quality that arrives late: did visitors then buy what they were shown, or would have been?

`Habits` keeps each visitor's ten likeliest products by decayed frequency: a shadow recommender that
needs no training, against which served slates are judged. When habit fails, people changed; when
habit holds and the served slates fail, the release is to blame.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.records import INTERACTION_KINDS, Event

HALF_LIFE_WEEKS = 13.0
TOP = 10
KEEP = 0.02


class Habits:
    """Decayed counts of (visitor, product), advanced week by week."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._scores = pl.DataFrame(
            schema={"visitor_id": pl.String, "product_id": pl.String, "score": pl.Float64}
        )

    def advance(self, events: pl.DataFrame) -> None:
        """Let a week pass and add its events."""
        new = (
            events.filter(pl.col("kind").is_in(["purchase", "rating", "click"]))
            .drop_nulls(["visitor_id", "product_id"])
            .group_by("visitor_id", "product_id")
            .agg(pl.len().cast(pl.Float64).alias("score"))
        )
        decayed = self._scores.with_columns(pl.col("score") * 0.5 ** (1 / HALF_LIFE_WEEKS))
        both = pl.concat([decayed.filter(pl.col("score") > KEEP), new])
        self._scores = both.group_by("visitor_id", "product_id").agg(pl.col("score").sum())

    def top(self, visitors: pl.DataFrame, k: int = TOP) -> pl.DataFrame:
        """Return visitor_id, product_id, rank (from 1) of these visitors' likeliest products."""
        asked = self._scores.join(visitors, on="visitor_id", how="semi")
        ranked = asked.sort(["visitor_id", "score", "product_id"], descending=[False, True, False])
        return (
            ranked.with_columns((pl.int_range(pl.len()).over("visitor_id") + 1).alias("rank"))
            .filter(pl.col("rank") <= k)
            .select("visitor_id", "product_id", "rank")
        )


def feedback_summary(
    read: Callable[[int], tuple[Sequence[Event], int]], mark_file: Path
) -> dict[str, Any]:
    """Count what the service's log holds beyond the last mark.

    Args:
        read: sequence number to the events after it, and the number of the last one returned.
        mark_file: where the last mark is kept; written by the caller once the events are taken in.

    Returns:
        `new`: events, interactions, visitors, slates, clicks per slate; `mark`: to be written.
    """
    try:
        start = int(json.loads(mark_file.read_text(encoding="utf-8"))["sequence"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        start = 0
    counts: dict[str, int] = {}
    visitors: set[str] = set()
    sequence = start
    while True:
        events, last = read(sequence)
        if not events:
            break
        for event in events:
            counts[event.kind] = counts.get(event.kind, 0) + 1
            visitors.add(event.visitor_id)
        sequence = last
    slates = counts.get("slate_shown", 0)
    interactions = sum(counts.get(kind, 0) for kind in INTERACTION_KINDS)
    new = {
        "events": sum(counts.values()),
        "interactions": interactions,
        "visitors": len(visitors),
        "slates": slates,
        "clicks_per_slate": round(counts.get("click", 0) / slates, 4) if slates else None,
    }
    return {"new": new, "mark": {"sequence": sequence}}
