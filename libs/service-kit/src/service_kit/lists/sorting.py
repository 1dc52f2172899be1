"""The orders of lists, each stable: records that are equal in it are in the order of their ids."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from service_kit.tables import name_key_of

BY_ID: Final = "id"
"""The order in which records were made."""
_PARSERS: Final[Mapping[type, Callable[[str], Any]]] = {
    str: str,
    int: int,
    Decimal: Decimal,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    bool: "True".__eq__,
}
_LONGEST: Final = 40
"""Characters of a number or date."""
_MAX_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True)
class Position:
    """A place in a list: the last record before it, and what that record was sorted by."""

    value: Any
    id: UUID


@dataclass(frozen=True)
class Sort:
    """An order of a list's records. Null is the last, either way."""

    name: str
    column: str
    expression: sa.ColumnElement[Any]
    is_nullable: bool
    descends: bool

    @property
    def is_newest_first(self) -> bool:
        """Return whether it is the order of ids, from the newest on."""
        return self.column == BY_ID and self.descends

    def order_of(self, found: sa.FromClause) -> list[sa.ColumnElement[Any]]:
        """Return what to order those by that `ids` found."""
        last = [found.c.sort_value.is_(None)] if self.is_nullable else []
        own = [] if self.column == BY_ID else [self._directed(found.c.sort_value)]
        return [*last, *own, self._directed(found.c.id)]

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
        """Return the query of so many records from a position on: their `id`, and the `sort_value` of each.

        The conditions may refer to what the query is lateral `of`. Those with null are a query of their own: no index
        leads to both by one condition. Where the conditions are met by few, all of those are read and sorted: the
        planner would else go along the order until it has enough, which may be to its end.
        """
        value = sa.null() if self.column == BY_ID else self.expression
        base = sa.select(key.label("id"), value.label("sort_value")).where(*conditions)
        if of is not None:
            base = base.correlate(of)
        if is_selective:
            # OFFSET keeps the order from being read off an index of all records.
            met = base.offset(sa.literal_column("0")).subquery("met")
            met_after = [] if after is None else [self._is_after_position(met, after)]
            return sa.select(met).where(*met_after).order_by(*self.order_of(met)).limit(limit)
        if self.column == BY_ID:
            found = base if after is None else base.where(self._is_after(key, after.id))
            return found.order_by(self._directed(key)).limit(limit)
        with_value = base if not self.is_nullable else base.where(self.expression.is_not(None))
        if after is not None and after.value is not None:
            place = sa.tuple_(sa.literal(after.value, self._literal_type), sa.literal(after.id, sa.Uuid))
            with_value = with_value.where(self._is_after(sa.tuple_(self.expression, key), place))
        with_value = with_value.order_by(self._directed(self.expression), self._directed(key)).limit(limit)
        if not self.is_nullable:
            return with_value
        # By the column too, though it is null in all of them: the planner does not know of IS NULL that it
        # leaves the order of the ids.
        without = base.where(self.expression.is_(None)).order_by(self._directed(self.expression), self._directed(key))
        if after is not None and after.value is None:
            return without.where(self._is_after(key, after.id)).limit(limit)
        without = without.limit(limit)
        return sa.select(sa.union_all(*(sa.select(one.subquery()) for one in (with_value, without))).subquery())

    def _is_after_position(self, found: sa.FromClause, after: Position) -> sa.ColumnElement[bool]:
        own, key = found.c.sort_value, found.c.id
        if self.column == BY_ID:
            return self._is_after(key, after.id)
        if after.value is None:
            return sa.and_(own.is_(None), self._is_after(key, after.id))
        place = sa.tuple_(sa.literal(after.value, self._literal_type), sa.literal(after.id, sa.Uuid))
        return sa.or_(own.is_(None), self._is_after(sa.tuple_(own, key), place))

    def parse(self, text: str | None) -> Any:
        """Return the value that a cursor carries as text. Raise ValueError for what is none."""
        if text is None:
            if not self.is_nullable:
                raise ValueError("no value")
            return None
        kind = self.expression.type.python_type
        if "\x00" in text or (kind is not str and len(text) > _LONGEST):
            raise ValueError("no value of this column")
        try:
            value = _PARSERS[kind](text)
        except InvalidOperation:
            raise ValueError("no number") from None
        if kind is datetime and value.tzinfo is None:
            raise ValueError("no moment")
        if (kind is int and abs(value) > _MAX_INTEGER) or (kind is Decimal and not value.is_finite()):
            raise ValueError("no number of this column")
        return value

    @property
    def _literal_type(self) -> sa.types.TypeEngine[Any]:
        # A cursor that a client made up may name a number beyond the column's.
        return sa.BigInteger() if isinstance(self.expression.type, sa.Integer) else self.expression.type

    def _directed(self, expression: Any) -> sa.ColumnElement[Any]:
        ordered: sa.ColumnElement[Any] = expression.desc() if self.descends else expression.asc()
        return ordered

    def _is_after(self, one: Any, other: Any) -> sa.ColumnElement[bool]:
        condition: sa.ColumnElement[bool] = one < other if self.descends else one > other
        return condition


def sorts_of(table: sa.Table, names: Iterable[str]) -> dict[str, Sort]:
    """Return the orders of a list by name, each both ways: `amount`, and `-amount` from the largest on.

    Raise ValueError for what is no column.
    """
    found: dict[str, Sort] = {}
    for name in (BY_ID, *names):
        if name not in table.c:
            raise ValueError(f"{table} is sorted by what is no column: {name}")
        column = table.c[name]
        key = name_key_of(table, name)
        expression = column if key is None else key
        for sign, descends in (("", False), ("-", True)):
            found[sign + name] = Sort(sign + name, name, expression, bool(column.nullable), descends)
    return found
