"""Activities are planned by a due time, and then done, missed, moved or cancelled. Those of before were done."""

from service_kit.migration_tables import plan_work, unplan_work

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was done has a time, and what is planned has none."""
    plan_work("activity", due="due_at", done="completed_at")


def downgrade() -> None:
    """Remove them, and what was not done with them."""
    unplan_work("activity", due="due_at", done="completed_at")
