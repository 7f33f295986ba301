"""The launch planner: for a product nobody bought, whom to tell, how much to order, how far to go.

In: a release's `train_launch`, its purchase log and bundles, and a product. Out: a `LaunchPlan`:
demand range with the earlier launches it leans on, audience and pre-heat list, partners for a joint
promotion, and the ramp with its floor and regret cap. Planning changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from components.contracts.artefacts import read_manifest
from components.contracts.errors import ArtefactError
from components.contracts.launches import (
    AudienceMember,
    Comparable,
    DemandRange,
    LaunchPlan,
    LaunchRequest,
    Partner,
    RampStage,
)
from components.contracts.records import Product
from components.merchandise.audience import AudienceModel
from components.merchandise.bundles import Bundles
from components.merchandise.demand import (
    COVERAGE,
    OPENING_WEEKS,
    DemandModel,
    Sales,
    demand_features,
    launches_between,
)
from components.recommend.cold_content import ColdFacts, Launches, content_features
from components.recommend.content import hashed_vectors
from components.recommend.history import BoolArray, FloatArray, Log, distinct_pairs

ARTEFACT = "train_launch"
MAX_AUDIENCE = 2000
PREHEAT_SHARE = 0.3
COMPARABLES = 5
PARTNERS = 5
ALIKE_LENDERS = 8
FLOP_SHARE = 0.4  # of the expected rate; below it the launch is a flop
LEAST_RATE = 1e-4
USUAL_LIFT = 2.0


@dataclass(frozen=True)
class Base:
    """What plans are made from, as the stage left it."""

    product_ids: tuple[str, ...]
    sales: Sales
    demand: DemandModel | None
    audience: AudienceModel | None
    types: Mapping[str, int]
    categories: Mapping[str, int]
    brands: Mapping[str, int]
    trips_a_week: float
    lift: float


class LaunchPlanner:
    """Plans launches on one release."""

    def __init__(self, base: Base, bundles: Bundles | None = None) -> None:
        """Keep what plans are made from."""
        self.base = base
        self.bundles = bundles
        self.index = {p: i for i, p in enumerate(base.product_ids)}

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read a release's planner; None if it has none.

        Raises:
            ArtefactError: it is there but altered or unreadable.
        """
        folder = artefacts / ARTEFACT
        if not (folder / "manifest.json").is_file():
            return None
        manifest = read_manifest(folder)
        try:
            stored = json.loads((folder / "launch.json").read_text())
            with np.load(folder / "sales.npz", allow_pickle=False) as held:
                start, weeks = (int(n) for n in held["weeks"])
                weekly = np.zeros((len(stored["product_ids"]), weeks), dtype=np.float32)
                place = held["place"].astype(np.int64)
                weekly[place[:, 0], place[:, 1]] = held["lines"]
                facts = ColdFacts(
                    vectors=held["vectors"].astype(np.float32),
                    type_of=held["type_of"].astype(np.int64),
                    category_of=held["category_of"].astype(np.int64),
                    brand_of=held["brand_of"].astype(np.int64),
                    price=held["price"],
                )
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{folder}: cannot be read ({error}).") from error
        sold = weekly > 0
        never = np.iinfo(np.int32).max
        first = np.where(sold.any(axis=1), sold.argmax(axis=1) + start, never).astype(np.int64)
        demand = None
        if stored["shift"] is not None:
            names = ("low", "middle", "high")
            boosters = {n: (folder / f"demand_{n}.txt").read_text() for n in names}
            demand = DemandModel(boosters, float(stored["shift"]))
        told = folder / "audience.txt"
        base = Base(
            product_ids=tuple(stored["product_ids"]),
            sales=Sales(weekly, first, start, facts),
            demand=demand,
            audience=AudienceModel(told.read_text()) if told.is_file() else None,
            types=stored["types"],
            categories=stored["categories"],
            brands=stored["brands"],
            trips_a_week=float(stored["trips_a_week"]),
            lift=float(manifest.metrics.get("lift@10%") or USUAL_LIFT),
        )
        return cls(base, Bundles.load(artefacts))

    def plan(
        self,
        plan_id: str,
        product: Product,
        request: LaunchRequest,
        *,
        log: Log,
        log_ids: Sequence[str],
        visitor_ids: Sequence[str],
        titles: Mapping[str, str],
        without: frozenset[str] = frozenset(),
    ) -> LaunchPlan:
        """Plan a launch as of the end of the release's data.

        Args:
            plan_id: of the plan.
            product: what is launched; it may have come after the release's data.
            request: share of households to tell, horizon, floor, regret cap, planned displays.
            log: the release's purchases.
            log_ids: product ids in the log's order.
            visitor_ids: likewise.
            titles: of known products.
            without: visitors who must not be told, such as forgotten ones.
        """
        sales, item, notes = self._with(product)
        week = sales.start + sales.weekly.shape[1]
        demand = self._demand(sales, item, week, request, titles, notes)
        mapped = self._mapped(log, log_ids)
        told = self._audience(sales.facts, item, week, mapped, len(visitor_ids), notes)
        size = max(1, round(request.audience_share * len(visitor_ids)))
        audience = self._members(told, sales.facts, item, mapped, visitor_ids, without, size)
        due = [m for m in audience if m.is_due]
        wanted = max(1, round(PREHEAT_SHARE * len(audience)))
        preheat = (due + [m for m in audience if not m.is_due])[:wanted]
        visits = max(len(visitor_ids) * self.base.trips_a_week * request.horizon_weeks, 1.0)
        rate = min(0.5, max(LEAST_RATE, demand.middle * self.base.lift / visits))
        return LaunchPlan(
            plan_id=plan_id,
            product_id=product.product_id,
            title=product.title,
            week=week,
            request=request,
            demand=demand,
            audience=tuple(audience[:MAX_AUDIENCE]),
            preheat=tuple(preheat),
            partners=tuple(self._partners(sales.facts, item, titles)),
            stages=ramp_stages(request),
            expected_rate=rate,
            flop_rate=FLOP_SHARE * rate,
            expected_lift=self.base.lift if self.base.audience is not None else None,
            notes=tuple(notes),
        )

    def _with(self, product: Product) -> tuple[Sales, int, list[str]]:
        """Return the sales with the product among them, its place, and what is to be noted."""
        base, notes = self.base, list[str]()
        sales, facts = base.sales, base.sales.facts
        known = self.index.get(product.product_id)
        if known is not None:
            if sales.weekly[known].any():
                notes.append("It has been sold already; the plan is that of a new product.")
                weekly, first = sales.weekly.copy(), sales.first.copy()
                weekly[known], first[known] = 0.0, np.iinfo(np.int32).max
                sales = replace(sales, weekly=weekly, first=first)
            return sales, known, notes
        path = " > ".join(product.category)

        def number(names: Mapping[str, int], name: str, what: str) -> int:
            if name not in names:
                notes.append(f"Its {what} is new to the shop: little is known of its like.")
            return names.get(name, 1 + max(names.values(), default=-1))

        facts = ColdFacts(
            vectors=np.vstack([facts.vectors, hashed_vectors([product])]).astype(np.float32),
            type_of=np.append(
                facts.type_of, number(base.types, f"{path} > {product.type or ''}", "type")
            ),
            category_of=np.append(facts.category_of, number(base.categories, path, "category")),
            brand_of=np.append(facts.brand_of, number(base.brands, product.brand or "", "brand")),
            price=np.append(facts.price, np.float32(product.price_minor or 0)),
        )
        weekly = np.vstack([sales.weekly, np.zeros((1, sales.weekly.shape[1]), np.float32)])
        first = np.append(sales.first, np.iinfo(np.int32).max)
        return Sales(weekly, first, sales.start, facts), len(self.index), notes

    def _mapped(self, log: Log, log_ids: Sequence[str]) -> Log:
        """Return the log in the planner's order of products; others are left out."""
        if tuple(log_ids[: len(self.base.product_ids)]) == self.base.product_ids:
            return log.take(log.group < len(self.base.product_ids))
        place = np.array([self.index.get(p, -1) for p in log_ids], dtype=np.int64)
        kept = log.take(place[log.group] >= 0)
        return replace(kept, group=place[kept.group])

    def _demand(
        self,
        sales: Sales,
        item: int,
        week: int,
        request: LaunchRequest,
        titles: Mapping[str, str],
        notes: list[str],
    ) -> DemandRange:
        items = np.array([item])
        weeks = request.horizon_weeks
        alike = self._comparables(sales, item, week, weeks, titles)
        if self.base.demand is None:
            notes.append("Too few earlier launches to state a range that holds.")
            lines = [c.lines for c in alike] or [1.0]
            return DemandRange(
                low=1, middle=float(np.median(lines)), high=max(1, int(max(lines))),
                horizon_weeks=weeks, coverage=0.0, comparables=tuple(alike),
            )  # fmt: skip
        shares = np.array(
            [[request.display_share, request.mailer_share, request.front_share]], dtype=np.float32
        )
        features = demand_features(sales, items, week, np.array([weeks]), exposure=shares)
        low, middle, high = self.base.demand.interval(features)
        return DemandRange(
            low=int(low[0]), middle=float(np.clip(middle[0], low[0], high[0])), high=int(high[0]),
            horizon_weeks=weeks, coverage=COVERAGE, comparables=tuple(alike),
        )  # fmt: skip

    def _comparables(
        self, sales: Sales, item: int, week: int, weeks: int, titles: Mapping[str, str]
    ) -> list[Comparable]:
        earlier = launches_between(sales, sales.start + OPENING_WEEKS, week - weeks)
        earlier = earlier[earlier != item]
        if not len(earlier):
            return []
        facts = sales.facts
        alike = facts.vectors[earlier] @ facts.vectors[item]
        best = np.lexsort((earlier, -alike))[:COMPARABLES]
        lines = sales.lines(earlier[best], sales.first[earlier[best]], np.full(len(best), weeks))
        return [
            Comparable(
                product_id=self.base.product_ids[int(p)],
                title=titles.get(self.base.product_ids[int(p)], self.base.product_ids[int(p)]),
                likeness=round(float(alike[b]), 4),
                lines=float(n),
            )
            for p, b, n in zip(earlier[best], best, lines, strict=True)
        ]

    def _audience(
        self, facts: ColdFacts, item: int, week: int, log: Log, n: int, notes: list[str]
    ) -> FloatArray:
        """Return (B,) scores of households."""
        if not n:
            notes.append("No household is known: nobody can be told.")
            return np.zeros(0, dtype=np.float32)
        launches = Launches(np.array([item]), np.zeros(0, np.int64), (), log, week)
        features = content_features(launches, facts, n, np.arange(n))
        if self.base.audience is None:
            notes.append("No earlier launch to learn from: the audience buys what reads alike.")
            return features[:, 0, 7]
        return self.base.audience.score(features)[:, 0]

    def _members(
        self,
        scores: FloatArray,
        facts: ColdFacts,
        item: int,
        log: Log,
        visitor_ids: Sequence[str],
        without: frozenset[str],
        size: int,
    ) -> list[AudienceMember]:
        inside = facts.category_of[log.group] == facts.category_of[item]
        rows = log.take(inside)
        n = len(visitor_ids)
        buys = np.bincount(rows.visitor, rows.amount, n)
        due = is_due(rows, n, today=int(log.day.max(initial=0)) + 1)
        members: list[AudienceMember] = []
        for v in np.lexsort((np.arange(n), -scores)).tolist():
            if len(members) == size:
                break
            if visitor_ids[v] not in without:
                members.append(
                    AudienceMember(
                        visitor_id=str(visitor_ids[v]), score=round(float(scores[v]), 5),
                        buys=float(buys[v]), is_due=bool(due[v]),
                    )
                )  # fmt: skip
        return members

    def _partners(self, facts: ColdFacts, item: int, titles: Mapping[str, str]) -> list[Partner]:
        """Return what goes with the products it reads like, and stands in for none of them."""
        if self.bundles is None:
            return []
        index, pairs = self.bundles.index(), self.bundles.complements
        ids = self.base.product_ids
        alike = facts.vectors[: len(ids)] @ facts.vectors[item]
        alike[item : item + 1] = -1.0
        lift: dict[int, float] = {}
        through: dict[int, str] = {}
        for lender in np.lexsort((np.arange(len(ids)), -alike))[:ALIKE_LENDERS].tolist():
            if alike[lender] <= 0.3 or ids[lender] not in index:
                continue
            rows = pairs.of(index[ids[lender]])
            for other, value in zip(pairs.other[rows], pairs.lift[rows], strict=True):
                place = self.index.get(self.bundles.product_ids[int(other)])
                if place is None or facts.type_of[place] == facts.type_of[item]:
                    continue
                weighed = float(value) * float(alike[lender])
                if weighed > lift.get(place, 0.0):
                    lift[place], through[place] = weighed, ids[lender]
        best = sorted(lift, key=lambda p: (-lift[p], p))[:PARTNERS]
        return [
            Partner(
                product_id=ids[p], title=titles.get(ids[p], ids[p]), lift=round(lift[p], 3),
                through=titles.get(through[p], through[p]),
            )
            for p in best
        ]  # fmt: skip


def is_due(rows: Log, n_visitors: int, *, today: int) -> BoolArray:
    """Return (B,): whose usual gap between purchases has passed since the last one.

    Args:
        rows: purchases of one category.
        n_visitors: B.
        today: UTC day.
    """
    days = distinct_pairs(rows.visitor, rows.day)
    count = np.bincount(days[0], minlength=n_visitors)
    first = np.full(n_visitors, today)
    last = np.full(n_visitors, -(10**6))
    np.minimum.at(first, days[0], days[1])
    np.maximum.at(last, days[0], days[1])
    gap = (last - first) / np.maximum(count - 1, 1)
    return (count >= 2) & (today - last >= gap)


def ramp_stages(request: LaunchRequest) -> tuple[RampStage, ...]:
    """Return three steps up to the greatest chance; the first one lasts for the floor.

    >>> [s.exposures for s in ramp_stages(LaunchRequest(product_id="p", floor=100))]
    [100, 300, 900]
    """
    first = max(request.floor, 1)
    return tuple(
        RampStage(chance=round(request.max_chance * share, 4), exposures=first * times)
        for share, times in ((1 / 3, 1), (2 / 3, 3), (1.0, 9))
    )
