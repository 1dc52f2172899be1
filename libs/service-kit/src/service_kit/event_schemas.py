"""`GET /v1/schemas`: the JSON Schema of every event, to which its `dataschema` leads; public, on every API."""

import hashlib
from functools import cache
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Request, Response

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.schemas import DIALECT, ENVELOPE_ID, data_schema, envelope_schema
from service_kit.fields import ReadModel, described
from service_kit.problems import NotFound
from service_kit.routing import router
from service_kit.suggestions import nearest_name
from service_kit.versions import unchanged

SCHEMAS_TAG: Final = {"schemas": "The JSON Schemas of events, as they are on Kafka."}
MEDIA_TYPE: Final = "application/schema+json"
ENVELOPE: Final = "cloudevent"
_URN: Final = "urn:tandem:schema:"
_CACHED: Final = {
    "Cache-Control": "public, max-age=3600",
    # What is stored for one origin may not be answered to another.
    "Vary": "Origin",
}
_SHOWN: Final = "sales.deal-closed"


_DOCUMENT: Final[dict[str, Any]] = {"type": "object", "description": "A JSON Schema of the 2020-12 dialect."}

_EXAMPLE: Final = {
    "$schema": DIALECT,
    "$id": f"{_URN}{_SHOWN}:1",
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string", "format": "uuid"}},
}


class _Schema(NamedTuple):
    content: bytes
    tag: str


@cache
def _schema(name: str) -> _Schema:
    """Return a schema by the event's type. Each is made at its first request: all would take a second."""
    document = envelope_schema() if name == ENVELOPE else data_schema(EVENT_TYPES[name])
    content = msgspec.json.encode(document)
    return _Schema(content, hashlib.sha256(content).hexdigest()[:32])


def _urns() -> dict[str, str]:
    """Return every schema's `$id` by the event's type."""
    return {ENVELOPE: ENVELOPE_ID} | {name: entry.dataschema for name, entry in sorted(EVENT_TYPES.items())}


class EventSchemaRead(ReadModel):
    """A schema and what it is of."""

    type: Annotated[str, described("The event's type; `cloudevent` for what surrounds every event's data.", _SHOWN)]
    dataschema: Annotated[
        str,
        described("The schema's `$id`, which each event has as its `dataschema`.", f"{_URN}{_SHOWN}:1"),
    ]
    topic: Annotated[str, described("The Kafka topic; null of `cloudevent`, which is on all.", "sales.events")] | None
    address: Annotated[str, described("Where this API answers the schema.", f"/v1/schemas/{_URN}{_SHOWN}:1")]


class EventSchemasRead(ReadModel):
    """The schemas of all events."""

    items: Annotated[list[EventSchemaRead], described("By type.")]


def schema_routes() -> APIRouter:
    """Return the routes."""
    routes = router("/schemas", "schemas")

    @routes.get("", openapi_extra={"security": []})
    async def list_event_schemas(response: Response) -> EventSchemasRead:
        """Return every event's type with the address of its schema. Needs no token."""
        response.headers.update(_CACHED)
        return EventSchemasRead(
            items=[
                EventSchemaRead(
                    type=name,
                    dataschema=urn,
                    topic=None if name == ENVELOPE else EVENT_TYPES[name].topic,
                    address=f"/v1/schemas/{urn}",
                )
                for name, urn in _urns().items()
            ]
        )

    @routes.get(
        "/{name}",
        openapi_extra={"security": []},
        response_class=Response,
        responses={
            200: {"description": "The schema.", "content": {MEDIA_TYPE: {"schema": _DOCUMENT, "example": _EXAMPLE}}}
        },
    )
    async def get_event_schema(
        name: Annotated[
            str,
            Path(
                max_length=128,
                description="An event's `dataschema`; or its type, or its type and major version.",
                examples=[f"{_URN}{_SHOWN}:1", _SHOWN, f"{_SHOWN}:1"],
            ),
        ],
        request: Request,
    ) -> Response:
        """Return the JSON Schema (2020-12) of an event's data. Needs no token, and may be cached."""
        wanted, urns = name.removeprefix(_URN), _urns()
        kind = wanted.partition(":")[0]
        if kind not in urns or wanted not in (kind, urns[kind].removeprefix(_URN)):
            meant = f" Did you mean {near}?" if (near := nearest_name(wanted, urns)) else ""
            raise NotFound(f"There is no such schema.{meant} GET /v1/schemas lists all.")
        found = _schema(kind)
        return unchanged(request, found.tag) or Response(
            found.content, media_type=MEDIA_TYPE, headers={"ETag": f'"{found.tag}"', **_CACHED}
        )

    return routes
