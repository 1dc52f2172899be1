"""`tandem backup` and `tandem restore` on a real PostgreSQL: a new database takes over, or nothing changes."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from metrics_worker.database import AUTHORITATIVE
from tandem_cli import dumps
from tandem_cli.app import app
from tandem_cli.data_dir import DataDir
from tandem_cli.databases import plain
from tandem_cli.postgres import EmbeddedPostgres
from tests.support import CARELESS

pytestmark = pytest.mark.integration

TABLES = """
    CREATE TABLE public.block AS SELECT 1 AS sums;
    CREATE SCHEMA authoritative;
    CREATE TABLE authoritative.target AS SELECT 'revenue' AS kpi, 100 AS value;
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(plain(url))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(plain(url))
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@pytest.fixture
async def database(new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A metrics database with a table in either schema, which the commands are given."""
    url = new_database("metrics")
    await execute(url, TABLES)
    monkeypatch.setenv("METRICS_DATABASE_URL", url)
    return url


def test_the_schema_is_the_one_that_metrics_declares() -> None:
    assert dumps.AUTHORITATIVE == AUTHORITATIVE


@pytest.mark.usefixtures("database")
async def test_a_backup_gives_a_stopped_stack_a_new_metrics_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, data = tmp_path / "metrics.dump", tmp_path / "data"
    written = run("backup", file)
    assert written.exit_code == 0, written.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert files_in(tmp_path) == ["metrics.dump"]
    monkeypatch.delenv("METRICS_DATABASE_URL")

    server = EmbeddedPostgres(data / "postgres", options=CARELESS)
    server.start()
    server.create_database("metrics")
    await execute(server.url("metrics"), "CREATE TABLE former AS SELECT 1")
    server.stop()

    restored = run("restore", file, "--data-dir", data)
    assert restored.exit_code == 0, restored.output
    former = restored.output.split("The former database is kept as ")[1].split(".")[0]
    server.start()
    try:
        assert await fetch(server.url("metrics"), "SELECT value FROM authoritative.target") == 100
        assert await fetch(server.url("metrics"), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await fetch(server.url(former), "SELECT count(*) FROM former") == 1
    finally:
        server.stop()


@pytest.mark.usefixtures("database")
async def test_a_restore_that_fails_leaves_the_former_database_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half, data = tmp_path / "whole.dump", tmp_path / "half.dump", tmp_path / "data"
    assert run("backup", whole).exit_code == 0
    monkeypatch.delenv("METRICS_DATABASE_URL")
    half.write_bytes(whole.read_bytes()[:-200])
    server = EmbeddedPostgres(data / "postgres", options=CARELESS)
    server.start()
    server.create_database("metrics")
    await execute(server.url("metrics"), "CREATE TABLE former AS SELECT 1")
    server.stop()
    refused = run("restore", half, "--data-dir", data)
    assert refused.exit_code == 1
    assert "pg_restore failed" in refused.stderr
    server.start()
    try:
        assert await fetch(server.url("metrics"), "SELECT count(*) FROM former") == 1
        names = "SELECT array_agg(datname::text ORDER BY datname) FROM pg_database WHERE datname ~ 'metrics'"
        assert await fetch(server.url("postgres"), names) == ["metrics"]
    finally:
        server.stop()


async def test_a_backup_replaces_no_file_and_leaves_none_behind_when_it_fails(tmp_path: Path, database: str) -> None:
    file = tmp_path / "metrics.dump"
    file.write_text("another")
    refused = run("backup", file)
    assert refused.exit_code == 1
    assert (file.read_text(), files_in(tmp_path)) == ("another", ["metrics.dump"])
    file.unlink()
    await execute(database, "DROP SCHEMA authoritative CASCADE")
    failed = run("backup", file)
    assert failed.exit_code == 1
    assert files_in(tmp_path) == []


@pytest.mark.usefixtures("database")
def test_a_server_that_is_not_the_stacks_is_left_alone(tmp_path: Path) -> None:
    refused = run("restore", tmp_path / "metrics.dump", "--data-dir", tmp_path / "data")
    assert refused.exit_code == 1
    assert "METRICS_DATABASE_URL names a server" in refused.stderr
    assert files_in(tmp_path) == []


def test_a_running_stack_is_not_restored(tmp_path: Path) -> None:
    holder = DataDir(tmp_path)
    holder.claim()
    try:
        refused = run("restore", tmp_path / "metrics.dump", "--data-dir", tmp_path)
        assert refused.exit_code == 1
        assert "already runs" in refused.stderr
    finally:
        holder.release()


@pytest.mark.usefixtures("database")
async def test_the_password_is_no_argument_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    run_program = subprocess.run

    def note(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return run_program(command, **options)

    monkeypatch.setattr(subprocess, "run", note)
    assert run("backup", tmp_path / "metrics.dump").exit_code == 0
    password = os.environ["METRICS_DATABASE_URL"].split("@")[0].rsplit(":", 1)[1]
    assert password
    assert password not in " ".join(commands[0])
