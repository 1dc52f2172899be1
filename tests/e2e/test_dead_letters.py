"""A bad record is settled from the command line, and the numbers follow."""

import asyncio
import json
from pathlib import Path

from aiokafka import AIOKafkaProducer

from event_contracts.catalogue import SALES_TOPIC
from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Run
from tests.metrics_worker.facts import lead, record
from tests.support import eventually


async def test_a_bad_record_is_listed_mended_sent_and_counted(stack: LocalStack, tandem: Run, tmp_path: Path) -> None:
    good = record(lead())
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers) as producer:
        await producer.send_and_wait(SALES_TOPIC, good[:-1], key=b"cut short")
        await producer.send_and_wait(SALES_TOPIC, b"junk", key=b"junk")

    async def run(*arguments: str, code: int = 0) -> str:
        finished = await asyncio.to_thread(tandem, "dead-letters", *arguments)
        assert finished.returncode == code, finished.stdout + finished.stderr
        return finished.stdout + finished.stderr

    async def both_listed() -> bool:
        return (await run("list")).count("sales.events/") == 2

    await eventually(both_listed, 30)
    junk, cut = (line.split()[0] for line in (await run("list")).splitlines()[1:] if "sales.events/" in line)
    if json.loads(await run("show", cut))["value"] == "junk":
        junk, cut = cut, junk
    assert json.loads(await run("show", cut))["value"] == good[:-1].decode()
    assert "0 sent again, 2 refused" in await run("send", "--all", code=1)
    (tmp_path / "event.json").write_bytes(good)
    await run("mend", cut, str(tmp_path / "event.json"))
    assert "1 sent again" in await run("send", cut)
    assert "1 discarded" in await run("discard", junk, "--because", "not one of ours")
    assert "There are none" in await run("list")
    assert "Name one dead letter" in await run("send", code=1)
    verified = await asyncio.to_thread(tandem, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
