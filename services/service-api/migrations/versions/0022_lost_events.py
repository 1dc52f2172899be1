"""The events that a restore lost are named in what corrects them, and left out of timelines."""

from service_kit.migration_tables import (
    drop_lost_events,
    keep_one_in_timelines,
    keep_rivals_in_timelines,
    name_lost_events,
)

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    name_lost_events()
    keep_rivals_in_timelines()


def downgrade() -> None:
    """Take them away."""
    keep_one_in_timelines()
    drop_lost_events()
