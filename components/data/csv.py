"""Source `csv`: bring your own: one file of interactions, and optionally one of products.

In: a delimited text file (plain or gzip) whose columns are recognised by name or mapped in
`ingest.csv.columns`; the least is `user_id,item_id`. Encoding and delimiter are recognised. Out:
canonical tables; every line that cannot be used is set aside with its number and the reason.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from components.contracts.artefacts import sha256_of
from components.contracts.errors import SourceError
from components.contracts.params import CsvSource, IngestParams
from components.contracts.records import INTERACTION_KINDS
from components.data.assemble import assemble, descriptions_are_reviews
from components.data.source import CATEGORY_SEPARATOR, Ingested

DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
USUAL_ENCODING = "cp1252"
SAMPLE_BYTES = 256 * 1024
ALIASES = {
    "visitor_id": "user_id user userid customer_id customer customerid visitor reviewerid",
    "product_id": "item_id item itemid product productid sku asin parent_asin article_id",
    "at": "timestamp time date datetime created_at event_time unixreviewtime ts",
    "rating": "stars score overall rate",
    "kind": "event event_type action type_of_event",
    "quantity": "qty count units",
    "price": "unit_price amount cost",
    "price_minor": "price_cents",
    "order_id": "order transaction_id invoice basket_id",
    "session_id": "session",
    "text": "review_text review comment reviewtext review_body",
    "title": "name product_name item_name product_title",
    "description": "desc item_description product_description",
    "brand": "manufacturer store maker",
    "category": "categories category_name department",
    "type": "product_type item_type",
    "images": "image image_url image_path",
}
KIND_WORDS = {
    "view": "click", "click": "click", "detail": "click", "pv": "click",
    "cart": "basket_add", "add_to_cart": "basket_add", "addtocart": "basket_add",
    "basket_add": "basket_add", "remove_from_cart": "basket_remove",
    "basket_remove": "basket_remove", "buy": "purchase", "order": "purchase",
    "purchase": "purchase", "transaction": "purchase", "rating": "rating", "review": "rating",
    "rate": "rating",
}  # fmt: skip
INTERACTION_COLUMNS = (
    "visitor_id", "product_id", "at", "rating", "kind", "quantity", "price", "price_minor",
    "order_id", "session_id", "text", "description", "title", "brand", "category", "type", "images",
)  # fmt: skip
PRODUCT_COLUMNS = (
    "product_id", "title", "description", "brand", "category", "type", "price", "price_minor",
    "images",
)  # fmt: skip
MINOR_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "BHD": 3, "KWD": 3, "TND": 3}
TIME_FORMATS = ("%d/%m/%Y %H:%M", "%d/%m/%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d")


def read(params: IngestParams) -> Ingested:
    """Read the files named in `ingest.csv`.

    Raises:
        SourceError: no path, no such file, no known encoding, or a column that is needed is absent.
    """
    options = params.csv
    if options.path is None:
        raise SourceError("ingest.csv.path is not set: name the file of interactions.")
    path = Path(options.path)
    rows, bad, found = read_rows(path, options, INTERACTION_COLUMNS, ("visitor_id", "product_id"))
    interactions, more_bad = _interactions(rows, options, path.name)
    notes = {f"{path.name}": found}
    inputs = {path.name: sha256_of(path)}
    items = _items_of_interactions(interactions, options)
    if "description" in interactions.columns and descriptions_are_reviews(interactions):
        notes["description"] = (
            "differs within items: read as the visitors' own words, not the shop's"
        )
        interactions = interactions.with_columns(
            pl.coalesce("text", "description").alias("text")
            if "text" in interactions.columns
            else pl.col("description").alias("text")
        )
        items = items.drop("description")
    bad += more_bad
    if options.products_path is not None:
        products_path = Path(options.products_path)
        product_rows, product_bad, found = read_rows(
            products_path, options, PRODUCT_COLUMNS, ("product_id",)
        )
        notes[products_path.name] = found
        inputs[products_path.name] = sha256_of(products_path)
        bad += product_bad
        items = _items(product_rows, options)
    tables, made = assemble(
        interactions, items, currency=options.currency, timezone=params.timezone
    )
    reasons = Counter(str(entry["reason"]).split(":")[0] for entry in bad)
    return Ingested(
        tables=tables,
        dropped={f"lines: {reason}": n for reason, n in sorted(reasons.items())},
        notes=notes | made,
        inputs=inputs,
        bad_rows=pl.DataFrame(bad, schema=BAD_SCHEMA) if bad else None,
    )


BAD_SCHEMA = {"source": pl.String, "line": pl.Int64, "reason": pl.String, "text": pl.String}
Row = dict[str, str | None]


def read_rows(
    path: Path, options: CsvSource, wanted: tuple[str, ...], needed: tuple[str, ...]
) -> tuple[list[Row], list[dict[str, str | int]], str]:
    """Read a file's lines as rows under our column names.

    Returns:
        Rows (each with its `line` number as text), lines that cannot be used, and a sentence on the
        encoding, delimiter and columns that were recognised.
    Raises:
        SourceError: see `read`.
    """
    if not path.is_file():
        raise SourceError(f"ingest.csv: no such file: {path}.")
    text, encoding = decode(path, options.encoding)
    delimiter = options.delimiter or recognise_delimiter(text)
    # A NUL would end the line for the reader; it is never part of a table.
    reader = csv.reader(io.StringIO(text.replace("\0", "\ufffd"), newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader)]
    except StopIteration:
        raise SourceError(f"{path}: the file is empty.") from None
    columns = recognise_columns(header, options.columns, wanted)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise SourceError(
            f"{path}, line 1: no column for {', '.join(missing)}; it has {', '.join(header)}. "
            f"Say which it is in ingest.csv.columns, for instance {{{missing[0]}: {header[0]}}}."
        )
    rows: list[Row] = []
    bad: list[dict[str, str | int]] = []
    others = [i for i in range(len(header)) if i not in columns.values()]
    for fields, line in _lines(reader):
        if not any(field.strip() for field in fields):
            continue
        reason = _why_unusable(fields, header, columns, needed)
        if reason:
            shown = delimiter.join(fields)[:500]
            bad.append({"source": path.name, "line": line, "reason": reason, "text": shown})
            continue
        row: Row = {name: fields[i].strip() or None for name, i in columns.items()}
        row["line"] = str(line)
        extra = {header[i]: fields[i].strip() for i in others if fields[i].strip()}
        row["extra"] = json.dumps(extra, sort_keys=True, ensure_ascii=False) if extra else None
        rows.append(row)
    mapped = ", ".join(f"{name} = {header[i]}" for name, i in columns.items())
    return rows, bad, f"encoding {encoding}, delimiter {delimiter!r}, columns {mapped}"


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[list[str], int]]:
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [str(error)], reader.line_num  # type: ignore[attr-defined]
            continue
        yield fields, reader.line_num  # type: ignore[attr-defined]


def _why_unusable(
    fields: list[str], header: list[str], columns: Mapping[str, int], needed: tuple[str, ...]
) -> str | None:
    if len(fields) != len(header):
        return f"wrong number of fields: {len(fields)} instead of {len(header)}"
    for name in needed:
        if not fields[columns[name]].strip():
            return f"no {name}"
        if len(fields[columns[name]].strip()) > 128:
            return f"{name} is longer than 128 characters"
    if any("\ufffd" in field for field in fields):
        return "damaged characters"
    return None


def decode(path: Path, encoding: str | None) -> tuple[str, str]:
    """Read a text file, unpacked if it is gzip; recognise its encoding unless it is given.

    Raises:
        SourceError: the file is damaged, or is not text in any known encoding.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: a damaged gzip file ({error}).") from error
    if encoding is not None:
        try:
            return data.decode(encoding, errors="replace"), encoding
        except LookupError as error:
            raise SourceError(f"ingest.csv.encoding: no such encoding: {encoding!r}.") from error
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="replace"), name
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        # A stray bad byte in a UTF-8 file costs its line; another encoding is bad all over.
        replaced = data.decode("utf-8", errors="replace")
        if replaced.count("\ufffd") * 20 < sum(byte > 127 for byte in data):
            return replaced, "utf-8 with damage"
        guessed = _guess(data)
        if guessed is None:
            raise SourceError(
                f"{path}: no known encoding fits (byte {error.start}); set ingest.csv.encoding."
            ) from error
        return data.decode(guessed, errors="replace"), guessed


def _guess(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    start = next((i for i, byte in enumerate(data) if byte > 127), 0)
    found = from_bytes(data[max(0, start - 2000) : start + SAMPLE_BYTES])
    best = found.best()
    if best is None:
        return None
    # Short texts fit several Western encodings equally well; then the usual one is the likely one.
    for match in found:
        if USUAL_ENCODING in match.could_be_from_charset and match.chaos <= best.chaos + 0.02:
            return USUAL_ENCODING
    return best.encoding


def recognise_delimiter(text: str) -> str:
    r"""Find the delimiter that cuts the first lines most evenly; a comma if none does.

    >>> recognise_delimiter("a;b;c\n1,5;2;3\n")
    ';'
    """
    lines = [line for line in text[:20_000].splitlines()[:50] if line.strip()]
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if not counts or counts[0] < 2:
            continue
        even = sum(n == counts[0] for n in counts) / len(counts)
        if even + counts[0] / 1000 > best_score:
            best, best_score = delimiter, even + counts[0] / 1000
    return best


def recognise_columns(
    header: list[str], mapping: Mapping[str, str], wanted: tuple[str, ...]
) -> dict[str, int]:
    """Find our columns in a header: as mapped, by our own name, or by a usual one.

    Raises:
        SourceError: the mapping names a column of ours or of the file that does not exist.
    """
    plain = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in header]
    found: dict[str, int] = {}
    for ours, theirs in mapping.items():
        if ours not in ALIASES:
            known = ", ".join(ALIASES)
            raise SourceError(f"ingest.csv.columns: {ours!r} is none of our columns: {known}.")
        if theirs in header and ours in wanted:
            found[ours] = header.index(theirs)
        elif ours in wanted and ours in ("visitor_id", "product_id"):
            raise SourceError(
                f"ingest.csv.columns: {ours} is mapped to {theirs!r}, which the file lacks; "
                f"it has {', '.join(header)}."
            )
    for ours in wanted:
        for name in (ours, *ALIASES[ours].split()):
            if ours not in found and name in plain and plain.index(name) not in found.values():
                found[ours] = plain.index(name)
    return found


def to_minor(text: str, currency: str) -> int | None:
    """Read an amount of money; none if it is not one.

    >>> to_minor("$1,234.50", "USD"), to_minor("12,99", "EUR"), to_minor("500", "JPY")
    (123450, 1299, 500)
    """
    kept = re.sub(r"[^\d.,-]", "", text)
    comma, dot = kept.rfind(","), kept.rfind(".")
    if comma > dot:
        thousands = len(kept) - comma - 1 == 3 and (dot == -1 or kept.count(",") > 1)
        kept = kept.replace(".", "")
        kept = kept.replace(",", "" if thousands else ".")
    else:
        kept = kept.replace(",", "")
    try:
        return round(float(kept) * 10 ** MINOR_DIGITS.get(currency, 2))
    except ValueError:
        return None


def to_time(text: str) -> datetime | None:
    """Read a time: ISO 8601, seconds or milliseconds since 1970, or a usual form of a day.

    >>> to_time("2024-05-01T10:00:00+02:00").isoformat()
    '2024-05-01T08:00:00+00:00'
    >>> to_time("1393545600").year
    2014
    """
    if re.fullmatch(r"\d{9,10}(\.\d+)?|\d{12,13}", text):
        number = float(text)
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        for form in TIME_FORMATS:
            try:
                parsed = datetime.strptime(text, form)
                break
            except ValueError:
                continue
        else:
            return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _interactions(
    rows: list[Row], options: CsvSource, source: str
) -> tuple[pl.DataFrame, list[dict[str, str | int]]]:
    """Turn rows into typed interactions; a value that cannot be read sets its line aside."""
    out: list[dict[str, object]] = []
    bad: list[dict[str, str | int]] = []
    for row in rows:
        typed: dict[str, object] = dict(row)
        reason = _type_row(row, typed, options)
        if reason:
            shown = json.dumps({k: v for k, v in row.items() if v}, ensure_ascii=False)[:500]
            line = int(str(row["line"]))
            bad.append({"source": source, "line": line, "reason": reason, "text": shown})
            continue
        typed["event_id"] = f"line-{int(str(row['line'])):09d}"
        out.append(typed)
    if not out:
        first = f"; the first: line {bad[0]['line']}, {bad[0]['reason']}" if bad else ""
        raise SourceError(f"{source}: no line can be used{first}.")
    names = [name for name in out[0] if name not in ("line", "extra", "price", "text")]
    frame = pl.DataFrame({name: [r.get(name) for r in out] for name in names}, strict=False)
    if "text" in out[0]:
        frame = frame.with_columns(pl.Series("text", [r["text"] for r in out], dtype=pl.String))
    empty = [c for c in frame.columns if frame.schema[c] == pl.Null]
    return frame.drop(empty), bad


def _type_row(row: Row, typed: dict[str, object], options: CsvSource) -> str | None:
    if "at" in row:
        moment = to_time(row["at"]) if row["at"] else None
        if moment is None:
            return f"no readable time: {row['at']!r}"
        typed["at"] = moment
    typed["kind"] = options.kind or ("rating" if "rating" in row else "purchase")
    if row.get("kind"):
        kind = KIND_WORDS.get(str(row["kind"]).lower().replace("-", "_").replace(" ", "_"))
        if kind is None or kind not in INTERACTION_KINDS:
            return f"unknown kind of event: {row['kind']!r}"
        typed["kind"] = kind
    if "rating" in row:
        typed["rating"] = None
        if typed["kind"] == "rating":
            stars = _number(row["rating"])
            if stars is None:
                return f"no readable rating: {row['rating']!r}"
            typed["rating"] = stars
    if "quantity" in row:
        count = _number(row["quantity"]) if row["quantity"] else 1.0
        if count is None or not count.is_integer():
            return f"no whole quantity: {row['quantity']!r}"
        typed["quantity"] = int(count)
    if "price_minor" in row:
        cents = _number(row["price_minor"])
        typed["price_minor"] = None if cents is None else round(cents)
    elif "price" in row:
        typed["price_minor"] = to_minor(row["price"], options.currency) if row["price"] else None
        if row["price"] and typed["price_minor"] is None:
            return f"no readable price: {row['price']!r}"
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(str(text).replace(",", "."))
    except ValueError:
        return None


def _path(text: str | None) -> str | None:
    """Bring a category path into our form: wide to narrow, joined by ' > '."""
    if not text:
        return None
    parts = [part.strip() for part in re.split(r"\s*(?:>|\||›)\s*", text) if part.strip()]
    return CATEGORY_SEPARATOR.join(parts)


def _items_of_interactions(interactions: pl.DataFrame, options: CsvSource) -> pl.DataFrame:
    """Collect what interaction lines say of their items: the most frequent value of each column."""
    said = ("title", "description", "brand", "category", "type", "images")
    names = [n for n in said if n in interactions.columns]
    grouped = interactions.group_by("product_id").agg(
        pl.col(n).drop_nulls().mode().sort().first() for n in names
    )
    if "category" in names:
        grouped = grouped.with_columns(
            pl.col("category").map_elements(_path, return_dtype=pl.String)
        )
    if "images" in names:
        grouped = grouped.with_columns(
            pl.col("images").map_elements(lambda i: json.dumps([i]), return_dtype=pl.String)
        )
    return grouped.sort("product_id")


def _items(rows: list[Row], options: CsvSource) -> pl.DataFrame:
    """Turn product lines into items; columns we do not know become attributes."""
    out = []
    for row in rows:
        price = _number(row["price_minor"]) if row.get("price_minor") else None
        if price is None and row.get("price"):
            price = to_minor(str(row["price"]), options.currency)
        out.append(
            {
                "product_id": row["product_id"],
                "title": row.get("title"),
                "description": row.get("description"),
                "brand": row.get("brand"),
                "category": _path(row.get("category")),
                "type": row.get("type"),
                "price_minor": None if price is None else round(price),
                "attributes": row.get("extra") or "{}",
                "images": json.dumps([row["images"]]) if row.get("images") else "[]",
            }
        )
    schema = dict.fromkeys(out[0] if out else (), pl.String) | {"price_minor": pl.Int64}
    frame = pl.DataFrame(out, schema=schema)
    return frame.unique("product_id", keep="first", maintain_order=True)
