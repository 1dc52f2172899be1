"""Customers, teams and agents, tickets with their contacts, surveys; and the tables of the kit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="team_pkey"),
        sa.UniqueConstraint("external_ref", name="team_external_ref_key"),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="agent_team_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="agent_pkey"),
        sa.UniqueConstraint("external_ref", name="agent_external_ref_key"),
    )
    op.create_index("agent_active_id_idx", "agent", ["active", "id"], unique=False)
    op.create_index("agent_team_id_id_idx", "agent", ["team_id", "id"], unique=False)
    op.create_table(
        "customer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column(
            "name", sa.Text(), nullable=True, comment="null until the directory tells it, and after it was erased"
        ),
        sa.Column(
            "name_sequence",
            sa.Integer(),
            nullable=False,
            comment="of sales' newest directory entry that is in here, 0 for none",
        ),
        sa.Column(
            "account_sequence",
            sa.Integer(),
            nullable=False,
            comment="of sales' newest account event that is in here, 0 for none",
        ),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column(
            "registered_at", sa.DateTime(timezone=True), nullable=True, comment="null while only the name is known"
        ),
        sa.CheckConstraint("origin IN ('sales', 'service')", name=op.f("customer_origin_check")),
        sa.PrimaryKeyConstraint("id", name="customer_pkey"),
        sa.UniqueConstraint("external_ref", name="customer_external_ref_key"),
    )
    op.create_index("customer_origin_id_idx", "customer", ["origin", "id"], unique=False)
    op.create_index("customer_region_id_idx", "customer", ["region", "id"], unique=False)
    op.create_index("customer_segment_id_idx", "customer", ["segment", "id"], unique=False)
    op.create_table(
        "ticket",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True, comment="free text: never in an event"),
        sa.Column("description", sa.Text(), nullable=True, comment="free text: never in an event"),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_responded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopen_count", sa.Integer(), nullable=False),
        sa.Column("interaction_count", sa.Integer(), nullable=False),
        sa.Column("inbound_count", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ticket_closing_check")),
        sa.CheckConstraint("(status = 'open') = (resolved_at IS NULL)", name=op.f("ticket_resolution_check")),
        sa.CheckConstraint(
            "channel IN ('phone', 'email', 'chat', 'in_person', 'web')", name=op.f("ticket_channel_check")
        ),
        sa.CheckConstraint(
            "kind IN ('presales_question', 'installation', 'maintenance', 'problem', 'complaint', 'training_request')",
            name=op.f("ticket_kind_check"),
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ticket_priority_check")),
        sa.CheckConstraint("status IN ('open', 'resolved', 'closed')", name=op.f("ticket_status_check")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="ticket_agent_id_fkey"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="ticket_customer_id_fkey"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="ticket_team_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="ticket_pkey"),
        sa.UniqueConstraint("external_ref", name="ticket_external_ref_key"),
    )
    op.create_index("ticket_agent_id_id_idx", "ticket", ["agent_id", "id"], unique=False)
    op.create_index("ticket_channel_id_idx", "ticket", ["channel", "id"], unique=False)
    op.create_index("ticket_customer_id_id_idx", "ticket", ["customer_id", "id"], unique=False)
    op.create_index("ticket_kind_id_idx", "ticket", ["kind", "id"], unique=False)
    op.create_index("ticket_priority_id_idx", "ticket", ["priority", "id"], unique=False)
    op.create_index("ticket_product_id_idx", "ticket", ["product", "id"], unique=False)
    op.create_index("ticket_region_id_idx", "ticket", ["region", "id"], unique=False)
    op.create_index("ticket_segment_id_idx", "ticket", ["segment", "id"], unique=False)
    op.create_index("ticket_status_id_idx", "ticket", ["status", "id"], unique=False)
    op.create_index("ticket_team_id_id_idx", "ticket", ["team_id", "id"], unique=False)
    op.create_table(
        "interaction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_version", sa.Integer(), nullable=False, comment="of the ticket once it was logged"),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("talk_seconds", sa.Integer(), nullable=False),
        sa.Column("hold_seconds", sa.Integer(), nullable=False),
        sa.Column("wrap_up_seconds", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True, comment="free text: never in an event"),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "channel IN ('phone', 'email', 'chat', 'in_person', 'web')", name=op.f("interaction_channel_check")
        ),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("interaction_direction_check")),
        sa.CheckConstraint("visibility IN ('public', 'internal')", name=op.f("interaction_visibility_check")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="interaction_agent_id_fkey"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="interaction_team_id_fkey"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="interaction_ticket_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="interaction_pkey"),
        sa.UniqueConstraint("external_ref", name="interaction_external_ref_key"),
    )
    op.create_index("interaction_ticket_id_id_idx", "interaction", ["ticket_id", "id"], unique=False)
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("ticket_kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True, comment="free text: never in an event"),
        sa.CheckConstraint("kind IN ('csat')", name=op.f("survey_kind_check")),
        sa.CheckConstraint("(answered_at IS NULL) = (score IS NULL)", name=op.f("survey_answer_check")),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("survey_score_check")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="survey_agent_id_fkey"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="survey_customer_id_fkey"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="survey_team_id_fkey"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="survey_ticket_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="survey_pkey"),
        sa.UniqueConstraint("external_ref", name="survey_external_ref_key"),
    )
    op.create_index("survey_agent_id_id_idx", "survey", ["agent_id", "id"], unique=False)
    op.create_index("survey_customer_id_id_idx", "survey", ["customer_id", "id"], unique=False)
    op.create_index(
        "survey_open_idx", "survey", ["ticket_id", "kind"], unique=True, postgresql_where=sa.text("answered_at IS NULL")
    )
    op.create_index("survey_score_id_idx", "survey", ["score", "id"], unique=False)
    op.create_index("survey_team_id_id_idx", "survey", ["team_id", "id"], unique=False)
    op.create_index("survey_ticket_id_id_idx", "survey", ["ticket_id", "id"], unique=False)
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
        sa.PrimaryKeyConstraint("position", name="outbox_pkey"),
    )
    op.create_index(
        "outbox_parked_idx",
        "outbox",
        ["aggregateid", "position"],
        unique=False,
        postgresql_where=sa.text("parked_reason IS NOT NULL"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the principal and its key"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of method, address, If-Match and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="idempotency_key_pkey"),
    )
    op.create_index("idempotency_key_created_at_idx", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "consumer_offset",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column(
            "cluster_id", sa.Text(), nullable=False, comment="of the Kafka cluster: offsets mean nothing elsewhere"
        ),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column(
            "next_offset", sa.BigInteger(), nullable=False, comment="of the first record whose effects are not here"
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "cluster_id", "topic", "partition", name="consumer_offset_pkey"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True, comment="the original bytes"),
        sa.Column(
            "headers",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="pairs of name and value, the value in base64",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="one of a closed list"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="dead_letter_pkey"),
        sa.UniqueConstraint(
            "consumer",
            "cluster_id",
            "topic",
            "partition",
            "offset",
            name="dead_letter_consumer_cluster_id_topic_partition_offset_key",
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    for table in (
        "dead_letter",
        "consumer_offset",
        "idempotency_key",
        "outbox",
        "survey",
        "interaction",
        "ticket",
        "customer",
        "agent",
        "team",
    ):
        op.drop_table(table)
