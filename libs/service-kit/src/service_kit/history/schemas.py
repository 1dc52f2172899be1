"""Events over HTTP, as they were published."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service_kit.fields import ReadModel, described

_TIME = Field(json_schema_extra={"format": "date-time"})
_TYPE = described("What happened, in the past tense.", "sales.deal-closed")
_SUBJECT = described("The record that it is about, as its kind and id.", "deals/019ca869-5000-7000-8000-0000000000a3")
_SCHEMA = described("The published schema of `data`, with its major version.", "urn:tandem:schema:sales.deal-closed:1")
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class CloudEventRead(ReadModel):
    """A CloudEvents 1.0 message, with the attributes that consumers get. Null is an attribute that it lacks."""

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: Annotated[UUID, described("Identifies the event for good.", "019ca869-5000-7000-8000-000000000e01")]
    source: Annotated[str, described("The service that published it.", "/sales-api")]
    type: Annotated[str, _TYPE]
    dataschema: Annotated[str, _SCHEMA]
    subject: Annotated[str, _SUBJECT]
    time: Annotated[str, _TIME, described("When it happened in the business.", "2026-03-12T15:00:00Z")]
    recordedtime: Annotated[str, _TIME, described("When the service recorded it.", "2026-03-12T15:00:00.120Z")]
    sequence: Annotated[int, described("The record's version after the change, from 1.", 4)]
    epoch: Annotated[
        int, described("Of the stream: a restore of the service's database raises it. The highest counts.", 1)
    ] = 1
    partitionkey: Annotated[
        str, described("The Kafka key: what shares it is in order.", "019ca869-5000-7000-8000-0000000000a1")
    ]
    datacontenttype: Annotated[str, described("The media type of `data`.", "application/json")]
    traceparent: Annotated[str, described("The W3C trace of the request that caused it.", _TRACE)] | None = None
    data: dict[str, Any] = Field(
        examples=[{"id": "019ca869-5000-7000-8000-0000000000a3", "stage": "won", "change": {"outcome": "won"}}]
    )
    """The record's whole state after the change, and under `change` what is true of this step only."""


class HistoryEventRead(ReadModel):
    """An event, and whether it is published."""

    event: CloudEventRead
    """The event itself."""
    topic: Annotated[str, described("The Kafka topic that it is published on.", "sales.events")]
    is_published: Annotated[
        bool,
        described("False for the moment until Kafka has it, or as long as Kafka is away. It is certain to follow."),
    ]
