"""What one browser tab knows: who shops, in which language, what is looked at. Immutable."""

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

from components.contracts.merchandise import FeedReview
from components.contracts.messages import (
    BasketResponse,
    Filters,
    Offer,
    ScoredProduct,
    SearchResponse,
    VisitorResponse,
)
from components.contracts.records import Product
from ui.panels import Said

PAGE = 24


@dataclass(frozen=True)
class Tab:
    """The state of one tab; every change makes a new one."""

    visitor_id: str
    language: str = "en"
    visitors: tuple[str, ...] = ()
    query: str = ""
    filters: Filters = field(default_factory=Filters)
    sort: str = "relevance"
    found: SearchResponse | None = None
    is_literal: bool = False  # the words are searched as typed, uncorrected
    products: tuple[ScoredProduct, ...] = ()
    slate_id: str = ""
    degraded: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    basket: BasketResponse | None = None
    before: tuple[tuple[str, str | None, int], ...] = ()
    offers_before: tuple[str, ...] | None = None
    opened: Product | None = None
    opened_slate: str = ""
    reasons: tuple[str, ...] = ()
    alike: tuple[ScoredProduct, ...] = ()
    goes_with: tuple[ScoredProduct, ...] = ()
    feed: tuple[FeedReview, ...] = ()
    compared: tuple[Product, ...] = ()
    kept: VisitorResponse | None = None
    is_asking: bool = False
    receipt: str = ""
    problem: str = ""
    toast: str = ""
    may_undo: bool = False
    toasts: int = 0

    @property
    def currency(self) -> str:
        """The currency in which amounts are shown."""
        if self.products:
            return self.products[0].currency
        return self.basket.currency if self.basket else "USD"

    @property
    def has_started(self) -> bool:
        """Whether the service was asked for the first shelf and answered, or could not."""
        return self.basket is not None or self.found is not None or bool(self.problem)

    @property
    def is_guest(self) -> bool:
        """Whether the shopper is someone new."""
        return self.visitor_id.startswith("guest-")

    @property
    def is_searching(self) -> bool:
        """Whether the shelf shows a search rather than the home slate."""
        return self.found is not None

    def say(self, words: str, *, may_undo: bool = False) -> "Tab":
        """Return the tab with a message to show."""
        return replace(self, toast=words, may_undo=may_undo, toasts=self.toasts + 1)


@dataclass(frozen=True)
class Talk:
    """The conversation of one tab."""

    session_id: str
    said: tuple[Said, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)


@dataclass
class Held:
    """The newest state of one tab, and the lock that lets one act change it at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    tab: Tab | None = None


class Tabs:
    """The open tabs by session: each act starts from what the one before it left.

    The browser sends an act with the state it knew when it was clicked. Answered late, it would
    write an old state over a newer one; so the newest is kept here, for the tabs used last.
    """

    def __init__(self, most: int = 2000) -> None:
        """Keep at most so many tabs."""
        self._most = most
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: str | None) -> Held:
        """Return what is held of a session; of none, something of its own."""
        if session is None:
            return Held()
        with self._lock:
            held = self._held.setdefault(session, Held())
            self._held.move_to_end(session)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return held


def guest() -> str:
    """Return the id of a shopper nobody knows."""
    return f"guest-{uuid.uuid4().hex[:12]}"


def new_talk() -> Talk:
    """Return a conversation that has not begun."""
    return Talk(session_id=f"tab-{uuid.uuid4().hex[:16]}")
