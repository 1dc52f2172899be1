"""The sales API on a real database that its own migrations made."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

import sales_api
from sales_api.app import create
from sales_api.settings import SalesSettings
from service_kit.migrations import migrate
from tests.sales_api.sales import Sales
from tests.service_kit.toy import Issuer


@pytest.fixture(scope="session")
async def sales(new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sales]:
    issuer = Issuer()
    url = new_database("sales")
    await migrate(sales_api, url)
    settings = SalesSettings(
        database_url=url, auth_jwks=issuer.published_in(tmp_path_factory.mktemp("issuer")), allowed_hosts=["sales"]
    )
    app = create(settings)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sales") as http:
        yield Sales(http, app.state.engine, issuer)
    await app.state.engine.dispose()
