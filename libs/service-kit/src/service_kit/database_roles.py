"""What the database role of each process may do: declared by its service, granted by the service's migration.

The owner of the database migrates it and grants; the processes cannot create, alter or drop anything.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

VERSION_TABLE = "alembic_version"
"""Every process reads it to know that the database is migrated."""

log = structlog.get_logger()


@dataclass(frozen=True)
class DatabaseRole:
    """The rights of one role. Tables are named in full: `deal`, or `bi.books` outside of the schema `public`."""

    name: str
    changes: Collection[str] = ()
    """Tables whose rows it reads, inserts, updates and deletes."""
    reads: Collection[str] = ()
    reads_schema: str | None = None
    """A schema of which it reads every table and view."""
    makes_temporary_tables: bool = False

    @property
    def tables(self) -> frozenset[str]:
        """Return all tables that it may do anything with."""
        return frozenset((*self.changes, *self.reads))


def grant_roles(
    connection: Connection, metadata: Sequence[sa.MetaData], roles: Sequence[DatabaseRole], *, version_schema: str
) -> None:
    """Give each role that the server has its rights, and take all others on this database from it.

    Within the caller's transaction, so that a running process keeps what it needs. Roles that the server does not have
    are left out: who runs all processes as the owner needs none.
    """
    query = sa.text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)")
    existing = set(connection.execute(query, {"names": [role.name for role in roles]}).scalars())
    database: str = connection.execute(sa.text("SELECT current_database()")).scalar_one()
    quote = connection.dialect.identifier_preparer.quote
    schemas = {version_schema, "public"}
    schemas |= {table.schema for each in metadata for table in each.tables.values() if table.schema}
    for role in roles:
        if role.name in existing:
            for statement in _statements(role, schemas, f"{version_schema}.{VERSION_TABLE}", quote(database)):
                connection.exec_driver_sql(statement)
    if existing:
        log.info("roles_granted", roles=sorted(existing))


def _statements(role: DatabaseRole, schemas: set[str], version_table: str, database: str) -> Iterator[str]:
    own = set() if role.reads_schema is None else {role.reads_schema}
    for schema in sorted(schemas | own):
        yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role.name}"
        yield f"REVOKE ALL ON SCHEMA {schema} FROM {role.name}"
    yield f"REVOKE ALL ON DATABASE {database} FROM {role.name}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {role.name}"
    if role.makes_temporary_tables:
        yield f"GRANT TEMPORARY ON DATABASE {database} TO {role.name}"
    used = {_schema_of(table) for table in (*role.tables, version_table)} if role.tables else set()
    for schema in sorted(used | own):
        yield f"GRANT USAGE ON SCHEMA {schema} TO {role.name}"
    if role.reads_schema is not None:
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {role.reads_schema} TO {role.name}"
    if role.changes:
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_listed(role.changes)} TO {role.name}"
    if role.tables:
        yield f"GRANT SELECT ON {_listed((*role.reads, version_table))} TO {role.name}"


def _schema_of(table: str) -> str:
    schema, dot, _ = table.rpartition(".")
    return schema if dot else "public"


def _listed(tables: Iterable[str]) -> str:
    return ", ".join(sorted(table if "." in table else f"public.{table}" for table in tables))
