"""Stage `train_promotions`: who redeems which offer, and protocol P5.

In: accepted tables. Out: `artefacts/train_promotions` (calibrated P(redeem), the chance of a
purchase out of habit, the chance that a shown product is taken up, what is known of each offer) and
`reports/p5_promotions.json` with its plot.

One cut-off in time: redemptions before week `test_from_week` train, those of the weeks from
`valid_from_week` on choose the model and calibrate it, and the later ones test it, once. A pair is
described as of the first day of its campaign, or as of the cut-off if that came later; a campaign
that ran across the cut-off is tested on what was redeemed after it alone. Nothing is tuned on test.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, writing_artefact
from components.contracts.params import Params, TrainPromotionsParams
from components.data.parquet import read_table
from components.evaluate.binary import auc, calibration_error, compared, reliability
from components.evaluate.plot import reliability_svg
from components.evaluate.report import write_report
from components.merchandise import pctr
from components.merchandise.promotions import (
    ARTEFACT,
    FEATURES,
    Chance,
    F,
    OfferFacts,
    OfferModel,
    OfferTable,
    Past,
    Shelf,
    describe_pairs,
    offer_facts,
    read_offers,
)
from components.merchandise.uplift import Spending, extra_intervals
from components.recommend.history import FloatArray, IntArray, day_of, dense
from components.recommend.ranker import fit_calibration
from components.recommend.shop_data import ShopData, read_shop

log = logging.getLogger(__name__)
REPORT = "p5_promotions.json"
PLOT = "p5_calibration.svg"
LEAVES = (7, 15, 31)
THREADS = 2
HABIT_DAYS = 56
SPENDING_DAYS = 56
MIN_ELAPSED = 0.5


@dataclass(frozen=True)
class Deals:
    """Offers, who received them and who redeemed them, in dense form.

    Attributes:
        offers: all offers.
        audience: per dense campaign the visitors who were in it, ascending.
        visitor: (R,) of each redemption.
        offer: (R,) likewise.
        day: (R,) UTC day of it.
    """

    offers: OfferTable
    audience: tuple[IntArray, ...]
    visitor: IntArray
    offer: IntArray
    day: IntArray


@dataclass(frozen=True)
class Block:
    """Pairs of one campaign: features, labels and who and what they are; (n, ...) each."""

    features: FloatArray
    label: NDArray[np.bool_]
    visitor: IntArray
    offer: IntArray
    spend: FloatArray

    def take(self, rows: NDArray[Any]) -> "Block":
        """Return the chosen pairs."""
        return Block(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def join(blocks: Sequence[Block]) -> Block:
    """Put blocks under each other."""
    return Block(
        *(np.concatenate([getattr(b, name) for b in blocks]) for name in Block.__dataclass_fields__)
    )


def read_deals(layout: Layout, shop: ShopData) -> Deals:
    """Read offers, audiences and redemptions; unknown visitors and offers are left out."""
    offers = read_offers(layout.tables, shop.columns.product_ids)
    rows = read_table("promotion_audience", layout.tables)
    campaign = dense(rows["campaign_id"], offers.campaign_ids)
    visitor = dense(rows["visitor_id"], shop.visitor_ids)
    known = (campaign >= 0) & (visitor >= 0)
    audience = tuple(
        np.unique(visitor[known & (campaign == number)])
        for number in range(len(offers.campaign_ids))
    )
    used = read_table("redemptions", layout.tables)
    who = dense(used["visitor_id"], shop.visitor_ids)
    which = dense(used["promotion_id"], offers.promotion_ids)
    when = np.array([day_of(at) for at in used["at"]], dtype=np.int64)
    fits = (who >= 0) & (which >= 0)
    return Deals(offers, audience, who[fits], which[fits], when[fits])


class Describer:
    """Describes the pairs of campaigns as of a day."""

    def __init__(self, shop: ShopData, deals: Deals) -> None:
        """Remember the shop; nothing is computed."""
        self.shop = shop
        self.deals = deals
        self.shelf = Shelf(shop.columns.type_of, shop.columns.category_of)
        self.price = np.nan_to_num(shop.columns.price, nan=0.0) / 100.0

    def offers_of(self, campaign: int) -> IntArray:
        """Return the dense offers of a campaign."""
        return np.flatnonzero(self.deals.offers.campaign == campaign)

    def product_record(self, today: int) -> tuple[FloatArray, FloatArray]:
        """Return per product how often offers naming it were redeemed and received before a day."""
        offers, deals = self.deals.offers, self.deals
        before = deals.day < today
        redeemed = np.bincount(deals.offer[before], minlength=len(offers)).astype(np.float32)
        size = np.array([len(a) for a in deals.audience], dtype=np.float32)
        received = np.where(offers.starts < today, size[offers.campaign], 0).astype(np.float32)
        by_product = offers.products.T.tocsr()
        return by_product @ redeemed, by_product @ received

    def past(self, visitors: IntArray, today: int) -> Past:
        """Return what the visitors received and redeemed before a day."""
        deals, n = self.deals, len(self.shop.visitor_ids)
        before = deals.day < today
        redeemed = np.bincount(deals.visitor[before], minlength=n)
        received = np.zeros(n)
        for number, members in enumerate(deals.audience):
            offers = self.offers_of(number)
            if len(offers) and deals.offers.starts[offers[0]] < today:
                received[members] += 1
        pairs = sp.csr_matrix(
            (np.ones(before.sum(), np.float32), (deals.visitor[before], deals.offer[before])),
            (n, len(deals.offers)),
        )
        alike = (pairs[visitors] @ deals.offers.products).tocsr()
        alike.data[:] = 1.0
        return Past(
            redeemed[visitors].astype(np.float32), received[visitors].astype(np.float32), alike
        )

    def facts(self, offers: OfferTable, today: int) -> OfferFacts:
        """Return what all visitors say of offers before a day."""
        before = self.shop.log.take(self.shop.log.day < today)
        redeemed, received = self.product_record(today)
        return offer_facts(before, offers, today, len(self.shop.visitor_ids), redeemed, received)

    def pairs(self, campaign: int, visitors: IntArray, today: int) -> tuple[FloatArray, FloatArray]:
        """Return (B, J, F) features and (B, J) earlier spending in the offers' categories."""
        offers = self.deals.offers.take(self.offers_of(campaign))
        n = len(visitors)
        before = self.shop.log.take(self.shop.log.day < today)
        mine = before.of_visitors(visitors, len(self.shop.visitor_ids))
        features = describe_pairs(
            mine, offers, self.facts(offers, today), self.shelf, self.past(visitors, today),
            today=today, n_visitors=n,
        )  # fmt: skip
        members = self.shelf.members(self.shelf.category_of)
        named = (offers.products @ members > 0).astype(np.float32).T
        paid = sp.csr_matrix(
            (mine.amount * self.price[mine.group], (mine.visitor, mine.group)),
            (n, len(self.price)),
        )
        return features, np.asarray((paid @ members @ named).todense(), dtype=np.float32)


def campaign_block(
    describer: Describer, campaign: int, *, from_day: int, until_day: int
) -> Block | None:
    """Return the pairs of a campaign's visitors and offers, labelled by redemption in a window.

    Args:
        describer: the shop and its offers.
        campaign: dense campaign.
        from_day: the cut-off before the window; pairs redeemed before it are left out, and a
            campaign that begins later is described as of its own first day.
        until_day: redemptions of this day and later are not looked at.

    Returns:
        The pairs, or None if nobody was in the campaign or it does not touch the window.
    """
    deals = describer.deals
    offers, visitors = describer.offers_of(campaign), deals.audience[campaign]
    if not len(offers) or not len(visitors):
        return None
    start, end = int(deals.offers.starts[offers].min()), int(deals.offers.ends[offers].max())
    today = max(start, from_day)
    if start >= until_day or end <= from_day:
        return None
    features, spend = describer.pairs(campaign, visitors, today)
    who = np.full(len(describer.shop.visitor_ids), -1)
    who[visitors] = np.arange(len(visitors))
    what = np.full(len(deals.offers), -1)
    what[offers] = np.arange(len(offers))
    ours = (who[deals.visitor] >= 0) & (what[deals.offer] >= 0)
    label = np.zeros((len(visitors), len(offers)), dtype=bool)
    gone = label.copy()
    within = ours & (deals.day >= today) & (deals.day < until_day)
    label[who[deals.visitor[within]], what[deals.offer[within]]] = True
    before = ours & (deals.day < today)
    gone[who[deals.visitor[before]], what[deals.offer[before]]] = True
    keep = ~gone.ravel()
    return Block(
        features.reshape(-1, len(FEATURES))[keep],
        label.ravel()[keep],
        np.repeat(visitors, len(offers))[keep],
        np.tile(offers, len(visitors))[keep],
        spend.ravel()[keep],
    )


def habit_block(
    describer: Describer, campaign: int, *, until_day: int, every: int, seed: int
) -> Block | None:
    """Return pairs of visitors who were not in a campaign, labelled by a purchase all the same.

    Args:
        describer: the shop and its offers.
        campaign: dense campaign.
        until_day: purchases of this day and later are not looked at.
        every: one visitor in so many is taken.
        seed: of the draw.
    """
    deals, shop = describer.deals, describer.shop
    offers = describer.offers_of(campaign)
    if not len(offers):
        return None
    start = int(deals.offers.starts[offers].min())
    end = min(int(deals.offers.ends[offers].max()), start + HABIT_DAYS)
    if end > until_day:
        return None
    seen = np.unique(shop.log.visitor[shop.log.day < start])
    others = np.setdiff1d(seen, deals.audience[campaign])
    generator = np.random.default_rng([seed, campaign])
    chosen = np.sort(generator.permutation(others)[: max(1, len(others) // every)])
    if not len(others):
        return None
    features, spend = describer.pairs(campaign, chosen, start)
    window = shop.log.take((shop.log.day >= start) & (shop.log.day < end))
    mine = window.of_visitors(chosen, len(shop.visitor_ids))
    bought = sp.csr_matrix(
        (np.ones(len(mine), np.float32), (mine.visitor, mine.group)),
        (len(chosen), len(describer.price)),
    )
    label = np.asarray((bought @ deals.offers.products[offers].T).todense()) > 0
    return Block(
        features.reshape(-1, len(FEATURES)),
        label.ravel(),
        np.repeat(chosen, len(offers)),
        np.tile(offers, len(chosen)),
        spend.ravel(),
    )


def fit(blocks: Sequence[Block], params: TrainPromotionsParams, *, leaves: int) -> str:
    """Train boosted trees on campaigns' pairs and return the model's text.

    The trees learn what lifts a pair above its campaign's own rate (that is the starting score), so
    that a new campaign's level is the calibration's business and not theirs.
    """
    import lightgbm

    parts, weights, starts = [], [], []
    for number, block in enumerate(blocks):
        generator = np.random.default_rng([params.seed, number])
        drawn = generator.integers(params.negatives_every, size=len(block.label)) == 0
        keep = block.label | drawn
        weight = np.where(block.label, 1.0, float(params.negatives_every))[keep]
        rate = (block.label.sum() + 0.5) / (len(block.label) + 1.0)
        parts.append(block.take(keep))
        weights.append(weight)
        starts.append(np.full(keep.sum(), np.log(rate / (1 - rate))))
    joined = join(parts)
    data = lightgbm.Dataset(
        joined.features,
        joined.label.astype(np.float32),
        weight=np.concatenate(weights),
        init_score=np.concatenate(starts),
        feature_name=list(FEATURES),
    )
    options = {
        "objective": "binary", "num_leaves": leaves, "learning_rate": params.learning_rate,
        "min_data_in_leaf": 40, "feature_fraction": 0.7, "lambda_l2": 5.0, "seed": params.seed,
        "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    return str(lightgbm.train(options, data, params.trees).model_to_string())


def trained(
    early: Sequence[Block], late: Sequence[Block], params: TrainPromotionsParams
) -> tuple[Chance, dict[str, float]]:
    """Choose the trees' size on the later blocks, calibrate there, and refit on both.

    Returns:
        The model, and the AUC on the later blocks by number of leaves.
    """
    judged = join(late)

    def attempt(leaves: int) -> tuple[float, NDArray[np.float64]]:
        raw = Chance(fit(early, params, leaves=leaves)).raw(judged.features)
        return auc(raw, judged.label), raw

    with ThreadPoolExecutor(THREADS) as pool:
        tried = dict(zip(LEAVES, pool.map(attempt, LEAVES), strict=True))
    best = max(LEAVES, key=lambda leaves: (round(tried[leaves][0], 4), -leaves))
    raw = tried[best][1]
    calibration = fit_calibration(raw, judged.label, np.ones(len(raw)))
    model = fit([*early, *late], params, leaves=best)
    chosen = {f"auc, {leaves} leaves": value for leaves, (value, _) in tried.items()}
    return Chance(model, calibration), {**chosen, "leaves": best}


def week_day(shop: ShopData, week: int) -> int:
    """Return the first UTC day of a shop week that has a purchase."""
    days = shop.log.day[shop.log.week >= week]
    return int(days.min()) if len(days) else int(shop.log.day.max()) + 1


def cut_weeks(shop: ShopData, params: TrainPromotionsParams) -> tuple[int, int]:
    """Return the first weeks of valid and test; shares of the weeks if the named ones do not fit.

    >>> import inspect; list(inspect.signature(cut_weeks).parameters)
    ['shop', 'params']
    """
    first, last = int(shop.log.week.min()), int(shop.log.week.max())
    if first < params.valid_from_week < params.test_from_week <= last:
        return params.valid_from_week, params.test_from_week
    weeks = last - first + 1
    return first + round(weeks * 0.6), first + round(weeks * 0.8)


def spending_parts(
    describer: Describer, layout: Layout, *, shift: int = 0
) -> dict[str, dict[int, tuple[Spending, NDArray[np.bool_]]]]:
    """Return spending on each campaign's products before and while it ran, by type and campaign.

    Args:
        describer: the shop and its offers.
        layout: where the events lie.
        shift: 0 for the campaign itself; 1 for the placebo, one window earlier, when nothing ran.
    """
    shop, deals = describer.shop, describer.deals
    events = read_table("events", layout.tables).filter(pl.col("kind") == "purchase")
    amount = events["price_minor"].fill_null(0) * events["quantity"].fill_null(1)
    frame = pl.DataFrame(
        {
            "visitor": dense(events["visitor_id"], shop.visitor_ids),
            "product": dense(events["product_id"], shop.columns.product_ids),
            "day": events["at"].dt.epoch("d").cast(pl.Int64),
            "amount": amount.cast(pl.Float64),
        }
    )
    visitor, product, day, paid = (frame[c].to_numpy() for c in frame.columns)
    n, first, last = len(shop.visitor_ids), int(day.min()), int(day.max())
    types = read_table("promotions", layout.tables).select("campaign_id", "campaign_type").unique()
    type_of = dict(types.iter_rows())
    found: dict[str, dict[int, tuple[Spending, NDArray[np.bool_]]]] = {}
    for number, members in enumerate(deals.audience):
        offers = describer.offers_of(number)
        if not len(offers) or not len(members) or len(members) == n:
            continue
        start = int(deals.offers.starts[offers].min())
        length = min(int(deals.offers.ends[offers].max()) - start, SPENDING_DAYS)
        start -= shift * length
        if start - length < first or start + length > last + 1:
            continue
        named = np.asarray(deals.offers.products[offers].sum(axis=0)).ravel() > 0
        during = (day >= start) & (day < start + length)
        before = (day >= start - length) & (day < start)
        weeks = length / 7

        def sums(rows: NDArray[np.bool_], weeks: float = weeks) -> NDArray[np.float64]:
            return np.bincount(visitor[rows], paid[rows], n) / weeks

        treated = np.zeros(n, dtype=bool)
        treated[members] = True
        spending = Spending(sums(before & named[product]), sums(during & named[product]),
                            sums(before))  # fmt: skip
        kind = str(type_of.get(deals.offers.campaign_ids[number]) or "untyped")
        found.setdefault(kind, {})[number] = (spending, treated)
    return found


def uplift_rows(describer: Describer, layout: Layout, params: Params) -> list[dict[str, Any]]:
    """Estimate the extra spending per treated visitor and week, by campaign type, with placebo."""
    settings = params.train_promotions
    real = spending_parts(describer, layout)
    placebo = spending_parts(describer, layout, shift=1)
    rows = []
    for kind in sorted(real):
        both = sorted(set(real[kind]) & set(placebo.get(kind, {})))
        found = extra_intervals(
            [real[kind][c] for c in both], [placebo[kind][c] for c in both],
            n=settings.bootstrap // 2, seed=settings.seed,
        )  # fmt: skip
        row: dict[str, Any] = {
            "campaign_type": kind,
            "campaigns": len(both),
            "treated": sum(len(describer.deals.audience[c]) for c in both),
        }
        for name, values in found.items():
            key = f"{name}_minor_a_week"
            row[key], row[f"{key}_low"], row[f"{key}_high"] = values
        rows.append(row)
    return rows


def top_three(score: NDArray[Any], block: Block) -> float:
    """Return the share of redeemed offers among the three best of each visitor."""
    order = np.lexsort((block.offer, -score, block.visitor))
    visitor = block.visitor[order]
    place = np.arange(len(order)) - np.searchsorted(visitor, visitor)
    kept = place < 3
    return float(block.label[order][kept].mean())


def test_rows(
    model: Chance, test: Block, settings: TrainPromotionsParams
) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Compare the model with popularity and habit on the test pairs."""
    chance = model.probability(test.features)
    raw = model.raw(test.features)
    own = test.features[:, F["own_lines"]]
    scores: Mapping[str, NDArray[Any]] = {
        "popularity": test.features[:, F["offer_popularity"]],
        "offer_popularity": test.features[:, F["offer_redeemed"]],
        "own_category": test.spend,
        "own_products": own + 1e-3 * test.features[:, F["category_lines"]],
        "shelfwise": raw,
    }
    rows = compared(
        scores, test.label, test.visitor, shipped="shelfwise", budget=settings.budget_share,
        n=settings.bootstrap, seed=settings.seed,
    )  # fmt: skip
    for row in rows:
        row["precision@3_per_visitor"] = top_three(np.asarray(scores[row["model"]]), test)
    return rows, chance


def blocks_of(
    describer: Describer, *, start_from: int, start_before: int, until: int
) -> list[Block]:
    """Return the blocks of campaigns that began in a window and had run half-way before `until`."""
    found = []
    offers = describer.deals.offers
    for campaign in range(len(offers.campaign_ids)):
        rows = describer.offers_of(campaign)
        if not len(rows):
            continue
        start, end = int(offers.starts[rows].min()), int(offers.ends[rows].max())
        elapsed = (min(end, until) - start) / max(end - start, 1)
        if not start_from <= start < start_before or elapsed < MIN_ELAPSED:
            continue
        block = campaign_block(describer, campaign, from_day=0, until_day=until)
        if block is not None:
            found.append(block)
    return found


def run(params: Params, layout: Layout) -> None:
    """Train, calibrate, test and write the model of redemptions.

    Raises:
        TableError: a required table is absent.
    """
    settings = params.train_promotions
    shop = read_shop(layout.tables)
    valid_week, test_week = cut_weeks(shop, settings)
    with ThreadPoolExecutor(1) as pool:  # sponsored places need their own model of the same weeks
        clicking = pool.submit(
            pctr.train, shop, layout.tables, valid_week=valid_week, test_week=test_week,
            seed=settings.seed,
        )  # fmt: skip
        _train_redemptions(params, layout, shop, valid_week, test_week, clicking.result)


def _train_redemptions(
    params: Params,
    layout: Layout,
    shop: ShopData,
    valid_week: int,
    test_week: int,
    clicking: Callable[[], tuple[pctr.ClickModel | None, dict[str, Any]]],
) -> None:
    """Train the models of redemption and habit, judge them, and write artefact and report."""
    settings = params.train_promotions
    deals = read_deals(layout, shop)
    describer = Describer(shop, deals)
    valid_day, test_day = week_day(shop, valid_week), week_day(shop, test_week)
    end_day = int(shop.log.day.max()) + 1
    early = blocks_of(describer, start_from=0, start_before=valid_day, until=valid_day)
    late = blocks_of(describer, start_from=valid_day, start_before=test_day, until=test_day)
    head = {
        "protocol": "P5 promotions",
        "dataset": f"{params.ingest.source}; pairs of a visitor and an offer of a campaign he was "
        "in; in type A campaigns each visitor got some 16 of the campaign's offers and the source "
        "does not say which",
        "split": f"one global cut-off in time; train before week {valid_week}, valid before week "
        f"{test_week}, refitted on both, test after",
        "cut_off": f"week {test_week}",
        "seed": settings.seed,
    }
    enough = all(sum(int(b.label.sum()) for b in part) >= settings.min_redemptions
                 for part in (early, late))  # fmt: skip
    if not enough:
        log.warning("train_promotions: too few redemptions to learn from; offers keep their order")
        clicks, click_report = clicking()
        write_report(layout.reports / REPORT, n=0, rows=[], pctr=click_report, **head)
        write_plot(layout, [])
        with writing_artefact(
            layout.artefact(ARTEFACT),
            kind="promotions",
            stage=ARTEFACT,
            seed=settings.seed,
            params=settings.model_dump(),
            notes={"status": "too few redemptions"},
        ) as folder:
            if clicks is not None:
                clicks.save(folder)
        return
    redeem, chosen = trained(early, late, settings)
    habits = [
        (campaign, habit_block(describer, campaign, until_day=test_day, every=settings.habit_every,
                               seed=settings.seed))
        for campaign in range(len(deals.audience))
    ]  # fmt: skip
    first_offer = {
        c: int(deals.offers.starts[describer.offers_of(c)].min()) for c, b in habits if b
    }
    before = [b for c, b in habits if b is not None and first_offer[c] < valid_day]
    after = [b for c, b in habits if b is not None and first_offer[c] >= valid_day]
    habit, habit_chosen = trained(before, after, settings)
    tested = [
        block
        for campaign in range(len(deals.audience))
        if (block := campaign_block(describer, campaign, from_day=test_day, until_day=end_day))
    ]
    test = join(tested)
    rows, chance = test_rows(redeem, test, settings)
    bins = reliability(chance, test.label)
    habit_test = [
        block
        for campaign in range(len(deals.audience))
        if len(rows_ := describer.offers_of(campaign))
        and int(deals.offers.starts[rows_].min()) >= test_day
        and (block := habit_block(describer, campaign, until_day=end_day,
                                  every=settings.habit_every, seed=settings.seed))
    ]  # fmt: skip
    habit_bins: list[dict[str, float]] = []
    if habit_test:
        joined = join(habit_test)
        habit_bins = reliability(habit.probability(joined.features), joined.label)
    uplift = uplift_rows(describer, layout, params)
    clicks, click_report = clicking()
    document = write_report(
        layout.reports / REPORT,
        n=len(np.unique(test.visitor)),
        rows=rows,
        pairs=len(test.label),
        redemptions=int(test.label.sum()),
        budget_share=settings.budget_share,
        budget_pairs=round(settings.budget_share * len(test.label)),
        chosen_on_valid=chosen,
        calibration={"bins": bins, "relative_error": calibration_error(bins)},
        habit={
            "chosen_on_valid": habit_chosen,
            "bins": habit_bins,
            "relative_error": calibration_error(habit_bins) if habit_bins else None,
        },
        uplift=uplift,
        pctr=click_report,
        **head,
    )
    write_plot(layout, document["calibration"]["bins"])
    model = final_model(describer, redeem, habit, end_day)
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="promotions",
        stage=ARTEFACT,
        seed=settings.seed,
        params=settings.model_dump(),
        packages=("lightgbm", "numpy", "polars", "scipy"),
    ) as folder:
        model.save(folder)
        if clicks is not None:
            clicks.save(folder)


def write_plot(layout: Layout, bins: Sequence[Mapping[str, float]]) -> None:
    """Draw the calibration."""
    layout.reports.mkdir(parents=True, exist_ok=True)
    drawn = reliability_svg(bins, title="P(redeem): foretold and observed")
    (layout.reports / PLOT).write_text(drawn, encoding="utf-8")


def final_model(describer: Describer, redeem: Chance, habit: Chance, end_day: int) -> OfferModel:
    """Put the chances together with what is known of offers and visitors at the data's end."""
    deals, shop = describer.deals, describer.shop
    everyone = np.arange(len(shop.visitor_ids))
    past = describer.past(everyone, end_day)
    used: dict[int, list[str]] = {}
    for visitor, offer in zip(deals.visitor, deals.offer, strict=True):
        used.setdefault(int(visitor), []).append(deals.offers.promotion_ids[int(offer)])
    return OfferModel(
        redeem=redeem,
        habit=habit,
        product_ids=shop.columns.product_ids,
        shelf=describer.shelf,
        offers=deals.offers,
        facts=describer.facts(deals.offers, end_day),
        past={
            shop.visitor_ids[v]: (
                float(past.redeemed[v]), float(past.received[v]),
                tuple(sorted(set(used.get(v, [])))),
            )
            for v in range(len(everyone))
            if past.received[v] or past.redeemed[v]
        },
    )  # fmt: skip
