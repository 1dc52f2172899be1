"""Webhooks receive events of sales and service, and filter by their fields."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Add what a webhook filters by and since when it follows, and how far the services' events were read for them."""
    op.add_column(
        "webhook", sa.Column("filters", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")), schema=SCHEMA
    )
    op.add_column(
        "webhook",
        sa.Column(
            "follows_since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="events of sales and service that were recorded before are not sent",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "webhook_delivery_due_idx",
        "webhook_delivery",
        ["webhook_id", "next_try_at", "id"],
        postgresql_where=sa.text("status = 'pending'"),
        schema=SCHEMA,
    )
    op.create_table(
        "webhook_progress",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, autoincrement=False, nullable=False),
        sa.Column(
            "topic_id", sa.Uuid, nullable=False, comment="a topic that is recreated has another id and other offsets"
        ),
        sa.Column("next_offset", sa.BigInteger, nullable=False, comment="what comes before it was read"),
        sa.Column(
            "recorded_until", sa.DateTime(timezone=True), nullable=False, comment="the latest event that was read"
        ),
        sa.Column(
            "skips_until",
            sa.DateTime(timezone=True),
            comment="what was recorded until then was read in the topic before this one",
        ),
        sa.PrimaryKeyConstraint("topic", "partition", name="webhook_progress_pkey"),
        schema=SCHEMA,
        comment="What webhooks were sent of the services' events, so that a restore sends nothing of it again.",
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("webhook_progress", schema=SCHEMA)
    op.drop_index("webhook_delivery_due_idx", "webhook_delivery", schema=SCHEMA)
    op.drop_column("webhook", "follows_since", schema=SCHEMA)
    op.drop_column("webhook", "filters", schema=SCHEMA)
