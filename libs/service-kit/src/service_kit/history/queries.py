"""Reads of events: those of a record, and one by its id; from what was published, and from the outbox."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa

from event_contracts.codec import with_epoch
from service_kit.compiled import CompiledStatement
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.history.schemas import HistoryEventRead
from service_kit.outbox import outbox
from service_kit.paging import Page, PageRead
from service_kit.published_events import published_event, stream
from service_kit.unit_of_work import UnitOfWork

OF_ONE_RECORD: Final = (
    "The record's own events as they were published, the newest first; also those that Kafka is still to get. Of a name"
    " in the directory it is the latest entry. A record of before events were kept has those that followed."
)

_HIGHEST: Final = 2**31 - 1
_ALL_AFTER: Final = (_HIGHEST, _HIGHEST)
"""A place behind every event."""
_BITS: Final = 64

_TYPES: Final = sa.bindparam("types", type_=sa.ARRAY(sa.Text))
_LIMIT: Final = sa.bindparam("limit", type_=sa.Integer)
_SUBJECT: Final = sa.bindparam("subject", type_=sa.Text)
_EVENT_ID: Final = sa.bindparam("event_id", type_=sa.Uuid)
_BEFORE: Final = sa.tuple_(sa.bindparam("epoch", type_=sa.Integer), sa.bindparam("sequence", type_=sa.Integer))
_NEXT_EPOCH: Final = sa.func.coalesce(sa.select(stream.c.epoch).scalar_subquery(), 1).label("epoch")
"""Of what waits in the outbox: the relay stamps it."""
_sent, _waits = published_event.c, outbox.c


def _attribute(payload: sa.ColumnElement[bytes], name: str) -> sa.ColumnElement[str]:
    found: sa.ColumnElement[str] = sa.cast(sa.func.convert_from(payload, "UTF8"), sa.JSON)[name].as_string()
    return found


def _is_asked(event_type: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.or_(_TYPES.is_(None), event_type == sa.any_(_TYPES))


def _history() -> sa.Select[Any]:
    published = (
        sa.select(_sent.topic, _sent.epoch, _sent.sequence, _sent.payload, sa.true().label("is_published"))
        .where(_sent.subject == _SUBJECT, sa.tuple_(_sent.epoch, _sent.sequence) < _BEFORE)
        .where(_is_asked(_attribute(_sent.payload, "type")))
        .order_by(_sent.epoch.desc(), _sent.sequence.desc())
        .limit(_LIMIT)
        .subquery("published")
    )
    sequence = sa.cast(_attribute(_waits.payload, "sequence"), sa.Integer).label("sequence")
    of_key = (
        sa.select(_waits.aggregatetype, _NEXT_EPOCH, sequence, _waits.payload, sa.false().label("is_published"))
        .add_columns(_attribute(_waits.payload, "subject").label("subject"))
        .where(_waits.aggregateid == sa.bindparam("key", type_=sa.Text), _waits.payload.is_not(None))
        .where(_is_asked(_waits.type))
        .subquery("of_key")
    )
    waiting = (
        sa.select(*(column for column in of_key.c if column.name != "subject"))
        .where(of_key.c.subject == _SUBJECT, sa.tuple_(of_key.c.epoch, of_key.c.sequence) < _BEFORE)
        .subquery("waiting")
    )
    found = sa.union_all(sa.select(published), sa.select(waiting)).subquery("found")
    return sa.select(found).order_by(found.c.epoch.desc(), found.c.sequence.desc()).limit(_LIMIT)


HISTORY: Final = CompiledStatement(_history())
"""A page of a subject's events. Of the outbox all that waits under the key is read, which is little, unless Kafka is
away."""
EVENT: Final = CompiledStatement(
    sa.select(
        sa.union_all(
            sa.select(_sent.topic, _sent.key, _sent.epoch, _sent.payload, sa.true().label("is_published")).where(
                _sent.event_id == _EVENT_ID
            ),
            sa.select(_waits.aggregatetype, _waits.aggregateid, _NEXT_EPOCH, _waits.payload, sa.false()).where(
                _waits.id == _EVENT_ID, _waits.payload.is_not(None)
            ),
        ).subquery("found")
    )
)
_TOMBSTONE: Final = CompiledStatement(
    sa.select(_waits.id)
    .where(_waits.aggregateid == sa.bindparam("key", type_=sa.Text))
    .where(_waits.aggregatetype == sa.bindparam("topic", type_=sa.Text), _waits.payload.is_(None))
    .limit(1)
)


async def history_of(
    work: UnitOfWork, page: Page, own: OwnEvents, record: Any, types: Sequence[str] | None
) -> PageRead[HistoryEventRead]:
    """Return one page of the events of a record that the caller may read."""
    epoch, sequence = _ALL_AFTER if page.after is None else _place_of(page.after)
    found = await HISTORY.all(
        work,
        subject=own.subject_of(record),
        key=own.key_of(record),
        types=types,
        epoch=epoch,
        sequence=sequence,
        limit=page.limit + 1,
    )
    shown = found[: page.limit]
    last = shown[-1] if len(found) > len(shown) else None
    cursor = None if last is None else page.cursor_after(UUID(int=last["epoch"] << _BITS | last["sequence"]))
    return PageRead(items=[_view_of(row) for row in shown], next_cursor=cursor)


def _place_of(cursor: UUID) -> tuple[int, int]:
    """Return the epoch and sequence that a page ended with."""
    return cursor.int >> _BITS & _HIGHEST, cursor.int & _HIGHEST


class FoundEvent(NamedTuple):
    """One event, and what decides who may see it."""

    view: HistoryEventRead
    subjects: str
    record_id: UUID
    named: str | None
    """The kind of a directory entry, which has a name."""


async def event_with(work: UnitOfWork, event_id: UUID) -> FoundEvent | None:
    """Return the event with this id; None where there is none, or where it has a name that was erased."""
    row = await EVENT.one_or_none(work, event_id=event_id)
    if row is None:
        return None
    view = _view_of(row)
    subjects, _, record_id = view.event.subject.partition("/")
    if subjects != DIRECTORY:
        return FoundEvent(view, subjects, UUID(record_id), None)
    # The tombstone may still wait, in which the name goes.
    if await _TOMBSTONE.one_or_none(work, key=row["key"], topic=row["topic"]) is not None:
        return None
    return FoundEvent(view, subjects, UUID(record_id), view.event.data["kind"])


def _view_of(row: Any) -> HistoryEventRead:
    payload = row["payload"] if row["is_published"] else with_epoch(row["payload"], row["epoch"])
    return HistoryEventRead(event=msgspec.json.decode(payload), topic=row["topic"], is_published=row["is_published"])
