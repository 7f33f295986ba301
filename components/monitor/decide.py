"""From alarms to a diagnosis and a remedy, as a record that a person can check.

Four remedies, weakest last: a data fault stops the pipeline and puts the week aside (training on it
would teach the fault); a regression of what is served is rolled back; a shift of shoppers or goods
is answered by a retrain; a known season, or a change that no model can learn from, is noted.

The rules go from certain to likely and the first that speaks decides. Integrity alarms are faults
by definition. Behaviour alarms are faults when they are of a size or shape that shoppers do not
make overnight: every price by one factor, a clock turned by hours, a category gone to nothing.
What is left is seasonal if the calendar says so, else a shift.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from components.monitor.profile import FAR_RATIO, Histogram, Kind, Profile
from components.monitor.thresholds import (
    RARE,
    Reference,
    Thresholds,
    distances,
    hellinger,
    measures_of,
)

Diagnosis = Literal["no drift", "data fault", "regression", "shift", "seasonal", "volume change"]
Remedy = Literal["none", "stop and quarantine", "roll back", "retrain", "note"]
REMEDIES: Mapping[Diagnosis, Remedy] = {
    "no drift": "none",
    "data fault": "stop and quarantine",
    "regression": "roll back",
    "shift": "retrain",
    "seasonal": "note",
    "volume change": "note",
}
FAR_PRICES = 0.04
FAR_WITH_MOVE = 0.3
SMALL_MOVE = 0.05
FAR_QUANTITIES = 0.04
MANY_LINES = 0.03
LOST_VOLUME = 0.6
EXTRA_VOLUME = 1.6
VANISHED = 0.1
VANISHED_FROM = {"category": 0.004, "place": 0.02, "day of the week": 0.05, "hour of the day": 0.03}
LEAST_EXPECTED = 20  # lines of a bin in a week: what is fewer may stay away by chance, or by taste
NEW_IDENTIFIERS = 0.5
SEASON_LIMIT = 4.0
NEW_TEXTS = 0.01


class Moved(BaseModel):
    """One bin of a measure: its share before and now, both in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bin: str
    before: float
    now: float


class Alarm(BaseModel):
    """One measure beyond its limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    column: str
    kind: Kind
    distance: float
    limit: float
    moved: tuple[Moved, ...] = ()

    @property
    def exceedance(self) -> float:
        """Distance over limit, above 1."""
        return self.distance / self.limit


class Decision(BaseModel):
    """What was found in a week, what it means, and what is to be done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    week: int
    first_day: str
    last_day: str
    diagnosis: Diagnosis
    remedy: Remedy
    columns: tuple[str, ...]
    reason: str
    season: tuple[str, ...] = ()
    complete: bool = True
    alarms: tuple[Alarm, ...] = ()
    compared_with: tuple[int, ...] = ()
    distances: dict[str, float] = {}


def find_alarms(profile: Profile, reference: Reference, thresholds: Thresholds) -> list[Alarm]:
    """Return the measures beyond their limits, the furthest first."""
    measures = measures_of(profile)
    alarms = []
    for name, value in distances(profile, reference).items():
        measure, distance = measures[name], float(value[0])
        limit = thresholds.limit(measure)
        if distance > limit:
            moved = (
                _moved(profile.histograms[name], reference.shares[name])
                if name in profile.histograms
                else (Moved(bin="lines", before=reference.lines, now=float(profile.lines)),)
            )
            alarms.append(
                Alarm(
                    measure=name,
                    column=measure.column,
                    kind=measure.kind,
                    distance=round(distance, 6),
                    limit=round(limit, 6),
                    moved=moved,
                )
            )
    return sorted(alarms, key=lambda alarm: (-alarm.exceedance, alarm.measure))


def shares_of(histogram: Histogram) -> dict[str, float]:
    """Return the week's share by bin."""
    total = histogram.total
    whole = max(float(total.sum()), 1.0)
    return {name: float(n) / whole for name, n in zip(histogram.bins, total, strict=True)}


def _moved(histogram: Histogram, before: Mapping[str, float], top: int = 5) -> tuple[Moved, ...]:
    now = shares_of(histogram)
    names = sorted({*now, *before}, key=lambda b: (-abs(now.get(b, 0.0) - before.get(b, 0.0)), b))
    return tuple(
        Moved(bin=b, before=round(before.get(b, 0.0), 6), now=round(now.get(b, 0.0), 6))
        for b in names[:top]
    )


class Look:
    """What the rules ask of a week: shares now and before, and which measures alarm."""

    def __init__(self, profile: Profile, reference: Reference, alarms: Sequence[Alarm]) -> None:
        """Index the week."""
        self.profile, self.reference = profile, reference
        self.alarms = {alarm.measure: alarm for alarm in alarms}

    def now(self, measure: str) -> dict[str, float]:
        """Return the shares of this week."""
        found = self.profile.histograms.get(measure)
        return shares_of(found) if found is not None else {}

    def before(self, measure: str) -> Mapping[str, float]:
        """Return the shares of the reference."""
        return self.reference.shares.get(measure, {})

    def gain(self, measure: str, wanted: Callable[[str], bool]) -> float:
        """Return by how much the share of the wanted bins rose."""
        now = sum(v for b, v in self.now(measure).items() if wanted(b))
        return now - sum(v for b, v in self.before(measure).items() if wanted(b))

    def moves_without(self, measure: str, left_out: Collection[str]) -> bool:
        """Say whether a measure alarms by its other usual bins alone."""
        alarm = self.alarms.get(measure)
        if alarm is None:
            return False
        usual = (b for b, share in self.before(measure).items() if share >= RARE)
        names = sorted({*usual} - {*left_out})
        now, before = (
            np.array([side.get(name, 0.0) for name in names])
            for side in (self.now(measure), self.before(measure))
        )
        if not now.sum() or not before.sum():
            return False
        return float(hellinger(now[None], before / before.sum())[0]) > alarm.limit


def edge_of(bin_: str) -> float:
    """Return the number in a bin's name, NaN if there is none."""
    try:
        return float(bin_.split()[-1])
    except ValueError:
        return float("nan")


def broken_rows(look: Look) -> str | None:
    """Integrity alarms are faults by definition, but for a holiday that moves weekdays."""
    found = [
        a for a in look.alarms.values() if a.kind == "integrity" and a.measure != "day of the week"
    ]
    if not found:
        return None
    worst = found[0]
    rise = max(worst.moved, key=lambda m: m.now - m.before)
    return (
        f"{worst.measure}: '{rise.bin}' went from {rise.before:.2%} to {rise.now:.2%} of lines, "
        "which no shopper can cause"
    )


def broken_text(look: Look) -> str | None:
    """Characters of damaged encoding among the titles."""
    if "characters of titles" in look.alarms:
        gain = look.gain("characters of titles", lambda b: b == "broken")
        if gain > 0.002:
            return f"{gain:.1%} of the titles' characters come from damaged encoding"
    return None


def wrong_prices(look: Look) -> str | None:
    """Prices far from the product's own: a unit, a currency or a decimal point.

    A moderate rise of all prices carries some lines over the same line; that is inflation, and
    needs many more far prices to be called a fault.
    """
    measure = "price against the product's own"
    gain = look.gain(measure, lambda b: edge_of(b) > FAR_RATIO or edge_of(b) < -FAR_RATIO)
    moved = abs(middle(look.now(measure)) - middle(look.before(measure)))
    if gain > (FAR_PRICES if moved < SMALL_MOVE or moved > FAR_RATIO else FAR_WITH_MOVE):
        return f"{gain:.0%} more lines cost at least 1.7 times more or less than the product did"
    return None


def middle(shares: Mapping[str, float]) -> float:
    """Return the median bin edge of a numeric histogram; 0 if it is empty."""
    ordered = sorted((edge_of(b) + 1e-9 * b.startswith(">"), v) for b, v in shares.items())
    reached = 0.0
    for edge, share in ordered:
        reached += share
        if reached >= 0.5:
            return edge
    return 0.0


def wrong_quantities(look: Look) -> str | None:
    """Many large quantities at once: pieces counted as packs, grams as pieces."""
    if "quantity" not in look.alarms:
        return None
    gain = look.gain("quantity", lambda b: edge_of(b) > 6 or b.startswith(">"))
    lost = -look.gain("quantity", lambda b: b == "<= 1")
    if gain > FAR_QUANTITIES or lost > 0.5:
        return f"{max(gain, 0):.0%} more lines of over 6 pieces, {max(lost, 0):.0%} fewer of one"
    return None


def turned_clock(look: Look) -> str | None:
    """The hours of the day look like the usual ones turned by some hours."""
    if "hour of the day" not in look.alarms:
        return None
    before, now = (
        np.array([side.get(str(hour), 0.0) for hour in range(24)])
        for side in (look.before("hour of the day"), look.now("hour of the day"))
    )
    misfit = [float(np.abs(np.roll(before, turn) - now).sum()) for turn in range(24)]
    best = int(np.argmin(misfit))
    if best and misfit[best] < 0.5 * misfit[0]:
        turn = best if best <= 12 else best - 24
        return f"the day's hours are the usual ones turned by {turn:+d} h"
    return None


def gone(look: Look) -> str | None:
    """A category, place, weekday or hour that always was there has all but vanished.

    Alone, or into as many others: where the rest has moved beyond its limit as well, taste has
    changed, and what is out of fashion is no fault. Nor is what never had more than a few buyers.
    """
    for measure, least in VANISHED_FROM.items():
        if measure not in look.alarms and measure in ("place", "hour of the day"):
            continue
        now, before = look.now(measure), look.before(measure)
        lost = [
            bin_
            for bin_, share in sorted(before.items())
            if share >= max(least, LEAST_EXPECTED / max(look.reference.lines, 1.0))
            and now.get(bin_, 0.0) < VANISHED * share
        ]
        rise = sorted(now, key=lambda b: (before.get(b, 0.0) - now[b], b))
        if lost and not look.moves_without(measure, {*lost, *rise[: len(lost)]}):
            was, is_now = before[lost[0]], now.get(lost[0], 0.0)
            return f"{measure} '{lost[0]}' fell from {was:.2%} to {is_now:.2%}"
    return None


def changed_identifiers(look: Look) -> str | None:
    """Most products or visitors were never seen before: keys were changed, not shoppers."""
    for measure, bin_ in (("new products", "never sold before"), ("visitors", "never seen before")):
        gain = look.gain(measure, lambda b, wanted=bin_: b == wanted)
        if gain > NEW_IDENTIFIERS:
            return f"{measure}: {gain:.0%} more were never seen before; were the ids changed?"
    return None


def robots(look: Look) -> str | None:
    """A few visitors with hundreds of lines a week, or a share of them that never was."""
    if "lines by visitor" not in look.alarms:
        return None
    gain = look.gain("lines by visitor", lambda b: b.startswith(">") or edge_of(b) > 160)
    if gain > MANY_LINES:
        return f"{gain:.0%} more visitors with over 160 lines in the week"
    return None


def lost_or_doubled(look: Look) -> str | None:
    """So many lines less or more that a part was lost or read twice."""
    ratio = look.profile.lines / max(look.reference.lines, 1.0)
    if "lines in the week" in look.alarms and not LOST_VOLUME <= ratio <= EXTRA_VOLUME:
        what = "a part is missing" if ratio < 1 else "a part came twice"
        return f"{ratio:.0%} of the usual lines; {what}"
    return None


FAULTS: tuple[Callable[[Look], str | None], ...] = (
    broken_rows,
    broken_text,
    wrong_prices,
    wrong_quantities,
    turned_clock,
    gone,
    changed_identifiers,
    robots,
    lost_or_doubled,
)


def decide(
    profile: Profile,
    reference: Reference,
    thresholds: Thresholds,
    *,
    season: Sequence[str] = (),
    complete: bool = True,
) -> Decision:
    """Judge one week.

    Args:
        profile: the week.
        reference: what is usual.
        thresholds: from calm weeks.
        season: the shop days this week prepares for; see `holidays`.
        complete: false for a week that has not ended yet; see `diagnose`.
    """
    alarms = find_alarms(profile, reference, thresholds)
    if not complete:
        alarms = [a for a in alarms if a.measure not in ("lines in the week", "day of the week")]
    diagnosis, reason = diagnose(Look(profile, reference, alarms), season, complete=complete)
    columns = tuple(dict.fromkeys(alarm.column for alarm in alarms))
    return Decision(
        week=profile.week,
        first_day=profile.first_day.isoformat(),
        last_day=profile.last_day.isoformat(),
        diagnosis=diagnosis,
        remedy=REMEDIES[diagnosis],
        columns=columns,
        reason=reason,
        season=tuple(season),
        complete=complete,
        alarms=tuple(alarms),
        compared_with=reference.weeks,
        distances={k: round(float(v[0]), 6) for k, v in distances(profile, reference).items()},
    )


def may_be_seasonal(look: Look, alarm: Alarm) -> bool:
    """Return whether a feast alone can move a measure.

    Lines counted by their product's text vector move with what is bought, as categories do. A text
    that the shipped encoder never met has no vector; more lines of those are no feast's work.
    """
    if alarm.measure == "text vectors":
        return look.gain(alarm.measure, lambda b: b == "not encoded") <= NEW_TEXTS
    return alarm.kind in ("behaviour", "volume", "quality") or alarm.measure == "day of the week"


def diagnose(look: Look, season: Sequence[str], *, complete: bool = True) -> tuple[Diagnosis, str]:
    """Return the diagnosis and one sentence why.

    Of a week that has not ended only faults are told. The limits are those of whole weeks: what
    shoppers do in a part of one differs by chance, and days, hours and rare categories are missing.
    """
    if not look.alarms:
        return "no drift", "every measure is within its limits"
    seasonal = bool(season)
    for rule in FAULTS:
        if (seasonal or not complete) and rule in (gone, lost_or_doubled):
            continue
        if not complete and rule is turned_clock:
            continue
        reason = rule(look)
        if reason:
            return "data fault", reason
    if not complete:
        return "no drift", "no fault so far; what shoppers do is judged when the week has ended"
    served = [
        a for a in look.alarms.values() if a.kind == "quality" and a.column == "served quality"
    ]
    habit = look.alarms.get("habit's hits")
    inputs = [a for a in look.alarms.values() if a.kind in ("behaviour", "text")]
    if served and habit is None and not inputs:
        return "regression", (
            f"{served[0].measure} fell while habit predicts as well as before: the release is worse"
        )
    names = ", ".join(look.alarms)
    if (
        seasonal
        and all(may_be_seasonal(look, alarm) for alarm in look.alarms.values())
        and max(a.exceedance for a in look.alarms.values()) < SEASON_LIMIT
    ):
        return "seasonal", f"{names} moved in the week of {' and '.join(season)}"
    if set(look.alarms) <= {"lines in the week", "day of the week"}:
        return "volume change", "only the number of lines moved; what is bought and by whom did not"
    if served and habit is None:
        return "shift", f"inputs moved ({names}) and the served ranking lost with them"
    return "shift", f"{names} moved beyond what calm weeks do"
