"""The headers that protect who reads an answer in a browser."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.service_kit.toy import Issuer, toy_app

FRONTEND = "https://frontend.example"


@pytest.mark.parametrize("path", ["/v1/boxes", "/v1/nowhere", "/v1/boxes/broken", "/healthz"])
async def test_every_answer_is_neither_cached_nor_framed_nor_guessed_at(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/v1/boxes", "/v1/nowhere", "/healthz"])
async def test_an_answer_is_not_shown_as_a_page(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["content-disposition"] == 'attachment; filename="answer.json"'


async def test_hsts_is_sent_by_https_only(client: httpx.AsyncClient) -> None:
    assert "strict-transport-security" not in (await client.get("/healthz")).headers
    by_https = await client.get(client.base_url.copy_with(scheme="https").join("/healthz"))
    assert by_https.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.fixture
async def shared_toy(
    new_database: Callable[[str], str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    """A service that a frontend of another origin uses, with the strictest limits."""
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    settings: dict[str, Any] = {
        "cors_origins": [FRONTEND],
        "https_required": True,
        "trusted_proxies": ["10.0.0.0/8"],
        "address_requests_per_second": 0.001,
        "address_burst": 3,
    }
    async with toy_app(new_database("origins"), jwks, **settings) as (app, _):
        yield app


def browser(app: FastAPI, base_url: str = "https://toy", origin: str = FRONTEND) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers={"Origin": origin})


def exposed(answer: httpx.Response) -> set[str]:
    return set(answer.headers.get("access-control-expose-headers", "").split(", "))


async def test_only_a_declared_origin_may_read_an_answer(shared_toy: FastAPI) -> None:
    for origin, allowed in ((FRONTEND, FRONTEND), ("https://frontend.example.evil", None), ("null", None)):
        async with browser(shared_toy, origin=origin) as http:
            answer = await http.get("/healthz")
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_declared_origin_may_read_every_refusal(shared_toy: FastAPI, issuer: Issuer) -> None:
    """Or its browser would report a failed connection, with neither status nor request id."""
    authorized = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
    async with browser(shared_toy, "https://elsewhere") as http:
        answers = {400: await http.get("/v1/boxes")}
    async with browser(shared_toy, "http://toy") as http:
        answers[403] = await http.get("/v1/boxes")
    async with browser(shared_toy) as http:
        answers[401] = await http.get("/v1/boxes")
        answers[500] = await http.get("/v1/boxes/broken", headers=authorized)
        answers[404] = await http.get("/v1/nowhere", headers=authorized)
        answers[429] = await http.get("/v1/boxes", headers=authorized)
    for status, answer in answers.items():
        assert answer.status_code == status, answer.text
        assert answer.headers["access-control-allow-origin"] == FRONTEND
        assert {"X-Request-Id", "Retry-After", "RateLimit"} <= exposed(answer)
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_browser_may_send_what_the_api_asks_for(shared_toy: FastAPI, method: str) -> None:
    wanted = "authorization,content-type,idempotency-key,if-match,if-none-match,last-event-id,traceparent,x-request-id"
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
    async with browser(shared_toy) as http:
        # More often than the address may send requests: a question is none.
        for _ in range(5):
            assert (await http.options("/v1/boxes", headers=asked)).status_code == 200
    async with browser(shared_toy, origin="https://other.example") as http:
        assert (await http.options("/v1/boxes", headers=asked)).status_code == 400


async def test_no_other_origin_may_read_an_answer_by_default(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/boxes", headers={"Origin": FRONTEND})
    assert "access-control-allow-origin" not in answer.headers
