"""What the compacted directory topics hold: the names behind the ids. The only events with personal data.

They are keyed by the id they tell of, so that compaction keeps the latest and a tombstone erases it.
"""

from typing import Annotated, Literal

import msgspec

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC, State, event

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DirectoryEntry(State, frozen=True, kw_only=True):
    """The name behind one id."""

    kind: Literal["account", "customer", "rep", "agent", "team"]
    name: Name


@event("sales.directory-entry-set", topic=SALES_DIRECTORY_TOPIC, subject_kind="directory")
class SalesDirectoryEntrySet(DirectoryEntry, frozen=True, kw_only=True):
    """Sales named an account, a salesperson or a team."""


@event("service.directory-entry-set", topic=SERVICE_DIRECTORY_TOPIC, subject_kind="directory")
class ServiceDirectoryEntrySet(DirectoryEntry, frozen=True, kw_only=True):
    """Service named a customer of its own, an agent or a team."""
