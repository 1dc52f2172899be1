"""Customers are erased with all that was written of them, and stored answers know what they are about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("customer", "ticket", "interaction", "survey")
# What is stored already is found by erasures too.
_FILL = """
update idempotency_key set subject_id = (convert_from(body, 'UTF8')::jsonb ->> 'id')::uuid
where convert_from(body, 'UTF8') ~ '^{.*"id":"[0-9a-f-]{36}"' and status < 300
"""


def upgrade() -> None:
    """Applies it."""
    for table in _TABLES:
        op.add_column(table, sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
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
    op.execute(_FILL)


def downgrade() -> None:
    """Takes it back."""
    op.drop_index("idempotency_key_subject_id_idx", "idempotency_key")
    op.drop_column("idempotency_key", "subject_id")
    for table in _TABLES:
        op.drop_column(table, "erased_at")
