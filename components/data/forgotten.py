"""Keep those who asked to be forgotten out of what is read again.

In: tables as a source gives them, and the salted tombstones the service exported. Out: the same
tables without any row of a forgotten visitor. The raw source is never altered, so this is done at
every ingest; only digests are stored, so the list names nobody.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from components.contracts.errors import SourceError

FILE_NAME = "forgotten.json"


def read_tombstones(path: Path) -> tuple[str | None, frozenset[str]]:
    """Read `{"salt", "forgotten": {digest: time}}`; an absent file forgets nobody.

    Raises:
        SourceError: the file is damaged; going on would bring forgotten visitors back.
    """
    if not path.is_file():
        return None, frozenset()
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return written["salt"], frozenset(written["forgotten"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path}: damaged ({error}); export the tombstones again.") from error


def digest_of(visitor_id: str, salt: str) -> str:
    """Return the digest that stands for a visitor: HMAC-SHA256 of the id under the salt."""
    return hmac.new(bytes.fromhex(salt), visitor_id.encode(), hashlib.sha256).hexdigest()


def drop_forgotten(
    tables: Mapping[str, pl.DataFrame], path: Path
) -> tuple[dict[str, pl.DataFrame], int]:
    """Return the tables without forgotten visitors, and how many visitors were left out."""
    salt, digests = read_tombstones(path)
    if salt is None or not digests:
        return dict(tables), 0
    ids: set[str] = set()
    for frame in tables.values():
        for column in ("visitor_id", "other_id"):
            if column in frame.columns:
                ids |= set(frame[column].drop_nulls().unique().to_list())
    gone = sorted(i for i in ids if digest_of(i, salt) in digests)
    if not gone:
        return dict(tables), 0
    out: dict[str, pl.DataFrame] = {}
    for name, frame in tables.items():
        for column in ("visitor_id", "other_id"):
            if column in frame.columns:
                frame = frame.filter(~pl.col(column).is_in(gone).fill_null(False))
        out[name] = frame
    if "slates" in out and "impressions" in out:
        out["impressions"] = out["impressions"].join(out["slates"], on="slate_id", how="semi")
    return out, len(gone)
