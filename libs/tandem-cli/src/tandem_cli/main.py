"""The console script `tandem`: handles signals from its first moment, and only then imports the command."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command; exit with 128 plus the signal's number on SIGTERM, and on SIGINT while it imports.

    A process that a script starts in the background ignores SIGINT until it installs a handler. Commands get SIGINT
    as a KeyboardInterrupt.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_at_once)
    from tandem_cli.app import app

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _exit)
    app()


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    # An exception is lost within a finalizer, and modules that are being imported catch exceptions of their own.
    os._exit(128 + number)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
