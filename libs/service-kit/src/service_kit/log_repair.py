"""What the active relay does for `republish`: it corrects a log that knows more than its database, and fills a new one.

The relay is the only one that publishes. What it sends here is in order with what it sends from the outbox.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import asyncpg
import sqlalchemy as sa
import structlog

from event_contracts.codec import decode
from event_contracts.corrections import restored
from service_kit.clock import Clock
from service_kit.compiled import CompiledStatement
from service_kit.consumer.log_identity import TopicIdentity, TopicsMissing
from service_kit.kafka import Kafka
from service_kit.published_events import PublishedEvent, keep_corrections
from service_kit.relay_lease import Lease

log = structlog.get_logger()

CHUNK_EVENTS: Final = 2000
CHUNK_SUBJECTS: Final = 500
LOOK_SECONDS: Final = 1.0
"""How long a request of `republish` may go unnoticed."""
IDENTIFY_SECONDS: Final = 5.0

Row = tuple[int, str, str, bytes | None]
"""A record to send: a number, its topic, key and value."""
Send = Callable[[Sequence[Row]], Awaitable[list[int]]]
"""Sends some of the rows, those of a key in order, and returns their numbers. Raises when nothing got through."""
SendOnlyTo = Callable[[Mapping[str, TopicIdentity]], None]
"""Allows to send to these topics, and to none of their names that are others."""

_LOOK: Final = CompiledStatement(
    sa.text(
        "select (select resend_position from stream) as resend_position,"
        " exists (select from correction) as has_corrections"
    )
)
_TOPICS: Final = CompiledStatement(sa.text("select topic, cluster_id, topic_id from published_topic"))
_SET_TOPICS: Final = CompiledStatement(
    sa.text(
        # What fills a log has to begin again with another one.
        "with again as (update stream set resend_position = (select coalesce(min(position), 0) from published_event)"
        " where :is_another and resend_position is not null and exists (select from relay_lease where epoch = :lease))"
        " insert into published_topic (topic, cluster_id, topic_id)"
        " select given.* from unnest(cast(:topics as text[]), cast(:clusters as text[]), cast(:topic_ids as uuid[]))"
        " as given where exists (select from relay_lease where epoch = :lease)"
        " on conflict (topic) do update set cluster_id = excluded.cluster_id, topic_id = excluded.topic_id"
    )
)
_PUBLISHED: Final = CompiledStatement(
    sa.text(
        "select position, topic, key, payload from published_event"
        " where position >= :position order by position limit :events"
    )
)
_RESENT: Final = CompiledStatement(
    sa.text(
        "update stream set resend_position = cast(:position as bigint)"
        " where exists (select from relay_lease where epoch = :lease)"
    )
)
_CORRECTIONS: Final = CompiledStatement(
    sa.text(
        "select correction.subject, correction.topic, correction.key, changes, withdrawal, lost,"
        " newest.epoch as known_epoch, newest.payload as known, stream.epoch, stream.epoch_began_at"
        " from correction cross join stream left join lateral (select epoch, payload from published_event"
        " where published_event.subject = correction.subject order by epoch desc, sequence desc limit 1) as newest"
        " on true order by correction.subject limit :subjects"
    )
)


class LogRepair:
    """The repairs of one relay's log, from the start of its producer on."""

    def __init__(self, kafka: Kafka, clock: Clock, send: Send, send_only_to: SendOnlyTo) -> None:
        self._kafka = kafka
        self._clock = clock
        self._send = send
        self._send_only_to = send_only_to
        self._looked_at = self._identified_at = float("-inf")
        self.has_more = False
        """Whether more of it waits."""
        self._known_topics: set[str] = set()
        self.topics: Mapping[str, TopicIdentity] = {}
        """The topics that were published to, as the database knows them."""
        self._is_other_log = self._is_filling = False
        self.holds_outbox = False
        """Whether what waits in the outbox has to wait: the log is another one, and not filled yet."""

    async def step(self, driver: asyncpg.Connection, lease: Lease) -> None:
        """Do the next piece of what is to be repaired."""
        now = self._clock.monotonic()
        if not self.has_more and now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        look = await _LOOK.one_or_none(driver)
        assert look is not None  # noqa: S101 - it has one row
        is_filling = look["resend_position"] is not None
        begins = is_filling and not self._is_filling
        self._is_filling = is_filling
        if begins or now - self._identified_at > IDENTIFY_SECONDS:
            # What is filled is the log from now on.
            await self._identify(driver, lease, adopts=is_filling)
            self._identified_at = now
            if is_filling:
                look = await _LOOK.one_or_none(driver)
                assert look is not None  # noqa: S101 - it has one row
        self.holds_outbox = self._is_other_log or is_filling
        self.has_more = is_filling or (look["has_corrections"] and not self.holds_outbox)
        if is_filling:
            await self._fill(driver, lease, look["resend_position"])
        elif self.has_more:
            await self._correct(driver, lease)

    async def note_topics(self, driver: asyncpg.Connection, lease: Lease, topics: set[str]) -> None:
        """Store the identity of topics before anything is sent to them for the first time."""
        if not topics <= self._known_topics:
            await self._identify(driver, lease, topics)

    async def _identify(
        self, driver: asyncpg.Connection, lease: Lease, topics: Iterable[str] = (), *, adopts: bool = False
    ) -> None:
        known = {row["topic"]: TopicIdentity(row["cluster_id"], row["topic_id"]) for row in await _TOPICS.all(driver)}
        names = sorted({*known, *topics})
        if not names:
            return
        try:
            found = await self._found(names)
        except Exception as error:
            if topics or self._identified_at == float("-inf"):
                raise
            # A broker that is away proves nothing; its failure shows in sending to it.
            log.info("log_not_identified", error=repr(error))
            return
        others = [name for name in known.keys() & found.keys() if not known[name].is_same(found[name])]
        self._is_other_log = bool(others) and not adopts
        if self._is_other_log:
            log.error(
                "log_is_another", topics=sorted(others), do="republish with --lost-log, or bring the former log back"
            )
        elif found != {name: known.get(name) for name in found}:
            await _SET_TOPICS.execute(
                driver,
                topics=list(found),
                clusters=[cluster_id for cluster_id, _ in found.values()],
                topic_ids=[topic_id for _, topic_id in found.values()],
                is_another=bool(others),
                lease=lease.epoch,
            )
        self._known_topics = set(found)
        self.topics = known if self._is_other_log else known | found
        self._send_only_to(self.topics)

    async def _found(self, names: Sequence[str]) -> dict[str, TopicIdentity]:
        """Return the identity of the topics that exist."""
        try:
            identity = await self._kafka.identify(names)
        except TopicsMissing:
            if len(names) == 1:
                return {}
            return {topic: each for name in names for topic, each in (await self._found([name])).items()}
        return identity.topics

    async def _fill(self, driver: asyncpg.Connection, lease: Lease, position: int) -> None:
        """Send published events from a position on, as they were published."""
        rows: list[Row] = [tuple(row) for row in await _PUBLISHED.all(driver, position=position, events=CHUNK_EVENTS)]
        await self._send_all(driver, lease, rows)
        await _RESENT.execute(driver, position=rows[-1][0] + 1 if rows else None, lease=lease.epoch)
        log.info("log_filled", events=len(rows), is_complete=not rows)

    async def _correct(self, driver: asyncpg.Connection, lease: Lease) -> None:
        """Send what corrects some subjects."""
        rows = await _CORRECTIONS.all(driver, subjects=CHUNK_SUBJECTS)
        events: list[PublishedEvent] = []
        for row in rows:
            topic, key = row["topic"], row["key"]
            events += [PublishedEvent(topic, key, payload) for payload in row["changes"]]
            if row["known"] is None:
                events.append(PublishedEvent(topic, key, row["withdrawal"]))
            elif row["known_epoch"] < row["epoch"]:
                known = decode(row["known"])
                if known.event_type.correction != "withdrawn":
                    payload = restored(known, row["lost"], epoch=row["epoch"], at=row["epoch_began_at"])
                    events.append(PublishedEvent(topic, key, payload))
        await self._send_all(driver, lease, [(number, *event) for number, event in enumerate(events)])
        await keep_corrections(driver, [row["subject"] for row in rows], events, lease=lease.epoch)
        log.info("subjects_corrected", subjects=len(rows), events=len(events))

    async def _send_all(self, driver: asyncpg.Connection, lease: Lease, rows: Sequence[Row]) -> None:
        await self.note_topics(driver, lease, {row[1] for row in rows})
        left = list(rows)
        while left:
            sent = set(await self._send(left))
            if not sent:
                raise TopicsMissing(f"of the topics to repair one is missing: {', '.join({row[1] for row in left})}")
            left = [row for row in left if row[0] not in sent]
