"""A measure that a posting adds nothing to is null, as most are; and pages of sums keep room for changes.

A null takes no room and no time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NOT_MEASURES = frozenset({"id", "event_id", "subject_id", "event_time", "recorded_time", "day", "split"})


def _measures() -> dict[str, list[str]]:
    inspector = sa.inspect(op.get_bind())
    return {
        table: [
            column["name"]
            for column in inspector.get_columns(table)
            if column["name"] not in _NOT_MEASURES and isinstance(column["type"], sa.BigInteger | sa.Numeric)
        ]
        for table in _tables("_posting")
    }


def _tables(ending: str) -> list[str]:
    return [name for name in sa.inspect(op.get_bind()).get_table_names() if name.endswith(ending)]


def _comment(table: str, *, more: str) -> None:
    kind = table.removesuffix("_posting")
    said = f"What changes of {kind} subjects added to the sums of a day. Never changed, only appended to"
    op.create_table_comment(table, f"{said}{more}.")


def upgrade() -> None:
    """Applies it. What stands keeps its zeros: they say the same."""
    for table, measures in _measures().items():
        changes = ", ".join(f"ALTER COLUMN {name} DROP NOT NULL" for name in measures)
        op.execute(f"ALTER TABLE {table} {changes}")
        _comment(table, more="; a measure that it adds nothing to is null")
    for table in (*_tables("_balance"), *_tables("_histogram")):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 60)")


def downgrade() -> None:
    """Takes it back."""
    for table, measures in _measures().items():
        zeros = ", ".join(f"{name} = coalesce({name}, 0)" for name in measures)
        op.execute(f"UPDATE {table} SET {zeros}")  # noqa: S608 -- names of ours, no input
        changes = ", ".join(f"ALTER COLUMN {name} SET NOT NULL" for name in measures)
        op.execute(f"ALTER TABLE {table} {changes}")
        _comment(table, more="")
    for table in (*_tables("_balance"), *_tables("_histogram")):
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
