"""Write `reports/*.json` in one format: a protocol's head and flat rows, the same bytes each time.

No time stamps and no timings go in: a repeated run leaves the committed file unchanged.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.contracts.artefacts import write_json
from components.evaluate.bootstrap import mean_interval

ROW_KEYS = ("model", "shipped", "slice", "seen", "judged", "refit")
VIEW_KEYS = ("slice", "seen", "judged", "refit", "dataset", "task")


def rounded(value: Any, digits: int = 6) -> Any:
    """Round every float inside a JSON-like value; NaN and infinities become None.

    >>> rounded({"a": [0.12345678, float("nan")]})
    {'a': [0.123457, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    if isinstance(value, bool | str | int) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return (
        int(number)
        if hasattr(value, "dtype") and value.dtype.kind in "iu"
        else round(number, digits) + 0.0
    )


def metric_row(
    values: Mapping[str, Any],
    *,
    bootstrap: int,
    seed: int,
    intervals: Iterable[str] | None = None,
    **labels: Any,
) -> dict[str, Any]:
    """Build one row from per-visitor values: `name`, `name_low`, `name_high`, and `n`.

    Args:
        values: metric name to (n,) values.
        bootstrap: resamples per interval.
        seed: of the resampling.
        intervals: which metrics get an interval; all by default.
        labels: `model`, `shipped`, `slice`, `seen` and the like, copied into the row.
    """
    row: dict[str, Any] = dict(labels)
    wanted = set(values) if intervals is None else set(intervals)
    for name, per_visitor in values.items():
        mean, low, high = mean_interval(
            per_visitor, n=bootstrap if name in wanted else 1, seed=seed
        )
        row[name] = mean
        if name in wanted:
            row[f"{name}_low"], row[f"{name}_high"] = low, high
        row["n"] = len(per_visitor)
    return row


def write_report(
    path: Path,
    *,
    protocol: str,
    dataset: str,
    split: str,
    cut_off: str,
    n: int,
    seed: int,
    rows: Iterable[Mapping[str, Any]],
    **extra: Any,
) -> dict[str, Any]:
    """Write one report and return what was written.

    Args:
        path: `reports/NAME.json`.
        protocol: name of the protocol, for instance `P1 next basket`.
        dataset: which data, and how they were filtered.
        split: how train and test were parted.
        cut_off: the first moment of the test part, in words or as a date.
        n: visitors (or queries) judged.
        seed: of sampling and training.
        rows: flat mappings; see `metric_row`.
        extra: further top-level keys.

    Raises:
        ValueError: more than one row of a slice and view is marked as shipped.
    """
    written = [rounded(dict(row)) for row in rows]
    shipped = [
        tuple(str(row.get(key)) for key in VIEW_KEYS)
        for row in written
        if row.get("shipped") is True
    ]
    doubled = sorted({key for key in shipped if shipped.count(key) > 1})
    if doubled:
        raise ValueError(f"{path.name}: more than one shipped row for {doubled}.")
    document = {
        "protocol": protocol,
        "dataset": dataset,
        "split": split,
        "cut_off": cut_off,
        "n": n,
        "seed": seed,
        "rows": written,
        "shipped": shipped_figures(written),
        **rounded(extra),
    }
    write_json(path, document)
    return document


def shipped_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the shipped rows' figures by slice or view, for tools that cannot look into rows.

    DVC compares numbers in nested mappings and passes lists over.

    >>> rows = [{"shipped": True, "slice": s, "seen": "kept", "ndcg@10": 0.5} for s in ("a", "b")]
    >>> shipped_figures(rows)
    {'a': {'ndcg@10': 0.5}, 'b': {'ndcg@10': 0.5}}
    """
    shipped = [row for row in rows if row.get("shipped") is True]
    varying = [key for key in VIEW_KEYS if len({str(row.get(key)) for row in shipped}) > 1]
    found: dict[str, dict[str, float]] = {}
    for row in shipped:
        name = ", ".join(str(row[key]) for key in varying if row.get(key) is not None)
        found[name or str(row.get("slice", "all"))] = {
            key: value
            for key, value in row.items()
            if isinstance(value, float) and not key.endswith(("_low", "_high"))
        }
    return found


def read_report(path: Path) -> dict[str, Any]:
    """Read a report written by `write_report`."""
    return json.loads(path.read_text(encoding="utf-8"))


def shipped_value(report: Mapping[str, Any], metric: str, **labels: Any) -> float:
    """Return the shipped row's `metric` for the given labels, for instance `slice="all"`.

    Raises:
        KeyError: no such row, or the row lacks the metric.
    """
    for row in report["rows"]:
        if row.get("shipped") is True and all(
            row.get(key) == value for key, value in labels.items()
        ):
            return float(row[metric])
    raise KeyError(f"no shipped row with {labels} in {report.get('protocol')}.")
