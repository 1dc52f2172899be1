"""The key that stream tickets are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "signing_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("signing_key_pkey")),
        comment="Keys that this service signs with for itself; all of its processes share them.",
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("signing_key")
