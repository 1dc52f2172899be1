"""The console scripts that people run: metrics-verify, metrics-replay and metrics-republish.

Apart from the processes, so that they need not import the API, which takes longer than a small proof.
"""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

import argparse
import asyncio
import gc
import os
import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import METRICS_TOPIC
from metrics_worker.database import tool_engine
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import reporting_of_ledger
from metrics_worker.maintenance.rebuild import rebuild
from metrics_worker.maintenance.verify import Report
from metrics_worker.maintenance.verify import verify as compare_with_log
from metrics_worker.proofs.store import store_proof
from metrics_worker.settings import MetricsSettings, known_zone
from service_kit import logs, republish_command
from service_kit.kafka import KafkaServers

REPLAY_NICENESS = 10

log = structlog.get_logger()


def verify() -> None:
    """Print as JSON whether sums, postings and log agree; exit with 0 if so, 1 if not, 2 if it cannot compare them.

    Stores what it found, as a proof that metrics-api answers.
    """
    try:
        settings = MetricsSettings()
        _keep_output_clear("metrics-verify", settings)
        report = asyncio.run(_verified(settings))
    except Exception as error:
        # A failure to compare must not be reported as a wrong ledger.
        _print({"ok": None, "error": str(error) or type(error).__name__})
        sys.exit(2)
    _print(report.to_json())
    sys.exit(1 if report.differences_found else 0)


async def _verified(settings: MetricsSettings) -> Report:
    engine = tool_engine(settings)
    try:
        async with engine.connect() as connection:
            kept = await reporting_of_ledger(connection)
        began_at = datetime.now(UTC)
        report = await compare_with_log(engine, KafkaServers.of(settings), kept or settings.reporting)
        await _keep(engine, report, began_at)
        return report
    finally:
        await engine.dispose()


async def _keep(engine: AsyncEngine, report: Report, began_at: datetime) -> None:
    try:
        await store_proof(engine, report, began_at=began_at, ended_at=datetime.now(UTC))
    except (SQLAlchemyError, OSError) as error:
        # What was found is worth printing all the same.
        log.error(
            "proof_not_stored",
            error=str(error),
            hint="run metrics-migrate, and metrics-verify with the role of metrics-consumer",
        )


def replay() -> None:
    """Rebuild the ledger from the log beside the live one, then swap; exit with 1 on failure.

    `--timezone` keeps them by another time zone from then on. Prints progress as lines of JSON.
    """
    parser = argparse.ArgumentParser(prog="metrics-replay", description=replay.__doc__)
    parser.add_argument("--timezone", help="the time zone to take days in, such as Europe/Vilnius")
    arguments = parser.parse_args()
    settings = MetricsSettings()
    _keep_output_clear("metrics-replay", settings)
    # It uses what is idle; the live ledger comes first.
    os.nice(REPLAY_NICENESS)
    # The process ends with the rebuild, which makes many objects and no cycles to look for.
    gc.disable()
    try:
        records = asyncio.run(_rebuilt(settings, arguments.timezone))
    except Exception as error:
        # The live ledger is unchanged.
        _print_line({"error": str(error) or type(error).__name__})
        sys.exit(1)
    _print_line({"rebuilt": records})


def republish() -> None:
    """Bring the log of metrics-worker back to its database."""
    republish_command.run("metrics-republish", [METRICS_TOPIC], engine_of=tool_engine)


def _keep_output_clear(command: str, settings: MetricsSettings) -> None:
    """Logs go to standard error: the result alone goes to standard output, for a program to read."""
    logs.configure(command, settings.log_level, settings.log_format, sys.stderr)


async def _rebuilt(settings: MetricsSettings, timezone: str | None) -> int:
    reporting = None
    if timezone is not None:
        reporting = Reporting(zone=ZoneInfo(known_zone(timezone)), currency=settings.reporting_currency)
    return await rebuild(
        settings,
        KafkaServers.of(settings),
        reporting,
        default=settings.reporting,
        progress=lambda done, total: _print_line({"done": done, "total": total}),
    )


def _print_line(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _print(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    sys.stdout.flush()
