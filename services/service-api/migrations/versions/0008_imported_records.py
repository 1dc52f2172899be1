"""Imported records are remembered, so that the same file may come again, or a longer one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "imported_record",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the resource and the external_ref"),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False, comment="of its history that were done"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of the record and these steps"),
        sa.Column("imported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("imported_record_pkey")),
    )
    op.create_index(op.f("imported_record_record_id_idx"), "imported_record", ["record_id"])


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("imported_record")
