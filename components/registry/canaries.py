"""Leak canaries: would this run turn red if a model could see what it must not see?

In: the events the run was made from and its cut-off week. Out: `Finding`s: one per detector on the
run itself, and one per planted leak that says whether the detectors are alive. A small ranker is
refitted on a sample of visitors for it; nothing it learns is kept.

Three leaks are planted each time: a feature computed over the weeks it predicts (future feature),
a copy of the label with a little noise among the features (duplicated target), and events whose
times were shuffled among each other (shuffled time). A run is green if the clean data raise no
alarm and each planted leak raises one.

The detectors know nothing of the recommender: they look at the data, and at any feature builder and
feature matrix they are given. A leak through a model's own weights is not seen here but by the
gate's "not too good to be true".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.registry.gate import Check

FloatArray = NDArray[np.floating[Any]]
Builder = Callable[[pl.DataFrame, int], pl.DataFrame]

HORIZON_WEEKS = 4
RECENT_WEEKS = 4
SAMPLE_VISITORS = 400
MAX_AUC = 0.97
MIN_LABELS = 30
SCRAMBLED_SHARE = 0.02
KEY = ["visitor_id", "product_id"]


@dataclass(frozen=True)
class Finding:
    """What one detector saw: `red` means a leak."""

    detector: str
    red: bool
    observed: str
    allowed: str


def own_features(events: pl.DataFrame, week: int) -> pl.DataFrame:
    """Compute a small set of features of each visitor's own products, as of the start of `week`.

    Returns:
        KEY and lines, lines_recent, weeks_since, weeks_bought, popularity; sorted by KEY.
    """
    past = events.filter(pl.col("week") < week)
    popularity = past.group_by("product_id").agg(pl.len().alias("popularity"))
    return (
        past.group_by(KEY)
        .agg(
            pl.len().alias("lines"),
            (pl.col("week") >= week - RECENT_WEEKS).sum().alias("lines_recent"),
            (week - pl.col("week").max()).alias("weeks_since"),
            pl.col("week").n_unique().alias("weeks_bought"),
        )
        .join(popularity, on="product_id")
        .sort(KEY)
    )


def with_labels(features: pl.DataFrame, events: pl.DataFrame, week: int) -> pl.DataFrame:
    """Add `label`: bought in the `HORIZON_WEEKS` weeks from `week` on."""
    future = events.filter(pl.col("week").is_between(week, week + HORIZON_WEEKS - 1))
    bought = future.select(KEY).unique().with_columns(label=pl.lit(1, dtype=pl.Int8))
    return (
        features.join(bought, on=KEY, how="left")
        .with_columns(pl.col("label").fill_null(0))
        .sort(KEY)
    )


def auc(values: FloatArray, labels: FloatArray) -> float:
    """Return the probability that a random positive is above a random negative; ties count half.

    >>> auc(np.array([1.0, 2.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    positive = labels > 0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return 0.5
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    return float(
        (ranks[inverse][positive].sum() - n_positive * (n_positive + 1) / 2)
        / (n_positive * n_negative)
    )


def sees_the_future(builder: Builder, events: pl.DataFrame, week: int) -> Finding:
    """Ask a feature builder twice for features as of `week`: with later events there, and without.

    A builder that respects the cut gives the same rows both times.
    """
    with_future = builder(events, week).sort(KEY)
    without = builder(events.filter(pl.col("week") < week), week).sort(KEY)
    changed = [
        name
        for name in with_future.columns
        if with_future.height != without.height or not with_future[name].equals(without[name])
    ]
    return Finding(
        "future feature",
        bool(changed),
        f"features that change when later events are removed: {', '.join(changed) or 'none'}",
        "none",
    )


def repeats_the_target(
    features: FloatArray,
    labels: FloatArray,
    names: Sequence[str],
    *,
    groups: FloatArray,
    seed: int = 7,
) -> Finding:
    """Look for a feature that is the label in disguise, alone or through a small refitted ranker.

    Args:
        features: (n, F) matrix.
        labels: (n,) 0 or 1.
        names: (F,) feature names.
        groups: (n,) visitor numbers; the refit is judged on visitors it has not seen.
        seed: of the refit.
    """
    if int(labels.sum()) < MIN_LABELS:
        return Finding(
            "duplicated target", False, "too few labels to judge", f"AUC below {MAX_AUC}"
        )
    single = {
        name: max(value := auc(features[:, column], labels), 1 - value)
        for column, name in enumerate(names)
    }
    worst = max(single, key=lambda name: single[name])
    joint = _refit_auc(features, labels, groups, seed)
    return Finding(
        "duplicated target",
        single[worst] > MAX_AUC or joint > MAX_AUC,
        f"strongest single feature {worst} has AUC {single[worst]:.3f}, a small refit {joint:.3f}",
        f"AUC at most {MAX_AUC}",
    )


def _refit_auc(features: FloatArray, labels: FloatArray, groups: FloatArray, seed: int) -> float:
    import lightgbm

    held = groups % 3 == 0
    if labels[held].sum() == 0 or labels[~held].sum() == 0:
        return 0.5
    settings = {
        "objective": "binary",
        "num_leaves": 15,
        "learning_rate": 0.1,
        "min_data_in_leaf": 20,
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
    }
    data = lightgbm.Dataset(features[~held], labels[~held])
    booster = lightgbm.train(settings, data, num_boost_round=40)
    return auc(np.asarray(booster.predict(features[held])), labels[held])


def has_shuffled_time(events: pl.DataFrame) -> Finding:
    """Check that times belong to their rows: one order is one moment, a week holds its own times.

    Looks at orders (else sessions) with several lines, and at weeks that overlap in time. Sources
    without either cannot be judged and pass.
    """
    problems = []
    for group in ("order_id", "session_id"):
        if group not in events.columns:
            continue
        many = (
            events.drop_nulls(group)
            .group_by(group)
            .agg(pl.len().alias("lines"), (pl.col("at").max() - pl.col("at").min()).alias("span"))
            .filter(pl.col("lines") > 1)
        )
        if many.height:
            share = _share(many["span"].dt.total_hours() > 24)
            if share > SCRAMBLED_SHARE:
                problems.append(f"{share:.0%} of orders spread over more than a day ({group})")
            break
    weeks = events.group_by("week").agg(
        pl.col("at").quantile(0.01).alias("low"), pl.col("at").quantile(0.99).alias("high")
    )
    wide = _share((weeks["high"] - weeks["low"]).dt.total_days() > 9)
    if wide > SCRAMBLED_SHARE:
        problems.append(f"{wide:.0%} of weeks hold times of other weeks")
    return Finding(
        "shuffled time",
        bool(problems),
        "; ".join(problems) or "orders and weeks hold together",
        f"at most {SCRAMBLED_SHARE:.0%} of orders or weeks",
    )


def _share(flags: pl.Series) -> float:
    return int(flags.sum()) / max(len(flags), 1)


def crosses_the_cut(events: pl.DataFrame, week: int) -> Finding:
    """Check that no event after the cut-off repeats one from before it, and that time agrees."""
    keys = [k for k in ("event_id",) if k in events.columns] or [*KEY, "at"]
    before, after = events.filter(pl.col("week") < week), events.filter(pl.col("week") >= week)
    repeated = after.join(before.select(keys).unique(), on=keys, how="semi").height
    late = before["at"].max()
    early = after["at"].min()
    overlap = bool(before.height and after.height and late > early)  # type: ignore[operator]
    return Finding(
        "order of the split",
        repeated > 0 or overlap,
        f"{repeated} events on both sides; last before {late}, first after {early}",
        "no event on both sides, all of train before all of test",
    )


def sample_visitors(events: pl.DataFrame, n: int = SAMPLE_VISITORS) -> pl.DataFrame:
    """Keep the events of `n` visitors chosen by the hash of their id: the same ones every time."""
    chosen = (
        events.select(pl.col("visitor_id").unique())
        .with_columns(order=pl.col("visitor_id").hash(seed=7))
        .sort("order", "visitor_id")
        .head(n)
    )
    return events.join(chosen.select("visitor_id"), on="visitor_id", how="semi")


def inspect(
    events: pl.DataFrame,
    week: int,
    *,
    builder: Builder = own_features,
    extra: pl.DataFrame | None = None,
) -> list[Finding]:
    """Run all detectors on one set of events.

    Args:
        events: purchases with visitor_id, product_id, week, at, and order_id if there is one.
        week: features are as of its start; labels are the weeks from it on.
        builder: what makes features; the small set of this module unless given.
        extra: KEY and further feature columns to look at, joined to the builder's.
    """
    frame = with_labels(builder(events, week), events, week)
    if extra is not None:
        frame = frame.join(extra, on=KEY, how="left").sort(KEY)
    names = [name for name in frame.columns if name not in (*KEY, "label")]
    groups = frame["visitor_id"].rank("dense").to_numpy()
    matrix = frame.select(pl.col(names).cast(pl.Float64).fill_null(-1.0)).to_numpy()
    return [
        sees_the_future(builder, events, week),
        repeats_the_target(matrix, frame["label"].to_numpy(), names, groups=groups),
        has_shuffled_time(events),
        crosses_the_cut(events, week),
    ]


def leaky_features(events: pl.DataFrame, week: int) -> pl.DataFrame:
    """Build the planted future feature: `lines_recent` also counts the weeks to be predicted."""
    window = events.filter(pl.col("week").is_between(week - RECENT_WEEKS, week + HORIZON_WEEKS - 1))
    seen = window.group_by(KEY).agg(pl.len().alias("lines_recent"))
    honest = own_features(events, week).drop("lines_recent")
    return (
        honest.join(seen, on=KEY, how="left")
        .with_columns(pl.col("lines_recent").fill_null(0))
        .sort(KEY)
    )


def duplicated_target(events: pl.DataFrame, week: int, *, seed: int = 7) -> pl.DataFrame:
    """Build the planted copy of the label, wrong in one row of a hundred."""
    labelled = with_labels(own_features(events, week), events, week)
    wrong = np.random.default_rng(seed).random(labelled.height) < 0.01
    copy = np.where(wrong, 1 - labelled["label"].to_numpy(), labelled["label"].to_numpy())
    return labelled.select(KEY).with_columns(pl.Series("days_to_next", copy.astype(float)))


def shuffle_time(events: pl.DataFrame, *, seed: int = 7) -> pl.DataFrame:
    """Give every event the time and week of another one."""
    order = np.random.default_rng(seed).permutation(events.height)
    return events.with_columns(events["at"].gather(order), events["week"].gather(order))


def canary_checks(events: pl.DataFrame, week: int) -> list[Check]:
    """Inspect the run and each planted leak; the gate takes the result as it is.

    Args:
        events: the canonical events table.
        week: the first week that the evaluation looks at.
    """
    purchases = events.filter(pl.col("kind") == "purchase") if "kind" in events.columns else events
    if purchases.is_empty():
        purchases = events
    sample = sample_visitors(purchases)
    checks = [
        Check(
            name=f"leak: {finding.detector}",
            passed=not finding.red,
            observed=finding.observed,
            allowed=finding.allowed,
        )
        for finding in inspect(sample, week)
    ]
    labels = with_labels(own_features(sample, week), sample, week)["label"]
    if int(labels.sum()) < MIN_LABELS:
        return checks
    planted = {
        "future feature": lambda: inspect(sample, week, builder=leaky_features),
        "duplicated target": lambda: inspect(sample, week, extra=duplicated_target(sample, week)),
        "shuffled time": lambda: inspect(shuffle_time(sample), week),
    }
    for name, look in planted.items():
        red = [finding for finding in look() if finding.red]
        checks.append(
            Check(
                name=f"canary: {name}",
                passed=bool(red),
                observed=f"planted and {'seen: ' + red[0].observed if red else 'not seen'}",
                allowed="seen; an alarm that cannot ring proves nothing",
            )
        )
    return checks
