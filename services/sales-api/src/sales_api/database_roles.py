"""The database roles of sales' processes, and what each may do."""

from typing import Final

from sales_api.schema import metadata
from service_kit.database_roles import DatabaseRole

_TABLES: Final = frozenset(metadata.tables)

ROLES: Final = (
    DatabaseRole("sales_api", changes=_TABLES - {"relay_lease"}),
    DatabaseRole("sales_relay", changes={"outbox", "relay_lease", "idempotency_key", "imported_record", "audit_entry"}),
)
