"""Filters and orders of lists by custom fields: `custom.site_region=north`, `sort=-custom.roof_square_metres`."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from service_kit.custom_fields.model import CUSTOM, CUSTOM_PERSONAL, custom_value
from service_kit.custom_fields.values import DeclaredField
from service_kit.fields import Day, DecimalText, Flag, Name
from service_kit.lists.parameters import MAX_VALUES, FilterParameter
from service_kit.lists.sorting import Position, Sort

PREFIX: Final = "custom."
ENDINGS: Final = ("_min", "_max", "_from", "_to", "_is_null")
"""What no field's name ends in, since filters do."""

_SORTED: Final[Mapping[str, str]] = {
    "text": "text",
    "choice": "text",
    "boolean": "text",
    "number": "number",
    "date": "day",
}
"""The types that lists are sorted by, each with the column of `custom_value`."""

Meets = Callable[[Any, Any], sa.ColumnElement[bool]]


def _one_of(column: Any, values: Any) -> sa.ColumnElement[bool]:
    met: sa.ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return met


def _is(column: Any, value: bool) -> sa.ColumnElement[bool]:
    met: sa.ColumnElement[bool] = column == ("true" if value else "false")
    return met


@dataclass(frozen=True, eq=False)
class HasValue(FilterParameter):
    """A record has such a value of a custom field."""

    key: sa.ColumnElement[Any] = field(kw_only=True)
    field_id: UUID = field(kw_only=True)
    of: str = field(kw_only=True)
    meets: Meets = field(kw_only=True)

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it."""
        index = custom_value.alias()
        found = sa.select(index.c.record_id).where(
            index.c.field_id == self.field_id, self.meets(index.c[self.of], value)
        )
        return self.key.in_(found)


@dataclass(frozen=True, eq=False)
class HasNone(FilterParameter):
    """A record has no value of a custom field, or has one."""

    key: sa.ColumnElement[Any] = field(kw_only=True)
    field_id: UUID = field(kw_only=True)

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return it."""
        index = custom_value.alias()
        has_one = sa.exists().where(index.c.record_id == self.key, index.c.field_id == self.field_id)
        return ~has_one if value else has_one


def custom_filters(table: sa.Table, fields: Iterable[DeclaredField]) -> dict[str, FilterParameter]:
    """Return the parameters of a noun's custom fields, archived ones left out, by name."""
    return {each.name: each for one in fields if not one.is_archived for each in _filters_of(table, one)}


def _filters_of(table: sa.Table, one: DeclaredField) -> Iterator[FilterParameter]:
    name = f"{PREFIX}{one.name}"
    # It decides who may filter by it.
    column = table.c[CUSTOM_PERSONAL if one.is_personal else CUSTOM]

    def has(end: str, kind: Any, of: str, meets: Meets, repeats: int = 0) -> FilterParameter:
        return HasValue(
            name + end, kind, "", repeats, column=column, key=table.c.id, field_id=one.id, of=of, meets=meets
        )

    if one.type == "number":
        yield has("_min", DecimalText, "number", operator.ge)
        yield has("_max", DecimalText, "number", operator.le)
    elif one.type == "boolean":
        yield has("", Flag, "text", _is)
    elif one.type == "date":
        yield has("", Day, "day", _one_of, MAX_VALUES)
        yield has("_from", Day, "day", operator.ge)
        yield has("_to", Day, "day", operator.le)
    else:
        yield has("", Name, "text", _one_of, MAX_VALUES)
    yield HasNone(f"{name}_is_null", Flag, "", column=column, key=table.c.id, field_id=one.id)


@dataclass(frozen=True)
class CustomSort(Sort):
    """An order by the values of a custom field. `column` is the record's that decides who may sort by it."""

    table: sa.Table
    field_id: UUID

    def ids(
        self,
        key: sa.ColumnElement[UUID],
        conditions: Iterable[sa.ColumnElement[bool]],
        after: Position | None,
        limit: int,
        of: sa.FromClause | None = None,
        *,
        is_selective: bool = False,
    ) -> sa.Select[Any]:
        """Return the query of so many records from a position on, as `Sort.ids` does.

        Those without a value are read only where those with one do not fill the page: they are found by what is not in
        the index, which may take a walk through all records.
        """
        index: Any = custom_value.c
        is_of_field = index.field_id == self.field_id
        if is_selective:
            beside = self.table.outerjoin(custom_value, sa.and_(index.record_id == key, is_of_field))
            base = self._correlated(sa.select(key.label("id"), self.expression.label("sort_value")), of)
            met = base.select_from(beside).where(*conditions).offset(sa.literal_column("0")).subquery("met")
            met_after = [] if after is None else [self._is_after_position(met, after)]
            return sa.select(met).where(*met_after).order_by(*self.order_of(met)).limit(limit)
        conditions = [*conditions]
        beside = self.table.join(custom_value, index.record_id == key)
        base = self._correlated(sa.select(key.label("id"), self.expression.label("sort_value")), of)
        with_value = base.select_from(beside).where(is_of_field, self.expression.is_not(None), *conditions)
        if after is not None and after.value is not None:
            place = sa.tuple_(sa.literal(after.value, self._literal_type), sa.literal(after.id, sa.Uuid))
            with_value = with_value.where(self._is_after(sa.tuple_(self.expression, index.record_id), place))
        with_value = with_value.order_by(self._directed(self.expression), self._directed(index.record_id)).limit(limit)
        has_one = sa.exists().where(index.record_id == key, is_of_field)
        value = sa.cast(sa.null(), self.expression.type).label("sort_value")
        without = self._correlated(sa.select(key.label("id"), value), of).where(~has_one, *conditions)
        without = without.order_by(self._directed(key)).limit(limit)
        if after is not None and after.value is None:
            return without.where(self._is_after(key, after.id))
        # Read a second time where a common table would serve once: that could not be of one column of a board.
        number = self._correlated(sa.select(sa.func.count()).select_from(with_value.subquery()), of).scalar_subquery()
        rest = without.where(number < sa.literal_column(str(limit)))
        return sa.select(sa.union_all(*(sa.select(one.subquery()) for one in (with_value, rest))).subquery())

    def _correlated(self, query: sa.Select[Any], of: sa.FromClause | None) -> sa.Select[Any]:
        return query if of is None else query.correlate(of)


def custom_sorts(table: sa.Table, fields: Iterable[DeclaredField]) -> dict[str, Sort]:
    """Return the orders by a noun's custom fields, archived ones left out, by name and each both ways."""
    found: dict[str, Sort] = {}
    for one in fields:
        if one.is_archived or one.type not in _SORTED:
            continue
        column = CUSTOM_PERSONAL if one.is_personal else CUSTOM
        for sign, descends in (("", False), ("-", True)):
            name = f"{sign}{PREFIX}{one.name}"
            expression = custom_value.c[_SORTED[one.type]]
            found[name] = CustomSort(name, column, expression, True, descends, table, one.id)
    return found


def names_custom(texts: Mapping[str, list[str]]) -> bool:
    """Return whether a query filters or sorts by a custom field."""
    return any(name.startswith(PREFIX) for name in texts) or any(
        each.removeprefix("-").startswith(PREFIX) for each in texts.get("sort", ())
    )
