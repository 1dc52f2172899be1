"""The console script `tandem`: handles signals from its first moment, and only then imports the command."""

import signal
import sys
from types import FrameType

from service_kit.signals import exit_on_signals


def main() -> None:
    """Run the command; exit with 128 plus the signal's number on SIGTERM, and on SIGINT while it imports.

    Commands get SIGINT as a KeyboardInterrupt.
    """
    exit_on_signals()
    from tandem_cli.app import app

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _exit)
    app()


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
