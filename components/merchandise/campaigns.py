"""From campaigns to bids: who may ask for a place on this page now.

In: campaigns, what they spent, the page's query, surface and visitor, the shop's time. Out: bids.
A campaign asks while it runs, fits the page and the visitor, holds a bid's worth of budget in all
and today, and is not ahead of its plan for the day.

Pacing: by a moment of the day a campaign may have spent what the same share of the day's traffic is
of its day's budget, and one bid more. The traffic's shape over the hours is learnt from the shop's
purchases; without it the day is even.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from components.contracts.merchandise import (
    Audience,
    Campaign,
    CampaignDay,
    CampaignReport,
)
from components.merchandise.sponsored import Bid
from components.state.merchandise import day_of, spent

EVEN_DAY = tuple(1 / 24 for _ in range(24))
PRIOR_CLICKS = 5.0
LEAST_QUALITY, MOST_QUALITY = 0.2, 1.0


@dataclass(frozen=True)
class Visit:
    """Who sees which page.

    Attributes:
        surface: `search`, `home` and the like.
        words: the query's words, lower case; empty where there is no query.
        visitor_id: None for a stranger.
        segments: names of the visitor's segments.
        is_known: whether the visitor has a history.
        now: by the shop's clock.
        category: path of the page's first product.
    """

    surface: str
    now: datetime
    words: frozenset[str] = frozenset()
    visitor_id: str | None = None
    segments: tuple[str, ...] = ()
    is_known: bool = False
    category: tuple[str, ...] = ()


def words_of(text: str) -> frozenset[str]:
    """Return the words of a query, lower case.

    >>> sorted(words_of("Green  TEA"))
    ['green', 'tea']
    """
    return frozenset(text.casefold().split())


def concerns(audience: Audience, visit: Visit) -> bool:
    """Say whether an audience holds this visitor.

    >>> from datetime import UTC
    >>> visit = Visit("home", datetime(2018, 1, 1, tzinfo=UTC), visitor_id="v1")
    >>> concerns(Audience(), visit), concerns(Audience(visitor_ids=("v2",)), visit)
    (True, False)
    """
    if audience.visitor_ids and visit.visitor_id not in audience.visitor_ids:
        return False
    if audience.segments and not set(audience.segments) & set(visit.segments):
        return False
    return audience.known is None or audience.known == visit.is_known


def asks_for(queries: Sequence[str], words: frozenset[str]) -> bool:
    """Say whether a query holds all words of one of these; no queries means every page."""
    return not queries or any(words_of(query) <= words for query in queries)


def fits(campaign: Campaign, visit: Visit) -> bool:
    """Say whether a campaign wants this page: dates, surface, query, category, visitor."""
    return (
        not campaign.is_paused
        and campaign.starts_at <= visit.now < campaign.ends_at
        and (not campaign.surfaces or visit.surface in campaign.surfaces)
        and asks_for(campaign.queries, visit.words)
        and (not campaign.categories or bool(set(campaign.categories) & set(visit.category)))
        and concerns(campaign.audience, visit)
    )


def day_share(now: datetime, hours: Sequence[float] = EVEN_DAY) -> float:
    """Return which share of the day's traffic lies behind this moment, in [0, 1].

    Args:
        now: aware moment; days are UTC days.
        hours: (24,) shares of the traffic by UTC hour, adding up to 1.

    >>> from datetime import UTC
    >>> round(day_share(datetime(2018, 1, 1, 6, tzinfo=UTC)), 3)
    0.25
    """
    text = day_of(now)
    midnight = datetime.fromisoformat(text).replace(tzinfo=now.tzinfo)
    passed = (now - midnight) / timedelta(hours=1)
    whole = min(23, max(0, int(passed)))
    return float(sum(hours[:whole]) + hours[whole] * min(1.0, max(0.0, passed - whole)))


def day_budget(campaign: Campaign, days: Sequence[CampaignDay], now: datetime) -> int:
    """Return what a campaign may spend today: its own cap, or an even share of what is left.

    Without a daily budget, what was left this morning is spread over the days to come.
    """
    today = day_of(now)
    left_this_morning = campaign.budget_minor - (spent(days) - spent(days, today))
    if campaign.daily_budget_minor is not None:
        return min(campaign.daily_budget_minor, left_this_morning)
    midnight = datetime.fromisoformat(today).replace(tzinfo=now.tzinfo)
    days_left = max(1, -(-(campaign.ends_at - midnight) // timedelta(days=1)))
    return -(-left_this_morning // days_left)


def may_spend(
    campaign: Campaign,
    days: Sequence[CampaignDay],
    now: datetime,
    hours: Sequence[float] = EVEN_DAY,
) -> bool:
    """Say whether a campaign may ask now: a bid fits its budgets and its plan for the day."""
    bid, today = campaign.bid_minor, spent(days, day_of(now))
    if campaign.budget_minor - spent(days) < bid:
        return False
    allowed = day_budget(campaign, days, now)
    cap = campaign.daily_budget_minor
    if cap is not None and cap - today < bid:
        return False
    return today <= allowed * day_share(now, hours)


def quality(days: Sequence[CampaignDay]) -> float:
    """Return how well a campaign is clicked against what was foretold, in [0.2, 1].

    Clicks over expected clicks, both with a prior of five: a campaign that nobody has seen has 1,
    one that is clicked half as often as foretold tends to a half.

    >>> quality([CampaignDay(day="2018-01-01", expected_clicks=45.0, clicks=20)])
    0.5
    """
    clicks = sum(d.clicks for d in days) + PRIOR_CLICKS
    expected = sum(d.expected_clicks for d in days) + PRIOR_CLICKS
    return float(min(MOST_QUALITY, max(LEAST_QUALITY, clicks / expected)))


@dataclass(frozen=True)
class Ledger:
    """Campaigns and what they spent, as read at one moment; cheap to ask."""

    campaigns: tuple[Campaign, ...] = ()
    days: Mapping[str, Sequence[CampaignDay]] = field(default_factory=dict)
    hours: tuple[float, ...] = EVEN_DAY

    def asking(self, visit: Visit) -> list[Campaign]:
        """Return the campaigns that may ask for a place on this page."""
        return [
            c
            for c in self.campaigns
            if fits(c, visit)
            and may_spend(c, self.days.get(c.campaign_id, ()), visit.now, self.hours)
        ]

    def bids(
        self,
        visit: Visit,
        *,
        relevance: Mapping[str, float],
        pctr: Callable[[Sequence[str]], Sequence[float]],
    ) -> list[Bid]:
        """Return the bids for a page.

        Args:
            visit: who sees which page.
            relevance: of products that may stand on it, on the page's scale; others do not bid.
            pctr: chances of a click for product ids.
        """
        pairs = [
            (c, p) for c in self.asking(visit) for p in c.product_ids if relevance.get(p, 0.0) > 0
        ]
        if not pairs:
            return []
        chances = pctr([p for _, p in pairs])
        return [
            Bid(
                campaign_id=c.campaign_id,
                product_id=p,
                bid_minor=c.bid_minor,
                pctr=float(chance),
                quality=quality(self.days.get(c.campaign_id, ())),
                relevance=float(relevance[p]),
            )
            for (c, p), chance in zip(pairs, chances, strict=True)
        ]


def named_products(campaigns: Iterable[Campaign]) -> set[str]:
    """Return the products that campaigns want shown."""
    return {p for c in campaigns for p in c.product_ids}


def report_of(campaign: Campaign, days: Sequence[CampaignDay]) -> CampaignReport:
    """Return a campaign with its sums over days; rates are None before anything was shown."""
    shown, clicks = sum(d.impressions for d in days), sum(d.clicks for d in days)
    billed = clicks - sum(d.unbilled_clicks for d in days)
    paid = spent(days)
    return CampaignReport(
        campaign=campaign,
        impressions=shown,
        clicks=clicks,
        unbilled_clicks=sum(d.unbilled_clicks for d in days),
        spent_minor=paid,
        left_minor=max(0, campaign.budget_minor - paid),
        ctr=clicks / shown if shown else None,
        pctr=sum(d.expected_clicks for d in days) / shown if shown else None,
        price_per_click_minor=paid / billed if billed else None,
        ndcg_cost=sum(d.ndcg_cost for d in days) / max(shown, 1),
        relevance_cost=sum(d.relevance_cost for d in days) / max(shown, 1),
        days=tuple(days),
    )
