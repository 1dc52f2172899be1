"""What the demo remembers in the data directory between runs, so that later runs go on with the same business."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from tandem_cli import atomic_files


@dataclass
class Thread:
    """An unfinished scenario: how many actions were sent, and the ids that they returned."""

    actions: int = 0
    names: dict[str, str] = field(default_factory=dict)
    at: str | None = None
    """When the next action was begun, while its outcome is unknown: sent again, it is the same request."""


@dataclass
class Memory:
    """The business of a data directory. `loaded` are the days of its history whose scenarios have all been begun."""

    seed: int
    accounts: int
    first_day: str
    loaded: list[str] = field(default_factory=list)
    threads: dict[str, Thread] = field(default_factory=dict)
    next_live: int = 0

    @classmethod
    def recall(cls, file: Path, *, seed: int, accounts: int, first_day: date) -> "Memory":
        """Return the business in the file; a new one where there is none, or none that can be read."""
        try:
            stored = json.loads(file.read_text())
            stored["threads"] = {key: Thread(**thread) for key, thread in stored["threads"].items()}
            return cls(**stored)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls(seed, accounts, first_day.isoformat())

    def keep(self, file: Path) -> None:
        """Write it down."""
        atomic_files.replace(file, json.dumps(asdict(self)).encode(), mode=0o644)
