"""Targets, and the outbox and idempotency keys of a database that people write to and that publishes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "idempotency_key",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the principal and its key"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of method, address, If-Match and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("idempotency_key_pkey")),
    )
    op.create_index(op.f("idempotency_key_created_at_idx"), "idempotency_key", ["created_at"])
    op.create_table(
        "outbox",
        sa.Column(
            "position",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="order within one aggregate only: another transaction's lower position may commit later",
        ),
        sa.Column("id", sa.Uuid(), nullable=False, comment="the event's id"),
        sa.Column("aggregatetype", sa.Text(), nullable=False, comment="the topic"),
        sa.Column("aggregateid", sa.Text(), nullable=False, comment="the Kafka key"),
        sa.Column("type", sa.Text(), nullable=False, comment="the event's type"),
        sa.Column("payload", sa.LargeBinary(), nullable=True, comment="the whole record's value; null is a tombstone"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "parked_reason", sa.Text(), nullable=True, comment="why this row cannot be sent; its key's later rows wait"
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("outbox_pkey")),
    )
    op.create_index(
        "outbox_parked_idx",
        "outbox",
        ["aggregateid", "position"],
        postgresql_where=sa.text("parked_reason IS NOT NULL"),
    )
    op.create_table(
        "target",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=True),
        sa.Column("dimension_value", sa.Text(), nullable=True),
        sa.Column("value", sa.Numeric(), nullable=False, comment="in the KPI's unit"),
        sa.Column("period", sa.Text(), nullable=True),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed", sa.Boolean(), nullable=True, comment="by the last judgement; null before the first"),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="how many events told of it"),
        sa.CheckConstraint("num_nonnulls(period, since) = 1", name=op.f("target_period_or_since_check")),
        sa.CheckConstraint("period IN ('day', 'week', 'month', 'quarter', 'year')", name=op.f("target_period_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("target_pkey")),
        sa.UniqueConstraint(
            "kpi",
            "variant",
            "dimension",
            "dimension_value",
            name=op.f("target_kpi_variant_dimension_dimension_value_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("target")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
