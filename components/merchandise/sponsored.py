"""Sponsored places: which bids win a place on a page, at what price, and what that costs.

In: a page in its own order with relevances, and bids. Out: the page with sponsored places, each
with its price, the product it displaced and the relevance it cost. No clock, no storage, no
randomness: equal pages and bids give equal results. What a bid must hold before it comes here
(dates, audience, budget, pacing) is `components.merchandise.campaigns`' business.

Value = bid x pCTR x quality. The best bid wins, one place per campaign and per product. A winner
pays per click what the next bid is worth, divided by its own pCTR x quality and rounded up to a
whole minor unit: at most its bid, at least the reserve.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AuctionPolicy:
    """What the shop allows.

    Attributes:
        relevance_floor: a sponsored product's relevance on this page is at least this, in [0, 1].
        load_cap: at most this share of a page's places is sponsored, in [0, 1].
        first_rank: the first place that may be sponsored, from 1.
        spacing: places from one sponsored place to the next, at least 1.
        reserve_minor: least price of a click.
    """

    relevance_floor: float = 0.35
    load_cap: float = 0.2
    first_rank: int = 2
    spacing: int = 4
    reserve_minor: int = 1

    def slots(self, places: int) -> list[int]:
        """Return the ranks of a page of so many places that may be sponsored.

        >>> AuctionPolicy().slots(10), AuctionPolicy(load_cap=0.5).slots(10)
        ([2, 6], [2, 6, 10])
        """
        most = math.floor(places * self.load_cap + 1e-9)
        return list(range(self.first_rank, places + 1, self.spacing))[:most]


@dataclass(frozen=True)
class Bid:
    """One product of one campaign that asks for a place.

    Attributes:
        campaign_id: whose it is.
        product_id: what would be shown.
        bid_minor: most that is paid for a click, at least 1.
        pctr: calibrated chance of a click, in (0, 1].
        quality: the shop's own factor in (0, 1]; how well this campaign is received.
        relevance: of the product on this page, in [0, 1], on the scale of the page's relevances.
    """

    campaign_id: str
    product_id: str
    bid_minor: int
    pctr: float
    quality: float
    relevance: float

    @property
    def weight(self) -> float:
        """Chance x quality: what turns money per click into value per look."""
        return self.pctr * self.quality

    @property
    def value(self) -> float:
        """Expected value of showing it, in minor units."""
        return self.bid_minor * self.weight


@dataclass(frozen=True)
class Win:
    """A sponsored place.

    Attributes:
        bid: who won it.
        rank: from 1.
        price_minor: paid for a click; reserve <= price <= bid.
        displaced: the product that stood there before this place was given.
        displaced_relevance: its relevance.
        ndcg_cost: NDCG of the page before this place was given minus after.
    """

    bid: Bid
    rank: int
    price_minor: int
    displaced: str
    displaced_relevance: float
    ndcg_cost: float


@dataclass(frozen=True)
class Page:
    """The page that is shown: product ids in order, and the sponsored places in it."""

    product_ids: tuple[str, ...]
    wins: tuple[Win, ...] = ()


def eligible(bids: Sequence[Bid], policy: AuctionPolicy) -> list[Bid]:
    """Return bids that meet the floor and the reserve, best value first; ties by id."""
    kept = [
        b
        for b in bids
        if b.relevance >= policy.relevance_floor
        and b.weight > 0
        and b.bid_minor >= policy.reserve_minor
    ]
    return sorted(kept, key=lambda b: (-b.value, b.campaign_id, b.product_id))


def winner(bids: Sequence[Bid], policy: AuctionPolicy) -> tuple[Bid, int] | None:
    """Return who wins one place and what a click costs him; None if nobody may have it.

    The price comes from who would have the place if this campaign were not there: the best bid of
    another campaign, be it for the same product.
    """
    line = eligible(bids, policy)
    if not line:
        return None
    best = line[0]
    rival = next((other for other in line if other.campaign_id != best.campaign_id), None)
    return best, price_of(best, rival.value if rival else 0.0, policy)


def price_of(bid: Bid, rival_value: float, policy: AuctionPolicy) -> int:
    """Return the least whole price at which a bid still is worth as much as its rival.

    >>> price_of(Bid("a", "p", 50, 0.1, 1.0, 1.0), 2.05, AuctionPolicy())
    21
    """
    needed = math.ceil(rival_value / bid.weight - 1e-9)
    return min(bid.bid_minor, max(policy.reserve_minor, needed))


def discounts(places: int) -> NDArray[np.float64]:
    """Return 1 / log2(1 + rank) for ranks 1 to `places`."""
    return 1.0 / np.log2(np.arange(places) + 2.0)


def ndcg(relevance: Sequence[float], ideal: float) -> float:
    """Return the discounted gain of a page as a share of the ideal one; 0 if that is 0."""
    gain = float(np.asarray(relevance, dtype=np.float64) @ discounts(len(relevance)))
    return gain / ideal if ideal > 0 else 0.0


def run_auction(
    product_ids: Sequence[str],
    relevance: Sequence[float],
    bids: Sequence[Bid],
    policy: AuctionPolicy,
    *,
    places: int,
) -> Page:
    """Fill a page's sponsored places.

    Places are sold one after another, from the top. A sponsored product that the list holds already
    moves up to its place and is not shown twice; one that by itself stands there or higher is not
    sold that place, since nobody should pay for what he gets for nothing. What is pushed down stays
    in the list; the last product of the page falls off it.

    Args:
        product_ids: the list in its own order, at least the page; longer lists are kept whole.
        relevance: of each, in [0, 1].
        bids: who asks.
        policy: what the shop allows.
        places: places of the page.

    Returns:
        The whole list with sponsored places within its first `places`.
    """
    ids = list(product_ids)
    scale = dict(zip(ids, (float(r) for r in relevance), strict=True))
    slots = policy.slots(min(places, len(ids)))
    if not slots or not bids:
        return Page(tuple(ids))
    natural = {product_id: rank for rank, product_id in enumerate(ids, start=1)}
    gains = sorted(scale.values(), reverse=True)[:places]  # of the list without sponsors
    ideal = float(np.asarray(gains) @ discounts(len(gains)))
    wins: list[Win] = []
    for rank in slots:
        holders = {w.bid.campaign_id for w in wins}
        held = {w.bid.product_id for w in wins}
        found = winner(
            [
                b
                for b in bids
                if b.campaign_id not in holders
                and b.product_id not in held
                and natural.get(b.product_id, rank + 1) > rank
            ],
            policy,
        )
        if found is None:
            continue
        bid, price = found
        shown = ids[:places]
        before = ndcg([scale[p] for p in shown], ideal)
        displaced = ids[rank - 1]
        if bid.product_id in scale:
            ids.remove(bid.product_id)
        scale.setdefault(bid.product_id, bid.relevance)
        ids.insert(rank - 1, bid.product_id)
        after = ndcg([scale[p] for p in ids[:places]], ideal)
        wins.append(Win(bid, rank, price, displaced, scale[displaced], before - after))
    return Page(tuple(ids), tuple(wins))


def is_sound(
    page: Page,
    before: Sequence[str],
    bids: Sequence[Bid],
    policy: AuctionPolicy,
    *,
    places: int,
) -> list[str]:
    """Return what is wrong with a page, in words; empty if all promises hold."""
    wrong: list[str] = []
    line: list[Any] = [w.bid for w in page.wins]
    if len(page.wins) > math.floor(places * policy.load_cap + 1e-9):
        wrong.append("more sponsored places than the load cap allows")
    if any(b.relevance < policy.relevance_floor for b in line):
        wrong.append("a sponsored product below the relevance floor")
    if len({b.campaign_id for b in line}) < len(line):
        wrong.append("a campaign holds two places")
    if len(set(page.product_ids)) < len(page.product_ids):
        wrong.append("a product is shown twice")
    if not set(before) <= set(page.product_ids):
        wrong.append("a product got lost")
    for win in page.wins:
        if not policy.reserve_minor <= win.price_minor <= win.bid.bid_minor:
            wrong.append("a price outside reserve and bid")
        if page.product_ids[win.rank - 1] != win.bid.product_id:
            wrong.append("a place that is not where it says")
    return wrong
