"""The database roles of service's processes, and what each may do."""

from typing import Final

from service_api.schema import metadata
from service_kit.database_roles import DatabaseRole
from service_kit.published_events import PUBLISHING

_TABLES: Final = frozenset(metadata.tables)
_OF_RELAY: Final = {"relay_lease", *(table.name for table in PUBLISHING)}
_OF_CONSUMER: Final = frozenset(
    {"circuit_breaker", "conflicting_event", "consumer_offset", "seen_sequence", "timeline_entry"}
)

ROLES: Final = (
    DatabaseRole(
        "service_api",
        changes=_TABLES - _OF_CONSUMER - _OF_RELAY,
        reads={"circuit_breaker", "published_event", "stream", "timeline_entry"},
    ),
    # The SLA clock publishes breaches of tickets; visits are planned of maintenance plans.
    DatabaseRole(
        "service_relay",
        changes={
            *_OF_RELAY,
            "outbox",
            "idempotency_key",
            "imported_record",
            "dead_letter",
            "audit_entry",
            "ticket",
            "maintenance_plan",
            "maintenance",
        },
    ),
    # It copies customers and deals, opens onboardings with their steps, notes on suggestions what became of them,
    # erases what was written about a customer, plans check-ins by rules, cancels those that followed from what is gone,
    # and corrects onboardings and deliveries whose deal is with another customer now.
    DatabaseRole(
        "service_consumer",
        changes={
            *_OF_CONSUMER,
            *("customer", "won_deal", "ticket", "interaction", "survey", "delivery", "custom_value"),
            *("suggested_sale", "upsell_suggestion", "planning_rule", "check_in", "onboarding_step"),
            *("outbox", "dead_letter", "idempotency_key", "imported_record", "audit_entry"),
        },
        reads={"sla_policy", "business_calendar", "custom_field", "onboarding_template"},
    ),
)
