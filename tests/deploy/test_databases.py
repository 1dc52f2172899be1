"""The script that prepares PostgreSQL in a container, run on a real server."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from tandem_cli.postgres import BINARIES
from tests.support import Postgres

SCRIPT = Path(__file__).parents[2] / "deploy/postgres/create-databases.sh"
NAMES = ("sales", "service", "metrics")
PASSWORDS = {"sales": 'it\'s "odd"; drop role postgres;--', "service": "plain", "metrics": "other"}


async def connect(url: URL) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url.render_as_string(hide_password=False))


@pytest.fixture
async def server(postgres: Postgres) -> AsyncIterator[URL]:
    """A server on which the script has run once."""
    url = make_url(postgres.url("postgres")).set(drivername="postgresql")
    environment = {
        **os.environ,
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "PGHOST": url.host or "",
        "PGPORT": str(url.port or 5432),
        "PGPASSWORD": str(url.password or ""),
        "POSTGRES_USER": url.username or "",
        **{f"{name.upper()}_DATABASE_PASSWORD": password for name, password in PASSWORDS.items()},
    }
    subprocess.run(["bash", str(SCRIPT)], env=environment, check=True)  # noqa: ASYNC221 - nothing else runs meanwhile
    yield url
    administrator = await connect(url)
    for name in NAMES:
        await administrator.execute(f"drop database {name} with (force)")
        await administrator.execute(f"drop role {name}")
    await administrator.close()


async def test_each_service_reaches_its_own_database_and_no_other(server: URL) -> None:
    for name in NAMES:
        own = server.set(username=name, password=PASSWORDS[name], database=name)
        connection = await connect(own)
        await connection.execute("create table kept (id int)")
        assert await connection.fetchval("show server_encoding") == "UTF8"
        assert not await connection.fetchval(
            "select rolsuper or rolcreatedb from pg_roles where rolname = current_user"
        )
        await connection.close()
        for other in set(NAMES) - {name}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connect(own.set(database=other))


async def test_a_wrong_password_is_refused(server: URL) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.set(username="sales", password="plain", database="sales"))
