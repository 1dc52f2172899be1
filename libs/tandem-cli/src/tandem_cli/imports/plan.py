"""What an import will do, as plain data: what must exist first, and the steps of every record in their order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from event_contracts.lists import ListName
from tandem_cli.imports.tables import Row, RowError
from tandem_cli.requests import Ref, Step


@dataclass(frozen=True)
class Needed:
    """Something that records refer to; made unless it is there."""

    ref: Ref
    body: Mapping[str, Any]
    by_code: bool = False
    """True for what is named by its own code and has no id (products, exchange rates)."""
    row: Row | None = None
    """The row that it comes from, whose error it is if it cannot be made; without one, the import ends."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column a field of the body came from."""


@dataclass(frozen=True)
class Record:
    """A lead or a ticket with all that happened to it: the first step makes it."""

    noun: str
    reference: str
    row: Row
    steps: Sequence[Step]


@dataclass(frozen=True)
class Plan:
    """Everything that an import sends, and what it can't."""

    name: str
    needed: Mapping[Ref, Needed]
    records: Sequence[Record]
    errors: Sequence[RowError]
    declares: Collection[ListName] = ()
    """The declared lists of which it may make new values."""

    @property
    def noun(self) -> str:
        """What its records are."""
        return self.records[0].noun if self.records else "records"


def moment(instant: datetime) -> str:
    """An instant as the APIs read it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
