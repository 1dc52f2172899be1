"""A ledger that is rebuilt beside the live one has the same sums, and no reader or writer has to stop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.database import tool_engine
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.tables import POSTING, metadata
from metrics_worker.maintenance.rebuild import CLOSE_ENOUGH, LOCK, CannotRebuild, rebuild
from metrics_worker.maintenance.shadow_schema import REBUILT, drop_schema
from metrics_worker.maintenance.verify import verify
from metrics_worker.settings import MetricsSettings
from service_kit.kafka import KafkaServers
from tests.metrics_worker.facts import CUSTOMER, VILNIUS, account, deal, lead, line, moment, record, ticket
from tests.metrics_worker.ledger.test_consumer import Line, consuming, dead_letters, shows, straight
from tests.metrics_worker.test_migrations import differences_of
from tests.support import Kafka, eventually

__all__ = ["straight"]

NEW_YORK = Reporting(zone=ZoneInfo("America/New_York"), currency="EUR")


async def rebuilt(straight: Line, settings: MetricsSettings, **options: object) -> int:
    return await rebuild(
        settings,
        KafkaServers(straight.bootstrap_servers),
        default=VILNIUS,
        topics=[straight.sales, straight.service],
        **options,  # type: ignore[arg-type]
    )


async def is_waited_for(engine: AsyncEngine, table: str) -> bool:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(:table)")
    async with engine.connect() as connection:
        return bool(await connection.scalar(waiting, {"table": table}))


async def in_order(straight: Line, engine: AsyncEngine, reporting: Reporting = VILNIUS) -> None:
    report = await verify(
        engine,
        KafkaServers(straight.bootstrap_servers),
        reporting,
        topics=[straight.sales, straight.service],
        catch_up_seconds=20,
    )
    assert report.to_json()["differences"] == []


def test_what_follows_from_the_log_is_rebuilt_and_all_else_is_kept() -> None:
    follows = {table.name for table in POSTING.values()}
    assert follows | {"ledger", "subject_state", "block", "block_part", "sequence_gap"} <= set(REBUILT)
    kept = {"circuit_breaker", "consumer_offset", "dead_letter", "freshness", "idempotency_key", "outbox", "target"}
    assert kept & set(REBUILT) == set()


async def test_rebuilding_repairs_a_damaged_ledger_and_leaves_the_tables_of_the_code(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    one = deal(line("desk", 2, "100"), stage="won")
    await straight.publish(straight.sales, record(one), record(deal(line("desk", 1, "60"), stage="won", id=one.id), 2))
    await straight.publish(straight.service, record(ticket()), b"{", record(ticket()), partition=3)
    await eventually(shows(client, "revenue", "60.00"), deadline=20)
    await eventually(shows(client, "tickets_opened", "2"), deadline=20)
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE block SET sums = '{7,7,7,7}' WHERE kind = 'deal'"))
        await connection.execute(sa.text("DELETE FROM ticket_posting"))
        await connection.execute(sa.text('UPDATE dead_letter SET "offset" = 1000'))
    assert await rebuilt(straight, settings) == 5
    await in_order(straight, engine)
    await eventually(shows(client, "revenue", "60.00"))
    assert [stored.value for stored in await dead_letters(engine)] == [b"{"]
    assert await differences_of(engine) == []
    async with engine.connect() as connection:
        schemas = await connection.run_sync(lambda sync: sa.inspect(sync).get_schema_names())
    assert not {"ledger_rebuilt", "ledger_before"} & set(schemas)


async def test_a_discarded_record_counts_in_no_rebuilt_ledger_even_when_it_has_become_readable(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    await straight.publish(straight.sales, record(lead()), record(lead()), b"{")
    await eventually(shows(client, "leads_created", "2"), deadline=20)
    await eventually(lambda: dead_letters(engine))
    async with engine.begin() as connection:
        # As if the release before could not read the first of them.
        await connection.execute(sa.text("""UPDATE dead_letter SET "offset" = 0, status = 'discarded'"""))
    await rebuilt(straight, settings)
    await in_order(straight, engine)
    await eventually(shows(client, "leads_created", "1"))
    async with engine.connect() as connection:
        rows = await connection.execute(sa.text('SELECT status, "offset" FROM dead_letter ORDER BY "offset"'))
        assert [tuple(row) for row in rows] == [("discarded", 0), ("open", 2)]


async def test_merged_customers_are_one_in_the_rebuilt_ledger_too(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    remaining = account()
    gone = account(id=CUSTOMER, merged_into=remaining.id)
    won = deal(line("desk", 1, "60"), stage="won", account_id=CUSTOMER)
    await straight.publish(straight.sales, record(remaining), record(won), record(gone))
    of_remaining = {"customer": str(remaining.id)}
    await eventually(shows(client, "revenue", "60.00", **of_remaining), deadline=20)
    # The second finds the merge in the ledger, and the first in the log alone.
    async with engine.begin() as connection:
        await connection.execute(sa.text("DELETE FROM account_merge"))
    for _ in range(2):
        assert await rebuilt(straight, settings) == 3
        await in_order(straight, engine)
        await eventually(shows(client, "revenue", "60.00", **of_remaining))


async def test_reads_and_new_events_go_on_during_a_rebuild(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    published = 0
    done = asyncio.Event()

    async def publish() -> None:
        nonlocal published
        while not done.is_set():
            await straight.publish(straight.sales, record(lead()), partition=published % 6)
            published += 1

    async def read() -> int:
        seen = 0
        while not done.is_set():
            answer = await client.get("/v1/kpis/leads_created", params={"from": "2026-03-01", "to": "2026-03-31"})
            assert answer.status_code == 200, answer.text
            assert int(answer.json()["value"]) >= seen, "a number went back during the swap"
            seen = int(answer.json()["value"])
        return seen

    publishing, reading = asyncio.create_task(publish()), asyncio.create_task(read())
    await eventually(lambda: published > 100, deadline=20)
    for _ in range(3):
        await rebuilt(straight, settings)
    done.set()
    await publishing
    assert await reading > 0
    await eventually(shows(client, "leads_created", str(published)), deadline=20)
    await in_order(straight, engine)


async def test_a_swap_gives_way_to_a_reader_of_the_new_tables_and_is_tried_again(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    """As PostgreSQL itself does, which counts the rows of what was filled just now."""
    await straight.publish(straight.sales, record(lead()))
    await eventually(shows(client, "leads_created", "1"), deadline=20)
    new = "ledger_rebuilt.lead_posting"

    async def no_one_waits() -> bool:
        return not await is_waited_for(engine, new)

    async def is_there() -> bool:
        async with engine.connect() as other:
            return await other.scalar(sa.text("SELECT to_regclass(:new)"), {"new": new}) is not None

    rebuilding = asyncio.create_task(rebuilt(straight, settings))
    await eventually(is_there, deadline=20)
    async with engine.connect() as counting:
        await counting.execute(sa.text(f"LOCK TABLE {new} IN ACCESS SHARE MODE"))
        await eventually(lambda: is_waited_for(engine, new), deadline=20)
        await eventually(no_one_waits, deadline=20)
    assert await rebuilding == 1
    await in_order(straight, engine)


async def test_a_reader_of_the_former_tables_causes_no_deadlock(engine: AsyncEngine) -> None:
    former = [f"former.part_{number}" for number in range(6)]
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE SCHEMA former"))
        for name in former:
            await connection.execute(sa.text(f"CREATE TABLE {name} ()"))

    async def drop() -> None:
        async with engine.connect() as connection:
            await drop_schema(connection, "former")

    async with engine.connect() as reader:
        await reader.execute(sa.text(f"SELECT FROM {former[3]}"))
        dropping = asyncio.create_task(drop())
        await eventually(lambda: is_waited_for(engine, former[3]))
        for name in former:
            try:
                async with reader.begin_nested():
                    await reader.execute(sa.text(f"SELECT FROM {name}"))
            except ProgrammingError as gone:
                assert "does not exist" in str(gone)  # noqa: PT017 - those before the one that is read
    await dropping
    async with engine.connect() as connection:
        assert "former" not in await connection.run_sync(lambda sync: sa.inspect(sync).get_schema_names())


async def test_a_rebuild_that_breaks_off_leaves_the_ledger_alone_and_can_start_over(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    await straight.publish(straight.sales, *(record(lead()) for _ in range(20)))
    await eventually(shows(client, "leads_created", "20"), deadline=20)

    def crash(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuilt(straight, settings, progress=crash)
    await eventually(shows(client, "leads_created", "20"))
    await in_order(straight, engine)
    steps: list[tuple[int, int]] = []
    await rebuilt(straight, settings, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (20, 20)
    await in_order(straight, engine)


async def test_another_time_zone_moves_what_happened_to_other_days(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    late = record(lead(created_at=moment("2026-04-01T01:00")))
    await straight.publish(straight.sales, late)
    await eventually(shows(client, "leads_created", "0"), deadline=20)
    await rebuilt(straight, settings, reporting=NEW_YORK)
    await eventually(shows(client, "leads_created", "1"))
    answer = await client.get("/v1/kpis/leads_created")
    assert answer.json()["timezone"] == "America/New_York"
    # The running consumer writes the new ledger by the new time zone, without a restart.
    await straight.publish(straight.sales, record(lead(created_at=moment("2026-04-01T02:00"))), partition=4)
    await eventually(shows(client, "leads_created", "2"), deadline=20)
    await in_order(straight, engine, NEW_YORK)


async def test_views_show_the_rebuilt_ledger(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE VIEW created_leads AS SELECT sum(created) AS n FROM lead_posting"))
    try:
        await straight.publish(straight.sales, record(lead()))
        await eventually(shows(client, "leads_created", "1"), deadline=20)
        await rebuilt(straight, settings)
        await straight.publish(straight.sales, record(lead()))
        await eventually(shows(client, "leads_created", "2"), deadline=20)
        async with engine.connect() as connection:
            assert (await connection.execute(sa.text("SELECT n FROM created_leads"))).scalar_one() == 2
    finally:
        async with engine.begin() as connection:
            await connection.execute(sa.text("DROP VIEW created_leads"))


async def test_one_rebuild_at_a_time(straight: Line, engine: AsyncEngine, settings: MetricsSettings) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))
        with pytest.raises(CannotRebuild, match="another rebuild"):
            await rebuilt(straight, settings)
        await connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK)))


async def test_a_ledger_of_old_rules_is_rebuilt_by_the_new_ones(
    engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str], settings: MetricsSettings
) -> None:
    from metrics_worker.ledger.consumer import LedgerConsumer

    topic = new_topic("sales")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, record(lead()))
    async with consuming(LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic])):
        await verify(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic], catch_up_seconds=20)
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE ledger SET rules_version = 0"))
        await connection.execute(sa.text("UPDATE block SET sums = '{99}' WHERE kind = 'lead'"))
    await rebuild(settings, KafkaServers(kafka.bootstrap_servers), default=VILNIUS, topics=[topic])
    report = await verify(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic])
    assert report.to_json()["differences"] == []


async def test_partitions_that_the_consumer_meets_meanwhile_are_rebuilt_too(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    # More than are left for the swap, which blocks every reader of a partition.
    await straight.publish(straight.sales, *(record(lead()) for _ in range(CLOSE_ENOUGH + 1)))
    await straight.publish(straight.sales, record(lead()), partition=4)
    await eventually(shows(client, "leads_created", str(CLOSE_ENOUGH + 2)), deadline=20)
    offsets = metadata.tables["consumer_offset"]
    of_one = (offsets.c.topic == straight.sales) & (offsets.c.partition == 4)
    async with engine.begin() as connection:
        taken = (await connection.execute(sa.delete(offsets).where(of_one).returning(offsets))).mappings().one()

    async def meet() -> None:
        other = tool_engine(settings)
        async with other.begin() as connection:
            await connection.execute(insert(offsets).on_conflict_do_nothing(), [dict(taken)])
        await other.dispose()

    meetings = [meet()]

    def progress(done: int, total: int) -> None:
        # The rebuild goes on only when that is done, which a task beside it could not promise.
        with ThreadPoolExecutor() as beside:
            while meetings:
                beside.submit(asyncio.run, meetings.pop()).result()

    assert await rebuilt(straight, settings, progress=progress) == CLOSE_ENOUGH + 2
    await eventually(shows(client, "leads_created", str(CLOSE_ENOUGH + 2)))
    await in_order(straight, engine)
