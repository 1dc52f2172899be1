"""Reads the rows of an import: NDJSON, a record with its history a line, or CSV, a record a row."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import Field, ValidationError

from service_kit import strict_json
from service_kit.fields import StrictModel
from service_kit.imports.operations import ImportableResource
from service_kit.problems import Problem, Unprocessable, UnsupportedMediaType, invalid

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
MAX_HISTORY: Final = 1_000
MAX_STEPS: Final = 5_000
"""Records and steps of their histories in one request, which is one transaction."""


class Step(StrictModel):
    """A step of a record's history: the action and the body of `POST /v1/{resource}/{id}/{action}`.

    `update` is a PATCH of the record, and `create` the POST of another one, of the resource `of`.
    """

    action: str = Field(max_length=64)
    of: str | None = Field(default=None, max_length=64)
    """The resource that it is an action on, where that is not the record itself: the deals of a lead."""
    body: dict[str, Any] = Field(default_factory=dict)


class _Line(StrictModel):
    resource: str | None = Field(default=None, max_length=64)
    record: dict[str, Any]
    history: list[Step] = Field(default_factory=list, max_length=MAX_HISTORY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One record to import: the body that creates it, and its history."""

    line: int
    """Of the file, the first one being 1."""
    resource: str
    record: Mapping[str, Any]
    history: Sequence[Step] = field(default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableRow:
    """A row that cannot be read."""

    line: int
    resource: str | None
    problem: Problem


def read(
    body: bytes, media_type: str, resource: str | None, resources: Mapping[str, ImportableResource]
) -> list[Row | UnreadableRow]:
    """Return the rows of a body, each readable or not.

    `resource`, one of `resources`, is that of rows that name none. Raise `UnsupportedMediaType` (415), and
    `Unprocessable` (422) for a body that has no rows or too many.
    """
    if media_type == NDJSON:
        rows = list(_lines(body, resource, resources))
    elif media_type == CSV:
        if resource is None:
            raise Unprocessable.at("?resource", "is required: it names the resource of the CSV's rows")
        rows = list(_cells(body, resource, resources[resource].create.shape))
    else:
        raise UnsupportedMediaType(f"Send Content-Type {NDJSON} or {CSV}.")
    if not rows:
        raise Unprocessable("The body has no rows.")
    if sum(1 + len(row.history) for row in rows if isinstance(row, Row)) > MAX_STEPS:
        raise Unprocessable(f"Send at most {MAX_STEPS} records and steps of their histories at once.")
    return rows


def _lines(
    body: bytes, resource: str | None, resources: Mapping[str, ImportableResource]
) -> Iterator[Row | UnreadableRow]:
    for number, text in enumerate(body.split(b"\n"), 1):
        if not text.strip():
            continue
        name = resource
        try:
            try:
                line = _Line.model_validate(strict_json.parse(text))
            except ValidationError as error:
                raise invalid(error) from None
            name = line.resource or resource
            if name is None:
                raise Unprocessable.at("#/resource", "is required: it names the resource of the record")
            if name not in resources:
                raise Unprocessable.at("#/resource", f"is none of: {', '.join(sorted(resources))}")
            yield Row(line=number, resource=name, record=line.record, history=line.history)
        except Problem as problem:
            yield UnreadableRow(line=number, resource=name, problem=problem)


def _cells(body: bytes, resource: str, shape: Mapping[str, Any]) -> Iterator[Row | UnreadableRow]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unprocessable("The CSV is not UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        columns = _columns(header, shape)
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not cells:
                continue
            try:
                if len(cells) != len(columns):
                    raise Unprocessable(f"The row has {len(cells)} cells where the header has {len(columns)}.")
                record = _record(columns, cells)
                strict_json.check_texts(record)
                yield Row(line=line, resource=resource, record=record)
            except Problem as problem:
                yield UnreadableRow(line=line, resource=resource, problem=problem)
    except csv.Error as error:
        raise Unprocessable(f"Line {reader.line_num} is not CSV: {error}.") from None


@dataclass(frozen=True, slots=True)
class _Column:
    path: tuple[str | int, ...]
    type: str


def _columns(header: Sequence[str], shape: Mapping[str, Any]) -> list[_Column]:
    """Return the columns by their names, such as `channel` and `lines.0.quantity`."""
    columns: dict[str, _Column] = {}
    for name in header:
        if name in columns:
            raise Unprocessable(f"The header has the column {name!r} twice.")
        columns[name] = _column(name, shape)
    return list(columns.values())


def _column(name: str, shape: Mapping[str, Any]) -> _Column:
    path: list[str | int] = []
    schema: Mapping[str, Any] = shape
    for part in name.split("."):
        options = [_resolved(shape, option) for option in schema.get("anyOf", [schema])]
        held = next((option for option in options if "properties" in option or "items" in option), {})
        if part.isdecimal() and part.isascii() and "items" in held:
            if int(part) >= held.get("maxItems", MAX_STEPS):
                raise Unprocessable(f"The column {name!r} has too high a number.")
            path.append(int(part))
            schema = _resolved(shape, held["items"])
        elif part in held.get("properties", {}):
            path.append(part)
            schema = _resolved(shape, held["properties"][part])
        elif members := next((each["additionalProperties"] for each in options if _is_open(each)), None):
            # A custom field: its type is not known here, and all of its values may be given as texts.
            path.append(part)
            schema = {"anyOf": [each for each in members["anyOf"] if each["type"] != "boolean"]}
        else:
            raise Unprocessable(
                f"The column {name[:100]!r} is no field of the resource. Remove it, or correct its name."
            )
    types = {_resolved(shape, option).get("type", "") for option in schema.get("anyOf", [schema])}
    return _Column(tuple(path), next((one for one in ("integer", "boolean") if one in types), "string"))


def _is_open(schema: Mapping[str, Any]) -> bool:
    return isinstance(schema.get("additionalProperties"), dict)


def _resolved(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = shape["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _record(columns: Sequence[_Column], cells: Sequence[str]) -> dict[str, Any]:
    """Return the body that a row's cells make; an empty cell is a field that is left out."""
    record: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if cell != "":
            _put(record, column.path, _value(column, cell))
    whole = _listed(record)
    assert isinstance(whole, dict)  # noqa: S101 - its keys are names
    return whole


def _value(column: _Column, cell: str) -> str | int | bool:
    # As JSON has them; anything else stays a text, which the field itself refuses.
    if column.type == "integer" and cell.isascii() and cell.removeprefix("-").isdecimal() and len(cell) < 20:
        return int(cell)
    if column.type == "boolean" and cell in ("true", "false"):
        return cell == "true"
    return cell


def _put(into: dict[Any, Any], path: Sequence[str | int], value: Any) -> None:
    for step in path[:-1]:
        into = into.setdefault(step, {})
    into[path[-1]] = value


def _listed(value: Any) -> Any:
    """Return the value with lists in place of mappings that have numbers as keys; gaps are closed."""
    if not isinstance(value, dict):
        return value
    if value and all(isinstance(key, int) for key in value):
        return [_listed(value[key]) for key in sorted(value)]
    return {key: _listed(member) for key, member in value.items()}
