"""Who may do what with whose numbers."""

from typing import Final

from service_kit.access import ALL, AccessTable, Noun, Roles, rule
from service_kit.roles import ROLES

_EVERYBODY: Final[Roles] = dict.fromkeys(ROLES, ALL)
_MANAGERS: Final[Roles] = {"sales-manager": ALL, "service-manager": ALL}
_NOBODY: Final[Roles] = {}
"""An admin only."""

ACCESS: Final = AccessTable(
    Noun("KPIs", read=rule("list_kpis answer_kpi explain_kpi get_scorecard get_coverage stream_kpis", _EVERYBODY)),
    Noun("stream tickets", read=rule("issue_stream_ticket", _EVERYBODY)),
    Noun("alerts", read=rule("list_alerts", _EVERYBODY)),
    Noun("customers' health", read=rule("get_customer_health", _EVERYBODY)),
    Noun(
        "targets",
        read=rule("list_targets get_target", _EVERYBODY),
        write=(rule("set_target delete_target", _MANAGERS),),
    ),
    Noun(
        "closed periods",
        read=rule("list_periods get_period list_restatements", _EVERYBODY),
        write=(rule("close_period", _MANAGERS),),
    ),
    Noun("exports", read=rule("export_postings", {"analyst": ALL, **_MANAGERS})),
    Noun(
        "webhooks",
        read=rule("list_webhooks get_webhook list_webhook_deliveries", _NOBODY),
        write=(
            rule(
                "register_webhook change_webhook delete_webhook add_webhook_secret send_webhook_delivery_again",
                _NOBODY,
            ),
        ),
    ),
    Noun(
        "dead letters",
        read=rule("list_dead_letters list_halts get_dead_letter", {"analyst": ALL}),
        write=(rule("mend_dead_letter send_dead_letter discard_dead_letter", _NOBODY),),
    ),
)
