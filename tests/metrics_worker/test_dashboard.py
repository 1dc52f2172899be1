"""The page is served whole, and nothing foreign can run in it."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from metrics_worker import dashboard
from metrics_worker.settings import MetricsSettings

PAGE = (
    '<!doctype html><meta content="{{issuer}} {{client-id}}">'
    '<script type="module" src="/assets/index-1a2b3c.js"></script>'
)


def client_of(folder: Path) -> httpx.AsyncClient:
    app = FastAPI()
    settings = MetricsSettings(
        database_url="postgresql+asyncpg://nowhere/nothing",
        auth_issuer="https://login.example.com/realms/tandem",
        dashboard_client_id='a"b',
    )
    dashboard.add_to(app, settings, folder)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dashboard")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build leaves, in short."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "assets" / "index-1a2b3c.js").write_text("export {};")
    return tmp_path


async def test_every_page_is_the_same_document_and_asks_for_no_token(built: Path) -> None:
    shown = PAGE.replace("{{issuer}} {{client-id}}", "https://login.example.com/realms/tandem a&quot;b")
    async with client_of(built) as client:
        for path in dashboard.PAGES:
            answer = await client.get(path.format(kpi="revenue", id="1"))
            assert (answer.status_code, answer.text) == (200, shown)
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            # A new version has to be seen at once.
            assert answer.headers["cache-control"] == "no-cache"


async def test_only_own_files_may_run_and_only_the_issuer_is_asked_beside_the_apis(built: Path) -> None:
    async with client_of(built) as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self' https://login.example.com http://127.0.0.1:8001 http://127.0.0.1:8002;" in policy
    assert "unsafe" not in policy


async def test_assets_are_kept_for_good_under_the_hash_in_their_names(built: Path) -> None:
    async with client_of(built) as client:
        answer = await client.get("/assets/index-1a2b3c.js")
        assert (answer.status_code, answer.text) == (200, "export {};")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in answer.headers["cache-control"]
        assert (await client.get("/assets/index-000000.js")).status_code == 404


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make dashboard" in answer.text
