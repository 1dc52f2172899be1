"""The events that a database has published: the relay moves them here from the outbox when Kafka has them.

From here a lost log is filled again, and a log that knows more than a restored database is corrected. Of a compacted
topic only what it keeps is kept: the newest entry of each key, and nothing once a tombstone has removed it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import sqlalchemy as sa

from service_kit.compiled import CompiledStatement
from service_kit.database import metadata

published_event = sa.Table(
    "published_event",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="the order of publishing"),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, comment="the record's key"),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="the whole record's value, as it was published"),
    sa.Index("published_event_subject_idx", "subject", "epoch", "sequence"),
    sa.Index("published_event_event_id_idx", "event_id"),
    comment="Every event that was published; of directories the newest entry of each key.",
)

stream = sa.Table(
    "stream",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False, comment="of the events that are published from now on"),
    sa.Column(
        "epoch_began_at",
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.func.now(),
        comment="the recorded time of what corrects the epochs before",
    ),
    sa.Column(
        "is_complete",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="whether all that was ever published is in published_event",
    ),
    sa.Column(
        "is_correcting",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="whether the log is still to be searched for what the epoch corrects",
    ),
    sa.Column(
        "resend_position",
        sa.BigInteger,
        comment="of the first published event that a new log lacks; null while none has to be filled",
    ),
    sa.CheckConstraint("id = 1", name="single_row"),
    comment="What this database publishes; one row, once it is other than a new one.",
)

published_topic = sa.Table(
    "published_topic",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("cluster_id", sa.Text, nullable=False),
    sa.Column("topic_id", sa.Uuid, nullable=False, comment="a topic that is created again under its name has another"),
    comment="The topics that this database published to.",
)

correction = sa.Table(
    "correction",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("changes", sa.ARRAY(sa.LargeBinary), nullable=False, comment="records that go before, whatever follows"),
    sa.Column(
        "withdrawal",
        sa.LargeBinary,
        comment="the record that takes the subject back, unless it has published events; null is a tombstone",
    ),
    sa.Column(
        "lost",
        sa.ARRAY(sa.Uuid),
        nullable=False,
        server_default="{}",
        comment="the ids of its events that this database does not know",
    ),
    comment="Subjects of which the log knows more than this database: the relay corrects them.",
)

PUBLISHING: Final = (correction, published_event, published_topic, stream)
"""The tables that are the relay's own: it alone, and `republish`, change them."""

DIRECTORY: Final = "directory/"
"""How the subjects on compacted topics begin, before the key."""

_MOVE: Final = CompiledStatement(
    sa.text(
        "with sent as (delete from outbox where position = any(cast(:sent as bigint[]))"
        " and exists (select from relay_lease where epoch = :lease)"
        " returning position, id, aggregatetype, aggregateid, payload),"
        " superseded as (delete from published_event where subject = any(cast(:superseded as text[]))"
        " and exists (select from relay_lease where epoch = :lease))"
        " insert into published_event (topic, key, subject, epoch, sequence, event_id, payload)"
        " select sent.aggregatetype, sent.aggregateid, kept.subject, :epoch, kept.sequence, sent.id,"
        " coalesce(kept.payload, sent.payload) from sent join unnest(cast(:positions as bigint[]),"
        " cast(:subjects as text[]), cast(:sequences as integer[]), cast(:payloads as bytea[]))"
        " as kept (position, subject, sequence, payload) using (position) order by sent.position"
    )
)
_KEEP: Final = CompiledStatement(
    sa.text(
        "with superseded as (delete from published_event where subject = any(cast(:superseded as text[]))"
        " and exists (select from relay_lease where epoch = :lease)),"
        " corrected as (delete from correction where subject = any(cast(:corrected as text[]))"
        " and exists (select from relay_lease where epoch = :lease))"
        " insert into published_event (topic, key, subject, epoch, sequence, event_id, payload)"
        " select topic, key, subject, epoch, sequence, event_id, payload"
        " from unnest(cast(:topics as text[]), cast(:keys as text[]), cast(:subjects as text[]),"
        " cast(:epochs as integer[]), cast(:sequences as integer[]), cast(:event_ids as uuid[]),"
        " cast(:payloads as bytea[]))"
        " with ordinality as kept (topic, key, subject, epoch, sequence, event_id, payload, place)"
        " where exists (select from relay_lease where epoch = :lease) order by place"
    )
)


class _Head(msgspec.Struct):
    """What is stored of an event beside its bytes."""

    id: UUID
    subject: str
    sequence: int
    epoch: int = 1


_head = msgspec.json.Decoder(_Head)


class PublishedEvent(NamedTuple):
    """An event as it was published; without a payload it is a tombstone, which is not kept."""

    topic: str
    key: str
    payload: bytes | None


async def move_to_published(
    driver: asyncpg.Connection, rows: Sequence[tuple[int, str, str, bytes | None]], *, epoch: int, lease: int
) -> None:
    """Move rows of the outbox that Kafka has acknowledged: position, topic, key and payload as it was sent.

    Nothing is moved when the lease is another relay's by now.
    """
    kept: dict[int, tuple[str, int, bytes | None]] = {}
    newest: dict[str, int] = {}
    """The position of each directory entry's last record."""
    for position, _, key, payload in rows:
        head = None if payload is None else _head_of(payload)
        if payload is None or (head is not None and head.subject.startswith(DIRECTORY)):
            kept.pop(newest.get(key, position), None)
            newest[key] = position
        if head is not None:
            # What was stamped with an epoch is another record than the outbox has.
            kept[position] = head.subject, head.sequence, payload if epoch > 1 else None
    await _MOVE.execute(
        driver,
        sent=[row[0] for row in rows],
        lease=lease,
        superseded=[DIRECTORY + key for key in newest],
        epoch=epoch,
        positions=list(kept),
        subjects=[each[0] for each in kept.values()],
        sequences=[each[1] for each in kept.values()],
        payloads=[each[2] for each in kept.values()],
    )


async def keep_corrections(
    driver: asyncpg.Connection, corrected: Sequence[str], events: Sequence[PublishedEvent], *, lease: int
) -> None:
    """Keep the events that corrected these subjects; they need no correction any more."""
    heads = [(event, _head.decode(event.payload)) for event in events if event.payload is not None]
    await _KEEP.execute(
        driver,
        lease=lease,
        corrected=list(corrected),
        superseded=[subject for subject in corrected if subject.startswith(DIRECTORY)],
        topics=[event.topic for event, _ in heads],
        keys=[event.key for event, _ in heads],
        subjects=[head.subject for _, head in heads],
        epochs=[head.epoch for _, head in heads],
        sequences=[head.sequence for _, head in heads],
        event_ids=[head.id for _, head in heads],
        payloads=[event.payload for event, _ in heads],
    )


def _head_of(payload: bytes) -> _Head | None:
    """Return what is stored of an event beside its bytes, or None for what is no event."""
    try:
        return _head.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
