"""The filters of lists: which parameters a column has follows from its type.

| column | parameters |
| --- | --- |
| text, id | `region`: one or several values |
| whole number | `score`: one or several values; `score_min`, `score_max`: both included |
| decimal | `amount_min`, `amount_max`: both included |
| day | `due_on`: one or several values; `due_on_from`, `due_on_to`: both included |
| moment | `closed_at_from`: included; `closed_at_before`: not included |
| boolean | `active` |
| any that may be null | `region_is_null` |
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from service_kit.fields import Flag
from service_kit.lists.parameters import MAX_VALUES, FilterParameter
from service_kit.references import erased_ref

Filters = Mapping[str, Any]
"""The filters that a list has: the type of a value by the column's name."""

Compare = Callable[[Any, Any], sa.ColumnElement[bool]]


@dataclass(frozen=True, eq=False)
class OneOf(FilterParameter):
    """The column has one of the values."""

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it."""
        return self.column == value[0] if len(value) == 1 else self.column.in_(value)


@dataclass(frozen=True, eq=False)
class OneOfReferences(FilterParameter):
    """The column has one of the references, or what replaced it."""

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it. An erased record is still the one that was imported under its reference."""
        return self.column.in_([each for one in value for each in (one, erased_ref(one))])


@dataclass(frozen=True, eq=False)
class Compared(FilterParameter):
    """The column compares so with the value."""

    compare: Compare = field(kw_only=True)

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it."""
        return self.compare(self.column, value)


@dataclass(frozen=True, eq=False)
class IsNull(FilterParameter):
    """The column is null, or is not."""

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it."""
        return self.column.is_(None) if value else self.column.is_not(None)


def filter_parameters(table: sa.FromClause, filters: Filters) -> Iterator[FilterParameter]:
    """Yield the parameters of declared filters. Raise ValueError for what is no column."""
    if unknown := filters.keys() - table.c.keys():
        raise ValueError(f"{table} is filtered by what is no column: {', '.join(sorted(unknown))}")
    for name, kind in filters.items():
        yield from _of_column(table.c[name], name, kind)


def _of_column(column: sa.ColumnElement[Any], name: str, kind: Any) -> Iterator[FilterParameter]:
    words = name.replace("_", " ")

    def ranged(suffix: str, compare: Compare, said: str) -> FilterParameter:
        return Compared(
            f"{name}_{suffix}", kind, f"Only those whose {words} is {said}.", column=column, compare=compare
        )

    type_ = column.type
    several = f"Only those whose {words} is this; given several times, one of these."
    if isinstance(type_, sa.Boolean):
        yield Compared(name, Flag, f"Only those that are {words}, or that are not.", column=column, compare=operator.eq)
    elif name == "external_ref":
        yield OneOfReferences(name, kind, several, MAX_VALUES, column=column)
    elif not isinstance(type_, sa.DateTime | sa.Numeric) or isinstance(type_, sa.Integer):
        yield OneOf(name, kind, several, MAX_VALUES, column=column)
    if isinstance(type_, sa.DateTime):
        yield ranged("from", operator.ge, "this or later")
        yield ranged("before", operator.lt, "before this")
    elif isinstance(type_, sa.Date):
        yield ranged("from", operator.ge, "this or later")
        yield ranged("to", operator.le, "this or before")
    elif isinstance(type_, sa.Numeric | sa.Integer):
        yield ranged("min", operator.ge, "this or more")
        yield ranged("max", operator.le, "this or less")
    if getattr(column, "nullable", False):
        yield IsNull(f"{name}_is_null", Flag, f"Only those without {words}; with false, those with it.", column=column)


def equal(columns: ReadOnlyColumnCollection[str, Any], given: Mapping[str, Any]) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the condition of each value that is given, by its column; None lets everything through."""
    for name, value in given.items():
        if value is not None:
            yield columns[name] == value
