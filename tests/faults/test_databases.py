"""Databases that crash, freeze, fill up and forget, each on a server of its own."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem
from tandem_cli.stack import External, LocalStack
from tandem_cli.system import DATABASES
from tests.business import Attempt
from tests.faults.experiment import Experiment, Findings, Form, experiment_on, republish, running_stack
from tests.faults.oracle import connect, outbox_rows
from tests.faults.rows import fault
from tests.faults.small_disk import fill, small_disk
from tests.load.report import percentile
from tests.raw_http import RawClient
from tests.support import eventually

pytestmark = pytest.mark.long

Servers = Mapping[str, EmbeddedPostgres]
SMALL = {"max_wal_size": "64MB", "min_wal_size": "32MB"}
"""Settings of a server that fits on a small disk."""
HEAL_SECONDS = 10.0
IDLE_SECONDS = 300.0
ABORTED = 1_000
CONFLICTS = 5
"""Deals that were closed in commits that are lost, and are closed again."""
ALARM_SECONDS = 10.0
POOL = 11
"""Connections of an API: those of its pool, and the one of its outbox notifier."""


@contextlib.contextmanager
def own_servers(directory: Path, elsewhere: Mapping[str, Path] | None = None) -> Iterator[Servers]:
    """Yield a running server for each database, with that database on it; `elsewhere` has other places for data."""
    places = {name: directory / name for name in DATABASES} | dict(elsewhere or {})
    servers = {name: EmbeddedPostgres(places[name], options=SMALL) for name in DATABASES}
    try:
        for name, server in servers.items():
            server.start()
            server.create_database(name)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def on_servers(servers: Servers) -> External:
    """Return what makes a stack use these servers."""
    return External(databases={name: server.url(name) for name, server in servers.items()})


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with own_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), external=on_servers(servers)) as running:
        yield running


@pytest.fixture
async def experiment(
    stack: LocalStack, servers: Servers, seed: int, form: Form, findings: Findings, tmp_path: Path
) -> AsyncIterator[Experiment]:
    async with experiment_on(stack, seed, form, findings, tmp_path, servers=servers) as made:
        yield made


@fault(5)
async def test_an_idle_transaction_holds_up_no_event(experiment: Experiment) -> None:
    """It has read the outbox and locked nothing: rows that were published since cannot be removed from the table."""
    open_seconds = IDLE_SECONDS if experiment.form.is_long else experiment.form.seconds
    connections = [await connect(experiment.stack, name) for name in ("sales", "service")]
    oldest = 0.0
    try:
        for connection in connections:
            await connection.execute("begin isolation level repeatable read")
            await connection.fetchval("select count(*) from outbox")
            # It has also written, so that its own number holds back every snapshot.
            await connection.execute("create temporary table held (id int)")
        async with experiment.load(open_seconds):
            began = time.monotonic()
            while time.monotonic() - began < open_seconds:
                _, shown = await experiment.health("sales-api")
                oldest = max(oldest, shown.get("outbox", {}).get("oldest_seconds", 0))
                await asyncio.sleep(1)  # between two looks
    finally:
        for connection in connections:
            await connection.close()
    experiment.findings.note("transaction open", open_seconds, "s")
    experiment.repaired()
    await experiment.caught_up(within=60)
    log = await experiment.all_agree()
    p99 = percentile(log.delays, 99)
    experiment.findings.note("publishing p99", p99, "s")
    experiment.findings.note("oldest event in the outbox", oldest, "s")
    assert p99 <= 5


@fault(8)
@pytest.mark.parametrize("database", DATABASES)
async def test_a_database_restarts_at_once_and_its_backends_are_terminated(
    experiment: Experiment, database: str
) -> None:
    server = experiment.servers[database]
    async with experiment.load():
        await experiment.answers(20)
        await asyncio.to_thread(server.restart_at_once)
        experiment.repaired()
        experiment.findings.note(
            f"{database} restarted, healed after", await experiment.works(within=HEAL_SECONDS), "s"
        )
        connection = await asyncpg.connect(server.url("postgres").replace("+asyncpg", ""))
        terminated = await connection.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = $1 and backend_type = 'client backend'",
            database,
        )
        await connection.close()
        experiment.repaired()
        healed = await experiment.works(within=HEAL_SECONDS)
        experiment.findings.note(f"{terminated} backends of {database} terminated, healed after", healed, "s")
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


@fault(9)
@pytest.mark.parametrize("frozen", ["kafka", *DATABASES, "relay"])
async def test_a_part_is_frozen_and_no_request_waits_for_it(experiment: Experiment, frozen: str) -> None:
    """A frozen database is answered for with 503, and in time; a frozen broker or relay holds up no request."""
    seconds = 30.0 if experiment.form.is_long else 15.0
    async with experiment.load(seconds + 5):
        await experiment.answers(20)
        async with experiment.frozen(frozen):
            await asyncio.sleep(seconds)  # the length of the fault
        experiment.repaired()
        healed = await experiment.works(within=60)
    experiment.findings.note(f"{frozen} frozen: longest request", experiment.recording.longest, "s")
    experiment.findings.note("healed after", healed, "s")
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert experiment.recording.longest <= 10
    if frozen not in ("sales", "service"):
        assert not experiment.recording.failed


@fault(19)
@pytest.mark.parametrize("full", ["sales", "service", "metrics", "kafka"])
async def test_a_full_disk_is_answered_with_503_and_work_goes_on_once_it_is_freed(
    seed: int, form: Form, findings: Findings, tmp_path: Path, full: str
) -> None:
    seconds = 30.0 if form.is_long else 10.0
    with small_disk(tmp_path / "disk", 400) as disk, own_servers(tmp_path / "servers", {full: disk / full}) as servers:
        (tmp_path / "stack").mkdir()
        if full == "kafka":
            (disk / full).mkdir()
            (tmp_path / "stack" / "kafka").symlink_to(disk / full)
        with running_stack(tmp_path / "stack", external=on_servers(servers)) as stack:
            async with experiment_on(stack, seed, form, findings, tmp_path, servers=servers) as experiment:
                part = experiment.kafka if full == "kafka" else servers[full]
                async with experiment.load(), started_again(part):
                    await experiment.answers(20)
                    ballast = fill(disk)
                    findings.note(f"disk of {full} full", seconds, "s")
                    await asyncio.sleep(seconds)  # the length of the fault
                    waiting = await outbox_rows(stack) if full in ("metrics", "kafka") else 0
                    ballast.unlink()
                    experiment.repaired()
                    findings.note("works after", await experiment.works(within=60), "s")
                experiment.repaired()
                await experiment.caught_up(within=60)
                await experiment.all_agree()
                unavailable = experiment.recording.failed[503]
                if full in ("sales", "service"):
                    assert unavailable > 0, "the disk was not full"
                else:
                    assert unavailable == 0
                if full == "kafka":
                    assert waiting > 0, "the disk was not full"


@contextlib.asynccontextmanager
async def started_again(server: EmbeddedPostgres | EmbeddedKafka) -> AsyncIterator[None]:
    """Start a server again whenever it has ended, as an orchestrator does."""

    async def watch() -> None:
        while True:
            if not server.running:
                with contextlib.suppress(StackProblem, OSError):
                    await asyncio.to_thread(server.start)
            await asyncio.sleep(0.5)  # between two looks

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


@fault(26)
async def test_requests_that_are_aborted_half_way_leak_no_connection(experiment: Experiment) -> None:
    """The clients leave amid the head, the body, or the wait for an answer."""
    stack = experiment.stack
    bodies = {"sales": ("/v1/leads", b'{"channel": "direct", "region": "EMEA"}')}
    ticket = f'{{"customer_id": "{experiment.business.accounts[0]}", "kind": "complaint", "channel": "web"}}'
    bodies["service"] = ("/v1/tickets", ticket.encode())
    async with experiment.load(5):
        for number in range(ABORTED // 50):
            api = ("sales", "service")[number % 2]
            await asyncio.gather(*(abort(experiment, api, *bodies[api]) for _ in range(50)))
        experiment.repaired()
        for api in ("sales", "service"):
            await eventually(lambda api=api: no_leak(stack, api), HEAL_SECONDS, every=0.1, patience=1)  # type: ignore[misc]
        experiment.findings.note("connections back to normal after", time.monotonic() - experiment.repaired_at, "s")
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


async def abort(experiment: Experiment, api: str, path: str, body: bytes) -> None:
    """Send a part of a write, or all of it, and close the connection."""
    stack, chance = experiment.stack, experiment.random.random()
    client = await RawClient.connected(stack.processes[f"{api}-api"].port)
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {stack.token('admin')}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    # A third leave amid the head, a third amid the body, and a third while they wait.
    end = len(request) if chance > 2 / 3 else len(request) - 5 if chance > 1 / 3 else len(head) // 2
    if end == len(request):
        experiment.recording.add(
            Attempt(str(uuid4()), api, "POST", path, json.loads(body), time.time(), 0.0, error="aborted")
        )
    await client.send_all(request[:end])
    await asyncio.sleep(0.02 * experiment.random.random())  # where it is then depends on the seed
    client.close()


async def no_leak(stack: LocalStack, api: str) -> bool:
    """Return whether an API has no more connections than its pool, and none within a transaction for long."""
    connection = await connect(stack, api)
    try:
        rows = await connection.fetch(
            "select state, now() - state_change > interval '1 s' as long from pg_stat_activity"
            " where application_name = $1",
            f"{api}-api",
        )
    finally:
        await connection.close()
    return len(rows) <= POOL and not [row for row in rows if row["state"] != "idle" and row["long"]]


@fault(29)
@pytest.mark.parametrize("service", ["sales", "service"])
async def test_a_database_that_lost_published_commits_is_alarmed_and_republished(
    seed: int, form: Form, findings: Findings, tmp_path: Path, service: str
) -> None:
    """A standby takes over that lacks the last commits. The service writes on, also while it is republished."""
    with (
        own_servers(tmp_path / "servers") as servers,
        running_stack(tmp_path / "stack", external=on_servers(servers)) as stack,
    ):
        async with experiment_on(stack, seed, form, findings, tmp_path, servers=servers) as experiment:
            business, standby = experiment.business, tmp_path / "standby"
            async with experiment.load(form.seconds / 2):
                subjects = [await open_a_subject(experiment, service) for _ in range(CONFLICTS)]
            done = business.deals_closed if service == "sales" else business.tickets_resolved
            await asyncio.to_thread(copy_of_server, servers[service], standby)
            kept, lost_from = len(done), time.time()
            async with experiment.load(form.seconds / 2):
                for subject in subjects:
                    await end(experiment, subject, "lost")
            lost_until = time.time()
            del done[kept:]
            experiment.is_lost = lambda each: each.api == service and lost_from <= each.began_at <= lost_until
            experiment.repaired()
            await experiment.caught_up(within=60)
            await asyncio.to_thread(fail_over, servers[service], standby)
            async with experiment.load():
                for subject in subjects:
                    await end(experiment, subject, "won")
                experiment.repaired()
                await eventually(lambda: are_alarmed(experiment, subjects), ALARM_SECONDS, every=0.1, patience=1)
                findings.note("alarmed after", time.monotonic() - experiment.repaired_at, "s")
                experiment.repaired()
                await asyncio.to_thread(republish, experiment, service)
                findings.note("republished in", time.monotonic() - experiment.repaired_at, "s")
            experiment.repaired()
            await experiment.caught_up(within=60)
            log = await experiment.all_agree()
            findings.note("withdrawn", len(log.withdrawn), "subjects")
            assert await alarmed(experiment) == set()
            assert log.withdrawn, "nothing was lost"
            assert {log.versions[subject][0] for subject in subjects} == {2}


async def open_a_subject(experiment: Experiment, service: str) -> str:
    """Open a deal of sales or a ticket of service; return its subject."""
    business = experiment.business
    if service == "service":
        return f"tickets/{await business.open_a_ticket()}"
    line = {"product": business.products[0], "quantity": 1, "unit_price": "100.00"}
    body = {"account_id": business.accounts[0], "currency": "EUR", "lines": [line], "owner_id": business.reps[0]}
    return f"deals/{(await business.send('sales', 'POST', '/v1/deals', body))['id']}"


async def end(experiment: Experiment, subject: str, outcome: str) -> None:
    """Close a deal with this outcome, or resolve a ticket: each time it is another event."""
    if subject.startswith("tickets/"):
        await experiment.business.send("service", "POST", f"/v1/{subject}/resolve", {})
    else:
        await experiment.business.send("sales", "POST", f"/v1/{subject}/close", {"outcome": outcome})


def copy_of_server(server: EmbeddedPostgres, standby: Path) -> None:
    """Make a copy that has all commits until now, and none of the later ones."""
    server.stop()
    # With owners: where tests run as root, the server has a user of its own.
    subprocess.run(["cp", "-a", server.data_dir, standby], check=True)
    server.start()


def fail_over(server: EmbeddedPostgres, standby: Path) -> None:
    """Let the copy go on in the server's place."""
    server.stop()
    shutil.rmtree(server.data_dir)
    standby.rename(server.data_dir)
    server.start()


async def alarmed(experiment: Experiment) -> set[str]:
    """Return the subjects that the ledger alarms for having two events of one sequence."""
    address = f"{experiment.stack.urls['metrics']}/v1/alerts"
    async with experiment.business.http.get(address, params={"kind": "sequence-conflict"}) as answer:
        assert answer.status == 200, await answer.text()
        return {each["subject"] for each in (await answer.json())["items"]}


async def are_alarmed(experiment: Experiment, subjects: list[str]) -> bool:
    """Return whether each of these subjects is alarmed."""
    return set(subjects) <= await alarmed(experiment)
