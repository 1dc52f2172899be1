"""What an import will do, as plain data: what must exist first, and the steps of every record in their order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tandem_cli.importing.tables import Row, RowError

Api = Literal["sales", "service"]


@dataclass(frozen=True)
class Ref:
    """Stands in a path or a body for an id that is known only once the thing was made.

    `noun` is an API's collection, `sales/reps`, or `self` for what the record's own steps make (`lead`, `deal`).
    """

    noun: str
    key: str


@dataclass(frozen=True)
class Needed:
    """Something that records refer to; made unless it is there."""

    ref: Ref
    body: Mapping[str, Any]
    by_code: bool = False
    """True for what is named by its own code and has no id (products, exchange rates)."""


@dataclass(frozen=True)
class Step:
    """One request of a record. `name` is unique in the record and part of the idempotency key."""

    name: str
    api: Api
    path: tuple[str | Ref, ...]
    body: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column a field of the body came from, so that a refusal can name it."""
    gives: Mapping[str, str] = field(default_factory=dict)
    """Names for what the answer holds: `{"deal": "deal_id"}`."""
    done_when: str = ""
    """The refusal that means that an earlier run has done this."""


@dataclass(frozen=True)
class Record:
    """A lead or a ticket with all that happened to it."""

    noun: str
    reference: str
    row: Row
    steps: Sequence[Step]
    standing: Callable[[int], tuple[str, int]] | None = None
    """For a ticket: its status and reopen count after so many steps, to go on where an earlier run stopped."""


@dataclass(frozen=True)
class Plan:
    """Everything that an import sends, and what it can't."""

    name: str
    needed: Mapping[Ref, Needed]
    records: Sequence[Record]
    errors: Sequence[RowError]


def moment(instant: datetime) -> str:
    """An instant as the APIs read it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value; the APIs take an absent field for unknown."""
    return {name: value for name, value in fields.items() if value is not None}
