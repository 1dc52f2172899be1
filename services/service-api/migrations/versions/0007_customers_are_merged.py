"""Copies of sales' customers know whom they were merged into, and deals won before they were copied become known.

`sales.events` is read anew for that: what it has told so far told of both, and was not kept.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.add_column(
        "customer",
        sa.Column("merged_into", sa.Uuid(), nullable=True, comment="whose copy may come later: no foreign key"),
    )
    op.create_index("customer_merged_into_id_idx", "customer", ["merged_into", "id"])
    # Without offsets the consumer begins at the log's beginning; what it knows already changes nothing.
    op.execute("DELETE FROM consumer_offset WHERE consumer = 'service-customers'")


def downgrade() -> None:
    """Takes it back."""
    op.drop_index("customer_merged_into_id_idx", "customer")
    op.drop_column("customer", "merged_into")
