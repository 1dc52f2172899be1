"""Filters of webhooks: which events of its types a webhook receives, by the values of their fields.

A filter maps fields to the values that they may have: `{"data.stage": ["won"], "data.region": ["north", "south"]}`. An
event passes when every field has one of its values. A field is the names that lead to it, joined by dots. Within a
list, one of its items is enough. A field that is absent counts as null. A custom field is found by its name, which is
not known here: `{"data.custom.site_region": ["north"]}`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_contracts.catalogue import EVENT_TYPES, METRICS_TOPIC, SALES_TOPIC, SERVICE_TOPIC
from event_contracts.schemas import data_schema
from service_kit.suggestions import known_names, nearest_name

Value = str | int | bool | None
Filters = Mapping[str, Sequence[Value]]

TOPICS: Final = (METRICS_TOPIC, SALES_TOPIC, SERVICE_TOPIC)
TYPES: Final = tuple(sorted(name for name, entry in EVENT_TYPES.items() if entry.topic in TOPICS))
"""The events that webhooks may receive: not those of directories, which hold names and are erased by tombstones."""
FAMILIES: Final = tuple(sorted({f"{name.partition('.')[0]}.*" for name in TYPES}))
"""All events of a service: `sales.*`."""
_JSON_TYPES: Final = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
_ROOT: Final = "data"
_ANY: Final = "*"
"""Stands for the name of a custom field."""
_DEEPEST: Final = 6


class FilterRefused(Exception):
    """The filter is not valid; the message gives its author the reason. `field` is the one that it is about."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class _Kind(NamedTuple):
    """One of the kinds of values that a field has."""

    json_type: str
    choices: tuple[Value, ...] | None
    format: str | None

    def takes(self, value: Value) -> bool:
        # Exactly: True is no 1.
        if type(value) is not _JSON_TYPES[self.json_type]:
            return False
        if self.choices is not None:
            return value in self.choices
        return self.format != "uuid" or _is_canonical_uuid(value)


def covered(wanted: Iterable[str]) -> list[str]:
    """Return the events that types and families stand for, by name."""
    names = set(wanted)
    return [name for name in TYPES if name in names or family_of(name) in names]


def family_of(name: str) -> str:
    """Return the family of an event: `sales.*`."""
    return f"{name.partition('.')[0]}.*"


def follows_services(wanted: Iterable[str]) -> bool:
    """Return whether events of sales or service are among those that types and families stand for."""
    return any(not name.startswith("metrics.") for name in wanted)


def check_filters(wanted: Iterable[str], filters: Filters) -> None:
    """Raise `FilterRefused` unless every event that is wanted has every field, and may have each of its values."""
    names = covered(wanted) if filters else []
    for field, values in filters.items():
        for name in names:
            known = _fields_of(name)
            found = field if field in known else f"{field.rpartition('.')[0]}.{_ANY}"
            if found not in known:
                raise FilterRefused(field, f"is no field of {name}; {known_names(field, known)}")
            for value in values:
                if not any(kind.takes(value) for kind in known[found]):
                    raise FilterRefused(field, f"never has this value in {name}; {_said_of(found, value, known)}")


def passes(filters: Filters, data: Any) -> bool:
    """Return whether an event with this data, as decoded from JSON, is one that is wanted."""
    return all(
        any((type(found), found) in {(type(value), value) for value in values} for found in _found(data, field))
        for field, values in filters.items()
    )


def _found(data: Any, field: str) -> Iterator[Any]:
    _, *steps = field.split(".")
    return _values(data, steps)


def _values(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item, steps)
    elif steps and isinstance(value, dict):
        yield from _values(value.get(steps[0]), steps[1:])
    else:
        # Of null nothing has a value either.
        yield value


@cache
def _fields_of(name: str) -> dict[str, tuple[_Kind, ...]]:
    """Return the fields of an event that hold values and not objects, with the kinds of their values."""
    schema = data_schema(EVENT_TYPES[name])
    found: dict[str, set[_Kind]] = {}
    for field, kind in _leaves(schema, schema.get("$defs", {}), _ROOT, 0):
        found.setdefault(field, set()).add(kind)
    return {field: tuple(sorted(kinds, key=lambda kind: kind.json_type)) for field, kinds in sorted(found.items())}


def _leaves(schema: Mapping[str, Any], parts: Mapping[str, Any], at: str, depth: int) -> Iterator[tuple[str, _Kind]]:
    if depth > _DEEPEST:
        return
    if "$ref" in schema:
        yield from _leaves(parts[schema["$ref"].rpartition("/")[2]], parts, at, depth)
        return
    for option in schema.get("anyOf", ()):
        yield from _leaves(option, parts, at, depth)
    for step, member in schema.get("properties", {}).items():
        yield from _leaves(member, parts, f"{at}.{step}", depth + 1)
    if isinstance(members := schema.get("additionalProperties"), dict):
        yield from _leaves(members, parts, f"{at}.{_ANY}", depth + 1)
        # That it has none is a value too.
        yield f"{at}.{_ANY}", _Kind("null", None, None)
    if "items" in schema:
        yield from _leaves(schema["items"], parts, at, depth + 1)
    choices = (schema["const"],) if "const" in schema else tuple(schema["enum"]) if "enum" in schema else None
    if choices is not None:
        for json_type in {_json_type_of(value) for value in choices}:
            of_type = tuple(value for value in choices if _json_type_of(value) == json_type)
            yield at, _Kind(json_type, of_type, None)
    elif schema.get("type") in _JSON_TYPES:
        yield at, _Kind(schema["type"], None, schema.get("format"))


def _json_type_of(value: Value) -> str:
    return next(name for name, kind in _JSON_TYPES.items() if type(value) is kind)


def _is_canonical_uuid(value: Value) -> bool:
    try:
        return str(UUID(str(value))) == value
    except ValueError:
        return False


def _said_of(field: str, value: Value, known: Mapping[str, Sequence[_Kind]]) -> str:
    """Return what a field's values are, and the nearest of them."""
    kinds = known[field]
    if within := [name for name in known if name.startswith(f"{field}.")]:
        return f"it is null or has fields of its own: {', '.join(within)}"
    choices = [str(choice) for kind in kinds for choice in kind.choices or ()]
    if choices:
        near = nearest_name(str(value), choices)
        return f"{f'did you mean {near}? ' if near else ''}there are: {', '.join(choices)}"
    return "it is " + " or ".join(
        "an id in lower case" if kind.format == "uuid" else _NAMES[kind.json_type] for kind in kinds
    )


_NAMES: Final = {"string": "a text", "integer": "a whole number", "boolean": "true or false", "null": "null"}
