"""Is a release that answers shoppers as good as the one beside it, or the one before it?

In: a `Record` per release: answers, failures, times, and per visitor how many slates were shown and
how many products on them clicked. Out: a `Ruling` with the checks behind it, in words. It reads
nothing and moves nothing: `bentos/trials.py` counts in the service and carries the ruling to the
registry.

Looking often finds chance differences, so clicks are compared at sample sizes that double, and each
look may err half as often as the one before: all looks together err at most `ALPHA`. Slates of one
visitor hang together, so the error of a click rate is taken over visitors, not over slates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from components.contracts.params import PromoteParams
from components.registry.gate import Check

ALPHA = 0.05
FIRST_LOOK = 50
MIN_FAILURES = 3
MIN_TIMES = 100
LEAST_SLOW_MS = 50.0


@dataclass(frozen=True)
class Record:
    """What was seen of one release while it answered.

    Attributes:
        release_id: its id.
        answers: requests answered or failed.
        failures: requests that ended in an error of ours.
        times_ms: wall milliseconds of its latest answers, the first few left out.
        visitors: visitor_id to (slates shown, products on them clicked, put into the basket or
            bought). Whether a slate had any click says little where nearly every one has.
    """

    release_id: str
    answers: int = 0
    failures: int = 0
    times_ms: Sequence[float] = ()
    visitors: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def slates(self) -> int:
        """Slates shown to named visitors."""
        return sum(shown for shown, _ in self.visitors.values())

    @property
    def click_rate(self) -> float:
        """Products clicked / slates, from 0 up; 0 without slates."""
        return sum(clicked for _, clicked in self.visitors.values()) / max(self.slates, 1)

    @property
    def failure_rate(self) -> float:
        """Failures / answers, in [0, 1]."""
        return self.failures / max(self.answers, 1)

    def p95_ms(self) -> float:
        """Return the 95th percentile of its times in milliseconds; 0 without any."""
        ordered = sorted(self.times_ms)
        return ordered[int(0.95 * (len(ordered) - 1))] if ordered else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the figures for the record."""
        return {
            "release_id": self.release_id,
            "answers": self.answers,
            "failures": self.failures,
            "p95_ms": round(self.p95_ms(), 1),
            "slates": self.slates,
            "visitors": len(self.visitors),
            "click_rate": round(self.click_rate, 4),
        }


class Ruling(BaseModel):
    """What is to be done now, why, and the checks that were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["go on", "stop", "pass"]
    reason: str
    checks: tuple[Check, ...] = ()


def rate_variance(record: Record) -> float:
    """Return the squared error of the click rate, taken over visitors (ratio estimate)."""
    slates, rate = record.slates, record.click_rate
    if not slates:
        return 0.0
    squares = sum((c - rate * n) ** 2 for n, c in record.visitors.values())
    return max(squares, rate) / slates**2


def look_of(slates: int) -> int | None:
    """Return which look a sample allows: 0 at `FIRST_LOOK` slates, 1 at twice as many, and so on.

    >>> [look_of(n) for n in (49, 50, 99, 100, 400)]
    [None, 0, 0, 1, 3]
    """
    if slates < FIRST_LOOK:
        return None
    return (slates // FIRST_LOOK).bit_length() - 1


def is_worse(new: Record, old: Record) -> tuple[bool, float, float]:
    """Compare click rates at the look that the smaller sample allows.

    Returns:
        Whether `new` is worse beyond chance; the difference; the limit it had to fall below.
    """
    difference = new.click_rate - old.click_rate
    look = look_of(min(new.slates, old.slates))
    if look is None:
        return False, difference, float("-inf")
    z = NormalDist().inv_cdf(1 - ALPHA / 2 ** (look + 1))
    limit = -z * sqrt(rate_variance(new) + rate_variance(old))
    return difference < limit, difference, limit


def service_checks(new: Record, old: Record, rules: PromoteParams) -> list[Check]:
    """Failures and times of two releases that answered in the same process."""
    allowed = old.failure_rate + rules.canary_max_failures
    slow = max(old.p95_ms() * rules.max_latency_growth, LEAST_SLOW_MS)
    timed = min(len(new.times_ms), len(old.times_ms)) >= MIN_TIMES
    return [
        Check(
            name="failures",
            passed=new.failures < MIN_FAILURES or new.failure_rate <= allowed,
            observed=f"{new.failures} of {new.answers} answers ({new.failure_rate:.1%})",
            allowed=f"at most {allowed:.1%}",
        ),
        Check(
            name="time to answer",
            passed=not timed or new.p95_ms() <= slow,
            observed=f"p95 {new.p95_ms():.0f} ms, the other {old.p95_ms():.0f} ms",
            allowed=f"{slow:.0f} ms",
        ),
    ]


def click_check(new: Record, old: Record, *, least_loss: float = 0.0) -> Check:
    """Slates clicked, against the other release's.

    Args:
        new: the release on trial.
        old: the one it is held against.
        least_loss: a loss smaller than this share of the other's rate is let pass.
    """
    worse, difference, limit = is_worse(new, old)
    lost = -difference > least_loss * old.click_rate
    shown = f"{new.click_rate:.2f} clicks a slate on {new.slates} slates"
    return Check(
        name="clicks on slates",
        passed=not (worse and lost),
        observed=f"{shown}, the other {old.click_rate:.2f} on {old.slates}",
        allowed="no loss beyond chance"
        if limit == float("-inf")
        else f"no loss beyond chance ({limit:+.2f} here)",
    )


def judge_canary(canary: Record, champion: Record, rules: PromoteParams) -> Ruling:
    """Rule on a challenger that answers a share of the visitors beside the champion.

    It is stopped as soon as a check fails. With `canary_slates` slates it passes if its click rate
    is no more than `canary_max_loss` (a share of the champion's) lower, else it is stopped: a trial
    always ends.
    """
    checks = [*service_checks(canary, champion, rules), click_check(canary, champion)]
    failed = _failed(checks)
    if failed:
        return Ruling(action="stop", reason=failed, checks=tuple(checks))
    if min(canary.slates, champion.slates) < rules.canary_slates:
        seen = f"{canary.slates} of {rules.canary_slates} slates seen"
        return Ruling(action="go on", reason=seen, checks=tuple(checks))
    loss = champion.click_rate - canary.click_rate
    allowed = rules.canary_max_loss * champion.click_rate
    checks.append(
        Check(
            name="clicks at the end of the trial",
            passed=loss <= allowed,
            observed=f"{canary.click_rate:.2f} against {champion.click_rate:.2f}",
            allowed=f"a loss of at most {allowed:.2f} clicks a slate",
        )
    )
    failed = _failed(checks)
    if failed:
        return Ruling(action="stop", reason=failed, checks=tuple(checks))
    clicks = checks[2].observed
    return Ruling(action="pass", reason=f"canary passed: {clicks}", checks=tuple(checks))


def judge_promotion(new: Record, before: Record, rules: PromoteParams) -> Ruling:
    """Rule on a champion's first slates, against those of the champion before it.

    The two did not answer at the same time, so only a large loss counts (`watch_max_loss`): the
    shoppers may have changed between them, which is the monitor's business. Failures have no
    "before" in a process that was restarted, and are held against none.
    """
    idle = Record(before.release_id, visitors=before.visitors)
    checks = [
        service_checks(new, idle, rules)[0],
        click_check(new, before, least_loss=rules.watch_max_loss),
    ]
    failed = _failed(checks)
    if failed:
        return Ruling(action="stop", reason=failed, checks=tuple(checks))
    if new.slates < rules.canary_slates:
        seen = f"{new.slates} of {rules.canary_slates} slates seen"
        return Ruling(action="go on", reason=seen, checks=tuple(checks))
    return Ruling(action="pass", reason=checks[1].observed, checks=tuple(checks))


def _failed(checks: Sequence[Check]) -> str:
    return "; ".join(
        f"{c.name}: {c.observed} (allowed: {c.allowed})" for c in checks if not c.passed
    )
