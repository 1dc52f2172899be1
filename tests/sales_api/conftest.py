"""The sales API on a real database that its own migrations made."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import sales_api
from sales_api.app import create
from sales_api.settings import SalesSettings
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tests.sales_api.sales import Sales
from tests.service_kit.toy import Issuer


@asynccontextmanager
async def selling(url: str, folder: Path) -> AsyncIterator[Sales]:
    """Yield the API on a database, which it migrates."""
    issuer = Issuer()
    await migrate(sales_api, DatabaseSettings(database_url=url))
    app = create(SalesSettings(database_url=url, auth_jwks=issuer.published_in(folder), allowed_hosts=["sales"]))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sales") as http:
        yield Sales(http, app.state.engine, issuer)
    await app.state.engine.dispose()


@pytest.fixture(scope="session")
async def sales(new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sales]:
    async with selling(new_database("sales"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def sales_apart(new_database: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Sales]:
    """The API on a database of its own, for a test that fills it."""
    async with selling(new_database("sales"), tmp_path) as found:
        yield found
