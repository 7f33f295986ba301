"""First tables of the service's state."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.String(128)
_TIME = sa.String(27)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "events",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("event_id", _ID, nullable=False, unique=True),
        sa.Column("visitor_id", _ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("events_of_visitor", "events", ["visitor_id", "at", "sequence"])
    op.create_table(
        "responses",
        sa.Column("request_id", _ID, primary_key=True),
        sa.Column("slate_id", _ID),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("visitor_id", _ID),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("recent", sa.Text, nullable=False),
    )
    op.create_index("ix_responses_visitor_id", "responses", ["visitor_id"])
    op.create_index("ix_responses_at", "responses", ["at"])
    op.create_table(
        "products",
        sa.Column("product_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", _ID, primary_key=True),
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_index("ix_sessions_visitor_id", "sessions", ["visitor_id"])
    op.create_table(
        "answers",
        sa.Column("session_id", _ID, primary_key=True),
        sa.Column("request_id", _ID, primary_key=True),
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("ix_answers_visitor_id", "answers", ["visitor_id"])
    op.create_table(
        "baskets",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("product_id", _ID, primary_key=True),
        sa.Column("variant_id", _ID, primary_key=True),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
    )
    op.create_table(
        "wishlists",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("product_id", _ID, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
    )
    op.create_table(
        "preferences",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("name", _ID, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("order_id", _ID, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "audits",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _ID, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", _ID, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("receipt_id", sa.String(64), nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("name", _ID, nullable=False),
        sa.Column("scopes", sa.String(256), nullable=False),
        sa.Column("visitor_id", _ID),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
    )
    op.create_table(
        "settings",
        sa.Column("name", _ID, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for name in (
        "settings", "keys", "tombstones", "audits", "orders", "preferences", "wishlists", "baskets",
        "answers", "sessions", "products", "responses", "events",
    ):  # fmt: skip
        op.drop_table(name)
