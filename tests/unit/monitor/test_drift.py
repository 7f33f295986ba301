"""Two windows compared by Evidently: what is shifted is flagged, and nothing else."""

import json

import polars as pl
import pytest

from components.monitor.drift import NAMES, NUMBERS, compare_windows, window_frame, window_limits

WEEKS, LAST = 4, 18
ZONE = "UTC"


@pytest.fixture(scope="module")
def windows(tables):
    events = pl.concat([tables.events[week] for week in sorted(tables.events)])
    limits = window_limits(events, tables.products, ZONE, weeks=WEEKS, last_week=LAST - WEEKS)
    reference, current = (
        events.filter(pl.col("week").is_between(end - WEEKS + 1, end))
        for end in (LAST - WEEKS, LAST)
    )
    return window_frame(reference, tables.products, ZONE), current, tables.products, limits


def test_two_calm_windows_flag_nothing(windows):
    reference, current, products, limits = windows
    found = compare_windows(reference, window_frame(current, products, ZONE), limits=limits)
    assert found.flagged == ()
    assert set(found.index) == {*NUMBERS, *NAMES}


@pytest.mark.parametrize("column", ["price_minor", "quantity", "discount_minor"])
def test_a_column_times_three_is_flagged_and_only_it(windows, tmp_path, column):
    reference, current, products, limits = windows
    shifted = window_frame(current.with_columns(pl.col(column) * 3), products, ZONE)
    found = compare_windows(reference, shifted, limits=limits, folder=tmp_path)
    assert found.flagged == (column,)
    assert json.loads((tmp_path / "evidently.json").read_text())["flagged"] == [column]
    assert column in (tmp_path / "evidently.html").read_text()


def test_lines_without_an_order_are_no_order_together(windows):
    _, current, products, _ = windows
    seen = pl.lit(None, pl.String).alias("order_id")
    frame = window_frame(current.head(50).with_columns(seen), products, ZONE)
    assert frame["lines_in_order"].unique().to_list() == [0]
