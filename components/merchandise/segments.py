"""Stage `segments`: who buys alike, what sets each group apart, and how steady the groups are.

In: accepted tables. Out: `artefacts/segments` (a `SegmentModel`) and `reports/segments.json`: per
segment its size, value, habits, sensitivity to price, demographics and the offers that worked, and
how far groupings of other seeds and of earlier months agree with it. Each month's grouping goes on
from the month before, as a retraining does, so that a segment keeps its number; how many visitors
change theirs is reported, and so is what a fresh start would have given.
"""

import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, writing_artefact
from components.contracts.params import Params, SegmentsParams
from components.data.parquet import read_table
from components.evaluate.report import rounded, write_report
from components.recommend.content import unit_rows
from components.recommend.history import BoolArray, FloatArray, IntArray, Log, dense, distinct_pairs
from components.recommend.segments import (
    ARTEFACT,
    SegmentModel,
    agreement,
    category_lifts,
    k_means,
    learn_factors,
    matched,
    names_of,
    visitor_vectors,
)
from components.recommend.shop_data import ShopData, read_shop

MONTH_WEEKS = 4
SEEDS = 5
RECENT_DAYS = 91
POPULAR = 200
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MIN_LIFT = 1.1
MIN_MEMBERS = 10
MIN_REDEMPTIONS = 5


@dataclass(frozen=True)
class Grouping:
    """One grouping: labels (B,), centres, factors, and who shaped it (B,)."""

    labels: IntArray
    centres: FloatArray
    factors: FloatArray
    shaping: BoolArray


def grouped(
    log: Log,
    n_visitors: int,
    n_types: int,
    section: SegmentsParams,
    *,
    seed: int,
    begin: IntArray | None = None,
) -> Grouping:
    """Group visitors by the types they buy; those with few trips are placed afterwards.

    Args:
        log: purchases whose `group` is the type.
        n_visitors: B.
        n_types: G.
        section: how many segments and dimensions.
        seed: of the starts.
        begin: (B,) an earlier grouping to go on from; -1 for visitors it did not have.
    """
    factors = learn_factors(log, n_visitors, n_types, section.dimensions)
    vectors = visitor_vectors(log, n_visitors, factors)
    days = distinct_pairs(log.visitor, log.day)
    shaping = np.bincount(days[0], minlength=n_visitors) >= section.min_trips
    if shaping.sum() < 2 * section.segments:
        shaping = np.ones(n_visitors, dtype=bool)
    start = None if begin is None else begin[shaping]
    _, centres = k_means(vectors[shaping], section.segments, seed, begin=start)
    return Grouping((vectors @ centres.T).argmax(axis=1), unit_rows(centres), factors, shaping)


def by_month(log: Log, n_visitors: int, n_types: int, section: SegmentsParams) -> list[Grouping]:
    """Group at each month's end, oldest first, each from the one before."""
    last = int(log.week.max()) + 1
    cuts = [last - MONTH_WEEKS * m for m in range(section.months, -1, -1)]
    cuts = [c for c in cuts if c - int(log.week.min()) >= 2 * MONTH_WEEKS] or [last]
    made: list[Grouping] = []
    for cut in cuts:
        begin = None
        if made:
            begin = np.where(made[-1].shaping, made[-1].labels, -1)
        made.append(
            grouped(log.before(cut), n_visitors, n_types, section, seed=section.seed, begin=begin)
        )
    return made


def steadiness(
    log: Log, n_visitors: int, n_types: int, section: SegmentsParams, chain: list[Grouping]
) -> list[dict[str, Any]]:
    """Return report rows: agreement over seeds and over months, and the drift of membership."""
    shipped = chain[-1]
    rows: list[dict[str, Any]] = []
    fresh = [
        grouped(log, n_visitors, n_types, section, seed=section.seed + 100 * n)
        for n in range(SEEDS)
    ]
    who = shipped.shaping
    between = [agreement(a.labels[who], b.labels[who]) for a, b in itertools.combinations(fresh, 2)]
    rows.append(
        {
            "task": "seeds", "model": "fresh starts", "shipped": False, "n": len(between),
            "adjusted_rand": float(np.mean(between)), "lowest": float(np.min(between)),
        }
    )  # fmt: skip
    with_shipped = [agreement(shipped.labels[who], f.labels[who]) for f in fresh]
    rows.append(
        {
            "task": "seeds", "model": "shelfwise", "shipped": True, "n": len(with_shipped),
            "adjusted_rand": float(np.mean(with_shipped)), "lowest": float(np.min(with_shipped)),
        }
    )  # fmt: skip
    last = int(log.week.max()) + 1
    for place, earlier in enumerate(chain[:-1]):
        months = len(chain) - 1 - place
        both = earlier.shaping & who
        alone = grouped(
            log.before(last - MONTH_WEEKS * months), n_visitors, n_types, section,
            seed=section.seed + 1,
        )  # fmt: skip
        for name, other in (("shelfwise", earlier), ("fresh starts", alone)):
            renamed = matched(shipped.labels[both], other.labels[both], section.segments)
            rows.append(
                {
                    "task": f"{months} months earlier", "model": name,
                    "shipped": name == "shelfwise", "n": int(both.sum()),
                    "adjusted_rand": agreement(shipped.labels[both], other.labels[both]),
                    "moved": float((renamed != shipped.labels[both]).mean()),
                    "kept_number": float(
                        (other.labels[both] == shipped.labels[both]).mean()
                    ) if name == "shelfwise" else None,
                }
            )  # fmt: skip
    return rows


def run(params: Params, layout: Layout) -> None:
    """Group, describe and judge; write artefact and report.

    Raises:
        TableError: a required table is absent.
    """
    section = params.segments
    shop = read_shop(layout.tables)
    n, types = len(shop.visitor_ids), shop.columns.type_of
    n_types = int(types.max(initial=0)) + 1
    log = replace(shop.log, group=types[shop.log.group])
    chain = by_month(log, n, n_types, section)
    final = chain[-1]
    described = profiles(shop, layout, final)
    steady = steadiness(log, n, n_types, section, chain)
    for place, one in enumerate(described):
        if len(chain) > 1:
            before, now = chain[-2].labels == place, final.labels == place
            either = chain[-2].shaping & final.shaping
            one["joined"] = int((now & ~before & either).sum())
            one["left"] = int((before & ~now & either).sum())
    model = SegmentModel(
        number_of={v: int(s) for v, s in zip(shop.visitor_ids, final.labels, strict=True)},
        profiles=tuple(rounded(described)),
        factors=final.factors,
        centres=final.centres,
        type_of={p: int(t) for p, t in zip(shop.columns.product_ids, types, strict=True)},
        popular=popular(shop, final.labels, len(final.centres)),
    )
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="segments",
        stage=ARTEFACT,
        seed=section.seed,
        params=section.model_dump(),
        packages=("numpy", "scipy"),
        metrics=rounded({"adjusted_rand_seeds": steady[1]["adjusted_rand"]}),
    ) as folder:
        model.save(folder)
    write_report(
        layout.reports / "segments.json",
        protocol="Segments: what they are and how steady they are",
        dataset=params.ingest.source,
        split="all weeks; earlier months are cut four weeks apart",
        cut_off=f"week {int(log.week.max()) + 1}",
        n=n,
        seed=section.seed,
        rows=steady,
        segments=described,
    )


def popular(shop: ShopData, labels: IntArray, k: int) -> tuple[tuple[tuple[str, float], ...], ...]:
    """Return per segment its best-selling products of the last 13 weeks with their share."""
    log = shop.log.take(shop.log.day > int(shop.log.day.max()) - RECENT_DAYS)
    lines = np.zeros((k, shop.n_products))
    np.add.at(lines, (labels[log.visitor], log.group), log.amount)
    out = []
    for row in lines:
        order = np.lexsort((np.arange(len(row)), -row))[:POPULAR]
        total = max(float(row.sum()), 1.0)
        out.append(
            tuple(
                (shop.columns.product_ids[p], round(float(row[p]) / total, 6))
                for p in order
                if row[p] > 0
            )
        )
    return tuple(out)


def category_names(layout: Layout, shop: ShopData) -> list[str]:
    """Return the readable category of each dense category number."""
    frame = read_table("products", layout.tables).sort("product_id")
    names = [""] * (int(shop.columns.category_of.max(initial=0)) + 1)
    for number, name in zip(shop.columns.category_of, frame["category"], strict=True):
        names[int(number)] = name or "Other"
    return names


def profiles(shop: ShopData, layout: Layout, made: Grouping) -> list[dict[str, Any]]:
    """Describe each segment."""
    labels, k = made.labels, len(made.centres)
    names = category_names(layout, shop)
    leads = category_lifts(shop.log, labels, shop.columns.category_of, names, k, top=5)
    size = np.bincount(labels, minlength=k)
    log = shop.log
    weeks = int(log.week.max()) - int(log.week.min()) + 1
    events = read_table("events", layout.tables).filter(pl.col("kind") == "purchase")
    paid = (events["price_minor"].fill_null(0) * events["quantity"].fill_null(1)).to_numpy()
    buyer = dense(events["visitor_id"], shop.visitor_ids)
    spend = np.bincount(labels[buyer], paid, k)
    days = distinct_pairs(log.visitor, log.day)
    trips = np.bincount(labels[days[0]], minlength=k)
    lines = np.bincount(labels[log.visitor], log.amount, k)
    reduced = np.bincount(labels[log.visitor], log.amount * log.discounted, k)
    dear = _price_index(shop, labels, k)
    # 1970-01-01 was a Thursday.
    weekday = np.zeros((k, 7))
    np.add.at(weekday, (labels[days[0]], (days[1] + 3) % 7), 1)
    told = _demographics(layout, shop, labels, k)
    offers = _offers_that_work(layout, shop, labels, k)
    of_all = float((log.amount * log.discounted).sum() / max(float(log.amount.sum()), 1.0))
    out: list[dict[str, Any]] = []
    for s, name in enumerate(names_of(leads)):
        visits, bought = max(int(trips[s]), 1), max(float(lines[s]), 1.0)
        people = max(int(size[s]), 1)
        out.append(
            {
                "number": s,
                "name": name,
                "visitors": int(size[s]),
                "share": float(size[s] / max(size.sum(), 1)),
                "spend_minor_a_week": float(spend[s] / people / weeks),
                "share_of_spend": float(spend[s] / max(spend.sum(), 1)),
                "trips_a_week": float(trips[s] / people / weeks),
                "lines_a_trip": float(lines[s] / visits),
                "favourite_day": DAYS[int(weekday[s].argmax())],
                "bought_reduced": float(reduced[s] / bought),
                "price_sensitivity": float(reduced[s] / bought / max(of_all, 1e-9)),
                "price_index": float(dear[s]),
                "categories": [{"name": c, "lift": x} for c, x in leads[s]],
                "people": told[s],
                "offers": offers[s],
            }
        )
    return out


def _price_index(shop: ShopData, labels: IntArray, k: int) -> NDArray[np.float64]:
    """Return how dear what a segment buys is against the usual price of its type, 1 for equal."""
    log, price = shop.log, np.nan_to_num(shop.columns.price, nan=0.0)
    known = price[log.group] > 0
    kinds = shop.columns.type_of[log.group]
    width = int(shop.columns.type_of.max(initial=0)) + 1
    amount = log.amount * known
    usual = np.bincount(kinds, amount * price[log.group], width)
    usual = usual / np.maximum(np.bincount(kinds, amount, width), 1e-9)
    ratio = np.log(np.maximum(price[log.group], 1e-9) / np.maximum(usual[kinds], 1e-9)) * known
    total = np.bincount(labels[log.visitor], amount, k)
    mean = np.bincount(labels[log.visitor], amount * np.where(known, ratio, 0.0), k)
    return np.exp(mean / np.maximum(total, 1e-9))


def _demographics(
    layout: Layout, shop: ShopData, labels: IntArray, k: int
) -> list[list[dict[str, Any]]]:
    """Return per segment the told attributes that are more frequent in it, with their lift."""
    rows = read_table("visitors", layout.tables).sort("visitor_id")
    place = {v: i for i, v in enumerate(shop.visitor_ids)}
    counts: dict[tuple[str, str], NDArray[np.float64]] = {}
    told: dict[str, NDArray[np.float64]] = {}
    for visitor, text in zip(rows["visitor_id"], rows["attributes"], strict=True):
        segment = labels[place[visitor]]
        for name, value in json.loads(text or "{}").items():
            counts.setdefault((name, str(value)), np.zeros(k))[segment] += 1
            told.setdefault(name, np.zeros(k))[segment] += 1
    out: list[list[dict[str, Any]]] = [[] for _ in range(k)]
    for (name, value), here in sorted(counts.items()):
        overall = here.sum() / told[name].sum()
        for s in range(k):
            share = (here[s] + 20 * overall) / (told[name][s] + 20)
            if here[s] >= MIN_MEMBERS and share / overall > MIN_LIFT:
                out[s].append(
                    {
                        "name": name.replace("_", " "), "value": value,
                        "share": float(here[s] / told[name][s]), "lift": float(share / overall),
                    }
                )  # fmt: skip
    return [sorted(line, key=lambda r: (-r["lift"], r["name"], r["value"]))[:4] for line in out]


def _offers_that_work(
    layout: Layout, shop: ShopData, labels: IntArray, k: int
) -> list[list[dict[str, Any]]]:
    """Return per segment the offers' titles redeemed more often than by others who got them."""
    offers = read_table("promotions", layout.tables)
    audience = read_table("promotion_audience", layout.tables)
    redeemed = read_table("redemptions", layout.tables)
    out: list[list[dict[str, Any]]] = [[] for _ in range(k)]
    if redeemed.is_empty() or audience.is_empty():
        return out
    segment = pl.DataFrame({"visitor_id": shop.visitor_ids, "segment": labels})
    kind = pl.col("title").str.replace(r"^\S+ off ", "")
    received = (
        offers.select("promotion_id", "campaign_id", kind.alias("kind"))
        .join(audience, on="campaign_id")
        .join(segment, on="visitor_id")
        .group_by("kind", "segment")
        .len("received")
    )
    used = (
        redeemed.unique(["visitor_id", "promotion_id"])
        .join(offers.select("promotion_id", kind.alias("kind")), on="promotion_id")
        .join(segment, on="visitor_id")
        .group_by("kind", "segment")
        .len("redeemed")
    )
    table = received.join(used, on=["kind", "segment"], how="left").fill_null(0)
    table = table.sort("kind", "segment")
    level = table["redeemed"].sum() / max(int(table["received"].sum()), 1)
    for (name,), rows in table.group_by("kind", maintain_order=True):
        overall = rows["redeemed"].sum() / max(int(rows["received"].sum()), 1)
        for row in rows.iter_rows(named=True):
            if row["redeemed"] < MIN_REDEMPTIONS:
                continue
            # Damped by the offer's own rate over everybody, worth a hundred received.
            rate = (row["redeemed"] + 100 * overall) / (row["received"] + 100)
            out[row["segment"]].append(
                {
                    "kind": str(name), "received": int(row["received"]),
                    "redeemed": int(row["redeemed"]), "rate": float(rate),
                    "lift": float(rate / max(overall, 1e-9)),
                    "over_all_offers": float(rate / max(level, 1e-9)),
                }
            )  # fmt: skip
    return [sorted(line, key=lambda r: (-r["rate"], r["kind"]))[:4] for line in out]
