"""Steps of onboardings, and promised deliveries that customers wait for; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLE = "onboardingstep_posting"
DIMENSIONS = ("region", "segment", "product", "channel", "owner", "team")
MEASURES = (
    *("completed", "due", "on_time", "open", "delivered", "delivered_in_time", "delivered_within_hour"),
    *("undelivered", "waiting", "delivered_late", "late_seconds"),
)
BEFORE = "'lead', 'message', 'reopened', 'rating', 'call_back'"


def upgrade() -> None:
    """Create the postings, and add the measure and the reason."""
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer()) for name in DIMENSIONS),
        sa.Column("customer", sa.Uuid()),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in MEASURES),
        sa.Column("late_seconds_bucket", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("day", "id", name=f"{TABLE}_pkey"),
        comment="The contributions of changes of onboardingstep subjects to the sums of a day. Append-only; a measure "
        "that a posting does not contribute to is null. Dimensions are codes of dimension_value.",
    )
    op.create_index(
        f"{TABLE}_recorded_time_day_idx",
        TABLE,
        ["recorded_time", "day"],
        postgresql_using="brin",
        postgresql_ops={"day": "date_minmax_multi_ops"},
        postgresql_with={"autosummarize": "on", "pages_per_range": 32},
    )
    op.create_index(f"{TABLE}_customer_day_idx", TABLE, ["customer", "day"])
    op.add_column("relationship_posting", sa.Column("promise_broken", sa.BigInteger()))
    _allow(f"{BEFORE}, 'promise'")


def downgrade() -> None:
    """Remove them, with the policies for the reason."""
    op.execute("DELETE FROM authoritative.waiting_policy WHERE reason = 'promise'")
    _allow(BEFORE)
    op.drop_column("relationship_posting", "promise_broken")
    op.drop_table(TABLE)


def _allow(reasons: str) -> None:
    name = op.f("waiting_policy_reason_check")
    op.drop_constraint(name, "waiting_policy", schema="authoritative")
    op.create_check_constraint(name, "waiting_policy", f"reason IN ({reasons})", schema="authoritative")
