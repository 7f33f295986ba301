"""Where the shop has its say in the assistant's lists: its rules, and places that are paid for.

Whoever serves the assistant hands over a `Places` per turn. The assistant knows neither rules nor
campaigns: it asks which products are barred, hands over finished lists, and tells what it showed.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from components.assistant.shelf import Hit
from components.contracts.messages import ScoredProduct, SponsoredPlace
from components.search.arrange import Arranged, Listing

DEPTH = 60  # how much of a list may be put in another order


class Places(Protocol):
    """What a shop decides about one turn's lists."""

    def barred(self, words: str) -> Collection[str]:
        """Return the products that no list of this turn may hold."""
        ...

    def arrange(self, listing: Listing, words: str) -> Arranged:
        """Put a list in order; at most places of its first page are paid for."""
        ...

    def shown(
        self, products: Sequence[ScoredProduct]
    ) -> tuple[str | None, tuple[SponsoredPlace, ...]]:
        """Enter what of it was shown; return the list's id and its paid places."""
        ...


def arranged(
    places: Places | None,
    hits: Sequence[Hit],
    limit: int,
    words: str,
    *,
    is_exact: bool,
    is_relevance: bool,
    hit_of: Callable[[str], Hit | None],
) -> tuple[Hit, ...]:
    """Return the first hits as the shop wants them; as they are without `places`.

    Args:
        places: what the shop decides.
        hits: best first, with their standing; more than are shown.
        limit: how many are shown.
        words: what the visitor said.
        is_exact: whether all of them meet every constraint.
        is_relevance: whether they are in order of relevance, not of a price or a date.
        hit_of: the hit of a product that is not in the list but may stand in it; None if it may
            not.
    """
    if places is None or not hits:
        return tuple(hits[:limit])
    listing = Listing(
        [h.product_id for h in hits],
        np.array([h.standing for h in hits], dtype=np.float64),
        min(limit, len(hits)),
        is_exact,
        is_relevance,
        lambda product_id: hit_of(product_id) is not None,
    )
    made = places.arrange(listing, words)
    known = {h.product_id: h for h in hits}
    out: list[Hit] = []
    for product_id in list(made.product_ids)[:limit]:
        hit = known.get(product_id) or hit_of(product_id)
        if hit is not None:
            out.append(replace(hit, sponsored=product_id in made.sponsored))
    return tuple(out)
