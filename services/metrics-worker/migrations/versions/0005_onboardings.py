"""Onboardings have measures of their own; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MEASURES = ("onboardings", "onboarding_backlog")


def upgrade() -> None:
    """Add the measures."""
    for measure in MEASURES:
        op.add_column("ticket_posting", sa.Column(measure, sa.BigInteger()))


def downgrade() -> None:
    """Remove them."""
    for measure in MEASURES:
        op.drop_column("ticket_posting", measure)
