"""Tells the directory what an id is called: the only event with a name in it."""

from datetime import UTC, datetime
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.directory import ServiceDirectoryEntrySet
from service_kit import outbox


class Named(Protocol):
    """A row that people know by name."""

    @property
    def id(self) -> UUID:
        """What the entry is keyed by."""

    @property
    def version(self) -> int:
        """The entry's sequence."""

    @property
    def name(self) -> str | None:
        """What people call it."""


async def announce(session: AsyncSession, kind: Literal["customer", "agent", "team"], named: Named) -> None:
    """Publishes the name of a row that was just named or renamed, within its transaction."""
    if named.name is None:
        raise ValueError(f"{kind} {named.id} has no name to announce")
    entry = ServiceDirectoryEntrySet(id=named.id, kind=kind, name=named.name)
    await outbox.write(session, entry, sequence=named.version, time=datetime.now(UTC), partition_key=named.id)
