"""The copy of sales' customers: the newest event wins, whatever comes twice, late or in another order."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import Correction, State, correction_of, event_type_of
from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import AccountMerged, AccountRegistered, AccountUnmerged, AccountUpdate, AccountUpdated
from service_api.customers.from_sales import (
    ACCOUNTS,
    NAMES,
    SalesCustomers,
    copy_accounts,
    copy_names,
    decode_name,
    version_of,
    version_of_name,
)
from service_api.customers.model import Customer
from service_kit import telemetry
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import SeenSequences, conflicting_event
from service_kit.identifiers import new_id
from service_kit.kafka import KafkaServers
from tests.service_api.conftest import Service, a_ticket
from tests.service_kit.conftest import assert_problem
from tests.support import Kafka, eventually, within

REGISTERED = datetime(2024, 5, 1, tzinfo=UTC)


def registered(account_id: UUID, region: str | None = "baltics", segment: str | None = "smb") -> AccountRegistered:
    return AccountRegistered(
        id=account_id,
        region=region,
        segment=segment,
        channel=None,
        owner_id=None,
        team_id=None,
        registered_at=REGISTERED,
    )


def updated(account_id: UUID, region: str | None) -> AccountUpdated:
    fields = msgspec.structs.asdict(registered(account_id, region))
    return AccountUpdated(**fields, change=AccountUpdate(fields=["region"]))


def merged(account_id: UUID, into: UUID) -> AccountMerged:
    return AccountMerged(**msgspec.structs.asdict(registered(account_id)) | {"merged_into": into})


def named(account_id: UUID, name: str) -> SalesDirectoryEntrySet:
    return SalesDirectoryEntrySet(id=account_id, kind="account", name=name)


def corrected(data: State, correction: Correction) -> State:
    """Return a state as sales publishes it after a restore."""
    entry = correction_of(event_type_of(data), correction)
    assert entry is not None
    return entry.data(**{name: getattr(data, name) for name in data.__struct_fields__ if name != "change"})


def encoded(data: State, sequence: int, event_id: UUID | None = None, epoch: int = 1) -> bytes:
    return codec.encode(
        data,
        # A repeat is the same event.
        event_id=event_id or uuid5(data.id, str(sequence) if epoch == 1 else f"{sequence} of {epoch}"),
        time=REGISTERED,
        recorded_time=datetime.now(UTC),
        sequence=sequence,
        partition_key=data.id,
        epoch=epoch,
    )


_offsets = itertools.count()


def record(data: State, sequence: int, epoch: int = 1) -> Record[Any]:
    value = decode_name(encoded(data, sequence, epoch=epoch))
    return Record("sales", 0, next(_offsets), value, str(data.id).encode())


def tombstone(account_id: UUID) -> Record[Any]:
    return Record("sales", 0, next(_offsets), decode_name(None), str(account_id).encode())


async def copied(engine: AsyncEngine, copy: Any, *batches: Sequence[Record[Any]]) -> None:
    consumer, version = {copy_accounts: (ACCOUNTS, version_of), copy_names: (NAMES, version_of_name)}[copy]
    for batch in batches:
        async with engine.begin() as connection:
            await connection.execute(sa.text("select"))
            await copy(connection, await SeenSequences(consumer).newest(connection, batch, version))


async def row_of(engine: AsyncEngine, customer_id: UUID) -> Any:
    async with engine.connect() as connection:
        query = sa.select(Customer.table).where(Customer.table.c.id == customer_id)
        return (await connection.execute(query)).one_or_none()


@pytest.fixture
def engine(service: Service) -> AsyncEngine:
    return service.engine


async def test_an_account_becomes_a_customer_with_the_same_id(engine: AsyncEngine) -> None:
    account_id = new_id()
    await copied(
        engine, copy_accounts, [record(registered(account_id), 1)], [record(updated(account_id, "nordics"), 2)]
    )
    await copied(engine, copy_names, [record(named(account_id, "UAB Vėjas"), 1)])
    row = await row_of(engine, account_id)
    assert (row.origin, row.region, row.segment, row.name) == ("sales", "nordics", "smb", "UAB Vėjas")
    assert row.registered_at == REGISTERED
    assert row.version == 3


async def test_what_comes_twice_or_late_changes_nothing(engine: AsyncEngine) -> None:
    account_id = new_id()
    history = [record(registered(account_id), 1), *(record(updated(account_id, f"r{n}"), n) for n in range(2, 8))]
    names = [record(named(account_id, f"Name {n}"), n) for n in range(1, 5)]
    await copied(engine, copy_accounts, history)
    await copied(engine, copy_names, names)
    settled = await row_of(engine, account_id)
    assert (settled.region, settled.name) == ("r7", "Name 4")
    shuffler = random.Random(7)
    for _ in range(5):
        shuffler.shuffle(history)
        shuffler.shuffle(names)
        await copied(engine, copy_accounts, history, history[:3])
        await copied(engine, copy_names, names, names[:2])
        assert await row_of(engine, account_id) == settled


async def test_any_order_in_any_batches_comes_to_the_same_end(engine: AsyncEngine) -> None:
    shuffler = random.Random(11)
    for _ in range(20):
        account_id = new_id()
        history = [record(registered(account_id), 1), *(record(updated(account_id, f"r{n}"), n) for n in range(2, 6))]
        shuffler.shuffle(history)
        cut = shuffler.randrange(len(history))
        await copied(engine, copy_accounts, history[:cut], history[cut:])
        row = await row_of(engine, account_id)
        assert row.region == "r5"


async def test_a_higher_epoch_wins_over_higher_sequences(engine: AsyncEngine) -> None:
    one, survivor = new_id(), new_id()
    restored = corrected(registered(one, "nordics"), "restored")
    await copied(
        engine,
        copy_accounts,
        [record(registered(one), 1), record(merged(one, survivor), 4)],
        [record(restored, 3, epoch=2), record(merged(one, survivor), 4)],
        [record(merged(one, survivor), 5)],
    )
    row = await row_of(engine, one)
    assert (row.region, row.merged_into) == ("nordics", None)
    async with engine.connect() as connection:
        assert (await connection.execute(sa.select(conflicting_event))).all() == []


async def test_of_an_account_that_sales_lost_nothing_is_known_any_more(engine: AsyncEngine) -> None:
    one = new_id()
    withdrawn = corrected(registered(one), "withdrawn")
    await copied(
        engine, copy_accounts, [record(registered(one), 1)], [record(withdrawn, 2)], [record(registered(one), 1)]
    )
    row = await row_of(engine, one)
    assert (row.region, row.segment, row.registered_at) == (None, None, None)
    await copied(engine, copy_accounts, [record(registered(one, "nordics"), 1, epoch=2)])
    assert (await row_of(engine, one)).region == "nordics"


async def test_the_same_sequence_by_another_event_is_kept_as_a_conflict(engine: AsyncEngine) -> None:
    account_id, dropped = new_id(), [new_id(), new_id()]
    others = [
        Record("sales", 0, 0, decode_name(encoded(updated(account_id, "south"), 1, each)), None) for each in dropped
    ]
    await copied(engine, copy_accounts, [record(registered(account_id), 1)], [others[0]])
    await copied(engine, copy_accounts, [record(updated(account_id, "nordics"), 2), others[1], others[1]])
    assert (await row_of(engine, account_id)).region == "nordics"
    async with engine.connect() as connection:
        kept = conflicting_event.c
        query = sa.select(kept.sequence, kept.event_id, kept.dropped_event_id).where(
            kept.subject == f"accounts/{account_id}"
        )
        rows = {tuple(row) for row in await connection.execute(query)}
    assert rows == {(1, uuid5(account_id, "1"), each) for each in dropped}


async def test_a_name_may_come_before_its_account(service: Service, agent: httpx.AsyncClient) -> None:
    account_id = new_id()
    await copied(service.engine, copy_names, [record(named(account_id, "UAB Vėjas"), 1)])
    early = {"customer_id": str(account_id), "kind": "problem", "channel": "web"}
    assert_problem(await agent.post("/v1/tickets", json=early), 422, "unknown-reference")
    await copied(service.engine, copy_accounts, [record(registered(account_id, "nordics"), 1)])
    ticket = await a_ticket(agent, customer_id=str(account_id))
    assert ticket["region"] == "nordics"
    shown = (await agent.get(f"/v1/customers/{account_id}")).json()
    assert (shown["name"], shown["origin"], shown["version"]) == ("UAB Vėjas", "sales", 2)


async def test_a_tombstone_erases_the_name_and_nothing_else(engine: AsyncEngine) -> None:
    account_id = new_id()
    await copied(engine, copy_accounts, [record(registered(account_id), 1)])
    await copied(engine, copy_names, [record(named(account_id, "Jonas"), 1)], [tombstone(account_id)])
    row = await row_of(engine, account_id)
    assert (row.name, row.region) == (None, "baltics")
    await copied(engine, copy_names, [record(named(account_id, "Jonas"), 1), tombstone(account_id)])
    assert await row_of(engine, account_id) == row
    await copied(engine, copy_names, [tombstone(account_id), record(named(account_id, "Petras"), 2)])
    assert (await row_of(engine, account_id)).name == "Petras"


async def test_a_tombstone_of_an_unknown_customer_changes_nothing(engine: AsyncEngine) -> None:
    account_id = new_id()
    await copied(engine, copy_names, [tombstone(account_id)])
    assert await row_of(engine, account_id) is None


async def test_only_accounts_become_customers(engine: AsyncEngine) -> None:
    rep = SalesDirectoryEntrySet(id=new_id(), kind="rep", name="Rita")
    await copied(engine, copy_names, [record(rep, 1)])
    assert await row_of(engine, rep.id) is None


async def test_a_customer_of_our_own_is_not_overwritten(service: Service, agent: httpx.AsyncClient) -> None:
    own = (await agent.post("/v1/customers", json={"name": "Ours", "region": "baltics"})).json()
    own_id = UUID(own["id"])
    await copied(service.engine, copy_accounts, [record(registered(own_id, "nordics"), 9)])
    await copied(service.engine, copy_names, [record(named(own_id, "Theirs"), 9), tombstone(own_id)])
    assert (await agent.get(f"/v1/customers/{own_id}")).json() == own


async def test_a_customer_of_our_own_is_linked_to_a_copy_once_its_account_is_known(
    service: Service, manager: httpx.AsyncClient
) -> None:
    own = (await manager.post("/v1/customers", json={"name": "Ours"})).json()
    path, account_id = f"/v1/customers/{own['id']}/link", new_id()
    await copied(service.engine, copy_names, [record(named(account_id, "Ours Ltd"), 1)])
    assert_problem(await manager.post(path, json={"into": str(account_id)}), 422, "unknown-reference")
    await copied(service.engine, copy_accounts, [record(registered(account_id), 1)])
    of_copy = await manager.post(f"/v1/customers/{account_id}/link", json={"into": own["id"]})
    assert_problem(of_copy, 409, "customer-of-sales")
    assert (await manager.post(path, json={"into": str(account_id)})).json()["merged_into"] == str(account_id)
    assert_problem(await manager.post(f"/v1/customers/{account_id}/unlink", json={}), 409, "customer-of-sales")


async def test_new_records_are_for_the_surviving_customer_of_a_merge(
    service: Service, agent: httpx.AsyncClient
) -> None:
    gone, between, survivor = new_id(), new_id(), new_id()
    await copied(service.engine, copy_accounts, [record(registered(gone), 1), record(registered(survivor), 1)])
    before = await a_ticket(agent, customer_id=str(gone))
    await copied(
        service.engine, copy_accounts, [record(merged(gone, between), 2), record(merged(between, survivor), 2)]
    )
    assert (await agent.get(f"/v1/customers/{gone}")).json()["merged_into"] == str(between)
    ids = [each["id"] for each in (await agent.get(f"/v1/customers?merged_into={survivor}")).json()["items"]]
    assert ids == [str(between)]
    new = {"kind": "problem", "channel": "web"}
    refused = await agent.post("/v1/tickets", json=new | {"customer_id": str(gone)})
    assert assert_problem(refused, 409, "customer-already-merged")["merged_into"] == str(between)
    assert (await agent.post("/v1/tickets", json=new | {"customer_id": str(survivor)})).status_code == 201
    # What was begun with it goes on, and what follows from that is for the surviving one.
    assert (await agent.post(f"/v1/tickets/{before['id']}/resolve", json={})).status_code == 200
    seen = {"ticket_id": before["id"], "product": "desk"}
    suggested = await agent.post("/v1/upsell-suggestions", json=seen | {"customer_id": str(survivor)})
    assert suggested.status_code == 201, suggested.text


async def test_a_customer_whose_merge_sales_took_back_is_served_as_its_own_again(
    service: Service, agent: httpx.AsyncClient
) -> None:
    back, survivor = new_id(), new_id()
    unmerged = AccountUnmerged(**msgspec.structs.asdict(registered(back)))
    states = [registered(back), merged(back, survivor), unmerged]
    await copied(service.engine, copy_accounts, [record(registered(survivor), 1)])
    for sequence, state in enumerate(states, start=1):
        await copied(service.engine, copy_accounts, [record(state, sequence)])
    # It is delivered once more, and is not newer than what is known.
    await copied(service.engine, copy_accounts, [record(merged(back, survivor), 2)])
    assert (await agent.get(f"/v1/customers/{back}")).json()["merged_into"] is None
    assert (await agent.get(f"/v1/customers?merged_into={survivor}")).json()["items"] == []
    new = {"kind": "problem", "channel": "web", "customer_id": str(back)}
    assert (await agent.post("/v1/tickets", json=new)).status_code == 201


class Topics:
    """Topics of one test in place of the real ones, and the consumer that reads them."""

    def __init__(self, kafka: Kafka, new_topic: Callable[..., str], engine: AsyncEngine) -> None:
        self.kafka = kafka
        self.events = new_topic("sales.events")
        self.directory = new_topic("sales.directory", compacted=True)
        self.engine = engine
        self.customers = SalesCustomers(
            engine, KafkaServers(kafka.bootstrap_servers), events_topic=self.events, directory_topic=self.directory
        )

    @asynccontextmanager
    async def consumed(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.customers.run(stop))
        try:
            yield
        finally:
            stop.set()
            await within(task, 20)

    async def publish(self, topic: str, key: UUID | bytes, value: bytes | None) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap_servers, acks="all")
        await producer.start()
        try:
            raw = key if isinstance(key, bytes) else str(key).encode()
            await producer.send_and_wait(topic, value, key=raw)
        finally:
            await producer.stop()

    def restarts(self) -> float:
        """How often either consumer had to begin anew, in this whole session."""
        return sum(
            sample.value
            for metric in telemetry.CONSUMER_RESTARTS.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["consumer"].startswith("service-")
        )

    async def stored_dead_letters(self) -> list[tuple[str, str]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(sa.select(dead_letter.c.consumer, dead_letter.c.reason))
            return sorted((row.consumer, row.reason) for row in found)


async def test_the_consumer_copies_what_sales_publishes_and_sets_bad_records_aside(
    kafka: Kafka, new_topic: Callable[..., str], empty_database: AsyncEngine
) -> None:
    topics = Topics(kafka, new_topic, empty_database)
    accounts = [new_id() for _ in range(20)]
    restarts = topics.restarts()
    async with topics.consumed():
        await topics.publish(topics.events, b"unknown", b"{broken")
        await topics.publish(topics.events, b"unknown", None)
        await topics.publish(topics.directory, b"no-id", None)
        for account_id in accounts:
            await topics.publish(topics.events, account_id, encoded(registered(account_id), 1))
            await topics.publish(topics.directory, account_id, encoded(named(account_id, "Jonas"), 1))
        await topics.publish(topics.directory, accounts[0], None)

        async def everybody_is_here() -> bool:
            rows = [await row_of(empty_database, account_id) for account_id in accounts]
            return [row and row.name for row in rows] == [None, *["Jonas"] * 19] and all(row.region for row in rows)

        await eventually(everybody_is_here, 20)

        async def all_are_set_aside() -> bool:
            return await topics.stored_dead_letters() == [
                ("service-customer-names", "handler-failed"),
                ("service-customers", "empty"),
                ("service-customers", "malformed"),
                # By each consumer of the topic for itself.
                ("service-timeline", "empty"),
                ("service-timeline", "malformed"),
            ]

        await eventually(all_are_set_aside, 10)
    assert topics.restarts() == restarts
