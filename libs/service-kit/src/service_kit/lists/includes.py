"""Records that a list brings along: one statement each, however many records the list has."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service_kit.access import Access
from service_kit.fields import ReadModel
from service_kit.unit_of_work import UnitOfWork

View = Callable[[Any], Any]


@dataclass(frozen=True)
class Include:
    """Records of another noun that belong to those of a list.

    Each is named by the list's records in `by`, or is the newest that names one of them in `newest_by`.
    """

    table: sa.Table
    read: type[ReadModel]
    by: str
    is_newest: bool = False
    rows: sa.Select[Any] | None = None
    view: View | None = None

    async def load(self, work: UnitOfWork, access: Access, records: Iterable[Any]) -> Mapping[UUID, Any]:
        """Return those that the caller may read: by their own ids, or by those of the records that they name."""
        key = self.table.c.id if not self.is_newest else self.table.c[self.by]
        ids = {record.id if self.is_newest else getattr(record, self.by) for record in records} - {None}
        if not ids:
            return {}
        query = sa.select(self.table) if self.rows is None else self.rows
        within = await access.within(work, self.table)
        conditions = [] if within is None else [within.condition()]
        wanted = sa.literal(sorted(ids), sa.ARRAY(sa.Uuid))
        if self.is_newest:
            given = sa.func.unnest(wanted).table_valued("id").render_derived("given")
            own = self.table.c
            newest = sa.select(own.id).where(key == given.c.id, *conditions).order_by(own.id.desc()).limit(1)
            chosen = newest.lateral("newest")
            query = query.where(own.id.in_(sa.select(chosen.c.id).select_from(given.join(chosen, sa.true()))))
        else:
            query = query.where(key == sa.any_(wanted), *conditions)
        view = await access.without_personal(work, self.table, self.view or self.read.model_validate)
        return {getattr(row, key.name): view(row) for row in await work.execute(query)}


def included(
    by: str, table: sa.Table, read: type[ReadModel], *, rows: sa.Select[Any] | None = None, view: View | None = None
) -> Include:
    """Return the records whose ids a list's records have in a column."""
    return Include(table, read, by, rows=rows, view=view)


def newest_included(table: sa.Table, by: str, read: type[ReadModel], *, view: View | None = None) -> Include:
    """Return, for each of a list's records, the newest record of another noun that has its id in a column."""
    return Include(table, read, by, is_newest=True, view=view)
