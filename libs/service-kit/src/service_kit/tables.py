"""What the tables of every service are made of: metadata of its own, closed lists, indexes of lists."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from service_kit.database import NAMING_CONVENTION
from service_kit.folding import search_vector, sort_key

_NAME: Final = "name"
_SEARCH: Final = "search"
"""Keys of an index's `info`."""


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


def filtered(table: str, columns: Iterable[str], *, covering: Sequence[str] = ()) -> tuple[sa.Index, ...]:
    """An index a column that lists filter by; each ends in the id, in whose order pages are read.

    What it covers beside them is read from the index alone: the amounts that a board sums.
    """
    return tuple(
        sa.Index(f"{table}_{column}_id_idx", column, "id", postgresql_include=list(covering)) for column in columns
    )


def unassigned(table: str, owner: str, team: str) -> sa.Index:
    """Return the index of the records without owner and team, in the order in which pages are read."""
    return sa.Index(f"{table}_unassigned_idx", "id", postgresql_where=sa.text(f"{owner} IS NULL AND {team} IS NULL"))


def sorted_by_name(table: str, *columns: str) -> tuple[sa.Index, ...]:
    """Return an index for each column with names, which sorts them without case and accents."""
    return tuple(
        sa.Index(f"{table}_{column}_name_idx", sort_key(sa.column(column)), "id", info={_NAME: column})
        for column in columns
    )


def searched(table: str, *columns: str, phones: tuple[str, ...] = ()) -> sa.Index:
    """Return the index of the words in some columns, by which `q` finds records, and of phone numbers in others."""
    return sa.Index(
        f"{table}_search_idx",
        search_vector([sa.column(one) for one in columns], [sa.column(one) for one in phones]),
        postgresql_using="gin",
        info={_SEARCH: (columns, phones)},
    )


def name_key_of(table: sa.Table, column: str) -> sa.ColumnElement[str] | None:
    """Return the expression that sorts a column with names; None where the column is sorted as it is."""
    if any(index.info.get(_NAME) == column for index in table.indexes):
        return sort_key(table.c[column])
    return None


def searched_columns_of(table: sa.Table) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the columns that are searched, those with words and those with phone numbers; None where none are."""
    return next((index.info[_SEARCH] for index in table.indexes if _SEARCH in index.info), None)


def is_indexed(table: sa.Table, column: str) -> bool:
    """Return whether an index of all rows begins with a column."""
    leading = [next(iter(index.columns)).name for index in table.indexes if index.columns and _is_whole(index)]
    leading += [next(iter(table.primary_key.columns)).name]
    return column in leading or bool(table.c[column].unique) or name_key_of(table, column) is not None


def _is_whole(index: sa.Index) -> bool:
    return index.dialect_options["postgresql"]["where"] is None and not index.info
