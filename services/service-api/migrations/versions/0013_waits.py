"""Each time in which a ticket's customer waited for us, and the contacts about tickets that were merged into it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import create_list_indexes

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# The waits of older tickets are computed from their contacts by the next question or answer. Until then, who has
# had no answer at all waits since the opening.
WAITING = """
UPDATE ticket SET waiting_since = opened_at
WHERE status = 'open' AND first_responded_at IS NULL AND onboarding_deal_id IS NULL
"""
MERGED = """
UPDATE ticket SET merged_contact_count = merged.contacts
FROM (
    SELECT merged_into, sum(greatest(inbound_count, 1)) AS contacts FROM ticket
    WHERE merged_into IS NOT NULL GROUP BY merged_into
) AS merged
WHERE merged.merged_into = ticket.id
"""


def upgrade() -> None:
    """Add the columns, and fill them."""
    comment = "contacts of the customer about tickets merged into it"
    count = sa.Column("merged_contact_count", sa.Integer(), nullable=False, server_default="0", comment=comment)
    op.add_column("ticket", count)
    op.alter_column("ticket", "merged_contact_count", server_default=None)
    comment = "each time the customer waited for us; null before it was recorded"
    op.add_column("ticket", sa.Column("waits", postgresql.JSONB(), comment=comment))
    comment = "since when the customer waits for us now"
    op.add_column("ticket", sa.Column("waiting_since", sa.DateTime(timezone=True), comment=comment))
    comment = "the latest turn that waits follow from"
    op.add_column("ticket", sa.Column("last_turn_at", sa.DateTime(timezone=True), comment=comment))
    op.execute(WAITING)
    op.execute(MERGED)
    create_list_indexes("ticket", "waiting_since")


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ticket_waiting_since_id_idx", "ticket")
    for name in ("last_turn_at", "waiting_since", "waits", "merged_contact_count"):
        op.drop_column("ticket", name)
