"""HTTPS: ended by the process itself or by a trusted proxy, and required where that is set."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service_kit.middleware import RequestContext
from service_kit.runner import http_server
from service_kit.settings import ServiceSettings
from tests.certificates import Authority
from tests.service_kit.conftest import assert_problem
from tests.support import eventually

DATABASE = "postgresql+asyncpg://none"


async def hello(_: Request) -> JSONResponse:
    return JSONResponse("hello")


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[int]:
    """A server with these settings, on the port that is returned."""
    given = ServiceSettings(database_url=DATABASE, **settings)
    app = Starlette(routes=[Route("/hello", hello), Route("/healthz", hello)])
    app.add_middleware(RequestContext, settings=given)
    server = http_server(app, given)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def own(authority: Authority) -> dict[str, Any]:
    """The settings of a process that ends TLS itself."""
    pem = authority.issue("127.0.0.1")
    return {"http_tls_cert_file": pem, "http_tls_key_file": pem}


async def test_a_process_ends_tls_itself(own: dict[str, Any], authority: Authority) -> None:
    verified = ssl.create_default_context(cafile=authority.ca_pem)
    async with served(https_required=True, **own) as port, httpx.AsyncClient(verify=verified) as http:
        answer = await http.get(f"https://127.0.0.1:{port}/hello")
        assert answer.json() == "hello"
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        with pytest.raises(httpx.HTTPError):
            await http.get(f"http://127.0.0.1:{port}/hello")


async def test_limits_hold_for_encrypted_connections_too(own: dict[str, Any], authority: Authority) -> None:
    verified = ssl.create_default_context(cafile=authority.ca_pem)
    async with served(max_url_bytes=1024, **own) as port, httpx.AsyncClient(verify=verified) as http:
        assert (await http.get(f"https://127.0.0.1:{port}/hello", params={"a": "a" * 1024})).status_code == 414


async def test_a_trusted_proxy_says_what_came_by_https() -> None:
    settings: dict[str, Any] = {"https_required": True, "trusted_proxies": ["127.0.0.1"], "hsts_seconds": 60}
    async with served(**settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        by_https = await http.get("/hello", headers={"X-Forwarded-Proto": "https"})
        assert by_https.status_code == 200
        assert by_https.headers["strict-transport-security"] == "max-age=60; includeSubDomains"
        for headers in ({"X-Forwarded-Proto": "http"}, {}):
            refused = await http.get("/hello", headers=headers)
            assert_problem(refused, 403, "https-required")
            assert "strict-transport-security" not in refused.headers
        # The orchestrator asks without a proxy.
        assert (await http.get("/healthz")).status_code == 200


async def test_no_other_client_says_what_came_by_https() -> None:
    settings: dict[str, Any] = {"https_required": True, "trusted_proxies": ["10.0.0.1"]}
    async with served(**settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert_problem(await http.get("/hello", headers={"X-Forwarded-Proto": "https"}), 403, "https-required")


async def test_hsts_can_be_left_to_the_proxy() -> None:
    settings: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "hsts_seconds": 0}
    async with served(**settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get("/hello", headers={"X-Forwarded-Proto": "https"})
        assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"https_required": True}, "HTTPS_REQUIRED would refuse everything"),
        ({"http_tls_cert_file": __file__}, "belong together"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ServiceSettings(database_url=DATABASE, **given)
