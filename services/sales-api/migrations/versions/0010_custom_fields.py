"""Custom fields: what is declared, and the values of records."""

from service_kit.migration_tables import create_custom_fields, customize, drop_custom_fields, uncustomize

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOUNS = {"account": "accounts", "lead": "leads", "deal": "deals", "activity": "activities"}


def upgrade() -> None:
    """Create the tables, and add the values to each noun."""
    create_custom_fields()
    for table, noun in _NOUNS.items():
        customize(table, noun)


def downgrade() -> None:
    """Drop them."""
    for table in _NOUNS:
        uncustomize(table)
    drop_custom_fields()
