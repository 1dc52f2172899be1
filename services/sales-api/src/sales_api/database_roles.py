"""The database roles of sales' processes, and what each may do."""

from typing import Final

from sales_api.schema import metadata
from service_kit.database_roles import DatabaseRole
from service_kit.published_events import PUBLISHING

_TABLES: Final = frozenset(metadata.tables)
_OF_RELAY: Final = {"relay_lease", *(table.name for table in PUBLISHING)}

ROLES: Final = (
    DatabaseRole("sales_api", changes=_TABLES - _OF_RELAY, reads={"published_event", "stream"}),
    DatabaseRole("sales_relay", changes={*_OF_RELAY, "outbox", "idempotency_key", "imported_record", "audit_entry"}),
)
