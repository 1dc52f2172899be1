"""What a person sees of a stack: each process's lines under its name in its colour, and how far the start has come."""

import time
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from tandem_cli.stack import Listener

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
_OWN = "tandem"
_WIDTH = 16


class Terminal(Listener):
    """Prints to `console`; where that is no terminal, plain lines without colour and without bars.

    `quiet` leaves out the processes' lines, which are in the data directory's `logs/` all the same.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self._lock = Lock()
        self._colours: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def line(self, name: str, text: str) -> None:
        if not self.quiet:
            self._print_line(name, Text(text, style=_severity(text)))

    def state(self, name: str, state: str) -> None:
        with self._lock:
            began = self._since.setdefault(name, time.monotonic())
            if state in {"starting", "stopping"}:
                self._since[name] = time.monotonic()
        if state in {"starting", "stopping"}:
            return
        seconds = time.monotonic() - began
        self._print_line(_OWN, Text.assemble((name, "bold"), f" {state} ", (f"{seconds:.1f} s", "dim")))

    def jars(self, done: int, total: int) -> None:
        with self._lock:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn("fetching Kafka's jars"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    console=self.console,
                    transient=True,
                    disable=not self.console.is_terminal,
                )
                self._task = self._bar.add_task("jars", total=total)
                self._bar.start()
            assert self._task is not None  # noqa: S101 - made together with the bar
            self._bar.update(self._task, completed=done)
            finished = done == total
            if finished:
                self._bar.stop()
                self._bar = None
        if not self.console.is_terminal and (finished or done % 12 == 0):
            self.write(f"fetching Kafka's jars: {done} of {total}")

    def write(self, text: str) -> None:
        """A line of the command's own."""
        self._print_line(_OWN, Text(text))

    def close(self) -> None:
        """Take a bar off the screen that a broken-off start left there."""
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _print_line(self, name: str, text: Text) -> None:
        line = Text.assemble((f"{name:<{_WIDTH}} │ ", self._colour(name)), text)
        try:
            self.console.print(line, soft_wrap=True, highlight=False)
        except OSError:
            self.quiet = True  # the terminal is gone; the processes' output must be read on, or they block

    def _colour(self, name: str) -> str:
        if name == _OWN:
            return "bold"
        with self._lock:
            return self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])


def _severity(text: str) -> str:
    """How to show a line of the processes' console form of logs, by its level."""
    if "[error" in text or "[critical" in text:
        return "red"
    return "yellow" if "[warning" in text else ""
