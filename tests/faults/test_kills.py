"""kill -9 of each process in turn under load, and a broker that goes away: nothing is lost, nothing counted twice."""

import asyncio
import random
import signal

from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.stack import LocalStack
from tests.business import Business
from tests.faults.oracle import judge
from tests.faults.repeat import publish_again
from tests.support import eventually

QUIET_SECONDS = 60.0


async def all_agree(stack: LocalStack, business: Business, *, bad_records: int = 0) -> None:
    """Within a minute after the last repair everything is quiet and the ledger is exact."""
    await eventually(
        lambda: judge(stack, deals=business.deals_closed, tickets=business.tickets_resolved, bad_records=bad_records),
        QUIET_SECONDS,
        every=0.5,
    )


def tries(business: Business) -> int:
    """Requests so far, answered or not."""
    return sum(business.answers.values()) + sum(business.failures.values())


async def test_every_process_is_killed_in_turn_under_load_and_the_ledger_is_exact(
    stack: LocalStack, business: Business
) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(business.work(stop, writes_per_second=50))
    names = list(stack.processes)
    business.random.shuffle(names)
    for name in names:
        written, tried = len(business.deals_closed), tries(business)
        await asyncio.to_thread(stack.kill, name)
        # Some work is tried while it is down, then it comes back.
        await eventually(lambda before=tried: tries(business) >= before + 5, 10)  # type: ignore[misc]
        await asyncio.to_thread(stack.restart, name)
        await eventually(lambda before=written: len(business.deals_closed) >= before + 5, 60)  # type: ignore[misc]
    stop.set()
    await asyncio.wait_for(working, 120)
    assert set(business.answers) <= {200, 201, 409, 422, 503}
    await all_agree(stack, business)


async def test_deals_close_while_kafka_is_down_and_the_kpis_catch_up(stack: LocalStack, business: Business) -> None:
    assert isinstance(stack.kafka, EmbeddedKafka)
    stack.kafka.kill()
    try:
        for _ in range(20):
            await business.win_a_deal()
            await business.resolve_a_ticket()
        unavailable = {status for status in business.answers if status >= 500}
        assert unavailable == set(), "Kafka being down must fail no write"
    finally:
        await asyncio.to_thread(stack.kafka.start)
    await all_agree(stack, business)


async def test_a_consumer_that_slept_beyond_its_session_changes_nothing_when_it_wakes(
    stack: LocalStack, business: Business
) -> None:
    """A zombie: its partitions went to another consumer while it was stopped in the middle of its work."""
    stop = asyncio.Event()
    working = asyncio.create_task(business.work(stop, writes_per_second=50))
    program = stack.processes["metrics-consumer"].program
    await asyncio.to_thread(stack.add, type(program)("second-consumer", program.command, program.database))
    await eventually(lambda: len(business.deals_closed) >= 5, 60)
    stack.kill("metrics-consumer", signal.SIGSTOP)
    slept_at = len(business.deals_closed)
    # Kafka gives a silent member 10 s; the other one works on alone meanwhile.
    await eventually(lambda: len(business.deals_closed) >= slept_at + 100, 90)
    stack.kill("metrics-consumer", signal.SIGCONT)
    await eventually(lambda: len(business.deals_closed) >= slept_at + 120, 60)
    stop.set()
    await asyncio.wait_for(working, 120)
    await all_agree(stack, business)
    await asyncio.to_thread(stack.processes.pop("second-consumer").stop)


async def test_the_whole_log_again_shuffled_and_doubled_changes_no_number(
    stack: LocalStack, business: Business
) -> None:
    """Published into the same topics once more, in a random order and twice: the balances stay as they are."""
    for _ in range(10):
        await business.win_a_deal()
        await business.resolve_a_ticket()
        await business.convert_a_lead()
    await all_agree(stack, business)
    repeated = await publish_again(stack.bootstrap_servers, random.Random(business.random.random()), times=2)
    assert repeated > 100
    await all_agree(stack, business)
