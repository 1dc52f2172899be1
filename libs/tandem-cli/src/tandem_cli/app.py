"""The command `tandem`: the modules of `commands` add what they offer by their `register(app)`.

Each is imported when it is asked for: all of them together take a second, which is most of what the short ones take.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_group

from tandem_cli import commands
from tandem_cli.problem import StackProblem

COMMANDS = {
    "backup": "backup",
    "dead-letters": "dead_letters",
    "demo": "demo",
    "down": "down",
    "import": "import_csv",
    "issuer": "token",
    "prepare-kafka": "prepare_kafka",
    "rebucket": "replay",
    "replay": "replay",
    "republish": "republish",
    "restore": "backup",
    "status": "status",
    "token": "token",
    "up": "up",
    "verify": "verify",
}
"""Every command, and the module of `commands` that adds it."""


class Commands(TyperGroup):
    """Imports a command when it is called or listed.

    Shows a StackProblem as its sentence, and ends with exit code 1.
    """

    def list_commands(self, ctx: Any) -> list[str]:  # typer names the type in a private module
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        one = typer.Typer(pretty_exceptions_show_locals=False)
        import_module(f"{commands.__name__}.{COMMANDS[cmd_name]}").register(one)
        return get_group(one).commands[cmd_name]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StackProblem as problem:
            Console(stderr=True).print(f"tandem: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
            sys.exit(1)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Tandem on this machine: the whole system, its tokens, its data.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tandem {version('tandem-cli')}")
        raise typer.Exit


@app.callback()
def tandem(
    shows_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps `tandem` a command of commands, however many there are."""
