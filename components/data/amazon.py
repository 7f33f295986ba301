"""Source `amazon`: the public review format, its metadata, and the literature's sequence files.

In: reviews as JSON lines or CSV (plain or gzip; the field names of 2014, 2018 and 2023), optionally
metadata as JSON lines; or a file of `user item item ...` lines. Out: canonical tables. A line that
cannot be read is set aside with its number and the reason.
"""

import ast
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.artefacts import sha256_of
from components.contracts.errors import SourceError
from components.contracts.params import AmazonSource, CsvSource, IngestParams
from components.data.assemble import assemble
from components.data.csv import BAD_SCHEMA, INTERACTION_COLUMNS, read_rows, to_minor, to_time
from components.data.source import CATEGORY_SEPARATOR, Ingested

FIELDS = {
    "visitor_id": ("reviewerID", "user_id"),
    "product_id": ("parent_asin", "asin"),
    "rating": ("overall", "rating"),
    "text": ("reviewText", "text"),
    "summary": ("summary", "title"),
    "at": ("unixReviewTime", "timestamp"),
}
CURRENCY = "USD"
Bad = list[dict[str, str | int]]


def read(params: IngestParams) -> Ingested:
    """Read the files named in `ingest.amazon`.

    Raises:
        SourceError: no file is named, or one is absent, damaged or holds nothing usable.
    """
    options = params.amazon
    if options.sequences_path is not None:
        rows, bad = _sequences(Path(options.sequences_path), options)
        used = [options.sequences_path]
    elif options.reviews_path is not None:
        rows, bad = _reviews(Path(options.reviews_path), options)
        used = [options.reviews_path]
    else:
        raise SourceError("ingest.amazon: set reviews_path or sequences_path.")
    if not rows:
        first = f" The first: line {bad[0]['line']}, {bad[0]['reason']}." if bad else ""
        raise SourceError(f"{used[0]}: no line can be used.{first}")
    items = pl.DataFrame(schema={"product_id": pl.String})
    if options.metadata_path is not None:
        items, more = _metadata(Path(options.metadata_path))
        bad += more
        used.append(options.metadata_path)
    names = list(rows[0])
    frame = pl.DataFrame({n: [row.get(n) for row in rows] for n in names}, strict=False)
    frame = frame.drop([c for c in frame.columns if frame.schema[c] == pl.Null])
    tables, notes = assemble(frame, items, currency=CURRENCY, timezone=params.timezone)
    reasons = Counter(str(entry["reason"]).split(":")[0] for entry in bad)
    return Ingested(
        tables=tables,
        dropped={f"lines: {reason}": n for reason, n in sorted(reasons.items())},
        notes=notes,
        inputs={Path(name).name: sha256_of(Path(name)) for name in used},
        bad_rows=pl.DataFrame(bad, schema=BAD_SCHEMA) if bad else None,
    )


def open_text(path: Path) -> io.TextIOBase:
    """Open a plain or gzip text file as UTF-8; damaged bytes become U+FFFD.

    Raises:
        SourceError: no such file.
    """
    if not path.is_file():
        raise SourceError(f"ingest.amazon: no such file: {path}.")
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    if packed:
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")  # type: ignore[return-value]
    return path.open("r", encoding="utf-8", errors="replace")


def _objects(path: Path, bad: Bad) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's object; metadata of 2014 are Python literals instead of JSON."""
    try:
        with open_text(path) as handle:
            for number, line in enumerate(handle, 1):
                if not line.strip():
                    continue
                value = _object(line)
                if value is None:
                    shown = line.strip()[:500]
                    bad.append(
                        {
                            "source": path.name,
                            "line": number,
                            "reason": "not an object",
                            "text": shown,
                        }
                    )
                    continue
                yield number, value
    except (OSError, EOFError) as error:
        raise SourceError(f"{path}: a damaged file ({error}).") from error


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        try:
            value = ast.literal_eval(line)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _reviews(path: Path, options: AmazonSource) -> tuple[list[dict[str, Any]], Bad]:
    if path.name.removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
        return _csv_reviews(path, options)
    rows: list[dict[str, Any]] = []
    bad: Bad = []
    for number, record in _objects(path, bad):
        values = {name: _first(record, theirs) for name, theirs in FIELDS.items()}
        reason = _unusable(values)
        if reason:
            shown = json.dumps(record, ensure_ascii=False)[:500]
            bad.append({"source": path.name, "line": number, "reason": reason, "text": shown})
            continue
        rows.append(_row(number, values, options, _votes(record)))
    return rows, bad


def _csv_reviews(path: Path, options: AmazonSource) -> tuple[list[dict[str, Any]], Bad]:
    """Read a CSV with a header, or the headless `user,item,rating,timestamp` of ratings files."""
    with open_text(path) as handle:
        head = handle.readline().strip().split(",")
    if len(head) == 4 and head[2].replace(".", "").isdigit() and head[3].isdigit():
        rows, bad = [], []
        with open_text(path) as handle:
            for number, line in enumerate(handle, 1):
                fields = line.strip().split(",")
                values: dict[str, Any] = dict(
                    zip(("visitor_id", "product_id", "rating", "at"), fields, strict=False)
                )
                reason = _unusable(values)
                if reason:
                    bad.append(
                        {"source": path.name, "line": number, "reason": reason, "text": line[:500]}
                    )
                    continue
                rows.append(_row(number, values, options, 0))
        return rows, bad
    found, bad, _ = read_rows(path, CsvSource(), INTERACTION_COLUMNS, ("visitor_id", "product_id"))
    rows = []
    for record in found:
        values = {
            name: record.get(name) for name in ("visitor_id", "product_id", "rating", "text", "at")
        }
        reason = _unusable(values)
        line = int(str(record["line"]))
        if reason:
            bad.append({"source": path.name, "line": line, "reason": reason, "text": ""})
            continue
        rows.append(_row(line, values, options, 0))
    return rows, bad


def _unusable(values: Mapping[str, Any]) -> str | None:
    for name in ("visitor_id", "product_id"):
        text = values.get(name)
        if not text or len(str(text)) > 128 or "\ufffd" in str(text):
            return f"no usable {name}"
    if values.get("rating") is not None:
        try:
            float(values["rating"])
        except (TypeError, ValueError):
            return "no readable rating"
    if values.get("at") is not None and to_time(str(values["at"])) is None:
        return "no readable time"
    return None


def _votes(record: Mapping[str, Any]) -> int:
    helpful = record.get("helpful")
    if isinstance(helpful, list) and helpful:
        return int(helpful[0])
    said = str(record.get("helpful_vote") or record.get("vote") or 0).replace(",", "")
    return int(said) if said.isdigit() else 0


def _row(
    number: int, values: Mapping[str, Any], options: AmazonSource, votes: int
) -> dict[str, Any]:
    text = " ".join(str(values[n]) for n in ("summary", "text") if values.get(n))
    return {
        "event_id": f"line-{number:09d}",
        "visitor_id": str(values["visitor_id"]),
        "product_id": str(values["product_id"]),
        "kind": options.kind,
        "at": to_time(str(values["at"])) if values.get("at") is not None else None,
        "rating": float(values["rating"])
        if options.kind == "rating" and values.get("rating")
        else None,
        "text": text or None,
        "helpful_votes": votes,
    }


def _sequences(path: Path, options: AmazonSource) -> tuple[list[dict[str, Any]], Bad]:
    """Read `user item item ...` lines: order without times or stars."""
    rows: list[dict[str, Any]] = []
    bad: Bad = []
    with open_text(path) as handle:
        for number, line in enumerate(handle, 1):
            fields = line.split()
            if len(fields) == 1:
                shown = line.strip()[:500]
                bad.append(
                    {"source": path.name, "line": number, "reason": "no item", "text": shown}
                )
                continue
            rows += [
                {
                    "event_id": f"line-{number:09d}-{place:05d}",
                    "visitor_id": fields[0],
                    "product_id": item,
                    "kind": "purchase",
                }
                for place, item in enumerate(fields[1:], 1)
            ]
    return rows, bad


def _metadata(path: Path) -> tuple[pl.DataFrame, Bad]:
    bad: Bad = []
    items: list[dict[str, Any]] = []
    for number, record in _objects(path, bad):
        product_id = _first(record, FIELDS["product_id"])
        if product_id is None:
            bad.append({"source": path.name, "line": number, "reason": "no product_id", "text": ""})
            continue
        items.append(
            {
                "product_id": str(product_id),
                "title": _text(record.get("title")),
                "description": _text(record.get("description") or record.get("feature")),
                "brand": _text(_first(record, ("brand", "store"))),
                "category": _category(record),
                "price_minor": to_minor(str(record["price"]), CURRENCY)
                if record.get("price")
                else None,
                "images": json.dumps(_images(record)),
            }
        )
    schema = dict.fromkeys(
        ("product_id", "title", "description", "brand", "category", "images"), pl.String
    ) | {"price_minor": pl.Int64}
    frame = pl.DataFrame(items, schema=schema)
    return frame.unique("product_id", keep="first", maintain_order=True), bad


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        value = " ".join(str(part) for part in value)
    return str(value).strip() or None if value is not None else None


def _category(record: Mapping[str, Any]) -> str | None:
    found = _first(record, ("categories", "category", "main_category", "main_cat"))
    while isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    if isinstance(found, list):
        return (
            CATEGORY_SEPARATOR.join(str(part).strip() for part in found if str(part).strip())
            or None
        )
    return _text(found)


def _images(record: Mapping[str, Any]) -> list[str]:
    found = _first(record, ("images", "imageURLHighRes", "imageURL", "imUrl"))
    if isinstance(found, str):
        return [found]
    if not isinstance(found, list):
        return []
    named = [i.get("large") or i.get("hi_res") if isinstance(i, dict) else i for i in found]
    return [str(i) for i in named if i]
