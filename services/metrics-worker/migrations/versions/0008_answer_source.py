"""Answers to surveys are kept apart by who gave them; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the dimension and the measure."""
    op.add_column("survey_posting", sa.Column("answer_source", sa.Integer()))
    op.add_column("survey_posting", sa.Column("cohort_answered_by_customer", sa.BigInteger()))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("survey_posting", "cohort_answered_by_customer")
    op.drop_column("survey_posting", "answer_source")
