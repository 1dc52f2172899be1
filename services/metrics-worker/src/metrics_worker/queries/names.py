"""Reads the names of owners, teams, customers, products and values of lists, as the directories have them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.ledger.tables import CUSTOMER, directory_name

PRODUCT: Final = "product"
KINDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "owner": ("rep", "agent"),
    "team": ("team",),
    CUSTOMER: ("account", "customer"),
    PRODUCT: ("product",),
    "channel": ("channels",),
}
"""The kinds of directory entries that name the values of a dimension; other dimensions have codes that people know."""
CODED: Final = frozenset({PRODUCT, "channel"})
"""The dimensions of those whose values are codes."""
IDS_AT_ONCE: Final = 5_000
"""Names that are read before other tasks run."""

Values = Mapping[str, str | None]
"""By dimension; None for what has no value."""
_DIMENSION_OF: Final = {kind: dimension for dimension, kinds in KINDS_OF.items() for kind in kinds}


@dataclass(frozen=True)
class Names:
    """Names by dimension and value."""

    found: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of(self, values: Values) -> dict[str, str]:
        """Return the names of some values, by dimension; what has none is left out."""
        named = ((dimension, self.found.get((dimension, value or ""))) for dimension, value in values.items())
        return {dimension: name for dimension, name in named if name is not None}


async def names_of(connection: AsyncConnection, wanted: Iterable[Values], *, with_customers: bool) -> Names:
    """Return the names of these values; those of customers only `with_customers`."""
    ids: dict[UUID, None] = {}
    codes: dict[str, None] = {}
    for values in wanted:
        for dimension, value in values.items():
            if value is None or dimension not in KINDS_OF or (dimension == CUSTOMER and not with_customers):
                continue
            if dimension in CODED:
                codes[value] = None
            else:
                ids[UUID(value)] = None
    found: dict[tuple[str, str], str] = {}
    columns = directory_name.c
    query = sa.select(columns.id, columns.kind, columns.code, columns.name)
    for asked, column, kind in ((list(ids), columns.id, sa.Uuid()), (list(codes), columns.code, sa.Text())):
        for start in range(0, len(asked), IDS_AT_ONCE):
            some = sa.literal(asked[start : start + IDS_AT_ONCE], sa.ARRAY(kind))
            # Sales comes first by its name: what both services name has the name that sales gives it.
            rows = await connection.execute(query.where(column == sa.any_(some)).order_by(columns.topic))
            for row in rows:
                # Other lists have keys that are codes too.
                of = _DIMENSION_OF.get(row.kind)
                if of is not None and (with_customers or of != CUSTOMER) and (of in CODED) == (column is columns.code):
                    found.setdefault((of, row.code or str(row.id)), row.name)
    return Names(found)


def name_of_value(dimension: sa.ColumnElement[str | None], value: sa.ColumnElement[str | None]) -> sa.ScalarSelect[str]:
    """Return SQL for the name of a column's value, by the dimension in another column; null where it has none."""
    columns = directory_name.c
    by_id = sa.case(
        (dimension.in_([name for name in KINDS_OF if name not in CODED]), sa.cast(value, sa.Uuid)), else_=None
    )
    of_dimension = sa.case(_DIMENSION_OF, value=columns.kind) == dimension
    by_code = sa.case((dimension.in_(sorted(CODED)), value), else_=None)
    is_it = sa.or_(columns.code == by_code, columns.id == by_id)
    return sa.select(columns.name).where(of_dimension, is_it).order_by(columns.topic).limit(1).scalar_subquery()
