"""Creates and drops databases on a PostgreSQL server, embedded or given."""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

T = TypeVar("T")


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a loop and thread of its own, so that callers may or may not have a loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def with_database(url: str, database: str) -> str:
    """The same server's URL, naming another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def plain(url: str) -> str:
    """The URL as libpq and asyncpg know it, without SQLAlchemy's driver name."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def create_database(url: str, name: str) -> None:
    """Create database `name` on the server of `url`, unless it is there. Raises asyncpg and OS errors."""

    async def create() -> None:
        connection = await asyncpg.connect(plain(url))
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        except asyncpg.DuplicateDatabaseError:
            pass
        except asyncpg.UniqueViolationError:
            pass  # another process created it at the same moment
        finally:
            await connection.close()

    run_apart(create())


def create_roles(url: str, passwords: Mapping[str, str]) -> None:
    """Create roles that may sign in with these passwords, unless they are there. Raises asyncpg and OS errors."""

    async def create() -> None:
        connection = await asyncpg.connect(plain(url))
        try:
            there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
            for name, password in passwords.items():
                if name not in there:
                    await connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        finally:
            await connection.close()

    run_apart(create())


def drop_database(url: str, name: str) -> None:
    """Drop database `name` with the connections to it, if it is there."""

    async def drop() -> None:
        connection = await asyncpg.connect(plain(url))
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    run_apart(drop())


def replace_database(url: str, name: str, *, by: str, former: str) -> bool:
    """Give database `name` the name `former`, and the database `by` its name, both or neither.

    No client may be connected to them. Return whether there was a former one.
    """

    async def replace() -> bool:
        connection = await asyncpg.connect(plain(url))
        try:
            async with connection.transaction():
                is_there = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
                if is_there:
                    await connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{former}"')
                await connection.execute(f'ALTER DATABASE "{by}" RENAME TO "{name}"')
        finally:
            await connection.close()
        return bool(is_there)

    return run_apart(replace())
