"""The shop's time. The default data end years ago while events arrive today.

With `serve.clock: data`, now is the end of the release's data plus the time since that data was
first served; with `wall`, it is the wall clock. Recency, due times and offer dates are judged by
it, and the times of events that callers stamp with today's date are moved to it.

For rehearsals the data's clock may run faster: with SHELFWISE_CLOCK_SPEED=10080 a week passes in a
minute.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from components.contracts.errors import ServiceError
from components.contracts.params import ServeParams
from components.state.store import Store

TOLERANCE = timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """`offset` is what is added to the wall clock; from `since` on it grows if `speed` is not 1."""

    offset: timedelta
    wall: Callable[[], datetime]
    kind: str
    speed: float = 1.0
    since: datetime | None = None

    def now(self) -> datetime:
        """Return the shop's present, in UTC."""
        wall = self.wall()
        ahead = (wall - self.since) * (self.speed - 1) if self.since else timedelta(0)
        return wall + self.offset + ahead

    def place(self, at: datetime | None) -> datetime | None:
        """Return an event's time in the shop's time; none if it lies in the future of both clocks.

        Args:
            at: as the caller stamped it; none means now.
        """
        now = self.now()
        if at is None:
            return now
        if at <= now + TOLERANCE:
            return min(at, now)
        if at <= self.wall() + TOLERANCE:
            return min(at + self.offset, now)
        return None


def clock_for(data_end: datetime, params: ServeParams, store: Store) -> Clock:
    """Return the clock for a release; when its data were first served is kept in the state."""

    def wall() -> datetime:
        return datetime.now(UTC)

    if params.clock == "wall":
        return Clock(timedelta(0), wall, "wall")
    end = data_end.astimezone(UTC)
    first = store.setting(f"first_served:{end.isoformat()}", wall().isoformat())
    since = datetime.fromisoformat(first)
    return Clock(end - since, wall, "data", speed=speed(), since=since)


def speed() -> float:
    """Return how many times faster than the wall clock the data's clock runs.

    Raises:
        ServiceError: SHELFWISE_CLOCK_SPEED is no positive number.
    """
    text = os.environ.get("SHELFWISE_CLOCK_SPEED", "1")
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ServiceError(f"SHELFWISE_CLOCK_SPEED={text!r} is no positive number.")
    return found
