"""A migrated ledger on a real database, the API over it, and tokens."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import metrics_worker
from event_contracts.catalogue import State
from event_contracts.codec import CloudEvent, decode
from metrics_worker.app import create
from metrics_worker.database import SEARCH_PATH
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.status import complete_partitions
from metrics_worker.ledger.writer import LedgerWriter
from metrics_worker.schema import TABLES
from metrics_worker.settings import MetricsSettings
from service_kit.audit.entries import PURPOSE
from service_kit.database import create_engine
from service_kit.migrations import migrate
from service_kit.outbox import outbox
from service_kit.settings import DatabaseSettings
from tandem_cli.issuer import Issuer
from tests.metrics_worker.facts import VILNIUS, all_decoded


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
async def settings(new_database: Callable[[str], str], issuer: Issuer) -> MetricsSettings:
    """Settings of processes whose database is migrated, with days in Vilnius and money in euros."""
    url = new_database("ledger")
    await migrate(metrics_worker, DatabaseSettings(database_url=url))
    return MetricsSettings(
        api_docs=True,
        database_url=url,
        auth_jwks=issuer.jwks_url,
        allowed_hosts=["metrics"],
        reporting_timezone=VILNIUS.zone.key,
        reporting_currency=VILNIUS.currency,
    )


@pytest.fixture(scope="session")
async def shared_engine(settings: MetricsSettings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        settings,
        application="tests",
        synchronous_commit=False,
        plans="force_generic_plan",
        search_path=SEARCH_PATH,
    )
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(shared_engine: AsyncEngine) -> AsyncEngine:
    """The ledger's database, with empty tables."""
    await empty(shared_engine)
    return shared_engine


async def empty(engine: AsyncEngine) -> None:
    """Delete every row of the database."""
    # TRUNCATE makes new files for every table and index: twenty times as long as deleting the few rows of a test.
    statements = "; ".join(f"DELETE FROM {table.name}" for table in reversed(TABLES))
    statements = f"SELECT set_config('{PURPOSE}', 'retention', true); {statements}"
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


async def complete(engine: AsyncEngine, until: datetime | None = None) -> None:
    """Bring the ledger up to a moment, by default now."""
    async with engine.begin() as connection:
        await complete_partitions(connection, {("t", 0): until or datetime.now(UTC)})


async def published(engine: AsyncEngine) -> list[CloudEvent]:
    """Return the events in the outbox, in order."""
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(outbox.c.payload).order_by(outbox.c.position))
        return [decode(row.payload) for row in rows]


@pytest.fixture(scope="session")
async def app(settings: MetricsSettings) -> AsyncIterator[FastAPI]:
    application = create(settings)
    yield application
    await application.state.engine.dispose()


@asynccontextmanager
async def client_of(app: FastAPI, issuer: Issuer, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the API with a token of this role."""
    headers = {"Authorization": f"Bearer {issuer.token([role])}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics", headers=headers) as http:
        yield http


@pytest.fixture
async def client(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over an empty ledger, as an analyst."""
    async with client_of(app, issuer, "analyst") as http:
        yield http


MARCH: Final[dict[str, str]] = {"from": "2026-03-01", "to": "2026-03-31"}


class Metrics:
    """The API as an analyst uses it, and the ledger behind it."""

    def __init__(self, client: httpx.AsyncClient, engine: AsyncEngine) -> None:
        self.client = client
        self.engine = engine

    async def get(self, path: str, **parameters: str) -> Any:
        """Return what an address answers."""
        answer = await self.client.get(path, params=parameters or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, kpi: str, **parameters: str) -> Any:
        """Return what an address under `/v1/kpis` answers, of March 2026 by default."""
        return await self.get(f"/v1/kpis/{kpi}", **(MARCH | parameters))

    async def value(self, kpi: str, **parameters: str) -> str | None:
        """Return the value of an answer."""
        return (await self.ask(kpi, **parameters))["value"]  # type: ignore[no-any-return]

    async def ingest(self, *states: State | tuple[State, int]) -> None:
        """Write states in one batch, each with its sequence or as the first of its subject."""
        await ingest(self.engine, all_decoded(states))

    async def consume(self, *states: State | tuple[State, int]) -> None:
        """Write states as a consumer does: the ledger and its offsets move together."""
        await self.ingest(*states)
        await moved(self.engine)

    async def apply(self, *batches: Sequence[SubjectState]) -> None:
        """Write each batch in a transaction of its own."""
        await ingest(self.engine, *batches)

    async def published(self) -> list[Any]:
        """Return the data of the events in the outbox, in order."""
        return [event.data for event in await published(self.engine)]


@pytest.fixture
def metrics(client: httpx.AsyncClient, engine: AsyncEngine) -> Metrics:
    return Metrics(client, engine)


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
