"""Who asks, and may they: API keys with scopes in `Authorization: Bearer`.

`SHELFWISE_AUTH=off` grants everything to callers on loopback and refuses all others. A key that
names a visitor sees that visitor only. Keys are made by `python -m bentos.keys`.
"""

import ipaddress
import os
import threading
import time
from collections import OrderedDict

from fastapi import Request

from bentos.problems import RefusalError
from components.state.keys import SCOPES, Key
from components.state.store import Store

OPEN = Key(name="loopback", scopes=SCOPES)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="shelfwise"'}


class Limiter:
    """A token bucket per caller: `rate` requests a second, twice as many at once; 0 is no limit."""

    def __init__(self, rate: float, *, callers: int = 10_000) -> None:
        """Start with full buckets; beyond `callers`, the oldest go."""
        self.rate = rate
        self._callers = callers
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, caller: str, now: float) -> float:
        """Take one token; return 0 if there was one, else after how many seconds there is.

        >>> limiter = Limiter(1.0)
        >>> [limiter.wait_seconds("a", 0.0) for _ in range(3)]
        [0.0, 0.0, 1.0]
        """
        if self.rate <= 0:
            return 0.0
        with self._lock:
            tokens, then = self._buckets.pop(caller, (2 * self.rate, now))
            tokens = min(2 * self.rate, tokens + (now - then) * self.rate)
            is_open = tokens >= 1
            self._buckets[caller] = (tokens - 1 if is_open else tokens, now)
            while len(self._buckets) > self._callers:
                self._buckets.popitem(last=False)
            return 0.0 if is_open else (1 - tokens) / self.rate


_LIMITER = Limiter(float(os.environ.get("SHELFWISE_RATE", "0")))


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
    wait = _LIMITER.wait_seconds(key.name, time.monotonic())
    if wait > 0:
        after = {"Retry-After": str(max(1, round(wait)))}
        raise RefusalError(429, "too many requests for this key; wait and try again.", after)
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
