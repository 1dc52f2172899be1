"""The tables of the service API before its first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""

    op.create_table(
        "business_calendar",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("hours", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("holidays", postgresql.ARRAY(sa.Date()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("business_calendar_pkey")),
    )
    op.create_table(
        "circuit_breaker",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("bad_records", sa.Integer(), nullable=False, comment="among the latest 1,000"),
        sa.Column(
            "max_dead_letters", sa.Integer(), nullable=False, comment="closes when no more dead letters are unsettled"
        ),
        sa.PrimaryKeyConstraint("consumer", name=op.f("circuit_breaker_pkey")),
        comment="A row for each consumer that stopped because nearly every record was bad.",
    )
    op.create_table(
        "consumer_offset",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column(
            "cluster_id", sa.Text(), nullable=False, comment="of the Kafka cluster: offsets mean nothing elsewhere"
        ),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column(
            "topic_id",
            sa.Uuid(),
            server_default="00000000-0000-0000-0000-000000000000",
            nullable=False,
            comment="a topic that is recreated under the same name has another id, and other records",
        ),
        sa.Column(
            "next_offset", sa.BigInteger(), nullable=False, comment="of the first record whose effects are not here"
        ),
        sa.Column(
            "log_end",
            sa.BigInteger(),
            comment="where the log ended when reading began: up to there all is of the past; null until that is known",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "cluster_id", "topic", "partition", name=op.f("consumer_offset_pkey")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), comment="null until the directory event arrives, and after erasure"),
        sa.Column(
            "name_sequence", sa.Integer(), nullable=False, comment="of the newest directory entry of sales, 0 for none"
        ),
        sa.Column(
            "account_sequence", sa.Integer(), nullable=False, comment="of the newest account event of sales, 0 for none"
        ),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("registered_at", sa.DateTime(timezone=True), comment="null while only the name is known"),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column("merged_into", sa.Uuid(), comment="no foreign key: its copy may arrive later"),
        sa.CheckConstraint("origin IN ('sales', 'service')", name=op.f("customer_origin_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("customer_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("customer_external_ref_key")),
    )
    op.create_index("customer_merged_into_id_idx", "customer", ["merged_into", "id"])
    op.create_index("customer_origin_id_idx", "customer", ["origin", "id"])
    op.create_index("customer_region_id_idx", "customer", ["region", "id"])
    op.create_index("customer_segment_id_idx", "customer", ["segment", "id"])
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), server_default="00000000-0000-0000-0000-000000000000", nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary(), comment="the original bytes"),
        sa.Column(
            "headers",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="pairs of name and value, the value in base64",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="one of a closed list"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("mended_value", sa.LargeBinary(), comment="what is sent in the original's place"),
        sa.Column("settled_at", sa.DateTime(timezone=True), comment="when it was sent again or discarded"),
        sa.Column("settled_by", sa.Text(), comment="who asked for that"),
        sa.Column("discarded_because", sa.Text()),
        sa.CheckConstraint("status IN ('open', 'sent', 'discarded')", name=op.f("dead_letter_status_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letter_pkey")),
        sa.UniqueConstraint(
            "consumer", "cluster_id", "topic", "topic_id", "partition", "offset", name="dead_letter_record_key"
        ),
    )
    op.create_index("dead_letter_consumer_status_id_idx", "dead_letter", ["consumer", "status", "id"])
    op.create_table(
        "idempotency_key",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the principal and its key"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of method, address, If-Match and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), comment="the id in the answer: what it is about, and is erased with"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("idempotency_key_pkey")),
    )
    op.create_index(op.f("idempotency_key_created_at_idx"), "idempotency_key", ["created_at"])
    op.create_index(op.f("idempotency_key_subject_id_idx"), "idempotency_key", ["subject_id"])
    op.create_table(
        "imported_record",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the resource and the external_ref"),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False, comment="of its history that were done"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of the record and these steps"),
        sa.Column("imported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("imported_record_pkey")),
    )
    op.create_index(op.f("imported_record_record_id_idx"), "imported_record", ["record_id"])
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
        sa.Column("payload", sa.LargeBinary(), comment="the whole record's value; null is a tombstone"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("parked_reason", sa.Text(), comment="why this row cannot be sent; its key's later rows wait"),
        sa.PrimaryKeyConstraint("position", name=op.f("outbox_pkey")),
    )
    op.create_index(
        "outbox_parked_idx",
        "outbox",
        ["aggregateid", "position"],
        postgresql_where=sa.text("parked_reason IS NOT NULL"),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_ref", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("team_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("team_external_ref_key")),
    )
    op.create_table(
        "won_deal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="of the newest event"),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("won_at", sa.DateTime(timezone=True), comment="null once it was reopened"),
        sa.Column("promised_by", sa.Date()),
        sa.Column("promised_price", sa.Numeric(precision=16, scale=4)),
        sa.Column("promised_currency", sa.Text()),
        sa.Column("promised_quality", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("won_deal_pkey")),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("external_ref", sa.Text()),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("agent_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("agent_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("agent_external_ref_key")),
    )
    op.create_index("agent_active_id_idx", "agent", ["active", "id"])
    op.create_index("agent_team_id_id_idx", "agent", ["team_id", "id"])
    op.create_table(
        "maintenance_plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column(
            "next_due_on", sa.Date(), nullable=False, comment="the last day on which the next maintenance is on time"
        ),
        sa.CheckConstraint("interval_days > 0", name=op.f("maintenance_plan_interval_days_check")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("maintenance_plan_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_plan_pkey")),
    )
    op.create_index("maintenance_plan_customer_id_id_idx", "maintenance_plan", ["customer_id", "id"])
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("channel", sa.Text(), comment="where it was given"),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("review_score_check")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("review_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("review_pkey")),
    )
    op.create_index("review_channel_id_idx", "review", ["channel", "id"])
    op.create_index("review_customer_id_id_idx", "review", ["customer_id", "id"])
    op.create_table(
        "sla_policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), comment="null for every kind"),
        sa.Column("priority", sa.Text(), comment="null for every priority"),
        sa.Column("first_response_seconds", sa.Integer()),
        sa.Column("resolution_seconds", sa.Integer()),
        sa.Column("calendar_id", sa.Uuid(), comment="null for around the clock"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('presales_question', 'installation', 'maintenance', 'problem', 'complaint', 'training_request')",
            name=op.f("sla_policy_kind_check"),
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("sla_policy_priority_check")),
        sa.CheckConstraint("first_response_seconds > 0", name=op.f("sla_policy_first_response_seconds_check")),
        sa.CheckConstraint("resolution_seconds > 0", name=op.f("sla_policy_resolution_seconds_check")),
        sa.ForeignKeyConstraint(["calendar_id"], ["business_calendar.id"], name=op.f("sla_policy_calendar_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("sla_policy_pkey")),
        info={"noun": "SLA policy"},
    )
    op.create_index("sla_policy_active_id_idx", "sla_policy", ["active", "id"])
    op.create_table(
        "check_in",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("product", sa.Text()),
        sa.Column("due_on", sa.Date(), comment="the last day that it was planned for; null when unplanned"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("check_in_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("check_in_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("check_in_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("check_in_pkey")),
        info={"noun": "check-in"},
    )
    op.create_index("check_in_agent_id_id_idx", "check_in", ["agent_id", "id"])
    op.create_index("check_in_customer_id_id_idx", "check_in", ["customer_id", "id"])
    op.create_index("check_in_team_id_id_idx", "check_in", ["team_id", "id"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
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
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("delivery_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("delivery_customer_id_fkey")),
        sa.ForeignKeyConstraint(["deal_id"], ["won_deal.id"], name=op.f("delivery_deal_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("delivery_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_pkey")),
        sa.UniqueConstraint("deal_id", name=op.f("delivery_deal_id_key")),
    )
    op.create_index("delivery_agent_id_id_idx", "delivery", ["agent_id", "id"])
    op.create_index("delivery_customer_id_id_idx", "delivery", ["customer_id", "id"])
    op.create_index("delivery_team_id_id_idx", "delivery", ["team_id", "id"])
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("product", sa.Text()),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("maintenance_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("maintenance_customer_id_fkey")),
        sa.ForeignKeyConstraint(["plan_id"], ["maintenance_plan.id"], name=op.f("maintenance_plan_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("maintenance_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_pkey")),
    )
    op.create_index("maintenance_agent_id_id_idx", "maintenance", ["agent_id", "id"])
    op.create_index("maintenance_customer_id_id_idx", "maintenance", ["customer_id", "id"])
    op.create_index("maintenance_plan_id_id_idx", "maintenance", ["plan_id", "id"])
    op.create_index("maintenance_team_id_id_idx", "maintenance", ["team_id", "id"])
    op.create_table(
        "ticket",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("subject", sa.Text(), comment="free text: never in an event"),
        sa.Column("description", sa.Text(), comment="free text: never in an event"),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("external_ref", sa.Text()),
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
        sa.Column("merged_into", sa.Uuid()),
        sa.Column("merged_at", sa.DateTime(timezone=True)),
        sa.Column("sla_policy_id", sa.Uuid()),
        sa.Column("first_response_due_at", sa.DateTime(timezone=True)),
        sa.Column("resolution_due_at", sa.DateTime(timezone=True)),
        sa.Column("first_response_breached_at", sa.DateTime(timezone=True)),
        sa.Column("resolution_breached_at", sa.DateTime(timezone=True)),
        sa.Column("first_response_business_seconds", sa.Integer()),
        sa.Column("resolution_business_seconds", sa.Integer()),
        sa.Column("onboarding_deal_id", sa.Uuid(), comment="the won deal that it brings into use"),
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
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("ticket_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("ticket_customer_id_fkey")),
        sa.ForeignKeyConstraint(["merged_into"], ["ticket.id"], name=op.f("ticket_merged_into_fkey")),
        sa.ForeignKeyConstraint(["onboarding_deal_id"], ["won_deal.id"], name=op.f("ticket_onboarding_deal_id_fkey")),
        sa.ForeignKeyConstraint(["sla_policy_id"], ["sla_policy.id"], name=op.f("ticket_sla_policy_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("ticket_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("ticket_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("ticket_external_ref_key")),
        sa.UniqueConstraint("onboarding_deal_id", name=op.f("ticket_onboarding_deal_id_key")),
    )
    op.create_index("ticket_agent_id_id_idx", "ticket", ["agent_id", "id"])
    op.create_index("ticket_channel_id_idx", "ticket", ["channel", "id"])
    op.create_index("ticket_customer_id_id_idx", "ticket", ["customer_id", "id"])
    op.create_index("ticket_kind_id_idx", "ticket", ["kind", "id"])
    op.create_index("ticket_merged_into_id_idx", "ticket", ["merged_into", "id"])
    op.create_index("ticket_priority_id_idx", "ticket", ["priority", "id"])
    op.create_index("ticket_product_id_idx", "ticket", ["product", "id"])
    op.create_index("ticket_region_id_idx", "ticket", ["region", "id"])
    op.create_index("ticket_segment_id_idx", "ticket", ["segment", "id"])
    op.create_index(
        "ticket_sla_check_idx", "ticket", ["sla_check_at"], postgresql_where=sa.text("sla_check_at IS NOT NULL")
    )
    op.create_index("ticket_status_id_idx", "ticket", ["status", "id"])
    op.create_index("ticket_team_id_id_idx", "ticket", ["team_id", "id"])
    op.create_table(
        "training",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("product", sa.Text()),
        sa.Column("attendees", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("training_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("training_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("training_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("training_pkey")),
    )
    op.create_index("training_agent_id_id_idx", "training", ["agent_id", "id"])
    op.create_index("training_customer_id_id_idx", "training", ["customer_id", "id"])
    op.create_index("training_team_id_id_idx", "training", ["team_id", "id"])
    op.create_table(
        "interaction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_version", sa.Integer(), nullable=False, comment="of the ticket once it was logged"),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("talk_seconds", sa.Integer(), nullable=False),
        sa.Column("hold_seconds", sa.Integer(), nullable=False),
        sa.Column("wrap_up_seconds", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), comment="free text: never in an event"),
        sa.Column("external_ref", sa.Text()),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "channel IN ('phone', 'email', 'chat', 'in_person', 'web')", name=op.f("interaction_channel_check")
        ),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("interaction_direction_check")),
        sa.CheckConstraint("visibility IN ('public', 'internal')", name=op.f("interaction_visibility_check")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("interaction_agent_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("interaction_team_id_fkey")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("interaction_ticket_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("interaction_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("interaction_external_ref_key")),
    )
    op.create_index("interaction_ticket_id_id_idx", "interaction", ["ticket_id", "id"])
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("ticket_kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("external_ref", sa.Text()),
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
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("survey_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("survey_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("survey_team_id_fkey")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("survey_ticket_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("survey_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("survey_external_ref_key")),
    )
    op.create_index("survey_agent_id_id_idx", "survey", ["agent_id", "id"])
    op.create_index("survey_customer_id_id_idx", "survey", ["customer_id", "id"])
    op.create_index(
        "survey_open_idx", "survey", ["ticket_id", "kind"], unique=True, postgresql_where=sa.text("answered_at IS NULL")
    )
    op.create_index("survey_score_id_idx", "survey", ["score", "id"])
    op.create_index("survey_team_id_id_idx", "survey", ["team_id", "id"])
    op.create_index("survey_ticket_id_id_idx", "survey", ["ticket_id", "id"])
    op.create_table(
        "upsell_suggestion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("ticket_id", sa.Uuid()),
        sa.Column("product", sa.Text()),
        sa.Column("suggested_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("upsell_suggestion_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("upsell_suggestion_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("upsell_suggestion_team_id_fkey")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("upsell_suggestion_ticket_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("upsell_suggestion_pkey")),
    )
    op.create_index("upsell_suggestion_agent_id_id_idx", "upsell_suggestion", ["agent_id", "id"])
    op.create_index("upsell_suggestion_customer_id_id_idx", "upsell_suggestion", ["customer_id", "id"])
    op.create_index("upsell_suggestion_team_id_id_idx", "upsell_suggestion", ["team_id", "id"])
    op.create_index("upsell_suggestion_ticket_id_id_idx", "upsell_suggestion", ["ticket_id", "id"])


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("upsell_suggestion")
    op.drop_table("survey")
    op.drop_table("interaction")
    op.drop_table("training")
    op.drop_table("ticket")
    op.drop_table("maintenance")
    op.drop_table("delivery")
    op.drop_table("check_in")
    op.drop_table("sla_policy")
    op.drop_table("review")
    op.drop_table("maintenance_plan")
    op.drop_table("agent")
    op.drop_table("won_deal")
    op.drop_table("team")
    op.drop_table("outbox")
    op.drop_table("imported_record")
    op.drop_table("idempotency_key")
    op.drop_table("dead_letter")
    op.drop_table("customer")
    op.drop_table("consumer_offset")
    op.drop_table("circuit_breaker")
    op.drop_table("business_calendar")
