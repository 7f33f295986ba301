"""Stage `clickthroughs`: join slates with the interactions that followed.

In: accepted slates, impressions, events. Out: `data/clickthroughs/clickthroughs.parquet`, one row
an impression with what came of it, and `clickthroughs.json` with the counts; a source without
slates gives an empty table and says so. An interaction that names its slate belongs to it; one that
names none belongs to the visitor's latest slate that showed the product.
"""

from datetime import timedelta

import polars as pl

from components.contracts.artefacts import Layout, write_json
from components.contracts.params import Params
from components.data.parquet import read_table, write_frame

OUTCOMES = ("click", "basket_add", "purchase")


def join_slates(
    slates: pl.DataFrame, impressions: pl.DataFrame, events: pl.DataFrame, attribution_hours: int
) -> pl.DataFrame:
    """Return one row an impression, with whether it was clicked, put in a basket and bought.

    Args:
        slates: the canonical table.
        impressions: the canonical table.
        events: the canonical table; other kinds than click, basket_add and purchase are ignored.
        attribution_hours: an interaction later than this after the slate does not belong to it.
    """
    shown = impressions.join(slates, on="slate_id")
    followed = events.filter(pl.col("kind").is_in(OUTCOMES)).select(
        "visitor_id",
        "product_id",
        "kind",
        pl.col("slate_id").alias("named"),
        pl.col("at").alias("done"),
    )
    delay = pl.col("done") - pl.col("at")
    within = (delay >= timedelta(0)) & (delay <= timedelta(hours=attribution_hours))
    belongs = pl.col("named").is_null() | (pl.col("named") == pl.col("slate_id"))
    pairs = (
        shown.select("slate_id", "rank", "at", "visitor_id", "product_id")
        .join(followed, on=["visitor_id", "product_id"])
        .filter(within & belongs)
    )
    latest = pl.col("at") == pl.col("at").max().over("visitor_id", "product_id", "kind", "done")
    outcome = (
        pairs.filter(pl.col("named").is_not_null() | latest)
        .group_by("slate_id", "rank")
        .agg(*((pl.col("kind") == kind).any().alias(kind) for kind in OUTCOMES))
    )
    return (
        shown.join(outcome, on=["slate_id", "rank"], how="left")
        .with_columns(pl.col(kind).fill_null(False) for kind in OUTCOMES)
        .sort("at", "slate_id", "rank")
    )


def run(params: Params, layout: Layout) -> None:
    """Write the clickthroughs and their counts."""
    tables = layout.tables
    slates, impressions = read_table("slates", tables), read_table("impressions", tables)
    joined = join_slates(
        slates, impressions, read_table("events", tables), params.clickthroughs.attribution_hours
    )
    write_frame(joined, layout.clickthroughs / "clickthroughs.parquet")
    counts = {f"{kind}s": int(joined[kind].sum()) for kind in OUTCOMES}
    write_json(
        layout.clickthroughs / "clickthroughs.json",
        {
            "slates": slates.height,
            "impressions": joined.height,
            "with_propensity": int(joined["propensity"].is_not_null().sum()),
            **counts,
            "note": "" if slates.height else "the source has no slates: nothing to join",
        },
    )
