"""Exchange rates have a version, which is their ETag, and are found by their id."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the version, and make the id the key; a currency still has one rate a day."""
    version = sa.Column("version", sa.Integer(), nullable=False, server_default="1", comment="rises with each change")
    op.add_column("exchange_rate", version)
    op.create_unique_constraint(op.f("exchange_rate_currency_on_key"), "exchange_rate", ["currency", "on"])
    op.drop_constraint(op.f("exchange_rate_pkey"), "exchange_rate")
    op.create_primary_key(op.f("exchange_rate_pkey"), "exchange_rate", ["id"])
    op.drop_constraint(op.f("exchange_rate_id_key"), "exchange_rate")
    create_list_indexes("exchange_rate", "currency")


def downgrade() -> None:
    """Find them by currency and day."""
    op.drop_index("exchange_rate_currency_id_idx", "exchange_rate")
    op.create_unique_constraint(op.f("exchange_rate_id_key"), "exchange_rate", ["id"])
    op.drop_constraint(op.f("exchange_rate_pkey"), "exchange_rate")
    op.create_primary_key(op.f("exchange_rate_pkey"), "exchange_rate", ["currency", "on"])
    op.drop_constraint(op.f("exchange_rate_currency_on_key"), "exchange_rate")
    op.drop_column("exchange_rate", "version")
