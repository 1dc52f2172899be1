"""The entries of the compacted directory topics: names by id. The only events with personal data.

The key is the named id, so that compaction keeps the latest name and a tombstone erases it. Products and the values of
declared lists are named here too, whose names are no personal data, so that all names are read in one place.
"""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC, State, event
from event_contracts.fields import Code

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DirectoryEntry(State, frozen=True, kw_only=True, omit_defaults=True):
    """The name of one id."""

    kind: Literal["account", "customer", "rep", "agent", "team"]
    name: Name
    parent_id: UUID | None = None
    """Of a team: the team above."""


@event("sales.directory-entry-set", topic=SALES_DIRECTORY_TOPIC, subject_kind="directory")
class SalesDirectoryEntrySet(DirectoryEntry, frozen=True, kw_only=True):
    """An account, a salesperson or a team was named or renamed, or a team put below another."""


class ProductEntry(State, frozen=True, kw_only=True):
    """The name of one product."""

    kind: Literal["product"]
    code: Code
    """What deals, leads, tickets and the KPIs name it by; it never changes."""
    name: Name


@event("sales.product-entry-set", topic=SALES_DIRECTORY_TOPIC, subject_kind="directory")
class SalesProductEntrySet(ProductEntry, frozen=True, kw_only=True):
    """A product was added or renamed."""


class ListValueEntry(State, frozen=True, kw_only=True, omit_defaults=True):
    """A value of a declared list, such as a channel."""

    kind: Literal["list_value"]
    list: Code
    """The list: `channels`."""
    key: Code
    """What records and events have; it never changes."""
    name: Name
    """Its label, which people read."""
    is_retired: bool = False
    """Whether new records no longer take it."""
    merged_into: Code | None = None
    """The key of the value that it counts as; records keep their own."""


@event("sales.list-value-set", topic=SALES_DIRECTORY_TOPIC, subject_kind="directory")
class SalesListValueSet(ListValueEntry, frozen=True, kw_only=True):
    """A value of a declared list was declared, renamed, retired, restored, merged into another, or parted from it."""


@event("service.directory-entry-set", topic=SERVICE_DIRECTORY_TOPIC, subject_kind="directory")
class ServiceDirectoryEntrySet(DirectoryEntry, frozen=True, kw_only=True):
    """A customer of service, an agent or a team was named or renamed, or a team put below another."""
