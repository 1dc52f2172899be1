"""The history of a record: events are found by their ids, and in the outbox by their keys."""

from service_kit.migration_tables import create_history_indexes, drop_history_indexes

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes. Meanwhile the relay waits, and what it is to publish."""
    create_history_indexes(schema="authoritative")


def downgrade() -> None:
    """Take them away."""
    drop_history_indexes(schema="authoritative")
