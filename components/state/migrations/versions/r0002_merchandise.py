"""Campaigns with their days and placements, and the shop's rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.String(128)
_TIME = sa.String(27)


def upgrade() -> None:
    """Create the tables of merchandising."""
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "campaign_days",
        sa.Column("campaign_id", _ID, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("impressions", sa.Integer, nullable=False),
        sa.Column("expected_clicks", sa.Float, nullable=False),
        sa.Column("clicks", sa.Integer, nullable=False),
        sa.Column("unbilled_clicks", sa.Integer, nullable=False),
        sa.Column("spent_minor", sa.Integer, nullable=False),
        sa.Column("ndcg_cost", sa.Float, nullable=False),
        sa.Column("relevance_cost", sa.Float, nullable=False),
    )
    op.create_table(
        "placements",
        sa.Column("slate_id", _ID, primary_key=True),
        sa.Column("product_id", _ID, primary_key=True),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("price_minor", sa.Integer, nullable=False),
        sa.Column("clicked_at", _TIME),
        sa.Column("charged_minor", sa.Integer),
    )
    op.create_index("ix_placements_campaign_id", "placements", ["campaign_id"])
    op.create_table(
        "shop_rules",
        sa.Column("rule_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables of merchandising."""
    for name in ("shop_rules", "placements", "campaign_days", "campaigns"):
        op.drop_table(name)
