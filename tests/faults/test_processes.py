"""Processes that are killed, stopped, frozen and restarted, while others work beside them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from asyncio.subprocess import create_subprocess_exec
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, get_args

import psutil
import pytest
from aiokafka import AIOKafkaProducer

from service_kit.failpoints import EXIT_CODE, Failpoint
from tandem_cli.ports import free_port
from tandem_cli.processes import answers_ready
from tandem_cli.stack import LocalStack
from tandem_cli.system import DATABASES, script
from tests.faults.experiment import Experiment, Findings, Form, doubled, experiment_on, running_stack
from tests.faults.oracle import records_of
from tests.faults.rows import fault
from tests.support import eventually
from tools.shifted_clocks import library

KILL_EVERY_SECONDS = 3.0
STOP_SECONDS = 20.0
TAKEOVER_SECONDS = 15.0
REPLAY_SECONDS: Final = 400.0
"""A rebuild uses what is idle (`nice`), and on a busy host that is little."""


@fault(1)
async def test_processes_are_killed_at_random_under_load(experiment: Experiment) -> None:
    stack = experiment.stack
    number = int(experiment.form.seconds / KILL_EVERY_SECONDS)
    async with experiment.load():
        for _ in range(number):
            await asyncio.sleep(KILL_EVERY_SECONDS)  # the pace of the fault
            name = experiment.random.choice(list(stack.processes))
            await asyncio.to_thread(stack.kill, name)
            await asyncio.to_thread(stack.restart, name, wait=False)
    experiment.findings.note("kills", number)
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


RUNS: Final = 20
SHORT_RUNS: Final = 2
REACH_SECONDS: Final = 60.0
BAD_RECORD_EVERY_SECONDS: Final = 0.5
PROCESSES: Final = {
    "write": ("sales-api", "service-api"),
    "relay": ("sales-relay", "service-relay"),
    "consumer": ("metrics-consumer", "service-consumer"),
}
"""Which processes get to a failpoint, by the first word of its name."""


@fault(2)
@pytest.mark.long
async def test_processes_end_between_two_steps_that_belong_together(experiment: Experiment) -> None:
    """Each point is reached by a process that is started for it, at a random time that it gets there."""
    runs = RUNS if experiment.form.is_long else SHORT_RUNS
    points = [point for point in get_args(Failpoint) for _ in range(runs)]
    experiment.random.shuffle(points)
    async with experiment.load(), bad_records(experiment) as sent:
        for number, point in enumerate(points):
            name = PROCESSES[point.partition(".")[0]][number % 2]
            await ended_at(experiment, name, point, times=experiment.random.randint(1, 5))
    experiment.findings.note("points", len(set(points)))
    experiment.findings.note("runs of each", runs)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree(bad_records=len(sent))


async def ended_at(experiment: Experiment, name: str, point: str, *, times: int) -> None:
    """Have a process end when it gets to a point for the so-manieth time, and start it again without that."""
    stack = experiment.stack
    if name.endswith("relay"):
        active, name = await experiment.relays(name.removesuffix("-relay"))
    await asyncio.to_thread(stack.restart, name, env_overrides={"FAILPOINT": f"{point}={times}"}, wait=False)
    if name.partition("-")[2].startswith("relay"):
        # Only the active one gets there: the standby takes over from it.
        await eventually(lambda: answers_ready(stack.processes[name].port), 30, every=0.1)
        await asyncio.to_thread(stack.restart, active, wait=False)
    process = stack.processes[name]
    process.expected_to_run = False
    code = await asyncio.wait_for(asyncio.to_thread(process.wait), REACH_SECONDS)
    assert code == EXIT_CODE, f"{name} was to end at {point}: {list(process.last_lines)}"
    await asyncio.to_thread(stack.restart, name, env_overrides={"FAILPOINT": ""}, wait=False)


@contextlib.asynccontextmanager
async def bad_records(experiment: Experiment) -> AsyncIterator[list[int]]:
    """Publish an unreadable record again and again; yield their numbers."""
    producer = AIOKafkaProducer(bootstrap_servers=experiment.stack.bootstrap_servers, acks="all")
    await producer.start()
    sent: list[int] = []
    stop = asyncio.Event()

    async def publish() -> None:
        while not stop.is_set():
            await producer.send_and_wait("sales.events", b"{", key=b"%d" % len(sent))
            sent.append(len(sent))
            await asyncio.sleep(BAD_RECORD_EVERY_SECONDS)  # the pace of the fault

    publishing = asyncio.create_task(publish())
    try:
        yield sent
    finally:
        stop.set()
        await publishing
        await producer.stop()


@fault(22)
@pytest.mark.long
async def test_everything_is_restarted_in_turn_under_load(experiment: Experiment) -> None:
    """An API is the only one of its kind here: what its clients find closed for a moment, they send again."""
    stack = experiment.stack
    longest = 0.0
    async with experiment.load():
        for name in list(stack.processes):
            began = time.monotonic()
            stack.kill(name, signal.SIGTERM)
            process = stack.processes[name]
            process.expected_to_run = False
            code = await asyncio.wait_for(asyncio.to_thread(process.wait), STOP_SECONDS)
            longest = max(longest, time.monotonic() - began)
            assert code == 0, f"{name}: {list(process.last_lines)}"
            await asyncio.to_thread(stack.restart, name)
            await experiment.answers(20)
    experiment.findings.note("longest stop", longest, "s")
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()
    # No request was answered by a failure: those that came while nothing listened got no answer at all.
    recording = experiment.recording
    assert set(recording.failures) <= {"ClientConnectorError", "ServerDisconnectedError", "ClientOSError"}
    assert [status for status in recording.statuses if status >= 400 and status != 422] == []
    assert experiment.gave_up == 0


@fault(27)
@pytest.mark.long
async def test_two_versions_run_side_by_side(
    tmp_path: Path, seed: int, form: Form, findings: Findings, request: pytest.FixtureRequest
) -> None:
    """A rolling update under load, from before the newest migration: migrate, then one half, then the other.

    In between, both versions write, publish and consume on the new schema.
    """
    revision = request.config.getoption("previous") or before_the_newest_migration()
    with sources_of(revision, tmp_path / "previous") as path:
        # Forked from one that has imported this version, a process could not be of another.
        system = replace(doubled(), preload=())
        with running_stack(tmp_path / "stack", system=system, env_overrides={"PYTHONPATH": path}) as stack:
            async with experiment_on(stack, seed, form, findings, tmp_path) as experiment:
                findings.note("previous version", revision[:8])
                first = [name for name in stack.processes if name.endswith("-2") or name == "sales-api"]
                first.remove("metrics-consumer-2")
                second = [name for name in stack.processes if name not in first]
                async with experiment.load():
                    await experiment.answers(50)
                    await asyncio.gather(*(run_of_this_version(stack, f"{name}-migrate", name) for name in DATABASES))
                    await experiment.answers(50)
                    for half in (first, second):
                        if "metrics-consumer" in half:
                            # Under other rules, a consumer of this version starts with a ledger that is rebuilt.
                            await run_of_this_version(stack, "metrics-replay", "metrics")
                        for name in half:
                            await asyncio.to_thread(stack.restart, name, env_overrides={"PYTHONPATH": ""})
                        await asyncio.sleep(form.seconds / 3)  # side by side
                experiment.repaired()
                await experiment.caught_up(within=60)
                await experiment.all_agree()


def git(*arguments: str) -> str:
    """Return what git prints; skip the test where there is no repository."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no previous version: {done.stderr.strip()[:80]}")
    return done.stdout.strip()


def before_the_newest_migration() -> str:
    """Return the commit before the one that added or changed a migration last."""
    return git("rev-parse", git("log", "-1", "--format=%H", "--", ":(top)services/*/migrations/versions/*") + "^")


@contextlib.contextmanager
def sources_of(revision: str, directory: Path) -> Iterator[str]:
    """Yield the PYTHONPATH of another version's packages."""
    git("worktree", "add", "--detach", str(directory), revision)
    try:
        yield os.pathsep.join(str(path) for path in sorted(directory.glob("*/*/src")))
    finally:
        git("worktree", "remove", "--force", str(directory))


async def run_of_this_version(stack: LocalStack, command: str, database: str) -> None:
    """Run a command of this version on a database that is in use."""
    environment = stack.processes["metrics-consumer"].env | {"DATABASE_URL": stack.database_url(database)}
    process = await asyncio.create_subprocess_exec(*script(command), env=environment | {"PYTHONPATH": ""})
    assert await asyncio.wait_for(process.wait(), REPLAY_SECONDS) == 0


@fault(31)
@pytest.mark.long
async def test_the_active_relay_freezes_and_the_standby_takes_over(experiment: Experiment) -> None:
    stack = experiment.stack
    async with experiment.load():
        await experiment.answers(20)
        for service in ("sales", "service"):
            active, standby = await experiment.relays(service)
            sent = await experiment.metric(standby, "tandem_relayed_events_total")
            stack.kill(active, signal.SIGSTOP)
            frozen_at = time.monotonic()
            try:
                oldest = 0.0
                while await experiment.metric(standby, "tandem_relayed_events_total") == sent:
                    assert time.monotonic() - frozen_at < TAKEOVER_SECONDS
                    _, shown = await experiment.health(f"{service}-api")
                    oldest = max(oldest, shown["outbox"]["oldest_seconds"])
                    await asyncio.sleep(0.25)  # between two looks
                experiment.findings.note(f"{standby} took over after", time.monotonic() - frozen_at, "s")
                assert oldest > 2, "the API did not show that events wait"
            finally:
                stack.kill(active, signal.SIGCONT)
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


@fault(18)
@pytest.mark.long
async def test_the_clocks_of_a_relay_and_of_a_consumer_are_an_hour_off(
    tmp_path: Path, seed: int, form: Form, findings: Findings
) -> None:
    """The relay of sales is an hour ahead, one member of each group an hour behind."""
    if (preload := library()) is None:
        pytest.skip("libfaketime comes for Linux on x86_64 only")
    # A library is not preloaded into a process that is forked.
    system = replace(doubled(), preload=())
    with running_stack(tmp_path / "stack", system=system) as stack:
        async with experiment_on(stack, seed, form, findings, tmp_path) as experiment:
            async with experiment.load():
                await experiment.answers(20)
                active, standby = await experiment.relays("sales")
                for name, seconds in ((standby, 3600), ("metrics-consumer", -3600), ("service-consumer-2", -3600)):
                    await asyncio.to_thread(stack.restart, name, env_overrides=shifted(preload, seconds))
                await asyncio.to_thread(stack.restart, active)
                await eventually(lambda: is_active(experiment, standby), 30)
                await experiment.answers(40)
            experiment.repaired()
            await experiment.caught_up(within=60)
            await experiment.all_agree()


def shifted(preload: Path, seconds: int) -> dict[str, str]:
    """Return the variables that shift a process' clock, but not the one that it measures durations by."""
    return {
        "LD_PRELOAD": str(preload),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


async def is_active(experiment: Experiment, relay: str) -> bool:
    """Return whether this relay holds the lease."""
    return await experiment.metric(relay, "tandem_relay_active") == 1


REPLICAS: Final = 5
STARTS: Final = 20


@fault(23)
@pytest.mark.long
async def test_replicas_start_on_an_empty_database_and_a_migrator_is_killed(
    experiment: Experiment, new_database: Callable[[str], str]
) -> None:
    """Each time one of five migrators is killed half-way; in the end an API of each is ready."""
    starts = STARTS if experiment.form.is_long else 1
    killed = 0
    for _ in range(starts):
        environment = experiment.stack.processes["sales-api"].env | {"DATABASE_URL": new_database("replicas")}
        migrators = [await create_subprocess_exec(*script("sales-migrate"), env=environment) for _ in range(REPLICAS)]
        victim = experiment.random.choice(migrators)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(victim.wait(), experiment.random.uniform(0.5, 4))
        if victim.returncode is None:
            victim.kill()
            killed += 1
        codes = [await asyncio.wait_for(each.wait(), 120) for each in migrators if each is not victim]
        assert codes == [0] * (REPLICAS - 1)
    experiment.findings.note("starts", starts)
    experiment.findings.note("migrators killed", killed)
    replicas = []
    try:
        for _ in range(REPLICAS):
            ports = {"HTTP_PORT": str(free_port()), "PROMETHEUS_PORT": str(free_port())}
            replicas.append((await create_subprocess_exec(*script("sales-api"), env=environment | ports), ports))
        for _, ports in replicas:
            await eventually(partial(answers_ready, int(ports["HTTP_PORT"])), 240)
    finally:
        for process, _ in replicas:
            process.terminate()
        for process, _ in replicas:
            assert await asyncio.wait_for(process.wait(), STOP_SECONDS) == 0


@fault(30)
@pytest.mark.long
async def test_a_relay_that_stops_before_it_sends_brings_back_no_erased_name(experiment: Experiment) -> None:
    """It has read a name when it stops; the other relay takes over and publishes the erasure; then it goes on."""
    stack, business = experiment.stack, experiment.business
    await asyncio.gather(business.win_a_deal(), business.resolve_a_ticket())
    account = await business.register_account()
    business.accounts.remove(account)
    experiment.repaired()
    await experiment.caught_up(within=60)
    active, standby = await experiment.relays("sales")
    await asyncio.to_thread(stack.restart, standby, env_overrides={"FAILPOINT": "relay.before-send=1:stop"})
    await asyncio.to_thread(stack.kill, active)
    stopped = psutil.Process(stack.processes[standby].pid)
    await eventually(lambda: is_active(experiment, standby), 30)
    await business.send("sales", "PATCH", f"/v1/accounts/{account}", {"name": "A name that is erased"})
    await eventually(lambda: stopped.status() == psutil.STATUS_STOPPED, 30)
    try:
        await asyncio.to_thread(stack.restart, active)
        await eventually(lambda: is_active(experiment, active), 60)
        await business.send("sales", "POST", f"/v1/accounts/{account}/erase", {})
        await eventually(lambda: is_erased(experiment, account), 30)
    finally:
        stopped.resume()
    await eventually(lambda: has_failed(experiment, standby), 30)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert await is_erased(experiment, account), "the name is back"


async def has_failed(experiment: Experiment, relay: str) -> bool:
    """Return whether a relay has been refused."""
    return await experiment.metric(relay, "tandem_relay_failures_total") > 0


async def is_erased(experiment: Experiment, account: str) -> bool:
    """Return whether the compacted topic ends with the tombstone of an account."""
    values = [value async for value in records_of(experiment.stack, "sales.directory", account)]
    return bool(values) and values[-1] is None
