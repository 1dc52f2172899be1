"""Names beside the keys of answers: what the directories say."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which the consumer fills from the beginning of the directories."""
    op.create_table(
        "directory_name",
        sa.Column("topic", sa.Text(), nullable=False, comment="the directory that it is from: each erases its own"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="account, customer, rep, agent, team or product"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), comment="by which events name a product; null for what they name by its id"),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "id"),
        comment="Names as the directories have them; a tombstone deletes its row. Personal data, in no backup.",
    )
    op.create_index("directory_name_id_idx", "directory_name", ["id"])
    op.create_index("directory_name_code_idx", "directory_name", ["code"], postgresql_where=sa.text("code IS NOT NULL"))


def downgrade() -> None:
    """Drop it."""
    op.drop_table("directory_name")
