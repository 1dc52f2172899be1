"""The books as they begin: six kinds of subject with postings and balances, two with states only."""

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
        "account_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("account_subject_pkey")),
        comment="The newest state of each account that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "books",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("books_single_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("books_pkey")),
        comment="By which settings and rules these books are kept; one row.",
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
            "next_offset", sa.BigInteger(), nullable=False, comment="of the first record whose effects are not here"
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "cluster_id", "topic", "partition", name=op.f("consumer_offset_pkey")),
    )
    op.create_table(
        "customer_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("customer_subject_pkey")),
        comment="The newest state of each customer that the books have seen, as the event told it (JSON).",
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
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letter_pkey")),
        sa.UniqueConstraint(
            "consumer",
            "cluster_id",
            "topic",
            "partition",
            "offset",
            name=op.f("dead_letter_consumer_cluster_id_topic_partition_offset_key"),
        ),
    )
    op.create_table(
        "deal_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("won", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("revenue", sa.Numeric(precision=38, scale=0), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("deal_balance_pkey")),
        comment="Sums of deal postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "deal_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("split", sa.Boolean(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("won", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("revenue", sa.Numeric(precision=38, scale=0), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("deal_posting_pkey")),
        comment="What changes of deal subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("deal_posting_day_idx", "deal_posting", ["day"], unique=False)
    op.create_table(
        "deal_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("deal_subject_pkey")),
        comment="The newest state of each deal that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "freshness",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("complete_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("freshness_pkey")),
        comment="Up to which recorded time all of a partition's events are in the books.",
    )
    op.create_table(
        "interaction_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("handled", sa.BigInteger(), nullable=False),
        sa.Column("talk_seconds", sa.BigInteger(), nullable=False),
        sa.Column("hold_seconds", sa.BigInteger(), nullable=False),
        sa.Column("wrap_up_seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("interaction_balance_pkey")),
        comment="Sums of interaction postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "interaction_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("handled", sa.BigInteger(), nullable=False),
        sa.Column("talk_seconds", sa.BigInteger(), nullable=False),
        sa.Column("hold_seconds", sa.BigInteger(), nullable=False),
        sa.Column("wrap_up_seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("interaction_posting_pkey")),
        comment="What changes of interaction subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("interaction_posting_day_idx", "interaction_posting", ["day"], unique=False)
    op.create_table(
        "interaction_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("interaction_subject_pkey")),
        comment="The newest state of each interaction that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "lead_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("cohort_contacted", sa.BigInteger(), nullable=False),
        sa.Column("cohort_qualified", sa.BigInteger(), nullable=False),
        sa.Column("cohort_disqualified", sa.BigInteger(), nullable=False),
        sa.Column("cohort_converted", sa.BigInteger(), nullable=False),
        sa.Column("contacted", sa.BigInteger(), nullable=False),
        sa.Column("qualified", sa.BigInteger(), nullable=False),
        sa.Column("disqualified", sa.BigInteger(), nullable=False),
        sa.Column("converted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("lead_balance_pkey")),
        comment="Sums of lead postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "lead_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("cohort_contacted", sa.BigInteger(), nullable=False),
        sa.Column("cohort_qualified", sa.BigInteger(), nullable=False),
        sa.Column("cohort_disqualified", sa.BigInteger(), nullable=False),
        sa.Column("cohort_converted", sa.BigInteger(), nullable=False),
        sa.Column("contacted", sa.BigInteger(), nullable=False),
        sa.Column("qualified", sa.BigInteger(), nullable=False),
        sa.Column("disqualified", sa.BigInteger(), nullable=False),
        sa.Column("converted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("lead_posting_pkey")),
        comment="What changes of lead subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("lead_posting_day_idx", "lead_posting", ["day"], unique=False)
    op.create_table(
        "lead_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("lead_subject_pkey")),
        comment="The newest state of each lead that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "quota_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("target", sa.Numeric(precision=38, scale=0), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("quota_balance_pkey")),
        comment="Sums of quota postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "quota_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("target", sa.Numeric(precision=38, scale=0), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("quota_posting_pkey")),
        comment="What changes of quota subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("quota_posting_day_idx", "quota_posting", ["day"], unique=False)
    op.create_table(
        "quota_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("quota_subject_pkey")),
        comment="The newest state of each quota that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "sequence_gap",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("first_missing", sa.Integer(), nullable=False),
        sa.Column("last_missing", sa.Integer(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "first_missing", name=op.f("sequence_gap_pkey")),
        comment="Runs of a subject's sequence that were jumped over and have not arrived since.",
    )
    op.create_table(
        "survey_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("cohort_answered", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("satisfied", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("survey_balance_pkey")),
        comment="Sums of survey postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "survey_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("cohort_answered", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("satisfied", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("survey_posting_pkey")),
        comment="What changes of survey subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("survey_posting_day_idx", "survey_posting", ["day"], unique=False)
    op.create_table(
        "survey_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("survey_subject_pkey")),
        comment="The newest state of each survey that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "ticket_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("cohort_resolved", sa.BigInteger(), nullable=False),
        sa.Column("cohort_reopened", sa.BigInteger(), nullable=False),
        sa.Column("reopenings", sa.BigInteger(), nullable=False),
        sa.Column("resolved", sa.BigInteger(), nullable=False),
        sa.Column("resolved_reopened", sa.BigInteger(), nullable=False),
        sa.Column("resolved_first_contact", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("ticket_balance_pkey")),
        comment="Sums of ticket postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "ticket_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("cohort_resolved", sa.BigInteger(), nullable=False),
        sa.Column("cohort_reopened", sa.BigInteger(), nullable=False),
        sa.Column("reopenings", sa.BigInteger(), nullable=False),
        sa.Column("resolved", sa.BigInteger(), nullable=False),
        sa.Column("resolved_reopened", sa.BigInteger(), nullable=False),
        sa.Column("resolved_first_contact", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ticket_posting_pkey")),
        comment="What changes of ticket subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("ticket_posting_day_idx", "ticket_posting", ["day"], unique=False)
    op.create_table(
        "ticket_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ticket_subject_pkey")),
        comment="The newest state of each ticket that the books have seen, as the event told it (JSON).",
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("ticket_subject")
    op.drop_index("ticket_posting_day_idx", table_name="ticket_posting")
    op.drop_table("ticket_posting")
    op.drop_table("ticket_balance")
    op.drop_table("survey_subject")
    op.drop_index("survey_posting_day_idx", table_name="survey_posting")
    op.drop_table("survey_posting")
    op.drop_table("survey_balance")
    op.drop_table("sequence_gap")
    op.drop_table("quota_subject")
    op.drop_index("quota_posting_day_idx", table_name="quota_posting")
    op.drop_table("quota_posting")
    op.drop_table("quota_balance")
    op.drop_table("lead_subject")
    op.drop_index("lead_posting_day_idx", table_name="lead_posting")
    op.drop_table("lead_posting")
    op.drop_table("lead_balance")
    op.drop_table("interaction_subject")
    op.drop_index("interaction_posting_day_idx", table_name="interaction_posting")
    op.drop_table("interaction_posting")
    op.drop_table("interaction_balance")
    op.drop_table("freshness")
    op.drop_table("deal_subject")
    op.drop_index("deal_posting_day_idx", table_name="deal_posting")
    op.drop_table("deal_posting")
    op.drop_table("deal_balance")
    op.drop_table("dead_letter")
    op.drop_table("customer_subject")
    op.drop_table("consumer_offset")
    op.drop_table("books")
    op.drop_table("account_subject")
