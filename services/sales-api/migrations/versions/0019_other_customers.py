"""Deals and activities may turn out to be another account's."""

from service_kit.migration_tables import add_kept_keys, drop_kept_keys

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = ("deal", "activity")


def upgrade() -> None:
    """Add the columns."""
    add_kept_keys(*TABLES)


def downgrade() -> None:
    """Remove them."""
    drop_kept_keys(*TABLES)
