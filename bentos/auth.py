"""Who asks, and may they: API keys with scopes in `Authorization: Bearer`.

`SHELFWISE_AUTH=off` grants everything to callers on loopback and refuses all others. A key that
names a visitor sees that visitor only. Keys are made by `python -m bentos.keys`.
"""

import ipaddress
import os

from fastapi import Request

from bentos.problems import RefusalError
from components.state.keys import SCOPES, Key
from components.state.store import Store

OPEN = Key(name="loopback", scopes=SCOPES)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="shelfwise"'}


def is_off() -> bool:
    """Return whether keys are not asked for."""
    return os.environ.get("SHELFWISE_AUTH", "on").lower() == "off"


def is_loopback(host: str | None) -> bool:
    """Say whether an address is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("10.0.0.1"), is_loopback(None)
    (True, True, False, False)
    """
    if host in ("localhost", "testclient"):
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authenticate(request: Request, store: Store) -> Key:
    """Return who asks.

    Raises:
        RefusalError: 401 without a known key, 403 for a caller from elsewhere while keys are off.
    """
    if is_off():
        if not is_loopback(request.client.host if request.client else None):
            raise RefusalError(403, "keys are off (SHELFWISE_AUTH=off): only this machine may ask.")
        return OPEN
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusalError(401, "send your key as `Authorization: Bearer KEY`.", _CHALLENGE)
    key = store.key(token.strip())
    if key is None:
        raise RefusalError(401, "this key is unknown or revoked.", _CHALLENGE)
    return key


def require(key: Key, scope: str, visitor_id: str | None = None) -> None:
    """Check that a key holds a scope and may ask about a visitor.

    Raises:
        RefusalError: 403 otherwise.
    """
    if scope not in key.scopes:
        raise RefusalError(403, f"this key lacks the scope `{scope}`.")
    if key.visitor_id is not None and visitor_id != key.visitor_id:
        raise RefusalError(403, "this key sees one visitor only, and it is another one.")
