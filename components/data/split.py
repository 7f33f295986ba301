"""Stage `split`: one global cut-off in time makes train, valid and test.

In: accepted events. Out: `data/splits/{train,valid,test}.parquet` and `split.json`. The cut lies
between shop weeks, so no visitor's later event is ever in an earlier part. Nothing is shuffled and
no visitor is dropped: which of them a protocol judges is the protocol's business.
"""

import json
import logging
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import polars as pl

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import ParamsError, TableError
from components.contracts.params import Params, SplitParams
from components.data.parquet import read_table, write_frame

SPLIT_NAME = "split.json"
PARTS = ("train", "valid", "test")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CutOffs:
    """First shop week of the valid and of the test part; `chosen_by` is `weeks` or `shares`."""

    valid_from_week: int
    test_from_week: int
    first_week: int
    last_week: int
    chosen_by: str


def cut_offs(params: SplitParams, first_week: int, last_week: int) -> CutOffs:
    """Choose the cut-offs for data of these weeks.

    Weeks named in the parameters are used if they leave no part empty; otherwise (null, or data of
    another length) the given shares of the weeks are taken from the end, at least one week each.

    Raises:
        ParamsError: fewer than three weeks of data, or a valid cut-off not before the test cut-off.

    >>> cut_offs(SplitParams(), 1, 53).test_from_week
    49
    >>> cut_offs(SplitParams(), 1, 26)
    CutOffs(valid_from_week=21, test_from_week=24, first_week=1, last_week=26, chosen_by='shares')
    """
    valid, test = params.valid_from_week, params.test_from_week
    if valid is not None and test is not None:
        if valid >= test:
            raise ParamsError(
                f"split: valid_from_week {valid} must lie before test_from_week {test}."
            )
        if first_week < valid and test <= last_week:
            return CutOffs(valid, test, first_week, last_week, "weeks")
        log.warning(
            "split: weeks %d and %d do not cut weeks %d to %d; shares are taken instead",
            valid, test, first_week, last_week,
        )  # fmt: skip
    weeks = last_week - first_week + 1
    n_test = max(1, ceil(params.test_share * weeks))
    n_valid = max(1, ceil(params.valid_share * weeks))
    if n_test + n_valid >= weeks:
        raise ParamsError(
            f"split: {weeks} weeks of data cannot be cut into train, valid ({n_valid}) and test "
            f"({n_test}); bring more data or lower split.valid_share and split.test_share."
        )
    test = last_week - n_test + 1
    return CutOffs(test - n_valid, test, first_week, last_week, "shares")


def part_of(cut: CutOffs) -> pl.Expr:
    """Return the expression that names each event's part by its week."""
    return (
        pl.when(pl.col("week") >= cut.test_from_week)
        .then(pl.lit("test"))
        .when(pl.col("week") >= cut.valid_from_week)
        .then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
    )


def read_cut_offs(layout: Layout) -> CutOffs:
    """Read what the stage decided.

    Raises:
        TableError: the stage has not run.
    """
    return _read(layout.splits / SPLIT_NAME)


def _read(path: Path) -> CutOffs:
    if not path.is_file():
        raise TableError(f"{path}: no split yet. Run `shelfwise stage split`.")
    written = json.loads(path.read_text(encoding="utf-8"))
    return CutOffs(**{name: written[name] for name in CutOffs.__dataclass_fields__})


def run(params: Params, layout: Layout) -> None:
    """Write the three parts.

    Raises:
        ParamsError: the data are too short for the cut-offs asked for.
    """
    events = read_table("events", layout.tables)
    if events.is_empty():
        raise ParamsError("split: the events table is empty; there is nothing to cut.")
    first, last = int(events["week"].min()), int(events["week"].max())  # type: ignore[arg-type]
    cut = cut_offs(params.split, first, last)
    named = events.with_columns(part_of(cut).alias("part"))
    rows: dict[str, int] = {}
    for part in PARTS:
        frame = named.filter(pl.col("part") == part).drop("part")
        if frame.is_empty():
            raise ParamsError(f"split: the {part} part has no events; see {SPLIT_NAME}.")
        write_frame(frame, layout.splits / f"{part}.parquet")
        rows[part] = frame.height
    write_json(layout.splits / SPLIT_NAME, asdict(cut) | {"rows": rows})
