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
    }
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page)


async def test_the_script_writes_no_markup(client: httpx.AsyncClient) -> None:
    script = (await client.get("/dashboard.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


async def test_every_element_that_the_script_needs_is_in_the_page(client: httpx.AsyncClient) -> None:
    page, script = [(await client.get(path)).text for path in ("/", "/dashboard.js")]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(ids)
    classes = {name for names in re.findall(r'class="([^"]+)"', page) for name in names.split()}
    assert set(re.findall(r'querySelector\("\.([a-z-]+)"\)', script)) <= classes
    labels = re.findall(r'aria-labelledby="([^"]+)"', page)
    assert set(labels) <= set(ids)
    assert page.count('scope="col"') == page.count("<th ")


async def test_what_the_page_asks_for_is_there(client: httpx.AsyncClient) -> None:
    script = (await client.get("/dashboard.js")).text
    asked = set(re.findall(r'["`](/v1/[a-z-]+)', script))
    assert asked == {"/v1/kpis", "/v1/stream", "/v1/stream-tickets", "/v1/scorecard"}
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert asked <= set(paths)
