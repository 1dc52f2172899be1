"""The API's description: complete, and readable on a closed network."""

from collections.abc import Callable

import httpx
import pytest

from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer, toy_app


async def test_the_page_and_all_it_loads_come_from_the_service_itself(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "https://" not in page.text
    for asset in ("start.js", "swagger-ui.css", "swagger-ui-bundle.js"):
        assert f'"/docs/{asset}"' in page.text
        assert (await client.get(f"/docs/{asset}")).status_code == 200


async def test_the_description_names_tokens_errors_and_the_headers_of_writes(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"bearer": []}]
    create = document["paths"]["/v1/boxes"]["post"]
    assert {"401", "403", "409", "410", "422", "503"} <= set(create["responses"])
    assert {each["name"] for each in create["parameters"]} == {"Idempotency-Key"}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    changes = [operation for operation in operations if "412" in operation["responses"]]
    assert changes
    assert all("If-Match" in {each["name"] for each in operation["parameters"]} for operation in changes)
    assert "application/problem+json" in create["responses"]["422"]["content"]


async def test_neither_docs_nor_metrics_are_public_unless_they_are_set_to_be(
    new_database: Callable[[str], str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    async with (
        toy_app(new_database("docs"), jwks, api_docs=False) as (app, _),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as http,
    ):
        for path in ("/docs", "/docs/start.js", "/openapi.json", "/metrics"):
            assert_problem(await http.get(path), 404)
    # The description is still made for those who ask the application itself.
    assert "/v1/boxes" in app.openapi()["paths"]
