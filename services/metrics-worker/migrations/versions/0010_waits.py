"""Each wait of a customer is measured; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MEASURES = ("waits", "replied", "reply_seconds", "waiting")


def upgrade() -> None:
    """Add the measures."""
    for measure in MEASURES:
        op.add_column("ticket_posting", sa.Column(measure, sa.BigInteger()))
    op.add_column("ticket_posting", sa.Column("reply_seconds_bucket", sa.SmallInteger()))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("ticket_posting", "reply_seconds_bucket")
    for measure in MEASURES:
        op.drop_column("ticket_posting", measure)
