"""What the tables of every service are made of: metadata of its own, closed lists, indexes of lists."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from service_kit.database import NAMING_CONVENTION


def own_metadata(*kit_tables: sa.Table, schema: str | None = None) -> sa.MetaData:
    """All of one database and nothing else, also where several services are loaded in one process (the tests).

    `kit_tables` are those of the kit that this database holds: the outbox, idempotency keys, offsets, dead letters.
    With a `schema`, all tables are declared there, and the engine's search path has to find those of the kit.
    """
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION, schema=schema)
    for table in kit_tables:
        table.to_metadata(metadata, schema=schema or sa.schema.SchemaConst.RETAIN_SCHEMA)
    return metadata


def noun_of(table: sa.Table) -> str:
    """Return what people call a row of the table: its name in words, unless `info` has another `noun`."""
    noun: str = table.info.get("noun", table.name.replace("_", " "))
    return noun


def one_of(column: str, allowed: Iterable[Any]) -> sa.CheckConstraint:
    """A column of a closed list; null passes."""
    listed = ", ".join(f"'{value}'" for value in allowed)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def filtered(table: str, columns: Iterable[str]) -> tuple[sa.Index, ...]:
    """An index a column that lists filter by; each ends in the id, in whose order pages are read."""
    return tuple(sa.Index(f"{table}_{column}_id_idx", column, "id") for column in columns)


def unassigned(table: str, owner: str, team: str) -> sa.Index:
    """Return the index of the records without owner and team, in the order in which pages are read."""
    return sa.Index(f"{table}_unassigned_idx", "id", postgresql_where=sa.text(f"{owner} IS NULL AND {team} IS NULL"))
