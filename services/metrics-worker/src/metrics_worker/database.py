"""The declarative base of what people write: targets, closed periods, webhooks."""

from sqlalchemy.orm import DeclarativeBase

from metrics_worker.ledger.tables import metadata
from service_kit.tables import COLUMN_TYPES


class Base(DeclarativeBase):
    """Shares its metadata with the ledger: it is one database."""

    metadata = metadata
    type_annotation_map = COLUMN_TYPES
