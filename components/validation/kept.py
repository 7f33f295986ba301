"""What was accepted once is kept: a fixed sample of rows, by which a rewritten history is seen.

In: accepted tables. Out: per table a sample of rows chosen by the hash of their key, each as the
hash of its key and a few digits of the hash of every column; prices of the catalogue are kept as
they are. The next version is compared row by row: values shuffled among rows, another unit in one
row of a hundred, or a category exchanged leave every distribution as it was, but not the rows.

Nothing of a visitor can be read from it, and a visitor who was forgotten is no lost row.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import polars as pl

from components.contracts.tables import SPECS
from components.validation.checks import Measure

SAMPLE = 10_000
KEY_DIGITS = 12
DIGITS = 3
VISITOR_DIGITS = 6
MIN_ROWS = 3  # fewer changed or lost rows are a correction, not a rewriting
# Columns that change by themselves, table by table, with the share of rows that may do so between
# two versions. Prices are compared by factor, see `FACTORS`.
MAY_CHANGE: Mapping[tuple[str, str], float] = {
    ("products", "title"): 0.005,
    ("products", "description"): 0.02,
    ("products", "brand"): 0.005,
    ("products", "category"): 0.005,
    ("products", "type"): 0.005,
    ("products", "attributes"): 0.005,
    ("products", "images"): 0.1,
    ("products", "available"): 0.1,
    ("products", "repeatable"): 0.005,
    ("products", "first_sold_at"): 0.005,
    ("variants", "options"): 0.02,
    ("visitors", "attributes"): 0.1,
    ("visitors", "consent"): 0.1,
    ("judgements", "grade"): 0.05,
    ("reviews", "text"): 0.05,
    ("reviews", "rating"): 0.05,
    ("promotions", "ends_at"): 0.05,
    ("promotions", "title"): 0.05,
    ("promotions", "targeted"): 0.02,
}
IMMUTABLE = 0.0005
# Made anew with every version, or counted up by time.
FREE = {
    ("products", "price_minor"), ("products", "list_price_minor"), ("products", "rating"),
    ("products", "rating_count"), ("products", "updated_at"), ("variants", "price_minor"),
    ("variants", "list_price_minor"), ("variants", "stock"), ("reviews", "helpful_votes"),
}  # fmt: skip
AMOUNTS = {
    "products": ("price_minor", "list_price_minor", "rating_count"),
    "variants": ("price_minor", "list_price_minor", "stock"),
}
# A price that moved by so much, and the share of products whose price may.
FACTORS = ((5.0, 0.0004), (3.0, 0.003), (1.3, 0.15))
AMOUNT_LIMITS = {
    "stock": ((100.0, 0.0005),),
    "rating_count": ((10.0, 0.05), (1.9, 0.3)),
}
SILENT = (1.0, 0.0005)  # for a column in which every row had one value
# Shares of rows that may be gone while their visitor is not.
MAY_GO: Mapping[str, float] = {
    "products": 0.01, "variants": 0.01, "visitors": 0.05, "promotions": 0.01, "relations": 0.1,
    "reviews": 0.01,
}  # fmt: skip
LOST = 0.0005


@lru_cache(maxsize=400_000)  # a trial of many faults asks for the same values again and again
def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _keys(name: str, frame: pl.DataFrame) -> pl.Series:
    """Return each row's key as one text."""
    key = SPECS[name].key
    parts = [pl.col(c).cast(pl.String).fill_null("") for c in key]
    return frame.select(pl.concat_str(parts, separator="\x1f").alias("key"))["key"]


def _chosen(keys: pl.Series, every: int) -> list[int]:
    """Return the rows of the sample: those whose key's checksum is a multiple of `every`."""
    if every == 1:
        return list(range(len(keys)))
    return [i for i, k in enumerate(keys.to_list()) if zlib.crc32(k.encode()) % every == 0]


def _columns(name: str) -> list[str]:
    spec = SPECS[name]
    return [c for c in spec.columns if c not in spec.key and (name, c) not in FREE]


def _digits(column: str) -> int:
    return VISITOR_DIGITS if column == "visitor_id" else DIGITS


def _texts(frame: pl.DataFrame, column: str) -> list[str]:
    if column not in frame.columns:
        return [""] * frame.height
    values = frame[column]
    if values.dtype.is_float():
        return ["" if v is None else f"{v:.6g}" for v in values.to_list()]
    if isinstance(values.dtype, pl.Datetime):
        values = values.dt.epoch("ms")
    return values.cast(pl.String).fill_null("").to_list()


def make_sample(name: str, frame: pl.DataFrame) -> dict[str, Any]:
    """Sample one accepted table."""
    every = 1
    while frame.height / every > SAMPLE:
        every *= 2
    keys = _keys(name, frame)
    rows = _chosen(keys, every)
    part = frame[rows]
    names = [_hash(k, KEY_DIGITS) for k in keys.gather(rows).to_list()]
    columns = _columns(name)
    digests = [[_hash(v, _digits(c)) for v in _texts(part, c)] for c in columns]
    whole = (
        ["".join(parts) for parts in zip(*digests, strict=True)] if columns else [""] * len(rows)
    )
    order = sorted(range(len(rows)), key=names.__getitem__)
    sample: dict[str, Any] = {
        "every": every,
        "columns": columns,
        "rows": " ".join(f"{names[i]}:{whole[i]}" for i in order),
    }
    amounts = {c: part[c].to_list() for c in AMOUNTS.get(name, ()) if c in part.columns}
    if amounts:
        sample["amounts"] = {c: [values[i] for i in order] for c, values in amounts.items()}
    return sample


def compare_sample(
    name: str,
    frame: pl.DataFrame,
    before: Mapping[str, Any],
    *,
    aside: pl.DataFrame | None = None,
    visitors: pl.Series | None = None,
    whole: bool = True,
) -> list[Measure]:
    """Compare a table with the sample of its last accepted version.

    Args:
        name: the table.
        frame: its accepted rows now.
        before: from `make_sample`.
        aside: rows just set aside; they are counted elsewhere and are not lost.
        visitors: ids of the visitors there are now: rows of others were forgotten, not lost.
        whole: false for a batch, which has only some of the rows.
    """
    columns: list[str] = list(before["columns"])
    old: dict[str, str] = dict(pair.split(":") for pair in before["rows"].split(" ") if pair)
    order = list(old)
    keys = _keys(name, frame)
    rows = _chosen(keys, int(before["every"]))
    part = frame[rows]
    place = {_hash(k, KEY_DIGITS): i for i, k in enumerate(keys.gather(rows).to_list())}
    common = [(k, place[k]) for k in order if k in place]
    measures = []
    if common:
        found = part[[i for _, i in common]]
        measures += _changed(name, columns, [old[k] for k, _ in common], found)
        for column, values in sorted(before.get("amounts", {}).items()):
            then = dict(zip(order, values, strict=True))
            now = found[column].to_list() if column in found.columns else []
            measures += _moved(name, column, [then[k] for k, _ in common], now)
    if whole:
        known = set(place)
        if aside is not None and aside.height:
            known |= {_hash(k, KEY_DIGITS) for k in _keys(name, aside).to_list()}
        lost = [k for k in order if k not in known]
        measures.append(_lost(name, columns, lost, old, visitors))
    return measures


def _changed(
    name: str, columns: Sequence[str], then: Sequence[str], now: pl.DataFrame
) -> list[Measure]:
    """Count rows whose value differs, column by column, against what each column may."""
    worst: list[tuple[float, str]] = [(0.0, "none")]
    edited: list[tuple[int, str]] = [(0, "none")]
    at = 0
    for column in columns:
        digits = _digits(column)
        values = [_hash(v, digits) for v in _texts(now, column)]
        n = sum(a[at : at + digits] != b for a, b in zip(then, values, strict=True))
        at += digits
        text = f"{column}: {n} of {len(then)} rows"
        allowed = max(MIN_ROWS, MAY_CHANGE.get((name, column), IMMUTABLE) * len(then))
        worst.append((n / allowed, text))
        if (name, column) in MAY_CHANGE:
            edited.append((n, text))
    worst.sort(reverse=True)
    edited.sort(reverse=True)
    return [
        Measure(
            "rows_unchanged",
            "rows whose value in a column differs from the last accepted version's, in multiples "
            "of what that column may",
            round(worst[0][0], 6),
            high=1.0,
            sample=tuple(text for value, text in worst[:3] if value > 0),
        ),
        Measure(
            "rows_edited",
            "rows edited since the last accepted version, in a column that may be",
            float(edited[0][0]),
            high=float(MIN_ROWS),
            severity="warn",
            sample=tuple(text for n, text in edited[:3] if n),
        ),
    ]


def _moved(
    name: str, column: str, then: Sequence[float | None], now: Sequence[float | None]
) -> list[Measure]:
    """Count amounts that moved by a factor."""
    pairs = [(a, b) for a, b in zip(then, now, strict=False) if a is not None and b is not None]
    worst, text = 0.0, ""
    rules = AMOUNT_LIMITS.get(column, FACTORS)
    if len({a for a, _ in pairs}) == 1:  # a column that said nothing says something now
        rules = (*rules, SILENT)
    for factor, share in rules:
        far = [
            (a, b)
            for a, b in pairs
            if abs(math.log((max(b, 0) + 1) / (max(a, 0) + 1))) > math.log(factor)
        ]
        over = len(far) / max(MIN_ROWS, share * len(pairs))
        if over > worst:
            worst = over
            text = f"{len(far)} of {len(pairs)} moved {factor:g} times or more, as {far[0]}"
    return [
        Measure(
            f"{column}_steady",
            f"rows whose {column} moved by a factor, in multiples of what is usual",
            round(worst, 6),
            high=1.0,
            sample=(text,) if text else (),
        )
    ]


def _lost(
    name: str,
    columns: Sequence[str],
    lost: Sequence[str],
    old: Mapping[str, str],
    visitors: pl.Series | None,
) -> Measure:
    """Count rows that are gone though their visitor is not."""
    if "visitor_id" in columns and visitors is not None:
        at = sum(_digits(c) for c in columns[: columns.index("visitor_id")])
        there = {_hash(v, VISITOR_DIGITS) for v in visitors.to_list()}
        lost = [k for k in lost if old[k][at : at + VISITOR_DIGITS] in there]
    allowed = max(MIN_ROWS, MAY_GO.get(name, LOST) * len(old))
    return Measure(
        "rows_kept",
        "rows of the last accepted version that are gone, in multiples of what may go",
        round(len(lost) / allowed, 6),
        high=1.0,
        sample=(f"{len(lost)} of {len(old)} sampled rows",) if lost else (),
    )
