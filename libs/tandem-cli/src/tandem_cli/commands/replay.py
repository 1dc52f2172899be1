"""`tandem replay` and `tandem rebucket`: rebuild the ledger from the log while everything runs on."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tandem_cli.ledger_addresses import addresses
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.script_progress import run_script


def register(app: typer.Typer) -> None:
    app.command()(replay)
    app.command()(rebucket)


def replay(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Rebuild the ledger from the whole log beside the live one, then swap; reads and new events go on.

    Interrupted, it leaves the live ledger unchanged, and can be started again. Works on the running local
    stack, or on what METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    _rebuild(data_dir)


def rebucket(
    timezone: Annotated[str, typer.Option(help="The time zone to take days in, such as Europe/Vilnius.")],
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Change the ledger's time zone: a replay that puts everything on the days of that zone."""
    _rebuild(data_dir, "--timezone", timezone)


def _rebuild(data_dir: Path, *options: str) -> None:
    console = Console()
    status, last = run_script(console, "metrics-replay", options, addresses(data_dir))
    if status or "rebuilt" not in last:
        raise StackProblem(f"The ledger is unchanged: {last.get('error', 'the rebuild ended early, see above')}")
    console.print(f"The ledger is rebuilt from {last['rebuilt']:,} records.", style="green", highlight=False)
