"""Tickets that follow up others, and for how long a customer's message reopens one."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    comment = "the one that the customer's message came too late for"
    op.add_column("ticket", sa.Column("follow_up_to", sa.Uuid(), sa.ForeignKey("ticket.id"), comment=comment))
    create_list_indexes("ticket", "follow_up_to")
    comment = "of a resolution, in which a message reopens; null for the default"
    op.add_column("sla_policy", sa.Column("reopen_within_seconds", sa.Integer(), comment=comment))
    op.create_check_constraint(
        op.f("sla_policy_reopen_within_seconds_check"), "sla_policy", "reopen_within_seconds >= 0"
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_column("sla_policy", "reopen_within_seconds")
    op.drop_index("ticket_follow_up_to_id_idx", "ticket")
    op.drop_column("ticket", "follow_up_to")
