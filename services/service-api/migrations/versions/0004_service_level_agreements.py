"""Tickets are promised times by policies and calendars, escalated, merged, and remember their first resolution."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KINDS = "'presales_question', 'installation', 'maintenance', 'problem', 'complaint', 'training_request'"
_PRIORITIES = "'low', 'normal', 'high', 'urgent'"
_TIMES = (
    "first_resolved_at",
    "first_reopened_at",
    "escalated_at",
    "merged_at",
    "first_response_due_at",
    "resolution_due_at",
    "first_response_breached_at",
    "resolution_breached_at",
)
# What one reopening at most has not overwritten is known of the past too.
_REMEMBER = (
    "update ticket set first_resolved_at = resolved_at where reopen_count = 0 and resolved_at is not null",
    "update ticket set first_reopened_at = reopened_at where reopen_count = 1",
)


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "business_calendar",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("hours", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("holidays", postgresql.ARRAY(sa.Date()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="business_calendar_pkey"),
    )
    op.create_table(
        "sla_policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True, comment="null for every kind"),
        sa.Column("priority", sa.Text(), nullable=True, comment="null for every priority"),
        sa.Column("first_response_seconds", sa.Integer(), nullable=True),
        sa.Column("resolution_seconds", sa.Integer(), nullable=True),
        sa.Column("calendar_id", sa.Uuid(), nullable=True, comment="null for around the clock"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("sla_policy_kind_check")),
        sa.CheckConstraint(f"priority IN ({_PRIORITIES})", name=op.f("sla_policy_priority_check")),
        sa.CheckConstraint("first_response_seconds > 0", name=op.f("sla_policy_first_response_seconds_check")),
        sa.CheckConstraint("resolution_seconds > 0", name=op.f("sla_policy_resolution_seconds_check")),
        sa.ForeignKeyConstraint(["calendar_id"], ["business_calendar.id"], name="sla_policy_calendar_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="sla_policy_pkey"),
    )
    op.create_index("sla_policy_active_id_idx", "sla_policy", ["active", "id"])
    for column in _TIMES:
        op.add_column("ticket", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.add_column("ticket", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("ticket", sa.Column("sla_policy_id", sa.Uuid(), nullable=True))
    op.add_column("ticket", sa.Column("first_response_business_seconds", sa.Integer(), nullable=True))
    op.add_column("ticket", sa.Column("resolution_business_seconds", sa.Integer(), nullable=True))
    op.add_column(
        "ticket",
        sa.Column(
            "sla_check_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the SLA clock has to look; null for never",
        ),
    )
    op.create_foreign_key("ticket_merged_into_fkey", "ticket", "ticket", ["merged_into"], ["id"])
    op.create_foreign_key("ticket_sla_policy_id_fkey", "ticket", "sla_policy", ["sla_policy_id"], ["id"])
    op.create_index("ticket_merged_into_id_idx", "ticket", ["merged_into", "id"])
    op.create_index(
        "ticket_sla_check_idx", "ticket", ["sla_check_at"], postgresql_where=sa.text("sla_check_at IS NOT NULL")
    )
    op.drop_constraint(op.f("ticket_resolution_check"), "ticket")
    op.create_check_constraint(
        op.f("ticket_resolution_check"), "ticket", "(status = 'open') = (resolved_at IS NULL AND merged_into IS NULL)"
    )
    op.create_check_constraint(op.f("ticket_merging_check"), "ticket", "(merged_into IS NULL) = (merged_at IS NULL)")
    for statement in _REMEMBER:
        op.execute(statement)


def downgrade() -> None:
    """Takes it back; a merged ticket counts as resolved when it was merged."""
    op.drop_constraint(op.f("ticket_merging_check"), "ticket")
    op.drop_constraint(op.f("ticket_resolution_check"), "ticket")
    op.execute("update ticket set resolved_at = merged_at where merged_into is not null and resolved_at is null")
    op.create_check_constraint(op.f("ticket_resolution_check"), "ticket", "(status = 'open') = (resolved_at IS NULL)")
    op.drop_index("ticket_sla_check_idx", "ticket")
    op.drop_index("ticket_merged_into_id_idx", "ticket")
    op.drop_constraint("ticket_sla_policy_id_fkey", "ticket")
    op.drop_constraint("ticket_merged_into_fkey", "ticket")
    for column in (
        *_TIMES,
        "merged_into",
        "sla_policy_id",
        "first_response_business_seconds",
        "resolution_business_seconds",
        "sla_check_at",
    ):
        op.drop_column("ticket", column)
    op.drop_table("sla_policy")
    op.drop_table("business_calendar")
