"""The directory of names: the only event that carries a name."""

from datetime import UTC, datetime
from typing import Literal, Protocol
from uuid import UUID

from event_contracts.directory import ServiceDirectoryEntrySet
from service_kit import outbox
from service_kit.unit_of_work import UnitOfWork


class Named(Protocol):
    """A row that people know by name."""

    @property
    def id(self) -> UUID:
        """The entry's key."""

    @property
    def version(self) -> int:
        """The entry's sequence."""

    @property
    def name(self) -> str | None:
        """The name that people use."""


async def publish_name(work: UnitOfWork, kind: Literal["customer", "agent", "team"], named: Named) -> None:
    """Write the name of a row that was created or renamed to its transaction."""
    if named.name is None:
        raise ValueError(f"{kind} {named.id} has no name to publish")
    entry = ServiceDirectoryEntrySet(id=named.id, kind=kind, name=named.name)
    await outbox.write(work, entry, sequence=named.version, time=datetime.now(UTC), partition_key=named.id)
