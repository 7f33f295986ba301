"""The trial of a release under real shoppers: count in the service, rule, and tell the registry.

Every process counts failures and times of its own answers; clicks on slates come from the state's
event log, so they are those of all processes. A canary is stopped with its reason or promoted; a
promotion that brought a large loss is taken back. What the numbers mean: `registry/trials.py`.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Literal

from components.contracts.artefacts import Layout
from components.contracts.errors import RegistryError, ShelfwiseError
from components.contracts.params import PromoteParams
from components.registry.store import Registry
from components.registry.trials import Record, Ruling, judge_canary, judge_promotion
from components.state.store import Store

logger = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
WARM_UP_ANSWERS = 10
KEPT_TIMES = 500
KEPT_SLATES = 50_000
EVENTS_BEFORE = 20_000
WATCHED = timedelta(days=28)
KINDS = ("slate_shown", "click", "basket_add", "purchase")


@dataclass(frozen=True)
class Trial:
    """A release that is looked at: a canary beside the champion, or a champion after the last."""

    kind: Literal["canary", "promotion"]
    release_id: str
    other_id: str
    since: datetime
    seq: int
    share: float = 1.0


@dataclass
class Served:
    """What this process saw of one release's answers."""

    answers: int = 0
    failures: int = 0
    times_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))


@dataclass
class Slate:
    """One slate of the log."""

    release_id: str
    visitor_id: str
    is_after: bool
    clicked: set[str] = field(default_factory=set)


class Clicks:
    """Slates and the clicks on them, read from the event log piece by piece."""

    def __init__(self, store: Store, since: datetime, *, before: int = 0) -> None:
        """Begin at a wall-clock time, or `before` events earlier."""
        self._store = store
        self._start = store.sequence_at(since)
        self._read_to = max(0, self._start - before)
        self._slates: OrderedDict[str, Slate] = OrderedDict()

    def advance(self) -> None:
        """Read what has come since."""
        while True:
            rows = self._store.raw_events(self._read_to, kinds=KINDS)
            for row in rows:
                self._read_to = row["sequence"]
                body = row["body"]
                if row["kind"] == "slate_shown":
                    self._slates[str(body.get("slate_id"))] = Slate(
                        str(body.get("model_version")),
                        row["visitor_id"],
                        row["sequence"] > self._start,
                    )
                    while len(self._slates) > KEPT_SLATES:
                        self._slates.popitem(last=False)
                elif (slate := self._slates.get(str(body.get("slate_id")))) is not None:
                    slate.clicked.add(str(body.get("product_id")))
            if not rows:
                return

    def visitors(self, release_id: str, *, after: bool) -> dict[str, tuple[int, int]]:
        """Return visitor_id to (slates, products clicked), of before or after the start."""
        found: dict[str, tuple[int, int]] = {}
        for slate in self._slates.values():
            if slate.release_id == release_id and slate.is_after == after:
                shown, clicked = found.get(slate.visitor_id, (0, 0))
                found[slate.visitor_id] = (shown + 1, clicked + len(slate.clicked))
        return found


class Trials:
    """Follows the trial that the registry names, if there is one, and ends it."""

    def __init__(self, layout: Layout, store: Store, rules: PromoteParams) -> None:
        """Remember where the registry lies; nothing is read yet."""
        self._registry = Registry(layout.registry)
        self._store = store
        self._rules = rules
        self._lock = threading.Lock()
        self._served: dict[str, Served] = {}
        self._looked = 0.0
        self._history_size = -1
        self._trial: Trial | None = None
        self._clicks: Clicks | None = None
        self._settled: set[int] = set()
        self.report: dict[str, Any] = {}

    def note(self, release_id: str, seconds: float, *, failed: bool) -> None:
        """Count one answer of a release."""
        with self._lock:
            served = self._served.setdefault(release_id, Served())
            served.answers += 1
            served.failures += failed
            if not failed and served.answers > WARM_UP_ANSWERS:
                served.times_ms.append(seconds * 1000)

    def tick(self, unloadable: Mapping[str, str]) -> None:
        """Look at the present trial, at most every `LOOK_SECONDS`.

        Args:
            unloadable: releases that this process could not load, with the reason.

        Raises:
            StateError: the event log cannot be read.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            self._find()
            if self._trial is not None:
                self._look(self._trial, unloadable)
        except RegistryError as error:
            logger.error("trial: %s", error)

    def _find(self) -> None:
        """Read from the history, if it grew, which release is on trial."""
        try:
            size = self._registry.history_file.stat().st_size
        except FileNotFoundError:
            return
        if size == self._history_size:
            return
        found = present_trial(self._registry)
        if found is not None and found.seq in self._settled:
            found = None
        if found != self._trial:
            self._trial, self._clicks, self.report = found, None, {}
        self._history_size = size

    def _look(self, trial: Trial, unloadable: Mapping[str, str]) -> None:
        if trial.release_id in unloadable:
            reason = f"could not be loaded: {unloadable[trial.release_id]}"
            self._end(trial, Ruling(action="stop", reason=reason))
            return
        if self._clicks is None:
            before = EVENTS_BEFORE if trial.kind == "promotion" else 0
            self._clicks = Clicks(self._store, trial.since, before=before)
        self._clicks.advance()
        new = self._record(trial.release_id, after=True)
        old = self._record(trial.other_id, after=trial.kind == "canary")
        judge = judge_canary if trial.kind == "canary" else judge_promotion
        ruling = judge(new, old, self._rules)
        self.report = {
            "kind": trial.kind,
            "release_id": trial.release_id,
            "against": trial.other_id,
            "share": trial.share,
            "since": trial.since.isoformat(timespec="seconds"),
            "ruling": ruling.action,
            "reason": ruling.reason,
            "on_trial": new.as_json(),
            "other": old.as_json(),
            "checks": [check.model_dump() for check in ruling.checks],
        }
        if ruling.action != "go on":
            self._end(trial, ruling)

    def _record(self, release_id: str, *, after: bool) -> Record:
        assert self._clicks is not None
        with self._lock:
            served = self._served.get(release_id, Served())
            counted = replace(served, times_ms=deque(served.times_ms))
        return Record(
            release_id,
            answers=counted.answers,
            failures=counted.failures,
            times_ms=tuple(counted.times_ms),
            visitors=self._clicks.visitors(release_id, after=after),
        )

    def _end(self, trial: Trial, ruling: Ruling) -> None:
        """Carry a ruling to the registry; another process may have done so already."""
        registry, details = self._registry, {"trial": self.report}
        if trial.kind == "promotion":
            self._settled.add(trial.seq)
            self._trial = None
            if ruling.action == "stop":
                registry.rollback(
                    reason=ruling.reason,
                    by="promotion watch",
                    expected_champion=trial.release_id,
                    details=details,
                )
        elif ruling.action == "pass":
            registry.promote(
                trial.release_id,
                reason=ruling.reason,
                by="canary watch",
                expected_champion=trial.other_id,
                details=details,
            )
        elif registry.canary_stop(
            reason=ruling.reason, by="canary watch", expected=trial.release_id, details=details
        ):
            registry.record("refuse", trial.release_id, reason=ruling.reason, by="canary watch")
        logger.warning("%s %s: %s", trial.kind, trial.release_id, ruling.reason)


def present_trial(registry: Registry) -> Trial | None:
    """Return the canary, else the promotion that is young enough to be watched, else None.

    A promotion at the end of a canary's trial was watched already.
    """
    state = registry.state()
    history = registry.history()
    champion = state.line[-1] if state.line else None
    if state.canary is not None and champion not in (None, state.canary[0]):
        for entry in reversed(history):
            if entry.action == "canary_start" and entry.release_id == state.canary[0]:
                since = datetime.fromisoformat(entry.at)
                return Trial(
                    "canary", state.canary[0], str(champion), since, entry.seq, state.canary[1]
                )
    for entry in reversed(history):
        if entry.action == "rollback":
            return None
        if entry.action == "promote":
            since = datetime.fromisoformat(entry.at)
            is_old = datetime.now(UTC) - since > WATCHED
            if entry.previous is None or is_old or "trial" in entry.details:
                return None
            return Trial("promotion", str(entry.release_id), entry.previous, since, entry.seq)
    return None


def counted(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Count a shop's answers, their times and failures for the release that gave them.

    What the project raises on purpose is a caller's mistake, not the release's.
    """

    @wraps(answer)
    def counting(shop: Any, request: Any, **options: Any) -> Any:
        release_id = shop.current.for_visitor(request.visitor_id).release_id
        started = time.perf_counter()
        failed = True
        try:
            response = answer(shop, request, **options)
            failed = False
        except ShelfwiseError:
            failed = False
            raise
        finally:
            shop.trials.note(release_id, time.perf_counter() - started, failed=failed)
        return response

    return counting
