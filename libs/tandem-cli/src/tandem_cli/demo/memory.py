"""What the demo remembers in the data directory between runs, so that later runs go on with the same business."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from tandem_cli import atomic_files
from tandem_cli.requests import ApiName


@dataclass
class Thread:
    """An unfinished scenario: how many actions were sent, and the ids that they returned."""

    actions: int = 0
    names: dict[str, str] = field(default_factory=dict)
    at: str | None = None
    """When the next action was begun, while its outcome is unknown: sent again, it is the same request."""


@dataclass
class Batch:
    """An import whose outcome is not known yet: the next legs of some scenarios, as far as they go `until` a moment.

    Sent again it is the same request.
    """

    number: int
    api: ApiName
    until: str
    scenarios: list[str]


@dataclass
class Memory:
    """The business of a data directory. `loaded` are the days of its history whose scenarios have all been begun."""

    seed: int
    accounts: int
    first_day: str
    loaded: list[str] = field(default_factory=list)
    threads: dict[str, Thread] = field(default_factory=dict)
    next_live: int = 0
    done: dict[str, list[str]] = field(default_factory=dict)
    """By day, unless it is loaded: its scenarios that have come to their end."""
    batches: list[Batch] = field(default_factory=list)
    next_batch: int = 0

    @classmethod
    def recall(cls, file: Path, *, seed: int, accounts: int, first_day: date) -> "Memory":
        """Return the business in the file; a new one where there is none, or none that can be read."""
        try:
            stored = json.loads(file.read_text())
            stored["threads"] = {key: Thread(**thread) for key, thread in stored["threads"].items()}
            stored["batches"] = [Batch(**batch) for batch in stored.get("batches", ())]
            return cls(**stored)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls(seed, accounts, first_day.isoformat())

    def begin_batch(self, api: ApiName, until: str, scenarios: list[str]) -> Batch:
        """Return a new import, which is remembered until its outcome is known."""
        batch = Batch(self.next_batch, api, until, scenarios)
        self.next_batch += 1
        self.batches.append(batch)
        return batch

    def end(self, scenario: str) -> None:
        """Note that a scenario has come to its end."""
        self.threads.pop(scenario, None)
        day = scenario.partition(":")[0]
        if day != "live" and day not in self.loaded:
            self.done.setdefault(day, []).append(scenario)

    def load(self, day: date) -> None:
        """Note that all scenarios of a day have been begun."""
        self.loaded.append(day.isoformat())
        self.done.pop(day.isoformat(), None)

    def keep(self, file: Path) -> None:
        """Write it down."""
        atomic_files.replace(file, json.dumps(asdict(self)).encode(), mode=0o644)
