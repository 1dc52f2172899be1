"""Signals that end a process while it still imports and reads its settings; imports the standard library only."""

import os
import signal
from types import FrameType


def exit_on_signals() -> None:
    """Exit with 128 plus the signal's number on SIGINT and SIGTERM, until the runner installs its own handlers.

    Without handlers a process that a script starts in the background ignores SIGINT, and one that is the first of its
    container ignores SIGTERM. To be called before the imports that take long.

    The process ends at once, since an exception is lost when the signal arrives within a finalizer, and modules that
    are being imported catch exceptions of their own.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
