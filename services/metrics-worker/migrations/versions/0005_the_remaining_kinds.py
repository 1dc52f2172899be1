"""Activities, care and reviews get books; durations get histograms. Books kept so far are emptied and read anew."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEPT_SO_FAR = ("lead", "deal", "quota", "ticket", "interaction", "survey")


def _read_anew(rules_version: int) -> None:
    # The sums of one version of the rules mean nothing to another. The log has everything: without offsets the
    # consumer begins at its beginning. The time zone and the currency of the books stay.
    books = [f"{kind}_{table}" for kind in _KEPT_SO_FAR for table in ("subject", "posting", "balance")]
    names = ", ".join(
        [
            *books,
            "account_subject",
            "customer_subject",
            "freshness",
            "sequence_gap",
            "consumer_offset",
        ]
    )
    op.execute(f"TRUNCATE {names}")
    # Settled letters are a person's decision, mended ones a person's work; the rest come again if they are still bad.
    op.execute("DELETE FROM dead_letter WHERE status = 'open' AND mended_value IS NULL")
    op.execute(sa.text("UPDATE books SET rules_version = :version").bindparams(version=rules_version))


def upgrade() -> None:
    """Applies it."""
    _read_anew(rules_version=2)
    op.create_table(
        "activity_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("follow_ups", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("activity_balance_pkey")),
        comment="Sums of activity postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "activity_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("follow_ups", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("activity_posting_pkey")),
        comment="What changes of activity subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("activity_posting_day_idx", "activity_posting", ["day"], unique=False)
    op.create_table(
        "activity_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("activity_subject_pkey")),
        comment="The newest state of each activity that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "checkin_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("checkin_balance_pkey")),
        comment="Sums of checkin postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "checkin_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("checkin_posting_pkey")),
        comment="What changes of checkin subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("checkin_posting_day_idx", "checkin_posting", ["day"], unique=False)
    op.create_table(
        "checkin_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("checkin_subject_pkey")),
        comment="The newest state of each checkin that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "deal_histogram",
        sa.Column("duration", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duration", "dimension", "value", "day", "bucket", name=op.f("deal_histogram_pkey")),
        comment="How many durations of deal postings fall into each bucket, by the keys of the balances.",
    )
    op.create_table(
        "interaction_histogram",
        sa.Column("duration", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "duration", "dimension", "value", "day", "bucket", name=op.f("interaction_histogram_pkey")
        ),
        comment="How many durations of interaction postings fall into each bucket, by the keys of the balances.",
    )
    op.create_table(
        "lead_histogram",
        sa.Column("duration", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duration", "dimension", "value", "day", "bucket", name=op.f("lead_histogram_pkey")),
        comment="How many durations of lead postings fall into each bucket, by the keys of the balances.",
    )
    op.create_table(
        "maintenance_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("performed", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("maintenance_balance_pkey")),
        comment="Sums of maintenance postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "maintenance_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("performed", sa.BigInteger(), nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_posting_pkey")),
        comment="What changes of maintenance subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("maintenance_posting_day_idx", "maintenance_posting", ["day"], unique=False)
    op.create_table(
        "maintenance_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_subject_pkey")),
        comment="The newest state of each maintenance that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "referral_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("referral_balance_pkey")),
        comment="Sums of referral postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "referral_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("referral_posting_pkey")),
        comment="What changes of referral subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("referral_posting_day_idx", "referral_posting", ["day"], unique=False)
    op.create_table(
        "referral_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("referral_subject_pkey")),
        comment="The newest state of each referral that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "review_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("review_balance_pkey")),
        comment="Sums of review postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "review_posting",
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
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("review_posting_pkey")),
        comment="What changes of review subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("review_posting_day_idx", "review_posting", ["day"], unique=False)
    op.create_table(
        "review_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("review_subject_pkey")),
        comment="The newest state of each review that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "ticket_histogram",
        sa.Column("duration", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duration", "dimension", "value", "day", "bucket", name=op.f("ticket_histogram_pkey")),
        comment="How many durations of ticket postings fall into each bucket, by the keys of the balances.",
    )
    op.create_table(
        "training_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("attendees", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("training_balance_pkey")),
        comment="Sums of training postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "training_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("attendees", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("training_posting_pkey")),
        comment="What changes of training subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("training_posting_day_idx", "training_posting", ["day"], unique=False)
    op.create_table(
        "training_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("training_subject_pkey")),
        comment="The newest state of each training that the books have seen, as the event told it (JSON).",
    )
    op.create_table(
        "upsell_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("suggested", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f("upsell_balance_pkey")),
        comment="Sums of upsell postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )
    op.create_table(
        "upsell_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("suggested", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("upsell_posting_pkey")),
        comment="What changes of upsell subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index("upsell_posting_day_idx", "upsell_posting", ["day"], unique=False)
    op.create_table(
        "upsell_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("upsell_subject_pkey")),
        comment="The newest state of each upsell that the books have seen, as the event told it (JSON).",
    )
    op.add_column("deal_balance", sa.Column("cycle_seconds", sa.BigInteger(), nullable=False))
    op.add_column("deal_balance", sa.Column("upsell_won", sa.BigInteger(), nullable=False))
    op.add_column("deal_balance", sa.Column("upsell_revenue", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_balance", sa.Column("pipeline_deals", sa.BigInteger(), nullable=False))
    op.add_column("deal_balance", sa.Column("pipeline_value", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_balance", sa.Column("pipeline_weighted", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_balance", sa.Column("entered", sa.BigInteger(), nullable=False))
    op.add_column("deal_balance", sa.Column("advanced", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("stage", sa.Text(), nullable=True))
    op.add_column("deal_posting", sa.Column("cycle_seconds", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("upsell_won", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("upsell_revenue", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_posting", sa.Column("pipeline_deals", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("pipeline_value", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_posting", sa.Column("pipeline_weighted", sa.Numeric(precision=38, scale=0), nullable=False))
    op.add_column("deal_posting", sa.Column("entered", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("advanced", sa.BigInteger(), nullable=False))
    op.add_column("deal_posting", sa.Column("cycle_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("interaction_balance", sa.Column("handle_seconds", sa.BigInteger(), nullable=False))
    op.add_column("interaction_posting", sa.Column("handle_seconds", sa.BigInteger(), nullable=False))
    op.add_column("interaction_posting", sa.Column("handle_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("lead_balance", sa.Column("response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("lead_posting", sa.Column("response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("lead_posting", sa.Column("response_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("survey_balance", sa.Column("scored", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("recommended", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("promoters", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("detractors", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("effort_rated", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("effort", sa.BigInteger(), nullable=False))
    op.add_column("survey_balance", sa.Column("effortless", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("scored", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("recommended", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("promoters", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("detractors", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("effort_rated", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("effort", sa.BigInteger(), nullable=False))
    op.add_column("survey_posting", sa.Column("effortless", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("presales", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("cohort_escalated", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("cohort_within_hour", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("first_responded", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("first_response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("business_responded", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("business_response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("resolution_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("business_resolved", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("business_resolution_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("resolved_under_sla", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("resolved_within_sla", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("first_resolved", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("held", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("backlog", sa.BigInteger(), nullable=False))
    op.add_column("ticket_balance", sa.Column("unattended", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("presales", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("cohort_escalated", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("cohort_within_hour", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("first_responded", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("first_response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("business_responded", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("business_response_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("resolution_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("business_resolved", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("business_resolution_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("resolved_under_sla", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("resolved_within_sla", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("first_resolved", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("held", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("backlog", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("unattended", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("first_response_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("ticket_posting", sa.Column("business_response_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("ticket_posting", sa.Column("resolution_seconds_bucket", sa.SmallInteger(), nullable=True))
    op.add_column("ticket_posting", sa.Column("business_resolution_seconds_bucket", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    """Takes it back."""
    _read_anew(rules_version=1)
    op.drop_column("ticket_posting", "business_resolution_seconds_bucket")
    op.drop_column("ticket_posting", "resolution_seconds_bucket")
    op.drop_column("ticket_posting", "business_response_seconds_bucket")
    op.drop_column("ticket_posting", "first_response_seconds_bucket")
    op.drop_column("ticket_posting", "unattended")
    op.drop_column("ticket_posting", "backlog")
    op.drop_column("ticket_posting", "held")
    op.drop_column("ticket_posting", "first_resolved")
    op.drop_column("ticket_posting", "resolved_within_sla")
    op.drop_column("ticket_posting", "resolved_under_sla")
    op.drop_column("ticket_posting", "business_resolution_seconds")
    op.drop_column("ticket_posting", "business_resolved")
    op.drop_column("ticket_posting", "resolution_seconds")
    op.drop_column("ticket_posting", "business_response_seconds")
    op.drop_column("ticket_posting", "business_responded")
    op.drop_column("ticket_posting", "first_response_seconds")
    op.drop_column("ticket_posting", "first_responded")
    op.drop_column("ticket_posting", "cohort_within_hour")
    op.drop_column("ticket_posting", "cohort_escalated")
    op.drop_column("ticket_posting", "presales")
    op.drop_column("ticket_balance", "unattended")
    op.drop_column("ticket_balance", "backlog")
    op.drop_column("ticket_balance", "held")
    op.drop_column("ticket_balance", "first_resolved")
    op.drop_column("ticket_balance", "resolved_within_sla")
    op.drop_column("ticket_balance", "resolved_under_sla")
    op.drop_column("ticket_balance", "business_resolution_seconds")
    op.drop_column("ticket_balance", "business_resolved")
    op.drop_column("ticket_balance", "resolution_seconds")
    op.drop_column("ticket_balance", "business_response_seconds")
    op.drop_column("ticket_balance", "business_responded")
    op.drop_column("ticket_balance", "first_response_seconds")
    op.drop_column("ticket_balance", "first_responded")
    op.drop_column("ticket_balance", "cohort_within_hour")
    op.drop_column("ticket_balance", "cohort_escalated")
    op.drop_column("ticket_balance", "presales")
    op.drop_column("survey_posting", "effortless")
    op.drop_column("survey_posting", "effort")
    op.drop_column("survey_posting", "effort_rated")
    op.drop_column("survey_posting", "detractors")
    op.drop_column("survey_posting", "promoters")
    op.drop_column("survey_posting", "recommended")
    op.drop_column("survey_posting", "scored")
    op.drop_column("survey_balance", "effortless")
    op.drop_column("survey_balance", "effort")
    op.drop_column("survey_balance", "effort_rated")
    op.drop_column("survey_balance", "detractors")
    op.drop_column("survey_balance", "promoters")
    op.drop_column("survey_balance", "recommended")
    op.drop_column("survey_balance", "scored")
    op.drop_column("lead_posting", "response_seconds_bucket")
    op.drop_column("lead_posting", "response_seconds")
    op.drop_column("lead_balance", "response_seconds")
    op.drop_column("interaction_posting", "handle_seconds_bucket")
    op.drop_column("interaction_posting", "handle_seconds")
    op.drop_column("interaction_balance", "handle_seconds")
    op.drop_column("deal_posting", "cycle_seconds_bucket")
    op.drop_column("deal_posting", "advanced")
    op.drop_column("deal_posting", "entered")
    op.drop_column("deal_posting", "pipeline_weighted")
    op.drop_column("deal_posting", "pipeline_value")
    op.drop_column("deal_posting", "pipeline_deals")
    op.drop_column("deal_posting", "upsell_revenue")
    op.drop_column("deal_posting", "upsell_won")
    op.drop_column("deal_posting", "cycle_seconds")
    op.drop_column("deal_posting", "stage")
    op.drop_column("deal_balance", "advanced")
    op.drop_column("deal_balance", "entered")
    op.drop_column("deal_balance", "pipeline_weighted")
    op.drop_column("deal_balance", "pipeline_value")
    op.drop_column("deal_balance", "pipeline_deals")
    op.drop_column("deal_balance", "upsell_revenue")
    op.drop_column("deal_balance", "upsell_won")
    op.drop_column("deal_balance", "cycle_seconds")
    op.drop_table("upsell_subject")
    op.drop_index("upsell_posting_day_idx", table_name="upsell_posting")
    op.drop_table("upsell_posting")
    op.drop_table("upsell_balance")
    op.drop_table("training_subject")
    op.drop_index("training_posting_day_idx", table_name="training_posting")
    op.drop_table("training_posting")
    op.drop_table("training_balance")
    op.drop_table("ticket_histogram")
    op.drop_table("review_subject")
    op.drop_index("review_posting_day_idx", table_name="review_posting")
    op.drop_table("review_posting")
    op.drop_table("review_balance")
    op.drop_table("referral_subject")
    op.drop_index("referral_posting_day_idx", table_name="referral_posting")
    op.drop_table("referral_posting")
    op.drop_table("referral_balance")
    op.drop_table("maintenance_subject")
    op.drop_index("maintenance_posting_day_idx", table_name="maintenance_posting")
    op.drop_table("maintenance_posting")
    op.drop_table("maintenance_balance")
    op.drop_table("lead_histogram")
    op.drop_table("interaction_histogram")
    op.drop_table("deal_histogram")
    op.drop_table("checkin_subject")
    op.drop_index("checkin_posting_day_idx", table_name="checkin_posting")
    op.drop_table("checkin_posting")
    op.drop_table("checkin_balance")
    op.drop_table("activity_subject")
    op.drop_index("activity_posting_day_idx", table_name="activity_posting")
    op.drop_table("activity_posting")
    op.drop_table("activity_balance")
