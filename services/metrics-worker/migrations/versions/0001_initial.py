"""The tables of the metrics database."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import create_consumer_tables, create_idempotency_key, create_outbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

POSTINGS = {
    "account": ("region segment channel owner team customer", "registered referred customers"),
    "lead": (
        "region segment product channel owner team customer",
        (
            "created cohort_contacted cohort_qualified cohort_disqualified cohort_converted contacted qualified "
            "disqualified converted response_seconds"
        ),
    ),
    "deal": (
        "region segment product channel owner team customer stage",
        (
            "won lost revenue units cycle_seconds upsell_won upsell_revenue pipeline_deals pipeline_value "
            "pipeline_weighted entered advanced"
        ),
    ),
    "quota": ("owner team", "target"),
    "ticket": (
        "region segment product channel owner team customer priority kind",
        (
            "opened presales cohort_resolved cohort_reopened cohort_escalated cohort_within_hour reopenings "
            "first_responded first_response_seconds business_responded business_response_seconds resolved "
            "resolution_seconds business_resolved business_resolution_seconds onboarded onboarding_seconds "
            "resolved_reopened resolved_first_contact resolved_under_sla resolved_within_sla first_resolved held "
            "backlog unattended"
        ),
    ),
    "interaction": (
        "region segment product channel owner team customer priority kind",
        "handled talk_seconds hold_seconds wrap_up_seconds handle_seconds",
    ),
    "survey": (
        "region segment product channel owner team customer priority kind",
        (
            "sent cohort_answered answered scored satisfied score recommended promoters detractors effort_rated "
            "effort effortless"
        ),
    ),
    "activity": ("region segment channel owner team customer", "completed follow_ups on_time"),
    "referral": ("region segment channel owner team customer", "recorded"),
    "training": ("region segment product owner team customer", "delivered attendees"),
    "checkin": ("region segment product owner team customer", "completed due on_time"),
    "maintenance": ("region segment product owner team customer", "performed on_time"),
    "delivery": ("region segment owner team customer", "accepted promised kept in_time at_price of_quality"),
    "review": ("region segment product channel customer", "recorded good score"),
    "upsell": ("region segment product owner team customer", "suggested"),
    "relationship": (
        "region segment product channel owner team customer",
        (
            "new_won new_revenue repeat_won repeat_revenue assisted_closed assisted_won unassisted_closed "
            "unassisted_won buyers repeat_buyers active lapsed active_before retained revenue_before "
            "revenue_retained at_risk breached reopened badly_rated revenue_at_risk pipeline_at_risk health"
        ),
    ),
}
"""By kind of subject, the dimensions and the measures of its postings."""
MONEY = [
    "deal.pipeline_value",
    "deal.pipeline_weighted",
    "deal.revenue",
    "deal.upsell_revenue",
    "quota.target",
    "relationship.new_revenue",
    "relationship.pipeline_at_risk",
    "relationship.repeat_revenue",
    "relationship.revenue_at_risk",
    "relationship.revenue_before",
    "relationship.revenue_retained",
]
DURATIONS = {
    "lead": ("response_seconds",),
    "deal": ("cycle_seconds",),
    "ticket": (
        "first_response_seconds",
        "business_response_seconds",
        "resolution_seconds",
        "business_resolution_seconds",
        "onboarding_seconds",
    ),
    "interaction": ("handle_seconds",),
}
"""Measures with a histogram."""
SPLIT = ["deal", "relationship"]
"""Kinds whose subjects may have several products."""
TABLES = [
    "account_merge",
    "block",
    "block_part",
    "circuit_breaker",
    "closed_period",
    "consumer_offset",
    "customer_timeline",
    "dead_letter",
    "dimension_value",
    "freshness",
    "idempotency_key",
    "ledger",
    "relay_lease",
    "outbox",
    "published_risk",
    "risk_review",
    "sequence_conflict",
    "sequence_gap",
    "signing_key",
    "subject_state",
    "target",
    "timeline_entry",
    "webhook",
    "closed_figure",
    "webhook_delivery",
    "webhook_secret",
]


def upgrade() -> None:
    """Create them."""
    create_consumer_tables()
    create_idempotency_key()
    create_outbox()
    op.create_table(
        "account_merge",
        sa.Column("customer", sa.Uuid(), primary_key=True),
        sa.Column("merged_into", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        comment="Customers that were merged into another one, and the event that did it.",
    )
    op.create_table(
        "block",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="'all' for the total"),
        sa.Column("span", sa.Text(), nullable=False, comment="'month' or 'year'"),
        sa.Column("start", sa.Date(), nullable=False, comment="the first day of the month or year"),
        sa.Column("value", sa.Text(), nullable=False, comment="of the dimension; '' for postings without one"),
        sa.Column("part", sa.SmallInteger(), nullable=False, comment="the writer's; readers add the parts"),
        sa.Column(
            "sums", sa.ARRAY(sa.BigInteger()), nullable=False, comment="over the span, by measure in the kind's order"
        ),
        sa.Column(
            "cells", sa.ARRAY(sa.SmallInteger()), nullable=False, comment="measure << 8 | day of the month; months only"
        ),
        sa.Column("amounts", sa.ARRAY(sa.BigInteger()), nullable=False, comment="the sum of each cell"),
        sa.Column(
            "buckets", sa.ARRAY(sa.SmallInteger()), nullable=False, comment="duration << 10 | bucket of its histogram"
        ),
        sa.Column("counts", sa.ARRAY(sa.Integer()), nullable=False, comment="how many durations each bucket holds"),
        sa.PrimaryKeyConstraint("kind", "dimension", "span", "start", "value", "part", name=op.f("block_pkey")),
        comment="Sums of postings by kind, dimension, value and month or year, kept apart by writer.",
        postgresql_with={"toast_tuple_target": 8160},
    )
    op.create_table(
        "block_part",
        sa.Column("part", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column(
            "revision", sa.BigInteger(), nullable=False, comment="a random number that each write of the part replaces"
        ),
        comment="Parts of blocks. A writer locks its part, and trusts its memory while the revision is its own.",
    )
    op.create_table(
        "closed_period",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, comment="such as 2026-03 or 2026-Q1", unique=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the ledger held all that was recorded up to then; the period's figures are as of this moment",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "customer_timeline",
        sa.Column("customer", sa.Uuid(), primary_key=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        comment="Customers that have a timeline, and the number of its entries; a writer locks the row.",
    )
    op.create_table(
        "dimension_value",
        sa.Column("code", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("dimension_value_pkey")),
        sa.UniqueConstraint("value", name=op.f("dimension_value_value_key")),
        comment="The codes by which postings hold the values of dimensions.",
    )
    op.create_table(
        "freshness",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("complete_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("freshness_pkey")),
        comment="The recorded time up to which the ledger has all events of a partition.",
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ledger_single_row_check")),
        comment="The time zone, currency and rules version of this ledger; one row.",
    )
    op.create_table(
        "published_risk",
        sa.Column("customer", sa.Uuid(), primary_key=True),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False, comment="empty once recovered"),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="the number of events published of it"),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "risk_review",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("customer", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        comment="Customers whose risk is to be reviewed on a day or after it, because it may have changed.",
    )
    op.create_index("risk_review_day_idx", "risk_review", ["day"])
    op.create_table(
        "sequence_conflict",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("subject_id", sa.Uuid(), primary_key=True),
        sa.Column("sequence", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Uuid(), nullable=False, comment="of the event that counts"),
        sa.Column("dropped_event_id", sa.Uuid(), primary_key=True),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        comment="Events whose sequence another event of their subject had already. The last one of a subject "
        "contradicts its source until a later event comes.",
    )
    op.create_table(
        "sequence_gap",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("first_missing", sa.Integer(), nullable=False),
        sa.Column("last_missing", sa.Integer(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "first_missing", name=op.f("sequence_gap_pkey")),
        comment="Runs of a subject's sequence that a later event jumped over and that have not arrived since.",
    )
    op.create_table(
        "signing_key",
        sa.Column("purpose", sa.Text(), primary_key=True),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        comment="Keys that this service signs with for itself; all of its processes share them.",
    )
    op.create_table(
        "subject_state",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column(
            "waiting_since",
            sa.DateTime(timezone=True),
            comment="null when no customer waits for an answer",
        ),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("subject_state_pkey")),
        comment="The newest state of each subject that the ledger has seen, as its event carries it (JSON).",
    )
    op.create_index(
        "subject_state_kind_waiting_since_idx",
        "subject_state",
        ["kind", "waiting_since"],
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
    op.create_table(
        "target",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text()),
        sa.Column("dimension_value", sa.Text()),
        sa.Column("value", sa.Numeric(), nullable=False, comment="in the KPI's unit"),
        sa.Column("period", sa.Text()),
        sa.Column("since", sa.Date()),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed", sa.Boolean(), comment="by the last judgement; null before the first"),
        sa.Column(
            "missed_since",
            sa.DateTime(timezone=True),
            comment="when the judgement that it is missed was first made",
        ),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="the number of events published of it"),
        sa.CheckConstraint("period IN ('day', 'week', 'month', 'quarter', 'year')", name=op.f("target_period_check")),
        sa.CheckConstraint("num_nonnulls(period, since) = 1", name=op.f("target_period_or_since_check")),
        sa.UniqueConstraint(
            "kpi",
            "variant",
            "dimension",
            "dimension_value",
            name=op.f("target_kpi_variant_dimension_dimension_value_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "timeline_entry",
        sa.Column("customer", sa.Uuid(), nullable=False, comment="the one that survives, if customers were merged"),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        comment="The facts of each customer's timeline, with their events (JSON).",
    )
    op.create_index("timeline_entry_customer_idx", "timeline_entry", ["customer"])
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", sa.Text(), comment="set when it was switched off by itself"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "closed_figure",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("period_id", sa.Uuid(), sa.ForeignKey("closed_period.id"), nullable=False),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("as_closed", postgresql.JSONB(), nullable=False),
        sa.Column("published", postgresql.JSONB(), nullable=False, comment="as closed, or as last restated"),
        sa.Column("restated_at", sa.DateTime(timezone=True)),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="the number of restatements published of it"),
        sa.UniqueConstraint("period_id", "kpi", "variant", name=op.f("closed_figure_period_id_kpi_variant_key")),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_tried_at", sa.DateTime(timezone=True)),
        sa.Column("last_status", sa.Integer(), comment="of the answer; null when there was none"),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dead')", name=op.f("webhook_delivery_status_check")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("webhook_delivery_webhook_id_fkey"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("webhook_delivery_webhook_id_event_id_key")),
    )
    op.create_index(
        "webhook_delivery_pending_idx",
        "webhook_delivery",
        ["next_try_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "webhook_delivery_ended_idx",
        "webhook_delivery",
        ["status", "last_tried_at"],
        postgresql_where=sa.text("status <> 'pending'"),
    )
    op.create_index("webhook_delivery_webhook_id_id_idx", "webhook_delivery", ["webhook_id", "id"])
    op.create_table(
        "webhook_secret",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("retires_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("webhook_secret_webhook_id_fkey"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("webhook_secret_webhook_id_idx"), "webhook_secret", ["webhook_id"])
    for kind, (dimensions, measures) in POSTINGS.items():
        _create_postings(kind, dimensions.split(), measures.split())


def _create_postings(kind: str, dimensions: list[str], measures: list[str]) -> None:
    types = {name: sa.Numeric(38, 0) if f"{kind}.{name}" in MONEY else sa.BigInteger() for name in measures}
    name = f"{kind}_posting"
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *([sa.Column("split", sa.Boolean(), nullable=False)] if kind in SPLIT else []),
        *(sa.Column(name, sa.Uuid() if name == "customer" else sa.Integer()) for name in dimensions),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        *(sa.Column(measure, type_) for measure, type_ in types.items()),
        *(sa.Column(f"{duration}_bucket", sa.SmallInteger()) for duration in DURATIONS.get(kind, ())),
        sa.PrimaryKeyConstraint("day", "id", name=f"{name}_pkey"),
        comment=f"The contributions of changes of {kind} subjects to the sums of a day. Append-only; a measure that a "
        "posting does not contribute to is null. Dimensions are codes of dimension_value.",
    )
    op.create_index(
        f"{name}_recorded_time_day_idx",
        name,
        ["recorded_time", "day"],
        postgresql_using="brin",
        postgresql_ops={"day": "date_minmax_multi_ops"},
        postgresql_with={"autosummarize": "on", "pages_per_range": 32},
    )
    if "customer" in dimensions:
        op.create_index(f"{name}_customer_day_idx", name, ["customer", "day"])


def downgrade() -> None:
    """Drop them."""
    for name in [*(f"{kind}_posting" for kind in POSTINGS), *reversed(TABLES)]:
        op.drop_table(name)
