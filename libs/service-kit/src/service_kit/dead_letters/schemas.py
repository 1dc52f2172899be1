"""Dead letters over HTTP."""

import base64
from typing import Annotated, Any

from pydantic import StringConstraints

from event_contracts.codec import MAX_EVENT_BYTES
from service_kit.consumer.dead_letters import DeadLetterStatus
from service_kit.fields import Moment, Name, ReadModel, RecordId, StrictModel, Version, described, examples

_VALUE = described("The CloudEvent in structured JSON, as one string.", '{"specversion":"1.0","id":"…"}')
_STATUS = described("Whether it waits, was sent again, or was discarded.", "open", schema="DeadLetterStatus")
ConsumerName = Annotated[str, described("The consumer that could not process it.", "metrics-worker")]


class DeadLetterMendRequest(StrictModel):
    """The event as it should have been: the whole CloudEvent, in structured JSON."""

    model_config = examples({"value": '{"specversion":"1.0","id":"…"}'})

    value: Annotated[str, StringConstraints(min_length=2, max_length=MAX_EVENT_BYTES), _VALUE]


class DeadLetterDiscardRequest(StrictModel):
    """Why the record is discarded."""

    model_config = examples({"reason": "a load test's record, no customer's"})

    reason: Annotated[
        Name, described("What those who review it later should know.", "a load test's record, no customer's")
    ]


class DeadLetterRead(ReadModel):
    """A dead letter, without its content."""

    id: RecordId
    version: Version
    consumer: ConsumerName
    topic: Annotated[str, described("The topic that it was read from.", "sales.events")]
    partition: Annotated[int, described("The topic's partition that it was read from.", 3)]
    offset: Annotated[int, described("Its position in the partition.", 48_213)]
    reason: Annotated[str, described("A code of what was wrong with it.", "undecodable")]
    detail: Annotated[str, described("What was wrong with it, in words.", "Invalid JSON: unexpected end")]
    recorded_at: Moment
    """When the consumer met it."""
    status: Annotated[DeadLetterStatus, _STATUS]
    mended: bool
    """Whether what is sent was replaced."""
    settled_at: Moment | None
    """When it was sent again or discarded; null while it is open."""
    settled_by: Annotated[str, described("The subject of the token that settled it.", "auth0|5f7c8ec7c33c6c00")] | None
    discarded_because: Annotated[str, described("Why it was discarded.", "a load test's record")] | None


class DeadLetterDetailRead(DeadLetterRead):
    """A dead letter with its content, which is null some time after it was settled.

    `value` and `key` are also null where the bytes are not UTF-8 or not there.
    """

    key: Annotated[str, described("The record's Kafka key.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")] | None
    value: Annotated[str, described("The record as it arrived.", '{"specversion":"1.0","id":')] | None
    value_base64: (
        Annotated[str, described("Its bytes; null for a record without a value.", "eyJzcGVjdmVyc2lvbiI6")] | None
    )
    mended_value: Annotated[str, described("What is sent in its place.", '{"specversion":"1.0","id":"…"}')] | None


class HaltRead(ReadModel):
    """A consumer whose circuit breaker is open until enough of its dead letters are sent or discarded."""

    consumer: ConsumerName
    halted_at: Moment
    """When its circuit breaker opened."""
    bad_records: Annotated[int, described("Bad ones among the last 1,000 that it read.", 950)]
    to_settle: Annotated[
        int, described("Open dead letters that must be settled before it continues; 0 when it is about to.", 12)
    ]


class HaltsRead(ReadModel):
    """The consumers that are halted now; normally none."""

    items: list[HaltRead]
    """One entry a halted consumer."""


def halt_of(row: Any) -> HaltRead:
    """Return the view of a row of `circuit_breaker` with the number of its `unsettled` dead letters."""
    return HaltRead(
        consumer=row.consumer,
        halted_at=row.opened_at,
        bad_records=row.bad_records,
        to_settle=max(row.unsettled - row.max_dead_letters, 0),
    )


def view_of(row: Any) -> DeadLetterRead:
    """Return the view of a row of `dead_letter`."""
    return DeadLetterRead(**_summary(row))


def whole_view_of(row: Any) -> DeadLetterDetailRead:
    """Return the view of a row of `dead_letter`, with its content."""
    return DeadLetterDetailRead(
        **_summary(row),
        key=_text(row.key),
        value=_text(row.value),
        value_base64=None if row.value is None else base64.b64encode(row.value).decode(),
        mended_value=_text(row.mended_value or None),
    )


def _summary(row: Any) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in DeadLetterRead.model_fields if name != "mended"}
    return shown | {"mended": row.mended_value is not None}


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
