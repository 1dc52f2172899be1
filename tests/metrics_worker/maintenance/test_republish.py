"""A restored source and a lost Kafka are brought back to one truth: the log and the ledger follow the database."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import State
from event_contracts.directory import SalesDirectoryEntrySet
from metrics_worker.alerts.rules import sequence_conflicts
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.ledger.tables import POSTING
from metrics_worker.maintenance.verify import Report, verify
from service_kit import log_repair
from service_kit.database import create_engine, metadata
from service_kit.kafka import KafkaServers
from service_kit.log_repair import LogRepair
from service_kit.outbox import outbox
from service_kit.published_events import correction, published_event, stream
from service_kit.relay import Relay
from service_kit.republish import CannotRepublish, Correction, correct_log, fill_log, keep_log, log_of
from service_kit.settings import ServiceSettings
from tandem_cli.kafka import EmbeddedKafka, Topic
from tests.metrics_worker.conftest import empty
from tests.metrics_worker.facts import VILNIUS, account, deal, interaction, line, logged, ticket
from tests.metrics_worker.ledger.test_consumer import consuming
from tests.metrics_worker.ledger.test_writer import sums
from tests.support import Kafka, Postgres, eventually, within

FOUND_SECONDS = 30


class Source:
    """A service's database with its relay, whose topics are the test's own."""

    def __init__(self, postgres: Postgres, new_database: Callable[[str], str], kafka: Kafka, topics: tuple[str, str]):
        self._postgres = postgres
        self._new_database = new_database
        self.kafka = KafkaServers(kafka.bootstrap_servers)
        self.events, self.directory = topics
        self.open(new_database("source"))

    def open(self, url: str) -> None:
        self.url = url
        self.engine = create_engine(ServiceSettings(database_url=url), application="test")

    async def create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def copy(self) -> str:
        """Return the address of a copy of the database, as a backup has it."""
        await self.engine.dispose()
        name = self.url.rpartition("/")[2]
        copy = self._new_database("restored")
        self._postgres.drop_database(copy.rpartition("/")[2])
        admin = create_engine(ServiceSettings(database_url=self._postgres.url("postgres")), application="test")
        async with admin.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(sa.text(f'CREATE DATABASE "{copy.rpartition("/")[2]}" TEMPLATE "{name}"'))
        await admin.dispose()
        self.open(self.url)
        return copy

    async def restore(self, copy: str) -> None:
        """Go on with a copy in the database's place."""
        await self.engine.dispose()
        self.open(copy)

    async def write(self, *events: tuple[State, int], key: UUID | None = None) -> None:
        """Write events to the outbox, each with its sequence, as events that were never written before."""
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(outbox), [self._row(data, sequence, key) for data, sequence in events])

    def _row(self, data: State, sequence: int, key: UUID | None) -> dict[str, Any]:
        event_id, partition_key = uuid4(), key or data.id
        payload = codec.encode(
            data,
            event_id=event_id,
            time=datetime.now(UTC),
            recorded_time=datetime.now(UTC),
            sequence=sequence,
            partition_key=partition_key,
        )
        topic = self.directory if isinstance(data, SalesDirectoryEntrySet) else self.events
        return {
            "id": event_id, "aggregatetype": topic, "aggregateid": str(partition_key), "type": "test",
            "payload": payload,
        }  # fmt: skip

    async def erase_name(self, key: UUID) -> None:
        row = {"id": uuid4(), "aggregatetype": self.directory, "aggregateid": str(key), "type": "t", "payload": None}
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(outbox), row)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[list[Relay]]:
        stop = asyncio.Event()
        relays = [Relay(engine=self.engine, kafka=self.kafka) for _ in range(2)]
        tasks = [asyncio.create_task(each.run(stop)) for each in relays]
        try:
            yield relays
        finally:
            stop.set()
            await within(asyncio.gather(*tasks), 20)

    async def is_published(self) -> bool:
        async with self.engine.connect() as connection:
            return (await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one() == 0

    async def publish(self, *events: tuple[State, int]) -> None:
        async with self.relaying():
            await self.write(*events)
            await eventually(self.is_published, FOUND_SECONDS)

    async def correct(self, **options: Any) -> Correction:
        async with log_of(self.kafka, [self.events, self.directory]) as read:
            return await correct_log(self.engine, read, **options)

    async def rows(self, table: sa.Table) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(sa.select(table).order_by(*table.primary_key)))

    async def log(self, topic: str) -> dict[str, list[bytes | None]]:
        """Return all records of a topic by key, in the order of the log."""
        consumer = self.kafka.consumer(auto_offset_reset="earliest")
        await consumer.start()
        try:
            parts = [TopicPartition(topic, number) for number in range(2)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            found: dict[str, list[bytes | None]] = {}
            while any([await consumer.position(part) < ends[part] for part in parts]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        found.setdefault((record.key or b"").decode(), []).append(record.value)
            return found
        finally:
            await consumer.stop()


@pytest.fixture
async def source(
    postgres: Postgres, new_database: Callable[[str], str], kafka: Kafka, new_topic: Callable[..., str]
) -> AsyncIterator[Source]:
    topics = new_topic("sales", partitions=2), new_topic("sales.directory", partitions=2, compacted=True)
    made = Source(postgres, new_database, kafka, topics)
    await made.create()
    yield made
    await made.engine.dispose()


@pytest.fixture
async def ledger(shared_engine: AsyncEngine) -> AsyncEngine:
    await empty(shared_engine)
    return shared_engine


@asynccontextmanager
async def following(source: Source, ledger: AsyncEngine) -> AsyncIterator[None]:
    async with consuming(LedgerConsumer(ledger, source.kafka, VILNIUS, topics=[source.events])):
        yield


async def verified(source: Source, ledger: AsyncEngine) -> Report:
    return await verify(ledger, source.kafka, VILNIUS, topics=[source.events], catch_up_seconds=FOUND_SECONDS)


async def alarmed(ledger: AsyncEngine) -> list[str]:
    async with ledger.connect() as connection:
        return [each.subject for each in await sequence_conflicts(connection)]


def versions(records: list[bytes | None]) -> list[tuple[str, int, int]]:
    events = [codec.decode(record) for record in records if record is not None]
    return [(event.event_type.name, event.epoch, event.sequence) for event in events]


async def test_a_deal_that_was_lost_and_is_won_after_a_restore_counts_once_it_is_republished(
    source: Source, ledger: AsyncEngine
) -> None:
    one, other = deal(line("desk", 1, "100"), stage="proposal"), deal(line("lamp", 1, "7"), stage="won")
    lost = deal(line("desk", 1, "100"), stage="lost", id=one.id)
    won = deal(line("desk", 1, "100"), stage="won", id=one.id)
    async with following(source, ledger):
        await source.publish((one, 1))
        backup = await source.copy()
        await source.publish((lost, 2), (other, 1))
        await source.restore(backup)
        async with source.relaying():
            await source.write((won, 2))
            await eventually(source.is_published, FOUND_SECONDS)
            report = await verified(source, ledger)
            assert [each["table"] for each in report.differences] == ["sequence_conflict"]
            assert await alarmed(ledger) == [f"deals/{one.id}"]
            found = await source.correct()
            assert (found.epoch, found.lost_events, found.restored, found.withdrawn) == (2, 2, 1, 1)
            report = await verified(source, ledger)
            assert report.to_json()["differences"] == []
            assert await alarmed(ledger) == []
            assert await sums(ledger, "deal", "revenue") == {"2026-03-10": 10_000}
            await source.write((deal(line("desk", 1, "120"), stage="won", id=one.id), 3))
            await eventually(source.is_published, FOUND_SECONDS)
            await verified(source, ledger)
        assert await sums(ledger, "deal", "revenue") == {"2026-03-10": 12_000}
    log = await source.log(source.events)
    assert versions(log[str(one.id)])[-2:] == [("sales.deal-restored", 2, 2), ("sales.deal-opened", 2, 3)]
    assert versions(log[str(other.id)]) == [("sales.deal-opened", 1, 1), ("sales.deal-withdrawn", 1, 2)]


async def test_republishing_finds_nothing_to_correct_when_nothing_was_lost(source: Source) -> None:
    async with source.relaying():
        await source.write((deal(line("desk", 1, "100")), 1), (account(), 1))
        first, second = await source.correct(), await source.correct()
    assert (first.epoch, second.epoch) == (2, 3)
    assert (second.records, second.lost_events, second.restored, second.withdrawn) == (2, 0, 0, 0)


class Killed(Exception):
    """Stands for a kill -9 of the command."""


@pytest.mark.parametrize("step", ["published", "read", "corrected"])
async def test_a_command_that_was_killed_goes_on_where_it_was(source: Source, step: str) -> None:
    one = account()
    await source.publish((one, 1))
    backup = await source.copy()
    await source.publish((one, 2), (account(), 1))
    await source.restore(backup)

    def dies(at: str, done: int, total: int) -> None:
        if at == step:
            raise Killed

    async with source.relaying():
        await source.write((one, 2))
        with pytest.raises(Killed):
            await source.correct(progress=dies)
        found = await source.correct()
        assert found.epoch == 2
        again = await source.correct()
    assert (again.restored, again.withdrawn) == (0, 0)
    assert await source.rows(correction) == []
    by_subject = [versions(records) for records in (await source.log(source.events)).values()]
    last = sorted(each[-1] for each in by_subject)
    assert last == [("sales.account-restored", 2, 2), ("sales.account-withdrawn", 1, 2)]


async def test_names_go_back_to_those_of_the_restore_unless_they_were_erased(source: Source) -> None:
    def named(key: UUID, name: str) -> SalesDirectoryEntrySet:
        return SalesDirectoryEntrySet(id=key, kind="account", name=name)

    kept, renamed, lost, erased = (uuid4() for _ in range(4))
    await source.publish(*((named(key, "Before"), 1) for key in (kept, renamed, erased)))
    backup = await source.copy()
    await source.publish((named(renamed, "After"), 2), (named(lost, "Lost"), 1))
    async with source.relaying():
        await source.erase_name(erased)
        await eventually(source.is_published, FOUND_SECONDS)
    assert sorted(row.key for row in await source.rows(published_event)) == sorted(map(str, (kept, renamed, lost)))
    await source.restore(backup)
    async with source.relaying():
        found = await source.correct()
    assert found.erasures == [f"directory/{erased}"]
    log = await source.log(source.directory)
    assert versions(log[str(renamed)])[-1] == ("sales.directory-entry-set", 2, 1)
    assert log[str(lost)][-1] is None
    assert log[str(erased)][-1] is None
    assert len(log[str(kept)]) == 1


async def test_an_interaction_that_was_lost_counts_no_more(source: Source, ledger: AsyncEngine) -> None:
    asked = ticket()
    contact = interaction(ticket_id=asked.id)
    async with following(source, ledger):
        await source.publish((asked, 1))
        backup = await source.copy()
        await source.publish((logged(contact, id=asked.id), 2))
        await verified(source, ledger)
        assert await sums(ledger, "interaction", "handled") != {}
        await source.restore(backup)
        async with source.relaying():
            await source.correct()
            report = await verified(source, ledger)
    assert report.to_json()["differences"] == []
    assert await sums(ledger, "interaction", "handled") == {}


async def test_the_moment_before_a_restore_still_shows_what_the_ledger_held_then(
    source: Source, ledger: AsyncEngine
) -> None:
    won = deal(line("desk", 1, "100"), stage="won")
    async with following(source, ledger):
        await source.publish((deal(line("desk", 1, "100"), stage="proposal", id=won.id), 1))
        backup = await source.copy()
        await source.publish((won, 2))
        before = datetime.now(UTC)
        await source.restore(backup)
        async with source.relaying():
            await source.correct()
        await verified(source, ledger)
    assert await revenue_as_of(ledger, before) == 10_000
    assert await revenue_as_of(ledger, datetime.now(UTC)) == 0


async def revenue_as_of(ledger: AsyncEngine, moment: datetime) -> int:
    (table,) = (table for kind, table in POSTING.items() if kind.name == "deal")
    query = sa.select(sa.func.coalesce(sa.func.sum(table.c.revenue), 0)).where(
        table.c.recorded_time <= moment, ~table.c.split
    )
    async with ledger.connect() as connection:
        return int((await connection.execute(query)).scalar_one())


async def recreate(source: Source, kafka: Kafka) -> None:
    """Delete the topics and create them again, as a Kafka that was lost begins anew."""
    admin: AIOKafkaAdminClient = source.kafka.admin()
    await admin.start()
    await admin.delete_topics([source.events, source.directory])
    await admin.close()

    async def is_created() -> bool:
        try:
            await asyncio.to_thread(
                kafka.create_topics, [Topic(source.events, 2), Topic(source.directory, 2, compacted=True)]
            )
            identity = await source.kafka.identify([source.events, source.directory])
        except Exception:
            return False
        return set(identity.partitions.values()) == {2}

    await eventually(is_created, FOUND_SECONDS)


async def test_a_lost_kafka_is_filled_from_the_database_and_books_rebuilt_equal_the_old(
    source: Source, ledger: AsyncEngine, kafka: Kafka
) -> None:
    deals = [deal(line("desk", 1, str(number)), stage="won") for number in range(1, 40)]
    name = SalesDirectoryEntrySet(id=deals[0].id, kind="account", name="Named")
    async with following(source, ledger):
        await source.publish(*((deal(line("desk", 1, "5"), stage="proposal", id=each.id), 1) for each in deals))
        await source.publish(*((each, 2) for each in deals), (name, 1))
        await verified(source, ledger)
    log, directory = await source.log(source.events), await source.log(source.directory)
    postings = await posted(ledger)
    with pytest.raises(CannotRepublish, match="is the log that the events were published to"):
        await fill_log(source.engine, source.kafka)
    await recreate(source, kafka)
    later = deal(line("desk", 1, "1000"), stage="won")
    async with source.relaying() as relays:
        await source.write((later, 1), (deal(line("desk", 1, "3"), stage="won", id=deals[0].id), 3))
        # The relay has found that the log is another one.
        await eventually(lambda: is_held_back(relays), FOUND_SECONDS)
        assert await source.log(source.events) == {}
        assert await fill_log(source.engine, source.kafka) == 2 * len(deals) + 1
        await eventually(source.is_published, FOUND_SECONDS)
    filled = await source.log(source.events)
    assert {key: records[:2] for key, records in filled.items() if key != str(later.id)} == log
    assert versions(filled[str(deals[0].id)])[2:] == [("sales.deal-opened", 1, 3)]
    assert await source.log(source.directory) == directory
    await empty(ledger)
    async with following(source, ledger):
        assert (await verified(source, ledger)).to_json()["differences"] == []
    assert postings <= await posted(ledger)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A Kafka that may be lost."""
    broker = EmbeddedKafka(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.stop()


def begin_anew(broker: EmbeddedKafka, topics: Sequence[Topic]) -> None:
    """Start a broker that has died on the same port, without anything that it held."""
    shutil.rmtree(broker.data_dir)
    broker.start()
    broker.create_topics(topics)


def lose_when_filled_in_part(broker: EmbeddedKafka, topics: Sequence[Topic], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the broker begin anew when the first events of a lost log have been sent to it."""
    fill, has_lost = LogRepair._fill, asyncio.Event()

    async def fill_and_lose(self: LogRepair, *arguments: Any) -> None:
        await fill(self, *arguments)
        if not has_lost.is_set():
            has_lost.set()
            broker.kill()
            await asyncio.to_thread(begin_anew, broker, topics)

    monkeypatch.setattr(LogRepair, "_fill", fill_and_lose)


@pytest.mark.parametrize("is_lost_again", [False, True], ids=["lost once", "lost again while it is filled"])
async def test_a_running_relay_sends_nothing_of_its_outbox_to_a_kafka_that_began_anew(
    postgres: Postgres,
    new_database: Callable[[str], str],
    own_broker: EmbeddedKafka,
    is_lost_again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its send is under way when the broker dies, and goes on by itself to whatever answers at the address then."""
    # However long it is until the next look at the topics.
    monkeypatch.setattr(log_repair, "IDENTIFY_SECONDS", 3600)
    monkeypatch.setattr(log_repair, "CHUNK_EVENTS", 2)
    topics = [Topic("lost", 2), Topic("lost.directory", 2, compacted=True)]
    own_broker.create_topics(topics)
    source = Source(postgres, new_database, own_broker, ("lost", "lost.directory"))
    await source.create()
    one = deal(line("desk", 1, "100"), stage="proposal")
    async with source.relaying() as relays:
        await source.write(*((one, sequence) for sequence in range(1, 8)))
        await eventually(source.is_published, FOUND_SECONDS)
        own_broker.kill()
        await source.write((one, 8))
        await asyncio.to_thread(begin_anew, own_broker, topics)
        await eventually(lambda: is_held_back(relays), FOUND_SECONDS)
        assert await source.log("lost") == {}
        if is_lost_again:
            lose_when_filled_in_part(own_broker, topics, monkeypatch)
        assert await fill_log(source.engine, source.kafka) == 7
        await eventually(source.is_published, FOUND_SECONDS)
    assert [each[2] for each in versions((await source.log("lost"))[str(one.id)])] == list(range(1, 9))
    await source.engine.dispose()


async def is_held_back(relays: list[Relay]) -> bool:
    """Return whether a relay has found that the log is another one, and says so."""
    for relay in relays:
        try:
            await relay.check_log()
        except RuntimeError:
            return True
    return False


async def posted(ledger: AsyncEngine) -> set[tuple[Any, ...]]:
    """Return the postings of deals, with the time that each was recorded at."""
    ((kind, table),) = ((kind, table) for kind, table in POSTING.items() if kind.name == "deal")
    # Codes of dimensions are given out as values come.
    others = {"id", *kind.dimensions}
    columns = [column for column in table.c if column.name not in others]
    async with ledger.connect() as connection:
        return {tuple(row) for row in await connection.execute(sa.select(*columns))}


async def test_what_was_published_before_is_copied_from_the_log_once(source: Source, kafka: Kafka) -> None:
    one, other = deal(line("desk", 1, "100")), account()
    name = SalesDirectoryEntrySet(id=other.id, kind="account", name="Named")
    await source.publish((one, 1), (other, 1), (one, 2), (name, 1))
    async with source.engine.begin() as connection:
        kept = list(await connection.execute(sa.select(published_event.c.event_id)))
        await connection.execute(sa.delete(published_event))
        await connection.execute(sa.insert(stream).values(id=1, epoch=1, is_complete=False))
    await source.publish((one, 3))
    with pytest.raises(CannotRepublish, match="--keep-log"):
        await source.correct()
    async with log_of(source.kafka, [source.events, source.directory]) as read:
        assert await keep_log(source.engine, read) == 4
        assert await keep_log(source.engine, read) == 0
    rows = await source.rows(published_event)
    assert [row.sequence for row in rows if row.subject == f"deals/{one.id}"] == [1, 2, 3]
    assert {row.event_id for row in rows} > {row.event_id for row in kept}
    async with source.relaying():
        found = await source.correct()
    assert (found.lost_events, found.restored, found.withdrawn) == (0, 0, 0)
