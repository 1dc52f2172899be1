"""A ticket keeps each time from a resolution to its reopening, so that another SLA policy can be applied to it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the pauses; of a ticket that was reopened more than once, only the first is known."""
    pauses = sa.Column(
        "pauses",
        postgresql.JSONB(),
        nullable=False,
        server_default=sa.text("'[]'"),
        comment="each time from a resolution to its reopening, which the SLA does not count",
    )
    op.add_column("ticket", pauses)
    op.execute(
        "UPDATE ticket SET pauses = jsonb_build_array(jsonb_build_object("
        "'resolved_at', first_resolved_at, 'reopened_at', first_reopened_at))"
        " WHERE first_resolved_at IS NOT NULL AND first_reopened_at IS NOT NULL"
    )
    op.alter_column("ticket", "pauses", server_default=None)


def downgrade() -> None:
    """Remove them."""
    op.drop_column("ticket", "pauses")
