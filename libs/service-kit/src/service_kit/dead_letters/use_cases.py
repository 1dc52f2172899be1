"""What can be done with a dead letter: one function, one transaction each."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts import codec
from event_contracts.codec import UndecodableEvent
from service_kit.auth import Principal
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.dead_letters.schemas import Discard, Mend
from service_kit.outbox import outbox
from service_kit.problems import Conflict, NotFound, Unprocessable
from service_kit.unit_of_work import AnyWork

Consumers = Sequence[str]
"""The names of those whose letters are seen to here."""

Readable = Callable[[str, bytes | None], None]
"""Given a consumer's name and a record's value; raises `UndecodableEvent` for what that consumer could not take."""


class DeadLetterSettled(Conflict):
    """It was sent again or discarded before."""

    slug, title = "dead-letter-settled", "This dead letter has been settled"


class StillUnreadable(Unprocessable):
    """Sent as it is, the record would come back as a dead letter."""

    slug, title = "still-unreadable", "The consumer still cannot take this record"


async def halts(work: AnyWork, consumers: Consumers) -> Sequence[Any]:
    """The consumers that are halted, with the number of their `unsettled` letters."""
    unsettled = sa.select(sa.func.count()).where(
        dead_letter.c.consumer == circuit_breaker.c.consumer, dead_letter.c.status == "open"
    )
    query = (
        sa.select(circuit_breaker, unsettled.scalar_subquery().label("unsettled"))
        .where(circuit_breaker.c.consumer.in_(consumers))
        .order_by(circuit_breaker.c.consumer)
    )
    return (await work.execute(query)).all()


async def get_letter(work: AnyWork, consumers: Consumers, letter_id: UUID) -> Any:
    """The row. Raises `NotFound`."""
    return await _row(work, _of(consumers, letter_id), letter_id)


async def mend_letter(work: AnyWork, consumers: Consumers, letter_id: UUID, body: Mend, readable: Readable) -> Any:
    """Keeps what shall be sent in the original's place. Raises `DeadLetterSettled` and `StillUnreadable`."""
    letter = await _locked(work, consumers, letter_id)
    if letter.status != "open":
        raise DeadLetterSettled(f"It was {letter.status} at {letter.settled_at.isoformat()}.")
    value = body.value.encode()
    _require_readable(letter.consumer, value, readable)
    return await _changed(work, letter_id, mended_value=value)


async def send_letter(work: AnyWork, consumers: Consumers, letter_id: UUID, by: Principal, readable: Readable) -> Any:
    """Puts the record, mended if it was, back into its topic by way of the outbox.

    Asked for again it does nothing: it was sent once. And should Kafka hold it twice, it counts once, by its
    sequence. Raises `DeadLetterSettled` for a discarded one, and `StillUnreadable`.
    """
    letter = await _locked(work, consumers, letter_id)
    if letter.status == "sent":
        return letter
    if letter.status != "open":
        raise DeadLetterSettled(f"It was {letter.status} at {letter.settled_at.isoformat()}.")
    value = letter.value if letter.mended_value is None else letter.mended_value
    _require_readable(letter.consumer, value, readable)
    event = codec.decode(value)
    await work.execute(
        sa.insert(outbox),
        {
            "id": event.id,
            "aggregatetype": letter.topic,
            # By the event's own word: the record's key may be what was wrong with it.
            "aggregateid": str(event.partition_key),
            "type": event.event_type.name,
            "payload": value,
        },
    )
    return await _changed(work, letter_id, status="sent", settled_at=datetime.now(UTC), settled_by=by.subject)


async def discard_letter(work: AnyWork, consumers: Consumers, letter_id: UUID, body: Discard, by: Principal) -> Any:
    """Settles that a record shall never count; its bytes are kept. Raises `DeadLetterSettled`."""
    letter = await _locked(work, consumers, letter_id)
    if letter.status != "open":
        raise DeadLetterSettled(f"It was {letter.status} at {letter.settled_at.isoformat()}.")
    return await _changed(
        work,
        letter_id,
        status="discarded",
        settled_at=datetime.now(UTC),
        settled_by=by.subject,
        discarded_because=body.reason,
    )


def _of(consumers: Consumers, letter_id: UUID) -> sa.Select[Any]:
    return sa.select(dead_letter).where(dead_letter.c.consumer.in_(consumers), dead_letter.c.id == letter_id)


async def _row(work: AnyWork, query: sa.Select[Any], letter_id: UUID) -> Any:
    row = (await work.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no dead letter {letter_id}.")
    return row


async def _locked(work: AnyWork, consumers: Consumers, letter_id: UUID) -> Any:
    return await _row(work, _of(consumers, letter_id).with_for_update(), letter_id)


async def _changed(work: AnyWork, letter_id: UUID, **values: Any) -> Any:
    statement = sa.update(dead_letter).where(dead_letter.c.id == letter_id).values(**values).returning(dead_letter)
    return (await work.execute(statement)).one()


def _require_readable(consumer: str, value: bytes | None, readable: Readable) -> None:
    try:
        readable(consumer, value)
    except UndecodableEvent as error:
        raise StillUnreadable(f"{error.reason}: {error.detail}"[:1000]) from None
