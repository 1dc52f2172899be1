"""Declared lists: why deals are closed, and why leads are disqualified. What records have is declared."""

from sales_api.list_values.recorded import declare_recorded
from service_kit.migration_tables import add_lists, remove_lists

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BEFORE = ("channels",)
_RECORDED = {
    "close_reasons": [("deal", "close_reason")],
    "disqualification_reasons": [("lead", "disqualified_reason")],
}


def upgrade() -> None:
    """Add the lists, and declare and publish what records have besides the first values."""
    add_lists(*_RECORDED, before=_BEFORE)
    declare_recorded(_RECORDED)


def downgrade() -> None:
    """Remove the lists; what was published stays."""
    remove_lists(*_RECORDED, before=_BEFORE)
