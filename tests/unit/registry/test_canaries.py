from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from components.registry.canaries import (
    auc,
    canary_checks,
    duplicated_target,
    has_shuffled_time,
    inspect,
    leaky_features,
    own_features,
    sees_the_future,
    shuffle_time,
)

WEEK = 20


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """Sixty visitors who buy a few favourites and some chance products, twice a week."""
    rng = np.random.default_rng(3)
    rows = []
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for visitor in range(60):
        favourites = rng.choice(80, 8, replace=False)
        for week in range(1, 25):
            for trip in range(2):
                at = start + timedelta(weeks=week - 1, days=3 * trip, hours=int(rng.integers(24)))
                basket = {*rng.choice(favourites, 3).tolist(), int(rng.integers(80))}
                rows += [
                    {
                        "event_id": f"{visitor}-{week}-{trip}-{product}",
                        "visitor_id": f"v{visitor}",
                        "product_id": f"p{product}",
                        "order_id": f"o{visitor}-{week}-{trip}",
                        "kind": "purchase",
                        "week": week,
                        "at": at,
                    }
                    for product in sorted(basket)
                ]
    return pl.DataFrame(rows)


def red(findings) -> list[str]:
    return [finding.detector for finding in findings if finding.red]


def test_auc_by_hand():
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1])) == 0.75
    assert auc(np.array([1.0, 1.0]), np.array([0, 1])) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([1, 1])) == 0.5


def test_clean_data_are_green(events):
    assert red(inspect(events, WEEK)) == []


def test_future_feature_turns_the_run_red(events):
    assert "future feature" in red(inspect(events, WEEK, builder=leaky_features))


def test_duplicated_target_turns_the_run_red(events):
    assert red(inspect(events, WEEK, extra=duplicated_target(events, WEEK))) == [
        "duplicated target"
    ]


def test_shuffled_time_turns_the_run_red(events):
    assert "shuffled time" in red(inspect(shuffle_time(events), WEEK))


def test_half_shuffled_time_is_seen_too(events):
    half = pl.concat([events[: len(events) // 2], shuffle_time(events[len(events) // 2 :])])
    assert has_shuffled_time(half).red


def test_event_on_both_sides_of_the_cut(events):
    late = (
        events.filter(pl.col("week") == WEEK).head(1).with_columns(week=pl.lit(3, dtype=pl.Int64))
    )
    assert "order of the split" in red(inspect(pl.concat([events, late]), WEEK))


def test_a_builder_that_cuts_is_not_blamed(events):
    assert not sees_the_future(own_features, events, WEEK).red


def test_every_check_passes_on_clean_data_and_each_canary_sings(events):
    checks = canary_checks(events, WEEK)
    assert all(check.passed for check in checks)
    assert [c.name for c in checks if c.name.startswith("canary")] == [
        "canary: future feature",
        "canary: duplicated target",
        "canary: shuffled time",
    ]


def test_leaky_data_fail_the_checks(events):
    assert not all(check.passed for check in canary_checks(shuffle_time(events), WEEK))
