"""Past searches with their clicks, and the synonyms that a person approved or declined.

Synonyms are one row of the settings, and every decision stands in `audits`. What is read of past
searches names visitors: whoever shows it to people counts visitors first (`search.analytics`).
"""

import json
from collections.abc import Mapping
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from components.contracts.errors import StateError
from components.state.models import EventRow, ResponseRow, SettingRow, from_text
from components.state.store import Store

SETTING = "synonyms"
_FOLLOWING = ("click", "basket_add", "purchase")


class PastSearch(TypedDict):
    """One search as served: `ranks` are the distinct places followed, ascending."""

    visitor_id: str
    at: Any
    text: str
    total: int
    shown: int
    ranks: tuple[int, ...]


class SearchState:
    """What is known of searches, over a `Store`."""

    def __init__(self, store: Store) -> None:
        """Use the store's database."""
        self.store = store

    def past(self, *, limit: int = 5000) -> list[PastSearch]:
        """Return the newest searches of known visitors, first pages alone, oldest first.

        Args:
            limit: how many answers are read at most.

        Raises:
            StateError: the database refused.
        """
        asked = (
            select(ResponseRow)
            .where(ResponseRow.endpoint == "search", ResponseRow.visitor_id.is_not(None))
            .order_by(ResponseRow.at.desc(), ResponseRow.request_id.desc())
            .limit(limit)
        )
        try:
            with self.store._reading() as connection:
                rows = connection.execute(asked).all()
                if not rows:
                    return []
                followed = connection.execute(
                    select(EventRow.body).where(
                        EventRow.kind.in_(_FOLLOWING), EventRow.at >= rows[-1].at
                    )
                ).all()
        except SQLAlchemyError as error:
            raise StateError(self.store._explain(error)) from error
        chosen: dict[str, set[str]] = {}
        for row in followed:
            body = json.loads(row.body)
            if body.get("slate_id"):
                chosen.setdefault(body["slate_id"], set()).add(body["product_id"])
        found: list[PastSearch] = []
        for row in reversed(rows):
            request, response = json.loads(row.request), json.loads(row.response)
            if request.get("cursor") is not None:
                continue
            products = chosen.get(row.slate_id, set())
            ranks = {p["rank"] for p in response["products"] if p["product_id"] in products}
            found.append(
                PastSearch(
                    visitor_id=row.visitor_id,
                    at=from_text(row.at),
                    text=request["query"],
                    total=response["total"],
                    shown=len(response["products"]),
                    ranks=tuple(sorted(ranks)),
                )
            )
        return found

    def synonyms(self) -> dict[str, tuple[str, ...]]:
        """Return the approved synonyms: a phrase to the other phrases that find it."""
        return {t: tuple(o) for t, o in self._held()["approved"].items()}

    def declined(self) -> set[tuple[str, str]]:
        """Return the pairs that a person said no to: they are not proposed again."""
        return {(term, other) for term, other in self._held()["declined"]}

    def decide(self, term: str, other: str, *, is_approved: bool, by: str) -> None:
        """Approve a synonym, or decline or withdraw it.

        Args:
            term: what visitors type.
            other: what the catalogue calls it.
            is_approved: whether searching for `term` shall find `other` from now on.
            by: who decided, for the audit.

        Raises:
            StateError: the database refused.
        """
        with self.store.together():
            held = self._held()
            approved = {t: list(o) for t, o in held["approved"].items()}
            declined = {(t, o) for t, o in held["declined"]}
            others = [o for o in approved.pop(term, []) if o != other]
            if is_approved:
                others.append(other)
                declined.discard((term, other))
            else:
                declined.add((term, other))
            if others:
                approved[term] = sorted(others)
            self._keep({"approved": approved, "declined": sorted(declined)})
            action = "synonym approved" if is_approved else "synonym declined"
            self.store.audit(by, action, term[:128], other=other)

    def _held(self) -> Mapping[str, Any]:
        try:
            with self.store._reading() as connection:
                value = connection.execute(
                    select(SettingRow.value).where(SettingRow.name == SETTING)
                ).scalar()
        except SQLAlchemyError as error:
            raise StateError(self.store._explain(error)) from error
        return json.loads(value) if value else {"approved": {}, "declined": []}

    def _keep(self, held: Mapping[str, Any]) -> None:
        with self.store._writing() as connection:
            row = {"name": SETTING, "value": json.dumps(held, sort_keys=True, ensure_ascii=False)}
            self.store._put(connection, SettingRow, ("name",), row)
