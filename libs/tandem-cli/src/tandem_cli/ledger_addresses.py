"""The addresses of a service's database and of the log, for the commands that work on them."""

import os
from pathlib import Path

from tandem_cli.data_dir import DataDir, Running
from tandem_cli.ports import LOOPBACK
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem


def addresses(data_dir: Path, service: str = "metrics") -> dict[str, str]:
    """`DATABASE_URL` of a service and `KAFKA_BOOTSTRAP_SERVERS` of the log: those given, else the local stack's.

    Raises StackProblem when nothing runs.
    """
    data, variable = DataDir(data_dir), f"{service.upper()}_DATABASE_URL"
    running = data.running()
    database = _database(data, running, service)
    kafka = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or _embedded_kafka(running)
    if database is None or kafka is None:
        raise StackProblem(
            f"Nothing runs on {data.path}; start it with `tandem up`, or name the database with {variable} and "
            "the log with KAFKA_BOOTSTRAP_SERVERS."
        )
    return {"DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": kafka}


def ledger_database(data_dir: Path) -> str:
    """Return the URL of the ledger's database alone. Raises StackProblem when nothing runs."""
    data = DataDir(data_dir)
    database = _database(data, data.running(), "metrics")
    if database is None:
        raise StackProblem(
            f"Nothing runs on {data.path}; start it with `tandem up`, or name the database with METRICS_DATABASE_URL."
        )
    return database


def _database(data: DataDir, running: Running | None, service: str) -> str | None:
    return os.environ.get(f"{service.upper()}_DATABASE_URL") or _embedded_database(data, running, service)


def _embedded_database(data: DataDir, running: Running | None, service: str) -> str | None:
    port = _port(running, "postgresql")
    return EmbeddedPostgres(data.path / "postgres", port).url(service) if port else None


def _embedded_kafka(running: Running | None) -> str | None:
    port = _port(running, "kafka")
    return f"{LOOPBACK}:{port}" if port else None


def _port(running: Running | None, name: str) -> int | None:
    return next((part.port for part in running.parts if part.name == name), None) if running else None
