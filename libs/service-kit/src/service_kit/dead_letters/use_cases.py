"""The use cases of dead letters: one function each, within its route's transaction."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts import codec
from event_contracts.codec import UndecodableEvent
from service_kit.audit.entries import noun_code
from service_kit.auth import Principal
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.dead_letters.schemas import DeadLetterDiscardRequest, DeadLetterMendRequest
from service_kit.outbox import outbox
from service_kit.problems import Conflict, NotFound, Unprocessable
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

Consumers = Sequence[str]
"""The names of the consumers whose dead letters are settled here."""

Readable = Callable[[str, bytes | None], None]
"""Takes a consumer's name and a record's value; raises `UndecodableEvent` for one that the consumer cannot read."""


class DeadLetterSettled(Conflict):
    """It was sent again or discarded before."""

    slug, title = "dead-letter-settled", "This dead letter has been settled"


class StillUnreadable(Unprocessable):
    """Sent as it is, the record would come back as a dead letter."""

    slug, title = "still-unreadable", "The consumer still cannot take this record"


async def halts(work: UnitOfWork, consumers: Consumers) -> Sequence[Any]:
    """Return the consumers that are halted, with the number of their `unsettled` dead letters."""
    unsettled = sa.select(sa.func.count()).where(
        dead_letter.c.consumer == circuit_breaker.c.consumer, dead_letter.c.status == "open"
    )
    query = (
        sa.select(circuit_breaker, unsettled.scalar_subquery().label("unsettled"))
        .where(circuit_breaker.c.consumer.in_(consumers))
        .order_by(circuit_breaker.c.consumer)
    )
    return (await work.execute(query)).all()


async def get_dead_letter(work: UnitOfWork, consumers: Consumers, letter_id: UUID) -> Any:
    """Return the row. Raise `NotFound`."""
    return await _row(work, _of(consumers, letter_id), letter_id)


async def mend_dead_letter(
    work: UnitOfWork,
    consumers: Consumers,
    letter_id: UUID,
    body: DeadLetterMendRequest,
    readable: Readable,
    expected: ExpectedVersion,
) -> Any:
    """Store what is sent in the original's place.

    Raise `PreconditionFailed`, `DeadLetterSettled` and `StillUnreadable`.
    """
    stored = await _locked(work, consumers, letter_id, expected)
    _require_open(stored)
    value = body.value.encode()
    _require_readable(stored.consumer, value, readable)
    return await _changed(work, stored, mended_value=value)


async def send_dead_letter(
    work: UnitOfWork,
    consumers: Consumers,
    letter_id: UUID,
    by: Principal,
    readable: Readable,
    expected: ExpectedVersion,
) -> Any:
    """Send the record, mended if it was, to its topic again through the outbox.

    A second request does nothing: it was sent. Should Kafka hold it twice, it counts once, by its sequence. Raise
    `DeadLetterSettled` for a discarded one, `PreconditionFailed` and `StillUnreadable`.
    """
    stored = await _row(work, _of(consumers, letter_id).with_for_update(), letter_id)
    if stored.status == "sent":
        return stored
    expected.check(stored.version)
    _require_open(stored)
    value = stored.value if stored.mended_value is None else stored.mended_value
    _require_readable(stored.consumer, value, readable)
    event = codec.decode(value)
    await work.execute(
        sa.insert(outbox),
        {
            "id": event.id,
            "aggregatetype": stored.topic,
            # The event's own key: the record's may be what was wrong with it.
            "aggregateid": str(event.partition_key),
            "type": event.event_type.name,
            "payload": value,
        },
    )
    return await _changed(work, stored, status="sent", settled_at=datetime.now(UTC), settled_by=by.subject)


async def discard_dead_letter(
    work: UnitOfWork,
    consumers: Consumers,
    letter_id: UUID,
    body: DeadLetterDiscardRequest,
    by: Principal,
    expected: ExpectedVersion,
) -> Any:
    """Discard a record; its bytes are kept until they expire. Raise `PreconditionFailed` and `DeadLetterSettled`."""
    stored = await _locked(work, consumers, letter_id, expected)
    _require_open(stored)
    return await _changed(
        work,
        stored,
        status="discarded",
        settled_at=datetime.now(UTC),
        settled_by=by.subject,
        discarded_because=body.reason,
    )


def _of(consumers: Consumers, letter_id: UUID) -> sa.Select[Any]:
    return sa.select(dead_letter).where(dead_letter.c.consumer.in_(consumers), dead_letter.c.id == letter_id)


async def _row(work: UnitOfWork, query: sa.Select[Any], letter_id: UUID) -> Any:
    row = (await work.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no dead letter {letter_id}.")
    return row


async def _locked(work: UnitOfWork, consumers: Consumers, letter_id: UUID, expected: ExpectedVersion) -> Any:
    stored = await _row(work, _of(consumers, letter_id).with_for_update(), letter_id)
    expected.check(stored.version)
    return stored


async def _changed(work: UnitOfWork, stored: Any, **values: Any) -> Any:
    changes = {
        # A record may hold names.
        name: None if isinstance(value, bytes) else (getattr(stored, name), value)
        for name, value in values.items()
    }
    version = stored.version + 1
    work.audit(noun_code(dead_letter), stored.id, "updated", changes, version)
    statement = sa.update(dead_letter).where(dead_letter.c.id == stored.id).values(**values, version=version)
    return (await work.execute(statement.returning(dead_letter))).one()


def _require_open(stored: Any) -> None:
    if stored.status != "open":
        raise DeadLetterSettled(f"It was {stored.status} at {stored.settled_at.isoformat()}.")


def _require_readable(consumer: str, value: bytes | None, readable: Readable) -> None:
    try:
        readable(consumer, value)
    except UndecodableEvent as error:
        raise StillUnreadable(f"{error.reason}: {error.detail}"[:1000]) from None
