"""Brings a service's log back to the truth of its database: after a restore, and when the log was lost.

All of it may be stopped and started again at any moment. What it finds is handed to the active relay.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import Restoration
from event_contracts.codec import CloudEvent
from event_contracts.corrections import withdrawn, withdrawn_changes
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.log_reader import LogReader
from service_kit.consumer.records import RawRecord
from service_kit.kafka import Kafka
from service_kit.outbox import outbox
from service_kit.published_events import DIRECTORY, correction, published_event, published_topic, stream

DRAIN_SECONDS: Final = 60.0
"""How long the outbox may take to get empty of what the restored database held."""
POLL_SECONDS: Final = 0.2
SILENT_SECONDS: Final = 60.0
"""How long the relay may make no progress."""

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""


def _no_progress(step: str, done: int, total: int) -> None:
    """Take no notice."""


class CannotRepublish(Exception):
    """Nothing was changed, or not all of it; the message is why and what to do."""


class LogRecord(NamedTuple):
    """A record of one of the service's topics."""

    topic: str
    key: str
    value: bytes | None


Batches = AsyncIterator[tuple[Sequence[LogRecord], int, int]]
"""The records of a service's topics, each partition's in order; how many are read so far, and how many there are."""


@dataclass
class Correction:
    """What a search of the log has found."""

    epoch: int
    records: int = 0
    """Of the log, that were read."""
    lost_events: int = 0
    """Events of the log that the database does not know."""
    restored: int = 0
    """Subjects that the database knows, with another state than the log has."""
    withdrawn: int = 0
    """Subjects that the database does not know."""
    erasures: list[str] = field(default_factory=list)
    """Subjects whose erasure the database lost: it is to be repeated."""


class _Lost(msgspec.Struct):
    """What the log knows of a subject and the database does not."""

    topic: str
    key: str
    events: list[CloudEvent]
    newest_known: tuple[int, int] = (0, 0)
    """The version of the newest event that the database knows, of those read after the first lost one."""
    newest_former: tuple[int, int] = (0, 0)
    """The same, but of the epochs before the present one."""
    named: set[UUID] = msgspec.field(default_factory=set)
    """The events that corrections have taken back, after an earlier restore."""


_UNKNOWN: Final = sa.text(
    "select place from unnest(cast(:subjects as text[]), cast(:epochs as integer[]), cast(:sequences as integer[]),"
    " cast(:event_ids as uuid[])) with ordinality as given (subject, epoch, sequence, event_id, place)"
    " where not exists (select from published_event as known where known.subject = given.subject"
    " and known.epoch = given.epoch and known.sequence = given.sequence and known.event_id = given.event_id)"
    " and not exists (select from outbox where outbox.id = given.event_id)"
)


async def correct_log(
    engine: AsyncEngine,
    read: Callable[[], Batches],
    progress: Progress = _no_progress,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Correction:
    """Declare that the database was restored, and correct what its log knows beyond it.

    Raise `CannotRepublish` when the relay does not publish, or events from before this version are not kept here.
    """
    epoch = await _raise_epoch(engine, progress, clock)
    found = Correction(epoch)
    lost, erased = await _lost_subjects(engine, read(), found, progress)
    await _queue(engine, lost, found)
    found.erasures = sorted(erased)
    await _until_corrected(engine, progress, clock)
    async with engine.begin() as connection:
        await connection.execute(sa.update(stream).values(is_correcting=False))
    return found


async def fill_log(engine: AsyncEngine, kafka: Kafka, progress: Progress = _no_progress) -> int:
    """Let the relay send all published events to a log that is new; return their number.

    Raise `CannotRepublish` when the log is the one that they were published to.
    """
    async with engine.connect() as connection:
        known = {row.topic: row.topic_id for row in await connection.execute(sa.select(published_topic))}
        filling = (await connection.execute(sa.select(stream.c.resend_position))).scalar_one_or_none()
    if filling is None:
        await _require_complete(engine)
        identity = await kafka.identify(sorted(known))
        if known and all(identity.topic_ids[topic] == topic_id for topic, topic_id in known.items()):
            raise CannotRepublish(
                "this is the log that the events were published to: nothing is missing. After a restore of the "
                "database, leave --lost-log away."
            )
        first = sa.func.coalesce(sa.select(sa.func.min(published_event.c.position)).scalar_subquery(), 0)
        async with engine.begin() as connection:
            await _set_stream(connection, resend_position=first)
    return await _until_filled(engine, progress)


async def keep_log(engine: AsyncEngine, read: Callable[[], Batches], progress: Progress = _no_progress) -> int:
    """Copy into the database what it published before it kept its events; return their number.

    Only for a database that has lost nothing: all that is in the log counts as published by it.
    """
    async with engine.connect() as connection:
        first = (await connection.execute(sa.select(sa.func.min(published_event.c.position)))).scalar_one_or_none()
    position, kept = None, 0
    names: dict[str, tuple[LogRecord, CloudEvent] | None] = {}
    async for records, done, total in read():
        if position is None:
            # Before all that is kept already, with room for those that are.
            position = min(first if first is not None else 1, 1) - total - len(records)
        events = [(record, codec.decode(record.value)) for record in _with_value(records, names)]
        rows = []
        async with engine.begin() as connection:
            unknown = await _unknown(connection, [event for _, event in events])
            for place in sorted(unknown):
                record, event = events[place]
                if event.subject.startswith(DIRECTORY):
                    names[record.key] = record, event
                else:
                    rows.append(_row(position, record, event))
                    position += 1
            await _insert(connection, rows)
        kept += len(rows)
        progress("copied", done, total)
    async with engine.begin() as connection:
        held = (
            await connection.execute(
                sa.select(published_event.c.subject).where(published_event.c.subject.like(DIRECTORY + "%"))
            )
        ).scalars()
        known = set(held)
        newest = [each for each in names.values() if each is not None and DIRECTORY + each[0].key not in known]
        start = position if position is not None else 0
        await _insert(connection, [_row(start + number, *each) for number, each in enumerate(newest)])
        await _set_stream(connection, is_complete=True)
    return kept + len(newest)


@asynccontextmanager
async def log_of(kafka: Kafka, topics: Sequence[str]) -> AsyncIterator[Callable[[], Batches]]:
    """Yield what reads the topics from their beginning to where they end when it is called."""

    async with LogReader.open(kafka, topics, lambda value: value) as reader:
        await reader.add_partitions(
            TopicPartition(topic, number) for topic in topics for number in range(reader.identity.partitions[topic])
        )

        async def read() -> Batches:
            end = await reader.end_offsets()
            total = reader.lag(end)
            while left := reader.lag(end):
                found = [_log_record(record) for record, _ in await reader.read(end)]
                yield found, total - min(left, reader.lag(end)), total

        yield read


def _log_record(record: RawRecord) -> LogRecord:
    return LogRecord(record.topic, (record.key or b"").decode(errors="replace"), record.value)


def _with_value(records: Iterable[LogRecord], names: dict[str, Any]) -> list[LogRecord]:
    """Return the records that are events; of the others, forget the names."""
    found = []
    for record in records:
        if record.value is None:
            names.pop(record.key, None)
        elif _decoded(record) is not None:
            found.append(record)
    return found


def _decoded(record: LogRecord) -> CloudEvent | None:
    try:
        return codec.decode(record.value)
    except codec.UndecodableEvent:
        # A dead letter of every consumer: it corrects nothing and needs no correction.
        return None


def _row(position: int, record: LogRecord, event: CloudEvent) -> dict[str, Any]:
    return {
        "position": position,
        "topic": record.topic,
        "key": record.key,
        "subject": event.subject,
        "epoch": event.epoch,
        "sequence": event.sequence,
        "event_id": event.id,
        "payload": record.value,
    }


async def _insert(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        names = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        statement = f"insert into published_event ({names}) overriding system value values ({values})"  # noqa: S608 -- column names
        await connection.execute(sa.text(statement), list(rows))


async def _set_stream(connection: AsyncConnection, **values: Any) -> None:
    await connection.execute(
        sa.dialects.postgresql.insert(stream)
        .values({"id": 1, "epoch": 1} | values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


async def _require_complete(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        is_complete = (await connection.execute(sa.select(stream.c.is_complete))).scalar_one_or_none()
    if is_complete is False:
        raise CannotRepublish(
            "this database published events before it kept them, and each would seem lost. Republish with --keep-log "
            "first, while it has lost nothing: that copies them from the log."
        )


async def _raise_epoch(engine: AsyncEngine, progress: Progress, clock: Clock) -> int:
    """Raise the epoch, unless that was done and the log is still to be corrected; return it."""
    await _require_complete(engine)
    async with engine.connect() as connection:
        row = (await connection.execute(sa.select(stream.c.epoch, stream.c.is_correcting))).one_or_none()
    if row is not None and row.is_correcting:
        return int(row.epoch)
    # What the restored outbox holds was published long ago: under the new epoch it would be news.
    await _drain(engine, progress, clock)
    async with engine.begin() as connection:
        raised = {
            "epoch": (1 if row is None else row.epoch) + 1,
            "epoch_began_at": sa.func.clock_timestamp(),
            "is_correcting": True,
        }
        await _set_stream(connection, **raised)
    return int(raised["epoch"])


async def _drain(engine: AsyncEngine, progress: Progress, clock: Clock) -> None:
    is_parked = sa.select(outbox.c.aggregateid).where(outbox.c.parked_reason.is_not(None)).scalar_subquery()
    waiting = outbox.c.aggregateid.not_in(is_parked)
    async with engine.connect() as connection:
        last = (await connection.execute(sa.select(sa.func.max(outbox.c.position)))).scalar_one()
    if last is None:
        progress("published", 0, 0)
        return
    query = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.position <= last, waiting)
    total = None

    async def left() -> int:
        nonlocal total
        async with engine.connect() as connection:
            count = int((await connection.execute(query)).scalar_one())
        total = count if total is None else total
        progress("published", total - count, total)
        return count

    await _until_none_left(left, DRAIN_SECONDS, clock)


async def _lost_subjects(
    engine: AsyncEngine, batches: Batches, found: Correction, progress: Progress
) -> tuple[dict[str, _Lost], set[str]]:
    lost: dict[str, _Lost] = {}
    erased: set[str] = set()
    async for records, done, total in batches:
        found.records += len(records)
        events: list[tuple[LogRecord, CloudEvent]] = []
        tombstones: set[str] = set()
        for record in records:
            if record.value is None:
                tombstones.add(record.key)
                lost.pop(DIRECTORY + record.key, None)
                events = [each for each in events if each[1].subject != DIRECTORY + record.key]
            elif (event := _decoded(record)) is not None:
                tombstones.discard(event.subject.removeprefix(DIRECTORY))
                events.append((record, event))
        async with engine.connect() as connection:
            unknown = await _unknown(connection, [event for _, event in events])
            named = [DIRECTORY + key for key in tombstones]
            query = sa.select(published_event.c.subject).where(published_event.c.subject.in_(named))
            erased |= set((await connection.execute(query)).scalars())
        for place, (record, event) in enumerate(events):
            if place in unknown:
                if event.subject.startswith(DIRECTORY):
                    # Former names are not kept: only the newest one can be lost.
                    lost.pop(event.subject, None)
                lost.setdefault(event.subject, _Lost(record.topic, record.key, [])).events.append(event)
                found.lost_events += not event.subject.startswith(DIRECTORY)
                if event.event_type.name.endswith("-erased"):
                    erased.add(event.subject)
            elif event.subject.startswith(DIRECTORY):
                lost.pop(event.subject, None)
            elif (of_subject := lost.get(event.subject)) is not None:
                of_subject.named |= _taken_back_by(event, of_subject.events)
                version = event.epoch, event.sequence
                of_subject.newest_known = max(of_subject.newest_known, version)
                if event.epoch < found.epoch:
                    of_subject.newest_former = max(of_subject.newest_former, version)
        progress("read", done, total)
    return lost, erased


def _taken_back_by(event: CloudEvent, before: Iterable[CloudEvent]) -> set[UUID]:
    """Return which of a subject's lost events an event says have not happened: all, where it withdraws the subject."""
    if event.event_type.correction == "withdrawn":
        return {each.id for each in before}
    change = getattr(event.data, "change", None)
    return set(change.lost_events) if isinstance(change, Restoration) else set()


async def _unknown(connection: AsyncConnection, events: Sequence[CloudEvent]) -> set[int]:
    """Return the places of the events that the database has neither published nor waiting."""
    if not events:
        return set()
    values = {
        "subjects": [event.subject for event in events],
        "epochs": [event.epoch for event in events],
        "sequences": [event.sequence for event in events],
        "event_ids": [event.id for event in events],
    }
    return {place - 1 for place in (await connection.execute(_UNKNOWN, values)).scalars()}


async def _queue(engine: AsyncEngine, lost: dict[str, _Lost], found: Correction) -> None:
    """Hand the subjects to the relay."""
    latest = max((event.recorded_time for each in lost.values() for event in each.events), default=None)
    async with engine.begin() as connection:
        if latest is not None:
            # Whatever the clocks said: a correction is recorded after what it corrects.
            after = sa.func.greatest(stream.c.epoch_began_at, latest + timedelta(microseconds=1))
            await connection.execute(sa.update(stream).values(epoch_began_at=after))
        at = (await connection.execute(sa.select(stream.c.epoch_began_at))).scalar_one()
        query = sa.select(published_event.c.subject).where(published_event.c.subject.in_(list(lost))).distinct()
        known = set((await connection.execute(query)).scalars()) if lost else set()
        rows = []
        for subject, each in lost.items():
            newest = max(each.events, key=lambda event: (event.epoch, event.sequence))
            version = max((newest.epoch, newest.sequence), each.newest_former)
            ended = msgspec.structs.replace(newest, epoch=version[0], sequence=version[1])
            changes = [] if subject.startswith(DIRECTORY) else withdrawn_changes(ended, each.events, at=at)
            is_known = subject in known
            if newest.event_type.correction == "withdrawn" and not is_known:
                continue
            lost_events = [event.id for event in each.events]
            is_at_end = (newest.epoch, newest.sequence) < each.newest_known
            if (
                is_known
                and not changes
                and is_at_end
                and (subject.startswith(DIRECTORY) or each.named >= set(lost_events))
            ):
                # The log ends with what the database knows, and says what has not happened.
                continue
            withdrawal = None if subject.startswith(DIRECTORY) else withdrawn(ended, each.events, at=at)[-1]
            found.restored += is_known
            found.withdrawn += not is_known
            rows.append(
                {
                    "subject": subject,
                    "topic": each.topic,
                    "key": each.key,
                    "changes": changes,
                    "withdrawal": withdrawal,
                    "lost": lost_events,
                }
            )
        if rows:
            await connection.execute(sa.dialects.postgresql.insert(correction).on_conflict_do_nothing(), rows)


async def _until_corrected(engine: AsyncEngine, progress: Progress, clock: Clock) -> None:
    total: int | None = None

    async def left() -> int:
        nonlocal total
        async with engine.connect() as connection:
            query = sa.select(sa.func.count()).select_from(correction)
            count = int((await connection.execute(query)).scalar_one())
        total = count if total is None else total
        progress("corrected", total - count, total)
        return count

    await _until_none_left(left, SILENT_SECONDS, clock)


async def _until_filled(engine: AsyncEngine, progress: Progress) -> int:
    async with engine.connect() as connection:
        ends = sa.select(sa.func.min(published_event.c.position), sa.func.max(published_event.c.position))
        first, last = (await connection.execute(ends)).one()
        total = (await connection.execute(sa.select(sa.func.count()).select_from(published_event))).scalar_one()
    span = last - first + 1 if first is not None else 1

    async def left() -> int:
        async with engine.connect() as connection:
            position = (await connection.execute(sa.select(stream.c.resend_position))).scalar_one_or_none()
        share = 1.0 if position is None else min(max(position - first, 0) / span, 1.0) if first is not None else 0.0
        progress("sent", int(total * share), total)
        return 0 if position is None else max(span - int(span * share), 1)

    await _until_none_left(left, SILENT_SECONDS, SYSTEM_CLOCK)
    return int(total)


async def _until_none_left(left: Callable[[], Any], seconds: float, clock: Clock) -> None:
    """Wait until nothing is left. Raise `CannotRepublish` when for so long it does not get less."""
    least, changed_at = None, clock.monotonic()
    while count := await left():
        if least is None or count < least:
            least, changed_at = count, clock.monotonic()
        elif clock.monotonic() - changed_at > seconds:
            raise CannotRepublish(
                f"the relay has published nothing for {seconds:.0f} s: see that it runs, is ready and reaches Kafka, "
                "then start again. What was done stays done."
            )
        await clock.sleep(POLL_SECONDS)
