"""`tandem demo`: the whole system with a simulated business that uses it, until Ctrl-C."""

import asyncio
import os
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tandem_cli.api import Api
from tandem_cli.concurrency import all_of
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import Company
from tandem_cli.demo.driver import Driver
from tandem_cli.demo.memory import Memory
from tandem_cli.demo.screen import Screen
from tandem_cli.demo.targets import set_targets
from tandem_cli.foreground import run
from tandem_cli.options import (
    DEFAULT_DATA_DIR,
    DEFAULT_PORT_BASE,
    DEFAULT_STALL_SECONDS,
    DataDirOption,
    PortBaseOption,
    PortOption,
    StallOption,
    ports,
    token_command,
)
from tandem_cli.sign_in import STAFF
from tandem_cli.stack import External, LocalStack
from tandem_cli.terminal import Terminal

TOKEN_LIFETIME = timedelta(days=30)
"""Longer than any demo is left running."""


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    seed: Annotated[int, typer.Option(help="Another seed is another business.")] = 7,
    speed: Annotated[float, typer.Option(min=0.1, max=50, help="How quick live traffic is; 1 is a human pace.")] = 1.0,
    no_history: Annotated[bool, typer.Option("--no-history", help="Leave out the year before today.")] = False,
    accounts: Annotated[int, typer.Option(min=5, max=5000, help="Customers that the business has at first.")] = 300,
    days: Annotated[int, typer.Option(min=1, max=730, help="How far back the history goes.")] = 365,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    port_base: PortBaseOption = DEFAULT_PORT_BASE,
    sales_port: PortOption = None,
    service_port: PortOption = None,
    metrics_port: PortOption = None,
    postgres_port: PortOption = None,
    kafka_port: PortOption = None,
    issuer_port: PortOption = None,
    stall_seconds: StallOption = DEFAULT_STALL_SECONDS,
) -> None:
    """Start the whole system with a simulated business, and show the KPIs as they move.

    A later run on the same data directory goes on with the same business.
    """
    console = Console()
    terminal = Terminal(console, quiet=True)
    stack = LocalStack(
        data_dir,
        ports(port_base, sales_port, service_port, metrics_port, postgres_port, kafka_port, issuer_port),
        external=External.from_environment(os.environ),
        listener=terminal,
        stall_seconds=stall_seconds,
    )
    began = time.monotonic()

    def work() -> Coroutine[Any, Any, None]:
        terminal.write(f"ready after {time.monotonic() - began:.1f} s")
        file = stack.data.path / "demo.json"
        first_day = datetime.now(UTC).date() - timedelta(days=days)
        memory = Memory.recall(file, seed=seed, accounts=accounts, first_day=first_day)
        if (memory.seed, memory.accounts) != (seed, accounts):
            terminal.write(
                f"the business of {data_dir} goes on: seed {memory.seed}, {memory.accounts} accounts; "
                "for another one use another --data-dir"
            )
        return _live(stack, console, memory, file, speed=speed, history=not no_history)

    run(stack, terminal, work)


async def _live(
    stack: LocalStack, console: Console, memory: Memory, file: Path, *, speed: float, history: bool
) -> None:
    writer = stack.token("importer", subject="tandem-demo", lifetime=TOKEN_LIFETIME)
    reader = stack.token("analyst", subject="tandem-demo", lifetime=TOKEN_LIFETIME)
    manager = stack.token("sales-manager", subject="tandem-demo", lifetime=TOKEN_LIFETIME)
    business = Business(Company(memory.seed, memory.accounts))
    async with (
        Api(stack.urls["sales"], writer) as sales,
        Api(stack.urls["service"], writer) as service,
        Api(stack.urls["metrics"], reader) as metrics,
        Api(stack.urls["metrics"], manager) as targets,
    ):
        apis = {"sales": sales, "service": service}
        driver = Driver(business, apis, memory, speed=speed, history=history, keep=lambda: memory.keep(file))
        screen = Screen(console, metrics, driver.board, _links(stack))
        try:
            await all_of(driver.run(), screen.run(), _aim(driver, targets), _watch(stack), _remember(memory, file))
        finally:
            with suppress(OSError):  # a full disk must not hide why the demo ends
                memory.keep(file)


async def _aim(driver: Driver, metrics: Api) -> None:
    """Sets targets once the history is there: before, every one of them would be missed."""
    await driver.loaded.wait()
    await set_targets(metrics, driver.business.company)


async def _watch(stack: LocalStack) -> None:
    """Ends the demo when a part of the system has ended."""
    while True:
        stack.check()
        await asyncio.sleep(0.5)


async def _remember(memory: Memory, file: Path) -> None:
    """Writes down how far the business is, so that even a kill loses a moment only."""
    while True:
        await asyncio.sleep(2)
        memory.keep(file)


def _links(stack: LocalStack) -> list[str]:
    return [
        f"dashboard  {stack.urls['metrics']}/",
        "sign in as " + ", ".join(f"{each.name} ({each.roles[0]})" for each in STAFF[:2]) + ", or any person there",
        "to try     open a number of the overview: its course, its definition, and the events behind it",
        "           Waiting: the customers who wait for us, the longest first; Boards: pipeline and queue, live",
        f"           {stack.urls['sales']}/docs and {stack.urls['service']}/docs: the APIs that the business uses",
        f"           a token for them: {token_command(stack.data.path)}",
        f"           the events, on Kafka at {stack.bootstrap_servers}: docs/quickstart-events.md",
    ]
