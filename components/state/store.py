"""The service's memory: events, baskets, sessions, orders, served answers, in SQL.

SQLite (write-ahead log, synchronous=FULL) by default, PostgreSQL by URL, `sqlite://` in memory for
tests. What a method acknowledges is on the disk when it returns. Several threads may use one store
and several processes one database. It knows no model, no ranking and no HTTP.
"""

import functools
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from components.contracts.errors import OfferUsedError, StateError
from components.contracts.records import BasketLine, Event, Order, Product
from components.state import forget as forgetting
from components.state.forget import Receipt
from components.state.keys import Key, digest_of_token
from components.state.models import (
    REVISION,
    AnswerRow,
    AuditRow,
    Base,
    BasketOfferRow,
    BasketRow,
    EventRow,
    KeyRow,
    OrderRow,
    PreferenceRow,
    ProductRow,
    RedemptionRow,
    ResponseRow,
    SessionRow,
    SettingRow,
    WishRow,
    from_text,
    to_text,
)

logger = logging.getLogger(__name__)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_NUMBER = 7_301_119
P = ParamSpec("P")
R = TypeVar("R")

# What every turn reads, written once: making a statement costs as much as running it.
_VISITOR = bindparam("visitor_id")
_EVENTS = (
    select(EventRow.body)
    .where(EventRow.visitor_id == _VISITOR)
    .order_by(EventRow.at.desc(), EventRow.sequence.desc())
    .limit(bindparam("limit"))
)
_EVENTS_OF_KINDS = _EVENTS.where(EventRow.kind.in_(bindparam("kinds", expanding=True)))
_BASKET = select(BasketRow).where(BasketRow.visitor_id == _VISITOR).order_by(BasketRow.place)
_BASKET_OFFERS = (
    select(BasketOfferRow.promotion_id)
    .where(BasketOfferRow.visitor_id == _VISITOR)
    .order_by(BasketOfferRow.promotion_id)
)
_WISHES = select(WishRow.product_id).where(WishRow.visitor_id == _VISITOR).order_by(WishRow.place)
_PREFERENCES = (
    select(PreferenceRow).where(PreferenceRow.visitor_id == _VISITOR).order_by(PreferenceRow.name)
)
_ORDERS = select(OrderRow.body).where(OrderRow.visitor_id == _VISITOR).order_by(OrderRow.place)
_SESSION = select(SessionRow.state).where(
    SessionRow.session_id == bindparam("session_id"), SessionRow.visitor_id == _VISITOR
)


def _stated(method: Callable[Concatenate["Store", P], R]) -> Callable[Concatenate["Store", P], R]:
    """Turn a database error into one clear StateError."""

    @functools.wraps(method)
    def wrapped(self: "Store", *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except SQLAlchemyError as error:
            raise StateError(self._explain(error)) from error

    return wrapped


class Store:
    """One database of the service's state, migrated when opened."""

    def __init__(
        self, url: str = "sqlite:///var/state.db", *, now: Callable[[], datetime] | None = None
    ) -> None:
        """Open and migrate the database.

        Args:
            url: SQLAlchemy URL; `sqlite://` lives in memory and dies with the store.
            now: the wall clock, for `received_at` and audit times.

        Raises:
            StateError: no database URL, cannot be opened or written, or a newer version made it.
        """
        self.url = url
        self._now = now or (lambda: datetime.now(UTC))
        self._local = threading.local()
        self._memory_lock = threading.RLock()
        self._upserts: dict[Any, Any] = {}  # statements by table, keys and columns
        self._engine = self._open()
        self._migrate()

    def _open(self) -> Engine:
        try:
            url = make_url(self.url)
        except ArgumentError as error:
            raise StateError(
                f"state: {self.url!r} is no database URL; use sqlite:///var/state.db."
            ) from error
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._in_memory = self._is_sqlite and url.database in (None, "", ":memory:")
        self._shown = url.render_as_string(hide_password=True)
        if not self._is_sqlite and url.get_backend_name() != "postgresql":
            raise StateError(f"state: {self._shown}: only sqlite and postgresql are supported.")
        try:
            if not self._is_sqlite:
                return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
            if not self._in_memory:
                try:
                    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise StateError(
                        f"state: cannot make the folder of {url.database} ({error.strerror})."
                    ) from error
            options: dict[str, Any] = {
                "connect_args": {"check_same_thread": False, "timeout": 30.0}
            }
            options |= (
                {"poolclass": StaticPool}
                if self._in_memory
                else {"pool_size": 10, "max_overflow": 40}
            )
            engine = create_engine(url, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise StateError(
                f"state: {self._shown}: its driver is absent; install psycopg[binary]."
            ) from error
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _prepare_sqlite(self, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, by us
        pragmas = ["busy_timeout=30000", "foreign_keys=ON", "secure_delete=ON"]
        if not self._in_memory:
            pragmas += ["journal_mode=WAL", "synchronous=FULL"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @_stated
    def _migrate(self) -> None:
        if self._in_memory:
            with self._writing() as connection:
                Base.metadata.create_all(connection)
            return
        with self._reading() as connection:
            current = self._revision(connection)
        if current == REVISION:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._writing() as connection:
            if not self._is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"))
            if self._revision(connection) == REVISION:  # another process was first
                return
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StateError(
                    f"state: {self._shown} has schema {current}, this version knows {REVISION}; "
                    "update Shelfwise or choose another database."
                ) from error

    @staticmethod
    def _revision(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _explain(self, error: SQLAlchemyError) -> str:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
        hint = (
            "is the disk full, and may this user write there?"
            if self._is_sqlite
            else "is the server up?"
        )
        return f"state: {self._shown}: {cause[0] if cause else type(error).__name__} ({hint})"

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        shared: Connection | None = getattr(self._local, "connection", None)
        if shared is not None:
            yield shared
        elif self._in_memory:
            with self._memory_lock, self._engine.connect() as connection:
                yield connection
        else:
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        shared: Connection | None = getattr(self._local, "connection", None)
        if shared is not None:
            if getattr(self._local, "is_read_only", False):
                raise StateError("state: a write inside `snapshot`, which only reads.")
            yield shared
            return
        with (
            self._memory_lock if self._in_memory else nullcontext(),
            self._engine.connect().execution_options(shelfwise_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that this thread does in the block one transaction: everything or nothing.

        Raises:
            StateError: the database refused.
        """
        if getattr(self._local, "connection", None) is not None:
            yield
            return
        try:
            with self._writing() as connection:
                self._local.connection = connection
                try:
                    yield
                finally:
                    self._local.connection = None
        except SQLAlchemyError as error:
            raise StateError(self._explain(error)) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that this thread reads in the block come from one state of the database.

        Raises:
            StateError: the database refused, or the block writes.
        """
        if getattr(self._local, "connection", None) is not None:
            yield
            return
        try:
            with self._reading() as connection:
                if not self._is_sqlite:
                    connection.execution_options(isolation_level="REPEATABLE READ")
                self._local.connection, self._local.is_read_only = connection, True
                try:
                    yield
                finally:
                    self._local.connection, self._local.is_read_only = None, False
        except SQLAlchemyError as error:
            raise StateError(self._explain(error)) from error

    def _insert(self, table: Any) -> Any:
        return sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)

    def _put(
        self, connection: Connection, table: Any, keys: Sequence[str], values: Mapping[str, Any]
    ) -> None:
        name = table.__tablename__, tuple(keys), tuple(values)
        statement = self._upserts.get(name)
        if statement is None:
            made = self._insert(table)
            fresh = {name: made.excluded[name] for name in values if name not in keys}
            statement = made.on_conflict_do_update(index_elements=list(keys), set_=fresh)
            self._upserts[name] = statement
        connection.execute(statement, dict(values))

    def _next_place(self, connection: Connection, table: Any, visitor_id: str) -> int:
        last = connection.execute(
            select(func.max(table.place)).where(table.visitor_id == visitor_id)
        ).scalar()
        return (last or 0) + 1

    # -- events

    @_stated
    def append_events(self, events: Sequence[Event]) -> tuple[list[str], list[str]]:
        """Keep events once each; they are durable when this returns.

        Returns:
            (accepted ids, duplicate ids), each in the order given. The first event of an id stays.
        """
        first: dict[str, Event] = {}
        for item in events:
            first.setdefault(item.event_id, item)
        if not first:
            return [], []
        received = to_text(self._now())
        rows = [
            {
                "event_id": e.event_id,
                "visitor_id": e.visitor_id,
                "kind": e.kind,
                "at": to_text(e.at),
                "received_at": received,
                "body": e.model_dump_json(exclude_defaults=False),
            }
            for e in first.values()
        ]
        statement = (
            self._insert(EventRow)
            .on_conflict_do_nothing(index_elements=["event_id"])
            .returning(EventRow.event_id)
        )
        with self._writing() as connection:
            new = {row[0] for row in connection.execute(statement, rows)}
        accepted, duplicates = [], []
        for item in events:
            if item.event_id in new:
                new.discard(item.event_id)
                accepted.append(item.event_id)
            else:
                duplicates.append(item.event_id)
        return accepted, duplicates

    @_stated
    def visitor_events(
        self, visitor_id: str, *, limit: int = 200, kinds: Sequence[str] = ()
    ) -> list[Event]:
        """Return a visitor's newest `limit` events, oldest first; of the given kinds alone."""
        asked: dict[str, Any] = {"visitor_id": visitor_id, "limit": limit}
        if kinds:
            asked["kinds"] = list(kinds)
        query = _EVENTS_OF_KINDS if kinds else _EVENTS
        with self._reading() as connection:
            bodies = [row[0] for row in connection.execute(query, asked)]
        return [_EVENT.validate_json(body) for body in reversed(bodies)]

    @_stated
    def events_by_id(self, event_ids: Sequence[str]) -> list[Event]:
        """Return the events of these ids in the order given; absent ones are left out."""
        with self._reading() as connection:
            found = {
                row.event_id: row.body
                for row in connection.execute(
                    select(EventRow.event_id, EventRow.body).where(
                        EventRow.event_id.in_(list(event_ids))
                    )
                )
            }
        return [_EVENT.validate_json(found[i]) for i in event_ids if i in found]

    @_stated
    def events_since(self, sequence: int = 0, *, limit: int = 10_000) -> tuple[list[Event], int]:
        """Return events after a sequence number in the order received, and the last number read."""
        query = select(EventRow.sequence, EventRow.body).where(EventRow.sequence > sequence)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(EventRow.sequence).limit(limit)).all()
        return [_EVENT.validate_json(row.body) for row in rows], rows[
            -1
        ].sequence if rows else sequence

    @_stated
    def raw_events(
        self, sequence: int, *, kinds: Sequence[str], limit: int = 5000
    ) -> list[dict[str, Any]]:
        """Return events of these kinds after a sequence number, bodies decoded and unchecked."""
        query = (
            select(EventRow.sequence, EventRow.kind, EventRow.visitor_id, EventRow.body)
            .where(EventRow.sequence > sequence, EventRow.kind.in_(kinds))
            .order_by(EventRow.sequence)
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [{**row._mapping, "body": json.loads(row.body)} for row in rows]

    @_stated
    def sequence_at(self, received: datetime) -> int:
        """Return the number of the last event received before a wall-clock time, or 0."""
        query = select(func.max(EventRow.sequence)).where(EventRow.received_at < to_text(received))
        with self._reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    @_stated
    def count_events(self) -> int:
        """Return how many events are kept."""
        with self._reading() as connection:
            return int(connection.execute(select(func.count()).select_from(EventRow)).scalar_one())

    # -- basket, wishlist, preferences, orders

    @_stated
    def basket(self, visitor_id: str) -> list[BasketLine]:
        """Return the basket's lines in the order they were put in."""
        with self._reading() as connection:
            rows = connection.execute(_BASKET, {"visitor_id": visitor_id}).all()
        return [
            BasketLine(
                product_id=r.product_id, variant_id=r.variant_id or None, quantity=r.quantity
            )
            for r in rows
        ]

    @_stated
    def basket_set(
        self, visitor_id: str, product_id: str, variant_id: str | None, quantity: int
    ) -> None:
        """Make the basket hold exactly `quantity` of a product's variant; 0 removes the line."""
        line = (
            BasketRow.visitor_id == visitor_id,
            BasketRow.product_id == product_id,
            BasketRow.variant_id == (variant_id or ""),
        )
        with self._writing() as connection:
            if quantity <= 0:
                connection.execute(delete(BasketRow).where(*line))
                return
            row = {
                "visitor_id": visitor_id,
                "product_id": product_id,
                "variant_id": variant_id or "",
                "quantity": quantity,
                "place": self._next_place(connection, BasketRow, visitor_id),
            }
            statement = self._insert(BasketRow).values(**row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["visitor_id", "product_id", "variant_id"],
                    set_={"quantity": quantity},
                )
            )

    @_stated
    def basket_clear(self, visitor_id: str) -> None:
        """Empty the basket."""
        with self._writing() as connection:
            connection.execute(delete(BasketRow).where(BasketRow.visitor_id == visitor_id))

    @_stated
    def basket_offers(self, visitor_id: str) -> list[str]:
        """Return ids of the offers that the visitor put on the basket, sorted."""
        with self._reading() as connection:
            return [r[0] for r in connection.execute(_BASKET_OFFERS, {"visitor_id": visitor_id})]

    @_stated
    def basket_offer_set(self, visitor_id: str, promotion_id: str, present: bool) -> None:
        """Put an offer on the basket or take it off; doing so twice changes nothing."""
        with self._writing() as connection:
            if not present:
                connection.execute(
                    delete(BasketOfferRow).where(
                        BasketOfferRow.visitor_id == visitor_id,
                        BasketOfferRow.promotion_id == promotion_id,
                    )
                )
                return
            statement = self._insert(BasketOfferRow).values(
                visitor_id=visitor_id, promotion_id=promotion_id
            )
            connection.execute(
                statement.on_conflict_do_nothing(index_elements=["visitor_id", "promotion_id"])
            )

    @_stated
    def redeemed(self, visitor_id: str) -> set[str]:
        """Return ids of the offers this visitor has used, also before being forgotten."""
        with self._reading() as connection:
            names = [visitor_id]
            salt = connection.execute(
                select(SettingRow.value).where(SettingRow.name == forgetting.SALT)
            ).scalar()
            if salt is not None:
                names.append(forgetting.digest_of(visitor_id, salt))
            query = select(RedemptionRow.promotion_id).where(RedemptionRow.visitor_id.in_(names))
            return {row[0] for row in connection.execute(query)}

    @_stated
    def redemptions(self, visitor_id: str) -> list[dict[str, Any]]:
        """Return which offers a visitor used, in which order and for how much, oldest first."""
        query = (
            select(RedemptionRow)
            .where(RedemptionRow.visitor_id == visitor_id)
            .order_by(RedemptionRow.at, RedemptionRow.promotion_id)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [
            {
                "promotion_id": r.promotion_id,
                "order_id": r.order_id,
                "amount_minor": r.amount_minor,
                "at": r.at,
            }
            for r in rows
        ]

    @_stated
    def redeem(
        self, visitor_id: str, amounts: Mapping[str, int], *, order_id: str, at: datetime
    ) -> None:
        """Use offers for an order, all or none; the same order may say so again.

        Args:
            visitor_id: the household.
            amounts: promotion id to what it took off, in minor units.
            order_id: the order that used them.
            at: the shop's time.

        Raises:
            OfferUsedError: another order of this household used one of them.
        """
        with self.together(), self._writing() as connection:
            used = self.redeemed(visitor_id)
            mine = {
                r["promotion_id"] for r in self.redemptions(visitor_id) if r["order_id"] == order_id
            }
            for promotion_id, amount in amounts.items():
                if promotion_id in mine:
                    continue
                row = {
                    "visitor_id": visitor_id,
                    "promotion_id": promotion_id,
                    "order_id": order_id,
                    "amount_minor": amount,
                    "at": to_text(at),
                }
                statement = (
                    self._insert(RedemptionRow)
                    .values(**row)
                    .on_conflict_do_nothing(index_elements=["visitor_id", "promotion_id"])
                    .returning(RedemptionRow.promotion_id)
                )
                if promotion_id in used or connection.execute(statement).first() is None:
                    raise OfferUsedError(f"offer {promotion_id!r} was used already.")

    @_stated
    def wishlist(self, visitor_id: str) -> list[str]:
        """Return the wishlist's product ids in the order they were added."""
        with self._reading() as connection:
            return [row[0] for row in connection.execute(_WISHES, {"visitor_id": visitor_id})]

    @_stated
    def wishlist_set(self, visitor_id: str, product_id: str, present: bool) -> None:
        """Put a product on the wishlist or take it off; doing so twice changes nothing."""
        with self._writing() as connection:
            if not present:
                connection.execute(
                    delete(WishRow).where(
                        WishRow.visitor_id == visitor_id, WishRow.product_id == product_id
                    )
                )
                return
            place = self._next_place(connection, WishRow, visitor_id)
            statement = self._insert(WishRow).values(
                visitor_id=visitor_id, product_id=product_id, place=place
            )
            connection.execute(
                statement.on_conflict_do_nothing(index_elements=["visitor_id", "product_id"])
            )

    @_stated
    def preferences(self, visitor_id: str) -> dict[str, str]:
        """Return what the visitor stated, by name."""
        with self._reading() as connection:
            rows = connection.execute(_PREFERENCES, {"visitor_id": visitor_id})
            return {row.name: row.value for row in rows}

    @_stated
    def preference_set(self, visitor_id: str, name: str, value: str | None) -> None:
        """Remember a preference; none as value removes it."""
        with self._writing() as connection:
            if value is None:
                connection.execute(
                    delete(PreferenceRow).where(
                        PreferenceRow.visitor_id == visitor_id, PreferenceRow.name == name
                    )
                )
                return
            self._put(
                connection,
                PreferenceRow,
                ("visitor_id", "name"),
                {"visitor_id": visitor_id, "name": name, "value": value},
            )

    @_stated
    def orders(self, visitor_id: str) -> list[Order]:
        """Return the visitor's orders, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(_ORDERS, {"visitor_id": visitor_id})
            return [Order.model_validate_json(row[0]) for row in rows]

    @_stated
    def order_add(self, visitor_id: str, order: Order, *, clear_basket: bool = False) -> bool:
        """Keep an order once, false if its id is known; the basket is emptied in the same step."""
        with self._writing() as connection:
            row = {
                "visitor_id": visitor_id,
                "order_id": order.order_id,
                "place": self._next_place(connection, OrderRow, visitor_id),
                "at": to_text(order.at or self._now()),
                "body": order.model_dump_json(),
            }
            statement = self._insert(OrderRow).values(**row)
            statement = statement.on_conflict_do_nothing(
                index_elements=["visitor_id", "order_id"]
            ).returning(OrderRow.order_id)
            is_new = connection.execute(statement).first() is not None
            if is_new and clear_basket:
                connection.execute(delete(BasketRow).where(BasketRow.visitor_id == visitor_id))
                connection.execute(
                    delete(BasketOfferRow).where(BasketOfferRow.visitor_id == visitor_id)
                )
            return is_new

    # -- assistant sessions

    @_stated
    def session(self, session_id: str, visitor_id: str) -> dict[str, Any] | None:
        """Return the dialogue state of this visitor in this session, or None."""
        asked = {"session_id": session_id, "visitor_id": visitor_id}
        with self._reading() as connection:
            found = connection.execute(_SESSION, asked).scalar()
        return None if found is None else json.loads(found)

    @_stated
    def session_put(self, session_id: str, visitor_id: str, state: Mapping[str, Any]) -> None:
        """Keep the dialogue state; `state` is JSON-like."""
        row = {
            "session_id": session_id,
            "visitor_id": visitor_id,
            "at": to_text(self._now()),
            "state": _json(state),
        }
        with self._writing() as connection:
            self._put(connection, SessionRow, ("session_id", "visitor_id"), row)

    @_stated
    def answered(
        self, session_id: str, request_id: str, *, visitor_id: str = ""
    ) -> dict[str, Any] | None:
        """Return the answer given before to this request of this session and visitor, or None."""
        query = select(AnswerRow.answer).where(
            AnswerRow.session_id == session_id,
            AnswerRow.request_id == request_id,
            AnswerRow.visitor_id == visitor_id,
        )
        with self._reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else json.loads(found)

    @_stated
    def answer_put(
        self, session_id: str, request_id: str, answer: Mapping[str, Any], *, visitor_id: str = ""
    ) -> None:
        """Remember the answer to a request; the first one stays."""
        row = {
            "session_id": session_id,
            "request_id": request_id,
            "visitor_id": visitor_id,
            "at": to_text(self._now()),
            "answer": _json(answer),
        }
        with self._writing() as connection:
            statement = self._insert(AnswerRow).values(**row)
            connection.execute(
                statement.on_conflict_do_nothing(
                    index_elements=["session_id", "request_id", "visitor_id"]
                )
            )

    # -- served answers

    def log_response(
        self,
        request_id: str,
        *,
        endpoint: str,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        model_version: str,
        at: datetime,
        slate_id: str | None = None,
        visitor_id: str | None = None,
        recent: Sequence[str] = (),
    ) -> None:
        """Keep one served answer for replay; see `log_responses`."""
        self.log_responses(
            [
                {
                    "request_id": request_id,
                    "endpoint": endpoint,
                    "request": request,
                    "response": response,
                    "model_version": model_version,
                    "at": at,
                    "slate_id": slate_id,
                    "visitor_id": visitor_id,
                    "recent": recent,
                }
            ]
        )

    @_stated
    def log_responses(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Keep served answers in one transaction: keys as the arguments of `log_response`."""
        if not answers:
            return
        rows = [
            {
                **answer,
                "at": to_text(answer["at"]),
                "request": _json(answer["request"]),
                "response": _json(answer["response"]),
                "recent": _json(list(answer["recent"])),
            }
            for answer in answers
        ]
        statement = self._insert(ResponseRow).on_conflict_do_nothing(index_elements=["request_id"])
        with self._writing() as connection:
            connection.execute(statement, rows)

    @_stated
    def response(self, request_id: str) -> dict[str, Any] | None:
        """Return a served answer and its inputs, or None.

        Returns:
            request_id, slate_id, endpoint, visitor_id, model_version, at (aware), request,
            response, recent (ids of the visitor's events that it was computed from).
        """
        with self._reading() as connection:
            row = connection.execute(
                select(ResponseRow).where(ResponseRow.request_id == request_id)
            ).first()
        return None if row is None else _served(row)

    @_stated
    def responses(
        self, *, limit: int = 1000, visitor_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest served answers, oldest first; of one visitor if asked."""
        query = select(ResponseRow)
        if visitor_id is not None:
            query = query.where(ResponseRow.visitor_id == visitor_id)
        query = query.order_by(ResponseRow.at.desc(), ResponseRow.request_id.desc()).limit(limit)
        with self._reading() as connection:
            return [_served(row) for row in reversed(connection.execute(query).all())]

    # -- products posted since the release

    @_stated
    def products_put(self, products: Sequence[Product]) -> None:
        """Keep posted products, the newest form of each; durable when this returns."""
        at = to_text(self._now())
        with self._writing() as connection:
            for product in products:
                row = {
                    "product_id": product.product_id,
                    "at": at,
                    "body": product.model_dump_json(),
                }
                self._put(connection, ProductRow, ("product_id",), row)

    @_stated
    def products(self, since: datetime | None = None) -> list[Product]:
        """Return posted products by time and id; only from a time on if given."""
        query = select(ProductRow.body).order_by(ProductRow.at, ProductRow.product_id)
        if since is not None:
            query = query.where(ProductRow.at >= to_text(since))
        with self._reading() as connection:
            bodies = [row[0] for row in connection.execute(query)]
        try:
            return [Product.model_validate_json(body) for body in bodies]
        except ValidationError as error:
            raise StateError(
                f"state: {self._shown}: a kept product is unreadable ({error.error_count()})"
            ) from error

    # -- keys

    @_stated
    def key_add(self, name: str, scopes: Sequence[str], *, visitor_id: str | None = None) -> str:
        """Make an API key and return its token, which is shown once and kept as a digest only."""
        token = "sw_" + secrets.token_urlsafe(32)
        row = {
            "digest": digest_of_token(token),
            "name": name,
            "scopes": " ".join(sorted(set(scopes))),
            "visitor_id": visitor_id,
            "at": to_text(self._now()),
        }
        with self._writing() as connection:
            connection.execute(insert(KeyRow).values(**row))
        return token

    @_stated
    def key(self, token: str) -> Key | None:
        """Return who holds this token, or None if it is unknown or revoked."""
        query = select(KeyRow).where(
            KeyRow.digest == digest_of_token(token), KeyRow.revoked_at.is_(None)
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
        return (
            None
            if row is None
            else Key(name=row.name, scopes=tuple(row.scopes.split()), visitor_id=row.visitor_id)
        )

    @_stated
    def key_revoke(self, name: str) -> int:
        """Revoke every key of this name and return how many there were."""
        with self._writing() as connection:
            statement = update(KeyRow).where(KeyRow.name == name, KeyRow.revoked_at.is_(None))
            return connection.execute(statement.values(revoked_at=to_text(self._now()))).rowcount

    # -- settings, audit, forgetting

    @_stated
    def setting(self, name: str, default: str) -> str:
        """Return a remembered value; the first caller's `default` becomes it."""
        with self._writing() as connection:
            statement = self._insert(SettingRow).values(name=name, value=default)
            connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
            return connection.execute(
                select(SettingRow.value).where(SettingRow.name == name)
            ).scalar_one()

    @_stated
    def audit(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Write down who did what to which subject."""
        row = {
            "at": to_text(self._now()),
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": _json(detail),
        }
        with self._writing() as connection:
            connection.execute(insert(AuditRow).values(**row))

    @_stated
    def audits(self, *, limit: int = 1000, subject: str | None = None) -> list[dict[str, Any]]:
        """Return the newest audit entries, oldest first."""
        query = select(AuditRow)
        if subject is not None:
            query = query.where(AuditRow.subject == subject)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(AuditRow.sequence.desc()).limit(limit)).all()
        return [
            {
                "at": from_text(row.at),
                "actor": row.actor,
                "action": row.action,
                "subject": row.subject,
                "detail": json.loads(row.detail),
            }
            for row in reversed(rows)
        ]

    @_stated
    def export(self, visitor_id: str) -> dict[str, Any]:
        """Return everything kept about a visitor, JSON-like."""
        with self._reading() as connection:
            sessions = connection.execute(
                select(SessionRow).where(SessionRow.visitor_id == visitor_id)
            ).all()
        return {
            "visitor_id": visitor_id,
            "events": [
                e.model_dump(mode="json") for e in self.visitor_events(visitor_id, limit=100_000)
            ],
            **memory_of(self, visitor_id),
            "sessions": [
                {"session_id": row.session_id, "state": json.loads(row.state)} for row in sessions
            ],
            "responses": [
                {**served, "at": served["at"].isoformat()}
                for served in self.responses(limit=100_000, visitor_id=visitor_id)
            ],
        }

    @_stated
    def forget(self, visitor_id: str) -> Receipt:
        """Remove a visitor from every table and from the file's free pages; return the receipt."""
        with self._writing() as connection:
            receipt = forgetting.forget(connection, visitor_id, now=self._now())
        self._truncate_log()
        return receipt

    def _truncate_log(self) -> None:
        """Empty the write-ahead log into the file: old pages in it may hold removed rows."""
        if (
            not self._is_sqlite
            or self._in_memory
            or getattr(self._local, "connection", None) is not None
        ):
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).first()
            if busy is not None and busy[0]:
                logger.warning(
                    "state: readers held the write-ahead log; it is emptied at the next checkpoint"
                )

    @_stated
    def forgotten_at(self, visitor_id: str) -> datetime | None:
        """Return when a visitor was forgotten, or None: history from before must not be used."""
        with self._reading() as connection:
            return forgetting.forgotten_at(connection, visitor_id)

    @_stated
    def tombstones(self) -> dict[str, Any]:
        """Return `{"salt", "forgotten": {digest: time}}`: whom readers of older data must drop."""
        with self._reading() as connection:
            return forgetting.tombstones(connection)

    @_stated
    def ping(self) -> None:
        """Check that the database answers.

        Raises:
            StateError: it does not.
        """
        with self._reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def memory_of(store: Store, visitor_id: str) -> dict[str, Any]:
    """Return a visitor's records but for events and talk, JSON-like: what a turn may read."""
    return {
        "basket": [line.model_dump(mode="json") for line in store.basket(visitor_id)],
        "basket_offers": store.basket_offers(visitor_id),
        "redemptions": store.redemptions(visitor_id),
        "wishlist": store.wishlist(visitor_id),
        "preferences": store.preferences(visitor_id),
        "orders": [order.model_dump(mode="json") for order in store.orders(visitor_id)],
    }


def _begin_sqlite(connection: Connection) -> None:
    """Writers take the write lock at once, so that two of them never fail half-way through."""
    writes = connection.get_execution_options().get("shelfwise_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _served(row: Any) -> dict[str, Any]:
    return {
        "request_id": row.request_id,
        "slate_id": row.slate_id,
        "endpoint": row.endpoint,
        "visitor_id": row.visitor_id,
        "model_version": row.model_version,
        "at": from_text(row.at),
        "request": json.loads(row.request),
        "response": json.loads(row.response),
        "recent": json.loads(row.recent),
    }
