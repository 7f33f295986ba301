"""What a launch plan says, and how it goes: shared by planner, state, service, command and page."""

from typing import Annotated, Literal

from pydantic import Field

from components.contracts.records import Id, Record

Share = Annotated[float, Field(ge=0, le=1)]


class RampStage(Record):
    """One step of the ramp: the chance that a slate of the audience shows it, and until when."""

    chance: Share
    exposures: Annotated[int, Field(ge=1)]


class Comparable(Record):
    """An earlier launch that reads alike, and what it sold in as many weeks."""

    product_id: Id
    title: str
    likeness: float
    lines: float


class DemandRange(Record):
    """Purchase lines within the horizon; the range holds for `coverage` of launches like it."""

    low: int
    middle: float
    high: int
    horizon_weeks: Annotated[int, Field(ge=1)]
    coverage: Share
    comparables: tuple[Comparable, ...] = ()


class AudienceMember(Record):
    """A household to tell, best first. `buys` is how often it bought in the product's category."""

    visitor_id: Id
    score: float
    buys: float
    is_due: bool = False


class Partner(Record):
    """A product that goes with it and does not stand in for it."""

    product_id: Id
    title: str
    lift: float
    through: str


class LaunchRequest(Record):
    """What is asked of the planner."""

    product_id: Id
    audience_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    horizon_weeks: Annotated[int, Field(ge=1, le=13)] = 13
    floor: Annotated[int, Field(ge=0)] = 100
    regret_cap: Annotated[float, Field(ge=0)] = 3.0
    max_chance: Annotated[float, Field(gt=0, le=0.5)] = 0.3
    display_share: Share = 0.0
    mailer_share: Share = 0.0
    front_share: Share = 0.0


class LaunchPlan(Record):
    """A plan: who, how much, how far, with what. Nothing acts before it is started."""

    plan_id: Id
    product_id: Id
    title: str
    week: int
    request: LaunchRequest
    demand: DemandRange
    audience: tuple[AudienceMember, ...]
    preheat: tuple[AudienceMember, ...]
    partners: tuple[Partner, ...]
    stages: tuple[RampStage, ...]
    expected_rate: Share
    flop_rate: Share
    expected_lift: float | None = None
    notes: tuple[str, ...] = ()


class LaunchStatus(Record):
    """A started plan and what came of it."""

    plan: LaunchPlan
    state: Literal["running", "stopped", "done"]
    exposures: int = 0
    successes: int = 0
    charged: float = 0.0
    credited: float = 0.0
    regret: float = 0.0
    stage: int = 0
    reason: str = ""
