from datetime import date

import numpy as np
import pytest

from components.monitor.decide import Alarm, Look, diagnose
from components.monitor.profile import GROUPS, Histogram, Measure, Profile
from components.monitor.thresholds import Reference

VECTORS = Measure("text vectors", "title", "text", "lines")
WORDS = Measure("words of titles", "title", "text", "words")
BEFORE = {"sweets": 0.2, "meat": 0.8, "not encoded": 0.0}
FEAST = {"sweets": 0.4, "meat": 0.6, "not encoded": 0.0}


CATEGORIES = Measure("category", "category", "behaviour", "lines")
USUAL = {"milk": 0.3, "tea": 0.2, "pets": 0.01, "bread": 0.25, "fruit": 0.24}


def look(
    measure: Measure,
    now: dict[str, float],
    before: dict[str, float] = BEFORE,
    *,
    lines: float = 4000,
) -> Look:
    counts = np.zeros((GROUPS, len(now)))
    counts[0] = [lines * share for share in now.values()]
    week = Profile(
        16, date(2017, 4, 10), date(2017, 4, 16), 7,
        {measure.name: Histogram(measure, tuple(now), counts)}, counts.sum(axis=1),
    )  # fmt: skip
    alarm = Alarm(
        measure=measure.name, column=measure.column, kind=measure.kind, distance=0.12, limit=0.1
    )
    return Look(week, Reference({measure.name: before}, lines, (12, 13, 14, 15)), [alarm])


@pytest.mark.parametrize(
    ("measure", "now", "season", "diagnosis"),
    [
        (VECTORS, FEAST, ["Easter"], "seasonal"),
        (VECTORS, FEAST, [], "shift"),
        # Titles that the encoder never met, and other words, are no feast's work.
        (VECTORS, {"sweets": 0.3, "meat": 0.6, "not encoded": 0.1}, ["Easter"], "shift"),
        (WORDS, FEAST, ["Easter"], "shift"),
    ],
)
def test_a_feast_moves_what_is_sold_and_not_how_it_is_called(measure, now, season, diagnosis):
    assert diagnose(look(measure, now), season)[0] == diagnosis


@pytest.mark.parametrize(
    ("now", "diagnosis"),
    [
        ({**USUAL, "pets": 0.0}, "data fault"),
        ({**USUAL, "milk": 0.0, "pets": 0.0}, "data fault"),
        ({**USUAL, "milk": 0.0, "tea": 0.5}, "data fault"),  # called by another's name
        ({"milk": 0.1, "tea": 0.5, "pets": 0.0005, "bread": 0.1, "fruit": 0.3}, "shift"),
        ({"milk": 0.1, "tea": 0.5, "pets": 0.01, "bread": 0.1, "fruit": 0.29}, "shift"),
    ],
)
def test_a_category_lost_alone_is_a_fault_and_out_of_fashion_with_others_is_none(now, diagnosis):
    assert diagnose(look(CATEGORIES, now, USUAL), [])[0] == diagnosis


@pytest.mark.parametrize(("lines", "diagnosis"), [(1900, "shift"), (2100, "data fault")])
def test_a_category_of_a_few_lines_a_week_may_stay_away(lines, diagnosis):
    """Twenty lines a week are expected of it at 2,000 lines."""
    without = {**USUAL, "pets": 0.0}
    assert diagnose(look(CATEGORIES, without, USUAL, lines=lines), [])[0] == diagnosis
