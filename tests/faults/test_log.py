"""What may be in the log: repeats, other orders, gaps and unreadable records."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from service_kit.consumer.circuit_breaker import MAX_BAD
from tests.commands import run_script
from tests.faults.experiment import Experiment
from tests.faults.oracle import BAD, dead_letters, facts_of_ledger
from tests.faults.repeat import publish_again
from tests.faults.rows import fault
from tests.support import eventually

LATE_SECONDS: Final = 5.0
BAD_SECONDS: Final = 60.0
SHARE: Final = 0.01
ANSWERS_A_JOB: Final = 4


@fault(12)
async def test_the_whole_log_again_shuffled_and_doubled_changes_no_number(experiment: Experiment) -> None:
    """Published into the same topics once more, in a random order and twice: the balances stay as they are."""
    business = experiment.business
    await asyncio.gather(*[job() for job in (business.win_a_deal, business.resolve_a_ticket) for _ in range(10)])
    experiment.repaired()
    await experiment.all_agree()
    before = await facts_of_ledger(experiment.stack)
    again = random.Random(experiment.random.random())
    experiment.findings.note("repeats", await publish_again(experiment.stack.bootstrap_servers, again, times=2))
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert await facts_of_ledger(experiment.stack) == before


def bad_record(kind: str) -> bytes | None:
    """Return a record that is no event, or none that this version knows."""
    deal = str(uuid4())
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": BAD,
        "type": "sales.deal-opened",
        "dataschema": "urn:tandem:schema:sales.deal-opened:1",
        "subject": f"deals/{deal}",
        "time": "2026-01-01T00:00:00Z",
        "recordedtime": "2026-01-01T00:00:00Z",
        "sequence": 1,
        "partitionkey": deal,
        "data": {"id": deal},
    }
    match kind:
        case "broken JSON":
            return b'{"specversion":'
        case "unknown version":
            return json.dumps(event | {"dataschema": "urn:tandem:schema:sales.deal-opened:99"}).encode()
        case "wrong type":
            return json.dumps(event | {"sequence": "first"}).encode()
        case "NUL in text":
            return json.dumps(event | {"data": {"id": deal, "stage": "won\0"}}).encode()
        case "over 1 MiB":
            return json.dumps(event | {"data": {"id": deal, "stage": "x" * 2**20}}).encode()
        case _:
            return None


KINDS: Final = ("broken JSON", "unknown version", "wrong type", "null value", "NUL in text", "over 1 MiB")


@contextlib.asynccontextmanager
async def publishing(experiment: Experiment, per_second: float) -> AsyncIterator[list[str]]:
    """Publish bad records of every kind during the body; yield the kinds of those that are in the log."""
    # Compressed, a record of over 1 MiB gets past the broker's own limit.
    producer = AIOKafkaProducer(
        bootstrap_servers=experiment.stack.bootstrap_servers,
        acks="all",
        compression_type="gzip",
        max_request_size=4 * 2**20,
    )
    await producer.start()
    sent: list[str] = []
    stop = asyncio.Event()

    async def publish() -> None:
        while not stop.is_set():
            kind = KINDS[len(sent) % len(KINDS)]
            await producer.send_and_wait("sales.events", bad_record(kind), key=b"%d" % len(sent))
            sent.append(kind)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1 / per_second)

    task = asyncio.create_task(publish())
    try:
        yield sent
    finally:
        stop.set()
        await task
        await producer.stop()


@fault(14)
@pytest.mark.long
async def test_one_record_of_a_hundred_is_bad(own_experiment: Experiment) -> None:
    experiment = own_experiment
    per_second = 2 * ANSWERS_A_JOB * experiment.form.per_second * SHARE
    until, latest = time.monotonic() + experiment.form.seconds, 0.0
    async with experiment.load(), publishing(experiment, per_second) as sent:
        await experiment.answers(20)
        while time.monotonic() < until or len(sent) < len(KINDS):
            latest = max(latest, await experiment.is_late(within=30))
    experiment.findings.note("bad records", len(sent))
    experiment.findings.note("a deal or a ticket was late by at most", latest, "s")
    experiment.repaired()
    await experiment.caught_up(within=60)
    log = await experiment.all_agree(bad_records=len(sent))
    assert log.bad_records / (log.events + log.bad_records) > SHARE / 3, "too few records were bad"
    assert latest <= LATE_SECONDS


@fault(15)
@pytest.mark.long
async def test_nothing_but_bad_records_stops_the_consumers_until_they_are_settled(own_experiment: Experiment) -> None:
    experiment = own_experiment
    stack, business = experiment.stack, experiment.business
    await asyncio.gather(*[job() for job in (business.win_a_deal, business.resolve_a_ticket) for _ in range(5)])
    experiment.repaired()
    await experiment.caught_up(within=60)
    seconds = BAD_SECONDS if experiment.form.is_long else experiment.form.seconds
    async with publishing(experiment, 20) as sent:
        await asyncio.sleep(seconds)  # the length of the fault
        await eventually(lambda: len(sent) > 3 * MAX_BAD, 120)
        began = time.monotonic()
        await eventually(lambda: all_stopped(experiment), 30)
        experiment.findings.note("shown as not ready after", time.monotonic() - began, "s")
    stopped_at = await dead_letters(stack)
    experiment.findings.note("bad records", len(sent))
    experiment.findings.note("dead letters when the ledger stopped", stopped_at)
    assert stopped_at < len(sent), "the consumer went on"
    experiment.repaired()
    working = asyncio.create_task(experiment.works(within=240))
    rounds = 0
    while not working.done():
        # Each time, they go on until there are too many again.
        await asyncio.to_thread(discard_all, experiment)
        rounds += 1
        await asyncio.wait([working], timeout=2)
    experiment.findings.note("works after", await working, "s")
    experiment.findings.note("times that all were discarded", rounds)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree(bad_records=len(sent))


async def all_stopped(experiment: Experiment) -> bool:
    """Return whether a member of each group shows that it has stopped."""
    for group in ("metrics-consumer", "service-consumer"):
        shown = [await experiment.health(name) for name in (group, f"{group}-2")]
        if all(status == 200 for status, _ in shown):
            return False
    return True


def discard_all(experiment: Experiment) -> None:
    """Settle all dead letters of both readers of the topic."""
    for reader in ("metrics", "service"):
        options = ("--of", reader, "--all", "--because", "published by a test")
        ran = run_script("tandem", "dead-letters", "discard", *options, "--data-dir", experiment.stack.data.path)
        assert ran.returncode == 0, ran.stdout + ran.stderr
