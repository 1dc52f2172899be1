"""The script that prepares PostgreSQL in a container, run on a real server."""

import importlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tandem_cli.postgres import BINARIES, EmbeddedPostgres
from tandem_cli.system import TANDEM
from tests.support import CARELESS

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "deploy/postgres/create-databases.sh"
NAMES = ("sales", "service", "metrics")
ROLES = [program.role for program in TANDEM.programs] + ["metrics_bi"]
PASSWORDS = dict.fromkeys([*NAMES, *ROLES], "plain") | {
    "sales": 'it\'s "odd"; drop role postgres;--',
    "sales_api": "own",
}


async def connect(url: URL) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url.render_as_string(hide_password=False))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[URL]:
    """A server of its own, since roles belong to a whole server, on which the script has run once."""
    postgres = EmbeddedPostgres(tmp_path / "postgres", options=CARELESS)
    postgres.start()
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
    postgres.stop()


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


async def test_each_process_reaches_the_database_of_its_service_with_its_own_rights_only(server: URL) -> None:
    for name in NAMES:
        settings = DatabaseSettings(
            database_url=server.set(
                drivername="postgresql+asyncpg", username=name, password=PASSWORDS[name], database=name
            ).render_as_string(hide_password=False)
        )
        # It grants; before that, a process does not even connect.
        await migrate(importlib.import_module({"metrics": "metrics_worker"}.get(name, f"{name}_api")), settings)
    for role in ROLES:
        own = server.set(username=role, password=PASSWORDS[role], database=role.partition("_")[0])
        connection = await connect(own)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("create table kept (id int)")
        if role != "metrics_consumer":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("create temporary table kept (id int)")
        await connection.close()
        for other in set(NAMES) - {own.database}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connect(own.set(database=other))


async def test_a_wrong_password_is_refused(server: URL) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.set(username="sales", password="plain", database="sales"))
