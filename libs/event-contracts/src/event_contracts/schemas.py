"""The JSON Schemas of the events' data and of their CloudEvents envelope, made from the types by msgspec."""

from functools import cache
from inspect import cleandoc
from typing import Any, Final

import msgspec

from event_contracts.catalogue import EventType
from event_contracts.codec import Envelope

__all__ = ["DIALECT", "ENVELOPE_FILE", "ENVELOPE_ID", "data_schema", "envelope_schema", "schema_file"]

JsonSchema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE_FILE: Final = "cloudevent.v1.json"
ENVELOPE_ID: Final = "urn:tandem:schema:cloudevent:1"

_DECIMAL_PATTERN: Final = r"^-?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]+)?$"
"""Replaces msgspec's `format: decimal`, which JSON Schema does not know."""

_UUID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# What the types leave open because the decoder compares it with the catalogue instead.
_ATTRIBUTES: Final[dict[str, JsonSchema]] = {
    "specversion": {"const": "1.0", "description": "The version of CloudEvents."},
    "id": {"description": "A UUID; a repeated record repeats it."},
    "source": {
        "enum": ["/metrics-worker", "/sales-api", "/service-api"],
        "description": "The service that publishes the event.",
    },
    "type": {
        "pattern": r"^[a-z]+\.[a-z]+(-[a-z]+)*$",
        "description": "The fact, in the past tense: `sales.deal-closed`.",
    },
    "dataschema": {
        "pattern": r"^urn:tandem:schema:[a-z.-]+:[1-9][0-9]*$",
        "description": "The `$id` of the data's schema, with its major version.",
    },
    "subject": {"pattern": f"^[a-z]+/{_UUID_PATTERN}$", "description": "The aggregate: `deals/<uuid>`."},
    "time": {"description": "When it happened in the business; an import may date it back."},
    "recordedtime": {"description": "When the service recorded it."},
    "sequence": {"description": "The aggregate's version: 1, 2, 3 … without gaps; of one epoch the highest wins."},
    "epoch": {
        "description": "The epoch of the service's stream: an event of a higher one is newer whatever its sequence. "
        "A restore of the service's database raises it. Absent in old events, which belong to the first.",
    },
    "partitionkey": {
        "format": "uuid",
        "description": "The Kafka record's key: the customer's id where the aggregate has one from the start, "
        "otherwise its own; it never changes.",
    },
    "datacontenttype": {"const": "application/json"},
    "traceparent": {"description": "The W3C trace context of the request that caused the event."},
    "data": {"type": "object", "description": "The whole state of the aggregate after the change."},
}


def schema_file(entry: EventType) -> str:
    """The name of the file that an event's schema is published in: `sales.deal-closed.v1.json`."""
    return f"{entry.name}.v{entry.version}.json"


def data_schema(entry: EventType) -> JsonSchema:
    """The JSON Schema (2020-12) of an event's data.

    `x-event` holds what a reader relies on beside the data itself: the event's type, its topic and kind of subject.
    """
    return {
        "$schema": DIALECT,
        "$id": entry.dataschema,
        "x-event": {"type": entry.name, "topic": entry.topic, "subject": f"{entry.subject_kind}/<id>"},
        **_inlined(entry.data),
    }


def envelope_schema() -> JsonSchema:
    """The JSON Schema (2020-12) of a whole record's value, whatever its event."""
    schema = _inlined(Envelope)
    for name, details in _ATTRIBUTES.items():
        schema["properties"][name] |= details
    return {
        "$schema": DIALECT,
        "$id": ENVELOPE_ID,
        **schema,
        "title": "CloudEvent",
        "description": "One event in CloudEvents' structured JSON: the record's value on every topic.",
    }


def _inlined(data: type[Any]) -> JsonSchema:
    """A type's schema in the form that is published; each call returns one of its own."""
    published: JsonSchema = _published(_of_msgspec(data))  # type: ignore[arg-type]  # a class is hashable
    return published


@cache
def _of_msgspec(data: type[Any]) -> JsonSchema:
    """msgspec's schema of a type with the type itself at the root, and only what it refers to under `$defs`."""
    (schema,), definitions = msgspec.json.schema_components([data], ref_template="#/$defs/{name}")
    root: JsonSchema = definitions.pop(schema["$ref"].rpartition("/")[2])
    return root | ({"$defs": dict(sorted(definitions.items()))} if definitions else {})


def _published(schema: Any) -> Any:
    """Return a schema in the form that is published: exact decimals, descriptions without indentation.

    Python 3.13 strips a docstring's indentation when it compiles it; earlier versions keep it.
    """
    if isinstance(schema, list):
        return [_published(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    published = {key: _published(value) for key, value in schema.items()}
    if isinstance(description := published.get("description"), str):
        published["description"] = cleandoc(description)
    if published.get("format") == "decimal":
        del published["format"]
        return {"description": "An exact decimal number.", **published, "pattern": _DECIMAL_PATTERN}
    return published
