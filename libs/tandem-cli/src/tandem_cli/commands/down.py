"""`tandem down`: stop a stack from another terminal."""

import os
import signal
import time

import typer

from tandem_cli.data_dir import DataDir
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem

SECONDS = 75.0
"""The processes have 20 s, then Kafka and PostgreSQL have theirs."""


def register(app: typer.Typer) -> None:
    app.command()(down)


def down(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Stop the stack that runs on a data directory, and wait until it has stopped."""
    data = DataDir(data_dir)
    running = data.running()
    if running is None:
        typer.echo(f"Nothing runs on {data.path}.")
        return
    try:
        os.kill(running.pid, signal.SIGTERM)
    except PermissionError:
        raise StackProblem(f"The stack on {data.path} (pid {running.pid}) belongs to another user.") from None
    deadline = time.monotonic() + SECONDS
    while data.locked():
        if time.monotonic() > deadline:
            raise StackProblem(f"The stack on {data.path} (pid {running.pid}) has not stopped within {SECONDS:.0f} s.")
        time.sleep(0.1)
    typer.echo("Stopped.")
