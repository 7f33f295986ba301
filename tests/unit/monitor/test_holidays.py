from datetime import date

import pytest

from components.monitor.holidays import nth_weekday, season_of, shop_days


@pytest.mark.parametrize(
    ("year", "day"),
    [(2017, "2017-04-16"), (2024, "2024-03-31"), (2025, "2025-04-20"), (2000, "2000-04-23")],
)
def test_easter_moves(year, day):
    assert shop_days(year, "Europe/Berlin")["Easter"].isoformat() == day


def test_movable_days_of_2017():
    days = shop_days(2017, "America/New_York")
    assert days["Thanksgiving"] == date(2017, 11, 23)
    assert days["Memorial Day"] == date(2017, 5, 29)
    assert days["Labor Day"] == date(2017, 9, 4)
    assert nth_weekday(2024, 12, 6, -1) == date(2024, 12, 29)


def test_other_countries_do_not_keep_american_days():
    assert "Thanksgiving" not in shop_days(2017, "Europe/Berlin")


@pytest.mark.parametrize(
    ("first", "season"),
    [
        (date(2017, 7, 10), []),
        (date(2017, 6, 26), ["Independence Day"]),
        (date(2017, 7, 3), ["Independence Day"]),
        (date(2017, 12, 25), ["Christmas", "New Year's Eve", "New Year"]),
    ],
)
def test_weeks(first, season):
    last = date.fromordinal(first.toordinal() + 6)
    assert season_of(first, last, "America/New_York") == season
