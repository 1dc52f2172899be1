"""`tandem replay` and `tandem rebucket`: build the books anew from the log, while everything goes on."""

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tandem_cli.books import addresses
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.system import script


def register(app: typer.Typer) -> None:
    app.command()(replay)
    app.command()(rebucket)


def replay(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Build the books anew from the whole log beside the live ones, then swap; reads and new events go on.

    Broken off half-way it leaves the live books as they were, and can be begun again. Works on the running local
    stack, or on what METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    _rebuild(data_dir)


def rebucket(
    timezone: Annotated[str, typer.Option(help="The time zone to take days in, such as Europe/Vilnius.")],
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Keep the books by another time zone: a replay that puts everything on the days of that zone."""
    _rebuild(data_dir, "--timezone", timezone)


def _rebuild(data_dir: Path, *options: str) -> None:
    console = Console()
    environment = {**os.environ, **addresses(data_dir), "LOG_LEVEL": "error"}
    last: dict[str, Any] = {}
    with (
        Progress(
            TextColumn("records"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar,
        subprocess.Popen([*script("metrics-replay"), *options], env=environment, stdout=subprocess.PIPE) as process,
    ):
        task = bar.add_task("records", total=None)
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            for line in process.stdout:
                last = json.loads(line)
                if "done" in last:
                    bar.update(task, completed=last["done"], total=last["total"])
        except BaseException:
            process.terminate()
            raise
    if process.returncode or "rebuilt" not in last:
        raise StackProblem(f"The books are as they were: {last.get('error', 'the rebuild ended early, see above')}")
    console.print(f"The books are rebuilt from {last['rebuilt']:,} records.", style="green", highlight=False)
