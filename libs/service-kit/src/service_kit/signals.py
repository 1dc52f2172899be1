"""Signals that end a process while it still imports and reads its settings; imports the standard library only."""

import signal
import sys
from types import FrameType


def exit_on_signals() -> None:
    """Exit with 128 plus the signal's number on SIGINT and SIGTERM, until the runner installs its own handlers.

    Without handlers a process that a script starts in the background ignores SIGINT, and one that is the first of its
    container ignores SIGTERM. To be called before the imports that take long.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
