"""An onboarding is cancelled when its deal is taken back from won."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time of the cancelling."""
    cancelled_at = sa.Column(
        "cancelled_at", sa.DateTime(timezone=True), comment="when that deal was taken back from won"
    )
    op.add_column("ticket", cancelled_at)
    op.drop_constraint(op.f("ticket_resolution_check"), "ticket")
    op.create_check_constraint(
        op.f("ticket_resolution_check"),
        "ticket",
        "(status = 'open') = (resolved_at IS NULL AND merged_into IS NULL AND cancelled_at IS NULL)",
    )
    op.create_check_constraint(
        op.f("ticket_cancelling_check"), "ticket", "cancelled_at IS NULL OR onboarding_deal_id IS NOT NULL"
    )


def downgrade() -> None:
    """Remove it; a cancelled onboarding stays closed."""
    op.drop_constraint(op.f("ticket_cancelling_check"), "ticket")
    op.drop_constraint(op.f("ticket_resolution_check"), "ticket")
    op.drop_column("ticket", "cancelled_at")
    op.create_check_constraint(
        op.f("ticket_resolution_check"),
        "ticket",
        "(status = 'open') = (resolved_at IS NULL AND merged_into IS NULL)",
        postgresql_not_valid=True,
    )
