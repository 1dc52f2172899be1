"""`tandem verify`: proves that the books are what the log says, to the unit."""

import json
import os
import subprocess
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tandem_cli.data_dir import DataDir, Running
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.ports import LOOPBACK
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem
from tandem_cli.system import script

SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Compare balances, postings and the whole log; exit code 0 when they agree, 1 when not, 2 when it can't tell.

    Works on the running local stack, or on what METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    finished = subprocess.run(
        script("metrics-verify"),
        env={**os.environ, **_addresses(data_dir), "LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        report = json.loads(finished.stdout)
    except ValueError:
        raise StackProblem("The comparison ended without a result; what it said is above.") from None
    _show(report)
    raise typer.Exit(finished.returncode)


def _addresses(data_dir: Any) -> dict[str, str]:
    data = DataDir(data_dir)
    running = data.running()
    database = os.environ.get("METRICS_DATABASE_URL") or _embedded_database(data, running)
    kafka = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or _embedded_kafka(running)
    if database is None or kafka is None:
        raise StackProblem(
            f"Nothing runs on {data.path}; start it with `tandem up`, or name the books with METRICS_DATABASE_URL and "
            "the log with KAFKA_BOOTSTRAP_SERVERS."
        )
    return {"DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": kafka}


def _embedded_database(data: DataDir, running: Running | None) -> str | None:
    port = _port(running, "postgresql")
    return EmbeddedPostgres(data.path / "postgres", port).url("metrics") if port else None


def _embedded_kafka(running: Running | None) -> str | None:
    port = _port(running, "kafka")
    return f"{LOOPBACK}:{port}" if port else None


def _port(running: Running | None, name: str) -> int | None:
    return next((part.port for part in running.parts if part.name == name), None) if running else None


def _show(report: dict[str, Any]) -> None:
    console = Console()
    if report["ok"] is None:
        console.print(f"The books could not be compared: {report['error']}", style="red", highlight=False)
    elif report["ok"]:
        subjects = ", ".join(f"{count:,} {kind}s" for kind, count in report["subjects"].items() if count)
        console.print(f"The books are exact: {report['events']:,} events, {subjects or 'no subjects'}.", style="green")
    else:
        console.print(f"{report['differences_found']:,} differences between books and log:", style="red")
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("table", "key", "what"):
            table.add_column(column)
        for difference in report["differences"][:SHOWN]:
            rest = {name: value for name, value in difference.items() if name not in ("table", "key")}
            table.add_row(difference["table"], " ".join(difference["key"]), json.dumps(rest))
        console.print(table)
