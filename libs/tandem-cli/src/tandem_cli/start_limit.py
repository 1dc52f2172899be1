"""How long the start of a server is waited for: as long as it makes progress, within bounds."""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STALL_SECONDS = 60.0
"""How long a start may go without progress, unless it is set otherwise."""
START_SECONDS = 900.0
"""A server that was killed reads its log again first: how long that takes depends on the log and the machine."""


class StartLimit:
    """Watches one start; its progress are new bytes in files, such as its log."""

    def __init__(self, files: Iterable[Path], stall_seconds: float) -> None:
        self._files = list(files)
        self._stall_seconds = stall_seconds
        self._began = self._progressed = time.monotonic()
        self._size = self._written()

    def exceeded(self) -> str | None:
        """Return why the start is to be given up, as the end of a sentence; None while it is to be waited for."""
        now = time.monotonic()
        if (written := self._written()) != self._size:
            self._size, self._progressed = written, now
        if now - self._progressed > self._stall_seconds:
            return f"logged nothing for {self._stall_seconds:.0f} s while it started"
        if now - self._began > START_SECONDS:
            return f"was still starting after {START_SECONDS:.0f} s"
        return None

    def _written(self) -> int:
        size = 0
        for file in self._files:
            with suppress(FileNotFoundError):
                size += file.stat().st_size
        return size
