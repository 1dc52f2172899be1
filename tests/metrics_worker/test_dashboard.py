"""The live page is served whole, and nothing foreign can run in it."""

import re

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/dashboard.js", "text/javascript; charset=utf-8"),
        ("/dashboard.css", "text/css; charset=utf-8"),
    ],
)
async def test_the_page_needs_no_token(client: httpx.AsyncClient, path: str, media_type: str) -> None:
    answer = await client.get(path, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_page_uses_own_files_only(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {
        "data:,",
        "/dashboard.css",
        "/dashboard.js",
        "/openapi.json",
    }
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page)


async def test_the_script_writes_no_markup(client: httpx.AsyncClient) -> None:
    script = (await client.get("/dashboard.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
