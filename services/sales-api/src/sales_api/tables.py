"""The declarative base of this service's tables."""

from sqlalchemy.orm import DeclarativeBase

from service_kit.idempotency import idempotency_key
from service_kit.imports.records import imported_record
from service_kit.outbox import outbox
from service_kit.tables import COLUMN_TYPES, own_metadata


class Base(DeclarativeBase):
    """All tables of this service's database."""

    metadata = own_metadata(idempotency_key, imported_record, outbox)
    type_annotation_map = COLUMN_TYPES
