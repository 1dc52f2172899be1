"""The writes of a batch's rows: many by COPY, few as arrays of whole columns, with those of other tables."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count, groupby
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import ARRAY, Numeric, Table
from sqlalchemy.dialects import postgresql

BULK_ROWS = 200
"""From so many rows on they go by COPY, which costs the consumer a third of what arrays cost it. Below, arrays are half
a millisecond quicker, and rows of several tables share one round trip."""
BULK_SECONDS: Final = 30.0
"""The time-out of a statement over a whole batch: longer than a request's, shorter than a consumer may be silent."""

Row = tuple[Any, ...]

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_LEAST, _MOST = -(2**63), 2**63 - 1


def array_text(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL writes an array."""
    return f"{{{','.join(map(str, numbers))}}}"


class Insert:
    """An INSERT of any number of rows into a table.

    `conflict` is what follows ON CONFLICT, where `existing` is the row in the table. Rows that another transaction may
    change have to be sorted: two transactions that lock the same rows in opposite order deadlock. `returning` names the
    columns to return. Arrays are given as text: see `array_text`.
    """

    def __init__(self, table: Table, columns: Sequence[str], *, conflict: str = "", returning: str = "") -> None:
        self._table = table.name
        self._columns = tuple(columns)
        types = [table.c[name].type for name in columns]
        self._money = [position for position, type_ in enumerate(types) if isinstance(type_, Numeric)]
        # Arrays are sent as text: unnest takes arrays of arrays apart, and the driver takes long over each element.
        self._wide = tuple("text" if isinstance(type_, ARRAY) else type_.compile(_DIALECT) for type_ in types)
        self._narrow = tuple(
            "bigint" if position in self._money else type_ for position, type_ in enumerate(self._wide)
        )
        values = ", ".join(
            f"{name}::{type_.compile(_DIALECT)}" if isinstance(type_, ARRAY) else name
            for name, type_ in zip(columns, types, strict=True)
        )
        self._appends = not conflict
        self._text = (
            f"INSERT INTO {table.name} AS existing ({', '.join(columns)}) SELECT {values} FROM {{source}}"  # noqa: S608 -- names of ours
            + (f" ON CONFLICT {conflict}" if conflict else "")
            + (f" RETURNING {returning}" if returning else "")
        )

    def types_for(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the SQL types by which these rows are sent.

        Money goes as 64-bit numbers as long as every amount fits: a `numeric` costs the consumer twenty times as much.
        """
        for position in self._money:
            amounts = [row[position] for row in rows if row[position]]
            if amounts and not _LEAST <= min(amounts) <= max(amounts) <= _MOST:
                return self._wide
        return self._narrow

    def from_arrays(self, types: tuple[str, ...], parameters: Iterable[int]) -> str:
        """Return the statement over arrays of whole columns, one parameter each, with the next numbers."""
        arrays = ", ".join(f"${number}::{type_}[]" for type_, number in zip(types, parameters, strict=False))
        return self._text.format(source=f"unnest({arrays}) AS sent ({', '.join(self._columns)})")

    async def few(self, driver: asyncpg.Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """Insert few rows; return what the statement returns."""
        statement = self.from_arrays(self.types_for(rows), count(1))
        return await driver.fetch(statement, *zip(*rows, strict=True))

    async def many(self, driver: asyncpg.Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """Insert many rows; return what the statement returns."""
        if self._appends:
            await driver.copy_records_to_table(self._table, records=rows, columns=self._columns, timeout=BULK_SECONDS)
            return ()
        types = self.types_for(rows)
        sent = f"{self._table}_{'sent' if types is self._narrow else 'wide'}"
        typed = ", ".join(f"{name} {type_}" for name, type_ in zip(self._columns, types, strict=True))
        await driver.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {sent} ({typed}) ON COMMIT DELETE ROWS")
        await driver.copy_records_to_table(
            sent, schema_name="pg_temp", records=rows, columns=self._columns, timeout=BULK_SECONDS
        )
        return await driver.fetch(self._text.format(source=sent), timeout=BULK_SECONDS)


class Rows(NamedTuple):
    """Rows on their way into one table."""

    insert: Insert
    rows: Sequence[Row]

    @property
    def are_many(self) -> bool:
        """Whether they go by COPY."""
        return len(self.rows) >= BULK_ROWS


async def fetch(driver: asyncpg.Connection, sent: Rows) -> Sequence[Any]:
    """Write rows; return what the statement returns."""
    if not sent.rows:
        return ()
    return await (sent.insert.many if sent.are_many else sent.insert.few)(driver, sent.rows)


async def write(driver: asyncpg.Connection, sets: Iterable[Rows]) -> None:
    """Write rows of several tables in the order given; those that are few in one statement with their neighbours.

    They are locked in that order too: all writers of the same tables keep to one order of them.
    """
    for many, of_size in groupby((each for each in sets if each.rows), key=lambda each: each.are_many):
        if many:
            for insert, rows in of_size:
                await insert.many(driver, rows)
        else:
            few = list(of_size)
            statement = _together(tuple((insert, insert.types_for(rows)) for insert, rows in few))
            await driver.execute(statement, *(column for _, rows in few for column in zip(*rows, strict=True)))


@lru_cache(maxsize=256)
def _together(parts: tuple[tuple[Insert, tuple[str, ...]], ...]) -> str:
    """Return one statement for several tables, none of which returns anything."""
    parameters = count(1)
    steps = [
        f"step{number} AS ({insert.from_arrays(types, parameters)} RETURNING 1)"
        for number, (insert, types) in enumerate(parts)
    ]
    # Selected from one after the other: by itself PostgreSQL would take the last step first.
    selected = [f"SELECT count(*) FROM step{number}" for number in range(len(parts))]  # noqa: S608 -- names of ours
    return f"WITH {', '.join(steps)} {' UNION ALL '.join(selected)}"
