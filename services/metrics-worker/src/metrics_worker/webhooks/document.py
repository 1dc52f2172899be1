"""The messages that webhooks receive, as the OpenAPI document shows them: one an event of metrics, from its contract.

Those of sales and service are one a family: `GET /v1/schemas` answers what each of their events holds.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from event_contracts import metrics as contract
from event_contracts.catalogue import EVENT_TYPES, METRICS_TOPIC, EventType, Restoration
from event_contracts.examples import examples
from event_contracts.schemas import data_schema
from metrics_worker.webhooks.filters import TYPES
from service_kit.docstrings import attribute_docstrings

_COMPONENTS: Final = "#/components/schemas/"


def webhooks() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document's webhooks by the type of their event, and the schemas that they refer to."""
    found: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name in TYPES:
        entry = EVENT_TYPES[name]
        if entry.topic == METRICS_TOPIC:
            text, operation_id = entry.data.__doc__ or "", name.partition(".")[2].replace("-", "_")
            found[name] = {"post": _operation(name, operation_id, text, _message_name(entry))}
            schemas |= _schemas(entry)
    for service, shown in _SERVICES.items():
        family, text = f"{service}.*", f"An event of {service}."
        message = f"{service.capitalize()}EventMessage"
        found[family] = {"post": _operation(family, f"receive_{service}_event", text, message)}
        schemas[message] = _service_message(service, EVENT_TYPES[shown])
    return found, schemas


_SERVICES: Final = {"sales": "sales.deal-closed", "service": "service.ticket-opened"}
"""The services whose events are one message each, with an event to show."""


def _operation(name: str, operation_id: str, text: str, message: str) -> dict[str, Any]:
    return {
        "tags": ["push"],
        "operationId": operation_id,
        "summary": text.rstrip("."),
        "description": f"{text} Sent to the webhooks that are registered for `{name}`; any 2xx within 15 seconds "
        "takes it, all else is tried again for three days. Order is not guaranteed: of one `subject`, the highest "
        "`sequence` is the newest.",
        "security": [],
        "parameters": [_header(*each) for each in _SIGNED],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _COMPONENTS + message}}},
        },
        "responses": {
            "2XX": {"description": "The message is taken."},
            "410": {"description": "The receiver is gone for good: the webhook is switched off."},
        },
    }


def _header(name: str, text: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "examples": [example]}
    return {"name": name, "in": "header", "required": True, "description": text, "schema": schema}


_SIGNED: Final = (
    (
        "webhook-id",
        "The event, the same in every try: store it to detect repeats.",
        "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21",
    ),
    ("webhook-timestamp", "When it was tried, in seconds since 1970; refuse one over five minutes off.", "1774958400"),
    (
        "webhook-signature",
        "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one a secret, separated by spaces.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
)


def _message_name(entry: EventType) -> str:
    return f"{entry.data.__name__}Message"


def _schemas(entry: EventType) -> dict[str, Any]:
    whole = data_schema(entry)
    parts: dict[str, Any] = whole.pop("$defs", {})
    data = {name: whole[name] for name in ("type", "description", "properties", "required")}
    published = {entry.data.__name__: data, **parts}
    # The data's schemas refer to each other as files of their own.
    schemas: dict[str, Any] = json.loads(json.dumps(published).replace("#/$defs/", _COMPONENTS))
    _describe(schemas[entry.data.__name__], entry.data)
    if entry.correction == "restored":
        # Its class is made of the declaration of all corrections, which has no place for a docstring.
        schemas[entry.data.__name__]["properties"]["change"]["description"] = "Which of its events the restore lost."
    for name in parts:
        # What every correction says has no service of its own.
        _describe(schemas[name], Restoration if name == Restoration.__name__ else getattr(contract, name))
    example = examples()[entry.name]
    _show(data := schemas[entry.data.__name__], msgspec.to_builtins(example.data), schemas)
    subject = f"{entry.subject_kind}/{example.data.id}"
    message = _envelope({"const": entry.name}, entry, subject) | {
        "data": {"$ref": _COMPONENTS + entry.data.__name__, "description": "The whole state after the change."}
    }
    schemas[_message_name(entry)] = {
        "type": "object",
        "description": f"The message of a webhook. {data['description']}",
        "properties": message,
        "required": list(message),
    }
    return schemas


def _service_message(service: str, shown: EventType) -> dict[str, Any]:
    example = examples()[shown.name]
    types = [name for name in TYPES if name.startswith(f"{service}.")]
    message = _envelope({"enum": types}, shown, f"{shown.subject_kind}/{example.data.id}") | {
        "epoch": {
            "type": "integer",
            "minimum": 1,
            "description": "Raised by a restore of the service: a higher one is newer whatever the sequence.",
            "examples": [1],
        },
        "data": {
            "type": "object",
            "additionalProperties": True,
            "description": "The whole state after the change: `GET /v1/schemas/{type}` has its schema.",
            "examples": [{"id": str(example.data.id)}],
        },
    }
    return {
        "type": "object",
        "description": f"The message of a webhook: an event of {service}.",
        "properties": message,
        "required": list(message),
    }


def _envelope(kind: dict[str, Any], shown: EventType, subject: str) -> dict[str, Any]:
    example = examples()[shown.name]
    return {
        "type": {**kind, "type": "string", "description": "What happened.", "examples": [shown.name]},
        "timestamp": {
            "type": "string",
            "format": "date-time",
            "description": "When it happened in the business.",
            "examples": [example.time.isoformat().replace("+00:00", "Z")],
        },
        "subject": {"type": "string", "description": "What the event is about.", "examples": [subject]},
        "sequence": {
            "type": "integer",
            "minimum": 1,
            "description": "The version of the subject: the highest one is the newest.",
            "examples": [example.sequence],
        },
    }


def _describe(schema: dict[str, Any], kind: type) -> None:
    for name, text in attribute_docstrings(kind).items():
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = text


def _show(schema: dict[str, Any], value: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Give each property the example that the event's own has."""
    for name, member in schema.get("properties", {}).items():
        inner = member.get("$ref", "").removeprefix(_COMPONENTS)
        if inner:
            _show(schemas[inner], value[name], schemas)
        else:
            member["examples"] = [value.get(name)]
