"""The programs in the documents run unchanged against a real Kafka: in Python, Java and Go."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from event_contracts.examples import encoded_example, examples
from tests.support import Kafka

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 30
FETCHING_SECONDS = 300
"""For what fetches its libraries and compiles first."""


def snippet(document: str) -> str:
    """Return the one Python program of a document."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture
async def topic(kafka: Kafka, new_topic: Callable[..., str]) -> str:
    """Return a topic with three events of a deal, as relays publish them; one is there twice, one has no type."""
    name = new_topic("sales.events")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, compression_type="zstd")
    await producer.start()
    for event, has_type in (
        ("sales.deal-opened", False),
        ("sales.deal-closed", True),
        ("sales.deal-closed", True),
        ("sales.account-updated", True),
        ("sales.deal-reopened", True),
    ):
        key = str(examples()["sales.deal-closed"].partition_key).encode()
        headers = [("ce_type", event.encode())] if has_type else []
        await producer.send_and_wait(name, encoded_example(event), key=key, headers=headers)
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
    found = await output_of(program, lines=6, directory=tmp_path)
    deal = f"deals/{examples()['sales.deal-closed'].data.id}"
    # The second closing is a repeat and is dropped: it prints no line.
    assert found == ["1", f"{deal} won {{'amount': '1195.08', 'currency': 'EUR'}}", "3", "3", "2", "4"]


@pytest.mark.parametrize(("language", "tools"), [("Python", ()), ("Java", ("mvn", "java", "javac")), ("Go", ("go",))])
async def test_the_quickstart_follows_deals(
    language: str, tools: tuple[str, ...], kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"{' and '.join(missing)} is not installed here")
    *preparing, following = written(language, tmp_path)
    for command in preparing:
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=FETCHING_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    command = following.replace("127.0.0.1:PORT", kafka.bootstrap_servers).replace("sales.events", topic)
    deal = f"deals/{examples()['sales.deal-closed'].data.id}"
    # The second closing is a repeat, and the account is not wanted: both are dropped.
    assert await printed(command, tmp_path, lines=3) == [
        f"sales.deal-opened {deal} prospecting",
        f"sales.deal-closed {deal} won",
        f"sales.deal-reopened {deal} proposal",
    ]


def written(language: str, directory: Path) -> list[str]:
    """Write the files of a section of the quickstart, and return its commands."""
    text = (DOCS / "quickstart-events.md").read_text().partition(f"\n### {language}\n")[2].partition("\n### ")[0]
    commands: list[str] = []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if not kind:
            commands += block.splitlines()
            continue
        (name,) = re.findall(r"\w+\.(?:py|xml|java|go)", block.partition("\n")[0])
        (directory / name).write_text(block)
    (directory / ".venv").symlink_to(sys.prefix)
    return commands


async def printed(command: str, directory: Path, *, lines: int) -> list[str]:
    """Return the first lines that a program prints, then end it and what it started."""
    errors = directory / "errors.log"
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_shell(
            command, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=stderr, start_new_session=True
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(FETCHING_SECONDS):
            found = [(await process.stdout.readline()).decode().strip() for _ in range(lines)]
    except TimeoutError:
        pytest.fail(f"it printed less than {lines} lines: {errors.read_text()}")
    else:
        assert all(found), errors.read_text()
        return found
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
