"""Read and write canonical tables, checked against their specification.

Writes are atomic (temporary file, then rename) and deterministic: fixed column order, rows in the
specification's order, no time stamps.
"""

import os
from pathlib import Path

import polars as pl

from components.contracts.errors import TableError
from components.contracts.tables import SPECS, TableSpec

DTYPES: dict[str, pl.DataType] = {
    "str": pl.String(),
    "json": pl.String(),
    "i64": pl.Int64(),
    "f64": pl.Float64(),
    "bool": pl.Boolean(),
    "time": pl.Datetime("us", "UTC"),
}


def empty_table(spec: TableSpec) -> pl.DataFrame:
    """Return a table of this specification without rows."""
    return pl.DataFrame(schema={name: DTYPES[column.type] for name, column in spec.columns.items()})


def conform(frame: pl.DataFrame, spec: TableSpec) -> pl.DataFrame:
    """Cast to the specification's types, fill absent nullable columns, and order columns and rows.

    Raises:
        TableError: a column that may not be null is absent, a column is unknown, or a cast fails.
    """
    absent = [n for n, c in spec.columns.items() if n not in frame.columns and not c.null]
    if absent:
        raise TableError(f"table {spec.name}: missing columns {absent}; it has {frame.columns}.")
    unknown = [name for name in frame.columns if name not in spec.columns]
    if unknown:
        raise TableError(f"table {spec.name}: unknown columns {unknown}.")
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(None))
        .cast(DTYPES[column.type])
        .alias(name)
        for name, column in spec.columns.items()
    ]
    try:
        return frame.select(columns).sort(list(spec.order), maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise TableError(f"table {spec.name}: {error}") from error


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write one Parquet file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.write_parquet(temporary, compression="zstd", statistics=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_frame(path: Path) -> pl.DataFrame:
    """Read one Parquet file.

    Raises:
        TableError: absent or damaged; the message names the file.
    """
    if not path.exists():
        raise TableError(f"{path}: no such table. Run `make pipeline`, or name the right folder.")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(
            f"{path}: cannot be read as Parquet ({error}). Delete it and run `make pipeline`."
        ) from error


def write_table(frame: pl.DataFrame, name: str, folder: Path) -> None:
    """Write the canonical table `name` into `folder`."""
    write_frame(conform(frame, SPECS[name]), folder / f"{name}.parquet")


def read_table(name: str, folder: Path) -> pl.DataFrame:
    """Read the canonical table `name`; an optional table that is absent comes back empty."""
    path = folder / f"{name}.parquet"
    if not path.exists() and name not in ("products", "variants", "events", "visitors"):
        return empty_table(SPECS[name])
    return read_frame(path)
