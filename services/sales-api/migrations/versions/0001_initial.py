"""The tables of the sales API before its first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import create_idempotency_key, create_imported_record, create_outbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    create_idempotency_key()
    create_imported_record()
    create_outbox()
    op.create_table(
        "exchange_rate",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False, comment="rises with time: the order of the list", unique=True),
        sa.Column("rate", sa.Numeric(precision=22, scale=10), nullable=False),
        sa.CheckConstraint("rate > 0", name=op.f("exchange_rate_rate_check")),
        sa.PrimaryKeyConstraint("currency", "on", name=op.f("exchange_rate_pkey")),
    )
    op.create_table(
        "product",
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("id", sa.Uuid(), nullable=False, comment="rises with time: the order of the list", unique=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
    )
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
        "rep",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("region", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.Text(), unique=True, comment="of their tokens"),
        sa.Column("external_ref", sa.Text(), unique=True),
    )
    op.create_index("rep_team_id_id_idx", "rep", ["team_id", "id"])
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), comment="null once erased"),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("rep.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("referred_by", sa.Uuid(), sa.ForeignKey("account.id")),
        sa.Column("merged_into", sa.Uuid(), sa.ForeignKey("account.id")),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the latest change happened in the business",
        ),
    )
    for column in ("channel", "merged_into", "owner_id", "referred_by", "region", "segment", "team_id"):
        op.create_index(f"account_{column}_id_idx", "account", [column, "id"])
    op.create_table(
        "quota",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rep_id", sa.Uuid(), sa.ForeignKey("rep.id"), nullable=False),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("target", sa.Numeric(precision=16, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False, comment="the reporting currency when it was set"),
        sa.Column("external_ref", sa.Text(), unique=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False, comment="when it was last set"),
        sa.CheckConstraint(
            "period_end >= period_start and period_end - period_start < 366", name=op.f("quota_period_check")
        ),
        sa.CheckConstraint("target >= 0", name=op.f("quota_target_check")),
    )
    op.create_index("quota_rep_id_period_start_idx", "quota", ["rep_id", "period_start"])
    op.create_index("quota_team_id_id_idx", "quota", ["team_id", "id"])
    op.create_table(
        "lead",
        sa.Column("id", sa.Uuid(), primary_key=True),
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
        sa.Column("product", sa.Text(), sa.ForeignKey("product.code")),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("rep.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("account_id", sa.Uuid(), sa.ForeignKey("account.id")),
        sa.Column("deal_id", sa.Uuid()),
        sa.Column("upsell_suggestion_id", sa.Uuid()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True)),
        sa.Column("contacted_at", sa.DateTime(timezone=True)),
        sa.Column("qualified_at", sa.DateTime(timezone=True)),
        sa.Column("disqualified_at", sa.DateTime(timezone=True)),
        sa.Column("disqualified_reason", sa.Text()),
        sa.Column("converted_at", sa.DateTime(timezone=True)),
        sa.Column("external_ref", sa.Text(), unique=True),
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
    )
    for column in ("account_id", "channel", "deal_id", "owner_id", "product", "region", "segment", "status", "team_id"):
        op.create_index(f"lead_{column}_id_idx", "lead", [column, "id"])
    op.create_table(
        "deal",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), sa.ForeignKey("account.id"), nullable=False),
        sa.Column("lead_id", sa.Uuid(), sa.ForeignKey("lead.id")),
        sa.Column("title", sa.Text()),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("closed_from", sa.Text(), comment="the stage that reopening leads back to"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=16, scale=4), nullable=False, comment="the sum of the lines"),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("rep.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
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
            "stage_entries", postgresql.JSONB(), nullable=False, comment="each stage that it was in, with its start"
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
        sa.Column("external_ref", sa.Text(), unique=True),
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
    )
    for column in (
        "account_id",
        "channel",
        "close_reason",
        "currency",
        "lead_id",
        "owner_id",
        "region",
        "segment",
        "stage",
        "team_id",
    ):
        op.create_index(f"deal_{column}_id_idx", "deal", [column, "id"])
    op.create_table(
        "referral",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), sa.ForeignKey("account.id"), nullable=False),
        sa.Column("lead_id", sa.Uuid(), sa.ForeignKey("lead.id"), unique=True),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("rep.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("account_id", "owner_id", "team_id"):
        op.create_index(f"referral_{column}_id_idx", "referral", [column, "id"])
    op.create_table(
        "activity",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), sa.ForeignKey("account.id")),
        sa.Column("lead_id", sa.Uuid(), sa.ForeignKey("lead.id")),
        sa.Column("deal_id", sa.Uuid(), sa.ForeignKey("deal.id")),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("rep.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True), comment="null for an unplanned activity"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('call', 'email', 'meeting', 'demonstration', 'visit', 'follow_up')",
            name=op.f("activity_kind_check"),
        ),
    )
    for column in ("account_id", "deal_id", "kind", "lead_id", "owner_id", "team_id"):
        op.create_index(f"activity_{column}_id_idx", "activity", [column, "id"])
    op.create_table(
        "deal_line",
        sa.Column("deal_id", sa.Uuid(), sa.ForeignKey("deal.id"), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("product", sa.Text(), sa.ForeignKey("product.code"), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=16, scale=4), nullable=False),
        sa.Column("amount", sa.Numeric(precision=16, scale=4), nullable=False, comment="quantity times unit price"),
        sa.Column("reporting_amount", sa.Numeric(precision=16, scale=4), comment="null while the deal is open"),
        sa.CheckConstraint("quantity > 0", name=op.f("deal_line_quantity_check")),
        sa.PrimaryKeyConstraint("deal_id", "position", name=op.f("deal_line_pkey")),
    )
    op.create_foreign_key(op.f("lead_deal_id_fkey"), "lead", "deal", ["deal_id"], ["id"])
    for table in ("account", "lead", "deal", "activity", "referral"):
        is_unassigned = sa.text("owner_id IS NULL AND team_id IS NULL")
        op.create_index(f"{table}_unassigned_idx", table, ["id"], postgresql_where=is_unassigned)


def downgrade() -> None:
    """Drop every table."""
    op.drop_constraint(op.f("lead_deal_id_fkey"), "lead", type_="foreignkey")
    for table in (
        "deal_line",
        "activity",
        "referral",
        "deal",
        "lead",
        "quota",
        "account",
        "rep",
        "team",
        "product",
        "relay_lease",
        "outbox",
        "imported_record",
        "idempotency_key",
        "exchange_rate",
    ):
        op.drop_table(table)
