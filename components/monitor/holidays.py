"""Which weeks of a year differ in a way that everybody knows beforehand.

A shop calendar by rules, not a table: it holds for any year. Only weeks are told apart, since the
monitor judges weeks. Two countries' rules are written down; others have no known season, and their
seasonal weeks will be reported as shifts until somebody adds them here.
"""

from datetime import date, timedelta

from dateutil.easter import easter

LEAD_DAYS = 4
TRAIL_DAYS = 1


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """Return the nth (from 1; -1 is the last) given weekday (Monday 0) of a month."""
    if nth > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def shop_days(year: int, timezone: str) -> dict[str, date]:
    """Return the days that shoppers prepare for, by name, for the country of a time zone."""
    common = {
        "New Year": date(year, 1, 1),
        "Valentine's Day": date(year, 2, 14),
        "Easter": easter(year),
        "Halloween": date(year, 10, 31),
        "Christmas": date(year, 12, 25),
        "New Year's Eve": date(year, 12, 31),
    }
    if timezone.startswith(("America/", "US/")):
        return common | {
            "Super Bowl": nth_weekday(year, 2, 6, 1),
            "Memorial Day": nth_weekday(year, 5, 0, -1),
            "Independence Day": date(year, 7, 4),
            "Labor Day": nth_weekday(year, 9, 0, 1),
            "Thanksgiving": nth_weekday(year, 11, 3, 4),
        }
    return common


def season_of(first: date, last: date, timezone: str) -> list[str]:
    """Return the shop days that a week from `first` to `last` prepares for or follows.

    >>> season_of(date(2017, 7, 3), date(2017, 7, 9), "America/New_York")
    ['Independence Day']
    """
    names = []
    for year in sorted({first.year, last.year, (last + timedelta(days=LEAD_DAYS)).year}):
        for name, day in shop_days(year, timezone).items():
            touches = first - timedelta(days=TRAIL_DAYS) <= day <= last + timedelta(days=LEAD_DAYS)
            if touches and name not in names:
                names.append(name)
    return names
