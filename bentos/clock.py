"""The shop's time. The default data end years ago while events arrive today.

With `serve.clock: data`, now is the end of the release's data plus the time since that data was
first served; with `wall`, it is the wall clock. Recency, due times and offer dates are judged by
it, and the times of events that callers stamp with today's date are moved to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from components.contracts.params import ServeParams
from components.state.store import Store

TOLERANCE = timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """`offset` is what is added to the wall clock."""

    offset: timedelta
    wall: Callable[[], datetime]
    kind: str

    def now(self) -> datetime:
        """Return the shop's present, in UTC."""
        return self.wall() + self.offset

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
    return Clock(end - datetime.fromisoformat(first), wall, "data")
