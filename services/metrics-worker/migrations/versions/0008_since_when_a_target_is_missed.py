"""Targets keep since when they are missed, for the alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.add_column(
        "target",
        sa.Column(
            "missed_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the judgement that it is missed was first made",
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_column("target", "missed_since")
