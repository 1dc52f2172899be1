"""Epochs: what was seen of other services' streams is compared by epoch and sequence."""

from service_kit import migration_tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the epoch of each sequence seen: so far all are of the first."""
    migration_tables.add_epochs("seen_sequence", "conflicting_event")


def downgrade() -> None:
    """Drop it."""
    migration_tables.drop_epochs("seen_sequence", "conflicting_event")
