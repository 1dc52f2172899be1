"""`tandem verify`: proves that the books are what the log says, to the unit."""

import json
import os
import subprocess
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tandem_cli.books import addresses
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.system import script

SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Compare balances, postings and the whole log; exit code 0 when they agree, 1 when not, 2 when it can't tell.

    Works on the running local stack, or on what METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    try:
        environment = {**os.environ, **addresses(data_dir), "LOG_LEVEL": "error"}
    except StackProblem as problem:
        report = _cannot_tell(str(problem))
    else:
        finished = subprocess.run(script("metrics-verify"), env=environment, stdout=subprocess.PIPE, check=False)
        try:
            report = json.loads(finished.stdout)
        except ValueError:
            report = _cannot_tell("the comparison ended without a result; what it said is above")
    _show(report)
    raise typer.Exit({True: 0, False: 1, None: 2}[report["ok"]])


def _cannot_tell(error: str) -> dict[str, Any]:
    """The report of a comparison that never was. Not exit code 1, by which somebody is told that numbers are wrong."""
    return {"ok": None, "error": error}


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") and kind[-2] not in "aeiou" else f"{kind}s"


def _show(report: dict[str, Any]) -> None:
    console = Console()
    if report["ok"] is None:
        console.print(f"The books could not be compared: {report['error']}", style="red", highlight=False)
    elif report["ok"]:
        subjects = ", ".join(f"{count:,} {_plural(kind)}" for kind, count in report["subjects"].items() if count)
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
