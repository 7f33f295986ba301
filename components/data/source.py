"""What a source adapter hands over: canonical tables and an account of what it left out.

An adapter is a module of this folder with `read(params) -> Ingested`. It never validates: whether
the tables may be used is the business of the validation room.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from components.contracts.artefacts import sha256_of
from components.contracts.errors import SourceError

CATEGORY_SEPARATOR = " > "


@dataclass(frozen=True)
class Ingested:
    """Tables by canonical name, and the account that goes into `ingest.json`.

    Attributes:
        tables: canonical name to frame; optional tables without rows may be left out.
        dropped: reason to number of source rows that did not become a row.
        notes: what a reader must know, for instance which columns are synthetic.
        inputs: source file name to sha256, or to a description where there is no file.
        bad_rows: source rows that could not be read, with `source`, `line` and `reason`.
    """

    tables: Mapping[str, pl.DataFrame]
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    bad_rows: pl.DataFrame | None = None


def input_hashes(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return the sha256 of each source file.

    Raises:
        SourceError: a file is absent; the message names it.
    """
    for name, path in paths.items():
        if not path.is_file():
            raise SourceError(f"{name}: no such file: {path}.")
    return {name: sha256_of(path) for name, path in sorted(paths.items())}


def shop_week(at: pl.Expr, timezone: str, first_monday: pl.Expr | object) -> pl.Expr:
    """Return the shop week, from 1, of UTC times: whole weeks of local dates since `first_monday`.

    Args:
        at: times, UTC.
        timezone: IANA name of the shop's own time zone.
        first_monday: date on which week 1 starts.
    """
    local = at.dt.convert_time_zone(timezone).dt.date()
    start = first_monday if isinstance(first_monday, pl.Expr) else pl.lit(first_monday)
    return ((local - start).dt.total_days() // 7 + 1).cast(pl.Int64)


def first_monday_of(at: pl.Series, timezone: str) -> object:
    """Return the Monday on or before the first local date in `at`, where shop week 1 starts."""
    local = at.min().astimezone(_zone(timezone)).date()  # type: ignore[union-attr]
    return local.fromordinal(local.toordinal() - local.weekday())


def _zone(name: str):
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SourceError(f"ingest.timezone: no such time zone: {name!r}.") from error
