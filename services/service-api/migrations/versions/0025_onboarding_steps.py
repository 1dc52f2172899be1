"""Onboardings have steps, by templates of products; those of before have none."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import (
    add_kept_keys,
    add_updated_at,
    create_list_indexes,
    create_name_index,
    create_search_index,
    plan_work,
)

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "onboarding_template",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), comment="null for the products without a template of their own"),
        sa.Column(
            "promise_days",
            sa.Integer(),
            nullable=False,
            comment="from the win on, to the day that steps count from where the deal promises none",
        ),
        sa.Column("steps", postgresql.JSONB(), nullable=False, comment="each with its code, days, agent and team"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("promise_days BETWEEN 1 AND 3660", name=op.f("onboarding_template_promise_days_check")),
    )
    add_updated_at("onboarding_template")
    create_list_indexes("onboarding_template", "product", "active")
    create_name_index("onboarding_template", "name")
    create_search_index("onboarding_template", "name")
    op.create_table(
        "onboarding_step",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("segment", sa.Text()),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id")),
        sa.Column("deal_id", sa.Uuid(), sa.ForeignKey("won_deal.id"), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), sa.ForeignKey("ticket.id"), nullable=False, comment="the onboarding"),
        sa.Column("step", sa.Text(), nullable=False, comment="a code of what is to be done"),
        sa.Column(
            "promised", sa.Boolean(), nullable=False, comment="whether it is the delivery that the deal promises"
        ),
        sa.Column("product", sa.Text()),
        sa.Column("due_on", sa.Date(), nullable=False, comment="the last day on which it is on time"),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
    )
    add_updated_at("onboarding_step")
    add_kept_keys("onboarding_step")
    plan_work("onboarding_step", due="due_on", done="completed_at")
    create_list_indexes(
        "onboarding_step",
        *("customer_id", "agent_id", "team_id", "ticket_id", "deal_id", "step", "product", "due_on", "completed_at"),
    )
    is_unassigned = sa.text("agent_id IS NULL AND team_id IS NULL")
    op.create_index("onboarding_step_unassigned_idx", "onboarding_step", ["id"], postgresql_where=is_unassigned)
    op.create_index(
        "onboarding_step_once_idx",
        "onboarding_step",
        ["deal_id", "step", "product"],
        unique=True,
        postgresql_where=sa.text("status <> 'cancelled'"),
        postgresql_nulls_not_distinct=True,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("onboarding_step")
    op.drop_table("onboarding_template")
