"""Stage `sponsored`: what sponsored places bring and cost on a shop whose clicks follow a truth.

In: the synthetic shop's hidden utilities. Out: `reports/sponsored.json`: revenue against relevance
as a curve over relevance floors and load caps, with the relevance that the auction says it
displaced beside the true one. The shop does not know the truth: its scores are the utilities with
noise, its relevances and chances of a click are learnt from clicks on pages in random order. A
score that towers above its page is partly noise, so scores are drawn towards the page's mean first,
by as much as makes the logged clicks likeliest: without that, what stands on top is thought better
than it is. The truth is used to draw clicks and to judge.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import Layout
from components.contracts.params import IngestParams, Params, SponsoredParams, SyntheticSource
from components.data import synthetic
from components.evaluate.report import write_report
from components.merchandise.sponsored import AuctionPolicy, Bid, ndcg, run_auction
from components.recommend.ranker import Calibration, fit_calibration

FloatArray = NDArray[np.float64]
NOISE = 0.5
PLACES = 10
SHRINKS = tuple(round(0.05 * n, 2) for n in range(8, 21))
LOGGED = 20_000  # pages in random order that relevance is learnt from
FLOORS = (0.0, 0.2, 0.35, 0.5)
LOADS = (0.0, 0.1, 0.2, 0.3)
SHIPPED = AuctionPolicy()
CAMPAIGNS = 120
BUDGET_MINOR = 1500


@dataclass(frozen=True)
class World:
    """The truth, and what the shop believes.

    Attributes:
        attraction: (visitors, products) true chance of a click on a product looked at.
        score: likewise, what the shop's ranking says, any scale.
        look: (PLACES,) true chance that a rank is looked at.
        groups: products of each category; a search asks for one.
        shrink: how much of a score's distance from its page's mean is believed, learnt.
        relevance: such a score to the chance of a click on a product looked at, learnt.
    """

    attraction: FloatArray
    score: FloatArray
    look: FloatArray
    groups: tuple[NDArray[np.int64], ...]
    shrink: float
    relevance: Calibration

    def believed(self, visitor: int, members: NDArray[np.int64]) -> NDArray[Any]:
        """Return (n,) learnt relevances in [0, 1] of the products of a page."""
        return np.asarray(self.relevance(drawn_in(self.score[visitor, members], self.shrink)))


def drawn_in(scores: FloatArray, shrink: float) -> FloatArray:
    """Return scores moved towards their mean: 1 keeps them, 0 makes them equal.

    >>> drawn_in(np.array([1.0, 3.0]), 0.5).tolist()
    [1.5, 2.5]
    """
    mean = scores.mean(axis=-1, keepdims=True)
    return mean + shrink * (scores - mean)


def make_world(section: SponsoredParams) -> World:
    """Draw the shop and let it learn relevance from clicks on pages in random order."""
    size = SyntheticSource(
        visitors=section.visitors, products=section.products, weeks=section.weeks
    )
    _, truth = synthetic.build(IngestParams(source="synthetic", seed=section.seed, synthetic=size))
    rng = np.random.default_rng([section.seed, 1])
    attraction = 1.0 / (1.0 + np.exp(-(truth.utility - 0.5)))
    score = truth.utility + NOISE * rng.standard_normal(truth.utility.shape)
    groups = tuple(
        members
        for c in range(int(truth.category.max()) + 1)
        if len(members := np.flatnonzero(truth.category == c)) > PLACES
    )
    look = np.resize(truth.examination, PLACES).astype(float)
    means = np.zeros(LOGGED)
    scores, clicked = np.zeros((LOGGED, PLACES)), np.zeros((LOGGED, PLACES), dtype=bool)
    for page in range(LOGGED):
        visitor, members = _search(groups, len(score), rng)
        order = rng.permutation(len(members))[:PLACES]
        # The whole page tells the mean; its first places, in random order, are shown.
        all_scores = score[visitor, members]
        scores[page] = all_scores[order] - all_scores.mean()
        means[page] = all_scores.mean()
        clicked[page] = rng.random(PLACES) < look * attraction[visitor, members[order]]
    fit, held = slice(0, LOGGED // 2), slice(LOGGED // 2, LOGGED)

    def learnt(shrink: float, part: slice) -> tuple[Calibration, FloatArray]:
        made = (means[:, None] + shrink * scores)[part].ravel()
        return fit_calibration(made, clicked[part].ravel(), np.ones(made.size)), made

    def loss(shrink: float) -> float:
        curve, _ = learnt(shrink, fit)
        _, other = learnt(shrink, held)
        chance = np.clip(np.asarray(curve(other), dtype=float), 1e-6, 1 - 1e-6)
        hit = clicked[held].ravel()
        return float(-np.where(hit, np.log(chance), np.log1p(-chance)).mean())

    shrink = min(SHRINKS, key=loss)
    made, _ = learnt(shrink, slice(0, LOGGED))
    # In a random order every product has the same chance of being looked at.
    relevance = Calibration(
        made.scores, tuple(min(1.0, p / float(look.mean())) for p in made.probabilities)
    )
    return World(attraction, score, look, groups, shrink, relevance)


def _search(
    groups: tuple[NDArray[np.int64], ...], visitors: int, rng: np.random.Generator
) -> tuple[int, NDArray[np.int64]]:
    return int(rng.integers(visitors)), groups[int(rng.integers(len(groups)))]


@dataclass
class Tally:
    """Sums over the pages of one setting."""

    pages: int = 0
    places: int = 0
    clicks: int = 0
    expected_clicks: float = 0.0
    revenue_minor: int = 0
    told_displaced: float = 0.0
    true_displaced: float = 0.0
    told_cost: float = 0.0
    true_cost: float = 0.0
    relevance: float = 0.0


def play(world: World, section: SponsoredParams, policy: AuctionPolicy) -> Tally:
    """Answer the same searches with the same campaigns under one policy."""
    rng = np.random.default_rng([section.seed, 2])
    products = world.attraction.shape[1]
    sold = rng.choice(products, size=min(CAMPAIGNS, products), replace=False)
    bids = rng.integers(5, 60, size=len(sold))
    quality = rng.uniform(0.6, 1.0, size=len(sold))
    left = np.full(len(sold), BUDGET_MINOR)
    tally = Tally()
    slots = policy.slots(PLACES)
    look_at_slot = float(world.look[[s - 1 for s in slots]].mean()) if slots else 0.0
    for _ in range(section.pages):
        visitor, members = _search(world.groups, len(world.score), rng)
        draws = rng.random(PLACES)
        order = np.lexsort((members, -world.score[visitor, members]))
        ids = [str(m) for m in members[order]]
        believed = world.believed(visitor, members[order])
        level = dict(zip(ids, believed.tolist(), strict=True))
        truth = dict(zip(ids, world.attraction[visitor, members[order]].tolist(), strict=True))
        asking = [
            Bid(
                campaign_id=str(n), product_id=str(p), bid_minor=int(bids[n]),
                pctr=min(1.0, max(1e-6, level[str(p)] * look_at_slot)),
                quality=float(quality[n]), relevance=level[str(p)],
            )
            for n, p in enumerate(sold.tolist())
            if str(p) in level and left[n] >= bids[n]
        ]  # fmt: skip
        page = run_auction(ids, believed.tolist(), asking, policy, places=PLACES)
        shown = page.product_ids[:PLACES]
        tally.pages += 1
        natural = [truth[p] for p in ids[:PLACES]]
        ideal = ndcg(sorted(truth.values(), reverse=True)[:PLACES], 1.0)
        with_them = [truth[p] for p in shown]
        tally.relevance += ndcg(with_them, ideal)
        tally.true_cost += ndcg(natural, ideal) - ndcg(with_them, ideal)
        for win in page.wins:
            n = int(win.bid.campaign_id)
            tally.places += 1
            tally.expected_clicks += level[win.bid.product_id] * world.look[win.rank - 1]
            tally.told_displaced += win.displaced_relevance
            tally.true_displaced += truth[win.displaced]
            tally.told_cost += win.ndcg_cost
            chance = world.look[win.rank - 1] * truth[win.bid.product_id]
            if draws[win.rank - 1] < chance:
                tally.clicks += 1
                left[n] -= win.price_minor
                tally.revenue_minor += win.price_minor
    return tally


def row_of(policy: AuctionPolicy, tally: Tally) -> dict[str, Any]:
    """Return a point of the curve."""
    pages, places = max(tally.pages, 1), max(tally.places, 1)
    return {
        "model": "auction", "shipped": policy == SHIPPED,
        "slice": f"floor {policy.relevance_floor}, load {policy.load_cap}",
        "relevance_floor": policy.relevance_floor, "load_cap": policy.load_cap,
        "n": tally.pages, "places": tally.places,
        "revenue_minor_per_page": tally.revenue_minor / pages,
        "true_ndcg@10": tally.relevance / pages,
        "clicks": tally.clicks, "expected_clicks": tally.expected_clicks,
        "displaced_relevance_told": tally.told_displaced / places,
        "displaced_relevance_true": tally.true_displaced / places,
        "displaced_error": (
            tally.told_displaced / tally.true_displaced - 1.0 if tally.places else 0.0
        ),
        "ndcg_cost_told": tally.told_cost / pages,
        "ndcg_cost_true": tally.true_cost / pages,
    }  # fmt: skip


def run(params: Params, layout: Layout) -> None:
    """Draw the curve and write the report."""
    section = params.sponsored
    world = make_world(section)
    rows = []
    for load in LOADS:
        for floor in FLOORS if load else FLOORS[:1]:
            policy = AuctionPolicy(relevance_floor=floor, load_cap=load)
            rows.append(row_of(policy, play(world, section, policy)))
    write_report(
        layout.reports / "sponsored.json",
        protocol="Sponsored places: revenue against relevance on a shop whose truth is known",
        dataset=f"synthetic, seed {section.seed}; nothing in it is real",
        split=f"relevance and chances learnt from {LOGGED} pages in random order; judged on others",
        cut_off=f"after {LOGGED} pages",
        n=section.pages,
        seed=section.seed,
        rows=rows,
        shrink=world.shrink,
        campaigns=CAMPAIGNS,
        budget_minor=BUDGET_MINOR,
    )
