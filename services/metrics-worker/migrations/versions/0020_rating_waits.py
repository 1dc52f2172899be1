"""Bad ratings that wait to be followed up; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MEASURES = ("waits", "waits_within_hour", "waiting", "followed_up", "follow_up_seconds")
BEFORE = "'lead', 'message', 'reopened'"


def upgrade() -> None:
    """Add the measures, and the reason."""
    for measure in MEASURES:
        op.add_column("survey_posting", sa.Column(measure, sa.BigInteger()))
    op.add_column("survey_posting", sa.Column("follow_up_seconds_bucket", sa.SmallInteger()))
    _allow(f"{BEFORE}, 'rating'")


def downgrade() -> None:
    """Remove them, with the policies for the reason."""
    op.execute("DELETE FROM authoritative.waiting_policy WHERE reason = 'rating'")
    _allow(BEFORE)
    op.drop_column("survey_posting", "follow_up_seconds_bucket")
    for measure in MEASURES:
        op.drop_column("survey_posting", measure)


def _allow(reasons: str) -> None:
    name = op.f("waiting_policy_reason_check")
    op.drop_constraint(name, "waiting_policy", schema="authoritative")
    op.create_check_constraint(name, "waiting_policy", f"reason IN ({reasons})", schema="authoritative")
