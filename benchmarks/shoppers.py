"""Shoppers with a known mind: they ask the service for slates, look, click, buy, and tell it.

The minds are those of the synthetic shop (`components/data/synthetic.py`): utilities, staples,
examination by rank. Here the slates come from the running service over HTTP, and what shoppers do
goes back as events, so the loop is closed. `fashion` changes what everybody likes from one week to
the next; `newcomers` brings visitors whom no release has seen.
"""

import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from components.contracts.params import IngestParams
from components.data.synthetic import (
    CURRENCY,
    REVIEW_SHARE,
    SEARCH_SHARE,
    SESSIONS_A_WEEK,
    STAPLES,
    START,
    build,
)

MINUTES = 7 * 24 * 60
LAST_CALL = 6 * 60  # minutes before a week's end after which no visit begins: all end within it
RETRIES = 200


def sigmoid(x: Any) -> Any:
    """Return the logistic function."""
    return 1.0 / (1.0 + np.exp(-np.asarray(x)))


@dataclass(frozen=True)
class World:
    """What the shoppers want.

    Attributes:
        visitor_ids: one per row of `utility`.
        utility: (visitors, products) liking, in the unit of the synthetic shop.
        staples: (visitors, STAPLES) product indices bought at intervals.
        interval: (visitors, STAPLES) weeks between two purchases of a staple.
        examination: chance that a rank is looked at.
        product_ids, nouns, prices: by product index.
    """

    visitor_ids: tuple[str, ...]
    utility: np.ndarray
    staples: np.ndarray
    interval: np.ndarray
    examination: np.ndarray
    product_ids: tuple[str, ...]
    nouns: tuple[str, ...]
    prices: tuple[int, ...]
    timezone: str

    @classmethod
    def of(cls, params: IngestParams) -> "World":
        """Return the minds behind a synthetic shop, as they were in its last week."""
        tables, truth = build(params)
        products = tables["products"].sort("product_id")
        return cls(
            visitor_ids=tuple(f"v{i:04d}" for i in range(len(truth.utility))),
            utility=truth.utility + truth.season[truth.category, -1][None, :],
            staples=truth.staples,
            interval=truth.interval,
            examination=truth.examination,
            product_ids=tuple(products["product_id"]),
            nouns=tuple(products["type"]),
            prices=tuple(products["price_minor"]),
            timezone=params.timezone,
        )

    def fashion(self, strength: float, *, seed: int) -> "World":
        """Return a world in which a third of the products is liked more and the rest less."""
        generator = np.random.default_rng(seed)
        trend = np.where(generator.random(len(self.product_ids)) < 0.33, strength, -strength)
        utility = self.utility + trend[None, :]
        noisy = utility + generator.gumbel(size=utility.shape)
        staples = np.argsort(-noisy, axis=1, kind="stable")[:, :STAPLES]
        return replace(self, utility=utility, staples=staples)

    def newcomers(self, share: float, *, seed: int) -> "World":
        """Return a world with `share` more visitors, each with the mind of a present one."""
        generator = np.random.default_rng(seed)
        like = generator.choice(len(self.visitor_ids), int(share * len(self.visitor_ids)))
        return replace(
            self,
            visitor_ids=(*self.visitor_ids, *(f"n{seed}-{i:04d}" for i in range(len(like)))),
            utility=np.concatenate([self.utility, self.utility[like]]),
            staples=np.concatenate([self.staples, self.staples[like]]),
            interval=np.concatenate([self.interval, self.interval[like]]),
        )

    def at(self, week: int, minute: float) -> datetime:
        """Return the time of a minute of a shop week, weeks counted from 1."""
        local = START + timedelta(weeks=week - 1, minutes=minute)
        return local.replace(tzinfo=ZoneInfo(self.timezone)).astimezone(UTC)


@dataclass(frozen=True)
class Seen:
    """One slate and what came of it.

    Attributes:
        model_version: the release that answered.
        liked: clicks to be expected from this slate by the truth; its quality without luck.
        clicks: clicks made.
    """

    visitor_id: str
    model_version: str
    surface: str
    liked: float
    clicks: int


@dataclass
class Log:
    """What the shoppers saw; filled by several threads."""

    slates: list[Seen] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    missed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def rate(self, *, releases: Iterable[str] | None = None, surface: str | None = "home") -> float:
        """Return clicks to be expected per slate; NaN without slates."""
        kept = None if releases is None else set(releases)
        liked = [
            s.liked
            for s in self.slates
            if (kept is None or s.model_version in kept) and surface in (None, s.surface)
        ]
        return float(np.mean(liked)) if liked else float("nan")

    def clicked(self) -> float:
        """Return the share of slates with a click."""
        return float(np.mean([s.clicks > 0 for s in self.slates])) if self.slates else float("nan")

    def answered_by(self) -> dict[str, int]:
        """Return slates by release."""
        found: dict[str, int] = {}
        for slate in self.slates:
            found[slate.model_version] = found.get(slate.model_version, 0) + 1
        return found


class Link:
    """One client's connection, opened anew when the service is gone."""

    def __init__(self, port: int, stop: threading.Event, wait_seconds: float = 0.1) -> None:
        """Remember where to ask; a client gives up when `stop` is set."""
        self._port, self._stop, self._wait = port, stop, wait_seconds
        self._link: http.client.HTTPConnection | None = None

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and answer; asks again while nobody answers.

        Raises:
            ConnectionError: nobody answered for long, or the trial is over.
        """
        data = json.dumps(body)
        for _ in range(RETRIES):
            try:
                if self._link is None:
                    self._link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                self._link.request("POST", path, data, {"Content-Type": "application/json"})
                answer = self._link.getresponse()
                return answer.status, json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self._link = None
                if self._stop.wait(self._wait):
                    break
        raise ConnectionError(f"nobody answers on port {self._port}")


def play_week(
    world: World,
    week: int,
    port: int,
    *,
    seed: int,
    speed: float,
    clients: int = 4,
    share: float = 1.0,
    until: threading.Event | None = None,
) -> Log:
    """Let every shopper of a world live one week against the service on `port`.

    Visits begin when the shop's clock reaches their minute, or as soon after as a client is free;
    those that would begin after the week's end are missed, so that no week reaches into the next.

    Args:
        world: what they want.
        week: shop week, from 1.
        port: of the API on loopback.
        seed: makes visits and minds' draws repeatable; answers depend on the service.
        speed: how much faster than the wall clock the shop's clock runs.
        clients: threads that ask at once.
        share: of the usual visits.
        until: ends the week early when set.
    """
    generator = np.random.default_rng([seed, week])
    counts = generator.poisson(SESSIONS_A_WEEK * share, len(world.visitor_ids))
    visits = [
        (float(minute), visitor)
        for visitor, count in enumerate(counts)
        for minute in generator.uniform(8 * 60, MINUTES - 2 * LAST_CALL, count)
    ]
    visits.sort()
    log, stop = Log(), until or threading.Event()
    begun = time.monotonic() + (world.at(week, 0) - shop_time(port)).total_seconds() / speed
    closes = begun + (MINUTES - LAST_CALL) * 60 / speed
    turn = iter(enumerate(visits))
    picking = threading.Lock()

    def live() -> None:
        link = Link(port, stop)
        while not stop.is_set():
            with picking:
                chosen = next(turn, None)
            if chosen is None:
                return
            number, (minute, visitor) = chosen
            stop.wait(max(0.0, begun + minute * 60 / speed - time.monotonic()))
            if time.monotonic() > closes:
                with log.lock:
                    log.missed += 1
                continue
            draw = np.random.default_rng([seed, week, number])
            try:
                visit(world, visitor, f"w{week}s{seed}-{number}", link, draw, log)
            except ConnectionError as error:
                with log.lock:
                    log.errors.append(str(error))
                return

    threads = [threading.Thread(target=live) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return log


def shop_time(port: int) -> datetime:
    """Return what the shop's clock shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/operations", timeout=30) as answer:
        return datetime.fromisoformat(json.loads(answer.read())["now"])


def visit(
    world: World,
    visitor: int,
    session: str,
    link: Link,
    draw: np.random.Generator,
    log: Log,
) -> None:
    """One visit: a slate or a search, looks and clicks, what is due, and the events told."""
    visitor_id = world.visitor_ids[visitor]
    liking = world.utility[visitor]
    if draw.random() < SEARCH_SHARE:
        wanted = int(np.argmax(liking + draw.gumbel(size=len(liking))))
        surface, path = "search", "/v1/search"
        body: dict[str, Any] = {"query": world.nouns[wanted], "visitor_id": visitor_id, "limit": 10}
    else:
        surface, path = "home", "/v1/recommend"
        body = {"visitor_id": visitor_id, "limit": 10}
    status, answer = link.post(path, body)
    if status != 200:
        with log.lock:
            log.errors.append(f"{path}: {status} {answer.get('detail', '')}")
        return
    place = {name: i for i, name in enumerate(world.product_ids)}
    shown = [place[p["product_id"]] for p in answer["products"] if p["product_id"] in place]
    shown = shown[: len(world.examination)]
    looks = world.examination[: len(shown)]
    chance = sigmoid(liking[shown] - 0.5) if shown else np.array([])
    clicked = (draw.random(len(shown)) < looks) & (draw.random(len(shown)) < chance)
    events: list[dict[str, Any]] = []

    def tell(kind: str, product: int, slate: str | None = None, **more: Any) -> None:
        events.append(
            {
                "kind": kind,
                "event_id": f"{session}-{len(events)}",
                "visitor_id": visitor_id,
                "session_id": session,
                "product_id": world.product_ids[product],
                **({"slate_id": slate} if slate else {}),
                **more,
            }
        )

    basket: dict[int, str | None] = {}
    for rank in np.flatnonzero(clicked):
        product = shown[int(rank)]
        tell("click", product, answer["slate_id"])
        if draw.random() < sigmoid(liking[product] - 0.3):
            tell("basket_add", product, answer["slate_id"])
            basket[product] = answer["slate_id"]
    # A staple is due in a share of the visits that keeps its interval.
    due = draw.random(STAPLES) < 1.0 / (world.interval[visitor] * SESSIONS_A_WEEK)
    for product in world.staples[visitor][due]:
        basket.setdefault(int(product), None)
    for product, slate in basket.items():
        tell(
            "purchase",
            product,
            slate,
            variant_id=f"{world.product_ids[product]}-1",
            quantity=1 + int(draw.random() < 0.2),
            price_minor=int(world.prices[product]),
            currency=CURRENCY,
            order_id=f"o-{session}",
        )
        if draw.random() < REVIEW_SHARE:
            stars = float(np.clip(np.round(3.8 + 0.4 * liking[product] + draw.normal()), 1, 5))
            tell("rating", product, rating=stars)
    if events:
        status, told = link.post("/v1/events", {"events": events})
    with log.lock:
        log.slates.append(
            Seen(
                visitor_id,
                str(answer["model_version"]),
                surface,
                float((looks * chance).sum()),
                int(clicked.sum()),
            )
        )
        if events and status == 200:
            refused = {r["index"]: r["reason"] for r in told["rejected"]}
            log.acknowledged += [e["event_id"] for i, e in enumerate(events) if i not in refused]
            log.refused += [f"{events[i]['kind']}: {reason}" for i, reason in refused.items()]
        elif events:
            log.errors.append(f"/v1/events: {status}")
