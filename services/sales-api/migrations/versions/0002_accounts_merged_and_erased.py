"""Accounts are merged, customers and leads are erased, and stored answers know what they are about."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What is stored already is found by erasures too.
_FILL = """
update idempotency_key set subject_id = (convert_from(body, 'UTF8')::jsonb ->> 'id')::uuid
where convert_from(body, 'UTF8') ~ '^{.*"id":"[0-9a-f-]{36}"' and status < 300
"""


def upgrade() -> None:
    """Applies it."""
    op.add_column("account", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.create_foreign_key("account_merged_into_fkey", "account", "account", ["merged_into"], ["id"])
    op.create_index("account_merged_into_id_idx", "account", ["merged_into", "id"])
    op.alter_column("account", "name", nullable=True, comment="null once erased")
    for table in ("account", "lead", "deal"):
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
    """Takes it back; what was erased is called so."""
    op.drop_index("idempotency_key_subject_id_idx", "idempotency_key")
    op.drop_column("idempotency_key", "subject_id")
    for table in ("account", "lead", "deal"):
        op.drop_column(table, "erased_at")
    op.execute("update account set name = 'erased' where name is null")
    op.alter_column("account", "name", nullable=False, comment=None, existing_comment="null once erased")
    op.drop_index("account_merged_into_id_idx", "account")
    op.drop_constraint("account_merged_into_fkey", "account")
    op.drop_column("account", "merged_into")
