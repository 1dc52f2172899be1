"""The table of the values of declared lists."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts.lists import ListName
from service_kit.entities import Recorded, column
from service_kit.tables import filtered, one_of


class ListValue(Recorded):
    """The base of each service's entity; its table is `list_value`.

    Records keep the key for good: a merge says what it counts as, and changes none of them.
    """

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    list: Annotated[ListName, column(sa.Text)]
    key: Annotated[str, column(comment="what records and events have; it never changes")]
    label: str
    retired_at: Annotated[datetime | None, column(comment="since when new records do not take it")] = None
    merged_into: Annotated[str | None, column(comment="the key of the value of the list that it counts as")] = None

    @property
    def partition_key(self) -> UUID:
        """The value's own id."""
        return self.id


def list_value_constraints(lists: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what a service's table needs besides its columns."""
    return (sa.UniqueConstraint("list", "key"), one_of("list", lists), *filtered("list_value", ("updated_at",)))
