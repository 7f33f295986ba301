"""Stage `sessions`: cut visitors' streams at the inactivity gap.

In: accepted events. Out: `data/sessions/sessions.parquet`, one row a session with its products in
order. A session that the source names (a basket, a web session) is kept as it is; only events
without one are cut by the gap. It does not filter kinds or visitors.
"""

from datetime import timedelta

import polars as pl

from components.contracts.artefacts import Layout
from components.contracts.params import Params
from components.data.parquet import read_table, write_frame


def cut(events: pl.DataFrame, gap_minutes: int) -> pl.DataFrame:
    """Return events with `session_id` filled, ordered by visitor and time.

    Args:
        events: the canonical events.
        gap_minutes: a longer silence than this starts a new session.
    """
    ordered = events.sort("visitor_id", "at", "event_id")
    loose = pl.col("session_id").is_null()
    gap = pl.col("at").diff().over("visitor_id", "unnamed") > timedelta(minutes=gap_minutes)
    return (
        ordered.with_columns(loose.alias("unnamed"))
        .with_columns(gap.fill_null(True).cum_sum().over("visitor_id", "unnamed").alias("nth"))
        .with_columns(
            pl.when(loose)
            .then(pl.format("{}~{}", "visitor_id", "nth"))
            .otherwise(pl.col("session_id"))
            .alias("session_id")
        )
        .drop("unnamed", "nth")
    )


def sessions_of(events: pl.DataFrame, gap_minutes: int) -> pl.DataFrame:
    """Return one row a session, by start and id; `products` and `kinds` in the order of time."""
    return (
        cut(events, gap_minutes)
        .group_by("session_id", "visitor_id", maintain_order=True)
        .agg(
            pl.col("at").min().alias("starts_at"),
            pl.col("at").max().alias("ends_at"),
            pl.col("week").first(),
            pl.len().cast(pl.Int64).alias("events"),
            pl.col("product_id").alias("products"),
            pl.col("kind").alias("kinds"),
        )
        .sort("starts_at", "session_id", "visitor_id")
    )


def run(params: Params, layout: Layout) -> None:
    """Write `data/sessions/sessions.parquet`."""
    sessions = sessions_of(read_table("events", layout.tables), params.sessions.gap_minutes)
    write_frame(sessions, layout.sessions / "sessions.parquet")
