"""Sales' events, mirrored for the timelines of customers."""

from service_kit.migration_tables import create_timeline_entry, drop_timeline_entry

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. sales.events is read from its first record on."""
    create_timeline_entry()


def downgrade() -> None:
    """Take it away."""
    drop_timeline_entry()
