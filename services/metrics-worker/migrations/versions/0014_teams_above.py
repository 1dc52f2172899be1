"""Which team is above which: numbers of a team are seen from the teams above."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# The directories are read once more: an entry that was read before this column was there may name a team above. What
# was erased is not named in them any more, and what is known of teams counts as older than all that is read.
READ_AGAIN = "DELETE FROM consumer_offset WHERE consumer = 'metrics-names'"
OLDER = "UPDATE directory_name SET epoch = 0, sequence = 0 WHERE kind = 'team'"


def upgrade() -> None:
    """Add the column, which the consumer fills."""
    op.add_column("directory_name", sa.Column("parent_id", sa.Uuid(), comment="the team above a team"))
    op.create_index(
        "directory_name_parent_idx", "directory_name", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL")
    )
    op.execute(OLDER)
    op.execute(READ_AGAIN)


def downgrade() -> None:
    """Take it away."""
    op.drop_index("directory_name_parent_idx", "directory_name")
    op.drop_column("directory_name", "parent_id")
