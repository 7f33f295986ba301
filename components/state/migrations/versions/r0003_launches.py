"""Launch plans and their exposures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.String(128)
_TIME = sa.String(27)


def upgrade() -> None:
    """Create the tables of launches."""
    op.create_table(
        "launches",
        sa.Column("plan_id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "launches_shown",
        sa.Column("slate_id", _ID, primary_key=True),
        sa.Column("product_id", _ID, primary_key=True),
        sa.Column("plan_id", _ID, nullable=False),
        sa.Column("displaced", sa.Float, nullable=False),
        sa.Column("credited", sa.Float, nullable=False),
    )
    op.create_index("ix_launches_shown_plan_id", "launches_shown", ["plan_id"])


def downgrade() -> None:
    """Drop the tables of launches."""
    for name in ("launches_shown", "launches"):
        op.drop_table(name)
