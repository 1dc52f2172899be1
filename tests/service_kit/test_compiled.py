"""CompiledStatement statements: a session's transaction is theirs too, whatever comes first and however it ends."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.compiled import CompiledStatement, driver_of
from service_kit.identifiers import new_id
from service_kit.problems import is_transient
from service_kit.unit_of_work import UnitOfWork, units_of_work
from tests.service_kit.toy import Box

_columns = Box.table.c
ADD = CompiledStatement(
    sa.insert(Box.table).values({name: sa.bindparam(name) for name in ("id", "version", "name", "size")})
)
NAMED = CompiledStatement(sa.select(_columns.size).where(_columns.name == sa.bindparam("name")).order_by(_columns.size))
END_ME = CompiledStatement(sa.text("select pg_terminate_backend(pg_backend_pid())"))


@pytest.fixture
async def work(engine: AsyncEngine) -> AsyncIterator[UnitOfWork]:
    async with units_of_work(engine, process="tests")() as work:
        yield work


async def add(work: UnitOfWork, name: str, size: int) -> None:
    await ADD.execute(work, id=new_id(), version=1, name=name, size=size)


async def sizes(engine: AsyncEngine, name: str) -> list[int]:
    async with units_of_work(engine, process="tests")() as work:
        return [row["size"] for row in await NAMED.all(work, name=name)]


async def test_the_first_statement_of_a_transaction_is_undone_with_it(engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    async with units_of_work(engine, process="tests")() as work:
        await add(work, name, 1)
        assert [row["size"] for row in await NAMED.all(work, name=name)] == [1]
    assert await sizes(engine, name) == []


async def test_it_commits_with_what_the_unit_of_work_flushed(work: UnitOfWork, engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    work.add(Box(id=new_id(), version=1, name=name, size=1))
    await work.flush()
    await add(work, name, 2)
    assert [row["size"] for row in await NAMED.all(work, name=name)] == [1, 2]
    assert await sizes(engine, name) == []
    await work.commit()
    assert await sizes(engine, name) == [1, 2]


async def test_each_unit_of_work_has_its_own_connection(work: UnitOfWork, engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    async with units_of_work(engine, process="tests")() as undone:
        await add(undone, name, 1)
    async with units_of_work(engine, process="tests")() as other:
        # Takes the connection that the first one gave back.
        await add(other, name, 2)
        await add(work, name, 3)
        await work.commit()
        assert await sizes(engine, name) == [3]
    assert await sizes(engine, name) == [3]


async def lose_the_connection(engine: AsyncEngine, name: str) -> None:
    async with units_of_work(engine, process="tests")() as work:
        await add(work, name, 1)
        await END_ME.execute(work)


async def test_a_lost_connection_is_a_failure_of_the_database_and_is_not_used_again(engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    with pytest.raises((DBAPIError, asyncpg.PostgresError)) as failed:
        await lose_the_connection(engine, name)
    assert is_transient(failed.value)
    assert await sizes(engine, name) == []


def test_a_driver_that_learns_of_a_cut_amid_its_next_statement_is_a_failure_of_the_database_too() -> None:
    assert is_transient(asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"))


async def test_a_forgotten_value_is_an_error_and_no_null(work: UnitOfWork) -> None:
    with pytest.raises(KeyError):
        await NAMED.all(work)


async def test_the_pool_hands_out_no_connection_whose_cut_a_compiled_statement_met(engine: AsyncEngine) -> None:
    with pytest.raises(asyncpg.PostgresConnectionError):
        async with engine.begin() as connection:
            await END_ME.execute(await driver_of(connection))
    for _ in range(engine.pool.size()):  # type: ignore[attr-defined]
        async with engine.begin() as connection:
            assert await NAMED.all(await driver_of(connection), name=uuid.uuid4().hex) == []
