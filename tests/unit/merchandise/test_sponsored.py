"""Auctions against brute force: floor, load cap, second price, one place each, what it cost."""

import functools
import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from components.contracts.merchandise import Campaign, CampaignDay
from components.merchandise.campaigns import EVEN_DAY, Ledger, Visit
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


START = datetime(2018, 1, 1, tzinfo=UTC)
SHAPES = (EVEN_DAY, tuple(1 / 12 if 8 <= h < 20 else 0.0 for h in range(24)))


def drawn_campaigns(rng):
    """Draw campaigns that begin and end within four days, with small budgets."""
    made = []
    for n in range(int(rng.integers(1, 6))):
        begins = START + timedelta(hours=int(rng.integers(0, 48)))
        made.append(
            Campaign(
                campaign_id=f"c{n}",
                name=f"c{n}",
                product_ids=tuple(str(p) for p in rng.choice(NAMES, 3, replace=False)),
                bid_minor=int(rng.integers(1, 12)),
                budget_minor=int(rng.integers(0, 120)),
                daily_budget_minor=int(rng.integers(0, 40)) if rng.random() < 0.5 else None,
                starts_at=begins,
                ends_at=begins + timedelta(hours=int(rng.integers(1, 60))),
                is_paused=bool(rng.random() < 0.1),
            )
        )
    return made


@functools.cache
def passed(minutes, hours):
    """Return which share of a day's traffic its first minutes hold."""
    return sum(hours[m // 60] / 60 for m in range(minutes))


def asks_by_force(campaign, paid, now, hours):
    """Say whether a campaign may ask, minute by minute and from every click ever paid."""
    if campaign.is_paused or not campaign.starts_at <= now < campaign.ends_at:
        return False
    midnight = now.replace(hour=0, minute=0)
    today = sum(price for at, price in paid if at >= midnight)
    left = campaign.budget_minor - sum(price for _, price in paid)
    if left < campaign.bid_minor:
        return False
    if campaign.daily_budget_minor is None:
        mornings = 0
        while midnight + timedelta(days=mornings) < campaign.ends_at:
            mornings += 1
        allowed = math.ceil((left + today) / mornings)
    else:
        if campaign.daily_budget_minor - today < campaign.bid_minor:
            return False
        allowed = min(campaign.daily_budget_minor, left + today)
    return today <= allowed * passed(int((now - midnight) / timedelta(minutes=1)), hours) + 1e-9


def test_ten_thousand_auctions_keep_to_budgets_and_pace():
    """Shops over four days: who may ask, the page and the price agree with brute force; no budget
    is overdrawn, and no campaign runs ahead of its plan for the day by more than one bid."""
    rng = np.random.default_rng(14)
    held, sold, kept_out = 0, 0, 0
    while held < AUCTIONS:
        campaigns, hours = drawn_campaigns(rng), SHAPES[int(rng.integers(2))]
        paid = {c.campaign_id: [] for c in campaigns}
        for minute in np.sort(rng.integers(0, 4 * 24 * 60, 50)).tolist():
            now = START + timedelta(minutes=minute)
            ids, relevance, _, policy, places = drawn(rng)
            level = dict(zip(ids, relevance, strict=True))
            chance = dict(
                zip(NAMES, rng.choice([0.02, 0.1, 0.5], len(NAMES)).tolist(), strict=True)
            )
            days = {name: days_of(clicks) for name, clicks in paid.items()}
            visit = Visit("search", now)
            bids = Ledger(tuple(campaigns), days, hours).bids(
                visit, relevance=level, pctr=lambda asked, c=chance: [c[p] for p in asked]
            )
            asking = {c.campaign_id for c in campaigns
                      if asks_by_force(c, paid[c.campaign_id], now, hours)}  # fmt: skip
            wanted = {(c.campaign_id, p) for c in campaigns if c.campaign_id in asking
                      for p in c.product_ids if level.get(p, 0.0) > 0}  # fmt: skip
            assert {(b.campaign_id, b.product_id) for b in bids} == wanted
            page = run_auction(ids, relevance, bids, policy, places=places)
            expected, wins = by_force(ids, bids, policy, places)
            assert list(page.product_ids) == expected
            assert [w.price_minor for w in page.wins] == [w[3] for w in wins]
            held += 1
            sold += len(wins)
            kept_out += len(campaigns) - len(asking)
            for win in page.wins:  # every place is clicked: the worst case for a budget
                clicks = paid[win.bid.campaign_id]
                assert win.bid.relevance >= policy.relevance_floor
                clicks.append((now, win.price_minor))
                check_budgets(campaigns, win.bid.campaign_id, clicks, now, hours)
    assert sold > AUCTIONS / 20
    assert kept_out > AUCTIONS


def days_of(clicks):
    """Return what a campaign paid by day, as the state tells it; expected as often as clicked."""
    sums = {}
    for at, price in clicks:
        spent, n = sums.get(at.date().isoformat(), (0, 0))
        sums[at.date().isoformat()] = (spent + price, n + 1)
    return [CampaignDay(day=d, spent_minor=spent, clicks=n, expected_clicks=float(n))
            for d, (spent, n) in sums.items()]  # fmt: skip


def check_budgets(campaigns, name, clicks, now, hours):
    """Assert that a campaign is within its budgets, and at most a bid ahead of its plan."""
    campaign = next(c for c in campaigns if c.campaign_id == name)
    midnight = now.replace(hour=0, minute=0)
    today = sum(price for at, price in clicks if at >= midnight)
    assert sum(price for _, price in clicks) <= campaign.budget_minor
    plan = campaign.budget_minor
    if campaign.daily_budget_minor is not None:
        assert today <= campaign.daily_budget_minor
        plan = campaign.daily_budget_minor
    share = passed(int((now - midnight) / timedelta(minutes=1)), hours)
    assert today <= plan * share + campaign.bid_minor + 1e-9


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
