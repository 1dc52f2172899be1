"""The service API over HTTP without a socket, on a real, migrated database; and what it wrote to its outbox."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import service_api
import service_api.app
from event_contracts import codec
from event_contracts.catalogue import State
from service_api.settings import ServiceApiSettings
from service_kit.database import create_engine
from service_kit.migrations import migrate
from service_kit.outbox import outbox
from tests.service_kit.toy import Issuer

NOWHERE = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
"""An id that nothing has."""


@dataclass(frozen=True)
class Service:
    """The API, callable in any role, and its database."""

    transport: httpx.ASGITransport
    engine: AsyncEngine
    issuer: Issuer

    def client(self, *roles: str) -> httpx.AsyncClient:
        """A client with a token in these roles; without any, one with no token at all."""
        headers = {"Authorization": f"Bearer {self.issuer.token(*roles)}"} if roles else {}
        return httpx.AsyncClient(transport=self.transport, base_url="http://service", headers=headers)

    async def events_of(self, subject: str) -> list[codec.CloudEvent]:
        """What waits in the outbox about one subject (`tickets/<id>`), in the order of the outbox."""
        text = sa.func.convert_from(outbox.c.payload, "UTF8")
        query = sa.select(outbox.c.payload).where(text.contains(f'"{subject}"')).order_by(outbox.c.position)
        async with self.engine.connect() as connection:
            found = [codec.decode(row.payload) for row in await connection.execute(query)]
        return [event for event in found if event.subject == subject]


@asynccontextmanager
async def serving(url: str, folder: Path) -> AsyncIterator[Service]:
    """Yield the API on a database, which it migrates."""
    issuer = Issuer()
    settings = ServiceApiSettings(
        database_url=url,
        auth_jwks=issuer.published_in(folder),
        allowed_hosts=["service"],
        survey_link_secret="a secret of the tests only",
    )
    await migrate(service_api, settings)
    app = service_api.app.create(settings)
    yield Service(httpx.ASGITransport(app), app.state.engine, issuer)
    await app.state.engine.dispose()


@pytest.fixture(scope="session")
async def service(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    async with serving(new_database("service"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def manager(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client("service-manager") as http:
        yield http


@pytest.fixture
async def importer(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client("importer") as http:
        yield http


@pytest.fixture
async def agent(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client("service-agent") as http:
        yield http


@pytest.fixture
async def analyst(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client("analyst") as http:
        yield http


@pytest.fixture
async def anonymous(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client() as http:
        yield http


@pytest.fixture
async def empty_database(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    """A migrated database of its own, with nothing in it."""
    settings = ServiceApiSettings(database_url=new_database("service"), survey_link_secret="0" * 16)
    await migrate(service_api, settings)
    engine = create_engine(settings, application="test")
    yield engine
    await engine.dispose()


async def make(http: httpx.AsyncClient, path: str, /, **body: Any) -> dict[str, Any]:
    """Posts a body that must be taken, and returns the answer."""
    answer = await http.post(path, json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{made["version"]}"'
    return made


async def a_customer(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    return await make(http, "/v1/customers", **({"name": "UAB Vėjas", "region": "baltics", "segment": "smb"} | more))


async def an_agent(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    return await make(http, "/v1/agents", **({"name": "Rūta"} | more))


async def a_ticket(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    if "customer_id" not in more:
        more["customer_id"] = (await a_customer(http))["id"]
    return await make(http, "/v1/tickets", **({"kind": "problem", "channel": "phone"} | more))


def reference() -> str:
    """An external_ref that nothing has yet."""
    return f"ref-{uuid.uuid4().hex}"


def assert_carries(event: codec.CloudEvent, view: dict[str, Any], data: type[State]) -> None:
    """The event is of this type and carries exactly what the answer shows of the aggregate at that version.

    What the contract has a place for and this service does not know of yet is null.
    """
    assert type(event.data) is data
    assert event.sequence == view["version"]
    state = msgspec.to_builtins(event.data)
    state.pop("change", None)
    assert state == {name: view.get(name) for name in state}
