"""Deals remember their stages, proposals and promises; activities and referrals are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KINDS = "'call', 'email', 'meeting', 'demonstration', 'visit', 'follow_up'"
_DEAL = (
    "stage_entries",
    "estimated_reporting_amount",
    "estimated_currency",
    "proposal_sent_at",
    "proposal_count",
    "promised_by",
    "promised_price",
    "promised_quality",
    "upsell_suggestion_id",
)


def upgrade() -> None:
    """Applies it."""
    amount = sa.Numeric(precision=16, scale=4)
    op.add_column(
        "deal",
        sa.Column(
            "stage_entries",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="each stage that it stood in and since when; empty where they were not kept",
        ),
    )
    op.alter_column("deal", "stage_entries", server_default=None)
    op.add_column(
        "deal",
        sa.Column(
            "estimated_reporting_amount",
            amount,
            nullable=True,
            comment="at the rate of the day of the latest change, while it is open",
        ),
    )
    op.add_column(
        "deal", sa.Column("estimated_currency", sa.Text(), nullable=True, comment="the reporting currency then")
    )
    op.add_column(
        "deal",
        sa.Column("proposal_sent_at", sa.DateTime(timezone=True), nullable=True, comment="when the first one went out"),
    )
    op.add_column("deal", sa.Column("proposal_count", sa.Integer(), server_default="0", nullable=False))
    op.alter_column("deal", "proposal_count", server_default=None)
    op.add_column("deal", sa.Column("promised_by", sa.Date(), nullable=True))
    op.add_column("deal", sa.Column("promised_price", amount, nullable=True))
    op.add_column("deal", sa.Column("promised_quality", sa.Text(), nullable=True))
    op.add_column("deal", sa.Column("upsell_suggestion_id", sa.Uuid(), nullable=True))
    op.create_check_constraint(op.f("deal_promise_check"), "deal", "(promised_by is null) = (promised_price is null)")
    op.add_column("lead", sa.Column("upsell_suggestion_id", sa.Uuid(), nullable=True))
    op.add_column("account", sa.Column("referred_by", sa.Uuid(), nullable=True))
    op.create_foreign_key("account_referred_by_fkey", "account", "account", ["referred_by"], ["id"])
    op.create_index("account_referred_by_id_idx", "account", ["referred_by", "id"])
    op.create_table(
        "activity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("lead_id", sa.Uuid(), nullable=True),
        sa.Column("deal_id", sa.Uuid(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True, comment="null for what was not planned"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("activity_kind_check")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="activity_account_id_fkey"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="activity_lead_id_fkey"),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name="activity_deal_id_fkey"),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name="activity_owner_id_fkey"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="activity_team_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="activity_pkey"),
    )
    for column in ("kind", "account_id", "lead_id", "deal_id", "owner_id", "team_id"):
        op.create_index(f"activity_{column}_id_idx", "activity", [column, "id"])
    op.create_table(
        "referral",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="referral_account_id_fkey"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="referral_lead_id_fkey"),
        sa.ForeignKeyConstraint(["owner_id"], ["rep.id"], name="referral_owner_id_fkey"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="referral_team_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="referral_pkey"),
        sa.UniqueConstraint("lead_id", name="referral_lead_id_key"),
    )
    for column in ("account_id", "owner_id", "team_id"):
        op.create_index(f"referral_{column}_id_idx", "referral", [column, "id"])


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("referral")
    op.drop_table("activity")
    op.drop_index("account_referred_by_id_idx", "account")
    op.drop_constraint("account_referred_by_fkey", "account")
    op.drop_column("account", "referred_by")
    op.drop_column("lead", "upsell_suggestion_id")
    op.drop_constraint(op.f("deal_promise_check"), "deal")
    for column in _DEAL:
        op.drop_column("deal", column)
