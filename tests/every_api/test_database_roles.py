"""Each process's role may do with its database what is declared, and nothing else; and connections are verified."""

import importlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

import metrics_worker.schema
import sales_api.schema
import service_api.schema
from metrics_worker.database import AUTHORITATIVE, SEARCH_PATH
from metrics_worker.ledger.tables import DERIVED
from sales_api.planning_rules.use_cases import INTERVALS as OF_SALES
from service_api.planning_rules.use_cases import INTERVALS as OF_SERVICE
from service_kit.compiled import driver_of
from service_kit.database import create_engine, unpooled_engine
from service_kit.database_roles import DatabaseRole
from service_kit.migrations import migrate
from service_kit.planned_work.intervals import IntervalPlanner, Intervals
from service_kit.settings import DatabaseSettings
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.server_security import ServerSecurity
from tandem_cli.system import TANDEM
from tests.certificates import Authority
from tests.support import CARELESS

pytestmark = pytest.mark.integration

PACKAGES = {"sales": "sales_api", "service": "service_api", "metrics": "metrics_worker"}
ROLES: dict[str, Sequence[DatabaseRole]] = {
    database: importlib.import_module(f"{package}.database_roles").ROLES for database, package in PACKAGES.items()
}
TABLES: dict[str, set[str]] = {
    "sales": set(sales_api.schema.metadata.tables),
    "service": set(service_api.schema.metadata.tables),
    "metrics": {table.fullname for table in metrics_worker.schema.TABLES},
}
VERSION = {"sales": "alembic_version", "service": "alembic_version", "metrics": f"{AUTHORITATIVE}.alembic_version"}
EVERY_ROLE = [(database, role) for database, roles in ROLES.items() for role in roles]
CHANGES = {"SELECT", "INSERT", "UPDATE", "DELETE"}
PRIVILEGES = [*sorted(CHANGES), "TRUNCATE", "REFERENCES", "TRIGGER"]

every_role = pytest.mark.parametrize(("database", "role"), EVERY_ROLE, ids=[role.name for _, role in EVERY_ROLE])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EmbeddedPostgres]:
    """A server of its own, since roles belong to a whole server, which takes encrypted connections only."""
    security = ServerSecurity(authority.issue("127.0.0.1"), authority.ca_pem, "")
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options=CARELESS, security=security)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def migrated(server: EmbeddedPostgres) -> EmbeddedPostgres:
    server.create_roles(role.name for _, role in EVERY_ROLE)
    for database, package in PACKAGES.items():
        server.create_database(database)
        await migrate(importlib.import_module(package), verified(server, database))
    return server


def verified(server: EmbeddedPostgres, database: str, role: str | None = None) -> DatabaseSettings:
    assert server.security is not None
    return DatabaseSettings(
        database_url=server.url(database, role),
        database_ssl_mode="verify-full",
        database_ssl_ca_file=server.security.ca_pem,
    )


@asynccontextmanager
async def connected(
    server: EmbeddedPostgres, database: str, role: str | None = None
) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url(database, role).replace("+asyncpg", ""), ssl="require")
    await connection.execute(f"SET search_path = {SEARCH_PATH}")
    try:
        yield connection
    finally:
        await connection.close()


def test_every_process_has_a_role() -> None:
    declared = {(database, role.name) for database, role in EVERY_ROLE}
    assert declared == {(program.database, program.role) for program in TANDEM.programs} | {("metrics", "metrics_bi")}


@every_role
def test_a_role_names_existing_tables(database: str, role: DatabaseRole) -> None:
    assert role.tables <= TABLES[database]


@every_role
async def test_a_role_has_the_declared_rights_and_no_others(
    migrated: EmbeddedPostgres, database: str, role: DatabaseRole
) -> None:
    query = (
        "SELECT CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.' END || tablename AS name,"
        " ARRAY(SELECT p FROM unnest($2::text[]) AS p"
        " WHERE has_table_privilege($1, format('%I.%I', schemaname, tablename), p)) AS privileges"
        " FROM (SELECT schemaname, tablename FROM pg_tables UNION ALL SELECT schemaname, viewname FROM pg_views) AS t"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    async with connected(migrated, database) as connection:
        rows = await connection.fetch(query, role.name, PRIVILEGES)
    found = {row["name"]: set(row["privileges"]) for row in rows if row["privileges"]}
    expected = {name: {"SELECT"} for name in role.reads} | dict.fromkeys(role.changes, CHANGES)
    if role.tables:
        expected[VERSION[database]] = {"SELECT"}
    if role.reads_schema is not None:
        expected |= {row["name"]: {"SELECT"} for row in rows if row["name"].startswith(f"{role.reads_schema}.")}
    assert found == expected


@every_role
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (id int)",
        "CREATE SCHEMA more",
        "DROP TABLE {table}",
        "ALTER TABLE {table} ADD COLUMN more int",
        "TRUNCATE {table}",
        "CREATE ROLE more",
        "UPDATE {version} SET version_num = 'other'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_no_process_can_change_what_there_is(
    migrated: EmbeddedPostgres, database: str, role: DatabaseRole, statement: str
) -> None:
    version = VERSION[database]
    table = next(iter(sorted(role.changes)), version)
    async with connected(migrated, database, role.name) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(table=table, version=version))


@pytest.mark.parametrize(
    ("database", "role", "intervals", "customer", "of_rule"),
    [
        (
            "sales", "sales_consumer", OF_SALES,
            "account (id, version, registered_at, changed_at) VALUES (gen_random_uuid(), 1, now(), now())",
            ("kind, assign_to", "'call', 'account_owner'"),
        ),
        (
            "service", "service_consumer", OF_SERVICE,
            "customer (id, version, origin, registered_at) VALUES (gen_random_uuid(), 1, 'sales', now())",
            ("priority", "NULL"),
        ),
    ],
    ids=["sales", "service"],
)  # fmt: skip
async def test_a_consumer_may_plan_at_intervals(
    migrated: EmbeddedPostgres, database: str, role: str, intervals: Intervals, customer: str, of_rule: tuple[str, str]
) -> None:
    columns, values = of_rule
    async with connected(migrated, database) as connection:
        await connection.execute(f"INSERT INTO {customer}")
        await connection.execute(
            f"INSERT INTO planning_rule (id, version, name, trigger, days, purpose, since, active, {columns})"
            f" VALUES (gen_random_uuid(), 1, 'Call', 'interval', 30, 'care', now(), true, {values})"
        )
    engine = create_engine(verified(migrated, database, role), application="test", synchronous_commit=False)
    assert await IntervalPlanner(engine, intervals).tick() == 1
    await engine.dispose()


@pytest.mark.parametrize(
    ("database", "role", "statement"),
    [
        ("sales", "sales_relay", "UPDATE deal SET version = version"),
        ("sales", "sales_relay", "SELECT * FROM account"),
        ("sales", "sales_api", "DELETE FROM relay_lease"),
        ("sales", "sales_api", "UPDATE consumer_offset SET next_offset = 0"),
        ("sales", "sales_consumer", "SELECT * FROM deal"),
        ("service", "service_relay", "SELECT * FROM customer"),
        ("service", "service_consumer", "DELETE FROM agent"),
        ("service", "service_api", "UPDATE consumer_offset SET next_offset = 0"),
        ("metrics", "metrics_consumer", "SELECT * FROM webhook_secret"),
        ("metrics", "metrics_jobs", "SELECT * FROM signing_key"),
        ("metrics", "metrics_api", "DELETE FROM proof"),
        ("metrics", "metrics_bi", "SELECT * FROM deal_posting"),
        *(("metrics", "metrics_api", f"DELETE FROM {table.fullname}") for table in DERIVED),
    ],
)
async def test_a_process_cannot_do_another_ones_work(
    migrated: EmbeddedPostgres, database: str, role: str, statement: str
) -> None:
    async with connected(migrated, database, role) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_people_read_the_views(migrated: EmbeddedPostgres) -> None:
    async with connected(migrated, "metrics", "metrics_bi") as connection:
        assert await connection.fetch("SELECT * FROM bi.deal_daily") == []


async def test_the_next_migration_takes_back_what_is_not_declared(migrated: EmbeddedPostgres) -> None:
    async with connected(migrated, "sales") as owner, connected(migrated, "sales", "sales_relay") as relay:
        await owner.execute("GRANT SELECT ON account TO sales_relay; GRANT CREATE ON SCHEMA public TO sales_relay")
        await relay.execute("SELECT * FROM account")
        await migrate(importlib.import_module("sales_api"), verified(migrated, "sales"))
        for statement in ("SELECT * FROM account", "CREATE TABLE more (id int)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await relay.execute(statement)
        await relay.execute("SELECT * FROM outbox")


# TLS


async def test_a_verified_server_is_used_encrypted(migrated: EmbeddedPostgres) -> None:
    engine = create_engine(verified(migrated, "sales", "sales_api"), application="test")
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        transport: Any = driver._transport  # type: ignore[attr-defined]
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    await engine.dispose()


@pytest.mark.parametrize("build", [unpooled_engine, lambda settings: create_engine(settings, application="test")])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("authority", "certificate verify failed: unable to get local issuer certificate"),
        ("name", "certificate is not valid for 'localhost'"),
        ("plain", "encrypted connections only"),
    ],
)
async def test_a_server_that_cannot_be_verified_is_refused_with_the_reason(
    migrated: EmbeddedPostgres,
    tmp_path: Path,
    fault: str,
    said: str,
    build: Callable[[DatabaseSettings], AsyncEngine],
) -> None:
    settings = verified(migrated, "sales", "sales_api")
    changed: dict[str, dict[str, Any]] = {
        "authority": {"database_ssl_ca_file": Authority(tmp_path, "another").ca_pem},
        "name": {"database_url": settings.database_url.replace("127.0.0.1", "localhost")},
        "plain": {"database_ssl_mode": "disable"},
    }
    engine = build(settings.model_copy(update=changed[fault]))
    with pytest.raises(Exception, match=said):
        await engine.connect()
    await engine.dispose()


async def test_without_its_name_the_authority_is_still_verified(migrated: EmbeddedPostgres) -> None:
    settings = verified(migrated, "sales", "sales_api")
    elsewhere = {
        "database_url": settings.database_url.replace("127.0.0.1", "localhost"),
        "database_ssl_mode": "verify-ca",
    }
    engine = unpooled_engine(settings.model_copy(update=elsewhere))
    async with engine.connect() as connection:
        assert (await connection.execute(sa.text("SELECT 1"))).scalar_one() == 1
    await engine.dispose()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"database_url": "postgresql+asyncpg://host/name?ssl=verify-full"}, "set DATABASE_SSL_MODE"),
        ({"database_ssl_ca_file": __file__}, "DATABASE_SSL_MODE=prefer verifies nothing"),
        ({"database_ssl_mode": "verify-full", "database_ssl_key_file": __file__}, "belong together"),
    ],
)
def test_settings_that_would_not_do_what_they_say_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DatabaseSettings.model_validate({"database_url": "postgresql+asyncpg://host/name"} | given)
