"""The declarative base of this service's tables, and what its columns are made of."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from service_kit.database import NAMING_CONVENTION
from service_kit.idempotency import idempotency_key
from service_kit.outbox import outbox


class Base(DeclarativeBase):
    """All of this database and nothing else, also where several services are loaded in one process (the tests)."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it as it stands
        datetime: sa.DateTime(timezone=True),
        str: sa.Text(),
        UUID: sa.Uuid(),
    }


for _table in (outbox, idempotency_key):
    _table.to_metadata(Base.metadata)


def one_of(column: str, allowed: Sequence[str]) -> sa.CheckConstraint:
    """A column of a closed list; null passes."""
    listed = ", ".join(f"'{value}'" for value in allowed)
    return sa.CheckConstraint(f"{column} in ({listed})", name=column)


def filtered(table: str, columns: Iterable[str]) -> tuple[sa.Index, ...]:
    """An index a column that lists filter by; each ends in the id, in whose order pages are read."""
    return tuple(sa.Index(f"{table}_{column}_id_idx", column, "id") for column in columns)
