"""Turns events into CloudEvents 1.0 in structured JSON, and back. Whatever does not fit the contract is refused."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from event_contracts import directory, metrics, sales, service
from event_contracts.calendar import Check, check_moment, check_of
from event_contracts.catalogue import EVENT_TYPES, EventType, State, event_type_of
from event_contracts.fields import MAX_COUNT, Moment

__all__ = [
    "CONTENT_TYPE",
    "MAX_EVENT_BYTES",
    "TYPE_HEADER",
    "CloudEvent",
    "UndecodableEvent",
    "decode",
    "encode",
    "type_of",
    "with_epoch",
]

# Importing these modules fills the catalogue; a decoder without them would know no event.
_DECLARED: Final = (directory, metrics, sales, service)

CONTENT_TYPE: Final = "application/cloudevents+json"
TYPE_HEADER: Final = "ce_type"
"""The header of a Kafka record with its event's type, by CloudEvents' Kafka binding."""
MAX_EVENT_BYTES: Final = 1024 * 1024
"""A larger record is refused before it is parsed."""


class UndecodableEvent(Exception):
    """A record that is not an event of the contract.

    `reason` is one of a closed list, fit for a metric's label: `empty`, `too-large`, `malformed`,
    `unknown-type`, `unknown-version`, `invalid-data`, `nul-in-text`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, its attributes and its typed data."""

    id: UUID
    event_type: EventType
    subject: str
    time: datetime
    """When it happened in the business; may be long ago."""
    recorded_time: datetime
    """When the service recorded it."""
    sequence: int
    """The aggregate's version: 1, 2, 3 … without gaps."""
    partition_key: str
    traceparent: str | None
    data: State
    epoch: int = 1
    """Of the stream that it belongs to; a restore of the service's database raises it."""

    @property
    def may_follow_lost_states(self) -> bool:
        """Whether a state before it may be one that its service has lost, and that no later state tells of."""
        return self.epoch > 1 or self.event_type.correction is not None


class Envelope(msgspec.Struct, kw_only=True):
    """The JSON form. Attribute names are CloudEvents': lower-case letters only."""

    specversion: str
    id: UUID
    source: str
    type: str
    dataschema: str
    subject: str
    time: Moment
    recordedtime: Moment
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)]
    epoch: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)] = 1
    partitionkey: str
    datacontenttype: str = "application/json"
    traceparent: str | msgspec.UnsetType | None = msgspec.UNSET
    data: msgspec.Raw


_envelope_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()
_data_decoders: dict[str, tuple[EventType, str, msgspec.json.Decoder[Any], Check | None]] = {
    entry.name: (entry, entry.dataschema, msgspec.json.Decoder(entry.data), check_of(entry.data))
    for entry in EVENT_TYPES.values()
}


def encode(
    data: State,
    *,
    event_id: UUID,
    time: datetime,
    recorded_time: datetime,
    sequence: int,
    partition_key: UUID,
    epoch: int = 1,
    traceparent: str | None = None,
) -> bytes:
    """One event as structured JSON. Raises KeyError when `data` is not an event of the catalogue.

    `epoch` is stamped again when the event is published: see `with_epoch`.
    """
    entry = event_type_of(data)
    return _encoder.encode(
        Envelope(
            specversion="1.0",
            id=event_id,
            source=entry.source,
            type=entry.name,
            dataschema=entry.dataschema,
            subject=f"{entry.subject_kind}/{data.id}",
            time=time.astimezone(UTC),
            recordedtime=recorded_time.astimezone(UTC),
            sequence=sequence,
            epoch=epoch,
            partitionkey=str(partition_key),
            traceparent=traceparent if traceparent is not None else msgspec.UNSET,
            data=msgspec.Raw(_encoder.encode(data)),
        )
    )


def with_epoch(record: bytes, epoch: int) -> bytes:
    """Return a record that `encode` made for the first epoch, as one of another epoch."""
    if epoch == 1:
        return record
    stamped = b'"epoch":%d,"partitionkey":' % epoch
    # The first of either is the envelope's: the data comes last. Records of former versions have no epoch.
    before = b'"epoch":1,"partitionkey":'
    return record.replace(before if before in record else b'"partitionkey":', stamped, 1)


def type_of(record: bytes) -> bytes | None:
    """Return the type of an event that `encode` made, without decoding it; None when it has none."""
    # The first is the envelope's: the data comes last.
    _, found, rest = record.partition(b'"type":"')
    return rest.partition(b'"')[0] if found else None


def decode(record: bytes | None) -> CloudEvent:
    """One Kafka record's value as an event. Raises `UndecodableEvent`, never anything else."""
    if not record:
        raise UndecodableEvent("empty", "the record has no value")
    if len(record) > MAX_EVENT_BYTES:
        raise UndecodableEvent("too-large", f"{len(record)} bytes; at most {MAX_EVENT_BYTES} are taken")
    if b"\\u0000" in record:
        # PostgreSQL cannot store it; a raw NUL byte is refused by the JSON parser itself.
        raise UndecodableEvent("nul-in-text", "a text contains the NUL character")
    try:
        envelope = _envelope_decoder.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UndecodableEvent("malformed", str(error)) from error
    known = _data_decoders.get(envelope.type)
    if known is None:
        raise UndecodableEvent("unknown-type", f"no event is called {envelope.type[:100]!r}")
    entry, dataschema, decoder, check = known
    if envelope.dataschema != dataschema or envelope.specversion != "1.0":
        raise UndecodableEvent("unknown-version", f"{envelope.dataschema[:100]!r}; this reader knows {dataschema!r}")
    try:
        data: State = decoder.decode(envelope.data)
        check_moment(envelope.time)
        check_moment(envelope.recordedtime)
        if check is not None:
            check(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UndecodableEvent("invalid-data", str(error)) from error
    # As `str(data.id)` would be, in a fraction of the time.
    if envelope.subject != f"{entry.subject_kind}/{_encoder.encode(data.id)[1:-1].decode()}":
        raise UndecodableEvent("invalid-data", f"subject {envelope.subject[:100]!r} is not that of the data")
    return CloudEvent(
        id=envelope.id,
        event_type=entry,
        subject=envelope.subject,
        time=envelope.time,
        recorded_time=envelope.recordedtime,
        sequence=envelope.sequence,
        partition_key=envelope.partitionkey,
        traceparent=None if envelope.traceparent is msgspec.UNSET else envelope.traceparent,
        data=data,
        epoch=envelope.epoch,
    )
