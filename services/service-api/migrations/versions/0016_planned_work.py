"""Trainings, check-ins and maintenance are planned, and then done, missed, moved or cancelled; those there were done.

Maintenance plans know whose visits they are, and end. The relay plans the next visit of each that is there.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes, plan_work, unplan_work

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

WORK = (
    ("training", "due_at", "delivered_at"),
    ("check_in", "due_on", "completed_at"),
    ("maintenance", "due_on", "performed_at"),
)


def upgrade() -> None:
    """Add the columns."""
    op.add_column("training", sa.Column("due_at", sa.DateTime(timezone=True), comment="null for an unplanned training"))
    create_list_indexes("training", "due_at")
    for table, due, done in WORK:
        plan_work(table, due=due, done=done)
    for name, of in (("agent_id", "agent.id"), ("team_id", "team.id")):
        op.add_column("maintenance_plan", sa.Column(name, sa.Uuid(), sa.ForeignKey(of)))
    create_list_indexes("maintenance_plan", "agent_id", "team_id")
    op.add_column(
        "maintenance_plan", sa.Column("ended_at", sa.DateTime(timezone=True), comment="null while it goes on")
    )


def downgrade() -> None:
    """Remove them, and what was not done with them."""
    for name in ("ended_at", "team_id", "agent_id"):
        op.drop_column("maintenance_plan", name)
    for table, due, done in WORK:
        unplan_work(table, due=due, done=done)
    op.drop_column("training", "due_at")
