"""Saved views of lists; dead letters have a version, which is their ETag."""

from alembic import op

from service_kit.migration_tables import create_saved_view, number_dead_letters, unnumber_dead_letters

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Add the table and the column."""
    create_saved_view(schema=SCHEMA)
    number_dead_letters(schema=SCHEMA)


def downgrade() -> None:
    """Take them away."""
    unnumber_dead_letters(schema=SCHEMA)
    op.drop_table("saved_view", schema=SCHEMA)
