"""Points at which an experiment has a process end as if it were killed: between two steps that a crash must not part.

Inert unless the environment variable FAILPOINT names one: `relay.before-delete=3` ends the process when it gets there
for the third time, and `relay.before-send=1:stop` stops it there, as SIGSTOP does, until SIGCONT comes.
"""

import os
import signal
from functools import cache
from typing import Final, Literal

import structlog

Failpoint = Literal[
    "write.before-commit",
    "write.after-commit",
    "relay.before-send",
    "relay.before-acknowledgement",
    "relay.after-acknowledgement",
    "relay.before-delete",
    "relay.after-delete",
    "consumer.before-dead-letters",
    "consumer.after-dead-letters",
    "consumer.before-commit",
    "consumer.after-commit",
]
EXIT_CODE: Final = 86

log = structlog.get_logger()


class _Armed:
    """The failpoint that the environment names, and how often it is passed before it takes effect."""

    def __init__(self, given: str) -> None:
        self.name, _, how = given.partition("=")
        times, _, action = how.partition(":")
        self.left = int(times or 1)
        self.stops = action == "stop"


@cache
def _armed() -> _Armed | None:
    # Not on import: a process may be forked from one that has imported this, and get its environment afterwards.
    given = os.environ.get("FAILPOINT")
    return _Armed(given) if given else None


def reach(point: Failpoint) -> None:
    """End or stop the process here, without any cleaning up, if this is where the environment says so."""
    armed = _armed()
    if armed is None or armed.name != point:
        return
    armed.left -= 1
    if armed.left == 0:
        log.error("failpoint", point=point)
        if not armed.stops:
            os._exit(EXIT_CODE)
        os.kill(os.getpid(), signal.SIGSTOP)
