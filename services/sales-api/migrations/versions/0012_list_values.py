"""Declared lists: the channels. Those that records have are declared, so that they stay valid."""

from alembic import op

from sales_api.list_values.recorded import declare_recorded
from service_kit.migration_tables import create_list_values

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_RECORDED = {
    "channels": [(table, "channel") for table in ("account", "lead", "deal", "activity", "referral")],
}


def upgrade() -> None:
    """Create the table, and declare and publish what records have besides the first values."""
    create_list_values(*_RECORDED)
    declare_recorded(_RECORDED)


def downgrade() -> None:
    """Drop the table; what was published stays."""
    op.drop_table("list_value")
