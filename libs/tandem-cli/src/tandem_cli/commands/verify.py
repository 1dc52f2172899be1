"""`tandem verify`: proves that the ledger equals the log, to the unit."""

import json
import os
import subprocess
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tandem_cli.ledger_addresses import addresses
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.system import script

SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Compare sums, postings and the whole log; exit code 0 when they agree, 1 when not, 2 when it cannot compare them.

    Works on the running local stack, or on what METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    try:
        environment = {**os.environ, **addresses(data_dir), "LOG_LEVEL": "error"}
    except StackProblem as problem:
        report = _unknown(str(problem))
    else:
        finished = subprocess.run(script("metrics-verify"), env=environment, stdout=subprocess.PIPE, check=False)
        try:
            report = json.loads(finished.stdout)
        except ValueError:
            report = _unknown("the comparison ended without a result; its output is above")
    _show(report)
    raise typer.Exit({True: 0, False: 1, None: 2}[report["ok"]])


def _unknown(error: str) -> dict[str, Any]:
    """Return the report of a comparison that never happened: not exit code 1, which means that numbers are wrong."""
    return {"ok": None, "error": error}


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") and kind[-2] not in "aeiou" else f"{kind}s"


def _show(report: dict[str, Any]) -> None:
    console = Console()
    if report["ok"] is None:
        console.print(f"The ledger could not be compared: {report['error']}", style="red", highlight=False)
    elif report["ok"]:
        subjects = ", ".join(f"{count:,} {_plural(kind)}" for kind, count in report["subjects"].items() if count)
        console.print(f"The ledger is exact: {report['events']:,} events, {subjects or 'no subjects'}.", style="green")
    else:
        console.print(f"{report['differences_found']:,} differences between ledger and log:", style="red")
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("table", "key", "what"):
            table.add_column(column)
        for difference in report["differences"][:SHOWN]:
            rest = {name: value for name, value in difference.items() if name not in ("table", "key")}
            table.add_row(difference["table"], " ".join(difference["key"]), json.dumps(rest))
        console.print(table)
