"""Tables filled with rows by PostgreSQL itself: values of each column's type, some shared by many, some missing."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

Texts = Mapping[str, str]

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_WORDS = "(array['Souza', 'Žemaitė', 'Novak', 'Martin', 'Øster', 'Casa Verde', 'Bakery'])"
_NAMES = ("name", "title", "subject", "company")


async def fill(connection: AsyncConnection, table: sa.Table, rows: int, values: Texts | None = None) -> None:
    """Add so many rows to a table. `values` are the SQL of columns that have to be special.

    Neither checks nor references hold afterwards: what is read is the plan of a query, not a record.
    """
    checks = [one for one in table.constraints if isinstance(one, sa.CheckConstraint)]
    for check in checks:
        await connection.execute(sa.schema.DropConstraint(check))
    await connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
    columns = [column for column in table.columns if column.computed is None and column.identity is None]
    names = ", ".join(f'"{column.name}"' for column in columns)
    given = values or {}
    made = ", ".join(given.get(column.name) or _expression(column) for column in columns)
    await connection.execute(
        sa.text(f"INSERT INTO {table.name} ({names}) SELECT {made} FROM generate_series(1, {rows}) n")
    )


def _expression(column: sa.Column[object]) -> str:
    made = _of_type(column)
    if column.nullable and not column.unique:
        return f"CASE WHEN hashint4(n + {len(column.name)}) % 5 = 0 THEN NULL ELSE {made} END"
    return made


def _of_type(column: sa.Column[object]) -> str:
    kind = column.type
    if column.name == "id":
        # Rising, as those of UUIDv7.
        return "lpad(to_hex(n), 32, '0')::uuid"
    if isinstance(kind, sa.Uuid):
        return f"md5('{column.name}' || n % 300)::uuid" if not column.unique else f"md5('{column.name}' || n)::uuid"
    if isinstance(kind, sa.Boolean):
        return "n % 10 > 0"
    if isinstance(kind, sa.DateTime):
        return "timestamptz '2026-01-01Z' + (hashint4(n) & 65535) * interval '1 minute'"
    if isinstance(kind, sa.Date):
        return "date '2026-01-01' + (hashint4(n) & 1023)"
    if isinstance(kind, sa.Integer):
        return "(hashint4(n) & 1023) % 5 + 1"
    if isinstance(kind, sa.Numeric):
        return "(hashint4(n) & 65535)::numeric / 7"
    if column.name in ("custom", "custom_personal"):
        return "'{}'::jsonb"
    if isinstance(kind, sa.JSON):
        return "'[]'::jsonb"
    if isinstance(kind, sa.ARRAY):
        return f"'{{}}'::{kind.compile(dialect=_DIALECT)}"
    if column.name in _NAMES:
        return f"{_WORDS}[1 + n % 7] || ' ' || n % 5000"
    if column.name == "email":
        return "'a' || n || '@example.com'"
    if column.name == "phone":
        return "'+49 171 ' || n"
    if column.unique or column.primary_key:
        return "'ref-' || n"
    return f"'{column.name}-' || n % 12"
