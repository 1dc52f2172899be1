"""Work that is planned and not done yet, and what was due; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MEASURES = (
    ("activity_posting", ("with_due", "open")),
    ("training_posting", ("due", "on_time", "open")),
    ("checkin_posting", ("with_due", "open")),
    ("maintenance_posting", ("due", "open")),
)


def upgrade() -> None:
    """Add the measures."""
    for table, measures in MEASURES:
        for measure in measures:
            op.add_column(table, sa.Column(measure, sa.BigInteger()))


def downgrade() -> None:
    """Remove them."""
    for table, measures in MEASURES:
        for measure in measures:
            op.drop_column(table, measure)
