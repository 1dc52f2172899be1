"""Requests as plain data, with names in the place of ids that are known only once something was made."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ApiName = Literal["sales", "service"]
Method = Literal["POST", "PATCH"]


@dataclass(frozen=True)
class Ref:
    """A placeholder for an id in a path or a body.

    `noun` is an API's collection, `sales/reps`, or `self` for what earlier steps of the same record create (`lead`).
    """

    noun: str
    key: str


@dataclass(frozen=True)
class Step:
    """One write. `name` is unique in its record or scenario, and part of the idempotency key."""

    name: str
    api: ApiName
    path: tuple[str | Ref, ...]
    body: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column of an imported file a field of the body came from, so that a refusal can name it."""
    gives: Mapping[str, str] = field(default_factory=dict)
    """Names for what the answer holds: `{"deal": "deal_id"}`."""
    method: Method = "POST"


def filled(value: Any, identity: Callable[[Ref], str]) -> Any:
    """The value with an id in every Ref's place."""
    if isinstance(value, Ref):
        return identity(value)
    if isinstance(value, Mapping):
        return {name: filled(one, identity) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [filled(one, identity) for one in value]
    return value


def refs_in(value: Any) -> Iterator[Ref]:
    """Every Ref in a body."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from refs_in(one)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value; the APIs take an absent field for unknown."""
    return {name: value for name, value in fields.items() if value is not None}
