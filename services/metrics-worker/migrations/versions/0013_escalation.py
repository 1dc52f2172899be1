"""What happens when a customer waits for too long, and how far each wait has come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Add the steps of policies, none at first, and what was published of waits."""
    op.add_column(
        "waiting_policy",
        sa.Column(
            "escalation",
            JSONB(),
            nullable=False,
            server_default=sa.text("'[]'::jsonb"),
            comment="the steps after the limit, in the order of their times",
        ),
        schema=SCHEMA,
    )
    op.alter_column("waiting_policy", "escalation", server_default=None, schema=SCHEMA)
    op.create_table(
        "published_wait",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("record_kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limit_at", sa.DateTime(timezone=True)),
        sa.Column("step", sa.Integer(), nullable=False, comment="the number of steps taken"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("told_id", sa.Uuid()),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="the number of events published of it"),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="when its end was noticed; null while it lasts"),
        schema=SCHEMA,
    )
    op.create_index(
        "published_wait_lasting_idx",
        "published_wait",
        ["id"],
        postgresql_where=sa.text("ended_at IS NULL"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("published_wait", schema=SCHEMA)
    op.drop_column("waiting_policy", "escalation", schema=SCHEMA)
