"""The base of the entities that people and jobs write: targets, closed periods, webhooks, published risks."""

from metrics_worker.ledger.tables import metadata as tables
from service_kit.entities import Entity


class Base(Entity):
    """Shares its metadata with the ledger: it is one database."""

    metadata = tables
