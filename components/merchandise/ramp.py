"""How far a launched product is shown: a floor it is promised, a cap on what that may cost.

In: exposures of a launch and what came of them. Out: whether the next one may be made, and whether
the launch goes on, widens or stops. Regret is counted in expected purchases: each exposure costs
the chance of a purchase that the displaced product had; what the launch then sells is paid back. An
exposure is refused when its cost would pass the cap, so the cap holds whatever the truth is.
"""

from dataclasses import dataclass, replace
from typing import Literal

from components.contracts.launches import RampStage

Decision = Literal["go on", "widen", "stop"]
CREDIT = {"click": 0.2, "basket_add": 0.5, "purchase": 1.0}  # as interactions count elsewhere
PRIOR_EXPOSURES = 20.0
STOP_BELOW = 0.05
WIDEN_ABOVE = 0.6


@dataclass(frozen=True)
class Account:
    """What a launch has cost and earned so far.

    Attributes:
        exposures: times it was shown.
        charged: expected purchases of the displaced products.
        credited: what the launch brought, in purchases.
        successes: exposures that led to a basket or a purchase.
        stage: place in the ramp, from 0.
        stopped: no further exposure.
    """

    exposures: int = 0
    charged: float = 0.0
    credited: float = 0.0
    successes: int = 0
    stage: int = 0
    stopped: bool = False

    @property
    def regret(self) -> float:
        """Return what it cost beyond what it brought; never below what is true of the past."""
        return self.charged - self.credited


def may_show(account: Account, displaced: float, cap: float) -> bool:
    """Say whether one more exposure keeps the regret under the cap, should nothing come of it."""
    return not account.stopped and account.regret + displaced <= cap


def shown(account: Account, displaced: float) -> Account:
    """Enter an exposure.

    Raises:
        ValueError: a cost that is no chance of a purchase.
    """
    if not 0.0 <= displaced <= 1.0:
        raise ValueError(f"a displaced chance of {displaced} lies outside [0, 1].")
    return replace(account, exposures=account.exposures + 1, charged=account.charged + displaced)


def earned(account: Account, kind: str, before: float = 0.0) -> Account:
    """Enter what came of an exposure; `before` is what the same exposure was credited already."""
    credit = max(CREDIT.get(kind, 0.0) - before, 0.0)
    success = CREDIT.get(kind, 0.0) >= CREDIT["basket_add"] > before
    return replace(
        account,
        credited=account.credited + credit,
        successes=account.successes + int(success),
    )


def chance_of_rate(successes: int, exposures: int, expected: float, threshold: float) -> float:
    """Return the chance that the true success rate is at least `threshold`.

    Args:
        successes: exposures that led to a basket or a purchase.
        exposures: all exposures.
        expected: success rate expected beforehand, in (0, 1); it weighs as much as 20 exposures.
        threshold: in (0, 1).

    >>> round(chance_of_rate(0, 0, 0.5, 0.5), 3)
    0.5
    """
    from scipy.stats import beta

    prior = min(max(expected, 1e-6), 1 - 1e-6)
    good = prior * PRIOR_EXPOSURES + successes
    bad = (1 - prior) * PRIOR_EXPOSURES + exposures - successes
    return float(beta.sf(threshold, good, bad))


def decide(
    account: Account, stages: tuple[RampStage, ...], *, expected: float, flop: float, floor: int
) -> Decision:
    """Say how the launch goes on.

    Args:
        account: what happened.
        stages: the ramp.
        expected: success rate expected beforehand.
        flop: success rate below which the launch is a flop.
        floor: exposures it is promised before anything is decided.

    Returns:
        `stop` once a rate of `flop` has become unlikely, `widen` when the stage has had its
        exposures and a rate above `flop` is likely, else `go on`.
    """
    if account.stopped:
        return "stop"
    if account.exposures < floor:
        return "go on"
    chance = chance_of_rate(account.successes, account.exposures, expected, flop)
    if chance < STOP_BELOW:
        return "stop"
    due = sum(stage.exposures for stage in stages[: account.stage + 1])
    is_last = account.stage + 1 >= len(stages)
    if not is_last and account.exposures >= due and chance > WIDEN_ABOVE:
        return "widen"
    return "go on"


def after_decision(account: Account, decision: Decision) -> Account:
    """Return the account with the decision carried out."""
    if decision == "stop":
        return replace(account, stopped=True)
    if decision == "widen":
        return replace(account, stage=account.stage + 1)
    return account
