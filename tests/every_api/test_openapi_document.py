"""The OpenAPI documents say of every property and parameter what it is, and show an example that is valid."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from service_kit.openapi import members
from service_kit.routing import StrictRoute
from tests.every_api.test_every_route import PACKAGES, make_app

WHAT_TO_DO = (
    "Give its type a meaning with service_kit.fields.described(text, example), as the service's fields.py does; "
    "or write a docstring below the field, for what is true of this one only. Parameters take Query(description=, "
    "examples=). Say what it means, in which unit, and when it is null."
)
FILLERS = frozenset("a an the of its it is this that for in on id code value field one".split())

each_api = pytest.mark.parametrize("api", PACKAGES)


@cache
def document(api: str) -> dict[str, Any]:
    found: dict[str, Any] = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").openapi()
    return found


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
    components = document(api)["components"]
    found = []
    for name, schema in schemas_with_examples(api):
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": components}, validate_formats=True)
        for example in schema.get("examples", ()):
            found += [f"{name}: {error.message}" for error in validator.iter_errors(example)]
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
