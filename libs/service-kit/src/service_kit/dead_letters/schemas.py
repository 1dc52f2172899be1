"""What is said of dead letters, and what can be asked of them."""

import base64
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, StringConstraints

from event_contracts.codec import MAX_EVENT_BYTES
from service_kit.consumer.dead_letters import DeadLetterStatus
from service_kit.fields import Moment, Name, StrictModel, View


class Mend(StrictModel):
    """The event as it should have been: the whole CloudEvent, in structured JSON."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"value": '{"specversion":"1.0","id":"…"}'}]}
    )

    value: Annotated[str, StringConstraints(min_length=2, max_length=MAX_EVENT_BYTES)]


class Discard(StrictModel):
    """Why a record shall never count."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "a load test's record, no customer's"}]}
    )

    reason: Name


class LetterView(View):
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


class WholeLetterView(LetterView):
    """A dead letter with its content. `value` and `key` are null where the bytes are not UTF-8 or not there."""

    key: str | None
    value: str | None
    value_base64: str | None
    """The original bytes; null for a record without a value."""
    mended_value: str | None


class HaltView(View):
    """A consumer that keeps its place until enough of its dead letters are sent or discarded."""

    consumer: str
    halted_at: Moment
    bad_records: int
    """Of the last 1,000 that it had read."""
    to_settle: int
    """Dead letters that are open and still have to be settled before it goes on; 0 when it is about to."""


class HaltsView(View):
    """All that are halted now; none is as it should be."""

    items: list[HaltView]


def halt_of(row: Any) -> HaltView:
    """From a row of `circuit_breaker` with the number of its `unsettled` letters."""
    return HaltView(
        consumer=row.consumer,
        halted_at=row.opened_at,
        bad_records=row.bad_records,
        to_settle=max(row.unsettled - row.max_dead_letters, 0),
    )


def view_of(row: Any) -> LetterView:
    """From a row of `dead_letter`."""
    return LetterView(**_summary(row))


def whole_view_of(row: Any) -> WholeLetterView:
    """From a row of `dead_letter`, with the content."""
    return WholeLetterView(
        **_summary(row),
        key=_text(row.key),
        value=_text(row.value),
        value_base64=None if row.value is None else base64.b64encode(row.value).decode(),
        mended_value=_text(row.mended_value),
    )


def _summary(row: Any) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in LetterView.model_fields if name != "mended"}
    return shown | {"mended": row.mended_value is not None}


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
