"""The command `tandem`: each module of `commands` adds one command by its `register(app)`."""

import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from tandem_cli import commands
from tandem_cli.problem import StackProblem


class PlainProblems(TyperGroup):
    """Shows a StackProblem as its sentence, and ends with exit code 1."""

    def invoke(self, ctx: Any) -> Any:  # typer names the type in a private module
        try:
            return super().invoke(ctx)
        except StackProblem as problem:
            Console(stderr=True).print(f"tandem: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
            sys.exit(1)


app = typer.Typer(
    cls=PlainProblems,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Tandem on this machine: the whole system, its tokens, its data.",
)


@app.callback()
def tandem() -> None:
    """Keeps `tandem` a command of commands, however many there are."""


for module in iter_modules(commands.__path__):
    import_module(f"{commands.__name__}.{module.name}").register(app)
