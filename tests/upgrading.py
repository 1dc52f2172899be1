"""The rehearsal of upgrades: a row of every table goes from a service's first migration to its newest, unharmed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any, Final
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
"""By table, the values that are not made up: those that checks require and tests read."""
_KIT: Final[Values] = {
    "audit_entry": {"actor_kind": "caller", "action": "created", "changes": {}},
    "custom_field": {"type": "text", "options": None},
}
"""The same of the kit's tables."""


def id_in(table: str) -> UUID:
    """Return the id of the row that is made up in a table."""
    return uuid5(NAMESPACE_URL, table)


def upgrade(connection: Connection, package: ModuleType, revision: str = "head") -> None:
    """Migrate a database to a revision."""
    config = Config()
    config.set_main_option("script_location", str(migrations_of(package)))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()


def revisions(package: ModuleType) -> list[str]:
    """Return all of a service's revisions, the first one first."""
    return [each.revision for each in reversed(list(ScriptDirectory(str(migrations_of(package))).walk_revisions()))]


def fill(connection: Connection, values: Values) -> None:
    """Insert one row into each table that has none."""
    schemas = _schemas(connection)
    names = [name for name, found in rows(connection).items() if not found]
    reflected = sa.MetaData()
    for schema in {schemas[name] for name in names}:
        # All of them would take a second.
        reflected.reflect(connection, schema=schema, only=[name for name in names if schemas[name] == schema])
    tables = {name: reflected.tables[f"{schemas[name]}.{name}"] for name in names}
    empty = {
        name: {
            column.name: {**_KIT, **values}.get(name, {}).get(column.name, _made_up(column))
            for column in tables[name].columns
            if column.identity is None or not column.identity.always
        }
        for name in names
    }
    while empty:
        # What it refers to must exist before it.
        name = next(name for name, row in empty.items() if not _parents(tables[name], row) & empty.keys())
        connection.execute(sa.insert(tables[name]).values(empty.pop(name)))
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
    """Return all rows of all tables but Alembic's, as JSON, whichever schema the tables are in."""
    return {
        name: list(connection.execute(sa.text(f"SELECT to_jsonb(each) FROM {schema}.{name} AS each")).scalars())
        for name, schema in _schemas(connection).items()
    }


def _schemas(connection: Connection) -> dict[str, str]:
    """Return the schema of each table by its name, which is in one only."""
    found = connection.execute(
        sa.text(
            "SELECT tablename, schemaname FROM pg_tables WHERE tablename <> 'alembic_version'"
            " AND schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY tablename"
        )
    ).all()
    assert len({row.tablename for row in found}) == len(found)
    return {row.tablename: row.schemaname for row in found}


async def upgraded_step_by_step(url: str, package: ModuleType, values: Values) -> None:
    """Take a row of every table, from the revision that creates the table, to the newest one.

    After each revision assert that every row still has the values that it had.
    """
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(_step_by_step, package, values)
    await engine.dispose()


def _step_by_step(connection: Connection, package: ModuleType, values: Values) -> None:
    before: dict[str, list[Row]] = {}
    for revision in revisions(package):
        upgrade(connection, package, revision)
        after = rows(connection)
        for name, kept in before.items():
            found = [{column: row.get(column) for column in kept[0]} for row in after.get(name, [])]
            # A migration may add some: what is to be published once.
            assert [row for row in kept if row not in found] == [], revision
        fill(connection, values)
        before = rows(connection)
