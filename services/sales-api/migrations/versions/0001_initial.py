"""The tables of the sales API before its first release."""

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
        "exchange_rate",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False, comment="rises with time: the order of the list"),
        sa.Column("rate", sa.Numeric(precision=22, scale=10), nullable=False),
        sa.CheckConstraint("rate > 0", name=op.f("exchange_rate_rate_check")),
        sa.PrimaryKeyConstraint("currency", "on", name=op.f("exchange_rate_pkey")),
        sa.UniqueConstraint("id", name=op.f("exchange_rate_id_key")),
    )
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
        "product",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False, comment="rises with time: the order of the list"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("product_pkey")),
        sa.UniqueConstraint("id", name=op.f("product_id_key")),
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
        "rep",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("external_ref", sa.Text()),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("rep_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("rep_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("rep_external_ref_key")),
    )
    op.create_index("rep_team_id_id_idx", "rep", ["team_id", "id"])
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), comment="null once erased"),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("referred_by", sa.Uuid()),
        sa.Column("merged_into", sa.Uuid()),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the latest change happened in the business",
        ),
        sa.ForeignKeyConstraint(["merged_into"], ["account.id"], name=op.f("account_merged_into_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name=op.f("account_owner_id_fkey")),
        sa.ForeignKeyConstraint(["referred_by"], ["account.id"], name=op.f("account_referred_by_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("account_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("account_external_ref_key")),
    )
    op.create_index("account_channel_id_idx", "account", ["channel", "id"])
    op.create_index("account_merged_into_id_idx", "account", ["merged_into", "id"])
    op.create_index("account_owner_id_id_idx", "account", ["owner_id", "id"])
    op.create_index("account_referred_by_id_idx", "account", ["referred_by", "id"])
    op.create_index("account_region_id_idx", "account", ["region", "id"])
    op.create_index("account_segment_id_idx", "account", ["segment", "id"])
    op.create_index("account_team_id_id_idx", "account", ["team_id", "id"])
    op.create_table(
        "quota",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rep_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("target", sa.Numeric(precision=16, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False, comment="the reporting currency when it was set"),
        sa.Column("external_ref", sa.Text()),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False, comment="when it was last set"),
        sa.CheckConstraint(
            "period_end >= period_start and period_end - period_start < 366", name=op.f("quota_period_check")
        ),
        sa.CheckConstraint("target >= 0", name=op.f("quota_target_check")),
        sa.ForeignKeyConstraint(["rep_id"], ["rep.id"], name=op.f("quota_rep_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("quota_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("quota_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("quota_external_ref_key")),
    )
    op.create_index("quota_rep_id_period_start_idx", "quota", ["rep_id", "period_start"])
    op.create_index("quota_team_id_id_idx", "quota", ["team_id", "id"])
    op.create_table(
        "lead",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "partition_key", sa.Uuid(), nullable=False, comment="the account's id if it had one at first, else its own"
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("company", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("product", sa.Text()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("account_id", sa.Uuid()),
        sa.Column("deal_id", sa.Uuid()),
        sa.Column("upsell_suggestion_id", sa.Uuid()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True)),
        sa.Column("contacted_at", sa.DateTime(timezone=True)),
        sa.Column("qualified_at", sa.DateTime(timezone=True)),
        sa.Column("disqualified_at", sa.DateTime(timezone=True)),
        sa.Column("disqualified_reason", sa.Text()),
        sa.Column("converted_at", sa.DateTime(timezone=True)),
        sa.Column("external_ref", sa.Text()),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the latest change happened in the business",
        ),
        sa.CheckConstraint("(status = 'converted') = (converted_at is not null)", name=op.f("lead_converted_at_check")),
        sa.CheckConstraint(
            "(status = 'disqualified') = (disqualified_at is not null)", name=op.f("lead_disqualified_at_check")
        ),
        sa.CheckConstraint(
            "status IN ('new', 'assigned', 'contacted', 'qualified', 'disqualified', 'converted')",
            name=op.f("lead_status_check"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("lead_account_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name=op.f("lead_owner_id_fkey")),
        sa.ForeignKeyConstraint(["product"], ["product.code"], name=op.f("lead_product_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("lead_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("lead_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("lead_external_ref_key")),
    )
    op.create_index("lead_account_id_id_idx", "lead", ["account_id", "id"])
    op.create_index("lead_channel_id_idx", "lead", ["channel", "id"])
    op.create_index("lead_deal_id_id_idx", "lead", ["deal_id", "id"])
    op.create_index("lead_owner_id_id_idx", "lead", ["owner_id", "id"])
    op.create_index("lead_product_id_idx", "lead", ["product", "id"])
    op.create_index("lead_region_id_idx", "lead", ["region", "id"])
    op.create_index("lead_segment_id_idx", "lead", ["segment", "id"])
    op.create_index("lead_status_id_idx", "lead", ["status", "id"])
    op.create_index("lead_team_id_id_idx", "lead", ["team_id", "id"])
    op.create_table(
        "deal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("title", sa.Text()),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("closed_from", sa.Text(), comment="the stage that reopening leads back to"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=16, scale=4), nullable=False, comment="the sum of the lines"),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expected_close_on", sa.Date()),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("close_reason", sa.Text()),
        sa.Column(
            "rate", sa.Numeric(precision=22, scale=10), comment="reporting currency for one unit, frozen on closing"
        ),
        sa.Column("rate_on", sa.Date()),
        sa.Column("reporting_currency", sa.Text()),
        sa.Column("reporting_amount", sa.Numeric(precision=16, scale=4)),
        sa.Column("reopen_count", sa.Integer(), nullable=False),
        sa.Column(
            "stage_entries",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each stage that it was in, with its start",
        ),
        sa.Column(
            "estimated_reporting_amount",
            sa.Numeric(precision=16, scale=4),
            comment="at the rate of the day of the latest change, while it is open",
        ),
        sa.Column("estimated_currency", sa.Text(), comment="the reporting currency then"),
        sa.Column("proposal_sent_at", sa.DateTime(timezone=True), comment="when the first one went out"),
        sa.Column("proposal_count", sa.Integer(), nullable=False),
        sa.Column("promised_by", sa.Date()),
        sa.Column("promised_price", sa.Numeric(precision=16, scale=4)),
        sa.Column("promised_quality", sa.Text()),
        sa.Column("upsell_suggestion_id", sa.Uuid()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the latest change happened in the business",
        ),
        sa.CheckConstraint("(stage in ('won', 'lost')) = (closed_at is not null)", name=op.f("deal_closed_at_check")),
        sa.CheckConstraint(
            "closed_from IN ('prospecting', 'qualification', 'presentation', 'proposal', 'negotiation')",
            name=op.f("deal_closed_from_check"),
        ),
        sa.CheckConstraint(
            "stage IN ('prospecting', 'qualification', 'presentation', 'proposal', 'negotiation', 'won', 'lost')",
            name=op.f("deal_stage_check"),
        ),
        sa.CheckConstraint("(promised_by is null) = (promised_price is null)", name=op.f("deal_promise_check")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("deal_account_id_fkey")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("deal_lead_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name=op.f("deal_owner_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("deal_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("deal_pkey")),
        sa.UniqueConstraint("external_ref", name=op.f("deal_external_ref_key")),
    )
    op.create_index("deal_account_id_id_idx", "deal", ["account_id", "id"])
    op.create_index("deal_channel_id_idx", "deal", ["channel", "id"])
    op.create_index("deal_close_reason_id_idx", "deal", ["close_reason", "id"])
    op.create_index("deal_currency_id_idx", "deal", ["currency", "id"])
    op.create_index("deal_lead_id_id_idx", "deal", ["lead_id", "id"])
    op.create_index("deal_owner_id_id_idx", "deal", ["owner_id", "id"])
    op.create_index("deal_region_id_idx", "deal", ["region", "id"])
    op.create_index("deal_segment_id_idx", "deal", ["segment", "id"])
    op.create_index("deal_stage_id_idx", "deal", ["stage", "id"])
    op.create_index("deal_team_id_id_idx", "deal", ["team_id", "id"])
    op.create_table(
        "referral",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("referral_account_id_fkey")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("referral_lead_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name=op.f("referral_owner_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("referral_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("referral_pkey")),
        sa.UniqueConstraint("lead_id", name=op.f("referral_lead_id_key")),
    )
    op.create_index("referral_account_id_id_idx", "referral", ["account_id", "id"])
    op.create_index("referral_owner_id_id_idx", "referral", ["owner_id", "id"])
    op.create_index("referral_team_id_id_idx", "referral", ["team_id", "id"])
    op.create_table(
        "activity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid()),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("deal_id", sa.Uuid()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True), comment="null for an unplanned activity"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('call', 'email', 'meeting', 'demonstration', 'visit', 'follow_up')",
            name=op.f("activity_kind_check"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("activity_account_id_fkey")),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("activity_deal_id_fkey")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("activity_lead_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name=op.f("activity_owner_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("activity_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("activity_pkey")),
    )
    op.create_index("activity_account_id_id_idx", "activity", ["account_id", "id"])
    op.create_index("activity_deal_id_id_idx", "activity", ["deal_id", "id"])
    op.create_index("activity_kind_id_idx", "activity", ["kind", "id"])
    op.create_index("activity_lead_id_id_idx", "activity", ["lead_id", "id"])
    op.create_index("activity_owner_id_id_idx", "activity", ["owner_id", "id"])
    op.create_index("activity_team_id_id_idx", "activity", ["team_id", "id"])
    op.create_table(
        "deal_line",
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=16, scale=4), nullable=False),
        sa.Column("amount", sa.Numeric(precision=16, scale=4), nullable=False, comment="quantity times unit price"),
        sa.Column("reporting_amount", sa.Numeric(precision=16, scale=4), comment="null while the deal is open"),
        sa.CheckConstraint("quantity > 0", name=op.f("deal_line_quantity_check")),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("deal_line_deal_id_fkey")),
        sa.ForeignKeyConstraint(["product"], ["product.code"], name=op.f("deal_line_product_fkey")),
        sa.PrimaryKeyConstraint("deal_id", "position", name=op.f("deal_line_pkey")),
    )
    op.create_foreign_key(op.f("lead_deal_id_fkey"), "lead", "deal", ["deal_id"], ["id"])


def downgrade() -> None:
    """Drop every table."""
    op.drop_constraint(op.f("lead_deal_id_fkey"), "lead", type_="foreignkey")
    op.drop_table("deal_line")
    op.drop_table("activity")
    op.drop_table("referral")
    op.drop_table("deal")
    op.drop_table("lead")
    op.drop_table("quota")
    op.drop_table("account")
    op.drop_table("rep")
    op.drop_table("team")
    op.drop_table("product")
    op.drop_table("outbox")
    op.drop_table("imported_record")
    op.drop_table("idempotency_key")
    op.drop_table("exchange_rate")
