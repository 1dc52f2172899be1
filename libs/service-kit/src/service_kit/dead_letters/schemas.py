"""Dead letters over HTTP."""

import base64
from typing import Annotated, Any
from uuid import UUID

from pydantic import StringConstraints

from event_contracts.codec import MAX_EVENT_BYTES
from service_kit.consumer.dead_letters import DeadLetterStatus
from service_kit.fields import Moment, Name, ReadModel, StrictModel, examples


class DeadLetterMendRequest(StrictModel):
    """The event as it should have been: the whole CloudEvent, in structured JSON."""

    model_config = examples({"value": '{"specversion":"1.0","id":"…"}'})

    value: Annotated[str, StringConstraints(min_length=2, max_length=MAX_EVENT_BYTES)]


class DeadLetterDiscardRequest(StrictModel):
    """Why the record is discarded."""

    model_config = examples({"reason": "a load test's record, no customer's"})

    reason: Name


class DeadLetterRead(ReadModel):
    """A dead letter, without its content."""

    id: UUID
    consumer: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    recorded_at: Moment
    status: DeadLetterStatus
    mended: bool
    settled_at: Moment | None
    settled_by: str | None
    discarded_because: str | None


class DeadLetterDetailRead(DeadLetterRead):
    """A dead letter with its content, which is null some time after it was settled.

    `value` and `key` are also null where the bytes are not UTF-8 or not there.
    """

    key: str | None
    value: str | None
    value_base64: str | None
    """The original bytes; null for a record without a value."""
    mended_value: str | None


class HaltRead(ReadModel):
    """A consumer whose circuit breaker is open until enough of its dead letters are sent or discarded."""

    consumer: str
    halted_at: Moment
    bad_records: int
    """Among the last 1,000 that it read."""
    to_settle: int
    """Open dead letters that must be settled before it continues; 0 when it is about to."""


class HaltsRead(ReadModel):
    """The consumers that are halted now; normally none."""

    items: list[HaltRead]


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
