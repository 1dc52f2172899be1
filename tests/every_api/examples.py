"""Good requests, taken from each API's own OpenAPI document, and every way to spoil one of their fields."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

MARK = "f2a9d6c0-spoil-here"
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

NOT_TEXT = [r'"\ud800"', r'"a\u0000b"', "true", "NaN", "[]"]
NOT_AN_INTEGER = ["true", "NaN", "Infinity", "9223372036854775808", "1.5", '"1"', "1e400"]
NOT_A_DECIMAL = [
    "1.5", "NaN", "1e400", "true", '"1E+400000000"', '"1_000"', '"１２"', '"NaN"', '"1.123456789012"', '""',
    '"-0"', '"-0.00"',
]  # fmt: skip
NOT_A_MOMENT = [
    '"2026-01-01T00:00:00"',
    '"0001-01-01T00:00:00+14:00"',
    "1700000000",
    '"yesterday"',
    '"2300-01-01T00:00:00Z"',
]
NOT_A_DAY = ['"2026-02-30"', "20000", '"2026-01-01T00:00:00Z"', '"0001-01-01"']


class Operation(msgspec.Struct, frozen=True):
    """One route of one API."""

    api: str
    id: str
    """The operation id."""
    method: str
    path: str
    """With its parameters filled in by random identifiers that exist nowhere."""
    template: str
    examples: list[Any]
    fields: set[str]
    """Every field of the body, nested ones by their pointer, array items as `*`."""
    parameters: list[dict[str, Any]]
    is_public: bool

    def __str__(self) -> str:
        return f"{self.api} {self.method} {self.template}"

    @property
    def writes(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH", "DELETE")


def operations(api: str, document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation that an OpenAPI document describes."""
    for template, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", None)
            yield Operation(
                api=api,
                id=operation["operationId"],
                method=method.upper(),
                path=re.sub(r"\{[a-z_]+\}", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11", template),
                template=template,
                examples=_examples(document, schema) if schema else [],
                fields=set(_fields(document, schema)) if schema else set(),
                parameters=operation.get("parameters", []),
                is_public=operation.get("security") == [],
            )


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _examples(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    return list(_resolve(document, schema).get("examples", []))


def _fields(document: dict[str, Any], schema: dict[str, Any], at: str = "") -> Iterator[str]:
    schema = _resolve(document, schema)
    for option in schema.get("anyOf", []) + schema.get("oneOf", []) + schema.get("allOf", []):
        yield from _fields(document, option, at)
    for name, member in schema.get("properties", {}).items():
        yield f"{at}/{name}"
        yield from _fields(document, member, f"{at}/{name}")
    if isinstance(schema.get("items"), dict):
        yield from _fields(document, schema["items"], f"{at}/*")


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a JSON value with its pointer, array items as `*`."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield f"{at}/{name}", None
            yield from leaves(member, f"{at}/{name}")
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, f"{at}/*")
    else:
        yield at, value


def spoiled(example: Any) -> Iterator[tuple[str, str]]:
    """The example's text with one scalar replaced by something that it must not be; and what was replaced."""
    for path, value in _scalars(example):
        if isinstance(value, bool):
            bad = ["1", '"true"', "NaN"]
        elif isinstance(value, int):
            bad = NOT_AN_INTEGER
        elif isinstance(value, str) and _DECIMAL.fullmatch(value):
            bad = NOT_A_DECIMAL
        elif isinstance(value, str) and _MOMENT.fullmatch(value):
            bad = NOT_A_MOMENT + NOT_TEXT
        elif isinstance(value, str) and _DAY.fullmatch(value):
            bad = NOT_A_DAY + NOT_TEXT
        elif isinstance(value, str):
            bad = NOT_TEXT
        else:
            raise AssertionError(f"an example must not hold {value!r}")
        whole = json.dumps(_replaced(example, path))
        for replacement in bad:
            yield whole.replace(f'"{MARK}"', replacement), f"/{'/'.join(map(str, path))} = {replacement}"


def _scalars(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield at, value
    else:
        for step, member in members:
            yield from _scalars(member, (*at, step))


def _replaced(value: Any, path: tuple[str | int, ...]) -> Any:
    if not path:
        return MARK
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(copy[path[0]], path[1:])  # type: ignore[index]
    return copy
