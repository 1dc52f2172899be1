"""Waits of leads, and which waits ended within an hour; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MEASURES = (("ticket_posting", "waits_within_hour"), ("lead_posting", "within_hour"), ("lead_posting", "waiting"))


def upgrade() -> None:
    """Add the measures."""
    for table, measure in MEASURES:
        op.add_column(table, sa.Column(measure, sa.BigInteger()))


def downgrade() -> None:
    """Remove them."""
    for table, measure in MEASURES:
        op.drop_column(table, measure)
