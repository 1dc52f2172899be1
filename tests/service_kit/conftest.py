"""The toy service, over HTTP without a socket, on a real database."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.problems import MEDIA_TYPE
from tests.service_kit.toy import Issuer, toy_app


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
async def toy(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> AsyncIterator[tuple[httpx.ASGITransport, AsyncEngine]]:
    async with toy_app(new_database("toy"), issuer.published_in(tmp_path_factory.mktemp("issuer"))) as (app, engine):
        yield httpx.ASGITransport(app), engine


@pytest.fixture
async def client(toy: tuple[httpx.ASGITransport, AsyncEngine], issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
    async with httpx.AsyncClient(transport=toy[0], base_url="http://toy", headers=headers) as http:
        yield http


@pytest.fixture
def engine(toy: tuple[httpx.ASGITransport, AsyncEngine]) -> AsyncEngine:
    return toy[1]


def assert_problem(answer: httpx.Response, status: int, slug: str | None = None) -> dict[str, Any]:
    """The answer is problem+json of this status, and gives nothing away."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    assert slug is None or body["type"] == f"urn:tandem:problem:{slug}"
    assert not any(secret in answer.text for secret in ("Traceback", "select ", "asyncpg", "secret"))
    return body
