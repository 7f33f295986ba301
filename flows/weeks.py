"""A range of shop weeks as flow parameters: checked before anything runs."""

from collections.abc import Collection
from typing import Annotated

import polars as pl
from pydantic import Field

from components.contracts.artefacts import Layout
from components.contracts.errors import ParamsError

Week = Annotated[int, Field(ge=1, le=10_000)] | None


def chosen_weeks(
    from_week: int | None, to_week: int | None, known: Collection[int]
) -> list[int] | None:
    """Return the weeks asked for, in order; None if no range was given.

    Args:
        from_week: first week; with `to_week` alone, that one week.
        to_week: last week, itself taken; with `from_week` alone, the newest one known.
        known: weeks that the tables hold.

    Raises:
        ParamsError: the range is turned round, or holds a week without data.

    >>> chosen_weeks(3, None, {1, 2, 3, 4})
    [3, 4]
    """
    if from_week is None and to_week is None:
        return None
    if not known:
        raise ParamsError("there are no accepted weeks yet: run `shelfwise flow data` first.")
    first = from_week if from_week is not None else to_week
    last = to_week if to_week is not None else max(known)
    assert first is not None
    if first > last:
        raise ParamsError(f"from_week {first} lies after to_week {last}.")
    missing = [week for week in range(first, last + 1) if week not in known]
    if missing:
        raise ParamsError(
            f"no data of week {missing[0]}; the tables hold weeks {min(known)} to {max(known)}."
        )
    return list(range(first, last + 1))


def weeks_held(layout: Layout) -> set[int]:
    """Return the shop weeks of the accepted events; empty before the first run."""
    path = layout.tables / "events.parquet"
    if not path.is_file():
        return set()
    return set(pl.scan_parquet(path).select("week").unique().collect()["week"].to_list())
