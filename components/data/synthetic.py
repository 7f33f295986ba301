"""Source `synthetic`: a seeded grocery shop whose truth is known.

In: how many visitors, products and weeks, and a seed. Out: every canonical table, and (by `build`)
the `Truth` that made them: utilities, seasons, examination by rank, segments, launches. For tests,
for simulation, and for what no default data has. Nothing in it is real, and reports say so.

Each session shows one slate, drawn product by product from a softmax over popularity, so the logged
propensity is exact given the products above. A visitor clicks if she looks at the rank and likes
the product; she also buys her staples at their own intervals, whatever is shown.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from components.contracts.params import IngestParams
from components.contracts.tables import SPECS
from components.data.parquet import conform
from components.data.source import Ingested
from components.data.synthetic_words import (
    BRANDS,
    CATEGORIES,
    KINDS,
    PRAISE,
    Kind,
    attributes_of,
    title_of,
)

START = datetime(2024, 1, 1)  # a Monday
SLATE_LENGTH = 10
SEGMENTS = 4
DIMENSIONS = 8
SESSIONS_A_WEEK = 1.2
SEARCH_SHARE = 0.4
LAUNCH_SHARE = 0.12
EXAMINATION_POWER = 0.7
STAPLES = 14
REVIEW_SHARE = 0.2
DISPLAY_LIFT = 0.8
PROMOTION_LIFT = 1.0
CURRENCY = "USD"


@dataclass(frozen=True)
class Truth:
    """What made the data.

    Attributes:
        utility: (visitors, products) how much each visitor likes each product, season left out.
        season: (categories, weeks) what the week adds to a category's utility.
        examination: (SLATE_LENGTH,) chance that a rank is looked at.
        segment: (visitors,) hidden segment.
        category: (products,) index into the categories.
        launch_week: (products,) week from 1 in which it can first be sold.
        staples: (visitors, STAPLES) product indices bought at intervals.
        interval: (visitors, STAPLES) weeks between two purchases of a staple.
        quality: (products,) what ratings are drawn around.
    """

    utility: np.ndarray
    season: np.ndarray
    examination: np.ndarray
    segment: np.ndarray
    category: np.ndarray
    launch_week: np.ndarray
    staples: np.ndarray
    interval: np.ndarray
    quality: np.ndarray


def read(params: IngestParams) -> Ingested:
    """Make the shop's tables; equal parameters give equal bytes."""
    tables, _ = build(params)
    return Ingested(
        tables=tables,
        notes={"source": "synthetic: nothing in these tables is real", "seed": str(params.seed)},
        inputs={"synthetic": params.synthetic.model_dump_json()},
    )


def build(params: IngestParams) -> tuple[dict[str, pl.DataFrame], Truth]:
    """Make the shop: its tables, and the truth behind them."""
    shop = _Shop(params)
    shop.run()
    return shop.tables(), shop.truth


class _Shop:
    """One run of the simulation. Every draw comes from one generator, in a fixed order."""

    def __init__(self, params: IngestParams) -> None:
        size = params.synthetic
        self.random = np.random.default_rng(params.seed)
        self.zone = ZoneInfo(params.timezone)
        self.visitors, self.products, self.weeks = size.visitors, size.products, size.weeks
        self.visitor_ids = [f"v{i:04d}" for i in range(self.visitors)]
        self.product_ids = [f"p{i:04d}" for i in range(self.products)]
        self._stock_shelves()
        self.truth = self._draw_truth()
        self.popularity = self.random.gumbel(size=self.products)
        self._plan_promotions()
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPECS}
        self.next_staple = self.random.uniform(0, self.truth.interval)
        self.query_ids: dict[str, str] = {}

    def _stock_shelves(self) -> None:
        kinds = [KINDS[i % len(KINDS)] for i in range(self.products)]
        self.kinds: list[Kind] = kinds
        self.attributes: list[dict[str, Any]] = []
        self.titles: list[str] = []
        self.brands = [BRANDS[self.random.integers(len(BRANDS))] for _ in kinds]
        seen: set[str] = set()
        for i, kind in enumerate(kinds):
            for _ in range(50):
                chosen = attributes_of(kind, self.random)
                title = title_of(kind, self.brands[i], chosen)
                if title not in seen:
                    break
                self.brands[i] = BRANDS[self.random.integers(len(BRANDS))]
            else:
                title = f"{title}, no. {i}"
            seen.add(title)
            self.attributes.append(chosen)
            self.titles.append(title)
        spread = self.random.lognormal(0, 0.25, self.products)
        base = np.array([kind.price_minor for kind in kinds]) * spread
        self.price = (np.maximum(base, 30) // 10 * 10 - 1).astype(np.int64)

    def _draw_truth(self) -> Truth:
        random = self.random
        category = np.array([CATEGORIES.index(kind.category) for kind in self.kinds])
        centre = random.normal(size=(len(CATEGORIES), DIMENSIONS))
        product = centre[category] + 0.6 * random.normal(size=(self.products, DIMENSIONS))
        taste = random.normal(size=(SEGMENTS, DIMENSIONS))
        segment = random.integers(SEGMENTS, size=self.visitors)
        visitor = taste[segment] + 0.5 * random.normal(size=(self.visitors, DIMENSIONS))
        thrift = random.normal(0.25, 0.15, size=(self.visitors, 1))
        cheap = -np.log(self.price / 300.0)[None, :]
        utility = 0.35 * visitor @ product.T + thrift * cheap  # (visitors, products)
        phase = random.uniform(0, 2 * np.pi, size=(len(CATEGORIES), 1))
        strength = random.uniform(0, 0.8, size=(len(CATEGORIES), 1))
        season = strength * np.sin(2 * np.pi * np.arange(self.weeks)[None, :] / 52 + phase)
        launched = random.random(self.products) < LAUNCH_SHARE
        first, last = max(2, self.weeks // 3), max(3, 2 * self.weeks // 3 + 1)
        launch = np.where(launched, random.integers(first, last, size=self.products), 1)
        repeatable = np.array([kind.repeatable for kind in self.kinds]) & ~launched
        liking = np.where(repeatable[None, :], utility, -np.inf)
        noisy = liking + random.gumbel(size=utility.shape)
        staples = np.argsort(-noisy, axis=1, kind="stable")[:, :STAPLES]
        interval = random.uniform(1.5, 6.0, size=staples.shape)
        ranks = np.arange(1, SLATE_LENGTH + 1)
        return Truth(
            utility=utility,
            season=season,
            examination=ranks**-EXAMINATION_POWER,
            segment=segment,
            category=category,
            launch_week=launch,
            staples=staples,
            interval=interval,
            quality=random.normal(3.8, 0.6, size=self.products),
        )

    def _plan_promotions(self) -> None:
        """Draw weekly displays and a handful of targeted offers on whole categories."""
        random = self.random
        self.display = np.where(
            random.random((self.products, self.weeks)) < 0.06,
            random.uniform(0.2, 1.0, (self.products, self.weeks)),
            0.0,
        )
        self.offers: list[dict[str, Any]] = []
        for number in range(max(2, self.weeks // 5)):
            start = int(random.integers(0, max(1, self.weeks - 3)))
            category = int(random.integers(len(CATEGORIES)))
            audience = np.flatnonzero(random.random(self.visitors) < 0.3)
            percent = int(random.choice([10, 15, 20, 25]))
            self.offers.append(
                {
                    "id": f"offer-{number:02d}",
                    "campaign": f"campaign-{number:02d}",
                    "start": start,
                    "category": category,
                    "audience": set(audience.tolist()),
                    "percent": percent,
                }
            )

    def _at(self, week: int, minute: float) -> datetime:
        local = START + timedelta(weeks=week, minutes=minute)
        return local.replace(tzinfo=self.zone).astimezone(ZoneInfo("UTC"))

    def run(self) -> None:
        """Play all sessions, week by week, visitor by visitor."""
        counts = self.random.poisson(SESSIONS_A_WEEK, size=(self.weeks, self.visitors))
        for week in range(self.weeks):
            for visitor in np.flatnonzero(counts[week]):
                minutes = np.sort(
                    self.random.uniform(8 * 60, 7 * 24 * 60 - 120, counts[week, visitor])
                )
                for minute in minutes:
                    self._session(week, int(visitor), float(minute))

    def _session(self, week: int, visitor: int, minute: float) -> None:
        truth, random = self.truth, self.random
        session = f"s{len(self.rows['slates']):06d}"
        sold = truth.launch_week <= week + 1
        liking = truth.utility[visitor] + truth.season[truth.category, week]
        offers = [
            o
            for o in self.offers
            if o["start"] <= week < o["start"] + 3 and visitor in o["audience"]
        ]
        for offer in offers:
            liking = liking + PROMOTION_LIFT * (truth.category == offer["category"])
        query = (
            self._query(visitor, week, minute, liking, sold)
            if random.random() < SEARCH_SHARE
            else None
        )
        pool = sold if query is None else sold & (truth.category == query[1])
        shown, propensity = self._slate(pool)
        at = self._at(week, minute)
        slate = f"sl{len(self.rows['slates']):06d}"
        self.rows["slates"].append(
            {
                "slate_id": slate,
                "at": at,
                "visitor_id": self.visitor_ids[visitor],
                "session_id": session,
                "surface": "home" if query is None else "search",
                "query_id": query and query[0],
                "model_version": "synthetic-popularity",
            }
        )
        self.rows["impressions"] += [
            {
                "slate_id": slate,
                "product_id": self.product_ids[p],
                "rank": r + 1,
                "propensity": float(q),
            }
            for r, (p, q) in enumerate(zip(shown, propensity, strict=True))
        ]
        looked = random.random(len(shown)) < truth.examination[: len(shown)]
        clicked = looked & (random.random(len(shown)) < _sigmoid(liking[shown] - 0.5))
        basket: list[tuple[int, str | None]] = []
        for rank in np.flatnonzero(clicked):
            product = int(shown[rank])
            self._event(week, minute, visitor, session, "click", product, slate=slate)
            if random.random() < _sigmoid(
                liking[product] + DISPLAY_LIFT * self.display[product, week] - 0.3
            ):
                self._event(week, minute, visitor, session, "basket_add", product, slate=slate)
                basket.append((product, slate))
        due = np.flatnonzero(self.next_staple[visitor] <= week + minute / (7 * 24 * 60))
        for n in due:
            basket.append((int(truth.staples[visitor, n]), None))
            gap = truth.interval[visitor, n] * random.lognormal(0, 0.25)
            self.next_staple[visitor, n] = week + minute / (7 * 24 * 60) + gap
        self._buy(week, minute, visitor, session, basket, offers)

    def _slate(self, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw a slate without replacement; return products and the chance of each at its rank."""
        weight = np.where(pool, np.exp(0.5 * self.popularity), 0.0)
        shown, chances = [], []
        for _ in range(min(SLATE_LENGTH, int(pool.sum()))):
            share = weight / weight.sum()
            product = int(np.searchsorted(np.cumsum(share), self.random.random() * (1 - 1e-12)))
            shown.append(product)
            chances.append(share[product])
            weight[product] = 0.0
        return np.array(shown, dtype=int), np.array(chances)

    def _query(
        self, visitor: int, week: int, minute: float, liking: np.ndarray, sold: np.ndarray
    ) -> tuple[str, int]:
        wanted = int(
            np.argmax(np.where(sold, liking + self.random.gumbel(size=self.products), -np.inf))
        )
        kind, chosen = self.kinds[wanted], self.attributes[wanted]
        words = [kind.noun]
        if "flavour" in chosen and self.random.random() < 0.4:
            words.insert(0, chosen["flavour"])
        if "diet" in chosen and self.random.random() < 0.4:
            words.insert(0, chosen["diet"])
        if self.random.random() < 0.15:
            words.insert(0, self.brands[wanted].lower())
        text = " ".join(words)
        query_id = f"q{len(self.rows['queries']):06d}"
        self.rows["queries"].append(
            {
                "query_id": query_id,
                "text": text,
                "locale": "en",
                "at": self._at(week, minute - 0.5),
                "visitor_id": self.visitor_ids[visitor],
            }
        )
        self.query_ids.setdefault(text, query_id)
        return query_id, int(self.truth.category[wanted])

    def _event(
        self,
        week: int,
        minute: float,
        visitor: int,
        session: str,
        kind: str,
        product: int,
        **more: Any,
    ) -> None:
        number = len(self.rows["events"])
        self.rows["events"].append(
            {
                "event_id": f"e{number:07d}",
                "at": self._at(week, minute + 0.5 + (number % 20) / 2),
                "week": week + 1,
                "visitor_id": self.visitor_ids[visitor],
                "session_id": session,
                "kind": kind,
                "product_id": self.product_ids[product],
                "slate_id": more.pop("slate", None),
                "place": "web",
                **more,
            }
        )

    def _buy(
        self,
        week: int,
        minute: float,
        visitor: int,
        session: str,
        basket: list[tuple[int, str | None]],
        offers: list[dict[str, Any]],
    ) -> None:
        order = f"o{session[1:]}"
        bought: set[int] = set()
        used: set[str] = set()
        for product, slate in basket:
            if product in bought:
                continue
            bought.add(product)
            percent = 0
            for offer in offers:
                if self.truth.category[product] == offer["category"] and self.random.random() < 0.6:
                    percent = max(percent, offer["percent"])
                    if offer["id"] not in used:
                        used.add(offer["id"])
                        self.rows["redemptions"].append(
                            {
                                "visitor_id": self.visitor_ids[visitor],
                                "promotion_id": offer["id"],
                                "at": self._at(week, minute + 11),
                            }
                        )
            price = int(self.price[product])
            quantity = 1 + int(self.random.random() < 0.2)
            self._event(
                week,
                minute + 11,
                visitor,
                session,
                "purchase",
                product,
                slate=slate,
                variant_id=f"{self.product_ids[product]}-1",
                quantity=quantity,
                price_minor=price,
                currency=CURRENCY,
                order_id=order,
                discount_minor=price * quantity * percent // 100,
            )
            if self.random.random() < REVIEW_SHARE:
                self._review(week, minute, visitor, session, product)

    def _review(self, week: int, minute: float, visitor: int, session: str, product: int) -> None:
        taste = self.truth.quality[product] + 0.4 * self.truth.utility[visitor, product]
        stars = float(np.clip(np.round(taste + 0.6 * self.random.normal()), 1, 5))
        later = min(minute + 24 * 60, 7 * 24 * 60 - 60)
        self._event(week, later, visitor, session, "rating", product, rating=stars)
        said = PRAISE[int(stars)]
        text = said[self.random.integers(len(said))].format(noun=self.kinds[product].noun)
        self.rows["reviews"].append(
            {
                "review_id": f"r{len(self.rows['reviews']):06d}",
                "product_id": self.product_ids[product],
                "visitor_id": self.visitor_ids[visitor],
                "rating": stars,
                "text": text,
                "at": self._at(week, later + 1),
                "helpful_votes": int(self.random.poisson(0.5)),
            }
        )

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return all tables."""
        self._judge()
        self._relate()
        self._offer_rows()
        self._exposure_rows()
        self._catalogue_rows()
        self.rows["visitors"] = [self._visitor_row(v) for v in range(self.visitors)]
        frames = {}
        for name, rows in self.rows.items():
            columns = {c: [row.get(c) for row in rows] for c in SPECS[name].columns}
            frames[name] = conform(pl.DataFrame(columns, strict=False), SPECS[name])
        return frames

    def _catalogue_rows(self) -> None:
        sold: dict[str, datetime] = {}
        for row in self.rows["events"]:
            if row["kind"] == "purchase":
                first = sold.setdefault(row["product_id"], row["at"])
                sold[row["product_id"]] = min(first, row["at"])
        stars: dict[str, list[float]] = {}
        for row in self.rows["reviews"]:
            stars.setdefault(row["product_id"], []).append(row["rating"])
        stock = self.random.poisson(20, self.products) * (self.random.random(self.products) > 0.03)
        end = self._at(self.weeks, -1)
        for i, product_id in enumerate(self.product_ids):
            kind, given = self.kinds[i], stars.get(product_id, [])
            price = int(self.price[i])
            options = [("regular", 1.0)] if kind.sizes is None else list(kind.sizes)
            for n, (option, times) in enumerate(options):
                self.rows["variants"].append(
                    {
                        "variant_id": f"{product_id}-{n + 1}",
                        "product_id": product_id,
                        "options": json.dumps({} if kind.sizes is None else {kind.option: option}),
                        "price_minor": int(price * times),
                        "list_price_minor": None,
                        "stock": int(stock[i]),
                    }
                )
            self.rows["products"].append(
                {
                    "product_id": product_id,
                    "title": self.titles[i],
                    "description": f"{self.titles[i]}: {kind.words}. Made up for testing.",
                    "brand": self.brands[i],
                    "category": kind.category,
                    "type": kind.noun,
                    "price_minor": price,
                    "list_price_minor": None,
                    "currency": CURRENCY,
                    "attributes": json.dumps(self.attributes[i], sort_keys=True),
                    "rating": float(np.mean(given)) if given else None,
                    "rating_count": len(given),
                    "images": "[]",
                    "available": bool(stock[i] > 0),
                    "repeatable": kind.repeatable,
                    "first_sold_at": sold.get(product_id),
                    "updated_at": end,
                }
            )

    def _visitor_row(self, visitor: int) -> dict[str, Any]:
        """Tell age and household by segment, right in seven cases of ten."""
        told = self.truth.segment[visitor]
        if self.random.random() > 0.7:
            told = self.random.integers(SEGMENTS)
        attributes = {
            "age": ("19-24", "25-44", "45-64", "65+")[int(told) % 4],
            "household_size": ("1", "4", "2", "2")[int(told) % 4],
        }
        return {
            "visitor_id": self.visitor_ids[visitor],
            "attributes": json.dumps(attributes),
            "consent": True,
        }

    def _judge(self) -> None:
        """Grade all products per distinct query: 3 all words hold, 2 same kind, 1 same shelf."""
        for text in sorted(self.query_ids)[:60]:
            words = set(text.split())
            for i, kind in enumerate(self.kinds):
                noun_said = set(kind.noun.split()) <= words
                facts = set(" ".join(str(v) for v in self.attributes[i].values()).split())
                facts |= set(kind.noun.split()) | set(self.brands[i].lower().split())
                grade = 3 if noun_said and words <= facts else 2 if noun_said else 0
                if not grade and any(
                    k.category == kind.category and set(k.noun.split()) <= words for k in KINDS
                ):
                    grade = 1
                if grade:
                    self.rows["judgements"].append(
                        {
                            "query_id": self.query_ids[text],
                            "product_id": self.product_ids[i],
                            "grade": grade,
                        }
                    )

    def _relate(self) -> None:
        """Draw friendships, six times as likely within a segment as across."""
        same = self.truth.segment[:, None] == self.truth.segment[None, :]
        chance = np.where(same, 6.0, 1.0) * 2.0 / self.visitors
        pairs = np.argwhere(np.triu(self.random.random(same.shape) < chance, k=1))
        for a, b in pairs:
            for one, other in ((a, b), (b, a)):
                self.rows["relations"].append(
                    {
                        "visitor_id": self.visitor_ids[one],
                        "other_id": self.visitor_ids[other],
                        "kind": "friend",
                        "weight": 1.0,
                    }
                )

    def _offer_rows(self) -> None:
        for offer in self.offers:
            category = CATEGORIES[offer["category"]].split(" > ")[-1]
            self.rows["promotions"].append(
                {
                    "promotion_id": offer["id"],
                    "title": f"{offer['percent']}% off {category.lower()}",
                    "campaign_id": offer["campaign"],
                    "campaign_type": "synthetic",
                    "mechanics": json.dumps({"kind": "percent", "value": offer["percent"]}),
                    "starts_at": self._at(offer["start"], 0),
                    "ends_at": self._at(offer["start"] + 3, 0),
                    "targeted": True,
                }
            )
            self.rows["promotion_products"] += [
                {"promotion_id": offer["id"], "product_id": self.product_ids[p]}
                for p in np.flatnonzero(self.truth.category == offer["category"])
            ]
            self.rows["promotion_audience"] += [
                {"campaign_id": offer["campaign"], "visitor_id": self.visitor_ids[v]}
                for v in sorted(offer["audience"])
            ]

    def _exposure_rows(self) -> None:
        for product, week in np.argwhere(self.display > 0):
            share = float(self.display[product, week])
            self.rows["exposures"].append(
                {
                    "product_id": self.product_ids[product],
                    "week": int(week) + 1,
                    "display_share": share,
                    "mailer_share": share / 2,
                    "front_share": share / 4,
                }
            )


def _sigmoid(x: np.ndarray | float) -> Any:
    return 1.0 / (1.0 + np.exp(-np.asarray(x)))
