"""Who may do what with whose numbers."""

from typing import Final

import sqlalchemy as sa

from metrics_worker.ledger.tables import directory_name
from service_kit.access import (
    ALL,
    BELOW,
    EVERYBODY,
    OWN,
    REGION,
    TEAM,
    AccessTable,
    ClaimedPeople,
    Noun,
    Roles,
    Scope,
    rule,
)

_MANAGERS: Final[Roles] = {"sales-manager": ALL, "service-manager": ALL}
_ALL_NUMBERS: Final[Roles] = {**_MANAGERS, "analyst": ALL, "importer": ALL}
_THEIRS: Final[Scope] = OWN | TEAM | BELOW
_NUMBERS: Final[Roles] = {"sales-rep": _THEIRS, "service-agent": _THEIRS, **_ALL_NUMBERS}
_ADMINS_ONLY: Final[Roles] = {}
"""An admin only."""

CUSTOMER_NAMES: Final[frozenset[str]] = frozenset(
    {"sales-rep", "sales-manager", "service-agent", "service-manager", "importer", "admin"}
)
"""The roles that see the names of customers: those that serve customers, as in the two services."""

ACCESS: Final = AccessTable(
    Noun(
        "KPIs",
        owner="owner",
        team="team",
        read=rule("list_kpis answer_kpi explain_kpi export_kpi get_scorecard stream_kpis", _NUMBERS),
    ),
    Noun("callers", read=rule("get_me", EVERYBODY)),
    Noun("stream tickets", read=rule("issue_stream_ticket", EVERYBODY)),
    Noun("coverage", read=rule("get_coverage", _ALL_NUMBERS)),
    Noun("alerts", owner="owner", team="team", read=rule("list_alerts export_alerts", _NUMBERS)),
    Noun("waits", owner="owner", team="team", read=rule("list_waiting summarize_waiting export_waiting", _NUMBERS)),
    Noun(
        "waiting policies",
        read=rule("list_waiting_policies get_waiting_policy export_waiting_policies", EVERYBODY),
        write=(rule("create_waiting_policy change_waiting_policy delete_waiting_policy", _MANAGERS),),
        audit=rule("get_waiting_policy_audit", _MANAGERS),
    ),
    Noun(
        "customers' health",
        owner="owner_id",
        team="team_id",
        region="region",
        read=rule("get_customer_health", {**_ALL_NUMBERS, "sales-rep": _THEIRS, "service-agent": REGION}),
    ),
    Noun(
        "targets",
        read=rule("list_targets get_target get_target_events export_targets", _ALL_NUMBERS),
        write=(rule("set_target delete_target", _MANAGERS),),
        audit=rule("get_target_audit", _MANAGERS),
    ),
    Noun(
        "closed periods",
        read=rule("list_periods get_period get_period_events export_periods", EVERYBODY),
        write=(rule("list_restatements export_restatements", _ALL_NUMBERS), rule("close_period", _MANAGERS)),
        audit=rule("get_period_audit", _MANAGERS),
    ),
    # Whose they are, each event says.
    Noun("events", read=rule("get_event", EVERYBODY)),
    Noun("proofs", read=rule("list_proofs export_proofs", _ALL_NUMBERS)),
    Noun("audit", read=rule("list_audit", _ADMINS_ONLY)),
    Noun("exports", read=rule("export_postings", {"analyst": ALL, **_MANAGERS})),
    Noun(
        "webhooks",
        read=rule(
            "list_webhooks get_webhook export_webhooks list_webhook_deliveries export_webhook_deliveries", _ADMINS_ONLY
        ),
        write=(
            rule(
                "register_webhook change_webhook delete_webhook add_webhook_secret send_webhook_delivery_again",
                _ADMINS_ONLY,
            ),
        ),
        audit=rule("get_webhook_audit", _ADMINS_ONLY),
    ),
    Noun(
        "dead letters",
        read=rule("list_dead_letters list_halts get_dead_letter export_dead_letters", {"analyst": ALL}),
        write=(rule("mend_dead_letter send_dead_letter discard_dead_letter", _ADMINS_ONLY),),
        audit=rule("get_dead_letter_audit", _ADMINS_ONLY),
    ),
    # Whose they are, the operations check by the token's subject.
    Noun(
        "views",
        read=rule("list_views get_view", EVERYBODY),
        write=(
            rule("create_view change_view delete_view unshare_view", EVERYBODY),
            rule("share_view", {**_MANAGERS, "analyst": ALL}),
        ),
        audit=rule("get_view_audit", EVERYBODY),
    ),
    # What it does with each record is a rule of its own.
    Noun("bulk", read=rule("do_in_bulk", EVERYBODY)),
    people=ClaimedPeople(
        sa.select(directory_name.c.id, directory_name.c.parent_id)
        .where(directory_name.c.kind == "team")
        .subquery("team")
    ),
)
"""The ledger has no records of people: person, teams and regions are what the token claims, and the teams below are
those of the directories."""
