"""Planning rules, and which rule planned an activity after what."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_planning_rules, plan_by_rules, unplan_by_rules

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the columns. Nothing was planned by rules before."""
    create_planning_rules(
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("assign_to", sa.Text(), nullable=False, comment="at intervals it is the account's owner"),
        sa.Column("channel", sa.Text(), comment="null for every channel"),
        sa.Column("product", sa.Text(), comment="one of the deal's; null for every product"),
        triggers=("deal_won", "deal_lost", "interval"),
        kind=("call", "email", "meeting", "demonstration", "visit", "follow_up"),
        assign_to=("deal_owner", "account_owner"),
    )
    plan_by_rules("activity")


def downgrade() -> None:
    """Remove them; what rules planned stays as it is."""
    unplan_by_rules("activity")
    op.drop_table("planning_rule")
