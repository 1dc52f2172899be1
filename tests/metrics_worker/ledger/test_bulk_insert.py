"""A batch's rows are written in the order given, few or many."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.ledger.bulk_insert import BULK_ROWS, Insert, Rows, array_text, write
from service_kit.compiled import driver_of

metadata = sa.MetaData()
TABLES = [
    sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("amount", sa.Numeric(38, 0)),
        sa.Column("counts", sa.ARRAY(sa.Integer)),
    )
    for name in ("first", "second", "third")
]
INSERTS = [
    Insert(table, ("id", "amount", "counts"), conflict="(id) DO UPDATE SET amount = existing.amount + excluded.amount")
    for table in TABLES
]
FEW, MANY = 3, BULK_ROWS


async def make_tables(connection: AsyncConnection) -> None:
    """Temporary tables whose rows note in which order they were written."""
    await connection.execute(sa.text("CREATE TEMPORARY SEQUENCE written"))
    for table in TABLES:
        columns = (
            "id integer PRIMARY KEY, amount numeric(38), counts integer[], place integer DEFAULT nextval('written')"
        )
        await connection.execute(sa.text(f"CREATE TEMPORARY TABLE {table.name} ({columns})"))


def rows(number: int, amount: int = 1) -> list[tuple[int, int, str]]:
    return [(id_, amount, array_text([1, 2])) for id_ in range(number)]


@pytest.mark.parametrize(
    "sizes", [(FEW, FEW, FEW), (FEW, MANY, FEW), (MANY, FEW, FEW), (MANY, MANY, MANY), (FEW, 0, FEW)]
)
async def test_tables_are_written_one_after_the_other(engine: AsyncEngine, sizes: Sequence[int]) -> None:
    async with engine.begin() as connection:
        await make_tables(connection)
        sets = [Rows(insert, rows(size)) for insert, size in zip(INSERTS, sizes, strict=True)]
        await write(await driver_of(connection), sets)
        last = 0
        for table, size in zip(TABLES, sizes, strict=True):
            query = sa.text(f"SELECT count(*), min(place), max(place) FROM {table.name} WHERE counts = '{{1,2}}'")
            count, from_, to = (await connection.execute(query)).one()
            assert count == size
            if size:
                assert from_ > last
                last = to
        await connection.execute(sa.text("DROP TABLE first, second, third"))
        await connection.execute(sa.text("DROP SEQUENCE written"))


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_sums_grow_beyond_64_bits(engine: AsyncEngine, size: int) -> None:
    async with engine.begin() as connection:
        await make_tables(connection)
        driver = await driver_of(connection)
        for amount in (2**63 - 1, 2**63):
            await write(driver, [Rows(INSERTS[0], rows(size, amount))])
        query = sa.text("SELECT DISTINCT amount FROM first")
        assert (await connection.execute(query)).scalars().all() == [2**64 - 1]
        await connection.execute(sa.text("DROP TABLE first, second, third"))
        await connection.execute(sa.text("DROP SEQUENCE written"))
