"""A value of a declared list: its key is for good, its label is not."""

from datetime import datetime
from typing import ClassVar, get_args

from event_contracts.directory import SalesListValueSet
from event_contracts.lists import ListName
from sales_api.tables import Base
from service_kit.list_values import model as kit
from service_kit.list_values.model import list_value_constraints
from service_kit.problems import Conflict, Unprocessable


class ListValueTaken(Conflict):
    """The list has this value, perhaps in another spelling or retired; `existing_id` is its id."""

    slug, title = "list-value-taken", "The list has this value"


class ListValueMerged(Conflict):
    """The value counts as another one."""

    slug, title = "list-value-merged", "The value was merged into another"


class TooManyListValues(Conflict):
    """The list has as many values as it can have."""

    slug, title = "too-many-list-values", "The list has as many values as it can have"


class ListValue(kit.ListValue, Base, table="list_value"):
    """A channel, for one. Leads, deals and events have its key."""

    __table_args__: ClassVar = list_value_constraints(get_args(ListName))

    def directory_entry(self) -> SalesListValueSet:
        """Return the value as it is now, for the directory topic."""
        return SalesListValueSet(
            id=self.id,
            kind="list_value",
            list=self.list,
            key=self.key,
            name=self.label,
            is_retired=self.retired_at is not None,
            merged_into=self.merged_into,
        )

    def retire(self, at: datetime) -> bool:
        """Have new records no longer take it; return whether they did until now."""
        return self._set(retired_at=self.retired_at or at)

    def restore(self) -> bool:
        """Have new records take it again; return whether they did not until now."""
        return self._set(retired_at=None)

    def merge(self, into: "ListValue") -> bool:
        """Have it count as another value of its list; return whether it did not until now.

        Raise `ListValueMerged` for one that counts as a third, and `Unprocessable` for itself or for one that was
        merged too: so no merges go round in a circle.
        """
        if into.key == self.key:
            raise Unprocessable.at("#/into", "is the value itself")
        if self.merged_into not in (None, into.key):
            raise ListValueMerged(f"It was merged into {self.merged_into}: take that back by POST …/unmerge first.")
        if into.merged_into is not None:
            raise Unprocessable.at("#/into", f"was merged into {into.merged_into}: name that one")
        return self._set(merged_into=into.key)

    def unmerge(self) -> bool:
        """Have it count as itself again, everywhere and as before; return whether it did not until now."""
        return self._set(merged_into=None)

    def _set(self, **values: object) -> bool:
        changed = {name: value for name, value in values.items() if getattr(self, name) != value}
        for name, value in changed.items():
            setattr(self, name, value)
        self.version += bool(changed)
        return bool(changed)
