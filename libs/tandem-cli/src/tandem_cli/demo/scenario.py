"""A scenario: one lead, deal or ticket with all that happens to it, as requests at their times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tandem_cli.demo.company import moment
from tandem_cli.requests import ApiName, Ref, Step


@dataclass(frozen=True)
class After:
    """A placeholder in a body for a time counted from the action's own: a moment, or the day that it falls on."""

    time: timedelta
    day: bool = False


def timed(body: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The body with a time in every After's place, counted from `at`."""
    return {name: _timed(value, at) for name, value in body.items()}


def _timed(value: Any, at: datetime) -> Any:
    if isinstance(value, After):
        return (at + value.time).date().isoformat() if value.day else moment(at + value.time)
    if isinstance(value, Mapping):
        return timed(value, at)
    return value


@dataclass(frozen=True)
class Action:
    """One request of a scenario, and when it happens."""

    at: datetime
    step: Step


@dataclass(frozen=True)
class Scenario:
    """`key` identifies it for ever: the same scenario always has the same key."""

    key: str
    actions: tuple[Action, ...]


class Script:
    """Writes a scenario, action by action, with a clock that runs forwards only."""

    def __init__(self, key: str, random: Random, begins: datetime) -> None:
        self.key = key
        self.random = random
        self.at = begins
        self._actions: list[Action] = []

    def wait(self, shortest: timedelta, longest: timedelta) -> None:
        """Let some time pass."""
        self.at += shortest + (longest - shortest) * self.random.random()

    def do(self, name: str, api: ApiName, path: tuple[str | Ref, ...], body: dict[str, Any], **gives: str) -> None:
        """Something happens now. `gives` names what its answer holds, for later actions."""
        number = len(self._actions) + 1
        self._actions.append(Action(self.at, Step(f"{number}-{name}", api, path, body, gives=gives)))

    def correct(self, name: str, api: ApiName, path: tuple[str | Ref, ...], body: dict[str, Any]) -> None:
        """What was recorded wrongly is set right now."""
        number = len(self._actions) + 1
        self._actions.append(Action(self.at, Step(f"{number}-{name}", api, path, body, method="PATCH")))

    def end(self) -> Scenario:
        """Return the scenario as written."""
        return Scenario(self.key, tuple(self._actions))
