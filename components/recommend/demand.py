"""How a product's sales answer to displays and mailers, learnt from the weeks before a cut.

In: a `Log` cut before a week and the calendar of exposures. Out: a `Demand`: weekly sales with and
without the mailer, and what more displays bring; asked for a week, it expects sales from what was
announced for it. It also keeps which past weeks were mailed, for the visitors' own habits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.recommend.history import FloatArray, Log

WEEKS_BACK = 40
HALF_LIFE_WEEKS = 16.0
MAILED_SHARE = 0.4
PRIOR_WEEKS = 2.0
DISPLAY_DAMPING = 0.05


@dataclass(frozen=True)
class Demand:
    """Weekly lines of each product, as a share of a typical week; arrays (V,).

    Attributes:
        base: over all weeks looked at, recent ones weighing more.
        mailed: in weeks whose mailer named it in many places, damped towards `base`.
        unmailed: in the other weeks, likewise.
        mailed_share: weighted share of the weeks in which it was mailed.
        per_display: lines more for a display in all places instead of none.
        usual_display: weighted mean share of places that displayed it.
        mailers: (V, W) share of places that mailed it, by week before the cut.
    """

    base: FloatArray
    mailed: FloatArray
    unmailed: FloatArray
    mailed_share: FloatArray
    per_display: FloatArray
    usual_display: FloatArray
    mailers: FloatArray

    def expected(self, shares: FloatArray | None) -> FloatArray:
        """Return (V, 5) what a week's exposures let expect.

        Columns: log of the lines expected from the mailer, their ratio to the usual, lines expected
        from the displays, log of the lift a mailer gives, share of the weeks mailed.

        Args:
            shares: (V, 3) the week's exposures; None when they are not known.
        """
        if shares is None:
            by_mailer, by_display = self.base, self.base
        else:
            by_mailer = np.where(shares[:, 1] > MAILED_SHARE, self.mailed, self.unmailed)
            more = self.per_display * (shares[:, 0] - self.usual_display)
            by_display = np.maximum(self.base + more, 0.2 * self.base)
        lift = np.log(self.mailed / (self.base + 0.05) + 0.1)
        columns = (
            np.log1p(by_mailer), by_mailer / (self.base + 0.1), by_display, lift, self.mailed_share,
        )  # fmt: skip
        return np.stack(columns, axis=1).astype(np.float32)

    def mailed_then(self, log: Log) -> FloatArray:
        """Return for each row of a log the share of places that mailed its product that week."""
        weeks = self.mailers.shape[1]
        known = (log.week >= 0) & (log.week < weeks) & (log.group < len(self.mailers))
        at_group, at_week = np.where(known, log.group, 0), np.where(known, log.week, 0)
        if not weeks:
            return np.zeros(len(log), dtype=np.float32)
        return np.where(known, self.mailers[at_group, at_week], 0.0).astype(np.float32)

    def arrays(self) -> dict[str, Any]:
        """Return what `from_arrays` reads, for an npz file."""
        out = {f"demand_{name}": getattr(self, name) for name in self.__dataclass_fields__}
        return out | {"demand_mailers": self.mailers.astype(np.float16)}

    @classmethod
    def from_arrays(cls, held: Any) -> "Demand":
        """Read what `arrays` made.

        Raises:
            KeyError: an array is absent.
        """
        return cls(
            **{name: held[f"demand_{name}"].astype(np.float32) for name in cls.__dataclass_fields__}
        )


def learn_demand(log: Log, week: int, shares: Mapping[int, FloatArray], n_products: int) -> Demand:
    """Learn from rows and exposures of weeks strictly before `week`.

    Args:
        log: rows before `week`; all of them are used.
        week: the first week that may be asked for.
        shares: week to (V, 3) exposures; weeks from `week` on are not looked at.
        n_products: V.
    """
    first = max(1, week - WEEKS_BACK)
    weeks = np.arange(first, max(week, first + 1))
    sold = np.zeros((n_products, len(weeks)), dtype=np.float64)
    rows = (log.week >= weeks[0]) & (log.week <= weeks[-1])
    np.add.at(sold, (log.group[rows], log.week[rows] - weeks[0]), log.amount[rows])
    total = sold.sum(axis=0)
    sold *= np.where(total > 0, total.mean() / np.maximum(total, 1e-9), 0.0)
    nothing = np.zeros((n_products, 3), dtype=np.float32)
    held = np.stack([shares.get(int(w), nothing) if w < week else nothing for w in weeks], axis=1)
    display, mailed = held[:, :, 0].astype(np.float64), held[:, :, 1] > MAILED_SHARE
    weight = np.exp2(-(week - weeks) / HALF_LIFE_WEEKS)
    base = (sold * weight).sum(axis=1) / weight.sum()

    def rate(chosen: np.ndarray) -> np.ndarray:
        mass = chosen * weight
        return ((sold * mass).sum(axis=1) + PRIOR_WEEKS * base) / (mass.sum(axis=1) + PRIOR_WEEKS)

    usual = (display * weight).sum(axis=1) / weight.sum()
    away = display - usual[:, None]
    together = (away * weight * (sold - base[:, None])).sum(axis=1)
    mailers = np.zeros((n_products, week), dtype=np.float32)
    for past, block in shares.items():
        if 0 <= past < week:
            mailers[:, past] = block[:, 1]
    numbers = {
        "base": base,
        "mailed": rate(mailed),
        "unmailed": rate(~mailed),
        "mailed_share": (mailed * weight).sum(axis=1) / weight.sum(),
        "per_display": together / ((away**2 * weight).sum(axis=1) + DISPLAY_DAMPING),
        "usual_display": usual,
    }
    return Demand(
        **{name: value.astype(np.float32) for name, value in numbers.items()},
        mailers=mailers.astype(np.float16).astype(np.float32),
    )
