"""What a turn reads of its visitor: each thing once, until the turn writes."""

import copy
from collections.abc import Callable
from typing import Any, cast

from components.state.store import Store

_READS = frozenset(
    {
        "basket",
        "basket_offers",
        "forgotten_at",
        "orders",
        "preferences",
        "redeemed",
        "redemptions",
        "session",
        "visitor_events",
        "wishlist",
    }
)


class _ReadOnce:
    """Hands every call to a store; what was read is read again only after anything else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def read(*args: Any, **kwargs: Any) -> Any:
            asked = name, args, tuple(sorted(kwargs.items()))
            if asked not in self._held:
                self._held[asked] = method(*args, **kwargs)
            return copy.copy(self._held[asked])  # a list that a caller changes is its own

        def write(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            finally:
                self._held.clear()

        return read if name in _READS else write


def read_once(store: Store) -> Store:
    """Return the store as one turn uses it; not to be shared between threads or turns."""
    return cast(Store, _ReadOnce(store))
