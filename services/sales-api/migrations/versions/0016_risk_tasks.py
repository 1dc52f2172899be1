"""Tasks about customers at risk, with the reasons."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the reasons. metrics.events is read from its first record on."""
    op.create_table(
        "risk_task",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column(
            "reasons", postgresql.ARRAY(sa.Text()), nullable=False, comment="that it covers; empty once recovered"
        ),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="of the newest event that was followed"),
        sa.Column("sequence", sa.Integer(), nullable=False),
    )
    comment = "why the customer is at risk; null for all else"
    op.add_column("activity", sa.Column("reasons", postgresql.ARRAY(sa.Text()), comment=comment))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("activity", "reasons")
    op.drop_table("risk_task")
