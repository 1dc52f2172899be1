"""What the demo remembers in the data directory between runs, so that later runs go on with the same business."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from tandem_cli import atomic_files


@dataclass
class Thread:
    """A story that is not told to its end: how many actions were, and the ids that they gave."""

    actions: int = 0
    names: dict[str, str] = field(default_factory=dict)
    at: str | None = None
    """When the next action was begun, while nobody knows whether it was heard: told again, it is the same request."""


@dataclass
class Memory:
    """The business of a data directory. `loaded` are the days of its history whose stories have all been begun."""

    seed: int
    accounts: int
    first_day: str
    loaded: list[str] = field(default_factory=list)
    threads: dict[str, Thread] = field(default_factory=dict)
    next_live: int = 0

    @classmethod
    def recall(cls, file: Path, *, seed: int, accounts: int, first_day: date) -> "Memory":
        """What the file says; a new business where there is none, or one that cannot be read."""
        try:
            said = json.loads(file.read_text())
            said["threads"] = {key: Thread(**thread) for key, thread in said["threads"].items()}
            return cls(**said)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls(seed, accounts, first_day.isoformat())

    def keep(self, file: Path) -> None:
        """Write it down."""
        atomic_files.replace(file, json.dumps(asdict(self)).encode(), mode=0o644)
