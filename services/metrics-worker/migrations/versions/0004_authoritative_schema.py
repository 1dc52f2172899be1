"""Move what cannot be derived from the log to a schema of its own; keep the choice of time zone and currency there."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOVED = [
    "audit_entry",
    "closed_period",
    "closed_figure",
    "dead_letter",
    "idempotency_key",
    "outbox",
    "published_risk",
    "relay_lease",
    "signing_key",
    "target",
    "webhook",
    "webhook_delivery",
    "webhook_secret",
]


def upgrade() -> None:
    """Move the tables, which takes no longer for many rows. The schema is there: Alembic's version is kept in it."""
    for name in MOVED:
        op.execute(f"ALTER TABLE public.{name} SET SCHEMA authoritative")
    op.execute("ALTER FUNCTION public.refuse_change_of_audit_entry() SET SCHEMA authoritative")
    op.create_table(
        "reporting_choice",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("reporting_choice_single_row_check")),
        schema="authoritative",
        comment="The time zone and currency that were chosen for the ledger, and that a new one follows; one row.",
    )
    op.execute(
        "INSERT INTO authoritative.reporting_choice (id, timezone, currency)"
        " SELECT id, timezone, currency FROM public.ledger"
    )


def downgrade() -> None:
    """Move them back."""
    op.drop_table("reporting_choice", schema="authoritative")
    for name in MOVED:
        op.execute(f"ALTER TABLE authoritative.{name} SET SCHEMA public")
    op.execute("ALTER FUNCTION authoritative.refuse_change_of_audit_entry() SET SCHEMA public")
