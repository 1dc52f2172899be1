"""The report of an import: progress, a summary, and a file with each row's error."""

import csv
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from tandem_cli.imports.sender import Outcome
from tandem_cli.imports.tables import RowError
from tandem_cli.problem import StackProblem

SHOWN = 20
"""Errors shown on the screen; the rest is counted, and in the file."""

_PLAIN_SECONDS = 5.0
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


class ProgressBar:
    """A bar with rate and time left; a line every few seconds where the console is no terminal."""

    def __init__(self, console: Console, total: int, noun: str) -> None:
        self.console = console
        self.total = total
        self.noun = noun
        self._began = time.monotonic()
        self._printed_at = self._began
        self._waited_at = float("-inf")
        self._bar = Progress(
            TextColumn(noun),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(noun, total=total, rate="", failed="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def wait(self, reason: str) -> None:
        """Show that the API serves others first, at most once every few seconds."""
        now = time.monotonic()
        if now - self._waited_at >= _PLAIN_SECONDS:
            self._waited_at = now
            self.console.print(f"waiting for a turn: {reason}", highlight=False, markup=False)

    def show(self, outcome: Outcome) -> None:
        """Show how far it is."""
        now = time.monotonic()
        rate = outcome.done / max(now - self._began, 0.001)
        failed = f"{len(outcome.errors)} failed" if outcome.errors else ""
        self._bar.update(self._task, completed=outcome.done, rate=f"{rate:.0f}/s", failed=failed)
        if not self.console.is_terminal and now - self._printed_at >= _PLAIN_SECONDS:
            self._printed_at = now
            left = (self.total - outcome.done) / rate if rate else 0
            self.console.print(
                f"{outcome.done} of {self.total} {self.noun}, {rate:.0f}/s, about {left:.0f} s left {failed}".rstrip(),
                highlight=False,
            )


def summarize(console: Console, noun: str, outcome: Outcome, errors: Sequence[RowError], seconds: float) -> None:
    """What came of it, and the first errors; `errors` are those found before sending and after."""
    console.print(
        f"{outcome.new} {noun} imported, {outcome.continued} completed, {outcome.there} were there already, "
        f"{len(errors)} failed; {seconds:.1f} s",
        highlight=False,
    )
    if outcome.made:
        made = ", ".join(f"{count} {noun}" for noun, count in sorted(outcome.made.items()))
        console.print(f"{made} are new beside them", highlight=False)
    show_errors(console, errors)


def show_errors(console: Console, errors: Sequence[RowError]) -> None:
    """The first errors with their rows, and how often each reason occurs."""
    if not errors:
        return
    grid = Grid(box=None, header_style="bold", pad_edge=False)
    for name in ("file", "row", "column", "reason"):
        grid.add_column(name, overflow="fold")
    for error in errors[:SHOWN]:
        grid.add_row(error.file, str(error.line), error.column, error.reason)
    console.print(grid, markup=False)
    if len(errors) > SHOWN:
        columns = Counter(error.column or "-" for error in errors)
        counts = ", ".join(f"{column} {count}" for column, count in columns.most_common())
        console.print(f"… and {len(errors) - SHOWN} more; by column: {counts}", highlight=False, markup=False)


def write_errors(path: Path, errors: Sequence[RowError]) -> None:
    """Write every error as CSV. Raises StackProblem when the file cannot be written."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "row", "column", "reference", "reason"])
            for error in errors:
                cells = [error.file, error.line, error.column, error.reference, error.reason]
                writer.writerow([_inert(str(cell)) for cell in cells])
    except OSError as error:
        raise StackProblem(f"The error report {path} cannot be written: {error.strerror}.") from None


def _inert(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell
