"""A broker that dies, freezes and comes back, empty or with other topics."""

import asyncio
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import psutil
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from metrics_worker.webhooks.model import FEED
from tandem_cli.kafka import standard_topics
from tandem_cli.stack import PARTITIONS
from tandem_cli.system import DATABASES
from tests.commands import run_script
from tests.faults.experiment import Experiment, republish
from tests.faults.oracle import TOPICS, facts_of_ledger, log_ends, outbox_rows, partitions_of, stored_offsets
from tests.faults.rows import fault
from tests.support import eventually

DOWN_SECONDS: Final = 20.0
LONG_DOWN_SECONDS: Final = 600.0
ALERT_SECONDS: Final = 60.0
"""The age of an event in an outbox from which on it is an alert (quickstart-operations.md)."""
GROWTH_BYTES: Final = 50_000_000
STOP_SECONDS: Final = 10.0
FIND_SECONDS: Final = 60.0
READ_SALES: Final = ("metrics-consumer", "metrics-consumer-2", "service-consumer", "service-consumer-2")
READ_SERVICE: Final = ("sales-consumer", "sales-consumer-2")
"""These and those of metrics."""
CONSUMERS: Final = READ_SALES + READ_SERVICE


@fault(6)
async def test_the_broker_is_killed_and_restarted_under_load(experiment: Experiment) -> None:
    """Writes go on meanwhile. In the long form a clean restart follows."""
    down = DOWN_SECONDS if experiment.form.is_long else DOWN_SECONDS / 4
    async with experiment.load():
        await experiment.answers(20)
        await asyncio.to_thread(experiment.kafka.kill)
        killed_at = time.monotonic()
        while time.monotonic() - killed_at < down:
            await experiment.answers(10, 10)
        await asyncio.to_thread(experiment.kafka.start)
        experiment.repaired()
        # What is written now waits behind all that was written meanwhile.
        experiment.findings.note("drained after", await experiment.works(within=60), "s")
        if experiment.form.is_long:
            await asyncio.to_thread(experiment.kafka.stop)
            await asyncio.to_thread(experiment.kafka.start)
            experiment.repaired()
            experiment.findings.note("and after the restart", await experiment.works(within=60), "s")
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert not experiment.recording.failed, "Kafka being down must fail no write"
    assert not experiment.recording.failures


@fault(7)
@pytest.mark.long
async def test_the_broker_is_down_for_ten_minutes(experiment: Experiment) -> None:
    stack = experiment.stack
    seconds = LONG_DOWN_SECONDS if experiment.form.is_long else 2 * DOWN_SECONDS
    async with experiment.load(seconds):
        await experiment.answers(100)
        before = memory(experiment)
        await asyncio.to_thread(experiment.kafka.kill)
        await asyncio.sleep(seconds)  # the length of the fault
        grown = {name: after - before[name] for name, after in memory(experiment).items()}
        largest = max(grown, key=lambda name: grown[name])
        experiment.findings.note(f"memory of {largest} grew by", grown[largest] / 1e6, "MB")
        ages = [(await experiment.health(f"{api}-api"))[1]["outbox"]["oldest_seconds"] for api in ("sales", "service")]
        experiment.findings.note("oldest event in an outbox", min(ages), "s")
    assert grown[largest] < GROWTH_BYTES
    assert min(ages) > min(ALERT_SECONDS, seconds - 5), "there would be no alert"
    longest = 0.0
    for name in ("sales-relay", "service-relay-2", "metrics-consumer", "service-consumer-2", "metrics-jobs"):
        began = time.monotonic()
        assert await asyncio.to_thread(stack.processes[name].stop, STOP_SECONDS), f"{name} did not stop"
        longest = max(longest, time.monotonic() - began)
        await asyncio.to_thread(stack.restart, name, wait=False)
    experiment.findings.note("longest stop", longest, "s")
    await asyncio.to_thread(experiment.kafka.start)
    experiment.repaired()
    await experiment.caught_up(within=60 if not experiment.form.is_long else 300)
    await experiment.all_agree(within=360)
    assert not experiment.recording.failed


def memory(experiment: Experiment) -> Mapping[str, int]:
    """Return the resident memory of each process in bytes."""
    return {name: psutil.Process(each.pid).memory_info().rss for name, each in experiment.stack.processes.items()}


@fault(24)
@pytest.mark.long
async def test_a_topic_that_is_deleted_and_created_again_stops_its_consumers(own_experiment: Experiment) -> None:
    experiment = own_experiment
    await some_work(experiment)
    before = await stored_offsets(experiment.stack)
    experiment.kafka.delete_topics(["sales.events"])
    experiment.kafka.create_topics(standard_topics(PARTITIONS))
    await experiment.business.win_a_deal()
    await all_stop(experiment, READ_SALES)
    assert all(experiment.stack.processes[name].running for name in READ_SERVICE), "they have lost nothing"
    await nothing_was_skipped(experiment, before, ["sales.events"])
    await fill_the_log(experiment, "sales")
    await declare_reset(experiment, READ_SALES)
    await some_work(experiment)
    await experiment.all_agree()


@fault(24)
@pytest.mark.long
async def test_a_new_empty_cluster_stops_its_consumers(own_experiment: Experiment) -> None:
    experiment = own_experiment
    await some_work(experiment)
    before = await stored_offsets(experiment.stack)
    await asyncio.to_thread(experiment.kafka.stop)
    shutil.rmtree(experiment.kafka.data_dir)
    await asyncio.to_thread(experiment.kafka.start)
    experiment.kafka.create_topics(standard_topics(PARTITIONS))
    await experiment.business.win_a_deal()
    await all_stop(experiment, CONSUMERS)
    await nothing_was_skipped(experiment, before, {part.topic for _, part in before})
    await fill_the_log(experiment, *DATABASES)
    await declare_reset(experiment)
    await some_work(experiment)
    await experiment.all_agree()


@fault(24)
@pytest.mark.long
async def test_a_log_that_was_cut_beyond_the_stored_offset_stops_its_consumers(own_experiment: Experiment) -> None:
    """What was cut off before it was read is lost to them: not even the declared reset hides that it is missing."""
    experiment = own_experiment
    stack = experiment.stack
    await some_work(experiment)
    for name in CONSUMERS:
        stack.processes[name].stop()
    before = await stored_offsets(stack)
    lost = [await experiment.business.win_a_deal(channel="online") for _ in range(10)]
    lost += [await experiment.business.resolve_a_ticket() for _ in range(10)]
    await eventually(lambda: all_published(experiment, before), 30)
    ends = await log_ends(stack, await partitions_of(stack.bootstrap_servers, TOPICS))
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({part: RecordsToDelete(before_offset=end) for part, end in ends.items() if end})
    finally:
        await admin.close()
    for name in CONSUMERS:
        await asyncio.to_thread(stack.restart, name, wait=False)
    await all_stop(experiment, CONSUMERS)
    await nothing_was_skipped(experiment, before, TOPICS)
    await declare_reset(experiment)
    await experiment.works(within=30)
    resets = [await experiment.metric(name, "tandem_consumer_offset_resets_total") for name in CONSUMERS]
    assert sum(resets) > 0, "the reset does not show"
    experiment.findings.note("deals and tickets lost with the log", len(lost))


@fault(35)
@pytest.mark.long
async def test_kafka_is_lost_whole_and_filled_from_the_databases_under_load(own_experiment: Experiment) -> None:
    """Another one, empty, answers at the same address while sales are written and the relays go on."""
    experiment = own_experiment
    stack = experiment.stack
    async with experiment.load():
        await experiment.answers(100)
        await asyncio.to_thread(lose_kafka, experiment)
        lost_at = time.monotonic()
        await experiment.answers(100)
        for service in ("sales", "service"):
            await eventually(lambda service=service: is_held_back(experiment, service), FIND_SECONDS, patience=1)  # type: ignore[misc]
        experiment.findings.note("found to be another after", time.monotonic() - lost_at, "s")
        topics = [topic.name for topic in standard_topics(PARTITIONS)]
        ends = await log_ends(stack, await partitions_of(stack.bootstrap_servers, topics))
        written = {part: end for part, end in ends.items() if end}
        assert written == {}, "something was published to an unknown log"
        await all_stop(experiment, CONSUMERS)
        await fill_the_log(experiment, *DATABASES)
        await declare_reset(experiment)
        experiment.findings.note("works after", await experiment.works(within=60), "s")
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert not experiment.recording.failed
    before = await facts_of_ledger(stack)
    replayed = await asyncio.to_thread(run_script, "tandem", "replay", "--data-dir", stack.data.path)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert await facts_of_ledger(stack) == before, "a ledger that is rebuilt differs"
    await experiment.all_agree()


def lose_kafka(experiment: Experiment) -> None:
    """Kill the broker, and start one in its place that has nothing but the topics."""
    experiment.kafka.kill()
    shutil.rmtree(experiment.kafka.data_dir)
    experiment.kafka.start()
    experiment.kafka.create_topics(standard_topics(PARTITIONS))


async def is_held_back(experiment: Experiment, service: str) -> bool:
    """Return whether the active relay of a service shows that the log is another one."""
    active, _ = await experiment.relays(service)
    _, shown = await experiment.health(active)
    return bool(shown["checks"]["log"] == "failed")


async def some_work(experiment: Experiment) -> None:
    """Do some work, and wait until all of it is everywhere."""
    business = experiment.business
    await asyncio.gather(*[job() for job in (business.win_a_deal, business.resolve_a_ticket) for _ in range(5)])
    experiment.repaired()
    await experiment.caught_up(within=60)


async def all_published(experiment: Experiment, offsets: Mapping[tuple[str, TopicPartition], int]) -> bool:
    """Return whether there are records of each topic after these offsets, and nothing is left in an outbox."""
    if await outbox_rows(experiment.stack):
        return False
    ends = await log_ends(experiment.stack, {part for _, part in offsets})
    return {part.topic for (_, part), offset in offsets.items() if ends[part] > offset} >= set(TOPICS)


async def all_stop(experiment: Experiment, names: tuple[str, ...]) -> None:
    """Wait until these processes have ended by themselves, with an error that names what is missing."""
    began = time.monotonic()
    for name in names:
        process = experiment.stack.processes[name]
        process.expected_to_run = False
        code = await asyncio.wait_for(asyncio.to_thread(process.wait), 60)
        assert code != 0, f"{name} went on"
        assert any("OffsetsOutOfRange" in line for line in process.last_lines), list(process.last_lines)
    experiment.findings.note("all consumers stopped after", time.monotonic() - began, "s")


async def nothing_was_skipped(
    experiment: Experiment, before: Mapping[tuple[str, TopicPartition], int], topics: Collection[str]
) -> None:
    """The stored offsets of the topics that were lost are where they were: an operator can tell what is missing.

    The feed of webhooks declares that it begins anew: what it has sent it knows otherwise.
    """
    after = await stored_offsets(experiment.stack)
    of_topics = [key for key in before if key[1].topic in topics and key[0] != FEED]
    assert of_topics
    assert {key: after[key] for key in of_topics} == {key: before[key] for key in of_topics}


async def fill_the_log(experiment: Experiment, *services: str) -> None:
    """Fill the topics of these services from their databases: until then their relays hold back what is new."""
    for service in services:
        began = time.monotonic()
        await asyncio.to_thread(republish, experiment, service, "--lost-log")
        experiment.findings.note(f"log of {service} filled in", time.monotonic() - began, "s")


async def declare_reset(experiment: Experiment, names: Sequence[str] = CONSUMERS) -> None:
    """Start the consumers with the policy to go on with what the log holds."""
    for name in names:
        reset = {"CONSUMER_OFFSET_RESET": "reset"}
        await asyncio.to_thread(experiment.stack.restart, name, env_overrides=reset)
    experiment.repaired()


@fault(25)
@pytest.mark.long
async def test_partitions_are_added_under_load(own_experiment: Experiment) -> None:
    """A subject's later events may be on another partition than its earlier ones; the highest sequence wins."""
    experiment = own_experiment
    stack = experiment.stack
    async with experiment.load():
        await experiment.answers(50)
        admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_partitions(
                {topic.name: NewPartitions(2 * PARTITIONS) for topic in standard_topics(PARTITIONS)}
            )
        finally:
            await admin.close()
        experiment.repaired()
        await eventually(lambda: new_partitions_are_read(experiment), FIND_SECONDS, every=0.5, patience=1)
        experiment.findings.note("found after", time.monotonic() - experiment.repaired_at, "s")
        await experiment.answers(50)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree(keys_moved=True)


async def new_partitions_are_read(experiment: Experiment) -> bool:
    """Return whether the ledger has read from each new partition of both topics."""
    offsets = await stored_offsets(experiment.stack)
    read = {part for (_, part), offset in offsets.items() if part.partition >= PARTITIONS and offset > 0}
    return {part.partition for part in read if part.topic in TOPICS} >= set(range(PARTITIONS, 2 * PARTITIONS))
