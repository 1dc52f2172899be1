"""The headers that protect who reads an answer in a browser."""

from collections.abc import Callable

import httpx
import pytest

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


async def test_only_a_declared_origin_may_read_an_answer(
    new_database: Callable[[str], str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    async with (
        toy_app(new_database("origins"), jwks, cors_origins=[FRONTEND]) as (app, _),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as http,
    ):
        for origin, allowed in ((FRONTEND, FRONTEND), ("https://frontend.example.evil", None), ("null", None)):
            answer = await http.get("/healthz", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers


async def test_no_other_origin_may_read_an_answer_by_default(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/boxes", headers={"Origin": FRONTEND})
    assert "access-control-allow-origin" not in answer.headers
