"""A Kafka in memory: partitioned topics, idempotent producers, and consumer groups that rebalance as Kafka's do."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID, uuid5

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from service_kit.consumer.log_identity import LogIdentity, TopicIdentity
from service_kit.kafka import FencingProducer
from tests.simulation.scheduler import NAMESPACE, Process, Scheduler, current_process

SESSION_SECONDS: Final = 10.0
LONGEST_BATCH: Final = 3
"""So many records at most fit into a producer's batch: a round of the relay leaves some for the next."""

Stored = ConsumerRecord[bytes, bytes]


class MemoryLog:
    """The topics and groups of one cluster."""

    def __init__(self, scheduler: Scheduler, topics: Mapping[str, int]) -> None:
        self.scheduler = scheduler
        self.partitions = dict(topics)
        self.records: dict[TopicPartition, list[Stored]] = {
            TopicPartition(topic, number): [] for topic, count in topics.items() for number in range(count)
        }
        self.groups: dict[str, _Group] = {}
        self.newest_epochs: dict[str, int] = {}
        """Of the producers of a name."""
        self.written_epochs: dict[tuple[str, TopicPartition], int] = {}
        """The newest by which a partition was written to; it knows of no other."""
        self.send_fails: Callable[[Process], bool | None] = lambda process: None
        """Whether the request that a process is about to send gets lost (True), or its answer (False)."""
        self.delivers_at_once = False
        """Whether a poll returns all that there is, as a consumer that is far behind sees it."""

    def append(self, part: TopicPartition, key: bytes | None, value: bytes | None) -> None:
        """Add a record."""
        records = self.records[part]
        records.append(ConsumerRecord(part.topic, part.partition, len(records), 0, 0, key, value, None, 0, 0, ()))

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """Return where the partitions of some topics end."""
        wanted = set(topics)
        return {part: len(records) for part, records in self.records.items() if part.topic in wanted}


class MemoryKafka:
    """Makes clients of the log in memory, in aiokafka's place."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def fencing_producer(self, name: str, **options: Any) -> FencingProducer:
        """Return a producer that fences those before it."""
        return cast("FencingProducer", _Producer(self._log, name))

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Raise: nothing that the simulation runs sends by one."""
        raise NotImplementedError

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a member of a group."""
        return cast("AIOKafkaConsumer", _Member(self._log, options["group_id"]))

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the identity of this log, which is always the same."""
        partitions = {topic: self._log.partitions[topic] for topic in topics}
        return LogIdentity("memory", {topic: _topic_id(topic) for topic in topics}, partitions)


def _topic_id(topic: str) -> UUID:
    return uuid5(NAMESPACE, topic)


class _Batch:
    def __init__(self, size: int) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self._size = size

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: object = ()
    ) -> object | None:
        if len(self.records) >= self._size:
            return None
        self.records.append((key, value))
        return object()


class _Producer:
    def __init__(self, log: MemoryLog, name: str) -> None:
        self._log = log
        self._name = name
        self._epoch = 0
        self._topics: Mapping[str, TopicIdentity] = {}

    def send_only_to(self, topics: Mapping[str, TopicIdentity]) -> None:
        self._topics = dict(topics)

    async def start(self) -> None:
        epochs = self._log.newest_epochs
        self._epoch = epochs[self._name] = epochs.get(self._name, 0) + 1

    async def stop(self) -> None:
        pass

    async def count_partitions(self, topic: str) -> int:
        return self._log.partitions[topic]

    def create_batch(self) -> _Batch:
        return _Batch(self._log.scheduler.random.randint(1, LONGEST_BATCH))

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> asyncio.Future[object]:
        assert topic in self._topics, f"the identity of {topic} is not known"
        await self._log.scheduler.seam("send")
        is_lost = self._log.send_fails(current_process())
        part = TopicPartition(topic, partition)
        is_fenced = self._log.written_epochs.get((self._name, part), 0) > self._epoch
        if is_lost is not True and not is_fenced:
            self._log.written_epochs[self._name, part] = self._epoch
            for key, value in batch.records:
                self._log.append(part, key, value)
        await self._log.scheduler.seam("acknowledge")
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if is_fenced:
            outcome.set_exception(ProducerFenced())
        elif is_lost is None:
            outcome.set_result(object())
        else:
            outcome.set_exception(KafkaConnectionError("the request timed out"))
        # Retrieved, or asyncio complains of it where the relay is killed before it asks.
        outcome.exception()
        return outcome


class _Group:
    """A consumer group under the eager protocol: all members give up their partitions before any gets new ones."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.members: list[_Member] = []
        self.generation = 0

    def join(self, member: "_Member") -> None:
        if member not in self.members:
            self.members.append(member)
            self.generation += 1

    def leave(self, member: "_Member") -> None:
        if member in self.members:
            self.members.remove(member)
            self.generation += 1

    def expel_silent(self) -> None:
        """Expel members whose process has crashed or is stopped for longer than their session lasts."""
        now = self._log.scheduler.now
        for member in [each for each in self.members if each.silent_since(now) < now - SESSION_SECONDS]:
            self.leave(member)

    def has_joined(self) -> bool:
        """Return whether every member knows the generation."""
        self.expel_silent()
        return all(member.joined == self.generation for member in self.members)

    def share_of(self, member: "_Member") -> set[TopicPartition]:
        """Return a member's partitions: of each topic a range."""
        members = sorted(self.members, key=lambda each: each.name)
        place, share = members.index(member), set()
        for topic in member.topics:
            count = self._log.partitions[topic]
            first, last = (count * each // len(members) for each in (place, place + 1))
            share |= {TopicPartition(topic, number) for number in range(first, last)}
        return share


class _Member:
    """A consumer, as far as the kit's uses aiokafka's."""

    def __init__(self, log: MemoryLog, group: str) -> None:
        self._log = log
        self._process = current_process()
        self._incarnation = self._process.incarnation
        self._crashed_at = math.inf
        self._group = log.groups.setdefault(group, _Group(log))
        self._listener: Any = None
        self._assigned: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self.topics: list[str] = []
        self.joined = -1
        self.name = f"{self._process.name}#{self._process.incarnation}"

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        if not self._process.has_crashed:
            self._group.leave(self)

    def silent_since(self, now: float) -> float:
        """Return since when the coordinator has had no heartbeat."""
        if self._process.incarnation != self._incarnation or self._process.has_crashed:
            self._crashed_at = min(self._crashed_at, now)
            return self._crashed_at
        return min(now, self._process.paused_since)

    def subscribe(self, *, topics: Sequence[str], listener: object) -> None:
        self.topics, self._listener = list(topics), listener

    def assignment(self) -> set[TopicPartition]:
        return set(self._assigned)

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def pause(self, *parts: TopicPartition) -> None:
        self._paused |= set(parts)

    def resume(self, *parts: TopicPartition) -> None:
        self._paused -= set(parts)

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._positions[part] = offset

    def highwater(self, part: TopicPartition) -> int:
        return len(self._log.records[part])

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._log.partitions[topic]))

    async def beginning_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, 0)

    async def end_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: len(self._log.records[part]) for part in parts}

    async def commit(self, offsets: object) -> None:
        await self._log.scheduler.seam("hint")

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Stored]]:
        await self._log.scheduler.seam("read", ready=self._has_news, seconds=timeout_ms / 1000)
        await self._rebalance()
        polled = self._take(max_records)
        if polled:
            # Between reading and writing a process may be stopped for so long that others take over.
            await self._log.scheduler.seam("process")
        return polled

    def _has_news(self) -> bool:
        if self.joined != self._group.generation or self not in self._group.members:
            return True
        return any(
            self._positions.get(part, math.inf) < len(self._log.records[part]) for part in self._assigned - self._paused
        )

    def _need_not_wait(self) -> bool:
        return self._group.has_joined() or self.joined != self._group.generation

    async def _rebalance(self) -> None:
        self._group.expel_silent()
        while self not in self._group.members or self.joined != self._group.generation:
            await self._listener.on_partitions_revoked(set(self._assigned))
            self._assigned.clear()
            self._positions.clear()
            self._group.join(self)
            self.joined = self._group.generation
            await self._log.scheduler.seam("join", ready=self._need_not_wait, seconds=2 * SESSION_SECONDS)
            if self in self._group.members and self.joined == self._group.generation:
                self._assigned = self._group.share_of(self)
                await self._listener.on_partitions_assigned(set(self._assigned))

    def _take(self, max_records: int) -> dict[TopicPartition, list[Stored]]:
        """Return some of the records that wait, from the partitions in any order."""
        chance, polled = self._log.scheduler.random, {}
        waiting = sorted(part for part in self._assigned - self._paused if part in self._positions)
        chance.shuffle(waiting)
        left = max_records
        for part in waiting:
            position = self._positions[part]
            records = self._log.records[part][position : position + left]
            if records and not self._log.delivers_at_once:
                records = records[: chance.choice([1, 2, 5, len(records)])]
            if records:
                polled[part] = records
                self._positions[part] = position + len(records)
                left -= len(records)
        return polled
