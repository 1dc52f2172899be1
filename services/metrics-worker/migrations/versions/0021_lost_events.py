"""The events that a restore lost are named in what corrects them."""

from service_kit.migration_tables import drop_lost_events, name_lost_events

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Add the column."""
    name_lost_events(schema=SCHEMA)


def downgrade() -> None:
    """Take it away."""
    drop_lost_events(schema=SCHEMA)
