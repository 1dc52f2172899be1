"""Looks for what must not be anywhere: a word in every column of a database that could hold one."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

_COLUMNS = sa.text(
    "select table_schema, table_name, column_name, data_type from information_schema.columns"
    " where table_schema in ('public', 'authoritative')"
    " and data_type in ('text', 'character varying', 'json', 'jsonb', 'bytea')"
)


async def places_that_hold(engine: AsyncEngine, word: str) -> set[str]:
    """The columns, as `table.column`, of which some row has the word in it."""
    found = set()
    async with engine.connect() as connection:
        for schema, table, column, kind in (await connection.execute(_COLUMNS)).all():
            if kind == "bytea":
                condition = f"position(convert_to(:word, 'UTF8') in \"{column}\") > 0"
            else:
                condition = f'position(:word in "{column}"::text) > 0'
            query = sa.text(f'select exists (select from {schema}."{table}" where {condition})')
            if (await connection.execute(query, {"word": word})).scalar_one():
                found.add(f"{table}.{column}")
    return found
