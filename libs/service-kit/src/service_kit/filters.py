"""The plain filters of lists: a column equals the given value, or nothing is asked of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from service_kit.references import erased_ref

Filter = Mapping[str, Any]
"""Values by column; None asks nothing."""


def equal(columns: ReadOnlyColumnCollection[str, Any], filters: Filter) -> Iterator[ColumnElement[bool]]:
    """The conditions that the filters make. Raises KeyError for what is no column."""
    for name, value in filters.items():
        if name == "external_ref" and value is not None:
            # A record that was erased is still the one that was imported under this reference.
            yield columns[name].in_((value, erased_ref(value)))
        elif value is not None:
            yield columns[name] == value
