"""What was published of customers' risks is remembered, so that each change is told once."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "published_risk",
        sa.Column("customer", sa.Uuid(), nullable=False),
        sa.Column("reasons", sa.ARRAY(sa.Text()), nullable=False, comment="empty once recovered"),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="how many events told of it"),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("published_risk_pkey")),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("published_risk")
