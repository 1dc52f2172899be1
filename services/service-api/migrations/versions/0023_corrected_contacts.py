"""Contacts have a version: they can be corrected."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: 2 of what was erased, as it was shown before."""
    op.add_column("interaction", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.execute("UPDATE interaction SET version = 2 WHERE erased_at IS NOT NULL")


def downgrade() -> None:
    """Remove it."""
    op.drop_column("interaction", "version")
