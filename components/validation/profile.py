"""What a version of the tables looks like in a few numbers, and how far another one is from it.

A profile is written beside accepted tables; the next version is compared with it. It holds shares,
quantiles and counts, a sample of product ids by which to tell whether it is the same shop, and a
sample of hashed rows (`kept`); no visitor's data. Distances are population stability indices (PSI),
ratios and shares.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.artefacts import write_json
from components.contracts.errors import TableError
from components.contracts.tables import SPECS
from components.validation.checks import Measure
from components.validation.kept import compare_sample, make_sample

PROFILE_NAME = "profile.json"
PROFILE_VERSION = 2
BINS = 10
MAX_CATEGORIES = 300
ID_SAMPLE = 200
SAME_SHOP = 0.5
WEEKDAYS = 5.0  # fewer days than this have no typical hours
# Tables that grow with the weeks: a batch of a few days holds only a part of them.
GROWING = ("exposures", "redemptions", "slates", "impressions", "queries", "judgements", "reviews")
BATCH_WEEKS = 2  # as many weeks of events or fewer may be a batch
HISTORY_WEEKS = 8  # of a history at least as long
FILLED, FILLED_SCALE, MANY_ROWS = 0.001, 10.0, 1000
HOUR_CHANCE = 3 * 23.0  # three times the expected PSI of 24 bins, times the sessions
MAX_WEEK_LOSS = 0.03
MAX_WEEK_GAIN = 0.005
MIN_LATE_EVENTS = 5
Profile = Mapping[str, Any]


def make_profile(tables: Mapping[str, pl.DataFrame], source: str | None = None) -> dict[str, Any]:
    """Describe accepted tables."""
    profile: dict[str, Any] = {
        "version": PROFILE_VERSION,
        "source": source,
        "tables": {
            name: {
                "rows": frame.height,
                "columns": {c: _column(name, c, frame[c]) for c in frame.columns},
            }
            for name, frame in tables.items()
            if not frame.is_empty()
        },
    }
    if "products" in tables:
        profile["products"] = _sample_ids(tables["products"]["product_id"])
        leaves = tables["products"].group_by("category").len().sort("category")
        profile["categories"] = dict(leaves.iter_rows())
    if "events" in tables and not tables["events"].is_empty():
        profile["events"] = _event_profile(tables["events"], tables.get("products"))
    profile["kept"] = {
        name: make_sample(name, frame) for name, frame in tables.items() if not frame.is_empty()
    }
    return profile


def read_profile(folder: Path) -> dict[str, Any] | None:
    """Read the profile beside accepted tables; none if there is none of this version.

    Raises:
        TableError: the file is damaged.
    """
    path = folder / PROFILE_NAME
    if not path.is_file():
        return None
    try:
        profile = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TableError(f"{path}: not readable JSON ({error}). Delete it.") from error
    return profile if profile.get("version") == PROFILE_VERSION else None


def write_profile(folder: Path, profile: Profile) -> None:
    """Write the profile beside accepted tables."""
    write_json(folder / PROFILE_NAME, profile)


def is_same_shop(profile: Profile, products: pl.DataFrame) -> bool:
    """Tell by a sample of product ids whether the profile is of the same shop."""
    sample = profile.get("products") or []
    if not sample or "product_id" not in products.columns:
        return False
    known = set(products["product_id"].cast(pl.String).to_list())
    return sum(product_id in known for product_id in sample) >= SAME_SHOP * len(sample)


def _sample_ids(ids: pl.Series) -> list[str]:
    """Take the ids with the smallest hash: the same ones for as long as they are in the table."""
    hashed = sorted(ids.to_list(), key=lambda i: hashlib.sha256(i.encode()).hexdigest())
    return sorted(hashed[:ID_SAMPLE])


def _column(table: str, name: str, column: pl.Series) -> dict[str, Any]:
    values = column.drop_nulls()
    out: dict[str, Any] = {"nulls": round(column.null_count() / max(len(column), 1), 6)}
    if values.is_empty():
        return out
    if values.dtype == pl.Boolean:
        out["true"] = round(float(values.mean()), 6)  # type: ignore[arg-type]
    elif values.dtype.is_numeric():
        quantiles = [values.quantile(i / BINS, "linear") for i in range(1, BINS)]
        edges = sorted({float(q) for q in quantiles if q is not None})
        out |= {"edges": edges, "shares": _shares(values, edges)}
        out["median"] = float(values.median())  # type: ignore[arg-type]
    elif values.dtype == pl.String:
        sample = values if len(values) <= 200_000 else values.gather_every(len(values) // 100_000)
        out["length"] = round(float(sample.str.len_chars().mean()), 6)  # type: ignore[arg-type]
        out["digits"] = round(float((sample.str.contains(r"^\d+$")).mean()), 6)  # type: ignore[arg-type]
        is_id = name.endswith("_id") or SPECS[table].columns[name].type == "json"
        distinct = values.n_unique()
        out["distinct"] = distinct
        if not is_id and distinct <= MAX_CATEGORIES:
            counts = values.value_counts().sort(values.name or "", descending=False)
            out["values"] = {k: round(n / len(values), 6) for k, n in counts.iter_rows()}
    return out


def _shares(values: pl.Series, edges: list[float]) -> list[float]:
    bins = _bin(values, edges)
    counts = [0] * (len(edges) + 1)
    for index, count in bins.value_counts().iter_rows():
        counts[int(index)] = count
    return [round(count / len(values), 6) for count in counts]


def _bin(values: pl.Series, edges: list[float]) -> pl.Series:
    """Return for each value how many edges lie below it: ties with an edge fall into one bin."""
    column = values.cast(pl.Float64)
    total = pl.Series([0]).new_from_index(0, len(column))
    for edge in edges:
        total = total + (column > edge).cast(pl.Int64)
    return total


def _event_profile(events: pl.DataFrame, products: pl.DataFrame | None) -> dict[str, Any]:
    weeks = events.group_by("week").len().sort("week")
    hours = events["at"].dt.hour().value_counts().sort("at")
    sessions = events.drop_nulls("session_id").group_by("session_id").len()["len"]
    days = max((events["at"].max() - events["at"].min()).total_seconds() / 86400, 1.0)  # type: ignore[operator,union-attr]
    share = {int(h): n / events.height for h, n in hours.iter_rows()}
    return {
        "weeks": {str(w): n for w, n in weeks.iter_rows()},
        "hours": [round(share.get(h, 0.0), 6) for h in range(24)],
        "a_day": round(events.height / days, 3),
        "days": round(days, 3),
        "top_hour": _top_hour(events),
        "end": events["at"].max().isoformat(),  # type: ignore[union-attr]
        "session_mean": round(float(sessions.mean() or 0.0), 6),  # type: ignore[arg-type]
        "price_gap": price_gap(events, products),
        "top_visitor": int(events["visitor_id"].value_counts()["count"].max()),  # type: ignore[arg-type]
    }


def _top_hour(events: pl.DataFrame) -> int:
    hourly = events.group_by("visitor_id", pl.col("at").dt.truncate("1h")).len()["len"]
    return int(hourly.max() or 0)  # type: ignore[arg-type]


def price_gap(events: pl.DataFrame, products: pl.DataFrame | None) -> float | None:
    """Return the median |log(price paid / catalogue price)|: about 0.2 in a healthy grocery."""
    if products is None:
        return None
    joined = events.select("product_id", "price_minor").join(
        products.select("product_id", pl.col("price_minor").alias("asked")), on="product_id"
    )
    ratio = (joined["price_minor"] / joined["asked"]).log().abs()
    finite = ratio.filter(ratio.is_finite())
    return round(float(finite.median()), 6) if len(finite) else None  # type: ignore[arg-type]


def psi(expected: list[float], observed: list[float]) -> float:
    """Return the population stability index of two distributions over the same bins.

    Source: Siddiqi, Credit Risk Scorecards, 2006. Empty bins count as one in ten thousand.

    >>> round(psi([0.5, 0.5], [0.5, 0.5]), 6)
    0.0
    >>> round(psi([0.5, 0.5], [0.9, 0.1]), 3)
    0.879
    """
    total = 0.0
    for e, o in zip(expected, observed, strict=True):
        a, b = max(e, 1e-4), max(o, 1e-4)
        total += (b - a) * math.log(b / a)
    return total


def compare(
    tables: Mapping[str, pl.DataFrame],
    before: Profile,
    *,
    max_volume_change: float,
    history: bool = True,
    aside: Mapping[str, pl.DataFrame] | None = None,
    remembered: dict[Any, list[Measure]] | None = None,
) -> dict[str, list[Measure]]:
    """Measure how far tables are from the last accepted version.

    Args:
        tables: the new version, structure already checked.
        before: profile of the last accepted version.
        max_volume_change: allowed relative change of a table's rows.
        history: the new version holds the old one's weeks too; false for a batch of new events.
        aside: rows that the row checks have set aside; they are counted elsewhere.
        remembered: what equal tables measured, kept from call to call with the same profile, for
            trials that change one table at a time.
    Returns:
        Measures by table.
    """
    out: dict[str, list[Measure]] = {}
    visitors = tables["visitors"]["visitor_id"] if "visitors" in tables else None
    for name, old in before["tables"].items():
        if name in GROWING and not history:
            continue
        frame = tables.get(name)
        rows = 0 if frame is None else frame.height
        measures = []
        if name != "events" or history:
            measures.append(
                Measure(
                    "volume", "rows, compared with the last accepted version",
                    float(rows), old["rows"] * (1 - max_volume_change),
                    old["rows"] * (1 + max_volume_change),
                )
            )  # fmt: skip
        if frame is not None and rows:
            measures += _once(
                remembered, ("columns", name, history), (frame,),
                partial(_compare_columns, name, frame, old["columns"], history),
            )  # fmt: skip
        out[name] = measures
    if "products" in tables and before.get("categories"):
        out.setdefault("products", []).extend(_compare_categories(tables["products"], before))
    if "events" in tables and before.get("events") and not tables["events"].is_empty():
        out.setdefault("events", []).extend(
            _compare_events(tables["events"], tables.get("products"), before["events"], history)
        )
    for name, sample in before["kept"].items():
        frame = tables.get(name)
        if frame is not None and not frame.is_empty():
            gone = (aside or {}).get(name)
            whole = history or (name != "events" and name not in GROWING)
            people = None if visitors is None else visitors.to_frame()
            out.setdefault(name, []).extend(
                _once(
                    remembered, ("sample", name, whole), (frame, gone, people),
                    partial(compare_sample, name, frame, sample, aside=gone, visitors=visitors,
                            whole=whole),
                )
            )  # fmt: skip
    return out


def _once(
    remembered: dict[Any, list[Measure]] | None,
    what: tuple[Any, ...],
    frames: tuple[pl.DataFrame | None, ...],
    work: Callable[[], list[Measure]],
) -> list[Measure]:
    """Return what `work` gives, or what it gave for equal frames before."""
    if remembered is None:
        return work()
    contents = tuple(
        "" if frame is None else hashlib.sha256(frame.hash_rows().to_numpy().tobytes()).hexdigest()
        for frame in frames
    )
    key = (*what, contents)
    if key not in remembered:
        remembered[key] = work()
    return remembered[key]


def is_batch(events: pl.DataFrame, before: Profile) -> bool:
    """Tell a batch of a week or two from a history that lost its weeks.

    A batch holds whole weeks: those that the profile knows have as many events as they had then.
    """
    old: Mapping[str, int] = (before.get("events") or {}).get("weeks", {})
    if len(old) < HISTORY_WEEKS or "week" not in events.columns or events.is_empty():
        return False
    now = dict(events.drop_nulls("week").group_by("week").len().iter_rows())
    if not now or len(now) > BATCH_WEEKS:
        return False
    first = min(int(w) for w in old)
    return all(
        int(w) >= first and abs(n / old.get(str(w), n) - 1) <= MAX_WEEK_LOSS for w, n in now.items()
    )


# Columns whose distribution moves by itself from version to version.
_MOVING = {("events", "week"), ("exposures", "week"), ("products", "rating_count")}


def _compare_columns(
    table: str, frame: pl.DataFrame, before: Mapping[str, Any], history: bool
) -> list[Measure]:
    measures: list[Measure] = []
    shifts: list[tuple[float, str]] = []
    nulls: list[tuple[float, str]] = []
    shapes: list[tuple[float, str]] = []
    unseen: list[str] = []
    for name, old in before.items():
        if name not in frame.columns:
            if old["nulls"] < 1:
                nulls.append((1.0 - old["nulls"], f"{name}: the column is gone"))
            continue
        values = frame[name].drop_nulls()
        share = frame[name].null_count() / frame.height
        # A column that was always filled is not left empty by shoppers.
        scale = FILLED_SCALE if old["nulls"] < FILLED and frame.height >= MANY_ROWS else 1.0
        nulls.append(
            (
                round(scale * abs(share - old["nulls"]), 6),
                f"{name}: {old['nulls']:.3f} to {share:.3f} empty",
            )
        )
        if values.is_empty() or (table, name) in _MOVING:
            continue
        if "shares" in old and values.dtype.is_numeric():
            shift = psi(old["shares"], _shares(values, old["edges"]))
            shifts.append((shift, f"{name}: median {old['median']:g} to {values.median():g}"))
        elif "true" in old and values.dtype == pl.Boolean:
            now = float(values.mean())  # type: ignore[arg-type]
            shifts.append((psi([old["true"], 1 - old["true"]], [now, 1 - now]), name))
        elif "values" in old and values.dtype == pl.String:
            shares = dict(values.value_counts(normalize=True).iter_rows())
            known = sorted(old["values"])
            unseen += [f"{name}: {v}" for v in sorted(set(shares) - set(known))]
            now = [shares.get(v, 0.0) for v in known]
            shift = psi([old["values"][v] for v in known], now)
            shifts.append((shift, name))
        if "length" in old and values.dtype == pl.String:
            sample = (
                values if len(values) <= 200_000 else values.gather_every(len(values) // 100_000)
            )
            length = float(sample.str.len_chars().mean())  # type: ignore[arg-type]
            digits = float(sample.str.contains(r"^\d+$").mean())  # type: ignore[arg-type]
            ratio = abs(math.log((length + 1) / (old["length"] + 1)))
            shapes.append(
                (ratio, f"{name}: {old['length']:.1f} to {length:.1f} characters on average")
            )
            shapes.append((abs(digits - old["digits"]), f"{name}: share of pure numbers"))
            if old["distinct"] >= 20 and (history or table != "events"):
                kinds = abs(math.log(values.n_unique() / old["distinct"]))
                shapes.append(
                    (kinds / 2, f"{name}: {old['distinct']} to {values.n_unique()} values")
                )
    for label, about, found, limit in (
        ("distribution", "largest PSI of a column against the last accepted version", shifts, 0.25),
        ("empty_share", "largest change of a column's share of empty values", nulls, 0.1),
        (
            "text_shape",
            "largest change of a text column's length or variety (log ratio)",
            shapes,
            0.4,
        ),
    ):
        if found:
            worst = sorted(found, reverse=True)[:3]
            sample = tuple(f"{text} ({value:.3f})" for value, text in worst)
            measures.append(Measure(label, about, round(worst[0][0], 6), high=limit, sample=sample))
    measures.append(
        Measure(
            "new_values", "values of a category that the last accepted version did not have",
            float(len(unseen)), high=0, severity="warn", sample=tuple(unseen[:10]),
        )
    )  # fmt: skip
    return measures


def _compare_categories(products: pl.DataFrame, before: Profile) -> list[Measure]:
    now = dict(products.group_by("category").len().iter_rows())
    old: Mapping[str, int] = before["categories"]
    shrunk = [c for c, n in old.items() if n >= 5 and now.get(c, 0) < 0.5 * n]
    fresh = sorted(set(now) - set(old))
    lost = sum(max(old[c] - now.get(c, 0), 0) for c in old) / max(sum(old.values()), 1)
    return [
        Measure(
            "categories_kept", "categories that lost more than half of their products",
            float(len(shrunk)), high=0, sample=tuple(sorted(shrunk)[:10]),
        ),
        Measure(
            "products_kept", "share of products missing from their category",
            round(lost, 6), high=0.02,
        ),
        Measure(
            "new_categories", "categories that the last accepted version did not have",
            float(len(fresh)), high=0, severity="warn", sample=tuple(fresh[:10]),
        ),
    ]  # fmt: skip


def _compare_events(
    events: pl.DataFrame, products: pl.DataFrame | None, old: Mapping[str, Any], history: bool
) -> list[Measure]:
    now = _event_profile(events, products)
    # Few sessions spread unevenly over the hours by chance alone.
    chance = 0.0 if history else HOUR_CHANCE / max(events["session_id"].n_unique(), 1)
    measures = [
        Measure(
            "hours_of_day",
            "PSI of the hours of the day: a shifted clock moves them",
            round(psi(old["hours"], now["hours"]), 6) if now["days"] >= WEEKDAYS else None,
            high=0.02 if history else round(0.1 + chance, 3),
        ),
        Measure(
            "busiest_visitor_hour",
            "most events of one visitor in an hour, against the last accepted version",
            float(now["top_hour"]),
            high=max(100.0, round(1.4 * old["top_hour"], 3)),
            severity="warn",
        ),
        Measure(
            "events_a_day", "events a day, compared with the last accepted version",
            now["a_day"], low=round(old["a_day"] / 1.6, 3), high=round(old["a_day"] * 1.6, 3),
        ),
        Measure(
            "session_length", "mean events a session, compared with the last accepted version",
            now["session_mean"], low=round(old["session_mean"] / 1.5, 3),
            high=round(old["session_mean"] * 1.5, 3),
        ),
    ]  # fmt: skip
    if old.get("price_gap") is not None and now["price_gap"] is not None:
        measures.append(
            Measure(
                "price_gap", "median distance of prices paid from the catalogue (log ratio)",
                now["price_gap"], high=round(old["price_gap"] + 0.1, 3),
            )
        )  # fmt: skip
    if history:
        measures += [*_history_kept(now["weeks"], old["weeks"]), _no_older(now["end"], old["end"])]
    return measures


def _history_kept(now: Mapping[str, int], old: Mapping[str, int]) -> list[Measure]:
    """Compare week by week: what was accepted once may be forgotten by a few, not rewritten."""
    finished = sorted(old, key=int)[:-1]
    changes = [(now.get(w, 0) / old[w] - 1, w) for w in finished if old[w] >= 20]
    fallen = sorted(((-change, w) for change, w in changes), reverse=True)[:3]
    late = [(change, w) for change, w in changes if now.get(w, 0) - old[w] > MIN_LATE_EVENTS]
    risen = sorted(late, reverse=True)[:3]
    return [
        Measure(
            "history_kept",
            "largest share of an accepted week's events that is gone",
            round(max(fallen[0][0], 0.0), 6) if fallen else None,
            high=MAX_WEEK_LOSS,
            sample=tuple(f"week {w}: {old[w]} to {now.get(w, 0)} events" for _, w in fallen),
        ),
        Measure(
            "history_not_added_to",
            "largest share by which an accepted week's events have grown afterwards",
            (round(risen[0][0], 6) if risen else 0.0) if changes else None,
            high=MAX_WEEK_GAIN,
            sample=tuple(f"week {w}: {old[w]} to {now.get(w, 0)} events" for _, w in risen),
        ),
    ]


def _no_older(now: str, old: str) -> Measure:
    gap = (datetime.fromisoformat(old) - datetime.fromisoformat(now)).total_seconds() / 86400
    return Measure(
        "freshness", "days by which the data end earlier than the last accepted version",
        round(max(gap, 0.0), 6), high=0.5, sample=(f"{old} to {now}",),
    )  # fmt: skip
