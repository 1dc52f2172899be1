"""The progress of the demo, for its screen."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Board:
    """What was done so far."""

    doing: str = "meeting the company"
    loading: bool = True
    """Until the history is there."""
    actions_total: int = 0
    """What has happened in the history and is to be loaded."""
    actions_done: int = 0
    days_total: int = 0
    days_loaded: int = 0
    history_began: float = 0.0
    requests: int = 0
    refused: int = 0
    last_refusal: str = ""
    news: deque[str] = field(default_factory=lambda: deque(maxlen=6))

    def begin(self, actions: int) -> None:
        """Begin to load a history of so many actions."""
        self.actions_total, self.actions_done, self.history_began = actions, 0, time.monotonic()

    @property
    def share(self) -> float:
        """How much of the history is loaded, of 1."""
        return self.actions_done / self.actions_total if self.actions_total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace so far; None before anything is loaded."""
        if not self.actions_done:
            return None
        seconds = time.monotonic() - self.history_began
        return seconds / self.actions_done * (self.actions_total - self.actions_done)
