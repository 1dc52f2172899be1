"""Compiles and runs the Kafka Streams program of `streams/`, where a JDK is installed."""

import asyncio
import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from tests.load.prepared_log import PreparedLog

HEAP = ("-Xms2g", "-Xmx2g", "-Xmn1g", "-XX:+UseParallelGC")
"""Room for the young: what a transaction touches lives for two of them."""
STREAMS = "org.apache.kafka:kafka-streams:4.1.1"
SOURCES = sorted(Path(__file__).with_name("streams").glob("*.java"))


def jdk() -> tuple[str, str] | None:
    """Return the paths of javac and java, or None where no JDK is installed."""
    javac = shutil.which("javac")
    if javac is None:
        return None
    return javac, str(Path(javac).resolve().with_name("java"))


async def run_kafka_streams(bootstrap_servers: str, log: PreparedLog, *, threads: int) -> dict[str, Any]:
    """Run it over the log from nothing to the end; return its `seconds`, `cpu_seconds`, `peak_mib` and `digest`.

    Raises RuntimeError when it fails.
    """
    # Imported here: nothing else needs it.
    from jgo import resolve

    found = jdk()
    if found is None:
        raise RuntimeError("no JDK is installed")
    javac, java = found
    jars = os.pathsep.join(str(artifact.resolve()) for artifact in resolve(STREAMS))
    application = f"bench-{uuid.uuid4().hex[:12]}"
    with tempfile.TemporaryDirectory(prefix="tandem-streams-") as scratch:
        await _run(javac, "-cp", jars, "-d", scratch, *map(str, SOURCES))
        try:
            output = await _run(
                java, *HEAP, "-cp", os.pathsep.join([scratch, jars]), "KafkaStreamsBooks", bootstrap_servers,
                application, f"{scratch}/state", str(threads), str(log.events), ",".join(log.topics),
            )  # fmt: skip
        finally:
            await _delete_topics(bootstrap_servers, application)
    return json.loads(output.splitlines()[-1])  # type: ignore[no-any-return]


async def _run(*program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{Path(program[0]).name} failed: {complained.decode()[-2000:]}")
    return output.decode()


async def _delete_topics(bootstrap_servers: str, application: str) -> None:
    """Delete what Kafka Streams left in the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        left = [topic for topic in await admin.list_topics() if topic.startswith(application)]
        if left:
            await admin.delete_topics(left)
    finally:
        await admin.close()
