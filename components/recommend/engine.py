"""RecommendEngine: the only entry to recommendations at serving time.

In: a release's folder (or a bare catalogue) and, per call, a visitor, that visitor's events since
the release's data, and the moment. Out: a slate with origins, chances and reasons. The path is:
hard filters, candidates with origins, ranker, session, slate. Every part may be missing; then the
next one answers and `degraded` names what was absent. All state is one snapshot that an upsert
replaces, so readers never see half of one.
"""

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import read_manifest
from components.contracts.errors import ArtefactError, UnknownProductError
from components.contracts.messages import Filters, Reason, ScoredProduct
from components.contracts.records import (
    BasketAdd,
    BasketRemove,
    Click,
    Event,
    Product,
    Purchase,
    Rating,
)
from components.data.catalogue import Catalogue
from components.data.filters import FilterTable, family_key
from components.recommend.candidates import origin_names
from components.recommend.content import Encode, hashed_vectors, unit_rows
from components.recommend.features import ShopState, view_visitors
from components.recommend.goals import gains, valued
from components.recommend.history import (
    FloatArray,
    IntArray,
    Log,
    build_log,
    day_of,
    distinct_pairs,
)
from components.recommend.ranker import Ranker, Ranking, rank_visitors, sigmoid
from components.recommend.reasons import describe
from components.recommend.sequence_source import SequenceSource
from components.recommend.shop import load_state
from components.recommend.slate import Rule, SlatePolicy, compose, one_each

ARTEFACT = "train_ranker"
SESSION_EVENTS = 20
SESSION_HALF_LIFE = 5.0
SESSION_WEIGHT = 2.5
# Of somebody whose purchases are unknown, only the session speaks, and it speaks against the whole
# spread of popularity; every few purchases known halve what it has more.
NEWCOMER_WEIGHT = 8.0
NEWCOMER_PURCHASES = 8.0
SESSION_KINDS: Mapping[type, float] = {Click: 1.0, BasketAdd: 2.0, Purchase: 0.3, Rating: 0.5}
LAUNCH_DISCOUNT = 0.5
CONTENT_NEIGHBOURS = 8
NOT_DUE = 0.25
RECENT_DAYS = 28
LINES_PER_TRIP = 10.0  # assumed where only sums of sales are known; changes no order
LIKED = 3.0
LIKENESS_KEPT = 256  # products whose likeness to all others is kept
TEXT_SHARE = 0.6  # of likeness between two products whose sales tell more
BOUGHT_SHARE = 0.35  # at most, for each way of being bought together


_NONE = np.zeros(0, dtype=np.int64)
_NOTHING = np.zeros(0, dtype=np.float32)
NO_LOG = Log(
    visitor=_NONE, group=_NONE, day=_NONE, week=_NONE, trip=_NONE,
    amount=_NOTHING, discounted=_NOTHING, place=_NONE,
)  # fmt: skip


@dataclass(frozen=True)
class Slate:
    """A composed slate. `propensities` has the chance each product had to be shown at its rank."""

    products: tuple[ScoredProduct, ...]
    degraded: tuple[str, ...] = ()
    propensities: tuple[float, ...] = ()
    also: tuple[ScoredProduct, ...] = ()


@dataclass(frozen=True)
class HistoryStore:
    """The release's purchases by visitor: a `Log` and where each visitor's rows are."""

    visitor_ids: tuple[str, ...]
    log: Log
    bounds: IntArray
    index: Mapping[str, int] = field(repr=False)

    @classmethod
    def of(cls, visitor_ids: Sequence[str], log: Log) -> Self:
        """Index a log that is sorted by visitor."""
        bounds = np.searchsorted(log.visitor, np.arange(len(visitor_ids) + 1))
        return cls(tuple(visitor_ids), log, bounds, {v: i for i, v in enumerate(visitor_ids)})

    def rows(self, visitor_id: str | None) -> Log:
        """Return one visitor's rows, renumbered as visitor 0; empty for an unknown one."""
        at = self.index.get(visitor_id, -1) if visitor_id is not None else -1
        part = self.log.take(
            slice(self.bounds[at], self.bounds[at + 1]) if at >= 0 else slice(0, 0)
        )
        return replace(part, visitor=np.zeros(len(part), dtype=np.int64))


@dataclass(frozen=True)
class _Snapshot:
    """Products in the engine's dense order: the state's first, then those that came later."""

    ids: tuple[str, ...]
    index: Mapping[str, int]
    products: tuple[Product | None, ...]
    table: FilterTable
    table_rows: IntArray
    vectors: FloatArray
    near: IntArray
    near_weight: FloatArray
    base: FloatArray
    available: NDArray[np.bool_]
    repeatable: NDArray[np.bool_]
    gain: FloatArray
    likeness: dict[int, FloatArray] = field(default_factory=dict)  # see `_text_likeness`


@dataclass(frozen=True)
class Session:
    """What the visitor did since the release's data, oldest first, without doubles."""

    events: tuple[Any, ...]
    basket: frozenset[str]
    bought: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        """Say whether nothing happened."""
        return not self.events


@dataclass(frozen=True)
class Scores:
    """Everything known about a visitor's chances, in the engine's dense order (V',)."""

    log_odds: FloatArray
    origins: NDArray[np.int64]
    owned: NDArray[np.bool_]
    ranking: Ranking | None
    degraded: tuple[str, ...]
    session_weight: FloatArray
    log: Log | None = None
    visitor_id: str | None = None
    week: int = 0
    session_strength: float = SESSION_WEIGHT

    @cached_property
    def before_session(self) -> FloatArray:
        """Return (V',) the log-odds that the session's pull was added to."""
        moved = np.float32(self.session_strength) * self.session_weight
        return (self.log_odds - moved).astype(np.float32, copy=False)


def read_session(recent: Sequence[Event], now: datetime) -> Session:
    """Put a visitor's recent events in order.

    Doubles (equal event_id) count once; late arrivals take their place by time; an event stamped
    after `now` is read as happening now, since a client's clock may run ahead; time zones do not
    matter because times are aware.
    """
    once = {
        e.event_id: e
        for e in recent
        if isinstance(e, Click | BasketAdd | BasketRemove | Purchase | Rating)
    }
    events = sorted(once.values(), key=lambda e: (min(e.at, now), e.event_id))
    basket: dict[str, int] = {}
    bought: dict[str, int] = {}
    for event in events:
        if isinstance(event, BasketAdd):
            basket[event.product_id] = basket.get(event.product_id, 0) + event.quantity
        elif isinstance(event, BasketRemove):
            basket.pop(event.product_id, None)
        elif isinstance(event, Purchase):
            basket.pop(event.product_id, None)
            bought[event.product_id] = day_of(min(event.at, now))
    return Session(tuple(events), frozenset(basket), bought)


class RecommendEngine:
    """Slates for visitors; safe to call from several threads."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        state: ShopState | None = None,
        state_ids: Sequence[str] = (),
        ranker: Ranker | None = None,
        history: HistoryStore | None = None,
        clock: Mapping[str, Any] | None = None,
        encode: Encode | None = None,
        vectors: Mapping[str, FloatArray] | None = None,
        sequence: SequenceSource | None = None,
        policy: SlatePolicy | None = None,
        rules: Sequence[Rule] = (),
        missing: Sequence[str] = (),
        sales: Mapping[str, float] | None = None,
        table: FilterTable | None = None,
    ) -> None:
        """Put the parts together; see `load` and `from_catalogue`.

        `sales` are recent purchases by product id: what is popular where nobody's history is known.
        `table` holds the catalogue's products, if another engine has built it already.
        """
        self._lock = Lock()
        self._likeness_lock = Lock()
        self.catalogue = catalogue
        self.state = state
        self.ranker = ranker
        self.history_store = history
        self.clock = dict(clock or {})
        self.policy = policy or SlatePolicy()
        self.rules = tuple(rules)
        self.sequence = sequence
        self.missing = tuple(missing)
        self._encode = encode
        self._sales = dict(sales or {})
        self._state_ids = tuple(state_ids)
        self._n_state = len(state_ids)
        self._snapshot = self._build(self._state_ids, vectors or {}, table)

    @classmethod
    def load(
        cls,
        artefacts: Path,
        *,
        catalogue: Catalogue | None = None,
        policy: SlatePolicy | None = None,
        rules: Sequence[Rule] = (),
        table: FilterTable | None = None,
    ) -> Self:
        """Load a release's engine; absent optional parts are named in `degraded` of each answer.

        Args:
            artefacts: the release.
            catalogue: shared with other engines; read from `artefacts` by default.
            policy: slate composition.
            rules: the shop's dated wishes.
            table: of exactly this catalogue's products; built by default.

        Raises:
            ArtefactError: the ranker's artefact is there but altered or of another version.
        """
        goods = catalogue if catalogue is not None else Catalogue.load(artefacts)
        clock_file = artefacts / "catalogue" / "clock.json"
        clock = json.loads(clock_file.read_text()) if clock_file.is_file() else {}
        missing: list[str] = []
        encode, vectors = _load_text(artefacts, missing)
        folder = artefacts / ARTEFACT
        if not (folder / "manifest.json").is_file():
            missing.append("ranker")
            return cls(
                goods,
                clock=clock,
                encode=encode,
                vectors=vectors,
                policy=policy,
                rules=rules,
                missing=missing,
                sales=recent_sales(artefacts),
                table=table,
            )
        read_manifest(folder)
        state, ids = load_state(folder)
        ranker = Ranker.load(folder)
        ranker.boosters()  # parsed now, so that the first visitor does not wait for it
        sequence = SequenceSource.load(artefacts)
        if sequence is None:
            missing.append("sasrec")
        return cls(
            goods,
            state=state,
            state_ids=ids,
            ranker=ranker,
            history=load_history(folder),
            clock=clock,
            encode=encode,
            vectors=vectors,
            sequence=sequence,
            policy=policy,
            rules=rules,
            missing=missing,
            table=table,
        )

    @classmethod
    def from_catalogue(
        cls,
        catalogue: Catalogue,
        history: Mapping[str, Sequence[Event]] | None = None,
        *,
        policy: SlatePolicy | None = None,
        rules: Sequence[Rule] = (),
        table: FilterTable | None = None,
    ) -> Self:
        """Make an engine without training: own history, content and popularity.

        Args:
            catalogue: the products.
            history: visitor id to purchases; may be None.
            policy: slate composition.
            rules: the shop's dated wishes.
            table: of exactly this catalogue's products; built by default.
        """
        ids = list(catalogue.ids)
        index = {product_id: place for place, product_id in enumerate(ids)}
        visitors = sorted(history or {})
        rows = [
            (place, index[e.product_id], day_of(e.at), float(getattr(e, "quantity", 1) or 1))
            for place, visitor in enumerate(visitors)
            for e in (history or {})[visitor]
            if isinstance(e, Purchase) and e.product_id in index
        ]
        columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
        log = build_log(
            columns[:, 0].astype(np.int64),
            columns[:, 1].astype(np.int64),
            columns[:, 2].astype(np.int64),
            np.ones(len(rows), dtype=np.int64),
            np.ones(len(rows), dtype=np.float32),
            np.zeros(len(rows), dtype=np.float32),
            np.full(len(rows), -1),
        )
        return cls(
            catalogue,
            state_ids=ids,
            history=HistoryStore.of(visitors, log),
            policy=policy,
            rules=rules,
            missing=("ranker",),
            table=table,
        )

    @property
    def snapshot(self) -> "_Snapshot":
        """Return the present snapshot of products; it never changes once returned."""
        return self._snapshot

    @property
    def product_ids(self) -> tuple[str, ...]:
        """Return product ids in the engine's dense order."""
        return self._snapshot.ids

    # -- products ------------------------------------------------------------------------------

    def _build(
        self,
        state_ids: tuple[str, ...],
        vectors: Mapping[str, FloatArray],
        table: FilterTable | None,
    ) -> _Snapshot:
        trained = set(state_ids)
        late = [product_id for product_id in self.catalogue.ids if product_id not in trained]
        ids = (*state_ids, *late)
        held = self.catalogue.products
        products = tuple(held.get(product_id) for product_id in ids)
        present = [p for p in products if p is not None]
        if table is None:
            table = FilterTable.from_products(present)
        rows = np.array([table.row_of.get(product_id, -1) for product_id in ids], dtype=np.int64)
        width = next(iter(vectors.values())).shape[0] if vectors else 0
        if width:
            matrix = np.zeros((len(ids), width), dtype=np.float32)
            for place, product_id in enumerate(ids):
                if product_id in vectors:
                    matrix[place] = vectors[product_id]
            absent = [p for p in present if p.product_id not in vectors]
            if absent and self._encode is not None:
                made = self._vectors_of(absent)
                index = {product_id: place for place, product_id in enumerate(ids)}
                for product, row in zip(absent, made, strict=True):
                    matrix[index[product.product_id]] = row
        else:
            matrix = np.zeros((len(ids), hashed_vectors([]).shape[1]), dtype=np.float32)
            known = [place for place, product in enumerate(products) if product is not None]
            matrix[known] = hashed_vectors(present)
        return self._finish(ids, products, table, rows, unit_rows(matrix))

    def _finish(
        self,
        ids: tuple[str, ...],
        products: tuple[Product | None, ...],
        table: FilterTable,
        rows: IntArray,
        matrix: FloatArray,
        old: _Snapshot | None = None,
        changed: IntArray | None = None,
    ) -> _Snapshot:
        anchors = self._anchors(len(ids))
        todo = np.arange(len(ids)) if changed is None else changed
        near = np.zeros((len(ids), CONTENT_NEIGHBOURS), dtype=np.int64)
        weight = np.zeros((len(ids), CONTENT_NEIGHBOURS), dtype=np.float32)
        if old is not None:
            near[: len(old.ids)], weight[: len(old.ids)] = old.near, old.near_weight
        todo = todo[~np.isin(todo, anchors)]
        near[todo], weight[todo] = nearest_anchors(matrix, anchors, todo, CONTENT_NEIGHBOURS)
        available = np.array([p is not None and p.available for p in products], dtype=bool)
        return _Snapshot(
            ids=ids,
            index={product_id: place for place, product_id in enumerate(ids)},
            products=products,
            table=table,
            table_rows=rows,
            vectors=matrix,
            near=near,
            near_weight=weight,
            base=self._base(ids, products, near, weight),
            available=available,
            repeatable=np.array([p is None or p.repeatable for p in products], dtype=bool),
            gain=gains(products),
        )

    def _anchors(self, n: int) -> IntArray:
        """Return the products whose own sales tell enough; the others borrow from these."""
        if self.state is not None:
            return np.flatnonzero(self.state.rankable)
        return (
            np.zeros(0, dtype=np.int64)
            if self.history_store is None
            else np.arange(min(self._n_state, n))
        )

    def _base(
        self,
        ids: Sequence[str],
        products: Sequence[Product | None],
        near: IntArray,
        weight: FloatArray,
    ) -> FloatArray:
        """Return (V',) log-odds of being in anybody's next basket; new products borrow theirs.

        Popular means sold within the last four weeks of the data: last autumn's favourites are not
        January's.
        """
        n = len(ids)
        if self.state is not None:
            lines = np.zeros(n)
            lines[: self._n_state] = np.expm1(self.state.facts[:, 1])
            trips = max(float(self.state.trips_28), 1.0)
            rate = (lines + 0.05) / (trips + 1.0)
            known = np.zeros(n, dtype=bool)
            known[: self._n_state] = self.state.facts[:, 0] > 0
            borrowed = LAUNCH_DISCOUNT * (rate[near] * weight).sum(axis=1)
            rate = np.where(known, rate, np.maximum(rate, borrowed))
        elif self.history_store is not None and len(self.history_store.log):
            log = self.history_store.log
            log = log.take(log.day > log.day.max() - RECENT_DAYS)
            trips = distinct_pairs(log.visitor, log.day).shape[1]
            rate = (np.bincount(log.group, log.amount, n)[:n] + 0.5) / (trips + 1.0)
        elif self._sales:
            lines = np.array([self._sales.get(product_id, 0.0) for product_id in ids])
            rate = (lines + 0.05) / (lines.sum() / LINES_PER_TRIP + 1.0)
        else:
            votes = np.array([0 if p is None else p.rating_count for p in products], dtype=float)
            stars = np.array([3.0 if p is None or p.rating is None else p.rating for p in products])
            rate = 0.002 * (1 + np.log1p(votes)) * stars / 5.0
        rate = np.clip(rate, 1e-6, 0.9)
        return np.log(rate / (1 - rate)).astype(np.float32)

    def _vectors_of(self, products: Sequence[Product]) -> FloatArray:
        if self._encode is None:
            return hashed_vectors(products)
        from components.text.texts import product_text

        return unit_rows(self._encode([product_text(product) for product in products]))

    def upsert(self, products: Iterable[Product]) -> None:
        """Make new or changed products rankable now, from their text; no training is needed."""
        fresh = list({product.product_id: product for product in products}.values())
        if not fresh:
            return
        made = self._vectors_of(fresh)
        with self._lock:
            old = self._snapshot
            ids, held = list(old.ids), list(old.products)
            index = dict(old.index)
            added = 0
            for product in fresh:
                if product.product_id not in index:
                    index[product.product_id] = len(ids)
                    ids.append(product.product_id)
                    held.append(None)
                    added += 1
                held[index[product.product_id]] = product
            matrix = np.vstack([old.vectors, np.zeros((added, old.vectors.shape[1]), np.float32)])
            places = np.array([index[product.product_id] for product in fresh])
            matrix[places] = made
            table = old.table.with_products(fresh)
            rows = np.array([table.row_of.get(product_id, -1) for product_id in ids])
            self._snapshot = self._finish(
                tuple(ids), tuple(held), table, rows, matrix, old=old, changed=places
            )

    # -- scoring -------------------------------------------------------------------------------

    def week_of(self, now: datetime) -> int:
        """Return the shop week of a moment; 0 when the release has no clock."""
        if "first_monday" not in self.clock:
            return 0
        local = now.astimezone(ZoneInfo(self.clock.get("timezone", "UTC"))).date()
        monday = datetime.fromisoformat(self.clock["first_monday"]).date()
        return (local - monday).days // 7 + 1

    def visitor_log(self, visitor_id: str | None, session: Session, now: datetime) -> Log:
        """Return the visitor's purchases known at `now`: the release's, then the session's."""
        empty = NO_LOG
        held = empty if self.history_store is None else self.history_store.rows(visitor_id)
        today = day_of(now)
        if len(held) and held.day.max() > today:
            held = held.take(held.day <= today)
        index = self._snapshot.index
        bought = [
            (index[e.product_id], day_of(min(e.at, now)))
            for e in session.events
            if isinstance(e, Purchase) and index.get(e.product_id, self._n_state) < self._n_state
        ]
        if not bought:
            return held
        new = np.array(bought, dtype=np.int64)
        week = self.week_of(now)
        return build_log(
            np.zeros(len(held) + len(new), dtype=np.int64),
            np.r_[held.group, new[:, 0]],
            np.r_[held.day, new[:, 1]],
            np.r_[held.week, np.full(len(new), week)],
            np.r_[held.amount, np.ones(len(new), np.float32)],
            np.r_[held.discounted, np.zeros(len(new), np.float32)],
            np.r_[held.place, np.full(len(new), -1)],
        )

    def _ident(self, visitor_id: str | None) -> int:
        """Return the visitor's number in the release, -1 for one it does not know."""
        if visitor_id is None or self.history_store is None:
            return -1
        return self.history_store.index.get(visitor_id, -1)

    def scores(self, visitor_id: str | None, session: Session, now: datetime) -> Scores:
        """Score every product for one visitor; the base of slates, affinities and explanations."""
        log = self.visitor_log(visitor_id, session, now)
        return self.scores_of(log, session, now, visitor_id=visitor_id)

    def scores_of(
        self, log: Log, session: Session, now: datetime, *, visitor_id: str | None = None
    ) -> Scores:
        """Score every product given the visitor's purchases; see `scores`."""
        snapshot = self._snapshot
        n = len(snapshot.ids)
        log_odds = snapshot.base.copy()
        origins = np.zeros(n, dtype=np.int64)
        owned = np.zeros(n, dtype=bool)
        degraded = list(self.missing)
        ranking = None
        if len(log):
            owned[np.unique(log.group)] = True
        if self.state is not None and self.ranker is not None and len(log):
            view = view_visitors(
                log,
                np.array([day_of(now)]),
                np.array([self.week_of(now)]),
                self.state,
                ident=np.array([self._ident(visitor_id)]),
            )
            allowed = self.state.rankable | owned[: self._n_state]
            extra = None
            if self.sequence is not None:
                extra = {"sasrec": self.sequence.scores_of_log(log, 1, self._state_ids)}
            ranking = rank_visitors(view, self.state, self.ranker, extra=extra, allowed=allowed)
            c = ranking.candidates
            chance = np.clip(ranking.probability.astype(np.float64), 1e-6, 1 - 1e-6)
            # The calibrated chance carries the order; the raw score breaks its ties.
            value = np.log(chance / (1 - chance)) + 1e-3 * ranking.score
            floor = value.min() if len(value) else 0.0
            log_odds = np.minimum(log_odds, np.float32(floor - 0.01))
            log_odds[c.product] = value
            origins[c.product] = c.origins
            log_odds = self._borrowed(snapshot, log_odds, owned)
        elif len(log):
            log_odds, origins = self._habit(snapshot, log, now, log_odds, origins)
        weight = self._session_weights(snapshot, session)
        known = 0.5 ** (len(log) / NEWCOMER_PURCHASES)
        strength = SESSION_WEIGHT + (NEWCOMER_WEIGHT - SESSION_WEIGHT) * known
        if weight.any():
            log_odds = log_odds + np.float32(strength) * weight
            origins = origins | np.where(weight > 0.05, 1 << 9, 0)
        return Scores(
            log_odds.astype(np.float32),
            origins,
            owned,
            ranking,
            tuple(degraded),
            weight,
            log=log,
            visitor_id=visitor_id,
            week=self.week_of(now),
            session_strength=strength,
        )

    def _borrowed(
        self, snapshot: _Snapshot, log_odds: FloatArray, owned: NDArray[np.bool_]
    ) -> FloatArray:
        """Give products without own sales the chances of what reads like them, discounted."""
        if not snapshot.near_weight.any():
            return log_odds
        chance = sigmoid(log_odds)
        near = (chance[snapshot.near] * snapshot.near_weight).sum(axis=1)
        base = sigmoid(snapshot.base)
        usual = (base[snapshot.near] * snapshot.near_weight).sum(axis=1)
        sells = np.clip(base / np.maximum(usual, 1e-9), 0.0, 1.0)
        borrowed = np.clip(near * sells, 1e-6, 0.9)
        lent = (snapshot.near_weight.sum(axis=1) > 0) & ~owned
        return np.where(lent, np.log(borrowed / (1 - borrowed)), log_odds).astype(np.float32)

    def _habit(
        self,
        snapshot: _Snapshot,
        log: Log,
        now: datetime,
        log_odds: FloatArray,
        origins: NDArray[np.int64],
    ) -> tuple[FloatArray, NDArray[np.int64]]:
        """Score without a ranker: own decayed frequency, then content, then popularity."""
        age = np.maximum(day_of(now) - log.day, 0)
        count = np.bincount(log.group, log.amount * np.exp2(-age / 91.0), len(snapshot.ids))
        profile = count.astype(np.float32) @ snapshot.vectors
        alike = snapshot.vectors @ (profile / max(float(np.linalg.norm(profile)), 1e-9))
        out = log_odds + 2.0 * np.log1p(count) + 1.5 * np.clip(alike, 0, 1)
        origins = np.where(count > 0, 1, origins)
        return out.astype(np.float32), np.where(alike > 0.5, origins | (1 << 8), origins)

    def _session_weights(self, snapshot: _Snapshot, session: Session) -> FloatArray:
        """Return (V,) in [0, 1]: how strongly the last events point to each product."""
        pull: dict[int, float] = {}
        clicked: dict[int, float] = {}
        steps = 0
        for event in reversed(session.events[-SESSION_EVENTS:]):
            power = SESSION_KINDS.get(type(event), 0.0)
            if isinstance(event, Rating) and event.rating <= LIKED:
                power = -power
            at = snapshot.index.get(event.product_id)
            if at is None or not power:
                continue
            weight = power * 0.5 ** (steps / SESSION_HALF_LIFE)
            steps += 1
            pull[at] = pull.get(at, 0.0) + weight
            if isinstance(event, Click):
                clicked[at] = clicked.get(at, 0.0) + weight * 0.6
        if not steps:
            return np.zeros(len(snapshot.ids), dtype=np.float32)
        places = np.fromiter(pull, np.int64, len(pull))
        out = self._alike_sum(snapshot, places, np.fromiter(pull.values(), np.float32, len(pull)))
        out[np.fromiter(clicked, np.int64)] += np.fromiter(clicked.values(), np.float32)
        peak = float(out.max(initial=0.0))
        return np.clip(out / np.float32(max(peak, 1.0)), -1.0, 1.0).astype(np.float32)

    def _alike_sum(self, snapshot: _Snapshot, places: IntArray, weights: FloatArray) -> FloatArray:
        """Return (V,) the sum of `alike` of distinct products times a weight each.

        Texts are compared once a product; who bought both touches a few hundred places each.
        """
        by_text = np.zeros(len(snapshot.ids), dtype=np.float32)
        by_sales, beside = by_text.copy(), by_text.copy()
        for at, weight in zip(places.tolist(), weights, strict=True):
            likeness = self._text_likeness(snapshot, at)
            if not self._is_sold(at):
                by_text += weight * likeness
                continue
            by_sales += weight * likeness
            others, shared = self._bought_with(at)
            own = likeness[others] * self._text_shares(others)
            beside[others] += weight * (np.minimum(own + shared, 1.0) - own)
        if self.state is not None:
            by_sales[: self._n_state][self.state.rankable] *= TEXT_SHARE
        return by_text + by_sales + beside

    def _text_likeness(self, snapshot: _Snapshot, at: int) -> FloatArray:
        """Return (V,) likeness of texts to one product, 0 to itself; kept, not to be changed."""
        with self._likeness_lock:
            known = snapshot.likeness.get(at)
        if known is None:
            known = _likeness(snapshot.vectors @ snapshot.vectors[at])
            known[at] = 0.0
            with self._likeness_lock:
                while len(snapshot.likeness) >= LIKENESS_KEPT:
                    del snapshot.likeness[next(iter(snapshot.likeness))]
                snapshot.likeness[at] = known
        return known

    def _is_sold(self, at: int) -> bool:
        """Say whether sales tell what is bought with a product."""
        return self.state is not None and at < self._n_state and bool(self.state.rankable[at])

    def _bought_with(self, at: int) -> tuple[IntArray, FloatArray]:
        """Return distinct products bought with one, and how much that adds to their likeness."""
        assert self.state is not None
        found: list[IntArray] = []
        shares: list[FloatArray] = []
        for matrix in (self.state.neighbours, self.state.companions):
            row = slice(matrix.indptr[at], matrix.indptr[at + 1])
            if row.start < row.stop:
                found.append(matrix.indices[row].astype(np.int64))
                shares.append(BOUGHT_SHARE * matrix.data[row] / matrix.data[row].max())
        if not found:
            return _NONE, _NOTHING
        others, where = np.unique(np.concatenate(found), return_inverse=True)
        return others, np.bincount(where, np.concatenate(shares)).astype(np.float32)

    def _text_shares(self, others: IntArray) -> FloatArray:
        """Return how much likeness of text counts for products beside one whose sales are known."""
        assert self.state is not None
        out = np.ones(len(others), dtype=np.float32)
        inside = others < self._n_state
        out[inside] = np.where(self.state.rankable[others[inside]], TEXT_SHARE, 1.0)
        return out

    def alike(self, snapshot: _Snapshot, at: int) -> FloatArray:
        """Return (V,) likeness to one product in [0, 1]: text, and who bought both."""
        out = self._alike_sum(snapshot, np.array([at]), np.ones(1, dtype=np.float32))
        return np.minimum(out, 1.0)

    def likeness(self, snapshot: _Snapshot, places: Sequence[int], item: int) -> FloatArray:
        """Return (n,) likeness in [0, 1] of one product to each of `places`, as `alike` has it."""
        text = _likeness(snapshot.vectors[list(places)] @ snapshot.vectors[item])
        for row, at in enumerate(places):
            if at == item:
                text[row] = 0.0
            if not self._is_sold(at):
                continue
            assert self.state is not None
            if item < self._n_state and self.state.rankable[item]:
                text[row] *= TEXT_SHARE
            for matrix in (self.state.neighbours, self.state.companions):
                start, stop = matrix.indptr[at], matrix.indptr[at + 1]
                here = np.flatnonzero(matrix.indices[start:stop] == item)
                if len(here):
                    most = matrix.data[start:stop].max()
                    text[row] += BOUGHT_SHARE * matrix.data[start + here[0]] / most
        return np.minimum(text, 1.0)

    # -- answers -------------------------------------------------------------------------------

    def recommend(
        self,
        visitor_id: str | None,
        recent: Sequence[Event] = (),
        *,
        now: datetime,
        limit: int = 10,
        surface: str = "home",
        filters: Filters | None = None,
        exclude: Collection[str] = (),
        rules: Sequence[Rule] = (),
        also: Collection[str] = (),
        policy: SlatePolicy | None = None,
    ) -> Slate:
        """Compose a slate for a visitor.

        Args:
            visitor_id: None for somebody unknown.
            recent: events since the release's data, in any order.
            now: aware moment of the request, by the service's clock.
            limit: places.
            surface: where it is shown; the shop's rules may depend on it.
            filters: hard constraints; never broken, so a slate is shorter, or empty, when fewer
                products meet them (`degraded` then says `filters`).
            exclude: product ids never shown.
            rules: wishes of the shop for this slate, beside those the engine holds.
            also: products asked about; those that might stand on this slate and do not come back,
                scored, as `Slate.also`.
            policy: how this slate is composed; the engine's own by default.

        Returns:
            Ranked products. Without filters it is never empty while the catalogue holds a product.
        """
        snapshot = self._snapshot
        session = read_session(recent, now)
        scores = self.scores(visitor_id, session, now)
        degraded = list(scores.degraded)
        wishes = [rule for rule in (*self.rules, *rules) if rule.holds(now, surface)]
        allowed = self._allowed(snapshot, session, scores, filters, set(exclude), now, wishes)
        if filters is not None and len(allowed) < limit:
            degraded.append("filters")
        named = [
            snapshot.index[product_id]
            for rule in wishes
            for product_id in rule.product_ids
            if product_id in snapshot.index
        ]
        chosen = policy or self.policy
        value = valued(scores.log_odds, snapshot.gain, scores.owned, chosen.goals)
        order = best_first(allowed, value, max(1000, 20 * limit))
        order = np.union1d(order, np.intersect1d(allowed, np.array(named, dtype=np.int64)))
        placed = self._compose(
            snapshot, scores, value, order, visitor_id, now, limit, surface, wishes, chosen
        )
        products = tuple(
            self._card(snapshot, scores, session, p.item, rank, p.explored, p.pinned)
            for rank, p in enumerate(placed, start=1)
        )
        open_, shown = set(allowed.tolist()), {p.item for p in placed}
        asked = [snapshot.index[p] for p in dict.fromkeys(also) if p in snapshot.index]
        return Slate(
            products,
            tuple(dict.fromkeys(degraded)),
            tuple(p.propensity for p in placed),
            tuple(
                self._card(snapshot, scores, session, item, len(placed) + 1, False, False)
                for item in asked
                if item in open_ and item not in shown
            ),
        )

    def _allowed(
        self,
        snapshot: _Snapshot,
        session: Session,
        scores: Scores,
        filters: Filters | None,
        exclude: set[str],
        now: datetime,
        rules: Sequence[Rule],
    ) -> IntArray:
        """Apply the hard filters, giving way step by step (never on the caller's filters)."""
        fits = np.zeros(len(snapshot.ids), dtype=bool)
        held = snapshot.table_rows >= 0
        fits[held] = snapshot.table.mask(filters)[snapshot.table_rows[held]]
        blocked = exclude | {
            product_id for rule in rules if rule.kind == "block" for product_id in rule.product_ids
        }
        for product_id in blocked:
            if product_id in snapshot.index:
                fits[snapshot.index[product_id]] = False
        sold = fits & snapshot.available
        wanted = sold.copy()
        for product_id in session.basket:
            if product_id in snapshot.index:
                wanted[snapshot.index[product_id]] = False
        wanted &= ~self._satisfied(snapshot, session, scores, now)
        for step in (wanted, sold, fits):
            if step.any():
                return np.flatnonzero(step)
        return np.zeros(0, dtype=np.int64)

    def _satisfied(
        self, snapshot: _Snapshot, session: Session, scores: Scores, now: datetime
    ) -> NDArray[np.bool_]:
        """Mark what needs no second sale now: bought and not repeatable, or just bought."""
        out = ~snapshot.repeatable
        out &= scores.owned
        today = day_of(now)
        for product_id, day in session.bought.items():
            at = snapshot.index.get(product_id)
            if at is None:
                continue
            usual = 28.0
            if self.state is not None and at < self._n_state:
                usual = min(float(self.state.facts[at, 7]), 90.0)
            product = snapshot.products[at]
            once = product is not None and not product.repeatable
            out[at] = once or (today - day) < max(1.0, NOT_DUE * usual)
        return out

    def _compose(
        self,
        snapshot: _Snapshot,
        scores: Scores,
        value: FloatArray,
        order: IntArray,
        visitor_id: str | None,
        now: datetime,
        limit: int,
        surface: str,
        rules: Sequence[Rule],
        policy: SlatePolicy,
    ) -> list[Any]:
        value = value.copy()
        pins: list[tuple[int, int]] = []
        open_ = set(order.tolist())
        for rule in rules:
            places = [snapshot.index[p] for p in rule.product_ids if p in snapshot.index]
            if rule.kind == "boost":
                value[places] += rule.amount
            elif rule.kind == "pin":
                kept = [place for place in places if place in open_]
                pins += [(rule.rank + offset, place) for offset, place in enumerate(kept)]
        order = order[np.lexsort((order, -value[order]))]
        if scores.ranking is None and policy.diversity == 0.0 and not scores.owned.any():
            policy = replace(policy, diversity=0.3, max_per_type=2)
        fresh: IntArray = np.zeros(0, dtype=np.int64)
        if policy.exploration > 0:
            fresh = order[(order >= self._n_state) | self._is_new(order)][:50]
        seed = zlib.crc32(f"{visitor_id}|{day_of(now)}|{surface}".encode())
        return compose(
            order.tolist(),
            value[order].tolist(),
            limit,
            policy,
            similarity=lambda item, others: np.clip(
                snapshot.vectors[list(others)] @ snapshot.vectors[item], 0.0, 1.0
            ),
            type_of=lambda item: _label(snapshot.products[item], "type"),
            category_of=lambda item: _label(snapshot.products[item], "category"),
            family_of=lambda item: _family(snapshot.products[item], item),
            pins=pins,
            explorable=fresh.tolist(),
            seed=seed,
        )

    def _is_new(self, items: IntArray) -> NDArray[np.bool_]:
        if self.state is None:
            return np.zeros(len(items), dtype=bool)
        inside = items < self._n_state
        out = np.zeros(len(items), dtype=bool)
        out[inside] = ~self.state.rankable[items[inside]]
        return out

    def _card(
        self,
        snapshot: _Snapshot,
        scores: Scores,
        session: Session,
        item: int,
        rank: int,
        explored: bool,
        pinned: bool,
        reasons: tuple[Reason, ...] | None = None,
    ) -> ScoredProduct:
        product = snapshot.products[item]
        assert product is not None
        origin = list(self.origin_of(scores, item))
        if explored:
            origin.insert(0, "exploration")
        if pinned:
            origin.insert(0, "pinned")
        if reasons is None:
            reasons = describe(self, snapshot, scores, session, item, tuple(origin))
        return scored_product(
            product,
            rank=rank,
            score=float(scores.log_odds[item]),
            origin=tuple(origin),
            reasons=reasons,
            probability=float(sigmoid(np.array(scores.log_odds[item]))),
        )

    def origin_of(self, scores: Scores, item: int) -> tuple[str, ...]:
        """Return the generators behind a product, or what stands in when none proposed it."""
        names = origin_names(int(scores.origins[item]))
        if names:
            return names
        is_new = item >= self._n_state or bool(self._is_new(np.array([item]))[0])
        return ("content",) if is_new and self.state is not None else ("popularity",)

    def similar(self, product_id: str, *, limit: int = 10) -> Slate:
        """Return products alike by text and by who buys both; available ones first.

        Raises:
            UnknownProductError: the catalogue does not hold the product.
        """
        snapshot = self._snapshot
        at = snapshot.index.get(product_id)
        if at is None or snapshot.products[at] is None:
            raise UnknownProductError(f"no product {product_id!r} in the catalogue.")
        value = self.alike(snapshot, at)
        places = np.flatnonzero((snapshot.table_rows >= 0) & snapshot.available)
        order = places[np.lexsort((places, -value[places]))].tolist()
        order = one_each(
            order, limit, lambda item: _family(snapshot.products[item], item), shown=[at]
        )
        cards = []
        for rank, item in enumerate(order, start=1):
            product = snapshot.products[item]
            assert product is not None
            reason = Reason(
                kind="similar", text="Similar to what you are looking at", evidence=(product_id,)
            )
            origin = ("content", "item_knn")
            cards.append(scored_product(product, rank=rank, score=float(value[item]),
                                        origin=origin, reasons=(reason,)))  # fmt: skip
        return Slate(tuple(cards), self.missing)

    def affinity(
        self,
        visitor_id: str | None,
        recent: Sequence[Event],
        product_ids: Sequence[str],
        *,
        now: datetime,
    ) -> FloatArray:
        """Return how much each product suits the visitor, in [0, 1]; 0 for an unknown product.

        The chance of a purchase, compared with a chance of one in fifty: 0.5 means just that. The
        session counts for anybody as it does for a known visitor: what is asked about has been
        chosen by other means, so no popularity must be outweighed.
        """
        return self.affinities(visitor_id, recent, now=now)(product_ids)

    def affinities(
        self, visitor_id: str | None, recent: Sequence[Event], *, now: datetime
    ) -> Callable[[Sequence[str]], FloatArray]:
        """Return `affinity` for one visitor and moment, to be asked about several lists."""
        snapshot = self._snapshot
        scores = self.scores(visitor_id, read_session(recent, now), now)
        odds = scores.before_session + np.float32(SESSION_WEIGHT) * scores.session_weight

        def suits(product_ids: Sequence[str]) -> FloatArray:
            places = np.array([snapshot.index.get(p, -1) for p in product_ids], dtype=np.int64)
            chance = sigmoid(odds[np.maximum(places, 0)])
            return np.where(places >= 0, chance / (chance + 0.02), 0.0).astype(np.float32)

        return suits

    def explain(
        self,
        visitor_id: str | None,
        product_id: str,
        recent: Sequence[Event] = (),
        *,
        now: datetime,
    ) -> tuple[Reason, ...]:
        """Return the reasons for a product, with what its rank would be without the evidence.

        Raises:
            UnknownProductError: the catalogue does not hold the product.
        """
        from components.recommend.reasons import explain

        if self._snapshot.index.get(product_id) is None:
            raise UnknownProductError(f"no product {product_id!r} in the catalogue.")
        return explain(self, visitor_id, product_id, recent, now=now)

    def history(self, visitor_id: str) -> list[Purchase]:
        """Return the visitor's purchases that the release knows, oldest first, one per day."""
        if self.history_store is None:
            return []
        rows = self.history_store.rows(visitor_id)
        ids = self._snapshot.ids
        order = np.lexsort((rows.group, rows.day))
        return [
            Purchase(
                event_id=f"{visitor_id}:{rows.day[row]}:{ids[rows.group[row]]}",
                at=datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=int(rows.day[row])),
                visitor_id=visitor_id,
                product_id=ids[rows.group[row]],
                quantity=max(1, round(float(rows.amount[row]))),
            )
            for row in order
        ]


def _family(product: Product | None, item: int) -> object:
    return item if product is None else family_key(product.title, product.brand)


def _label(product: Product | None, name: str) -> object:
    return None if product is None else (product.type if name == "type" else product.category)


def scored_product(
    product: Product,
    *,
    rank: int,
    score: float,
    origin: tuple[str, ...],
    reasons: tuple[Reason, ...] = (),
    probability: float | None = None,
) -> ScoredProduct:
    """Put a product and its score into the service's form; the score is rounded to 6 digits."""
    return ScoredProduct(
        product_id=product.product_id,
        title=product.title,
        price_minor=product.price_minor,
        currency=product.currency,
        score=round(score, 6),
        rank=rank,
        origin=origin,
        reasons=reasons,
        list_price_minor=product.list_price_minor,
        brand=product.brand,
        category=product.category,
        available=product.available,
        purchase_probability=None if probability is None else round(probability, 6),
    )


def _likeness(cosine: FloatArray) -> FloatArray:
    """Return cosines as likeness in [0, 1], the fourth power, in the same array."""
    np.clip(cosine, 0.0, 1.0, out=cosine)
    np.square(cosine, out=cosine)
    return np.square(cosine, out=cosine)


def best_first(items: IntArray, values: FloatArray, k: int) -> IntArray:
    """Return the `k` items of the highest value, best first, ties by smaller index."""
    if len(items) > k:
        least = np.partition(values[items], len(items) - k)[len(items) - k]
        items = items[values[items] >= least]
    return items[np.lexsort((items, -values[items]))][:k]


def nearest_anchors(
    vectors: FloatArray, anchors: IntArray, items: IntArray, k: int, block: int = 1024
) -> tuple[IntArray, FloatArray]:
    """Return the `k` anchors most alike to each item, with weights that add up to 1.

    Args:
        vectors: (V, D) unit rows.
        anchors: products that may lend.
        items: products that borrow.
        k: neighbours.
        block: items at a time.

    Returns:
        (n, k) product indices and (n, k) weights; all zero where there is nothing to borrow from.
    """
    near = np.zeros((len(items), k), dtype=np.int64)
    weight = np.zeros((len(items), k), dtype=np.float32)
    width = min(k, len(anchors))
    if not width:
        return near, weight
    for start in range(0, len(items), block):
        part = items[start : start + block]
        likeness = vectors[part] @ vectors[anchors].T
        best = np.argpartition(likeness, likeness.shape[1] - width, axis=1)[:, -width:]
        value = np.clip(np.take_along_axis(likeness, best, axis=1), 0.0, 1.0) ** 4
        near[start : start + block, :width] = anchors[best]
        total = value.sum(axis=1, keepdims=True)
        weight[start : start + block, :width] = np.divide(
            value, total, out=np.zeros_like(value), where=total > 1e-6
        )
    return near, weight


def save_history(folder: Path, store: HistoryStore) -> None:
    """Write the visitors' history as `history.npz` and `visitors.json`."""
    log = store.log
    np.savez_compressed(
        folder / "history.npz",
        visitor=log.visitor.astype(np.int32),
        group=log.group.astype(np.int32),
        day=log.day.astype(np.int32),
        week=log.week.astype(np.int16),
        trip=log.trip.astype(np.int32),
        amount=log.amount,
        discounted=log.discounted.astype(np.float16),
        place=log.place.astype(np.int32),
    )
    (folder / "visitors.json").write_text(json.dumps(list(store.visitor_ids)))


def load_history(folder: Path) -> HistoryStore:
    """Read what `save_history` wrote."""
    try:
        with np.load(folder / "history.npz", allow_pickle=False) as held:
            kinds = {"amount": np.float32, "discounted": np.float32}
            log = Log(
                **{n: held[n].astype(kinds.get(n, np.int64)) for n in Log.__dataclass_fields__}
            )
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(f"{folder}/history.npz cannot be read ({error}).") from error
    return HistoryStore.of(json.loads((folder / "visitors.json").read_text()), log)


def recent_sales(artefacts: Path) -> dict[str, float]:
    """Return purchases by product id as the search index holds them: recent ones where it can.

    An index of an older make holds those of all time alone; without an index there are none.
    """
    for name in ("recent.json", "popularity.json"):
        path = artefacts / "index" / name
        if path.is_file():
            held = json.loads(path.read_text(encoding="utf-8"))
            return {product_id: float(np.expm1(value)) for product_id, value in held.items()}
    return {}


def _load_text(artefacts: Path, missing: list[str]) -> tuple[Encode | None, dict[str, FloatArray]]:
    """Return the release's encoder and product vectors; names `text_vectors` if there are none."""
    if not (artefacts / "finetune" / "manifest.json").is_file():
        missing.append("text_vectors")
        return None, {}
    from components.text.vectors import load_encoder, product_vectors

    ids, rows = product_vectors(artefacts)
    encoder = load_encoder(artefacts)
    return encoder.encode, dict(zip(ids, rows, strict=True))
