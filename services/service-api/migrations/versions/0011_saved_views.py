"""Saved views of lists."""

from alembic import op

from service_kit.migration_tables import create_saved_view

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their table."""
    create_saved_view()


def downgrade() -> None:
    """Drop it."""
    op.drop_table("saved_view")
