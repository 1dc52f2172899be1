"""The OpenAPI documents say of every property and parameter what it is, and show an example that is valid."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydantic import TypeAdapter

import sales_api.app
from metrics_worker.webhooks.filters import TYPES
from sales_api.settings import SalesSettings
from service_kit.cors import EXPOSED
from service_kit.openapi import members
from service_kit.routing import StrictRoute
from tests.every_api.test_every_route import PACKAGES, make_app
from tests.openapi_schema import Schemas

WHAT_TO_DO = (
    "Give its type a meaning with service_kit.fields.described(text, example), as the service's fields.py does; "
    "or write a docstring below the field, for what is true of this one only. Parameters take Query(description=, "
    "examples=). Say what it means, in which unit, and when it is null."
)
FILLERS = frozenset("a an the of its it is this that for in on id code value field one".split())

OF_WEBHOOKS = ("POST metrics.", "POST sales.", "POST service.")

each_api = pytest.mark.parametrize("api", PACKAGES)


@cache
def document(api: str) -> dict[str, Any]:
    found: dict[str, Any] = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").openapi()
    return found


@cache
def schemas(api: str) -> Schemas:
    return Schemas(document(api))


def described_parts(api: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield every property and parameter: its name, what has the description, and its schema."""
    for name, schema in members(document(api)["components"]["schemas"]):
        yield name, schema, schema
    for path, operations in document(api)["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                yield f"{method.upper()} {path}?{parameter['name']}", parameter, parameter["schema"]


def schemas_with_examples(api: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from document(api)["components"]["schemas"].items()
    for name, _, schema in described_parts(api):
        yield name, schema


def shows_an_example(api: str, schema: dict[str, Any]) -> bool:
    """Return whether a schema has an example of its own, or is made of named ones that do."""
    if schema.get("examples"):
        return True
    if "$ref" in schema:
        return shows_an_example(api, document(api)["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
    return any(shows_an_example(api, part) for part in parts)


def words_of(text: str) -> set[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    return {word.removesuffix("s") for word in re.findall(r"[a-z]+", parted)} - FILLERS


@each_api
def test_every_property_and_parameter_is_described(api: str) -> None:
    found = [name for name, where, _ in described_parts(api) if not where.get("description", "").strip()]
    assert found == [], f"without a description: {', '.join(found)}. {WHAT_TO_DO}"


@each_api
def test_no_description_only_repeats_the_name(api: str) -> None:
    found = [
        f"{name}: {where['description']}"
        for name, where, _ in described_parts(api)
        if words_of(where["description"]) <= words_of(re.split("/v1/", name)[-1])
    ]
    assert found == [], f"these say no more than the name does: {found}. {WHAT_TO_DO}"


@each_api
def test_every_property_and_parameter_has_an_example(api: str) -> None:
    found = [name for name, _, schema in described_parts(api) if not shows_an_example(api, schema)]
    assert found == [], f"without an example: {', '.join(found)}. {WHAT_TO_DO}"


@each_api
def test_every_schema_is_described_and_has_an_example(api: str) -> None:
    schemas = document(api)["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []
    assert [name for name, schema in schemas.items() if not schema.get("examples")] == []


@each_api
def test_every_example_is_valid(api: str) -> None:
    found = []
    for name, schema in schemas_with_examples(api):
        if examples := schema.get("examples"):
            found += [f"{name}: {error}" for error in schemas(api).errors(schema, *examples)]
    assert found == []


@each_api
def test_the_rules_beyond_the_schema_accept_every_example_of_a_request(api: str) -> None:
    routes: list[StrictRoute] = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").state.routes
    schemas = document(api)["components"]["schemas"]
    tried = 0
    for route in routes:
        if route.body_field is not None:
            shape = route.body_field.field_info.annotation
            assert isinstance(shape, type)
            for example in schemas[shape.__name__]["examples"]:
                TypeAdapter(shape).validate_python(example)
                tried += 1
    assert tried > 2


@each_api
def test_what_one_value_of_a_list_means_is_said_under_one_name(api: str) -> None:
    """So that a generated client has one type for it, not one a property."""
    lists: dict[tuple[str, ...], list[str]] = {}
    for name, schema in members(document(api)["components"]["schemas"]):
        for part in (schema, *schema.get("anyOf", ())):
            if len(part.get("enum", ())) > 1:
                lists.setdefault(tuple(part["enum"]), []).append(name)
    twice = [names for names in lists.values() if len(names) > 1]
    assert twice == [], "give the type a name: described(…, schema='…')"


def operations_of(api: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, path, operation in (
        (method, path, operation)
        for part in ("paths", "webhooks")
        for path, methods in document(api).get(part, {}).items()
        for method, operation in methods.items()
    ):
        yield f"{method.upper()} {path}", operation


def resolved(api: str, part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document(api)
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def contents(api: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every body of a request or an answer: where it is, its media type, and what is said of it."""
    for name, operation in operations_of(api):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            for media_type, content in resolved(api, body).get("content", {}).items():
                yield f"{name} {place}", media_type, content


@each_api
def test_every_operation_is_described_in_a_described_group(api: str) -> None:
    tags = {tag["name"]: tag["description"] for tag in document(api)["tags"]}
    used = {tag for _, operation in operations_of(api) for tag in operation["tags"]}
    assert used == tags.keys(), "create_app(tags=…) describes the groups of the API's operations, and no others"
    for name, operation in operations_of(api):
        assert operation["summary"], name
        assert operation["description"].partition("\n\nRoles, ")[0].strip(), f"{name}: give the route a docstring"
        for status, answer in operation["responses"].items():
            assert resolved(api, answer)["description"].strip(" ."), f"{name} {status}"


@each_api
def test_every_body_has_an_example_that_is_valid(api: str) -> None:
    found = []
    for name, media_type, content in contents(api):
        if media_type == "application/vnd.apache.parquet":
            continue
        shown = [one["value"] for one in content.get("examples", {}).values()]
        shown += [content["example"]] if "example" in content else []
        if not shown and name.startswith(OF_WEBHOOKS):
            # A webhook's is that of its schema.
            continue
        if not shown and name.split()[-1] != "410":
            found.append(f"{name}: no example of {media_type}")
        found += [f"{name}: {error}" for error in schemas(api).errors(content["schema"], *shown)]
    assert found == []


@each_api
def test_every_answer_names_its_headers(api: str) -> None:
    for name, operation in operations_of(api):
        if name.startswith(OF_WEBHOOKS):
            continue
        for status, answer in operation["responses"].items():
            headers = resolved(api, answer)["headers"].keys()
            assert "X-Request-Id" in headers, f"{name} {status}"
            assert ("Retry-After" in headers) == (status in ("409", "429", "503")), f"{name} {status}"
            if status == "201" and "id" in resolved(api, answer["content"]["application/json"]["schema"])["properties"]:
                assert {"ETag", "Location"} <= headers or name.startswith("PUT "), name


@each_api
def test_only_operations_that_compare_versions_take_one(api: str) -> None:
    for name, operation in operations_of(api):
        taken = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert ("If-Match" in taken) == ("412" in operation["responses"]), name
        assert ("If-None-Match" in taken) == ("304" in operation["responses"]), name


def test_the_messages_of_webhooks_are_in_the_document() -> None:
    of_metrics = {name for name in TYPES if name.startswith("metrics.")}
    assert set(document("metrics-api")["webhooks"]) == {*of_metrics, "sales.*", "service.*"}


def test_a_document_names_the_address_that_the_setting_gives() -> None:
    settings = SalesSettings(database_url="postgresql+asyncpg://nowhere/nothing", api_url="https://sales.example.com")
    assert sales_api.app.create(settings).openapi()["servers"] == [{"url": "https://sales.example.com"}]
    assert document("sales-api")["servers"] == [{"url": "http://127.0.0.1:8001"}]


@each_api
def test_a_frontend_may_read_every_header_that_is_documented(api: str) -> None:
    answers = [
        answer
        for operations in document(api)["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
    ]
    documented = {name for answer in answers for name in answer.get("headers", {})}
    assert "ETag" in documented
    assert documented <= set(EXPOSED)
