"""Epochs: subjects are compared by epoch and sequence, and a subject that its service lost has no state."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the epoch of each sequence: so far all are of the first."""
    for table, comment in (
        ("subject_state", "of the stream that the sequence is of"),
        ("sequence_conflict", "of both events"),
        ("sequence_gap", "of the subject when it was noticed"),
    ):
        op.add_column(table, sa.Column("epoch", sa.Integer(), nullable=False, server_default="1", comment=comment))
    op.alter_column(
        "subject_state",
        "state",
        nullable=True,
        comment="null when the subject was withdrawn: nothing of it counts",
        existing_type=sa.LargeBinary(),
    )


def downgrade() -> None:
    """Drop it. A subject that was withdrawn is forgotten."""
    op.execute("DELETE FROM subject_state WHERE state IS NULL")
    op.alter_column("subject_state", "state", nullable=False, comment=None, existing_type=sa.LargeBinary())
    for table in ("sequence_gap", "sequence_conflict", "subject_state"):
        op.drop_column(table, "epoch")
