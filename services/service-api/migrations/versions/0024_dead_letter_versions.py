"""Dead letters have a version, which is their ETag."""

from service_kit.migration_tables import number_dead_letters, unnumber_dead_letters

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    number_dead_letters()


def downgrade() -> None:
    """Take it away."""
    unnumber_dead_letters()
