"""Reasons that are true: which events carried a product, checked by leaving them out.

`describe` names what the scores rest on, cheaply, for every card. `explain` goes further: it looks
for the smallest set of events without which the product would fall, by scoring again without them,
and says where it would then stand. What cannot be shown by leaving events out is not cited.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.contracts.messages import Reason
from components.contracts.records import Event
from components.recommend.history import IntArray, Log

if TYPE_CHECKING:
    from components.recommend.engine import RecommendEngine, Scores, Session, _Snapshot

HEAD = 10
DROP = 5
LEAST_PULL = 0.05  # of a session on a product; less is noise of likeness
EPOCH = date(1970, 1, 1)


def describe(
    engine: "RecommendEngine",
    snapshot: "_Snapshot",
    scores: "Scores",
    session: "Session",
    item: int,
    origin: tuple[str, ...],
) -> tuple[Reason, ...]:
    """Return at most two short reasons for a card, strongest first, without a counterfactual."""
    reasons: list[Reason] = []
    if "pinned" in origin:
        reasons.append(Reason(kind="pinned", text="Chosen by the shop"))
    if "exploration" in origin:
        reasons.append(Reason(kind="exploration", text="New here: we are finding out who likes it"))
    own = own_reason(engine, scores, item)
    if own is not None:
        reasons.append(own)
    if is_moved_by_session(scores, item):
        lead = session_lead(engine, snapshot, session, item)
        if lead is not None:
            reasons.append(lead)
    if own is None:
        together = together_reason(engine, snapshot, scores, item)
        if together is not None:
            reasons.append(together)
    if "promoted" in origin and is_exposed(engine, scores, item):
        reasons.append(Reason(kind="promoted", text="In this week's mailer or on display"))
    if not reasons and origin[:1] == ("content",):
        near = snapshot.near[item][: 1 if snapshot.near_weight[item].any() else 0]
        titles = [p.title for p in (snapshot.products[n] for n in near) if p is not None]
        text = f"New; much like {titles[0]}" if titles else "New in the shop"
        reasons.append(Reason(kind="content", text=text,
                              evidence=tuple(snapshot.ids[n] for n in near)))  # fmt: skip
    if not reasons:
        reasons.append(Reason(kind="popularity", text="Popular in the shop now"))
    return tuple(reasons[:2])


def _day_text(day: int) -> str:
    moment = EPOCH + timedelta(days=int(day))
    return f"{moment.day} {moment:%B}"


def own_reason(engine: "RecommendEngine", scores: "Scores", item: int) -> Reason | None:
    """Return "you bought it n times" with the purchases as evidence, if there are any."""
    if scores.log is None or not scores.owned[item]:
        return None
    rows = np.flatnonzero(scores.log.group == item)
    days = np.unique(scores.log.day[rows])
    text = f"You bought it on {_day_text(days[-1])}"
    if len(days) > 1:
        gap = (days[-1] - days[0]) / (len(days) - 1)
        text = f"You bought it {len(days)} times, about every {max(1, round(gap))} days"
        text += f"; last on {_day_text(days[-1])}"
    return Reason(kind="repeat", text=text, evidence=evidence_ids(engine, scores, rows))


def evidence_ids(engine: "RecommendEngine", scores: "Scores", rows: IntArray) -> tuple[str, ...]:
    """Return the event ids of log rows, as `RecommendEngine.history` names them, newest first."""
    log = scores.log
    assert log is not None
    order = rows[np.argsort(-log.day[rows], kind="stable")]
    ids = engine.product_ids
    return tuple(f"{scores.visitor_id}:{log.day[r]}:{ids[log.group[r]]}" for r in order)


def is_moved_by_session(scores: "Scores", item: int) -> bool:
    """Tell whether a product stands where it does for the session: it rose enough.

    A product that half the shop buys is pulled by any session and stood in front before. Enough is
    `DROP` places, or one more than now stand before it.
    """
    if scores.session_weight[item] <= LEAST_PULL:
        return False
    ahead = int((scores.log_odds > scores.log_odds[item]).sum())
    ahead_before = int((scores.before_session > scores.before_session[item]).sum())
    return ahead_before - ahead >= min(DROP, ahead + 1)


def session_lead(
    engine: "RecommendEngine", snapshot: "_Snapshot", session: "Session", item: int
) -> Reason | None:
    """Return "because you looked at ..." with the event that points to the product most."""
    best: tuple[float, Any] | None = None
    kinds = ("click", "basket_add", "purchase", "rating")
    events = [e for e in session.events[-20:] if e.product_id in snapshot.index and e.kind in kinds]
    for pull, event in zip(_pulls(engine, snapshot, events, item), events, strict=True):
        if pull > 0.05 and (best is None or pull >= best[0]):
            best = (pull, event)
    if best is None:
        return None
    product = snapshot.products[snapshot.index[best[1].product_id]]
    verb = {
        "click": "looked at", "basket_add": "put into your basket", "purchase": "just bought",
        "rating": "rated",
    }[best[1].kind]  # fmt: skip
    name = "it" if product is None or best[1].product_id == snapshot.ids[item] else product.title
    return Reason(kind="session", text=f"You {verb} {name}", evidence=(best[1].event_id,))


def _pulls(
    engine: "RecommendEngine", snapshot: "_Snapshot", events: Sequence[Any], item: int
) -> list[float]:
    """Return how strongly each event on a known product points to `item`, in [0, 1]."""
    at = [snapshot.index[e.product_id] for e in events]
    places = list(dict.fromkeys(at))
    found = dict(zip(places, engine.likeness(snapshot, places, item).tolist(), strict=True))
    return [1.0 if place == item else found[place] for place in at]


def together_reason(
    engine: "RecommendEngine", snapshot: "_Snapshot", scores: "Scores", item: int
) -> Reason | None:
    """Return "people who buy X buy this" for the purchases with most similarity to the product."""
    if scores.log is None or engine.state is None or item >= engine.state.n_products:
        return None
    leads = lead_products(engine, scores.log, item)[:2]
    titles = [p.title for p in (snapshot.products[i] for i in leads) if p is not None]
    if not titles:
        return None
    rows = np.flatnonzero(np.isin(scores.log.group, leads))
    return Reason(
        kind="item_knn",
        text=f"Often bought by people who buy {' and '.join(titles)}, as you do",
        evidence=evidence_ids(engine, scores, rows),
    )


def lead_products(engine: "RecommendEngine", log: Log, item: int) -> list[int]:
    """Return the bought products most similar to `item` by who buys both, strongest first."""
    state = engine.state
    assert state is not None
    bought, inverse = np.unique(log.group, return_inverse=True)
    taste = np.log1p(np.bincount(inverse, log.amount))
    column = np.asarray(state.neighbours[bought, item].todense()).ravel() * taste
    order = np.lexsort((bought, -column))
    return [int(bought[place]) for place in order if column[place] > 0 and bought[place] != item]


def is_exposed(engine: "RecommendEngine", scores: "Scores", item: int) -> bool:
    """Say whether the product is displayed or mailed in the week of the request."""
    if engine.state is None or item >= engine.state.n_products:
        return False
    shares = engine.state.exposures.shares.get(scores.week)
    return shares is not None and bool(shares[item, :2].max() > 0.1)


@dataclass(frozen=True)
class Citation:
    """A set of events and what their absence does.

    Attributes:
        rows: rows of the visitor's log that are left out.
        event_ids: session events that are left out.
        rank: the product's rank with everything.
        rank_without: its rank without them.
    """

    rows: IntArray
    event_ids: tuple[str, ...]
    rank: int
    rank_without: int

    @property
    def carries(self) -> bool:
        """Say whether leaving the events out makes the product fall out of the head, or by five."""
        return falls(self.rank, self.rank_without)


def falls(rank: int, rank_without: int) -> bool:
    """Say whether a product leaves the first ten or drops at least five ranks."""
    return (rank <= HEAD < rank_without) or rank_without - rank >= DROP


def rank_of(values: NDArray[Any], item: int, allowed: NDArray[np.bool_]) -> int:
    """Return the rank from 1 of `item` among the allowed ones (itself always counted)."""
    better = allowed & (values > values[item])
    ties = allowed & (values == values[item])
    return int(better.sum() + ties[:item].sum()) + 1


def cite(
    engine: "RecommendEngine",
    visitor_id: str | None,
    product_id: str,
    recent: Sequence[Event],
    *,
    now: datetime,
    tries: int = 6,
) -> Citation | None:
    """Find a small set of events that carries the product.

    Sets are tried from narrow to wide: the session events that point to it, the purchases of the
    product itself, then those of the products most similar to it, then those of its type. The
    first whose absence makes the product fall is returned.

    Returns:
        None when no tried set carries it: it is there because it is popular or promoted.
    """
    from components.recommend.engine import read_session

    snapshot = engine.snapshot
    item = snapshot.index[product_id]
    session = read_session(recent, now)
    log = engine.visitor_log(visitor_id, session, now)
    full = engine.scores_of(log, session, now, visitor_id=visitor_id)
    allowed = snapshot.available & (snapshot.table_rows >= 0)
    rank = rank_of(full.log_odds, item, allowed)
    for rows, dropped in _evidence_sets(engine, snapshot, full, session, log, item)[:tries]:
        kept = log.take(np.setdiff1d(np.arange(len(log)), rows))
        events = tuple(e for e in session.events if e.event_id not in dropped)
        without = engine.scores_of(
            retripped(kept), replace(session, events=events), now, visitor_id=visitor_id
        )
        found = Citation(rows, tuple(sorted(dropped)), rank,
                         rank_of(without.log_odds, item, allowed))  # fmt: skip
        if found.carries:
            return found
    return None


def retripped(log: Log) -> Log:
    """Number the trips of one visitor's log anew after rows were taken out."""
    if not len(log):
        return log
    _, trip = np.unique(log.day, return_inverse=True)
    return replace(log, trip=trip.astype(np.int64))


def _evidence_sets(
    engine: "RecommendEngine",
    snapshot: "_Snapshot",
    scores: "Scores",
    session: "Session",
    log: Log,
    item: int,
) -> list[tuple[IntArray, frozenset[str]]]:
    """Return sets of (log rows, session event ids) worth leaving out, narrow ones first."""
    none = np.zeros(0, dtype=np.int64)
    sets: list[tuple[IntArray, frozenset[str]]] = []
    events = [
        e
        for e in session.events
        if e.product_id in snapshot.index and e.kind in ("click", "basket_add", "rating")
    ]
    pulls = _pulls(engine, snapshot, events, item)
    pulling = frozenset(e.event_id for pull, e in zip(pulls, events, strict=True) if pull > 0.05)
    if pulling:
        sets.append((none, pulling))
    own = np.flatnonzero(log.group == item)
    if len(own):
        sets.append((own, frozenset()))
        if pulling:
            sets.append((own, pulling))
    if engine.state is None or item >= engine.state.n_products:
        if len(log):
            likeness = snapshot.vectors[log.group] @ snapshot.vectors[item]
            sets.append((np.flatnonzero(likeness > 0.6), pulling))
        return [s for s in sets if len(s[0]) or s[1]]
    leads = lead_products(engine, log, item)
    for count in (1, 3, 8):
        if len(leads) >= count:
            rows = np.flatnonzero(np.isin(log.group, leads[:count]))
            sets.append((np.union1d(own, rows), frozenset()))
    of_type = np.flatnonzero(engine.state.type_of[log.group] == engine.state.type_of[item])
    if len(of_type) > len(own):
        sets.append((of_type, frozenset()))
    if leads:
        rows = np.flatnonzero(np.isin(log.group, leads[:8]))
        sets.append((np.union1d(of_type, rows), pulling))
    return sets


def explain(
    engine: "RecommendEngine",
    visitor_id: str | None,
    product_id: str,
    recent: Sequence[Event],
    *,
    now: datetime,
) -> tuple[Reason, ...]:
    """Return the reasons of a product, the first with the counterfactual that supports it."""
    from components.recommend.engine import read_session

    snapshot = engine.snapshot
    session = read_session(recent, now)
    scores = engine.scores(visitor_id, session, now)
    item = snapshot.index[product_id]
    plain = describe(engine, snapshot, scores, session, item, engine.origin_of(scores, item))
    found = cite(engine, visitor_id, product_id, recent, now=now)
    if found is None:
        if scores.log is not None and len(scores.log):
            text = "No single group of your purchases put it here: it would stand anyway"
            return (*[r for r in plain if r.kind not in ("repeat", "item_knn")],
                    Reason(kind="general", text=text))  # fmt: skip
        return plain
    ids = evidence_ids(engine, scores, found.rows) + found.event_ids
    kinds = {"event": len(found.event_ids), "purchase": len(found.rows)}
    parts = [f"{n} {word}{'s' if n > 1 else ''}" for word, n in kinds.items() if n]
    lead = Reason(
        kind=plain[0].kind if plain[0].kind not in ("popularity", "promoted") else "history",
        text=f"{plain[0].text}. Without {' and '.join(parts)} of yours it would be "
        f"{ordinal(found.rank_without)} instead of {ordinal(found.rank)}",
        evidence=ids,
        counterfactual_rank=found.rank_without,
    )
    return (lead, *plain[1:])


def ordinal(number: int) -> str:
    """Write a rank as people say it.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st', '112th']
    """
    suffix = (
        "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{suffix}"
