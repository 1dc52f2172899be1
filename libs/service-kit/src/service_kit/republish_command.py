"""The console scripts that bring a service's log back to its database: sales-republish and its like."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit import logs
from service_kit.database import unpooled_engine
from service_kit.kafka import KafkaServers
from service_kit.republish import correct_log, fill_log, keep_log, log_of
from service_kit.settings import KafkaSettings, ServiceSettings

_DESCRIPTION = """Correct this service's log after its database was restored or lost commits: raise the epoch of its
stream, and publish what holds of each subject of which the log knows more. The relay must run. Prints progress as
lines of JSON; may be stopped and started again. Exits with 1 on failure."""


def run(
    name: str, topics: Sequence[str], *, engine_of: Callable[[ServiceSettings], AsyncEngine] = unpooled_engine
) -> None:
    """Be the console script `name`, of the service that publishes these topics."""
    parser = argparse.ArgumentParser(prog=name, description=_DESCRIPTION)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--lost-log", action="store_true", help="fill new topics with all that was ever published")
    modes.add_argument(
        "--keep-log", action="store_true", help="copy what the log has from before this version into the database"
    )
    arguments = parser.parse_args()
    settings, kafka = ServiceSettings(), KafkaSettings()
    logs.configure(name, settings.log_level, settings.log_format, sys.stderr)
    mode = "lost-log" if arguments.lost_log else "keep-log" if arguments.keep_log else "restored"
    try:
        result = asyncio.run(_run(engine_of(settings), KafkaServers.of(kafka), topics, mode))
    except Exception as error:
        _print({"error": str(error) or type(error).__name__})
        sys.exit(1)
    _print(result)


async def _run(engine: AsyncEngine, kafka: KafkaServers, topics: Sequence[str], mode: str) -> dict[str, Any]:
    try:
        if mode == "lost-log":
            return {"filled": await fill_log(engine, kafka, _progress)}
        async with log_of(kafka, topics) as read:
            if mode == "keep-log":
                return {"kept": await keep_log(engine, read, _progress)}
            return {"corrected": asdict(await correct_log(engine, read, _progress))}
    finally:
        await engine.dispose()


def _progress(step: str, done: int, total: int) -> None:
    _print({"step": step, "done": done, "total": total})


def _print(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()
