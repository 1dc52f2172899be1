"""Timelines in tests: events as they come from Kafka, and logs of a service that is restored now and then."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import Restoration, State, correction_of, event_type_of
from event_contracts.codec import CloudEvent
from service_kit.consumer.records import Record
from service_kit.timeline.entries import is_mirrored, keep_entries

Body = dict[str, Any]
BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)


def published(
    data: State, sequence: int, *, epoch: int = 1, at: datetime | None = None, event_id: UUID | None = None
) -> CloudEvent:
    """Return an event as it comes from Kafka; one that is published again is the same."""
    key: Any = data
    return codec.decode(
        codec.encode(
            data,
            event_id=event_id or uuid5(data.id, f"{epoch} {sequence}"),
            time=at or BEGAN + timedelta(hours=sequence),
            recorded_time=(at or BEGAN + timedelta(hours=sequence)) + timedelta(seconds=1),
            sequence=sequence,
            epoch=epoch,
            partition_key=next(
                found for name in ("customer_id", "account_id", "id") if (found := getattr(key, name, None)) is not None
            ),
        )
    )


async def consume(engine: AsyncEngine, events: Iterable[CloudEvent]) -> None:
    """Give the events to the consumer's handler in one batch."""
    records = [Record(each.event_type.topic, 0, number, each, None) for number, each in enumerate(events)]
    async with engine.begin() as connection:
        await connection.execute(sa.text("select"))
        relevant = [each for each in records if is_mirrored(each.value)]
        if relevant:
            await keep_entries(connection, relevant)


class Source:
    """A service that publishes events of some records, is restored now and then, and corrects its log."""

    def __init__(self, *first: State) -> None:
        self._first = {each.id: each for each in first}
        self._epoch = 1
        self._knows: list[CloudEvent] = []
        """What its database has published."""
        self._past: list[list[CloudEvent]] = []
        self.log: list[CloudEvent] = []

    def act(self, record: UUID, data: State | None = None) -> None:
        """Do something with a record; `data` is another state of it."""
        of_record = [each for each in self._knows if each.data.id == record]
        if data is None:
            data = of_record[-1].data if of_record else self._first[record]
        at = BEGAN + timedelta(minutes=len(self.log))
        event = published(data, len(of_record) + 1, epoch=self._epoch, at=at, event_id=uuid5(data.id, f"{at}"))
        self._knows.append(event)
        self.log.append(event)

    def back_up(self) -> None:
        """Keep what the database is now."""
        self._past.append(list(self._knows))

    def restore(self, *, acts_before: Sequence[UUID] = ()) -> None:
        """Go back to the last backup, and correct the log by what it knows more.

        Something is done with `acts_before`, under the versions of what was lost, before the log is corrected.
        """
        self._knows = list(self._past[-1])
        for record in acts_before:
            self.act(record)
        knows = {each.id for each in self._knows}
        lost = [
            each
            for each in self.log
            if each.event_type.correction is None and each.id not in knows and each.data.id in self._first
        ]
        former, self._epoch = self._epoch, self._epoch + 1
        for record in dict.fromkeys(each.data.id for each in lost):
            of_record = [each for each in self._knows if each.data.id == record]
            if of_record:
                known = of_record[-1]
                lost_events = [each.id for each in lost if each.data.id == record]
                restoring = published(
                    _as(known, "restored", change=Restoration(lost_events=lost_events)),
                    known.sequence,
                    epoch=self._epoch,
                )
                self.log.append(restoring)
            else:
                newest = [each for each in lost if each.data.id == record][-1]
                self.log.append(published(_as(newest, "withdrawn"), newest.sequence + 1, epoch=former))
                # Its id is lost: nothing happens to it any more.
                del self._first[record]

    @property
    def records(self) -> list[UUID]:
        """Return the records that something can be done with."""
        return list(self._first)

    @property
    def truth(self) -> list[UUID]:
        """Return the ids of what has happened, the newest first."""
        newest = sorted(self._knows, key=lambda event: (event.time, event.id), reverse=True)
        return [event.id for event in newest]


def shuffled(log: list[CloudEvent], seed: int) -> list[list[CloudEvent]]:
    """Return a log in batches of any size and order, with repeats."""
    chance = random.Random(seed)
    events = log + chance.choices(log, k=len(log) // 2)
    chance.shuffle(events)
    batches = []
    while events:
        size = chance.randint(1, 12)
        batches.append(events[:size])
        events = events[size:]
    return batches


def _as(event: CloudEvent, correction: Any, **more: Any) -> State:
    entry = correction_of(event_type_of(event.data), correction)
    assert entry is not None
    values: Body = {name: getattr(event.data, name, None) for name in entry.data.__struct_fields__}
    return entry.data(**values | more)
