"""A metrics database that is lost comes back whole: its backup restores what people decided, the log all the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

import metrics_worker
from event_contracts.catalogue import METRICS_TOPIC
from metrics_worker.api.stream_tickets import Tickets
from metrics_worker.app import create
from metrics_worker.database import AUTHORITATIVE, SEARCH_PATH
from metrics_worker.domain.kinds import KINDS
from metrics_worker.domain.posting import Reporting
from metrics_worker.jobs.restatements import RestatementJob
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.jobs.waits import WaitClock
from metrics_worker.jobs.webhook_feed import WebhookFeed
from metrics_worker.jobs.webhooks import WebhookSender
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.maintenance.missing_ledger import create_missing_ledger
from metrics_worker.maintenance.rebuild import rebuild
from metrics_worker.maintenance.verify import Report, verify
from metrics_worker.proofs.store import store_proof
from metrics_worker.schema import authoritative, derived
from metrics_worker.settings import MetricsSettings
from service_kit.database import create_engine
from service_kit.kafka import KafkaServers
from service_kit.migrations import migrate
from service_kit.outbox import outbox
from service_kit.relay import Relay
from service_kit.settings import DatabaseSettings
from tandem_cli.dumps import dump, load
from tandem_cli.issuer import Issuer
from tandem_cli.kafka import Topic
from tests.metrics_worker.conftest import client_of
from tests.metrics_worker.facts import CUSTOMER, VILNIUS, account, deal, lead, line, moment, record, survey, ticket
from tests.metrics_worker.ledger.test_consumer import consuming
from tests.metrics_worker.test_migrations import differences_of
from tests.metrics_worker.test_upgrade import MADE
from tests.metrics_worker.webhooks.receiver import Receiver, receiving
from tests.support import Kafka, eventually, within
from tests.upgrading import fill, revisions, rows, upgrade

NEW_YORK = Reporting(zone=ZoneInfo("America/New_York"), currency="EUR")
YEAR = {"from": "2026-01-01", "to": "2026-12-31", "interval": "month"}
VOLATILE: Final = frozenset({"fresh_as_of", "checked_at"})
"""Parts of answers that tell the time."""


@dataclass
class Metrics:
    """The processes of metrics over one database, as far as this test needs them."""

    url: str
    settings: MetricsSettings
    engine: AsyncEngine
    app: FastAPI
    admin: httpx.AsyncClient
    kafka: Kafka
    topics: tuple[str, str]

    def consumer(self) -> LedgerConsumer:
        servers = KafkaServers(self.kafka.bootstrap_servers)
        # No service with a relay stands behind these topics.
        return LedgerConsumer(self.engine, servers, self.settings.reporting, topics=self.topics, completeness="log")

    async def verified(self, reporting: Reporting) -> Report:
        """Wait until the ledger has the whole log; then it must agree with it."""
        report = await verify(
            self.engine, KafkaServers(self.kafka.bootstrap_servers), reporting, topics=self.topics, catch_up_seconds=60
        )
        assert report.to_json()["differences"] == []
        return report

    async def post(self, path: str, body: Any = None) -> Any:
        answer = await self.admin.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str, **parameters: str) -> Any:
        answer = await self.admin.get(path, params=parameters or None)
        assert answer.status_code == 200, answer.text
        return without_time(answer.json())

    async def run_jobs(self) -> None:
        """Take one turn of each job of metrics-jobs that publishes or sends."""
        await TargetEvaluator(self.engine, self.settings.reporting).run_once()
        await RestatementJob(self.engine, self.settings.reporting).run_once()

    async def escalate_a_wait(self) -> None:
        """Let the clock of waits take turns until it has published a step."""

        async def is_published() -> bool:
            await WaitClock(self.engine).run_once()
            return bool(await self.scalar("SELECT EXISTS (SELECT FROM published_wait)"))

        await eventually(is_published, 30)

    async def feed_webhooks(self) -> None:
        """Store deliveries of all that is on the services' topics."""
        feed = WebhookFeed(self.engine, KafkaServers(self.kafka.bootstrap_servers), topics=self.topics)
        stop = asyncio.Event()
        running = asyncio.create_task(feed.run(stop))
        await within(feed.consumer.caught_up.wait(), 60)
        stop.set()
        await within(running, 20)

    async def send_webhooks(self) -> None:
        sender = WebhookSender(self.engine, allow_loopback=True)
        while await self.scalar("SELECT EXISTS (SELECT FROM webhook_delivery WHERE status = 'pending')"):
            await sender.run_once()
            await sender.idle()

    async def relay(self) -> None:
        """Move all events from the outbox to Kafka."""
        stop = asyncio.Event()
        relay = Relay(engine=self.engine, kafka=KafkaServers(self.kafka.bootstrap_servers))
        running = asyncio.create_task(relay.run(stop))

        async def is_empty() -> bool:
            return bool(await self.scalar("SELECT NOT EXISTS (SELECT FROM outbox)"))

        await eventually(is_empty, 60)
        stop.set()
        await within(running, 20)

    async def scalar(self, query: str) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(sa.text(query))

    async def decided(self) -> dict[str, Any]:
        """Return all rows of what cannot be derived from the log."""
        async with self.engine.connect() as connection:
            return {
                table.name: (
                    await connection.execute(
                        sa.text(f"SELECT to_jsonb(each) FROM {AUTHORITATIVE}.{table.name} AS each ORDER BY 1")
                    )
                )
                .scalars()
                .all()
                for table in authoritative.sorted_tables
            }

    async def ledger(self) -> dict[str, list[str]]:
        """Return the sums of the ledger by day, as BI tools read them: the codes of dimension values may be others.

        Zeros are left out: what is posted and taken back depends on the order in which partitions are read.
        """
        found = {}
        async with self.engine.connect() as connection:
            for kind in KINDS:
                if kind.has_postings:
                    days = await connection.execute(sa.text(f"SELECT to_jsonb(each) FROM bi.{kind.name}_daily AS each"))
                    rows = [row for row in days.scalars() if any(row[measure] for measure in kind.measures)]
                    found[kind.name] = sorted(str(sorted(row.items())) for row in rows)
        return found

    async def answers(self) -> dict[str, Any]:
        """Return what everything that can be asked answers."""
        found = {
            f"{name} {variant}": await self.get(f"/v1/kpis/{name}", variant=variant, **YEAR)
            for name, kpi in KPIS.items()
            for variant in kpi.variants
        }
        for path in (
            "scorecard",
            "targets",
            "targets/revenue",
            "alerts",
            f"customers/{CUSTOMER}/health",
            "periods",
            "periods/2026-02",
            "periods/2026-02/restatements",
            "webhooks",
            "dead-letters",
            "views",
        ):
            found[path] = await self.get(f"/v1/{path}")
        for webhook in found["webhooks"]["items"]:
            found[webhook["id"]] = await self.get(f"/v1/webhooks/{webhook['id']}/deliveries")
        return found


def without_time(answer: Any) -> Any:
    """Return an answer without the moments at which it was given."""
    if isinstance(answer, dict):
        return {name: without_time(value) for name, value in answer.items() if name not in VOLATILE}
    return [without_time(each) for each in answer] if isinstance(answer, list) else answer


@asynccontextmanager
async def metrics_over(url: str, base: MetricsSettings, issuer: Issuer, kafka: Kafka, topics: tuple[str, str]) -> Any:
    """Yield the processes over a migrated database."""
    settings = base.model_copy(update={"database_url": url, "webhooks_allow_loopback": True})
    engine = create_engine(settings, application="tests", search_path=SEARCH_PATH)
    app = create(settings)
    async with client_of(app, issuer, "admin") as admin:
        yield Metrics(url, settings, engine, app, admin, kafka, topics)
    await app.state.engine.dispose()
    await engine.dispose()


Over = Callable[[str], Any]
"""Yields the processes over a database, all on the same topics."""


@pytest.fixture
def over(settings: MetricsSettings, issuer: Issuer, kafka: Kafka, new_topic: Callable[..., str]) -> Over:
    kafka.create_topics([Topic(METRICS_TOPIC, 6)])
    topics = new_topic("sales"), new_topic("service")
    return lambda url: metrics_over(url, settings, issuer, kafka, topics)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def restore(file: Path, url: str) -> None:
    """Do what operators do: load the backup into an empty database, and migrate."""
    await asyncio.to_thread(load, url, AUTHORITATIVE, file)
    await migrate(metrics_worker, DatabaseSettings(database_url=url), beforehand=create_missing_ledger)


async def publish(metrics: Metrics, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=metrics.kafka.bootstrap_servers) as producer:
        for number, value in enumerate(values):
            await producer.send_and_wait(topic, value, partition=number % 3)


async def dead_letter_ids(metrics: Metrics, count: int) -> dict[str, str]:
    """Wait for dead letters; return their ids by their values."""

    async def found() -> Any:
        items = (await metrics.get("/v1/dead-letters", status="open"))["items"]
        shown = [await metrics.get(f"/v1/dead-letters/{item['id']}") for item in items]
        return {each["value"]: each["id"] for each in shown} if len(items) == count else None

    ids: dict[str, str] = await eventually(found, 60)
    return ids


async def make_history(metrics: Metrics, receiver: Receiver) -> str:
    """Make some of everything that people decide, over a log of both services; return the webhook's secret.

    One webhook message is delivered, and one is due. One dead letter of each kind is settled, one is open.
    """
    sales, service = metrics.topics
    won = deal(line("desk", 1, "60"), stage="won", account_id=CUSTOMER, closed_at=moment("2026-02-10T09:00"))
    mended = record(deal(line("lamp", 1, "7"), stage="won", closed_at=moment("2026-02-11T09:00")))
    dollars = mended.replace(b'"EUR"', b'"USD"')
    await publish(
        metrics,
        sales,
        record(account(id=CUSTOMER, registered_at=moment("2026-02-01"))),
        record(won),
        record(lead(created_at=moment("2026-02-12T09:00"))),
        record(lead(created_at=datetime.now(UTC) - timedelta(hours=2))),
        dollars,
        b"junk",
        b"still open",
    )
    last_week = datetime.now(UTC) - timedelta(days=7)
    unhappy = survey(sent_at=last_week, answered_at=last_week, score=1, customer_id=CUSTOMER)
    await publish(
        metrics, service, record(ticket(customer_id=CUSTOMER, opened_at=moment("2026-02-13"))), record(unhappy)
    )
    async with consuming(metrics.consumer()):
        bad = await dead_letter_ids(metrics, 3)
        await metrics.post(f"/v1/dead-letters/{bad['junk']}/discard", {"reason": "not one of ours"})
        at = f"/v1/dead-letters/{bad[dollars.decode()]}"
        await metrics.post(f"{at}/mend", {"value": mended.decode()})
        await metrics.post(f"{at}/send")
        await metrics.relay()
        await metrics.verified(VILNIUS)

        # A time zone that the settings do not have.
        servers = KafkaServers(metrics.kafka.bootstrap_servers)
        await rebuild(
            DatabaseSettings(database_url=metrics.url), servers, NEW_YORK, default=VILNIUS, topics=metrics.topics
        )
        await metrics.verified(NEW_YORK)

        types = ["metrics.period-closed", "metrics.kpi-restated", "metrics.kpi-target-missed", "sales.*"]
        secret: str = (await metrics.post("/v1/webhooks", {"url": receiver.url, "event_types": types}))["secret"]
        put = await metrics.admin.put("/v1/targets/revenue", json={"value": "1000", "since": "2026-01-01"})
        assert put.is_success, put.text
        await metrics.post("/v1/waiting-policies", {"name": "Office", "limit_minutes": 90})
        await metrics.post("/v1/views", {"list": "proofs", "name": "Lately", "query": "sort=-ended_at"})
        await metrics.escalate_a_wait()
        await metrics.post("/v1/periods/2026-02/close")
        await metrics.run_jobs()
        await metrics.send_webhooks()
        await publish(metrics, sales, record(deal(line("chair", 1, "5"), stage="won", closed_at=moment("2026-02-20"))))
        report, now = await metrics.verified(NEW_YORK), datetime.now(UTC)
        await store_proof(metrics.engine, report, began_at=now, ended_at=now)
        await metrics.run_jobs()
        await metrics.feed_webhooks()
    return secret


@pytest.mark.usefixtures("within_one_day")
async def test_all_that_people_decided_is_as_before_once_the_backup_is_restored_and_the_log_read(
    over: Over,
    new_database: Callable[[str], str],
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("metrics_worker.api.stream_tickets.TICKET_SECONDS", 3600)
    lost, new, file = new_database("lost"), new_database("new"), tmp_path / "metrics.dump"
    await migrate(metrics_worker, DatabaseSettings(database_url=lost))
    async with over(lost) as before:
        secret = await make_history(before, receiver)
        issued = (await before.post("/v1/stream-tickets"))["ticket"]
        decided, ledger, answers = await before.decided(), await before.ledger(), await before.answers()
        await asyncio.to_thread(dump, lost, AUTHORITATIVE, file)
    nothing = {name for name, found in decided.items() if not found}
    # What a republish leaves is tried where it is made.
    assert nothing <= {"idempotency_key", "correction", "stream"}, "the test has to make some of everything"
    assert {kind for kind, sums in ledger.items() if sums} >= {"deal", "lead", "relationship", "survey", "ticket"}
    assert answers["periods/2026-02/restatements"]["items"]
    assert [each["status"] for each in answers["dead-letters"]["items"]].count("open") == 1

    await restore(file, new)
    async with over(new) as after:
        assert await differences_of(after.engine) == []
        assert await after.decided() == decided
        async with consuming(after.consumer()):
            await after.verified(NEW_YORK)
            await eventually(lambda: is_caught_up(after), 60)
            # Nothing is decided or published anew, nor stored for a webhook again.
            await after.run_jobs()
            await after.feed_webhooks()
            assert await after.decided() == decided
            assert await after.ledger() == ledger
            assert await after.answers() == answers
            (proof,) = (await after.get("/v1/proofs"))["items"]
            assert proof["rebuilt_since"]
            assert (await Tickets(after.engine).redeem(issued)).roles == {"admin"}

            # What was due is sent, by the secret that the receiver knows, and nothing else once more.
            due = len(receiver.received)
            await after.send_webhooks()
            assert len(receiver.received) > due
            assert all(each.is_signed_by(secret) for each in receiver.received)
            ids = [each.headers["webhook-id"] for each in receiver.received]
            assert len(ids) == len(set(ids))

            # Closed periods still compare, and events go on where they were.
            revenue = next(
                each for each in answers["periods/2026-02/restatements"]["items"] if each["kpi"] == "revenue"
            )
            await publish(
                after, after.topics[0], record(deal(line("sofa", 1, "9"), stage="won", closed_at=moment("2026-02-21")))
            )
            await after.verified(NEW_YORK)
            await after.run_jobs()
            restated = next(
                each
                for each in (await after.get("/v1/periods/2026-02/restatements"))["items"]
                if each["kpi"] == "revenue"
            )
            assert restated["as_closed"] == revenue["as_closed"]
            assert restated["now"] != revenue["now"]
            figure = f"SELECT sequence FROM closed_figure WHERE id = '{restated['id']}'"
            assert await after.scalar(figure) == 2


async def is_caught_up(metrics: Metrics) -> bool:
    return bool(await metrics.scalar("SELECT bool_and(next_offset >= log_end) FROM consumer_offset"))


async def test_a_ledger_that_was_dropped_is_created_again_beside_what_is_kept(
    over: Over, new_database: Callable[[str], str]
) -> None:
    url = new_database("dropped")
    await migrate(metrics_worker, DatabaseSettings(database_url=url))
    async with over(url) as metrics:
        put = await metrics.admin.put("/v1/targets/revenue", json={"value": "1000", "since": "2026-01-01"})
        assert put.is_success, put.text
        decided = await metrics.decided()
        async with metrics.engine.begin() as connection:
            await connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            await connection.execute(sa.text("CREATE SCHEMA public"))
    await migrate(metrics_worker, DatabaseSettings(database_url=url), beforehand=create_missing_ledger)
    async with over(url) as metrics:
        assert await differences_of(metrics.engine) == []
        assert await metrics.decided() == decided
        assert await metrics.ledger() == {kind.name: [] for kind in KINDS if kind.has_postings}


async def test_a_database_with_a_ledger_is_migrated_as_it_is(engine: AsyncEngine, settings: MetricsSettings) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("INSERT INTO block_part (part, revision) VALUES (1, 1)"))
    await migrate(metrics_worker, settings, beforehand=create_missing_ledger)
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM block_part")) == 1


FIRST = "0004"
"""The revision before which there is no backup of this kind."""


async def rows_in(url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of a database by table."""
    engine = create_engine(DatabaseSettings(database_url=url), application="tests")
    async with engine.connect() as connection:
        found = await connection.run_sync(rows)
    await engine.dispose()
    return found


@pytest.fixture(scope="module")
async def rows_of_a_new_ledger(new_database: Callable[[str], str]) -> dict[str, list[dict[str, Any]]]:
    """What migrations alone put into its tables: the names of the values that lists begin with."""
    url = new_database("new")
    await migrate(metrics_worker, DatabaseSettings(database_url=url))
    return await rows_in(url)


@pytest.mark.parametrize(
    "revision", [each for each in revisions(metrics_worker) if each >= FIRST], ids=lambda revision: f"of {revision}"
)
async def test_a_backup_of_any_revision_is_restored_by_this_release(
    revision: str,
    new_database: Callable[[str], str],
    tmp_path: Path,
    settings: MetricsSettings,
    rows_of_a_new_ledger: dict[str, list[dict[str, Any]]],
) -> None:
    old, new, file = new_database("old"), new_database("restored"), tmp_path / "metrics.dump"
    found: dict[str, list[dict[str, Any]]] = {}

    def make(connection: Connection) -> None:
        upgrade(connection, metrics_worker, revision)
        fill(connection, MADE)
        found.update(rows(connection))

    engine = create_engine(settings.model_copy(update={"database_url": old}), application="tests")
    async with engine.connect() as connection:
        await connection.run_sync(make)
    await engine.dispose()
    await asyncio.to_thread(dump, old, AUTHORITATIVE, file)
    await restore(file, new)
    for name, kept in (await rows_in(new)).items():
        if name in derived.tables:
            assert kept == rows_of_a_new_ledger[name], name
        elif name in found:
            assert [{column: row[column] for column in found[name][0] if column in row} for row in kept] == found[name]


def test_every_table_is_in_one_of_the_two_schemas() -> None:
    assert derived.tables.keys().isdisjoint(table.name for table in authoritative.sorted_tables)
    assert {table.schema for table in derived.sorted_tables} == {None}
    assert {table.schema for table in authoritative.sorted_tables} == {AUTHORITATIVE}
    assert outbox.name in {table.name for table in authoritative.sorted_tables}
