"""The filter of lists by what is overdue."""

import operator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from service_kit.fields import Flag
from service_kit.lists.parameters import FilterParameter


@dataclass(frozen=True, eq=False)
class Overdue(FilterParameter):
    """The work is planned, and its due time has passed or its due day is over, by the database's clock in UTC."""

    status: sa.ColumnElement[str] = field(kw_only=True)

    def condition(self, value: bool) -> sa.ColumnElement[bool]:
        """Return it."""
        now: sa.ColumnElement[Any] = sa.func.now()
        if isinstance(self.column.type, sa.Date):
            now = sa.cast(sa.func.timezone("UTC", sa.func.now()), sa.Date)
        is_overdue = sa.and_(self.status == sa.literal_column("'planned'"), operator.lt(self.column, now))
        # Of work without a due time the comparison is null.
        return is_overdue if value else sa.func.coalesce(sa.not_(is_overdue), sa.true())


def overdue(table: sa.Table, due: str) -> Overdue:
    """Return the filter of a noun's list; `due` is the column with the due time or day."""
    until = "whose due day is over, in UTC" if isinstance(table.c[due].type, sa.Date) else "whose due time has passed"
    said = f"Only those that are planned and {until}; with false, all others."
    return Overdue("overdue", Flag, said, column=table.c[due], status=table.c.status)
