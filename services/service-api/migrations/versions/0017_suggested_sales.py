"""What becomes of upsell suggestions in sales, and the leads and deals that it follows from."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_OUTCOMES = "'new', 'assigned', 'contacted', 'qualified', 'disqualified', 'converted', 'won', 'lost'"
# Leads were of no interest before: service-consumer reads them now. What it has copied already changes nothing.
READ_AGAIN = "DELETE FROM consumer_offset WHERE consumer = 'service-customers'"


def upgrade() -> None:
    """Create the table, add the columns, and have the log read again."""
    op.create_table(
        "suggested_sale",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("suggestion_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('lead', 'deal')", name=op.f("suggested_sale_kind_check")),
        sa.CheckConstraint(f"status IN ({_OUTCOMES})", name=op.f("suggested_sale_status_check")),
    )
    op.create_index("suggested_sale_suggestion_id_idx", "suggested_sale", ["suggestion_id"])
    for column in (
        sa.Column("outcome", sa.Text(), comment="of it in sales, as its events say"),
        sa.Column("outcome_reason", sa.Text()),
        sa.Column("outcome_at", sa.DateTime(timezone=True)),
        sa.Column("lead_id", sa.Uuid(), comment="of sales"),
        sa.Column("deal_id", sa.Uuid(), comment="of sales"),
    ):
        op.add_column("upsell_suggestion", column)
    name = op.f("upsell_suggestion_outcome_check")
    op.create_check_constraint(name, "upsell_suggestion", f"outcome IN ({_OUTCOMES})")
    create_list_indexes("upsell_suggestion", "outcome")
    op.execute(READ_AGAIN)


def downgrade() -> None:
    """Take them away."""
    op.drop_index("upsell_suggestion_outcome_id_idx", "upsell_suggestion")
    op.drop_constraint(op.f("upsell_suggestion_outcome_check"), "upsell_suggestion")
    for name in ("deal_id", "lead_id", "outcome_at", "outcome_reason", "outcome"):
        op.drop_column("upsell_suggestion", name)
    op.drop_table("suggested_sale")
