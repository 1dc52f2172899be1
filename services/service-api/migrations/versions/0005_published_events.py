"""Published events: a database keeps what it publishes, and can bring its log back to it."""

from service_kit.migration_tables import create_published_events, drop_published_events

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. Where a relay has published, what is kept is not complete."""
    create_published_events()


def downgrade() -> None:
    """Drop them, with all that was published: it is in the log still."""
    drop_published_events()
