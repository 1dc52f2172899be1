"""The tables of sales-consumer, and which suggestions of service were taken up before it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import (
    add_epochs,
    create_consumer_tables,
    create_list_indexes,
    create_seen_sequence,
)

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A lead or a deal was made of these: sales-consumer makes no second one.
TAKEN = """
INSERT INTO taken_suggestion (id, lead_id)
SELECT upsell_suggestion_id, (array_agg(lead_id ORDER BY lead_id DESC NULLS LAST))[1]
FROM (
    SELECT upsell_suggestion_id, id AS lead_id FROM lead
    UNION ALL SELECT upsell_suggestion_id, NULL FROM deal
) AS sale
WHERE upsell_suggestion_id IS NOT NULL GROUP BY upsell_suggestion_id
"""


def upgrade() -> None:
    """Create them, and note what was taken up."""
    create_consumer_tables()
    create_seen_sequence()
    add_epochs("seen_sequence", "conflicting_event")
    op.create_table(
        "taken_suggestion",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("lead_id", sa.Uuid(), comment="the newest that names it; null where there is none"),
        sa.Column("product", sa.Text(), comment="that the suggestion named when it was last read"),
        sa.Column("suggestion", postgresql.JSONB(), comment="what its leads say of it; null until it was read"),
    )
    op.add_column("lead", sa.Column("suggestion", postgresql.JSONB(), comment="what service says of it"))
    create_list_indexes("lead", "upsell_suggestion_id")
    op.execute(TAKEN)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("lead_upsell_suggestion_id_id_idx", "lead")
    op.drop_column("lead", "suggestion")
    for table in (
        "taken_suggestion",
        "conflicting_event",
        "seen_sequence",
        "dead_letter",
        "consumer_offset",
        "circuit_breaker",
    ):
        op.drop_table(table)
