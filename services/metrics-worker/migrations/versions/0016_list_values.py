"""Names of the values of declared lists, and what merged ones count as."""

import sqlalchemy as sa
from alembic import op

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.lists import FIRST_VALUES, value_id

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_LISTS = ("channels",)
_KIND = "account, customer, rep, agent, team or product"
_CODE = "by which events name a product; null for what they name by its id"


def upgrade() -> None:
    """Add the column, and name the values that each list begins with."""
    op.add_column(
        "directory_name",
        sa.Column("merged_into", sa.Text(), comment="the code of the value that a list's value counts as"),
    )
    op.create_index(
        "directory_name_merged_idx", "directory_name", ["kind"], postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    op.alter_column(
        "directory_name",
        "kind",
        comment="account, customer, rep, agent, team, product, or the list of a value: channels",
        existing_comment=_KIND,
    )
    op.alter_column(
        "directory_name",
        "code",
        comment="by which events name it: a product's, a value's key; null for what they name by its id",
        existing_comment=_CODE,
    )
    name_first_values(*_LISTS)


def name_first_values(*lists: str) -> None:
    """Insert the values that these lists begin with, as older than any event of them."""
    columns = ("topic", "kind", "name", "code")
    table = sa.table(
        "directory_name",
        sa.column("id", sa.Uuid()),
        *(sa.column(name, sa.Text()) for name in columns),
        *(sa.column(name, sa.Integer()) for name in ("epoch", "sequence")),
    )
    op.bulk_insert(
        table,
        [
            {
                "topic": SALES_DIRECTORY_TOPIC,
                "id": value_id(name, key),
                "kind": name,
                "name": label,
                "code": key,
                "epoch": 0,
                "sequence": 0,
            }
            for name, values in FIRST_VALUES.items()
            if name in lists
            for key, label in values.items()
        ],
    )


def downgrade() -> None:
    """Remove them."""
    op.execute(sa.text("DELETE FROM directory_name WHERE kind = 'channels'"))
    op.alter_column("directory_name", "code", comment=_CODE, existing_comment=None)
    op.alter_column("directory_name", "kind", comment=_KIND, existing_comment=None)
    op.drop_index("directory_name_merged_idx", "directory_name")
    op.drop_column("directory_name", "merged_into")
