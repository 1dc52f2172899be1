"""`tandem dead-letters`: records that a consumer could not process; list, mend, send or discard them."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from tandem_cli.api import Api, Refused
from tandem_cli.data_dir import DataDir
from tandem_cli.issuer import Issuer
from tandem_cli.options import DEFAULT_DATA_DIR, DEFAULT_PORT_BASE, DataDirOption
from tandem_cli.problem import StackProblem

PATIENCE_SECONDS = 10.0
PIPED_WIDTH = 300

dead_letters = typer.Typer(no_args_is_help=True, help="Records that a consumer could not process.")

DeadLetterArgument = Annotated[str | None, typer.Argument(help="The dead letter's id.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every open one.")]
ReasonOption = Annotated[str | None, typer.Option(help="With --all: only those set aside for this reason.")]
Whose = Literal["metrics", "sales", "service"]
OfOption = Annotated[Whose, typer.Option("--of", help="Whose: the ledger's, or those of sales' or service's consumer.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", "--metrics-url", help="metrics-api, sales-api or service-api; by default that of the local stack."
    ),
]
TokenOption = Annotated[
    str | None, typer.Option(envvar="TANDEM_TOKEN", help="A token with the role admin; by default a local one.")
]


def register(app: typer.Typer) -> None:
    app.add_typer(dead_letters, name="dead-letters")


@dead_letters.command("list")
def list_dead_letters(
    status: Annotated[str | None, typer.Option(help="open, sent or discarded.")] = "open",
    reason: ReasonOption = None,
    of: OfOption = "metrics",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """List dead letters, newest first, by default the open ones."""

    async def work(api: Api) -> None:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("id", "record", "reason", "set aside", "status", "detail"):
            table.add_column(column, overflow="fold")
        for item in await _every(api, status, reason):
            place = f"{item['topic']}/{item['partition']}@{item['offset']}"
            state = "mended" if item["mended"] and item["status"] == "open" else item["status"]
            table.add_row(item["id"], place, item["reason"], item["recorded_at"][:19], state, item["detail"][:80])
        if table.row_count:
            console = Console()
            # A program that reads this finds each dead letter on a line of its own.
            (console if console.is_terminal else Console(width=PIPED_WIDTH)).print(table, markup=False)
        else:
            typer.echo("There are none.")

    _run(work, of, url, token, data_dir)


@dead_letters.command()
def show(
    dead_letter: Annotated[str, typer.Argument(help="The dead letter's id.")],
    of: OfOption = "metrics",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Print one with its content, as JSON."""

    async def work(api: Api) -> None:
        typer.echo(json.dumps(await api.get(f"dead-letters/{dead_letter}"), indent=2, ensure_ascii=True))

    _run(work, of, url, token, data_dir)


@dead_letters.command()
def mend(
    dead_letter: Annotated[str, typer.Argument(help="The dead letter's id.")],
    file: Annotated[Path, typer.Argument(help="The event as it should have been, in JSON.", exists=True)],
    of: OfOption = "metrics",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Replace the original's content; `send` sends it."""
    try:
        value = file.read_bytes().decode()
    except UnicodeDecodeError:
        raise StackProblem(f"{file} is not UTF-8 text.") from None

    async def work(api: Api) -> None:
        await api.post(f"dead-letters/{dead_letter}/mend", {"value": value}, key=str(uuid.uuid4()))
        typer.echo("Mended; not sent yet.")

    _run(work, of, url, token, data_dir)


@dead_letters.command()
def send(
    dead_letter: DeadLetterArgument = None,
    all_open: AllOption = False,
    reason: ReasonOption = None,
    of: OfOption = "metrics",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Send one to its topic again, or every open one; each counts once. Exit code 1 when one was refused."""
    _settle("send", "sent again", {}, dead_letter, all_open, reason, of, url, token, data_dir)


@dead_letters.command()
def discard(
    because: Annotated[str, typer.Option(help="Why it never counts; kept with it.")],
    dead_letter: DeadLetterArgument = None,
    all_open: AllOption = False,
    reason: ReasonOption = None,
    of: OfOption = "metrics",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Exclude one for good, or every open one; the bytes are kept until they expire."""
    _settle("discard", "discarded", {"reason": because}, dead_letter, all_open, reason, of, url, token, data_dir)


def _settle(
    action: str,
    done: str,
    body: dict[str, str],
    dead_letter: str | None,
    all_open: bool,
    reason: str | None,
    of: Whose,
    url: str | None,
    token: str | None,
    data_dir: Path,
) -> None:
    if (dead_letter is None) == (not all_open):
        raise StackProblem("Name one dead letter, or add --all.")

    async def work(api: Api) -> None:
        ids = [dead_letter] if dead_letter else [item["id"] for item in await _every(api, "open", reason)]
        refused = 0
        for one in ids:
            try:
                await api.post(f"dead-letters/{one}/{action}", body, key=str(uuid.uuid4()))
            except Refused as refusal:
                refused += 1
                typer.echo(f"{one}: {refusal}", err=True)
        typer.echo(f"{len(ids) - refused} {done}, {refused} refused.")
        if refused:
            raise typer.Exit(1)

    _run(work, of, url, token, data_dir)


async def _every(api: Api, status: str | None, reason: str | None) -> list[dict[str, Any]]:
    asked = {name: value for name, value in (("status", status), ("reason", reason)) if value} | {"limit": "200"}
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await api.get("dead-letters", asked | ({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _run(work: Callable[[Api], Awaitable[None]], of: Whose, url: str | None, token: str | None, data_dir: Path) -> None:
    running = DataDir(data_dir).running() if data_dir.exists() else None
    port = DEFAULT_PORT_BASE + {"service": 2, "metrics": 3}[of]
    url = url or (running.urls.get(of) if running else None) or f"http://127.0.0.1:{port}"
    if token is None:
        issuer = Issuer(data_dir / "auth")
        token = issuer.token(["admin"], subject="tandem-dead-letters", lifetime=timedelta(hours=1))

    async def connected() -> None:
        async with Api(url, token, patience=PATIENCE_SECONDS) as api:
            await work(api)

    try:
        asyncio.run(connected())
    except Refused as refusal:
        raise StackProblem(str(refusal)) from None
