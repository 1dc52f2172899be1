"""The Python programs in the documents run unchanged against a real Kafka."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from event_contracts.examples import encoded_example, examples
from tests.support import Kafka

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 30


def snippet(document: str) -> str:
    """Return the one Python program of a document."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture
async def topic(kafka: Kafka, new_topic: Callable[..., str]) -> str:
    """Return a topic with three events of a deal, one of them twice."""
    name = new_topic("sales.events")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    for event in ("sales.deal-opened", "sales.deal-closed", "sales.deal-closed", "sales.deal-reopened"):
        key = str(examples()[event].partition_key).encode()
        await producer.send_and_wait(name, encoded_example(event), key=key)
    await producer.stop()
    return name


async def output_of(program: str, *arguments: str, lines: int, directory: Path) -> list[str]:
    """Return the first lines that a program prints, then kill it."""
    file = directory / "snippet.py"
    file.write_text(program)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(file), *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            return [(await process.stdout.readline()).decode().strip() for _ in range(lines)]
    finally:
        process.kill()
        await process.wait()


async def test_the_consumer_of_events_md_keeps_the_highest_sequence(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    program = (
        snippet("events.md").replace("127.0.0.1:9092", kafka.bootstrap_servers).replace('"sales.events"', f'"{topic}"')
    )
    program = program.replace("await consumer.commit()", 'await consumer.commit(); print(event["sequence"])')
    printed = await output_of(program, lines=5, directory=tmp_path)
    deal = f"deals/{examples()['sales.deal-closed'].data.id}"
    # The second closing is a repeat and is dropped: it prints no line.
    assert printed == ["1", f"{deal} won {{'amount': '1195.08', 'currency': 'EUR'}}", "3", "3", "4"]


async def test_look_py_shows_keys_and_events(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    program = snippet("quickstart-events.md").replace('"sales.events"', f'"{topic}"')
    printed = await output_of(program, kafka.bootstrap_servers, lines=4, directory=tmp_path)
    key = str(examples()["sales.deal-closed"].partition_key)
    assert [line.partition(" ")[0] for line in printed] == [key] * 4
    assert printed[1].partition(" ")[2] == encoded_example("sales.deal-closed").decode()
