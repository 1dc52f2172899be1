"""Ten times the load that is normal: what is admitted is answered in time, the rest is refused at once, reads go on."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from tandem_cli.stack import LocalStack
from tests.business import Business, connected
from tests.load.cpu import CpuMeter, processes_of, report_cpu
from tests.load.open_loop import Answers, Load, sent_by_a_process
from tests.load.report import percentile, report

NORMAL_PER_SECOND = 100
TIMES = 10
READS_PER_SECOND = 5
SECONDS = 20.0

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    system.start()
    yield system
    system.stop()


@pytest.fixture
async def business(stack: LocalStack) -> AsyncIterator[Business]:
    made = connected(stack, seed=1)
    await made.found()
    yield made
    await made.http.close()


def report_waits(name: str, waits: list[float]) -> None:
    """Print how many answers there were, and how soon."""
    report(f"{name}_answers", len(waits), "")
    if waits:
        report(f"{name}_p50_ms", percentile(waits, 50) * 1000, "ms")
        report(f"{name}_p99_ms", percentile(waits, 99) * 1000, "ms")


async def measured(name: str, stack: LocalStack, load: Load) -> Answers:
    """Send the load, and print what became of it."""
    meter = CpuMeter(processes_of(stack))
    answers = await sent_by_a_process(load)
    writes, reads = answers.writes, answers.reads
    report_waits(f"{name}_accepted", writes.get("201", []))
    report_waits(f"{name}_refused", writes.get("503", []) + writes.get("429", []))
    report_waits(f"{name}_read", reads.get("200", []))
    report(f"{name}_read_refused_answers", len(reads.get("503", [])) + len(reads.get("429", [])), "")
    report(f"{name}_failures", sum(answers.failures.values()), "requests")
    report(f"{name}_clients_late_p99_ms", answers.late * 1000, "ms")
    report_cpu(f"{name}_request", meter.seconds(), int(load.seconds * (load.writes_per_second + load.reads_per_second)))
    assert set(writes) <= {"201", "429", "503"}
    assert set(reads) <= {"200", "429", "503"}
    assert not answers.without_retry_after
    assert not answers.failures, answers.failures
    return answers


async def test_ten_times_the_load(stack: LocalStack, business: Business) -> None:
    lead = {"channel": "referral", "region": "EMEA", "segment": "smb", "owner_id": business.reps[0]}
    load = Load(
        url=stack.urls["sales"],
        headers={"Authorization": f"Bearer {stack.token('admin')}"},
        seconds=SECONDS,
        writes_per_second=NORMAL_PER_SECOND,
        write_path="/v1/leads",
        write_body=lead,
        reads_per_second=READS_PER_SECOND,
        read_path="/v1/leads?limit=5",
    )
    print()
    await sent_by_a_process(replace(load, seconds=5))  # warms up
    normal = await measured("normal", stack, load)
    over = await measured("overload", stack, replace(load, writes_per_second=NORMAL_PER_SECOND * TIMES))
    report("overload_accepted_vs_normal", len(over.writes["201"]) / len(normal.writes["201"]), "")
    report(
        "overload_accepted_p99_vs_normal", percentile(over.writes["201"], 99) / percentile(normal.writes["201"], 99), ""
    )
    assert set(normal.writes) == {"201"}
