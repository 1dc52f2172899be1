"""A migrated ledger on a real database, the API over it, and tokens."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import metrics_worker
from metrics_worker.app import create
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.writer import LedgerWriter
from metrics_worker.schema import metadata
from metrics_worker.settings import MetricsSettings
from service_kit.database import create_engine
from service_kit.migrations import migrate
from tandem_cli.issuer import Issuer
from tests.metrics_worker.facts import VILNIUS


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
async def settings(new_database: Callable[[str], str], issuer: Issuer) -> MetricsSettings:
    """Settings of processes whose database is migrated, with days in Vilnius and money in euros."""
    url = new_database("ledger")
    await migrate(metrics_worker, url)
    return MetricsSettings(
        database_url=url,
        auth_jwks=issuer.jwks_url,
        allowed_hosts=["metrics"],
        reporting_timezone=VILNIUS.zone.key,
        reporting_currency=VILNIUS.currency,
    )


@pytest.fixture(scope="session")
async def shared_engine(settings: MetricsSettings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings, application="tests", synchronous_commit=False, plans="force_generic_plan")
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(shared_engine: AsyncEngine) -> AsyncEngine:
    """The ledger's database, with empty tables."""
    await empty(shared_engine)
    return shared_engine


async def empty(engine: AsyncEngine) -> None:
    """Delete every row of the ledger."""
    # TRUNCATE makes new files for every table and index: twenty times as long as deleting the few rows of a test.
    statements = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(statements)


async def ingest(engine: AsyncEngine, *batches: Sequence[SubjectState]) -> None:
    """Write each batch into the ledger in a transaction of its own."""
    writer = LedgerWriter(VILNIUS)
    for batch in batches:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await writer.apply(connection, batch)


async def moved(engine: AsyncEngine) -> None:
    """Move the offsets as a consumer does that has caught up."""
    async with engine.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO consumer_offset (consumer, cluster_id, topic, partition, next_offset, log_end)"
                " VALUES ('metrics-worker', 'c', 't', 0, 1, 0)"
                " ON CONFLICT (consumer, cluster_id, topic, partition)"
                " DO UPDATE SET next_offset = consumer_offset.next_offset + 1"
            )
        )


@pytest.fixture(scope="session")
async def app(settings: MetricsSettings) -> AsyncIterator[FastAPI]:
    application = create(settings)
    yield application
    await application.state.engine.dispose()


@pytest.fixture
async def client(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over an empty ledger, as an analyst."""
    headers = {"Authorization": f"Bearer {issuer.token(['analyst'])}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics", headers=headers) as http:
        yield http


async def answers_to(
    questions: Iterable[tuple[str, Mapping[str, str]]], client: httpx.AsyncClient, during: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the API's answers to questions about KPIs over some days."""
    found = []
    for kpi, asked in questions:
        given = await client.get(f"/v1/kpis/{kpi}", params={**during, **asked})
        assert given.status_code == 200, given.text
        found.append(given.json())
    return found
