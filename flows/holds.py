"""A hold: monitoring found a data fault, so nothing is trained on these data until they change.

`var/monitor/hold.json` names the weeks and the hash of the events table it is about. Other data
lift it by themselves; `shelfwise flow training --ignore-hold true` overrules it once.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.artefacts import Layout, sha256_of, write_json
from components.contracts.errors import ShelfwiseError
from components.data.parquet import write_frame


class DataHeldError(ShelfwiseError):
    """The data are held back by monitoring."""


def hold_file(layout: Layout) -> Path:
    """Return where a hold is written."""
    return layout.var / "monitor" / "hold.json"


def events_hash(layout: Layout) -> str:
    """Return the hash of the accepted events; empty before the first ingest."""
    path = layout.tables / "events.parquet"
    return sha256_of(path) if path.is_file() else ""


def hold_data(layout: Layout, decision: dict[str, Any]) -> Path:
    """Put the faulty week aside in the quarantine folder, and hold the rest back."""
    week = decision["week"]
    events = pl.scan_parquet(layout.tables / "events.parquet").filter(pl.col("week") == week)
    aside = layout.var / "monitor" / "quarantine" / f"week-{week}.parquet"
    write_frame(events.collect(), aside)
    write_json(
        hold_file(layout),
        {
            "week": week,
            "reason": decision["reason"],
            "columns": decision["columns"],
            "events_sha256": events_hash(layout),
            "aside": aside.relative_to(layout.root).as_posix(),
        },
    )
    return aside


def lift_hold(layout: Layout) -> None:
    """Remove the hold, if there is one."""
    hold_file(layout).unlink(missing_ok=True)


def refuse_held_data(layout: Layout, *, ignore: bool = False) -> None:
    """Stop if the present data are held.

    Raises:
        DataHeldError: says which week, why, and how to go on.
    """
    path = hold_file(layout)
    if ignore or not path.is_file():
        return
    held = json.loads(path.read_text(encoding="utf-8"))
    if held["events_sha256"] != events_hash(layout):
        lift_hold(layout)
        return
    raise DataHeldError(
        f"monitoring holds the data: week {held['week']}: {held['reason']}. Mend the source and "
        "run `shelfwise flow data`, or overrule with `shelfwise flow training --ignore-hold true`."
    )
