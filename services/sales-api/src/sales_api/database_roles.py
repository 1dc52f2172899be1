"""The database roles of sales' processes, and what each may do."""

from typing import Final

from sales_api.schema import metadata
from service_kit.database_roles import DatabaseRole
from service_kit.published_events import PUBLISHING

_TABLES: Final = frozenset(metadata.tables)
_OF_CONSUMER: Final = frozenset(
    {"circuit_breaker", "conflicting_event", "consumer_offset", "seen_sequence", "timeline_entry"}
)
_OF_RELAY: Final = {"relay_lease", *(table.name for table in PUBLISHING)}

ROLES: Final = (
    DatabaseRole(
        "sales_api",
        changes=_TABLES - _OF_CONSUMER - _OF_RELAY,
        reads={"circuit_breaker", "published_event", "stream", "timeline_entry"},
    ),
    DatabaseRole(
        "sales_relay",
        changes={*_OF_RELAY, "outbox", "idempotency_key", "imported_record", "dead_letter", "audit_entry"},
    ),
    # It makes leads of suggestions and tasks of risks, and plans what rules ask for at intervals. An account is locked
    # meanwhile, so that its erasure waits.
    DatabaseRole(
        "sales_consumer",
        changes={
            *_OF_CONSUMER,
            *("taken_suggestion", "lead", "risk_task", "activity", "account", "custom_value"),
            "planning_rule",
            *("outbox", "dead_letter", "audit_entry"),
        },
        reads={"product", "rep"},
    ),
)
