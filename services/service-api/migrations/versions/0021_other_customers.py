"""Records may turn out to be another customer's."""

from alembic import op

from service_kit.migration_tables import add_kept_keys, drop_kept_keys

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = (
    "ticket",
    "survey",
    "training",
    "check_in",
    "maintenance_plan",
    "maintenance",
    "delivery",
    "review",
    "upsell_suggestion",
)


def upgrade() -> None:
    """Add the columns."""
    add_kept_keys(*TABLES)
    op.create_index("won_deal_customer_id_idx", "won_deal", ["customer_id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("won_deal_customer_id_idx", "won_deal")
    drop_kept_keys(*TABLES)
