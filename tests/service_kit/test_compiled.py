"""CompiledStatement statements: a session's transaction is theirs too, whatever comes first and however it ends."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service_kit.compiled import CompiledStatement
from service_kit.database import create_sessions
from service_kit.identifiers import new_id
from service_kit.problems import is_transient
from tests.service_kit.toy import Box

_columns = Box.__table__.c
ADD = CompiledStatement(sa.insert(Box).values({name: sa.bindparam(name) for name in ("id", "version", "name", "size")}))
NAMED = CompiledStatement(sa.select(_columns.size).where(_columns.name == sa.bindparam("name")).order_by(_columns.size))
END_ME = CompiledStatement(sa.text("select pg_terminate_backend(pg_backend_pid())"))


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with create_sessions(engine)() as session:
        yield session


async def add(session: AsyncSession, name: str, size: int) -> None:
    await ADD.execute(session, id=new_id(), version=1, name=name, size=size)


async def sizes(engine: AsyncEngine, name: str) -> list[int]:
    async with create_sessions(engine)() as session:
        return [row["size"] for row in await NAMED.all(session, name=name)]


async def test_the_first_statement_of_a_transaction_is_undone_with_it(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    name = uuid.uuid4().hex
    await add(session, name, 1)
    assert [row["size"] for row in await NAMED.all(session, name=name)] == [1]
    await session.rollback()
    assert await NAMED.one_or_none(session, name=name) is None


async def test_it_commits_with_what_the_session_flushed(session: AsyncSession, engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    session.add(Box(id=new_id(), version=1, name=name, size=1))
    await session.flush()
    await add(session, name, 2)
    assert [row["size"] for row in await NAMED.all(session, name=name)] == [1, 2]
    assert await sizes(engine, name) == []
    await session.commit()
    assert await sizes(engine, name) == [1, 2]


async def test_each_transaction_of_a_session_has_its_own_connection(session: AsyncSession, engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    await add(session, name, 1)
    await session.rollback()
    async with create_sessions(engine)() as other:
        # Takes the connection that the first transaction gave back.
        await add(other, name, 2)
        await add(session, name, 3)
        await session.commit()
        assert await sizes(engine, name) == [3]
    assert await sizes(engine, name) == [3]


async def lose_the_connection(engine: AsyncEngine, name: str) -> None:
    async with create_sessions(engine)() as session:
        await add(session, name, 1)
        await END_ME.execute(session)


async def test_a_lost_connection_is_a_failure_of_the_database_and_is_not_used_again(engine: AsyncEngine) -> None:
    name = uuid.uuid4().hex
    with pytest.raises((DBAPIError, asyncpg.PostgresError)) as failed:
        await lose_the_connection(engine, name)
    assert is_transient(failed.value)
    assert await sizes(engine, name) == []
