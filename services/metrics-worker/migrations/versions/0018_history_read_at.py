"""When a batch last had a history in it: until all of it is there, nothing is evaluated."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KNOWN = "the recorded time up to which the ledger has all events of the partition; null before it is known"
HISTORY = "when a batch last had much in it that was recorded long after it happened"
BEFORE = "The recorded time up to which the ledger has all events of a partition."
NOW = "How far the ledger is complete, by partition."


def upgrade() -> None:
    """Add the column; its row may be there before the partition is known to be complete."""
    op.alter_column("freshness", "complete_until", nullable=True, comment=KNOWN)
    op.add_column("freshness", sa.Column("history_read_at", sa.DateTime(timezone=True), comment=HISTORY))
    op.create_table_comment("freshness", NOW, existing_comment=BEFORE)


def downgrade() -> None:
    """Remove it."""
    op.execute("delete from freshness where complete_until is null")
    op.drop_column("freshness", "history_read_at")
    op.alter_column("freshness", "complete_until", nullable=False, comment=None, existing_comment=KNOWN)
    op.create_table_comment("freshness", BEFORE, existing_comment=NOW)
