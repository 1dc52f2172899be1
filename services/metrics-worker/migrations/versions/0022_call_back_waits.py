"""Calls and visits that were agreed with customers, who wait for them; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MEASURES = ("agreed", "agreed_within_hour", "agreed_open")
BEFORE = "'lead', 'message', 'reopened', 'rating'"


def upgrade() -> None:
    """Add the measures, and the reason."""
    for measure in MEASURES:
        op.add_column("activity_posting", sa.Column(measure, sa.BigInteger()))
    _allow(f"{BEFORE}, 'call_back'")


def downgrade() -> None:
    """Remove them, with the policies for the reason."""
    op.execute("DELETE FROM authoritative.waiting_policy WHERE reason = 'call_back'")
    _allow(BEFORE)
    for measure in MEASURES:
        op.drop_column("activity_posting", measure)


def _allow(reasons: str) -> None:
    name = op.f("waiting_policy_reason_check")
    op.drop_constraint(name, "waiting_policy", schema="authoritative")
    op.create_check_constraint(name, "waiting_policy", f"reason IN ({reasons})", schema="authoritative")
