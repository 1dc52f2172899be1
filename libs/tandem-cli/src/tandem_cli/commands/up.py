"""`tandem up`: the whole system, until Ctrl-C."""

import os
import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from tandem_cli.options import (
    DEFAULT_DATA_DIR,
    DEFAULT_PORT_BASE,
    DEFAULT_STALL_SECONDS,
    DataDirOption,
    PortBaseOption,
    PortOption,
    QuietOption,
    StallOption,
    ports,
    token_command,
)

if TYPE_CHECKING:
    from tandem_cli.stack import LocalStack


def register(app: typer.Typer) -> None:
    app.command()(up)


def up(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    port_base: PortBaseOption = DEFAULT_PORT_BASE,
    sales_port: PortOption = None,
    service_port: PortOption = None,
    metrics_port: PortOption = None,
    postgres_port: PortOption = None,
    kafka_port: PortOption = None,
    issuer_port: PortOption = None,
    stall_seconds: StallOption = DEFAULT_STALL_SECONDS,
    quiet: QuietOption = False,
) -> None:
    """Start the whole system and keep it running until Ctrl-C.

    PostgreSQL and Kafka come along, unless DATABASE_URL (a server), SALES_DATABASE_URL, SERVICE_DATABASE_URL,
    METRICS_DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS name others.
    """
    # Here, so that the other commands need not wait for the imports of this one.
    from tandem_cli.foreground import run
    from tandem_cli.stack import External, LocalStack
    from tandem_cli.terminal import Terminal

    began = time.monotonic()
    terminal = Terminal(Console(), quiet=quiet)
    stack = LocalStack(
        data_dir,
        ports(port_base, sales_port, service_port, metrics_port, postgres_port, kafka_port, issuer_port),
        external=External.from_environment(os.environ),
        listener=terminal,
        stall_seconds=stall_seconds,
    )

    def watch() -> None:
        terminal.write(f"ready after {time.monotonic() - began:.1f} s; Ctrl-C stops it")
        for line in links(stack):
            terminal.write(line)
        stack.wait()

    terminal.write(f"starting; data in {stack.data.path}")
    run(stack, terminal, watch)


def links(stack: "LocalStack") -> list[str]:
    """What a person may open, a line each."""
    return [
        f"dashboard    {stack.urls['metrics']}/",
        f"sales        {stack.urls['sales']}/docs",
        f"service      {stack.urls['service']}/docs",
        f"metrics      {stack.urls['metrics']}/docs",
        f"Kafka        {stack.bootstrap_servers}",
        f"a token      {token_command(stack.data.path)}",
    ]
