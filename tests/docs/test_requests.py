"""The APIs accept every request in the documents: address, query and body."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

import metrics_worker.app
import sales_api.app
import service_api.app
from metrics_worker.settings import MetricsSettings
from sales_api.settings import SalesSettings
from service_api.settings import ServiceApiSettings
from tests.openapi_schema import Schemas

ROOT = Path(__file__).parents[2]
QUICKSTART = (ROOT / "docs/quickstart-frontend.md").read_text()
REQUESTS = re.findall(r"^```http\n(.*?)^```", QUICKSTART, re.MULTILINE | re.DOTALL)
NOWHERE = "postgresql+asyncpg://unknown@localhost/none"
SOME_ID = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"


@cache
def operations() -> dict[tuple[str, str], tuple[dict[str, Any], Schemas]]:
    """Return every operation of the three APIs by method and path, with the schemas of its document."""
    documents = [
        sales_api.app.create(SalesSettings(database_url=NOWHERE)).openapi(),
        service_api.app.create(
            ServiceApiSettings(database_url=NOWHERE, survey_link_secret=SecretStr("x" * 16))
        ).openapi(),
        metrics_worker.app.create(MetricsSettings(database_url=NOWHERE)).openapi(),
    ]
    return {
        (method.upper(), path): (operation, schemas)
        for document, schemas in ((document, Schemas(document)) for document in documents)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def found(method: str, path: str) -> list[tuple[dict[str, Any], Schemas]]:
    """Return the operations that match an address; placeholders match placeholders only."""
    shown = re.sub(r"\{\w+\}", SOME_ID, path)
    # What is named as it is, no placeholder takes.
    matching = [operation for address, operation in operations().items() if address == (method, shown)]
    for (other_method, template), operation in operations().items() if not matching else ():
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", template))
        if other_method == method and re.fullmatch(pattern, shown):
            matching.append(operation)
    return matching


@pytest.mark.parametrize("request_shown", REQUESTS, ids=lambda text: text.splitlines()[0])
def test_an_api_accepts_the_request_of_the_quickstart(request_shown: str) -> None:
    head, _, body = request_shown.partition("\n")
    method, target = head.split(" ")
    address = urlsplit(target)
    assert found(method, address.path), head
    for operation, schemas in found(method, address.path):
        known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        assert {name for name, _ in parse_qsl(address.query)} <= known
        assert ("requestBody" in operation) == bool(body.strip())
        if body.strip():
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            given = json.loads(re.sub(r"\{(account|deal|ticket)\}", SOME_ID, body))
            assert schemas.errors(schema, given) == []


def test_every_named_address_exists() -> None:
    for document in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/v1/[^\s?`]+)", document.read_text()):
            named = re.sub(r"\{(name)\}", "revenue", path)
            assert found(method, named), f"{document.name}: {method} {path}"
