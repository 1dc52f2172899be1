"""The declarative base of the rows that people write: targets and what else is asked of the books from outside."""

from sqlalchemy.orm import DeclarativeBase

from metrics_worker.ledger.tables import metadata
from service_kit.tables import COLUMN_TYPES


class Base(DeclarativeBase):
    """Shares one metadata with the books: it is one database."""

    metadata = metadata
    type_annotation_map = COLUMN_TYPES
