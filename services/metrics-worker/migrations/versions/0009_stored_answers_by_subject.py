"""Stored answers know what they are about, here as in every service."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.add_column(
        "idempotency_key",
        sa.Column(
            "subject_id",
            sa.Uuid(),
            nullable=True,
            comment="the id in the answer: what it is about, and is erased with",
        ),
    )
    op.create_index("idempotency_key_subject_id_idx", "idempotency_key", ["subject_id"])


def downgrade() -> None:
    """Takes it back."""
    op.drop_index("idempotency_key_subject_id_idx", "idempotency_key")
    op.drop_column("idempotency_key", "subject_id")
