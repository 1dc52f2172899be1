"""One run of the system: clients, relays, the log and all consumers, under one scheduler, with the faults of a plan."""

import asyncio
import contextlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from event_contracts import codec
from event_contracts.catalogue import (
    METRICS_TOPIC,
    SALES_DIRECTORY_TOPIC,
    SALES_TOPIC,
    SERVICE_DIRECTORY_TOPIC,
    SERVICE_TOPIC,
)
from event_contracts.sales import Deal
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.ledger.tables import CONSUMER as LEDGER
from sales_api.from_service import CONSUMER as SALES_CONSUMER
from sales_api.from_service import ServiceEvents
from sales_api.timeline import CONSUMER as SALES_TIMELINE
from service_api.customers.from_sales import ACCOUNTS, NAMES, SalesCustomers
from service_api.timeline import CONSUMER as SERVICE_TIMELINE
from service_kit import idempotency
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.records import Record
from service_kit.idempotency import Claim
from service_kit.problems import Problem
from service_kit.references import UnknownReference
from service_kit.relay import Relay, partition_of
from service_kit.republish import Batches, CannotRepublish, LogRecord, correct_log
from service_kit.unit_of_work import StaleEntity, units_of_work
from tests.metrics_worker.facts import VILNIUS
from tests.simulation.databases import Database, Databases
from tests.simulation.faults import (
    BETWEEN,
    CONSUMERS,
    OF_RISKS,
    RELAYS,
    REPUBLISH,
    ClockJump,
    Crash,
    Cut,
    Fault,
    LateStart,
    Overload,
    Pause,
    Repeat,
    Replay,
    Restore,
    SendFails,
)
from tests.simulation.histories import CREATING, LATER, VERBS, WAITING, Action, key_of, time_of
from tests.simulation.memory_log import MemoryKafka, MemoryLog
from tests.simulation.outcome import Outcome, read_outcome
from tests.simulation.scheduler import Process, Run, Scheduler, SimulatedClock, current_process, ids_of

TOPICS: Final = {
    SALES_TOPIC: 2,
    SALES_DIRECTORY_TOPIC: 2,
    SERVICE_TOPIC: 2,
    SERVICE_DIRECTORY_TOPIC: 1,
    METRICS_TOPIC: 2,
}
EVENTS: Final = (SALES_TOPIC, SERVICE_TOPIC, METRICS_TOPIC)
READS: Final = {
    ACCOUNTS: [SALES_TOPIC],
    NAMES: [SALES_DIRECTORY_TOPIC],
    LEDGER: [SALES_TOPIC, SERVICE_TOPIC],
}
"""The topics of each consumer."""
READS_BETWEEN: Final = {
    SALES_CONSUMER: [SERVICE_TOPIC, METRICS_TOPIC],
    SALES_TIMELINE: [SERVICE_TOPIC],
    SERVICE_TIMELINE: [SALES_TOPIC],
}
"""The same of those that only some histories need."""
LOCKING: Final = frozenset({"erase", "erase_customer", "merge"})
"""What others, the relay among them, would wait for in the database, where the scheduler does not see it."""
OTHERWISE: Final = {"won": "lost", "lost": "won"}
"""How deals end after a restore."""
LATE_SECONDS: Final = 5.0
NOTICED_SECONDS: Final = 5.0
MAX_STEPS: Final = 6_000
QUIET_SECONDS: Final = 90.0
"""Of simulated time, after the last write: by then all is in Kafka and in every copy, whatever was stopped."""
ALWAYS: Final = 100 * 365


class Violation(Exception):
    """The system did what it must not."""


@dataclass(frozen=True)
class Plan:
    """All that decides a run."""

    schedule: int
    """The scheduler's seed."""
    history: Sequence[Action]
    faults: Sequence[Fault] = ()

    def __str__(self) -> str:
        """Return the plan as Python, one action or fault a line: to be kept as a regression case."""
        actions = "".join(f"        {action},\n" for action in self.history)
        faults = "".join(f"        {fault},\n" for fault in self.faults)
        text = f"Plan(\n    schedule={self.schedule},\n    history=[\n{actions}    ],\n    faults=[\n{faults}    ],\n)"
        return text.replace("seconds=inf", "seconds=math.inf")


@dataclass
class World:
    """The processes of one run."""

    databases: Databases
    plan: Plan
    is_reference: bool = False
    """Without faults, standbys and second members: what a run with them has to end like."""
    scheduler: Scheduler = field(init=False)
    log: MemoryLog = field(init=False)
    next_actions: dict[str, int] = field(default_factory=dict)
    onboarded: set[UUID] = field(default_factory=set)
    snapshot: tuple[dict[str, bytes], dict[str, int]] | None = None
    """The rows of sales, and how far its clients were."""
    is_restored: bool = False
    is_republished: bool = False
    fills_new_log: bool = False
    """Whether this run is of new consumers and copies, on a log that is filled from the databases of another run."""
    is_followed: bool = False
    """Whether sales follows what service suggests and who is at risk, here or in that other run: otherwise fewer
    processes run."""
    failure: str = ""
    """What an invariant that holds at every moment has found."""

    def __post_init__(self) -> None:
        self.is_followed |= any(action.verb in ("suggest", "reopen_ticket") for action in self.plan.history)
        self.scheduler = Scheduler(self.plan.schedule, ids="new log " if self.fills_new_log else "")
        self.scheduler.on_seam = self._strike
        self.scheduler.on_crash = self._settle
        self.scheduler.on_turn = self._set_clock
        for database in self.databases:
            database.clock_error = 0.0
        self.log = MemoryLog(self.scheduler, TOPICS)
        self.log.send_fails = self._send_fails
        self.kafka = MemoryKafka(self.log)
        self.clock = SimulatedClock(self.scheduler)
        self.faults = list(self.plan.faults)
        self.late = {fault.group for fault in self.faults if isinstance(fault, LateStart)}
        self.overloaded = {fault.process: fault.records for fault in self.faults if isinstance(fault, Overload)}
        self.log.delivers_at_once = bool(self.overloaded or self.late)

    async def run(self) -> Outcome:
        """Run everything until nothing more happens. Raise `Violation`."""
        if self.fills_new_log:
            await self._fill_log()
        else:
            for database in self.databases:
                await database.empty()
        self._add_processes()
        try:
            await self.scheduler.start()
            await self._run_until_quiet()
            if any(isinstance(fault, Repeat | Replay) for fault in self.faults):
                self._repeat()
                await self._run_until_quiet()
        finally:
            await self.scheduler.stop()
        return await read_outcome(self.databases, self.log)

    # Processes

    def _add_processes(self) -> None:
        sales, service = self.databases.sales, self.databases.service
        clients = {action.client: service if action.client == "service" else sales for action in self.plan.history}
        for client, database in clients.items():
            self.next_actions[client] = 0
            self.scheduler.add(client, self._client(client, database))
        for name in ("service-relay-1",) if self.fills_new_log else RELAYS:
            if not (self.is_reference and name.endswith("2")):
                self.scheduler.add(name, self._relay(self._database_of(name)))
        if self.is_followed and not self.fills_new_log:
            relay, jobs = OF_RISKS
            self.scheduler.add(relay, self._relay(self.databases.metrics))
            self.scheduler.add(jobs, self._jobs)
        for name in (*CONSUMERS, *(BETWEEN if self.is_followed else ())):
            if not (self.is_reference and name.endswith("2")):
                self.scheduler.add(name, self._consumer(name.rpartition("-")[0]))

    def _database_of(self, name: str) -> Database:
        found: Database = getattr(self.databases, name.partition("-")[0])
        return found

    def _relay(self, database: Database) -> Run:
        async def run(stop: asyncio.Event) -> None:
            await Relay(engine=database.engine, kafka=self.kafka, clock=self.clock).run(stop)

        return run

    async def _jobs(self, stop: asyncio.Event) -> None:
        """Evaluate who is at risk, again and again, as metrics-jobs does."""
        evaluator = TargetEvaluator(self.databases.metrics.engine, VILNIUS)
        evaluate = evaluator._risks._evaluate

        async def evaluate_with_seams(*arguments: Any) -> None:
            await self.scheduler.crash_point("evaluate")
            await evaluate(*arguments)
            await self.scheduler.crash_point("evaluated")

        evaluator._risks._evaluate = evaluate_with_seams  # type: ignore[method-assign, assignment]
        while True:
            await self.scheduler.seam("wait", seconds=1.0)
            # The job goes on after a failure.
            with contextlib.suppress(DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await evaluator.run_once()

    def _consumer(self, group: str) -> Run:
        async def run(stop: asyncio.Event) -> None:
            if group in self.late:
                await self.scheduler.seam("late", ready=self._is_sales_long_quiet, seconds=math.inf)
            if group == "ledger":
                ledger = LedgerConsumer(
                    self.databases.metrics.engine, self.kafka, VILNIUS, completeness="log", clock=self.clock
                )
                self._add_seams(ledger.consumer)
                await ledger.run(stop)
                return
            consumer = self._consumers_between()[group]
            self._add_seams(consumer)
            await consumer.run(stop)

        return run

    def _consumers_between(self) -> dict[str, Consumer[Any]]:
        """Return the consumers by which sales and service follow each other, by their groups."""
        sales = ServiceEvents(
            self.databases.sales.engine,
            self.kafka,
            suggestion_days=0 if self.fills_new_log else ALWAYS,
            risk_days=0 if self.fills_new_log else ALWAYS,
            clock=self.clock,
        )
        service = SalesCustomers(
            self.databases.service.engine,
            self.kafka,
            onboarding_days=0 if self.fills_new_log else ALWAYS,
            clock=self.clock,
        )
        return {
            "accounts": service.accounts,
            "names": service.names,
            "service-timeline": service.timeline,
            "sales-consumer": sales.consumer,
            "sales-timeline": sales.timeline,
        }

    def _add_seams(self, consumer: Consumer[Any]) -> None:
        """Let faults strike at the end of a batch's transaction."""
        handle = consumer._handle

        async def handle_with_seams(connection: AsyncConnection, records: Sequence[Record[Any]]) -> None:
            if len(records) > self.overloaded.get(current_process().name, math.inf):
                raise TimeoutError("the statement took too long")
            await handle(connection, records)
            await self.scheduler.crash_point("commit")
            # After a restore the same sequence may be a win and a loss.
            if consumer.name == ACCOUNTS and not self.is_restored:
                await self._check_onboardings(connection)

        consumer._handle = handle_with_seams

    def _client(self, client: str, database: Database) -> Run:
        history = [action for action in self.plan.history if action.client == client]

        async def run(stop: asyncio.Event) -> None:
            while self.next_actions[client] < len(history):
                number = self.next_actions[client]
                await self._write(database, history[number], number)
                self.next_actions[client] = number + 1
            await self.scheduler.seam("done", ready=lambda: False, seconds=math.inf)

        return run

    async def _write(self, database: Database, action: Action, number: int) -> None:
        """Send one write until it is answered, as a client with an idempotency key does."""
        key = key_of(action, number)
        if self.is_restored and action.verb not in CREATING:
            key += " again"
            action = replace(action, how=OTHERWISE.get(action.how, action.how))
        claim = Claim(digest=key.encode(), fingerprint=b"")
        begin, is_contended = units_of_work(database.engine, process="simulation"), False
        if action.how == LATER:
            await self.scheduler.seam("wait", seconds=NOTICED_SECONDS)
        while True:
            await self.scheduler.seam("begin")
            try:
                async with begin(is_contended=is_contended) as work:
                    if await idempotency.stored_answer(work, claim) is None:
                        with ids_of(key):
                            await VERBS[action.verb](work, action, time_of(number))
                        idempotency.store(work, claim, Response("{}"))
                    if action.verb in LOCKING:
                        await self.scheduler.crash_point("commit")
                    else:
                        await self.scheduler.seam("commit")
                    await work.commit()
                await self.scheduler.seam("answer")
                return
            except UnknownReference:
                if action.verb not in WAITING or action.of == "own":
                    return
                await self.scheduler.seam("wait", seconds=0.5)
            except Problem:
                # Refused, as in every run: each record has one client, that waits for its answers.
                return
            except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, StaleEntity):
                is_contended = True

    # Faults

    async def _settle(self) -> None:
        """Let the databases roll back what a crash cut off, as they do when its connections break."""
        for database in self.databases:
            await database.settle()

    def _strike(self, process: Process, seam: str) -> None:
        visit = process.visits[seam]
        for fault in self.faults:
            if isinstance(fault, Crash | Pause) and (fault.process, fault.seam, fault.visit) == (
                process.name,
                seam,
                visit,
            ):
                if isinstance(fault, Crash):
                    process.is_doomed = True
                else:
                    process.pause(self.scheduler.now, self.scheduler.now + fault.seconds)
                    process.is_cut = fault.cuts

    def _send_fails(self, process: Process) -> bool | None:
        visit = process.visits["send"]
        for fault in self.faults:
            if isinstance(fault, SendFails) and (fault.process, fault.visit) == (process.name, visit):
                return not fault.reaches
        return None

    def _repeat(self) -> None:
        """Add records of the event topics a second time, to their partitions."""
        events = [record for part, of_part in self.log.records.items() if part.topic in EVENTS for record in of_part]
        repeated = [events[fault.place % len(events)] for fault in self.faults if isinstance(fault, Repeat)]
        for fault in self.faults:
            if isinstance(fault, Replay):
                repeated += random.Random(fault.seed).sample(events, len(events))
        for record in repeated:
            self.log.append(TopicPartition(record.topic, record.partition), record.key, record.value)

    async def _restore(self, rows: dict[str, bytes], next_actions: dict[str, int]) -> None:
        """Restore the database of sales under its processes; clients repeat what was lost, with other outcomes."""
        stopped = [each for name, each in self.scheduler.processes.items() if name.startswith("sales")]
        for process in stopped:
            await self.scheduler.crash(process, restart=False)
        await self.databases.sales.restore(rows)
        self.next_actions |= {name: number for name, number in next_actions.items() if name != "service"}
        self.is_restored = True
        for process in stopped:
            await self.scheduler.restart(process)
        self.scheduler.add(REPUBLISH, self._republish)
        await self.scheduler.restart(self.scheduler.processes[REPUBLISH])

    async def _republish(self, stop: asyncio.Event) -> None:
        """Correct the log of sales, as an operator does who starts the command again until it is done."""
        while not self.is_republished:
            try:
                await correct_log(self.databases.sales.engine, self._read_log, clock=self.clock)
                self.is_republished = True
            except (CannotRepublish, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self.scheduler.seam("wait", seconds=1.0)
        await self.scheduler.seam("done", ready=lambda: False, seconds=math.inf)

    async def _read_log(self) -> Batches:
        ends = self.log.ends([SALES_TOPIC, SALES_DIRECTORY_TOPIC])
        for part, end in ends.items():
            await self.scheduler.seam("read")
            records = self.log.records[part][:end]
            yield [LogRecord(part.topic, (each.key or b"").decode(), each.value) for each in records], 1, 1

    async def _fill_log(self) -> None:
        """Fill the log with what all have published, and forget all that follows from a log."""
        for database in self.databases:
            async with database.session() as session:
                for topic, key, payload in await session.fetch(
                    "SELECT topic, key, payload FROM published_event ORDER BY position"
                ):
                    number = partition_of(key.encode(), TOPICS[topic])
                    self.log.append(TopicPartition(topic, number), key.encode(), payload)
        await self.databases.metrics.empty()
        async with self.databases.service.session() as session:
            await session.execute("SET session_replication_role = replica")
            await session.execute("DELETE FROM customer WHERE origin = 'sales'; DELETE FROM won_deal")
            await session.execute("DELETE FROM suggested_sale")
            await session.execute("RESET session_replication_role")
        for database in (self.databases.sales, self.databases.service):
            async with database.session() as session:
                for table in ("seen_sequence", "consumer_offset", "dead_letter", "timeline_entry"):
                    await session.execute(f"DELETE FROM {table}")

    async def _set_clock(self, process: Process) -> None:
        """Let a relay find its database's clock at the simulated time: its lease expires by that."""
        if process.name in (*RELAYS, OF_RISKS[0]):
            await self._database_of(process.name).set_clock(self.scheduler.now)

    async def _strike_between_steps(self) -> None:
        for fault in self.faults:
            if isinstance(fault, Cut | ClockJump) and fault.step == self.scheduler.steps:
                database = getattr(self.databases, fault.database)
                if isinstance(fault, Cut):
                    await database.cut()
                else:
                    database.clock_error += fault.seconds
            elif isinstance(fault, Restore) and fault.taken == self.scheduler.steps:
                self.snapshot = await self.databases.sales.snapshot(), dict(self.next_actions)
            elif isinstance(fault, Restore) and fault.restored == self.scheduler.steps and self.snapshot is not None:
                await self._restore(*self.snapshot)
        for process in self.scheduler.processes.values():
            if process.is_cut:
                process.is_cut = False
                for database in self.databases:
                    await database.cut(process)

    # Progress

    def _is_sales_long_quiet(self) -> bool:
        clients = [self.scheduler.processes[name] for name in self.next_actions if name in ("sales-1", "sales-2")]
        if any(each.seam != "done" for each in clients):
            return False
        return max(each.waiting_since for each in clients) + LATE_SECONDS < self.scheduler.now

    def _are_clients_done(self) -> bool:
        return all(self.scheduler.processes[name].seam == "done" for name in self.next_actions)

    async def _run_until_quiet(self) -> None:
        limit, quiet_by = self.scheduler.steps + MAX_STEPS, math.inf
        while True:
            await self.scheduler.step()
            await self._strike_between_steps()
            for process in self.scheduler.processes.values():
                if process.is_done and process.task is not None:
                    raise Violation(f"{process.name} ended: {process.task.exception()!r}")
            if self.failure:
                raise Violation(self.failure)
            if self._are_clients_done():
                quiet_by = min(quiet_by, self.scheduler.now + QUIET_SECONDS)
                if self.scheduler.steps % 5 == 0 and not self._is_any_paused() and await self._is_quiet():
                    return
            if self.scheduler.now > quiet_by or self.scheduler.steps > limit:
                raise Violation(f"no progress: {await self._unread()}")

    def _is_any_paused(self) -> bool:
        """Return whether a process is stopped that will go on: what it holds may still do harm."""
        now = self.scheduler.now
        return any(now < process.paused_until < math.inf for process in self.scheduler.processes.values())

    async def _is_quiet(self) -> bool:
        if self.is_restored and not (self.is_republished or self.fills_new_log):
            return False
        return not await self._unread()

    async def _unread(self) -> dict[str, int]:
        """Return what waits: rows in outboxes, records before consumers."""
        waiting: dict[str, int] = {}
        for database in self.databases:
            async with database.session() as session:
                waiting[f"outbox of {database.name}"] = await session.fetchval("SELECT count(*) FROM outbox")
        if self.is_followed and not self.fills_new_log:
            async with self.databases.metrics.session() as session:
                waiting["reviews"] = await session.fetchval(
                    "SELECT count(*) FROM risk_review WHERE day <= pg_catalog.now()::date"
                )
        if not any(waiting.values()):
            stored: dict[tuple[str, str, int], int] = {}
            for database in self.databases:
                async with database.session() as session:
                    rows = await session.fetch("SELECT consumer, topic, partition, next_offset FROM consumer_offset")
                stored |= {(consumer, topic, partition): offset for consumer, topic, partition, offset in rows}
            for consumer, topics in (READS | (READS_BETWEEN if self.is_followed else {})).items():
                for part, end in self.log.ends(topics).items():
                    waiting[f"{part.topic}/{part.partition} before {consumer}"] = end - stored.get((consumer, *part), 0)
        return {name: count for name, count in waiting.items() if count}

    # Invariants at every moment

    async def _check_onboardings(self, connection: AsyncConnection) -> None:
        """Raise when an onboarding was opened for a deal whose newest event, of those read so far, is not a win."""
        rows = await connection.execute(
            sa.text("SELECT onboarding_deal_id FROM ticket WHERE onboarding_deal_id IS NOT NULL")
        )
        new = {row.onboarding_deal_id for row in rows} - self.onboarded
        if not new:
            return
        offsets = await connection.execute(
            sa.text("SELECT topic, partition, next_offset FROM consumer_offset WHERE consumer = :name"),
            {"name": ACCOUNTS},
        )
        newest: dict[UUID, tuple[int, str]] = {}
        for topic, partition, next_offset in offsets:
            for record in self.log.records[TopicPartition(topic, partition)][:next_offset]:
                event = codec.decode(record.value)
                if isinstance(event.data, Deal):
                    newest[event.data.id] = max(newest.get(event.data.id, (0, "")), (event.sequence, event.data.stage))
        for deal_id in new:
            if newest[deal_id][1] != "won":
                self.failure = f"an onboarding was opened for a deal that is {newest[deal_id][1]}"
        self.onboarded |= new
