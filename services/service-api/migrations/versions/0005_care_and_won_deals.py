"""What service does for customers besides tickets; won deals, to be delivered and brought into use."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "won_deal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="of the newest event that is in here"),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("won_at", sa.DateTime(timezone=True), nullable=True, comment="null once it was taken back"),
        sa.Column("promised_by", sa.Date(), nullable=True),
        sa.Column("promised_price", sa.Numeric(precision=16, scale=4), nullable=True),
        sa.Column("promised_currency", sa.Text(), nullable=True),
        sa.Column("promised_quality", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("won_deal_pkey")),
    )
    op.create_table(
        "maintenance_plan",
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column("next_due_on", sa.Date(), nullable=False, comment="the last day on which the next time is in time"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.CheckConstraint("interval_days > 0", name=op.f("maintenance_plan_interval_days_check")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("maintenance_plan_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_plan_pkey")),
    )
    op.create_index("maintenance_plan_customer_id_id_idx", "maintenance_plan", ["customer_id", "id"], unique=False)
    op.create_table(
        "review",
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True, comment="where it was said"),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("review_score_check")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("review_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("review_pkey")),
    )
    op.create_index("review_channel_id_idx", "review", ["channel", "id"], unique=False)
    op.create_index("review_customer_id_id_idx", "review", ["customer_id", "id"], unique=False)
    op.create_table(
        "check_in",
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column(
            "due_on", sa.Date(), nullable=True, comment="the last day that it was planned for; null when unplanned"
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("check_in_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("check_in_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("check_in_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("check_in_pkey")),
    )
    op.create_index("check_in_agent_id_id_idx", "check_in", ["agent_id", "id"], unique=False)
    op.create_index("check_in_customer_id_id_idx", "check_in", ["customer_id", "id"], unique=False)
    op.create_index("check_in_team_id_id_idx", "check_in", ["team_id", "id"], unique=False)
    op.create_table(
        "delivery",
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
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("delivery_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("delivery_customer_id_fkey")),
        sa.ForeignKeyConstraint(["deal_id"], ["won_deal.id"], name=op.f("delivery_deal_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("delivery_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_pkey")),
        sa.UniqueConstraint("deal_id", name=op.f("delivery_deal_id_key")),
    )
    op.create_index("delivery_agent_id_id_idx", "delivery", ["agent_id", "id"], unique=False)
    op.create_index("delivery_customer_id_id_idx", "delivery", ["customer_id", "id"], unique=False)
    op.create_index("delivery_team_id_id_idx", "delivery", ["team_id", "id"], unique=False)
    op.create_table(
        "maintenance",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("maintenance_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("maintenance_customer_id_fkey")),
        sa.ForeignKeyConstraint(["plan_id"], ["maintenance_plan.id"], name=op.f("maintenance_plan_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("maintenance_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("maintenance_pkey")),
    )
    op.create_index("maintenance_agent_id_id_idx", "maintenance", ["agent_id", "id"], unique=False)
    op.create_index("maintenance_customer_id_id_idx", "maintenance", ["customer_id", "id"], unique=False)
    op.create_index("maintenance_plan_id_id_idx", "maintenance", ["plan_id", "id"], unique=False)
    op.create_index("maintenance_team_id_id_idx", "maintenance", ["team_id", "id"], unique=False)
    op.create_table(
        "training",
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("attendees", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("training_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("training_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("training_team_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("training_pkey")),
    )
    op.create_index("training_agent_id_id_idx", "training", ["agent_id", "id"], unique=False)
    op.create_index("training_customer_id_id_idx", "training", ["customer_id", "id"], unique=False)
    op.create_index("training_team_id_id_idx", "training", ["team_id", "id"], unique=False)
    op.create_table(
        "upsell_suggestion",
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("suggested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("upsell_suggestion_agent_id_fkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("upsell_suggestion_customer_id_fkey")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("upsell_suggestion_team_id_fkey")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("upsell_suggestion_ticket_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("upsell_suggestion_pkey")),
    )
    op.create_index("upsell_suggestion_agent_id_id_idx", "upsell_suggestion", ["agent_id", "id"], unique=False)
    op.create_index("upsell_suggestion_customer_id_id_idx", "upsell_suggestion", ["customer_id", "id"], unique=False)
    op.create_index("upsell_suggestion_team_id_id_idx", "upsell_suggestion", ["team_id", "id"], unique=False)
    op.create_index("upsell_suggestion_ticket_id_id_idx", "upsell_suggestion", ["ticket_id", "id"], unique=False)
    op.add_column("survey", sa.Column("recommendation", sa.SmallInteger(), nullable=True))
    op.add_column("survey", sa.Column("effort", sa.SmallInteger(), nullable=True))
    op.add_column(
        "ticket",
        sa.Column("onboarding_deal_id", sa.Uuid(), nullable=True, comment="the won deal that it brings into use"),
    )
    op.add_column(
        "ticket",
        sa.Column("onboarding_since", sa.DateTime(timezone=True), nullable=True, comment="when that deal was won"),
    )
    op.create_unique_constraint(op.f("ticket_onboarding_deal_id_key"), "ticket", ["onboarding_deal_id"])
    op.create_foreign_key(op.f("ticket_onboarding_deal_id_fkey"), "ticket", "won_deal", ["onboarding_deal_id"], ["id"])
    op.create_check_constraint(op.f("survey_recommendation_check"), "survey", "recommendation BETWEEN 0 AND 10")
    op.create_check_constraint(op.f("survey_effort_check"), "survey", "effort BETWEEN 1 AND 7")


def downgrade() -> None:
    """Takes it back."""
    op.drop_constraint(op.f("survey_effort_check"), "survey")
    op.drop_constraint(op.f("survey_recommendation_check"), "survey")
    op.drop_constraint(op.f("ticket_onboarding_deal_id_fkey"), "ticket", type_="foreignkey")
    op.drop_constraint(op.f("ticket_onboarding_deal_id_key"), "ticket", type_="unique")
    op.drop_column("ticket", "onboarding_since")
    op.drop_column("ticket", "onboarding_deal_id")
    op.drop_column("survey", "effort")
    op.drop_column("survey", "recommendation")
    op.drop_index("upsell_suggestion_ticket_id_id_idx", table_name="upsell_suggestion")
    op.drop_index("upsell_suggestion_team_id_id_idx", table_name="upsell_suggestion")
    op.drop_index("upsell_suggestion_customer_id_id_idx", table_name="upsell_suggestion")
    op.drop_index("upsell_suggestion_agent_id_id_idx", table_name="upsell_suggestion")
    op.drop_table("upsell_suggestion")
    op.drop_index("training_team_id_id_idx", table_name="training")
    op.drop_index("training_customer_id_id_idx", table_name="training")
    op.drop_index("training_agent_id_id_idx", table_name="training")
    op.drop_table("training")
    op.drop_index("maintenance_team_id_id_idx", table_name="maintenance")
    op.drop_index("maintenance_plan_id_id_idx", table_name="maintenance")
    op.drop_index("maintenance_customer_id_id_idx", table_name="maintenance")
    op.drop_index("maintenance_agent_id_id_idx", table_name="maintenance")
    op.drop_table("maintenance")
    op.drop_index("delivery_team_id_id_idx", table_name="delivery")
    op.drop_index("delivery_customer_id_id_idx", table_name="delivery")
    op.drop_index("delivery_agent_id_id_idx", table_name="delivery")
    op.drop_table("delivery")
    op.drop_index("check_in_team_id_id_idx", table_name="check_in")
    op.drop_index("check_in_customer_id_id_idx", table_name="check_in")
    op.drop_index("check_in_agent_id_id_idx", table_name="check_in")
    op.drop_table("check_in")
    op.drop_index("review_customer_id_id_idx", table_name="review")
    op.drop_index("review_channel_id_idx", table_name="review")
    op.drop_table("review")
    op.drop_index("maintenance_plan_customer_id_id_idx", table_name="maintenance_plan")
    op.drop_table("maintenance_plan")
    op.drop_table("won_deal")
