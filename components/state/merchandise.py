"""Campaigns, sponsored places, the shop's rules and launches, kept in the service's state.

A click is charged once per place, in one transaction with the check of the budgets: whatever was
shown at the same time, a campaign never pays more than its budget, nor in a day more than its daily
one. Nothing here names a visitor.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from components.contracts.errors import StateError
from components.contracts.launches import LaunchStatus
from components.contracts.merchandise import Campaign, CampaignDay, Placement, ShopRule
from components.state.models import (
    CampaignDayRow,
    CampaignRow,
    LaunchRow,
    LaunchShownRow,
    PlacementRow,
    RuleRow,
    to_text,
)
from components.state.store import Store

M = TypeVar("M", bound=BaseModel)
DAY_FIELDS = tuple(name for name in CampaignDay.model_fields if name != "day")


class MerchandiseState:
    """What a commercial team keeps, over a `Store`."""

    def __init__(self, store: Store) -> None:
        """Use the store's database."""
        self.store = store

    # -- campaigns

    def campaign_put(self, campaign: Campaign, *, by: str) -> None:
        """Keep a campaign or its newest form; what it has spent stays spent."""
        before = {c.campaign_id: c for c in self.campaigns()}.get(campaign.campaign_id)
        with self.store.together():
            self._put(CampaignRow, {"campaign_id": campaign.campaign_id}, campaign)
            self.store.audit(
                by, "campaign put", campaign.campaign_id,
                before=before.model_dump(mode="json") if before else None,
                after=campaign.model_dump(mode="json"),
            )  # fmt: skip

    def campaigns(self) -> list[Campaign]:
        """Return all campaigns by id."""
        query = select(CampaignRow.body).order_by(CampaignRow.campaign_id)
        return [_read(Campaign, body) for body in self._bodies(query)]

    def campaign_remove(self, campaign_id: str, *, by: str) -> bool:
        """Forget a campaign; its places and days stay for the books. False if there is none."""
        with self.store.together(), self.store._writing() as connection:
            gone = connection.execute(
                delete(CampaignRow).where(CampaignRow.campaign_id == campaign_id)
            ).rowcount
            if gone:
                self.store.audit(by, "campaign removed", campaign_id)
        return bool(gone)

    def days(self, campaign_id: str | None = None) -> dict[str, list[CampaignDay]]:
        """Return what each campaign got and paid, by campaign, oldest day first."""
        query = select(CampaignDayRow).order_by(CampaignDayRow.campaign_id, CampaignDayRow.day)
        if campaign_id is not None:
            query = query.where(CampaignDayRow.campaign_id == campaign_id)
        found: dict[str, list[CampaignDay]] = {}
        try:
            with self.store._reading() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError as error:
            raise StateError(self.store._explain(error)) from error
        for row in rows:
            day = CampaignDay(day=row.day, **{name: getattr(row, name) for name in DAY_FIELDS})
            found.setdefault(row.campaign_id, []).append(day)
        return found

    # -- places and clicks

    def placements_add(self, placements: Sequence[Placement], at: datetime) -> int:
        """Keep sponsored places that were shown, each once; returns how many were new."""
        if not placements:
            return 0
        added = 0
        with self.store.together(), self.store._writing() as connection:
            for one in placements:
                row = {
                    "slate_id": one.slate_id,
                    "product_id": one.product_id,
                    "campaign_id": one.campaign_id,
                    "at": to_text(at),
                    "body": one.model_dump_json(),
                    "price_minor": one.price_minor,
                }
                statement = self.store._insert(PlacementRow).values(**row)
                statement = statement.on_conflict_do_nothing(
                    index_elements=["slate_id", "product_id"]
                ).returning(PlacementRow.slate_id)
                if connection.execute(statement).first() is None:
                    continue
                added += 1
                self._count(
                    connection, one.campaign_id, day_of(at),
                    impressions=1,
                    expected_clicks=one.pctr,
                    ndcg_cost=one.ndcg_cost,
                    relevance_cost=one.displaced_relevance - one.relevance,
                )  # fmt: skip
        return added

    def placement(self, slate_id: str, product_id: str) -> Placement | None:
        """Return a sponsored place that was shown, or None."""
        query = select(PlacementRow.body).where(
            PlacementRow.slate_id == slate_id, PlacementRow.product_id == product_id
        )
        bodies = self._bodies(query)
        return _read(Placement, bodies[0]) if bodies else None

    def click(self, slate_id: str, product_id: str, at: datetime) -> int | None:
        """Charge a click on a sponsored place, once.

        Returns:
            What was charged, in minor units: the place's price, or 0 when a budget no longer holds
            it. None if there is no such place or it was charged before.
        """
        with self.store.together(), self.store._writing() as connection:
            place = connection.execute(
                select(PlacementRow).where(
                    PlacementRow.slate_id == slate_id, PlacementRow.product_id == product_id
                )
            ).first()
            if place is None:
                return None
            if not self.store._is_sqlite:  # SQLite's writer holds the whole database
                connection.execute(
                    text("SELECT 1 FROM campaigns WHERE campaign_id = :c FOR UPDATE"),
                    {"c": place.campaign_id},
                )
            body = connection.execute(
                select(CampaignRow.body).where(CampaignRow.campaign_id == place.campaign_id)
            ).scalar()
            spent = connection.execute(
                select(CampaignDayRow.day, CampaignDayRow.spent_minor).where(
                    CampaignDayRow.campaign_id == place.campaign_id
                )
            ).all()
            today = day_of(at)
            left = 0
            if body is not None:
                campaign = _read(Campaign, body)
                left = campaign.budget_minor - sum(row.spent_minor for row in spent)
                if campaign.daily_budget_minor is not None:
                    used = sum(row.spent_minor for row in spent if row.day == today)
                    left = min(left, campaign.daily_budget_minor - used)
            price = place.price_minor if place.price_minor <= left else 0
            taken = connection.execute(
                update(PlacementRow)
                .where(
                    PlacementRow.slate_id == slate_id,
                    PlacementRow.product_id == product_id,
                    PlacementRow.clicked_at.is_(None),
                )
                .values(clicked_at=to_text(at), charged_minor=price)
            ).rowcount
            if not taken:
                return None
            self._count(
                connection, place.campaign_id, today,
                clicks=1, unbilled_clicks=int(price == 0), spent_minor=price,
            )  # fmt: skip
            return price

    def _count(self, connection: Connection, campaign_id: str, day: str, **more: float) -> None:
        values = {name: more.get(name, 0) for name in DAY_FIELDS}
        statement = self.store._insert(CampaignDayRow).values(
            campaign_id=campaign_id, day=day, **values
        )
        table = CampaignDayRow.__table__
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "day"],
                set_={name: table.c[name] + value for name, value in more.items()},
            )
        )

    # -- rules

    def rule_put(self, rule: ShopRule, *, by: str) -> None:
        """Keep a rule or its newest form; who did so and what it was before is audited."""
        before = {r.rule_id: r for r in self.rules()}.get(rule.rule_id)
        with self.store.together():
            self._put(RuleRow, {"rule_id": rule.rule_id}, rule)
            self.store.audit(
                by, "rule put", rule.rule_id,
                before=before.model_dump(mode="json") if before else None,
                after=rule.model_dump(mode="json"),
            )  # fmt: skip

    def rules(self) -> list[ShopRule]:
        """Return all rules by id."""
        query = select(RuleRow.body).order_by(RuleRow.rule_id)
        return [_read(ShopRule, body) for body in self._bodies(query)]

    def rule_remove(self, rule_id: str, *, by: str) -> bool:
        """Take a rule away; false if there is none."""
        before = {r.rule_id: r for r in self.rules()}.get(rule_id)
        if before is None:
            return False
        with self.store.together(), self.store._writing() as connection:
            connection.execute(delete(RuleRow).where(RuleRow.rule_id == rule_id))
            self.store.audit(by, "rule removed", rule_id, before=before.model_dump(mode="json"))
        return True

    # -- launches

    def launch_put(self, status: LaunchStatus, *, by: str) -> None:
        """Keep a launch; who started or stopped it is audited."""
        with self.store.together():
            self._put(LaunchRow, {"plan_id": status.plan.plan_id}, status)
            self.store.audit(
                by, f"launch {status.state}", status.plan.plan_id,
                product_id=status.plan.product_id, reason=status.reason,
            )  # fmt: skip

    def launches(self) -> list[LaunchStatus]:
        """Return all launches, the newest first."""
        query = select(LaunchRow.body).order_by(LaunchRow.at.desc(), LaunchRow.plan_id)
        return [_read(LaunchStatus, body) for body in self._bodies(query)]

    def launch_change(
        self, plan_id: str, change: Callable[[LaunchStatus], LaunchStatus | None]
    ) -> LaunchStatus | None:
        """Change a launch in one transaction with reading it.

        Args:
            plan_id: which.
            change: from what is kept to what shall be kept; None leaves it as it is.

        Returns:
            What is kept now, or None if there is no such launch or nothing was changed.
        """
        with self.store.together(), self.store._writing() as connection:
            query = select(LaunchRow.body).where(LaunchRow.plan_id == plan_id)
            if not self.store._is_sqlite:
                query = query.with_for_update()
            body = connection.execute(query).scalar()
            if body is None:
                return None
            changed = change(_read(LaunchStatus, body))
            if changed is None:
                return None
            connection.execute(
                update(LaunchRow)
                .where(LaunchRow.plan_id == plan_id)
                .values(body=changed.model_dump_json())
            )
            return changed

    def launch_shown(self, plan_id: str, slate_id: str, product_id: str, displaced: float) -> bool:
        """Keep an exposure, once; false if it was kept before."""
        statement = (
            self.store._insert(LaunchShownRow)
            .values(
                slate_id=slate_id, product_id=product_id, plan_id=plan_id, displaced=displaced,
                credited=0.0,
            )
            .on_conflict_do_nothing(index_elements=["slate_id", "product_id"])
            .returning(LaunchShownRow.slate_id)
        )  # fmt: skip
        with self.store.together(), self.store._writing() as connection:
            return connection.execute(statement).first() is not None

    def launch_credit(
        self, slate_id: str, product_id: str, credit: float
    ) -> tuple[str, float] | None:
        """Raise what is credited to an exposure.

        Returns:
            The plan and what was credited before; None if nothing of a launch was shown there or
            it has been credited as much already.
        """
        here = (LaunchShownRow.slate_id == slate_id) & (LaunchShownRow.product_id == product_id)
        with self.store.together(), self.store._writing() as connection:
            row = connection.execute(
                select(LaunchShownRow.plan_id, LaunchShownRow.credited).where(here)
            ).first()
            if row is None or row.credited >= credit:
                return None
            connection.execute(update(LaunchShownRow).where(here).values(credited=credit))
            return row.plan_id, row.credited

    def audit(self, *, limit: int = 50) -> list[dict[str, object]]:
        """Return the newest changes of rules, campaigns and launches, newest first."""
        kept = self.store.audits(limit=5000)
        mine = [a for a in kept if str(a["action"]).startswith(("rule ", "campaign ", "launch "))]
        return [{**a, "at": a["at"].isoformat()} for a in reversed(mine)][:limit]

    # -- parts

    def _put(
        self, table: type, keys: Mapping[str, str], record: Campaign | ShopRule | LaunchStatus
    ) -> None:
        row = {**keys, "at": to_text(self.store._now()), "body": record.model_dump_json()}
        try:
            with self.store._writing() as connection:
                self.store._put(connection, table, list(keys), row)
        except SQLAlchemyError as error:
            raise StateError(self.store._explain(error)) from error

    def _bodies(self, query: Any) -> list[str]:
        try:
            with self.store._reading() as connection:
                return [row[0] for row in connection.execute(query)]
        except SQLAlchemyError as error:
            raise StateError(self.store._explain(error)) from error


def day_of(at: datetime) -> str:
    """Return the day of the shop's time, in UTC.

    >>> from datetime import UTC
    >>> day_of(datetime(2018, 1, 1, 23, tzinfo=UTC))
    '2018-01-01'
    """
    return to_text(at)[:10]


def spent(days: Iterable[CampaignDay], day: str | None = None) -> int:
    """Return what was spent in all, or on one day."""
    return sum(d.spent_minor for d in days if day is None or d.day == day)


def _read(kind: type[M], body: str) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise StateError(f"state: a kept {kind.__name__} is unreadable ({error}).") from error
