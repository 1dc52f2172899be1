"""Offsets know where the log ended when reading began: until the books are there, nothing is judged by them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.add_column(
        "consumer_offset",
        sa.Column(
            "log_end",
            sa.BigInteger(),
            nullable=True,
            comment="where the log ended when reading began: up to there all is of the past; null until that is asked",
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_column("consumer_offset", "log_end")
