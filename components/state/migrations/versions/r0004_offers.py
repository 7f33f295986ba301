"""Offers a visitor put on the basket, and offers used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.String(128)
_TIME = sa.String(27)


def upgrade() -> None:
    """Create the tables of offers."""
    op.create_table(
        "basket_offers",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("promotion_id", _ID, primary_key=True),
    )
    op.create_table(
        "redemptions",
        sa.Column("visitor_id", _ID, primary_key=True),
        sa.Column("promotion_id", _ID, primary_key=True),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("amount_minor", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables of offers."""
    for name in ("redemptions", "basket_offers"):
        op.drop_table(name)
