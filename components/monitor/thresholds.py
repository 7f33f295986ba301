"""How far is too far: distances between histograms, and thresholds learned from calm weeks.

The distance is Hellinger's, in [0, 1]: bounded, symmetric, and finite for bins that one side lacks
(the population stability index is about 8 times its square). Each calm week is resampled by
visitor group and compared with the weeks before it; the upper end of a measure's ordinary distances
is its scale, and the largest scaled distance over ALL measures gives one critical factor. So the
rate is per week, however many measures are watched, and correlated measures cost nothing (a
max-statistic correction, not Bonferroni's).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.monitor.profile import GROUPS, Histogram, Kind, Measure, Profile

FloatArray = NDArray[np.float64]
VOLUME = Measure("lines in the week", "rows", "volume", "lines")
# Smaller distances are no news, whatever their significance: 0.03 is two rows in a thousand that
# become null, 0.06 a stability index of about 0.03, and for volume the unit is a log ratio.
FLOORS: Mapping[Kind, float] = {
    "integrity": 0.03,
    "behaviour": 0.06,
    "text": 0.05,
    "quality": 0.05,
    "volume": 0.15,
}
WITHOUT_HISTORY: Mapping[Kind, float] = {
    "integrity": 0.1,
    "behaviour": 0.2,
    "text": 0.2,
    "quality": 0.2,
    "volume": 0.5,
}
RARE = 0.002
SCALE_QUANTILE = 0.98
MIN_CALM_WEEKS = 8
# The critical factor is taken at this share of the stated rate: it is estimated from few weeks.
CAUTION = 0.5
GROSS = 2.0


@dataclass(frozen=True)
class Reference:
    """What is usual: shares by bin for each measure, and lines a week."""

    shares: Mapping[str, Mapping[str, float]]
    lines: float
    weeks: tuple[int, ...]


def pool(profiles: Sequence[Profile]) -> Reference:
    """Merge weeks, each with equal weight."""
    shares: dict[str, dict[str, float]] = {}
    for name in sorted({name for profile in profiles for name in profile.histograms}):
        holding = [p.histograms[name] for p in profiles if name in p.histograms]
        holding = [h for h in holding if h.counts.sum() > 0]
        merged: dict[str, float] = {}
        for histogram in holding:
            whole = histogram.counts.sum() * len(holding)
            for bin_, n in zip(histogram.bins, histogram.total, strict=True):
                merged[bin_] = merged.get(bin_, 0.0) + float(n / whole)
        if merged:
            shares[name] = merged
    lines = float(np.mean([profile.lines for profile in profiles]))
    return Reference(shares, lines, tuple(profile.week for profile in profiles))


def hellinger(counts: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the distance of each row of counts from one distribution.

    Args:
        counts: (..., B) not negative.
        shares: (B,) summing to 1.

    Returns:
        (...) in [0, 1]; NaN where a row holds nothing.

    >>> float(hellinger(np.array([5.0, 5.0]), np.array([0.5, 0.5])))
    0.0
    """
    whole = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.where(whole > 0, counts / whole, np.nan)
    squared = 0.5 * ((np.sqrt(p) - np.sqrt(shares)) ** 2).sum(axis=-1)
    return np.sqrt(np.maximum(squared, 0.0)) + 0.0


def aligned(histogram: Histogram, shares: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """Return (GROUPS, B) counts and (B,) shares: the bins of the reference and one for the rest.

    Bins rarer than `RARE` in the reference are merged with those it has never seen: what is new is
    then compared with what usually is rare, instead of adding noise bin by bin.
    """
    kept = sorted(name for name, share in shares.items() if share >= RARE)
    place = {name: i for i, name in enumerate(kept)}
    counts = np.zeros((GROUPS, len(kept) + 1))
    columns = [place.get(name, len(kept)) for name in histogram.bins]
    for column, values in zip(columns, histogram.counts.T, strict=True):
        counts[:, column] += values
    expected = np.array([*(shares[name] for name in kept), 0.0])
    expected[-1] = max(0.0, 1.0 - expected.sum())
    return counts, expected


def distances(
    profile: Profile, reference: Reference, weights: FloatArray | None = None
) -> dict[str, FloatArray]:
    """Return the distance of a week, or of its resamples, from the reference, by measure.

    Args:
        profile: the week.
        reference: what is usual.
        weights: (R, GROUPS) how often each visitor group is drawn; once each if not given.
    """
    if weights is None:
        weights = np.ones((1, GROUPS))
    found = {}
    for name, histogram in profile.histograms.items():
        if name in reference.shares and histogram.counts.sum() > 0:
            counts, shares = aligned(histogram, reference.shares[name])
            found[name] = hellinger(weights @ counts, shares)
    lines = np.maximum(weights @ profile.volume, 1.0)
    found[VOLUME.name] = np.abs(np.log(lines / max(reference.lines, 1.0)))
    return found


def measures_of(profile: Profile) -> dict[str, Measure]:
    """Return all measures of a week by name."""
    return {name: h.measure for name, h in profile.histograms.items()} | {VOLUME.name: VOLUME}


@dataclass(frozen=True)
class Thresholds:
    """Per measure the scale of ordinary distances, and the factor that all of them share."""

    scale: Mapping[str, float]
    kinds: Mapping[str, Kind]
    critical: float
    calm_weeks: tuple[int, ...]

    @property
    def calibrated(self) -> bool:
        """Whether there was enough history to learn them."""
        return len(self.calm_weeks) >= MIN_CALM_WEEKS

    def limit(self, measure: Measure) -> float:
        """Return the distance above which this measure alarms."""
        floor = FLOORS[measure.kind]
        if not self.calibrated or measure.name not in self.scale:
            return WITHOUT_HISTORY[measure.kind]
        return float(max(floor, self.critical * self.scale[measure.name]))

    def exceedance(self, measure: Measure, distance: float) -> float:
        """Return the distance over its limit: above 1 is an alarm."""
        return distance / self.limit(measure)

    def as_json(self) -> dict[str, Any]:
        """Return the limits for the record."""
        limits = {
            name: round(self.limit(Measure(name, "", kind, "")), 6)
            for name, kind in self.kinds.items()
        }
        return {
            "critical": round(self.critical, 6),
            "calibrated": self.calibrated,
            "calm_weeks": list(self.calm_weeks),
            "limits": limits,
        }


def draw_weights(resamples: int, generator: np.random.Generator) -> FloatArray:
    """Return (R, GROUPS) multinomial weights: visitor groups drawn with replacement."""
    return generator.multinomial(GROUPS, np.full(GROUPS, 1 / GROUPS), size=resamples).astype(float)


@dataclass(frozen=True)
class Sample:
    """Distances of one calm week and of its resamples: (1 + R, M), by the names in `Samples`."""

    week: int
    values: FloatArray


@dataclass(frozen=True)
class Samples:
    """All calm weeks' distances and the measures they belong to."""

    names: tuple[str, ...]
    kinds: Mapping[str, Kind]
    weeks: tuple[Sample, ...]


def sample_weeks(
    weeks: Sequence[tuple[Profile, Reference]], *, resamples: int, seed: int
) -> Samples:
    """Resample every calm week against its own reference."""
    generator = np.random.default_rng(seed)
    kinds: dict[str, Kind] = {}
    for profile, _ in weeks:
        kinds |= {name: measure.kind for name, measure in measures_of(profile).items()}
    names = tuple(sorted(kinds))
    samples = []
    for profile, reference in weeks:
        weights = np.vstack([np.ones((1, GROUPS)), draw_weights(resamples, generator)])
        found = distances(profile, reference, weights)
        empty = np.full(len(weights), np.nan)
        samples.append(Sample(profile.week, np.stack([found.get(n, empty) for n in names], axis=1)))
    return Samples(names, kinds, tuple(samples))


def calibrate(samples: Samples, *, rate: float, without: int | None = None) -> Thresholds:
    """Learn thresholds from calm weeks.

    Weeks that stand out grossly (a fault nobody marked) are left out, so that one bad week among
    the history does not blind the monitor.

    Args:
        samples: from `sample_weeks`.
        rate: alarms per calm week that are accepted, over all measures together.
        without: a week to leave out, to judge it by the others.
    """
    kept = [s for s in samples.weeks if s.week != without]
    if len(kept) < MIN_CALM_WEEKS:
        return Thresholds({}, samples.kinds, 0.0, tuple(s.week for s in kept))
    floors = np.array([FLOORS[samples.kinds[name]] for name in samples.names])
    kept = _without_gross(kept, floors)
    stacked = np.concatenate([s.values for s in kept])
    scale = np.maximum(np.nanquantile(stacked, SCALE_QUANTILE, axis=0), floors)
    highest = np.concatenate([np.nanmax(s.values / scale, axis=1) for s in kept])
    critical = float(np.quantile(highest, 1 - rate * CAUTION))
    return Thresholds(
        scale=dict(zip(samples.names, scale.tolist(), strict=True)),
        kinds=samples.kinds,
        critical=max(critical, 1.0),
        calm_weeks=tuple(s.week for s in kept),
    )


def _without_gross(weeks: list[Sample], floors: FloatArray) -> list[Sample]:
    """Leave out weeks in which some measure is many times its median over the weeks."""
    observed = np.stack([s.values[0] for s in weeks])
    usual = np.maximum(2 * np.nanmedian(observed, axis=0), floors)
    furthest = np.nanmax(observed / usual, axis=1)
    calm = [s for s, far in zip(weeks, furthest, strict=True) if far <= GROSS]
    return calm if len(calm) >= MIN_CALM_WEEKS else weeks


def false_alarm_rate(samples: Samples, *, rate: float, draws: int, seed: int) -> tuple[float, int]:
    """Measure alarms on resampled calm weeks, each judged by thresholds that never saw its week.

    Returns:
        The share of `draws` resampled weeks with an alarm, and the number of distinct weeks drawn.
    """
    if len(samples.weeks) <= MIN_CALM_WEEKS:
        return float("nan"), 0
    generator = np.random.default_rng(seed + 1)
    limits: dict[int, FloatArray] = {}
    alarms = 0
    chosen = generator.integers(0, len(samples.weeks), draws)
    for index in chosen:
        sample = samples.weeks[index]
        if sample.week not in limits:
            thresholds = calibrate(samples, rate=rate, without=sample.week)
            limits[sample.week] = np.array(
                [thresholds.limit(Measure(n, "", samples.kinds[n], "")) for n in samples.names]
            )
        row = sample.values[generator.integers(1, len(sample.values))]
        alarms += bool(np.nanmax(row / limits[sample.week]) > 1)
    return alarms / draws, len(set(chosen.tolist()))
