"""Two windows of events side by side, by Evidently: the only module that imports it.

In: a reference and a current window of canonical events. Out: an Evidently report (self-contained
HTML and JSON) with one test per column, and the columns it flags. Methods are named, never guessed:
the stability index for numbers and categories. Limits are not Evidently's: each is the calibrated
distance of the weekly monitor where that knows the column, else 0.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.artefacts import write_json
from components.monitor.profile import category_of

SAMPLE = 60_000
LIMIT = 0.2
NUMBERS = ("price_minor", "quantity", "discount_minor", "lines_in_order")
NAMES = ("category", "hour", "weekday", "place", "currency", "kind")


@dataclass(frozen=True)
class DriftReport:
    """What Evidently found: index and limit by column, and those beyond their limit."""

    index: Mapping[str, float]
    limits: Mapping[str, float]
    flagged: tuple[str, ...]
    html: Path | None = None


def window_frame(events: pl.DataFrame, products: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return the columns that two windows are compared by, one row a line.

    A rare place or category is one value, `other`: the stability index of hundreds of tiny bins
    says nothing but how few lines there are.
    """
    local = pl.col("at").dt.convert_time_zone(timezone)
    frame = events.join(category_of(products), on="product_id", how="left").with_columns(
        local.dt.hour().cast(pl.String).alias("hour"),
        local.dt.weekday().cast(pl.String).alias("weekday"),
        pl.when(pl.col("order_id").is_not_null())
        .then(pl.len().over("order_id"))
        .otherwise(0)
        .alias("lines_in_order"),
    )
    return frame.select(*NUMBERS, *(pl.col(name).fill_null("(none)") for name in NAMES))


def _common(reference: pl.DataFrame, current: pl.DataFrame, name: str, top: int = 40) -> list[str]:
    both = pl.concat([reference[name], current[name]]).value_counts(name="n")
    return both.sort(["n", name], descending=[True, False]).head(top)[name].to_list()


def compare_windows(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    limits: Mapping[str, float] | None = None,
    folder: Path | None = None,
    seed: int = 7,
) -> DriftReport:
    """Compare two windows made by `window_frame`.

    Args:
        reference: what was usual.
        current: what is to be judged.
        limits: stability index allowed by column; `LIMIT` where it has none.
        folder: where `evidently.html` and `evidently.json` go; nothing is written if not given.
        seed: of the sample when a window has more than `SAMPLE` rows.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.tests import lt

    allowed = {name: (limits or {}).get(name, LIMIT) for name in (*NUMBERS, *NAMES)}
    windows = []
    for frame in (current, reference):
        small = frame.sample(SAMPLE, seed=seed, shuffle=False) if frame.height > SAMPLE else frame
        grouped = [
            pl.when(pl.col(name).is_in(_common(reference, current, name)))
            .then(pl.col(name))
            .otherwise(pl.lit("other"))
            .alias(name)
            for name in NAMES
        ]
        definition = DataDefinition(
            numerical_columns=list(NUMBERS), categorical_columns=list(NAMES)
        )
        # Wide numbers are compared by logarithm: their index is about shape, not about outliers.
        numbers = [pl.col(name).cast(pl.Float64).log1p().alias(name) for name in NUMBERS]
        table = small.with_columns(*numbers, *grouped).to_pandas()
        windows.append(Dataset.from_pandas(table, data_definition=definition))
    metrics = [
        ValueDrift(column=name, method="psi", threshold=limit, tests=[lt(limit)])
        for name, limit in allowed.items()
    ]
    snapshot = Report(metrics, include_tests=True).run(windows[0], windows[1])
    found = snapshot.dict()
    index = {
        metric["config"]["column"]: float(metric["value"])
        for metric in found["metrics"]
        if "column" in metric.get("config", {})
    }
    flagged = tuple(name for name in allowed if index.get(name, 0.0) >= allowed[name])
    html = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / "evidently.html"
        snapshot.save_html(str(html))
        write_json(
            folder / "evidently.json",
            {"index": index, "limits": allowed, "flagged": list(flagged)},
        )
    return DriftReport(index, allowed, flagged, html)


def window_limits(
    events: pl.DataFrame, products: pl.DataFrame, timezone: str, *, weeks: int, last_week: int
) -> dict[str, float]:
    """Learn the index that calm neighbouring windows of the same length have: its maximum, widened.

    Args:
        events: all events before the current window.
        products: product table.
        timezone: the shop's own.
        weeks: length of a window.
        last_week: the last week that may be used.
    """
    frames: dict[int, pl.DataFrame] = {}
    start = int(events["week"].min() or 1) + 1  # type: ignore[arg-type]
    ends = range(last_week, start + 2 * weeks - 2, -weeks)
    for end in ends:
        for first in (end - weeks + 1, end - 2 * weeks + 1):
            if first not in frames:
                part = events.filter(pl.col("week").is_between(first, first + weeks - 1))
                frames[first] = window_frame(part, products, timezone)
    limits: dict[str, float] = dict.fromkeys((*NUMBERS, *NAMES), LIMIT / 2)
    for end in ends:
        now, before = frames[end - weeks + 1], frames[end - 2 * weeks + 1]
        for name in limits:
            limits[name] = max(limits[name], 1.5 * stability_index(before[name], now[name]))
    return limits


def stability_index(reference: pl.Series, current: pl.Series, bins: int = 10) -> float:
    """Return the population stability index; numbers are cut at the reference's deciles."""
    if reference.dtype != pl.String:
        edges = sorted(
            {float(v) for q in range(1, bins) if (v := reference.quantile(q / bins)) is not None}
        )
        reference, current = (
            s.cast(pl.Float64).cut(edges).cast(pl.String) for s in (reference, current)
        )
    shares = []
    for series in (reference, current):
        counted = series.drop_nulls().value_counts(name="n")
        whole = max(int(counted["n"].sum()), 1)
        shares.append(dict(zip(counted[series.name], counted["n"] / whole, strict=True)))
    total = 0.0
    for name in sorted({*shares[0], *shares[1]}):
        p, q = (max(side.get(name, 0.0), 1e-4) for side in shares)
        total += (q - p) * _log(q / p)
    return float(total)


def _log(value: Any) -> float:
    from math import log

    return log(value)
