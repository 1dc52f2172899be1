"""Who waits for us, and the policies that say for how long they may; the ledger is rebuilt by the new rules."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Keep the waits in a table of their own instead of beside the states of tickets."""
    op.drop_index("subject_state_kind_waiting_since_idx", "subject_state")
    op.drop_column("subject_state", "waiting_since")
    op.create_table(
        "open_wait",
        sa.Column("id", sa.Uuid(), primary_key=True, comment="always the same for the same wait, in the order of time"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer", sa.Uuid(), comment="as the subject names them; null for a lead that is no customer yet"),
        sa.Column("owner", sa.Uuid()),
        sa.Column("team", sa.Uuid()),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("channel", sa.Text()),
        comment="The customers who wait for us: what begins and ends a wait is in the newest state of its subject.",
    )
    op.create_index("open_wait_customer_idx", "open_wait", ["customer"])
    op.create_index("open_wait_owner_id_idx", "open_wait", ["owner", "id"])
    op.create_index("open_wait_team_id_idx", "open_wait", ["team", "id"])
    op.create_table(
        "waiting_policy",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), comment="null for every reason"),
        sa.Column("team_id", sa.Uuid(), comment="null for every team"),
        sa.Column("limit_minutes", sa.Integer(), nullable=False),
        sa.Column("warn_minutes", sa.Integer(), nullable=False, comment="before the limit; 0 for no warning"),
        sa.Column("calendar", JSONB(), comment="the hours that count; null for around the clock"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("reason IN ('lead', 'message', 'reopened')", name=op.f("waiting_policy_reason_check")),
        sa.CheckConstraint("limit_minutes > 0", name=op.f("waiting_policy_limit_minutes_check")),
        sa.CheckConstraint(
            "warn_minutes >= 0 AND warn_minutes < limit_minutes", name=op.f("waiting_policy_warn_minutes_check")
        ),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Keep only since when tickets wait."""
    op.drop_table("waiting_policy", schema=SCHEMA)
    op.drop_table("open_wait")
    op.add_column(
        "subject_state",
        sa.Column("waiting_since", sa.DateTime(timezone=True), comment="null when no customer waits for an answer"),
    )
    op.create_index(
        "subject_state_kind_waiting_since_idx",
        "subject_state",
        ["kind", "waiting_since"],
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
