"""Takes a database with rows in every table from a service's first migration to its newest, and looks for losses."""

from collections.abc import Container, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from service_kit.migrations import migrations_of

WHEN = datetime(2026, 3, 10, 8, tzinfo=UTC)
Row = dict[str, Any]
Values = Mapping[str, Row]
"""By table, what a row cannot be made up of: what checks ask for, and what a test looks at."""


def id_in(table: str) -> UUID:
    """The id of the row that is made up in a table."""
    return uuid5(NAMESPACE_URL, table)


def upgrade(connection: Connection, package: ModuleType, revision: str = "head") -> None:
    """Brings a database to a revision."""
    config = Config()
    config.set_main_option("script_location", str(migrations_of(package)))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()


def revisions(package: ModuleType) -> list[str]:
    """All of a service's revisions, the first one first."""
    return [each.revision for each in reversed(list(ScriptDirectory(str(migrations_of(package))).walk_revisions()))]


def fill(connection: Connection, values: Values) -> None:
    """Enters one row into each table that has none."""
    names = [name for name, found in rows(connection).items() if not found]
    tables = sa.MetaData()
    # All of them would take a second.
    tables.reflect(connection, only=names)
    empty = {
        name: {
            column.name: values.get(name, {}).get(column.name, _made_up(column))
            for column in tables.tables[name].columns
            if column.identity is None or not column.identity.always
        }
        for name in names
    }
    while empty:
        # What it names must be there before it.
        name = next(name for name, row in empty.items() if not _parents(tables.tables[name], row) & empty.keys())
        connection.execute(sa.insert(tables.tables[name]).values(empty.pop(name)))
    connection.commit()


def _parents(table: sa.Table, row: Row) -> set[str]:
    named = {key.column.table.name for key in table.foreign_keys if row.get(key.parent.name) is not None}
    return {str(name) for name in named} - {str(table.name)}


def _made_up(column: sa.Column[Any]) -> Any:
    for key in column.foreign_keys:
        return _made_up(key.column)
    table = str(column.table.name)
    made: list[tuple[type[Any], Any]] = [
        (sa.Uuid, id_in(table)),
        (sa.Boolean, True),
        (sa.DateTime, WHEN),
        (sa.Date, WHEN.date()),
        (JSONB, {"value": "1.00"}),
        (sa.Integer, 1),
        (sa.Numeric, Decimal(1)),
        (sa.ARRAY, []),
        (sa.LargeBinary, b'{"id":"%s"}' % str(id_in(table)).encode()),
        (sa.Text, column.name),
    ]
    return next(value for kind, value in made if isinstance(column.type, kind))


def rows(connection: Connection) -> dict[str, list[Row]]:
    """All rows of all tables but Alembic's, as JSON."""
    names = sorted({*sa.inspect(connection).get_table_names()} - {"alembic_version"})
    return {
        name: list(connection.execute(sa.text(f"SELECT to_jsonb(each) FROM {name} AS each")).scalars())
        for name in names
    }


async def upgraded_step_by_step(
    url: str,
    package: ModuleType,
    values: Values,
    *,
    emptied: Container[str] = (),
    made_anew: Container[tuple[str, str]] = (),
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Takes a row of every table, from the revision on that made the table, to the newest one.

    After each revision asserts that the rows say what they said: but for tables that are `emptied`, and columns that
    are `made_anew`. Tables that are `renamed` are looked for under either name.
    """
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(_step_by_step, package, values, emptied, made_anew, renamed or {})
    await engine.dispose()


def _step_by_step(
    connection: Connection,
    package: ModuleType,
    values: Values,
    emptied: Container[str],
    made_anew: Container[tuple[str, str]],
    renamed: Mapping[str, str],
) -> None:
    before: dict[str, list[Row]] = {}
    for revision in revisions(package):
        upgrade(connection, package, revision)
        after = rows(connection)
        for name, [row] in before.items():
            if name in emptied:
                continue
            kept = {column: value for column, value in row.items() if (name, column) not in made_anew}
            now = after[name] if name in after else after[renamed[name]]
            assert [{column: found.get(column) for column in kept} for found in now] == [kept], revision
        fill(connection, values)
        before = rows(connection)
