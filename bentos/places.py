"""The shop's say in the assistant's lists: rules and paid places of one turn, over HTTP or not."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from bentos.journal import new_id
from bentos.merchandising import Merchandising, Page
from components.contracts.messages import ScoredProduct, SponsoredPlace
from components.contracts.records import Event
from components.search.arrange import Arranged, Listing

SURFACE = "assistant"


class TurnPlaces:
    """What rules and campaigns make of one turn's lists (`components.assistant.places.Places`)."""

    def __init__(
        self,
        merchandising: Merchandising,
        engines: Any,
        visitor_id: str | None,
        recent: Sequence[Event],
        now: datetime,
    ) -> None:
        """Hold the turn.

        Args:
            merchandising: the shop's commercial side.
            engines: those of the turn.
            visitor_id: as the release may know him.
            recent: his events since the release's data.
            now: by the shop's clock.
        """
        self._merchandising = merchandising
        self._of_turn = (engines, SURFACE, visitor_id, recent, now)
        self._pages: list[Page] = []
        self._edits: list[dict[str, Any]] = []
        self._barred: dict[str, list[str]] = {}

    @property
    def hand(self) -> dict[str, Any]:
        """Return what was barred, and the edits of each list, for a replay; empty if nothing."""
        if not self._barred and not any(self._edits):
            return {}
        return {"barred": self._barred, "lists": self._edits}

    def _page(self, words: str) -> Page:
        return self._merchandising.page(*self._of_turn, query=words)

    def barred(self, words: str) -> Collection[str]:
        """Return the products that the shop's rules keep out of every list of this turn."""
        barred = self._merchandising.excluded(self._page(words))
        if barred:
            self._barred[words] = sorted(barred)
        return barred

    def arrange(self, listing: Listing, words: str) -> Arranged:
        """Let rules and campaigns order a list."""
        page = self._page(words)
        order = self._merchandising.search_arrange(page)
        if order is None:
            self._edits.append({})
            return Arranged(listing.product_ids)
        self._pages.append(page)
        made = order(listing)
        self._edits.append(page.hand)
        return made

    def shown(
        self, products: Sequence[ScoredProduct]
    ) -> tuple[str | None, tuple[SponsoredPlace, ...]]:
        """Enter the paid places that were shown; clicks on them name the list they were in."""
        paid = [p for p in products if p.sponsored]
        if not paid:
            return None, ()
        slate_id = new_id("s")
        places: list[SponsoredPlace] = []
        for page in self._pages:
            places += self._merchandising.served(page, slate_id, paid)
        return slate_id, tuple(places)
