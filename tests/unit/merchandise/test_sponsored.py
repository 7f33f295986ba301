"""Auctions against brute force: floor, load cap, second price, one place each, what it cost."""

import itertools
import math

import numpy as np
import pytest

from components.merchandise.sponsored import (
    AuctionPolicy,
    Bid,
    is_sound,
    ndcg,
    price_of,
    run_auction,
    winner,
)

AUCTIONS = 10_000
NAMES = [f"p{n}" for n in range(30)]


def drawn(rng):
    """Draw a page, bids and a policy; small whole numbers make ties and reserves frequent."""
    n = int(rng.integers(1, 14))
    ids = [str(p) for p in rng.permutation(NAMES)[:n]]
    relevance = np.sort(np.round(rng.random(n), 1))[::-1]
    level = dict(zip(ids, relevance.tolist(), strict=True))
    bids = [
        Bid(
            campaign_id=f"c{rng.integers(5)}",
            product_id=(p := NAMES[int(rng.integers(len(NAMES)))]),
            bid_minor=int(rng.integers(1, 30)),
            pctr=float(rng.choice([0.01, 0.02, 0.1, 0.5])),
            quality=float(rng.choice([0.25, 0.5, 1.0])),
            relevance=float(level.get(p, round(rng.random(), 1))),
        )
        for _ in range(int(rng.integers(0, 9)))
    ]
    policy = AuctionPolicy(
        relevance_floor=float(rng.choice([0.0, 0.3, 0.6])),
        load_cap=float(rng.choice([0.0, 0.1, 0.2, 0.34, 0.5, 1.0])),
        first_rank=int(rng.integers(1, 4)),
        spacing=int(rng.integers(1, 5)),
        reserve_minor=int(rng.choice([1, 3, 8])),
    )
    return ids, relevance.tolist(), bids, policy, int(rng.integers(1, 12))


def by_force(ids, bids, policy, places):
    """Fill the places by trying every bid for each, and every price a winner might pay."""
    places = min(places, len(ids))
    most = math.floor(places * policy.load_cap + 1e-9)
    ranks = [r for r in range(1, places + 1) if (r - policy.first_rank) % policy.spacing == 0]
    ranks = [r for r in ranks if r >= policy.first_rank][:most]
    page, wins = list(ids), []
    for rank in ranks:
        may = []
        for bid in bids:
            is_free = all(bid.campaign_id != w[0] and bid.product_id != w[1] for w in wins)
            stands = ids.index(bid.product_id) + 1 if bid.product_id in ids else math.inf
            good = bid.relevance >= policy.relevance_floor
            if is_free and stands > rank and good and bid.bid_minor >= policy.reserve_minor:
                may.append(bid)
        if not may:
            continue
        best = min(may, key=lambda b: (-b.value, b.campaign_id, b.product_id))
        others = [b.value for b in may if b.campaign_id != best.campaign_id]
        rival = max(others, default=0.0)
        price = next(
            (
                p
                for p in range(policy.reserve_minor, best.bid_minor + 1)
                if p * best.weight >= rival - 1e-9 * best.weight
            ),
            best.bid_minor,
        )
        displaced = page[rank - 1]
        if best.product_id in page:
            page.remove(best.product_id)
        page.insert(rank - 1, best.product_id)
        wins.append((best.campaign_id, best.product_id, rank, price, displaced))
    return page, wins


def test_ten_thousand_auctions_agree_with_brute_force():
    rng = np.random.default_rng(11)
    sold = 0
    for _ in range(AUCTIONS):
        ids, relevance, bids, policy, places = drawn(rng)
        page = run_auction(ids, relevance, bids, policy, places=places)
        expected, wins = by_force(ids, bids, policy, places)
        assert list(page.product_ids) == expected
        told = [
            (w.bid.campaign_id, w.bid.product_id, w.rank, w.price_minor, w.displaced)
            for w in page.wins
        ]
        assert told == wins
        assert is_sound(page, ids, bids, policy, places=places) == []
        sold += len(wins)
    assert sold > AUCTIONS / 4


def test_what_places_cost_adds_up_to_what_the_page_lost():
    rng = np.random.default_rng(12)
    for _ in range(500):
        ids, relevance, bids, policy, places = drawn(rng)
        page = run_auction(ids, relevance, bids, policy, places=places)
        level = dict(zip(ids, relevance, strict=True))
        level |= {w.bid.product_id: w.bid.relevance for w in page.wins}
        ideal = ndcg(sorted(relevance, reverse=True)[:places], 1.0)
        lost = ndcg(relevance[:places], ideal) - ndcg(
            [level[p] for p in page.product_ids[:places]], ideal
        )
        assert sum(w.ndcg_cost for w in page.wins) == pytest.approx(lost, abs=1e-9)


def test_nobody_gains_by_bidding_other_than_his_worth():
    """In one place with whole prices, a lie gains at most the rounding of the price."""
    rng = np.random.default_rng(13)
    policy = AuctionPolicy(relevance_floor=0.0)
    for _ in range(300):
        worth = int(rng.integers(2, 40))
        others = [
            Bid(f"o{n}", f"q{n}", int(rng.integers(1, 40)), float(rng.choice([0.1, 0.2])), 1.0, 1.0)
            for n in range(int(rng.integers(0, 4)))
        ]

        def gain(bid_minor, others=others, worth=worth):
            mine = Bid("me", "mine", bid_minor, 0.1, 1.0, 1.0)
            found = winner([mine, *others], policy)
            return worth - found[1] if found and found[0].campaign_id == "me" else 0

        honest = gain(worth)
        assert all(gain(lie) <= honest + 1 for lie in range(1, 60))


@pytest.mark.parametrize(("rival", "price"), [(0.0, 1), (2.0, 20), (2.05, 21), (99.0, 50)])
def test_price_by_hand(rival, price):
    assert price_of(Bid("a", "p", 50, 0.1, 1.0, 1.0), rival, AuctionPolicy()) == price


def test_without_bids_the_page_is_as_it_was():
    ids = NAMES[:10]
    for bids, cap in itertools.product(([], [Bid("a", "p29", 9, 0.1, 1.0, 0.9)]), (0.0, 0.2)):
        page = run_auction(ids, [0.5] * 10, bids, AuctionPolicy(load_cap=cap), places=10)
        if not bids or not cap:
            assert page.product_ids == tuple(ids)
            assert page.wins == ()
        else:
            assert len(page.wins) == 1
