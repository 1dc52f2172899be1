"""Planning rules, and which rule planned a check-in after what."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes, create_planning_rules, plan_by_rules, unplan_by_rules

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the columns. Nothing was planned by rules before."""
    create_planning_rules(
        sa.Column("max_score", sa.SmallInteger(), comment="the best score that is a bad rating"),
        sa.Column("product", sa.Text(), comment="the ticket's; null for every product"),
        sa.Column("priority", sa.Text(), comment="the ticket's; null for every priority"),
        sa.Column("agent_id", sa.Uuid(), sa.ForeignKey("agent.id"), comment="null for who resolved the ticket"),
        sa.Column("team_id", sa.Uuid(), sa.ForeignKey("team.id"), comment="whose it is; the agent's where null"),
        triggers=("onboarding_ended", "bad_rating", "interval"),
        priority=("low", "normal", "high", "urgent"),
    )
    for name, check in (
        ("max_score", "max_score BETWEEN 1 AND 5"),
        ("bad_rating", "(max_score IS NOT NULL) = (trigger = 'bad_rating')"),
    ):
        op.create_check_constraint(op.f(f"planning_rule_{name}_check"), "planning_rule", check)
    create_list_indexes("planning_rule", "agent_id", "team_id")
    plan_by_rules("check_in")


def downgrade() -> None:
    """Remove them; what rules planned stays as it is."""
    unplan_by_rules("check_in")
    op.drop_table("planning_rule")
