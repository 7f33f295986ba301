"""The tables of the service's state, as SQLAlchemy sees them; SQLite and PostgreSQL alike.

Times are text in one fixed-width UTC form (`2018-01-01T00:00:00.000000Z`): they sort as text, mean
the same in both databases, and a person can read them. Bodies are JSON text of our records.
"""

from datetime import UTC, datetime

from sqlalchemy import Float, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "0004"
_TIME = String(27)
_ID = String(128)


def to_text(moment: datetime) -> str:
    """Return an aware time as fixed-width UTC text.

    >>> to_text(datetime(2018, 1, 1, tzinfo=UTC))
    '2018-01-01T00:00:00.000000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Return the time that `to_text` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of all tables."""


class EventRow(Base):
    """An acknowledged event. `at` is the shop's time, `received_at` the wall clock's."""

    __tablename__ = "events"
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(_ID, unique=True)
    visitor_id: Mapped[str] = mapped_column(_ID)
    kind: Mapped[str] = mapped_column(String(32))
    at: Mapped[str] = mapped_column(_TIME)
    received_at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("events_of_visitor", "visitor_id", "at", "sequence"),)


class ResponseRow(Base):
    """A served answer with everything needed to compute it again."""

    __tablename__ = "responses"
    request_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    slate_id: Mapped[str | None] = mapped_column(_ID)
    endpoint: Mapped[str] = mapped_column(String(64))
    visitor_id: Mapped[str | None] = mapped_column(_ID, index=True)
    model_version: Mapped[str] = mapped_column(String(128))
    at: Mapped[str] = mapped_column(_TIME, index=True)
    request: Mapped[str] = mapped_column(Text)
    response: Mapped[str] = mapped_column(Text)
    recent: Mapped[str] = mapped_column(Text)


class ProductRow(Base):
    """A product posted since the release was built, in its newest form."""

    __tablename__ = "products"
    product_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)


class SessionRow(Base):
    """The assistant's dialogue state, one per session and visitor."""

    __tablename__ = "sessions"
    session_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True, index=True)
    at: Mapped[str] = mapped_column(_TIME)
    state: Mapped[str] = mapped_column(Text)


class AnswerRow(Base):
    """The answer to a turn's request_id: a retry is answered again, not applied again."""

    __tablename__ = "answers"
    session_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True, index=True)
    at: Mapped[str] = mapped_column(_TIME)
    answer: Mapped[str] = mapped_column(Text)


class BasketRow(Base):
    """One line of a basket; `variant_id` is empty where the product has one form."""

    __tablename__ = "baskets"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    product_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    variant_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    quantity: Mapped[int] = mapped_column(Integer)
    place: Mapped[int] = mapped_column(Integer)


class BasketOfferRow(Base):
    """An offer that a visitor put on the basket; what it takes off is computed, never kept."""

    __tablename__ = "basket_offers"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    promotion_id: Mapped[str] = mapped_column(_ID, primary_key=True)


class RedemptionRow(Base):
    """An offer used: the key makes a second use by the same household impossible.

    Of a forgotten visitor the salted digest stays, so that forgetting does not renew an offer.
    """

    __tablename__ = "redemptions"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    promotion_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    order_id: Mapped[str] = mapped_column(_ID)
    amount_minor: Mapped[int] = mapped_column(Integer)
    at: Mapped[str] = mapped_column(_TIME)


class WishRow(Base):
    """A product on a wishlist."""

    __tablename__ = "wishlists"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    product_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    place: Mapped[int] = mapped_column(Integer)


class PreferenceRow(Base):
    """What a visitor said about himself."""

    __tablename__ = "preferences"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(_ID, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class OrderRow(Base):
    """A placed order."""

    __tablename__ = "orders"
    visitor_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    order_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    place: Mapped[int] = mapped_column(Integer)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)


class AuditRow(Base):
    """Who did what to which subject; `detail` is JSON."""

    __tablename__ = "audits"
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[str] = mapped_column(_TIME)
    actor: Mapped[str] = mapped_column(_ID)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(_ID)
    detail: Mapped[str] = mapped_column(Text)


class TombstoneRow(Base):
    """A visitor who asked to be forgotten, known by a salted digest alone."""

    __tablename__ = "tombstones"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[str] = mapped_column(_TIME)
    receipt_id: Mapped[str] = mapped_column(String(64))


class KeyRow(Base):
    """An API key, kept as its digest. With a `visitor_id` it sees that visitor only."""

    __tablename__ = "keys"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(_ID)
    scopes: Mapped[str] = mapped_column(String(256))
    visitor_id: Mapped[str | None] = mapped_column(_ID)
    at: Mapped[str] = mapped_column(_TIME)
    revoked_at: Mapped[str | None] = mapped_column(_TIME)


class SettingRow(Base):
    """A value that the service itself needs to remember: the salt, when its clock started."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(_ID, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class CampaignRow(Base):
    """A sponsor's campaign in its newest form; what it spent stands in `campaign_days`."""

    __tablename__ = "campaigns"
    campaign_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)


class CampaignDayRow(Base):
    """What a campaign got and paid on one day of the shop's time (`2018-01-01`)."""

    __tablename__ = "campaign_days"
    campaign_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    impressions: Mapped[int] = mapped_column(Integer)
    expected_clicks: Mapped[float] = mapped_column(Float)
    clicks: Mapped[int] = mapped_column(Integer)
    unbilled_clicks: Mapped[int] = mapped_column(Integer)
    spent_minor: Mapped[int] = mapped_column(Integer)
    ndcg_cost: Mapped[float] = mapped_column(Float)
    relevance_cost: Mapped[float] = mapped_column(Float)


class PlacementRow(Base):
    """One sponsored place of a slate: what a click on it costs and what it displaced."""

    __tablename__ = "placements"
    slate_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    product_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    campaign_id: Mapped[str] = mapped_column(_ID, index=True)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)
    price_minor: Mapped[int] = mapped_column(Integer)
    clicked_at: Mapped[str | None] = mapped_column(_TIME)
    charged_minor: Mapped[int | None] = mapped_column(Integer)


class RuleRow(Base):
    """A merchandiser's rule in its newest form; its history stands in `audits`."""

    __tablename__ = "shop_rules"
    rule_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)


class LaunchRow(Base):
    """A started launch plan with its account, in its newest form."""

    __tablename__ = "launches"
    plan_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    at: Mapped[str] = mapped_column(_TIME)
    body: Mapped[str] = mapped_column(Text)


class LaunchShownRow(Base):
    """One exposure of a launch: what it displaced, and what has been credited to it."""

    __tablename__ = "launches_shown"
    slate_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    product_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    plan_id: Mapped[str] = mapped_column(_ID, index=True)
    displaced: Mapped[float] = mapped_column(Float)
    credited: Mapped[float] = mapped_column(Float)
