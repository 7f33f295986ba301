"""Forgetting a visitor: rows removed, a salted tombstone left, a receipt given.

What goes in is an open transaction; what comes out is the receipt. Files that hold the visitor from
before (the raw source, older releases) are immutable: their readers drop whoever `is_forgotten`.
"""

import hashlib
import hmac
import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, or_, select

from components.contracts.records import Record
from components.state.models import (
    AnswerRow,
    Base,
    SettingRow,
    TombstoneRow,
    from_text,
    to_text,
)

SALT = "tombstone_salt"
PERSONAL_TABLES = (
    "events",
    "responses",
    "sessions",
    "answers",
    "baskets",
    "basket_offers",
    "wishlists",
    "preferences",
    "orders",
    "keys",
)
# Their bodies may list visitors: an audience keeps a digest in the place of a forgotten one, since
# a list that became empty would mean everybody.
NAMING_TABLES = ("campaigns", "shop_rules", "launches")


class Receipt(Record):
    """Proof of a forgetting, without the id: whoever knows the id can compute the digest."""

    receipt_id: str
    digest: str
    at: datetime
    removed: dict[str, int]


def digest_of(visitor_id: str, salt: str) -> str:
    """Return the hex digest that stands for a forgotten visitor.

    >>> digest_of("v1", "aa") == digest_of("v1", "aa") != digest_of("v2", "aa")
    True
    """
    return hmac.new(bytes.fromhex(salt), visitor_id.encode(), hashlib.sha256).hexdigest()


def salt_of(connection: Connection) -> str:
    """Return this database's salt, made on first use; needs a writing transaction then."""
    found = connection.execute(select(SettingRow.value).where(SettingRow.name == SALT)).scalar()
    if found is None:
        found = secrets.token_hex(16)
        connection.execute(insert(SettingRow).values(name=SALT, value=found))
    return found


# Every turn asks; a statement made once is cheaper than one made each time.
_SALT = select(SettingRow.value).where(SettingRow.name == SALT)
_TOMBSTONE = select(TombstoneRow.at).where(TombstoneRow.digest == bindparam("digest"))


def forgotten_at(connection: Connection, visitor_id: str) -> datetime | None:
    """Return when a visitor was forgotten last, or None."""
    salt = connection.execute(_SALT).scalar()
    if salt is None:
        return None
    at = connection.execute(_TOMBSTONE, {"digest": digest_of(visitor_id, salt)}).scalar()
    return None if at is None else from_text(at)


def forget(connection: Connection, visitor_id: str, *, now: datetime) -> Receipt:
    """Remove every row of a visitor and leave a tombstone.

    Rows of others that only mention the id (an audit entry) keep the digest in its place.
    """
    salt = salt_of(connection)
    digest = digest_of(visitor_id, salt)
    tables = Base.metadata.tables
    sessions = [r[0] for r in connection.execute(select(tables["sessions"].c.session_id).where(
        tables["sessions"].c.visitor_id == visitor_id))]  # fmt: skip
    removed: dict[str, int] = {}
    if sessions:
        orphans = connection.execute(
            delete(AnswerRow).where(AnswerRow.session_id.in_(sessions), AnswerRow.visitor_id == "")
        )
        removed["answers"] = orphans.rowcount
    for name in PERSONAL_TABLES:
        table = tables[name]
        gone = connection.execute(delete(table).where(table.c.visitor_id == visitor_id))
        removed[name] = removed.get(name, 0) + gone.rowcount
    used = tables["redemptions"]
    kept = connection.execute(
        used.update().where(used.c.visitor_id == visitor_id).values(visitor_id=digest, order_id="")
    )
    removed["redemptions"] = kept.rowcount
    _pseudonymise(connection, tables["audits"], visitor_id, digest)
    for name in NAMING_TABLES:
        _rename(connection, tables[name], visitor_id, digest)
    receipt = Receipt(receipt_id=secrets.token_hex(12), digest=digest, at=now, removed=removed)
    connection.execute(delete(TombstoneRow).where(TombstoneRow.digest == digest))
    connection.execute(
        insert(TombstoneRow).values(digest=digest, at=to_text(now), receipt_id=receipt.receipt_id)
    )
    return receipt


def _pseudonymise(connection: Connection, audits: Table, visitor_id: str, digest: str) -> None:
    rows = connection.execute(
        select(audits).where(
            or_(
                audits.c.subject == visitor_id,
                audits.c.actor == visitor_id,
                audits.c.detail.contains(visitor_id),
            )
        )
    ).mappings()
    quoted = json.dumps(visitor_id)
    for row in list(rows):
        connection.execute(
            audits.update()
            .where(audits.c.sequence == row["sequence"])
            .values(
                actor=digest if row["actor"] == visitor_id else row["actor"],
                subject=digest if row["subject"] == visitor_id else row["subject"],
                detail=row["detail"].replace(quoted, json.dumps(digest)),
            )
        )


def _rename(connection: Connection, table: Table, visitor_id: str, digest: str) -> None:
    """Put the digest in the place of an id within the bodies of a table."""
    quoted = json.dumps(visitor_id, ensure_ascii=False)
    key = next(iter(table.primary_key.columns))
    rows = connection.execute(select(key, table.c.body).where(table.c.body.contains(quoted))).all()
    for name, body in rows:
        connection.execute(
            table.update().where(key == name).values(body=body.replace(quoted, json.dumps(digest)))
        )


def tombstones(connection: Connection) -> dict[str, Any]:
    """Return `{"salt", "forgotten": {digest: time}}` for readers of older files."""
    salt = connection.execute(select(SettingRow.value).where(SettingRow.name == SALT)).scalar()
    rows = connection.execute(
        select(TombstoneRow.digest, TombstoneRow.at).order_by(TombstoneRow.digest)
    )
    return {"salt": salt, "forgotten": {row.digest: row.at for row in rows}}
