"""An experiment: load on a whole system, a fault amid it, and the oracle's judgement of before and after."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.stack import Listener, LocalStack
from tandem_cli.system import DATABASES, TANDEM, System
from tests.business import Business, GaveUp, connected
from tests.commands import run_script
from tests.faults.explanation import Explanation, Rows, rows_of_sources
from tests.faults.oracle import Log, connect, judge, outbox_rows, records_unread
from tests.faults.recording import Recording, Request
from tests.support import eventually

QUIET_SECONDS: Final = 60.0
"""After the last repair."""
LONG_SECONDS: Final = 120.0
SHORT_SECONDS: Final = 20.0
FULL_PER_SECOND: Final = 50.0
PER_SECOND_AND_CPU: Final = 4.0
"""What a processor holds with all processes of the system, the clients and the faults on it: each deal and each ticket
costs some forty milliseconds."""
MOST_UNDER_WAY: Final = 200
"""Deals, and tickets; one more is not begun, so that the clients need no more memory the longer an API is away."""

TWICE: Final = ("sales-relay", "service-relay", "sales-consumer", "service-consumer", "metrics-consumer")
"""Programs that run twice: one active and one standby relay of each service, two members of each group."""


def doubled(system: System = TANDEM) -> System:
    """Return the system with two relays and two consumers of each kind; the second ones are named `…-2`."""
    second = tuple(
        replace(program, name=f"{program.name}-2", another=program.name)
        for program in system.programs
        if program.name in TWICE
    )
    return replace(system, programs=system.programs + second)


class Stops(Listener):
    """Notes the processes that did not stop in time."""

    def __init__(self) -> None:
        self.killed: list[str] = []

    def state(self, name: str, state: str) -> None:
        """Note one that had to be killed."""
        if state.startswith("killed"):
            self.killed.append(name)


@contextlib.contextmanager
def running_stack(data_dir: Path, **options: Any) -> Iterator[LocalStack]:
    """Yield a doubled stack with fsync on: crashes are what is tried here. All of it has to stop within its limit."""
    stops = Stops()
    # A line a request would cost a tenth of the time.
    env = {"LOG_LEVEL": "warning"} | options.pop("env_overrides", {})
    stack = LocalStack(data_dir, listener=stops, system=options.pop("system", doubled()), env_overrides=env, **options)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()
    assert stops.killed == [], "I6: did not stop within 20 s of SIGTERM"


@dataclass(frozen=True)
class Form:
    """How long an experiment goes on, and under which load."""

    name: str
    seconds: float
    per_second: float
    """Deals that are begun a second, and as many tickets."""

    @property
    def is_long(self) -> bool:
        return self.name == "long"

    @classmethod
    def of(cls, name: str, per_second: float | None) -> "Form":
        """Return the form of this name, at the owner's rate or at what this machine can hold."""
        held = min(FULL_PER_SECOND, PER_SECOND_AND_CPU * (os.cpu_count() or 1))
        return cls(name, LONG_SECONDS if name == "long" else SHORT_SECONDS, per_second or held)


@dataclass
class Findings:
    """What is written to the report beside the result."""

    figures: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, value: float | str, unit: str = "") -> None:
        """Note a figure; numbers are rounded to three digits."""
        self.figures[name] = f"{value:.3g}" if isinstance(value, float) else str(value)
        if unit:
            self.figures[name] += f" {unit}"
        print(f"{name}: {self.figures[name]}")  # noqa: T201 -- shown with -s, and with any failure


@dataclass
class Experiment:
    """One experiment on a stack; everything in it that is random follows from its seed."""

    stack: LocalStack
    business: Business
    recording: Recording
    before: Rows
    form: Form
    random: random.Random
    findings: Findings
    servers: Mapping[str, EmbeddedPostgres] = field(default_factory=dict)
    """The server of each database, where each has one of its own."""
    not_begun: int = 0
    gave_up: int = 0
    repaired_at: float = field(default_factory=time.monotonic)
    explained_elsewhere: Callable[[list[str]], list[str]] = lambda problems: problems
    """Takes away the oracle's complaints that the fault itself explains."""
    is_lost: Callable[[Request], bool] = lambda request: False
    """Whether a source lost what a request did, in a restore."""

    @property
    def kafka(self) -> EmbeddedKafka:
        assert isinstance(self.stack.kafka, EmbeddedKafka)
        return self.stack.kafka

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The server of all databases."""
        assert isinstance(self.stack.postgres, EmbeddedPostgres)
        return self.stack.postgres

    @contextlib.asynccontextmanager
    async def load(self, seconds: float | None = None, *, per_second: float | None = None) -> AsyncIterator[None]:
        """Begin deals and tickets at the form's rate while the body runs, and for `seconds` at least.

        Returns when everything that was begun is answered, or was given up.
        """
        stop, began = asyncio.Event(), time.monotonic()
        rate = per_second or self.form.per_second
        working = asyncio.create_task(self._work(stop, rate))
        try:
            yield
            left = (seconds or self.form.seconds) - (time.monotonic() - began)
            if left > 0:
                await asyncio.wait([working], timeout=left)
        finally:
            stop.set()
            await working
        self.findings.note("load", f"{rate:g}+{rate:g}/s for {time.monotonic() - began:.0f} s")

    async def _work(self, stop: asyncio.Event, per_second: float) -> None:
        loop = asyncio.get_running_loop()
        began, begun = loop.time(), 0
        under_way: dict[str, set[asyncio.Task[None]]] = {"deals": set(), "tickets": set()}

        async def finished(job: Callable[[], Any]) -> None:
            try:
                await job()
            except GaveUp:
                self.gave_up += 1

        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                if begun < (loop.time() - began) * per_second:
                    begun += 1
                    sales = self.business.convert_a_lead if begun % 5 == 0 else self.business.win_a_deal
                    for kind, job in (("deals", sales), ("tickets", self.business.resolve_a_ticket)):
                        if len(under_way[kind]) >= MOST_UNDER_WAY:
                            self.not_begun += 1
                            continue
                        task = group.create_task(finished(job))
                        under_way[kind].add(task)
                        task.add_done_callback(under_way[kind].discard)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), 1 / per_second)

    def repaired(self) -> None:
        """Note that the last fault is over: all has to be quiet within a minute from now on."""
        self.repaired_at = time.monotonic()

    async def works(self, within: float) -> float:
        """Wait until a deal and a ticket get through everything, into the ledger. Return the seconds since the repair.

        They are sent as often as it takes; a request that does not succeed within these seconds is a failure too.
        """
        async with asyncio.timeout(within - (time.monotonic() - self.repaired_at)):
            deal, ticket = await asyncio.gather(
                self.business.win_a_deal(channel="online"), self.business.resolve_a_ticket()
            )
            await eventually(lambda: self._is_in_copies(UUID(deal), UUID(ticket)), within, every=0.1, patience=1)
        return time.monotonic() - self.repaired_at

    async def is_late(self, within: float) -> float:
        """Return how many seconds after they are answered a deal and a ticket are in the ledger and the copies."""
        deal, ticket = await asyncio.gather(
            self.business.win_a_deal(channel="online"), self.business.resolve_a_ticket()
        )
        answered_at = time.monotonic()
        await eventually(lambda: self._is_in_copies(UUID(deal), UUID(ticket)), within, every=0.1, patience=1)
        return time.monotonic() - answered_at

    async def _is_in_copies(self, deal: UUID, ticket: UUID) -> bool:
        ledger, service = await connect(self.stack, "metrics"), await connect(self.stack, "service")
        try:
            known = await ledger.fetchval(
                "select count(*) from subject_state where kind = 'deal' and id = $1 or kind = 'ticket' and id = $2",
                deal,
                ticket,
            )
            won = await service.fetchval("select count(*) from won_deal where id = $1", deal)
        finally:
            await ledger.close()
            await service.close()
        return bool(known == 2 and won == 1)

    async def answers(self, more: int, seconds: float = 60) -> None:
        """Wait until so many more requests are answered with 2xx."""
        before = self._done()
        await eventually(lambda: self._done() >= before + more, seconds)

    def _done(self) -> int:
        return sum(count for status, count in self.recording.statuses.items() if status < 300)

    async def caught_up(self, within: float) -> float:
        """Wait until every event is published and processed. Return the seconds since the last repair."""
        await eventually(
            self._is_caught_up, max(within - (time.monotonic() - self.repaired_at), 1), every=0.25, patience=1
        )
        seconds = time.monotonic() - self.repaired_at
        self.findings.note("caught up after", seconds, "s")
        return seconds

    async def _is_caught_up(self) -> bool:
        rows, unread = await outbox_rows(self.stack), await records_unread(self.stack)
        assert (rows, unread) == (0, 0), f"{rows} events to publish, {unread} records to process"
        return True

    async def all_agree(
        self,
        *,
        bad_records: int = 0,
        within: float = QUIET_SECONDS,
        keys_moved: bool = False,
        log_is_whole: bool = True,
    ) -> Log:
        """Wait until the oracle finds nothing wrong, a minute after the last repair at most; note the figures.

        `keys_moved` and `log_is_whole` are those of `judge`.
        """
        left = max(within - (time.monotonic() - self.repaired_at), 5)
        log = await eventually(lambda: self._judged(bad_records, keys_moved, log_is_whole), left, every=0.5, patience=1)
        self.findings.note("quiet after", time.monotonic() - self.repaired_at, "s")
        recording = self.recording
        self.findings.note("answers", sum(recording.statuses.values()))
        self.findings.note("p99", recording.p99(), "s")
        for name, number in (
            ("sent again for 503 or 429", recording.statuses[503] + recording.statuses[429]),
            ("without an answer", sum(recording.failures.values())),
            ("given up", self.gave_up),
            ("not begun", self.not_begun),
            ("events published twice", log.repeats),
            ("dead letters", bad_records),
        ):
            if number:
                self.findings.note(name, number)
        return log

    async def _judged(self, bad_records: int, keys_moved: bool, log_is_whole: bool) -> Log:
        log = await judge(
            self.stack,
            deals=self.business.deals_closed,
            tickets=self.business.tickets_resolved,
            bad_records=bad_records,
            keys_moved=keys_moved,
            log_is_whole=log_is_whole,
        )
        requests: dict[bool, list[Request]] = {True: [], False: []}
        for request in self.recording.requests():
            requests[self.is_lost(request)].append(request)
        explanation = Explanation(self.before, requests[False], lost=requests[True])
        problems = self.explained_elsewhere(explanation.problems(await rows_of_sources(self.stack)))
        assert problems == [], "\n".join([f"{len(problems)} things without an explanation", *problems[:10]])
        assert self.recording.faults == [], "I5: answers that no client may get"
        return log

    async def repair(self) -> None:
        """Let everything run again that was stopped or killed, also after a failure."""
        for server in (self.kafka, *({self.postgres} if self.stack.postgres else self.servers.values())):
            if server.running:
                server.resume()
            else:
                await asyncio.to_thread(server.start)
        for name, process in list(self.stack.processes.items()):
            if process.running:
                process.send(signal.SIGCONT)
            else:
                await asyncio.to_thread(self.stack.restart, name)

    @contextlib.asynccontextmanager
    async def frozen(self, part: str) -> AsyncIterator[None]:
        """Freeze the broker (`kafka`), the server of a database, or the active relays (`relay`) during the body."""
        if part == "relay":
            names = [(await self.relays(service))[0] for service in ("sales", "service")]
            for name in names:
                self.stack.kill(name, signal.SIGSTOP)
            try:
                yield
            finally:
                for name in names:
                    self.stack.kill(name, signal.SIGCONT)
            return
        server = self.kafka if part == "kafka" else self.servers[part]
        server.suspend()
        try:
            yield
        finally:
            server.resume()

    async def relays(self, service: str) -> tuple[str, str]:
        """Return the names of a service's active and of its standby relay."""
        names = (f"{service}-relay", f"{service}-relay-2")
        for active, standby in (names, names[::-1]):
            if await self.metric(active, "tandem_relay_active") == 1:
                return active, standby
        raise AssertionError(f"no relay of {service} is active")

    async def health(self, name: str, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
        """Return the status and the content of a process' health endpoint."""
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"http://127.0.0.1:{self.stack.processes[name].port}{path}")
            return answer.status_code, answer.json()

    async def metric(self, name: str, metric: str) -> float:
        """Return the sum of a worker's metric over its labels; 0 when it shows none."""
        async with httpx.AsyncClient(timeout=10) as http:
            text = (await http.get(f"http://127.0.0.1:{self.stack.processes[name].port}/metrics")).text
        lines = [line for line in text.splitlines() if line.partition("{")[0].partition(" ")[0] == metric]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextlib.asynccontextmanager
async def experiment_on(
    stack: LocalStack,
    seed: int,
    form: Form,
    findings: Findings,
    directory: Path,
    *,
    servers: Mapping[str, EmbeddedPostgres] | None = None,
) -> AsyncIterator[Experiment]:
    """Yield an experiment whose business is founded; leave the stack whole."""
    print(f"seed {seed}, {form.per_second:g} deals/s and tickets/s for {form.seconds:g} s")  # noqa: T201
    recording = Recording(directory / "requests.jsonl")
    before = await rows_of_sources(stack)
    business = connected(stack, seed, connections=0)
    business.record = recording.add
    made = Experiment(stack, business, recording, before, form, random.Random(seed), findings, servers or {})
    try:
        await business.found()
        yield made
    finally:
        await made.repair()
        await business.http.close()
        recording.close()


def republish(experiment: Experiment, service: str, *options: str) -> None:
    """Run the command on the stack, wherever its databases are."""
    stack = experiment.stack
    variables = {f"{name.upper()}_DATABASE_URL": stack.database_url(name) for name in DATABASES}
    options = ("--service", service, *options, "--data-dir", str(stack.data.path))
    ran = run_script("tandem", "republish", *options, env=os.environ | variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
