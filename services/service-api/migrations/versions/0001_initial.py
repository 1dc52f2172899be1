"""The tables of the service API before its first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import (
    create_consumer_tables,
    create_idempotency_key,
    create_imported_record,
    create_outbox,
    create_seen_sequence,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    create_consumer_tables()
    create_idempotency_key()
    create_imported_record()
    create_outbox()
    create_seen_sequence()
    op.create_table(
        "business_calendar",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("hours", postgresql.JSONB(), nullable=False),
        sa.Column("holidays", postgresql.ARRAY(sa.Date()), nullable=False),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), comment="null until the directory event arrives, and after erasure"),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), comment="null while only the name is known"),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column("merged_into", sa.Uuid(), comment="no foreign key: its copy may arrive later"),
        sa.CheckConstraint("origin IN ('sales', 'service')", name=op.f("customer_origin_check")),
    )
    for column in ("merged_into", "origin", "region", "segment"):
        op.create_index(f"customer_{column}_id_idx", "customer", [column, "id"])
    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), sa.ForeignKey("team.id"), comment="the team above"),
        sa.Column("external_ref", sa.Text(), unique=True),
    )
    op.create_index("team_parent_id_id_idx", "team", ["parent_id", "id"])
    op.create_table(
        "won_deal",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("won_at", sa.DateTime(timezone=True), comment="null once it was reopened"),
        sa.Column("promised_by", sa.Date()),
        sa.Column("promised_price", sa.Numeric(precision=16, scale=4)),
        sa.Column("promised_currency", sa.Text()),
        sa.Column("promised_quality", sa.Text()),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("region", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.Text(), unique=True, comment="of their tokens"),
        sa.Column("external_ref", sa.Text(), unique=True),
    )
    op.create_index("agent_active_id_idx", "agent", ["active", "id"])
    op.create_index("agent_team_id_id_idx", "agent", ["team_id", "id"])
    op.create_table(
        "maintenance_plan",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column(
            "next_due_on", sa.Date(), nullable=False, comment="the last day on which the next maintenance is on time"
        ),
        sa.CheckConstraint("interval_days > 0", name=op.f("maintenance_plan_interval_days_check")),
    )
    op.create_index("maintenance_plan_customer_id_id_idx", "maintenance_plan", ["customer_id", "id"])
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("channel", sa.Text(), comment="where it was given"),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("review_score_check")),
    )
    op.create_index("review_channel_id_idx", "review", ["channel", "id"])
    op.create_index("review_customer_id_id_idx", "review", ["customer_id", "id"])
    op.create_table(
        "sla_policy",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), comment="null for every kind"),
        sa.Column("priority", sa.Text(), comment="null for every priority"),
        sa.Column("first_response_seconds", sa.Integer()),
        sa.Column("resolution_seconds", sa.Integer()),
        sa.Column("calendar_id", sa.Uuid(), sa.ForeignKey("business_calendar.id"), comment="null for around the clock"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('presales_question', 'installation', 'maintenance', 'problem', 'complaint', 'training_request')",
            name=op.f("sla_policy_kind_check"),
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("sla_policy_priority_check")),
        sa.CheckConstraint("first_response_seconds > 0", name=op.f("sla_policy_first_response_seconds_check")),
        sa.CheckConstraint("resolution_seconds > 0", name=op.f("sla_policy_resolution_seconds_check")),
        info={"noun": "SLA policy"},
    )
    op.create_index("sla_policy_active_id_idx", "sla_policy", ["active", "id"])
    op.create_table(
        "check_in",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("product", sa.Text()),
        sa.Column("due_on", sa.Date(), comment="the last day that it was planned for; null when unplanned"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        info={"noun": "check-in"},
    )
    for column in ("agent_id", "customer_id", "team_id"):
        op.create_index(f"check_in_{column}_id_idx", "check_in", [column, "id"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("deal_id", sa.Uuid(), sa.ForeignKey("won_deal.id"), nullable=False, unique=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "amount",
            sa.Numeric(precision=16, scale=4),
            nullable=False,
            comment="what the customer had to pay in the end",
        ),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("quality_as_agreed", sa.Boolean(), nullable=False),
    )
    for column in ("agent_id", "customer_id", "team_id"):
        op.create_index(f"delivery_{column}_id_idx", "delivery", [column, "id"])
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("plan_id", sa.Uuid(), sa.ForeignKey("maintenance_plan.id"), nullable=False),
        sa.Column("product", sa.Text()),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("agent_id", "customer_id", "plan_id", "team_id"):
        op.create_index(f"maintenance_{column}_id_idx", "maintenance", [column, "id"])
    op.create_table(
        "ticket",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("subject", sa.Text(), comment="free text: never in an event"),
        sa.Column("description", sa.Text(), comment="free text: never in an event"),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True)),
        sa.Column("first_responded_at", sa.DateTime(timezone=True)),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("resolution", sa.Text()),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("reopened_at", sa.DateTime(timezone=True)),
        sa.Column("reopen_count", sa.Integer(), nullable=False),
        sa.Column("interaction_count", sa.Integer(), nullable=False),
        sa.Column("inbound_count", sa.Integer(), nullable=False),
        sa.Column("first_resolved_at", sa.DateTime(timezone=True)),
        sa.Column("first_reopened_at", sa.DateTime(timezone=True)),
        sa.Column("escalated_at", sa.DateTime(timezone=True)),
        sa.Column("merged_into", sa.Uuid(), sa.ForeignKey("ticket.id")),
        sa.Column("merged_at", sa.DateTime(timezone=True)),
        sa.Column("sla_policy_id", sa.Uuid(), sa.ForeignKey("sla_policy.id")),
        sa.Column("first_response_due_at", sa.DateTime(timezone=True)),
        sa.Column("resolution_due_at", sa.DateTime(timezone=True)),
        sa.Column("first_response_breached_at", sa.DateTime(timezone=True)),
        sa.Column("resolution_breached_at", sa.DateTime(timezone=True)),
        sa.Column("first_response_business_seconds", sa.Integer()),
        sa.Column("resolution_business_seconds", sa.Integer()),
        sa.Column(
            "onboarding_deal_id",
            sa.Uuid(),
            sa.ForeignKey("won_deal.id"),
            comment="the won deal that it brings into use",
            unique=True,
        ),
        sa.Column("onboarding_since", sa.DateTime(timezone=True), comment="when that deal was won"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was entered; opened_at may be backdated",
        ),
        sa.Column("sla_check_at", sa.DateTime(timezone=True), comment="when the SLA clock checks it; null for never"),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ticket_closing_check")),
        sa.CheckConstraint(
            "(status = 'open') = (resolved_at IS NULL AND merged_into IS NULL)", name=op.f("ticket_resolution_check")
        ),
        sa.CheckConstraint(
            "channel IN ('phone', 'email', 'chat', 'in_person', 'web')", name=op.f("ticket_channel_check")
        ),
        sa.CheckConstraint(
            "kind IN ('presales_question', 'installation', 'maintenance', 'problem', 'complaint', 'training_request')",
            name=op.f("ticket_kind_check"),
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ticket_priority_check")),
        sa.CheckConstraint("status IN ('open', 'resolved', 'closed')", name=op.f("ticket_status_check")),
        sa.CheckConstraint("(merged_into IS NULL) = (merged_at IS NULL)", name=op.f("ticket_merging_check")),
    )
    for column in (
        "agent_id",
        "channel",
        "customer_id",
        "kind",
        "merged_into",
        "priority",
        "product",
        "region",
        "segment",
    ):
        op.create_index(f"ticket_{column}_id_idx", "ticket", [column, "id"])
    op.create_index(
        "ticket_sla_check_idx", "ticket", ["sla_check_at"], postgresql_where=sa.text("sla_check_at IS NOT NULL")
    )
    op.create_index("ticket_status_id_idx", "ticket", ["status", "id"])
    op.create_index("ticket_team_id_id_idx", "ticket", ["team_id", "id"])
    op.create_table(
        "training",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("product", sa.Text()),
        sa.Column("attendees", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("agent_id", "customer_id", "team_id"):
        op.create_index(f"training_{column}_id_idx", "training", [column, "id"])
    op.create_table(
        "interaction",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("ticket_id", sa.Uuid(), sa.ForeignKey("ticket.id"), nullable=False),
        sa.Column("ticket_version", sa.Integer(), nullable=False, comment="of the ticket once it was logged"),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("talk_seconds", sa.Integer(), nullable=False),
        sa.Column("hold_seconds", sa.Integer(), nullable=False),
        sa.Column("wrap_up_seconds", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), comment="free text: never in an event"),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "channel IN ('phone', 'email', 'chat', 'in_person', 'web')", name=op.f("interaction_channel_check")
        ),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("interaction_direction_check")),
        sa.CheckConstraint("visibility IN ('public', 'internal')", name=op.f("interaction_visibility_check")),
    )
    op.create_index("interaction_ticket_id_id_idx", "interaction", ["ticket_id", "id"])
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), sa.ForeignKey("ticket.id"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("ticket_kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("revised_at", sa.DateTime(timezone=True)),
        sa.Column("score", sa.SmallInteger()),
        sa.Column("recommendation", sa.SmallInteger()),
        sa.Column("effort", sa.SmallInteger()),
        sa.Column("comment", sa.Text(), comment="free text: never in an event"),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('csat')", name=op.f("survey_kind_check")),
        sa.CheckConstraint("(answered_at IS NULL) = (score IS NULL)", name=op.f("survey_answer_check")),
        sa.CheckConstraint("effort BETWEEN 1 AND 7", name=op.f("survey_effort_check")),
        sa.CheckConstraint("recommendation BETWEEN 0 AND 10", name=op.f("survey_recommendation_check")),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("survey_score_check")),
    )
    op.create_index("survey_agent_id_id_idx", "survey", ["agent_id", "id"])
    op.create_index("survey_customer_id_id_idx", "survey", ["customer_id", "id"])
    op.create_index(
        "survey_open_idx", "survey", ["ticket_id", "kind"], unique=True, postgresql_where=sa.text("answered_at IS NULL")
    )
    for column in ("score", "team_id", "ticket_id"):
        op.create_index(f"survey_{column}_id_idx", "survey", [column, "id"])
    op.create_table(
        "upsell_suggestion",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("ticket_id", sa.Uuid(), sa.ForeignKey("ticket.id")),
        sa.Column("product", sa.Text()),
        sa.Column("suggested_at", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("agent_id", "customer_id", "team_id", "ticket_id"):
        op.create_index(f"upsell_suggestion_{column}_id_idx", "upsell_suggestion", [column, "id"])
    for table in ("ticket", "survey", "training", "check_in", "maintenance", "delivery", "upsell_suggestion"):
        is_unassigned = sa.text("agent_id IS NULL AND team_id IS NULL")
        op.create_index(f"{table}_unassigned_idx", table, ["id"], postgresql_where=is_unassigned)


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "upsell_suggestion",
        "survey",
        "interaction",
        "training",
        "ticket",
        "maintenance",
        "delivery",
        "check_in",
        "sla_policy",
        "review",
        "maintenance_plan",
        "agent",
        "won_deal",
        "team",
        "conflicting_event",
        "seen_sequence",
        "relay_lease",
        "outbox",
        "imported_record",
        "idempotency_key",
        "dead_letter",
        "customer",
        "consumer_offset",
        "circuit_breaker",
        "business_calendar",
    ):
        op.drop_table(table)
