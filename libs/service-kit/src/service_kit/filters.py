"""The plain filters of lists: a column equals the given value, or the filter is left out."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from service_kit.references import erased_ref

Filters = Mapping[str, Any]
"""The filters that a list has: each query parameter's type by its name, which is a column's."""

Filter = Mapping[str, Any]
"""The filters that a request gives: values by column; None lets everything through."""


def query_parameters(filters: Filters) -> Callable[..., Awaitable[Filter]]:
    """Return a dependency whose query parameters have these names and types, each of them optional."""

    async def given(**values: Any) -> Filter:
        return values

    # FastAPI reads what it has to parse from the signature.
    given.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation | None)
            for name, annotation in filters.items()
        ]
    )
    return given


def equal(columns: ReadOnlyColumnCollection[str, Any], given: Filter) -> Iterator[ColumnElement[bool]]:
    """Yield the condition of each filter that is given. Raise KeyError for what is no column."""
    for name, value in given.items():
        if name == "external_ref" and value is not None:
            # An erased record is still the one that was imported under this reference.
            yield columns[name].in_((value, erased_ref(value)))
        elif value is not None:
            yield columns[name] == value
