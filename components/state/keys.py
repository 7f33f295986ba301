"""API keys: who may do what. Tokens are random, so a plain digest is enough to keep them."""

import hashlib

from components.contracts.records import Record

SCOPES = ("read", "events", "assistant", "products", "visitors", "ops")


class Key(Record):
    """The holder of a token. With a `visitor_id`, only that visitor may be asked about."""

    name: str
    scopes: tuple[str, ...] = ()
    visitor_id: str | None = None


def digest_of_token(token: str) -> str:
    """Return what is kept of a token.

    >>> len(digest_of_token("sw_x"))
    64
    """
    return hashlib.sha256(token.encode()).hexdigest()
