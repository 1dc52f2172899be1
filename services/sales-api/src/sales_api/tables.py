"""The base of this service's entities."""

from service_kit.entities import Entity
from service_kit.service_tables import SERVICE_TABLES
from service_kit.tables import own_metadata


class Base(Entity):
    """All tables of this service's database."""

    metadata = own_metadata(*SERVICE_TABLES)
