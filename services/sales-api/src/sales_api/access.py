"""Who may do what with whose records in sales."""

from typing import Any, Final

from sales_api.accounts.model import Account
from sales_api.activities.model import Activity
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead
from sales_api.quotas.model import Quota
from sales_api.referrals.model import Referral
from sales_api.reps import Rep
from sales_api.teams import Team
from service_kit.access import (
    ALL,
    BELOW,
    EVERYBODY,
    OWN,
    REGION,
    TEAM,
    UNASSIGNED,
    AccessTable,
    Noun,
    People,
    Roles,
    rule,
)
from service_kit.roles import Role

_MANAGERS: Final[Roles] = {"sales-manager": ALL, "importer": ALL}
_SELLERS: Final[Roles] = {"sales-rep": OWN | TEAM | BELOW | UNASSIGNED, **_MANAGERS}
"""See what their teams sell, and what waits for a salesperson."""
_OWNERS: Final[Roles] = {"sales-rep": OWN | UNASSIGNED, **_MANAGERS}
"""Change what is theirs, and take what waits."""
_AUDITORS: Final[Roles] = {"sales-manager": ALL}
"""See who changed what; those who import do not."""
_WHOSE: Final[dict[str, Any]] = {"owner": "owner_id", "team": "team_id", "region": "region"}
_OVERSEERS: Final = frozenset[Role]({"sales-manager", "service-manager", "analyst", "importer"})
"""See what service does for customers, as service's own table has it."""
_SERVED: Final = _OVERSEERS | frozenset[Role]({"sales-rep", "service-agent"})

ACCESS: Final = AccessTable(
    Noun(
        "accounts",
        table=Account.table,
        **_WHOSE,
        read=rule(
            "list_accounts get_account get_account_events get_account_timeline export_accounts",
            {**_SELLERS, "service-agent": REGION, "service-manager": ALL, "analyst": ALL},
        ),
        write=(
            rule("register_account", _SELLERS),
            rule("update_account", _OWNERS),
            rule("merge_account unmerge_account", _MANAGERS),
            rule("erase_account", {"sales-manager": ALL}),
        ),
        audit=rule("get_account_audit", _AUDITORS),
        personal=("name", "custom_personal"),
        served_by=frozenset({"sales-rep", "sales-manager", "service-agent", "service-manager", "importer"}),
    ),
    Noun(
        "leads",
        table=Lead.table,
        **_WHOSE,
        read=rule("list_leads get_lead get_lead_events export_leads", {**_SELLERS, "analyst": ALL}),
        write=(
            rule("create_lead", _SELLERS),
            rule("assign_lead", _OWNERS, hands_over=True),
            rule("update_lead contact_lead qualify_lead disqualify_lead convert_lead", _OWNERS),
            rule("erase_lead", {"sales-manager": ALL}),
        ),
        audit=rule("get_lead_audit", _AUDITORS),
        personal=("name", "company", "email", "phone", "custom_personal"),
        served_by=frozenset({"sales-rep", "sales-manager", "importer"}),
    ),
    Noun(
        "deals",
        table=Deal.table,
        **_WHOSE,
        read=rule(
            "list_deals get_deal get_deal_events export_deals get_deal_board",
            {**_SELLERS, "service-manager": ALL, "analyst": ALL},
        ),
        write=(
            rule("open_deal", _SELLERS),
            rule("update_deal change_deal_stage send_proposal close_deal reopen_deal amend_deal", _OWNERS),
        ),
        audit=rule("get_deal_audit", _AUDITORS),
        personal=("title", "custom_personal"),
        served_by=frozenset({"sales-rep", "sales-manager", "service-manager", "importer"}),
    ),
    Noun(
        "activities",
        table=Activity.table,
        **_WHOSE,
        read=rule(
            "list_activities get_activity get_activity_events export_activities",
            {**_SELLERS, "service-manager": ALL, "analyst": ALL},
        ),
        write=(
            rule("complete_activity", _SELLERS),
            rule("update_activity finish_activity miss_activity move_activity cancel_activity", _OWNERS),
        ),
        audit=rule("get_activity_audit", _AUDITORS),
        personal=("custom_personal",),
        served_by=frozenset({"sales-rep", "sales-manager", "service-manager", "importer"}),
    ),
    Noun(
        "planning rules",
        read=rule("list_planning_rules get_planning_rule export_planning_rules", EVERYBODY),
        write=(rule("create_planning_rule change_planning_rule", _MANAGERS),),
        audit=rule("get_planning_rule_audit", _AUDITORS),
    ),
    Noun(
        "referrals",
        table=Referral.table,
        **_WHOSE,
        read=rule(
            "list_referrals get_referral get_referral_events export_referrals",
            {**_SELLERS, "service-manager": ALL, "analyst": ALL},
        ),
        write=(rule("record_referral", _SELLERS), rule("update_referral", _OWNERS)),
        audit=rule("get_referral_audit", _AUDITORS),
    ),
    Noun(
        "quotas",
        table=Quota.table,
        owner="rep_id",
        read=rule(
            "list_quotas get_quota get_quota_events export_quotas", {"sales-rep": OWN, **_MANAGERS, "analyst": ALL}
        ),
        write=(rule("set_quota change_quota", _MANAGERS),),
        audit=rule("get_quota_audit", _AUDITORS),
    ),
    Noun(
        "products",
        read=rule("list_products get_product get_product_events export_products", EVERYBODY),
        write=(rule("create_product change_product", _MANAGERS),),
        audit=rule("get_product_audit", _AUDITORS),
    ),
    Noun(
        "list values",
        read=rule("list_list_values get_list_value get_list_value_events export_list_values", EVERYBODY),
        write=(
            rule(
                "declare_list_value rename_list_value retire_list_value restore_list_value merge_list_value"
                " unmerge_list_value",
                {**_MANAGERS, "service-manager": ALL},
            ),
        ),
        audit=rule("get_list_value_audit", {**_AUDITORS, "service-manager": ALL}),
    ),
    Noun(
        "exchange rates",
        read=rule("list_exchange_rates get_exchange_rate export_exchange_rates", EVERYBODY),
        write=(rule("set_exchange_rate change_exchange_rate", _MANAGERS),),
        audit=rule("get_exchange_rate_audit", _AUDITORS),
    ),
    Noun(
        "teams",
        read=rule("list_teams get_team get_team_events export_teams", EVERYBODY),
        write=(rule("create_team change_team", _MANAGERS),),
        audit=rule("get_team_audit", _AUDITORS),
    ),
    Noun(
        "reps",
        table=Rep.table,
        read=rule("list_reps get_rep get_rep_events export_reps", EVERYBODY),
        write=(rule("create_rep change_rep", _MANAGERS),),
        audit=rule("get_rep_audit", _AUDITORS),
        personal=("subject",),
        served_by=frozenset({"sales-manager", "importer"}),
    ),
    # As far as the caller may read its record.
    Noun("events", read=rule("get_event", EVERYBODY)),
    # What they are a frontend shows to everybody.
    Noun(
        "custom fields",
        read=rule("list_custom_fields get_custom_field export_custom_fields", EVERYBODY),
        write=(rule("create_custom_field change_custom_field archive_custom_field restore_custom_field", {}),),
        audit=rule("get_custom_field_audit", _AUDITORS),
    ),
    # Whose they are, the operations check by the token's subject.
    Noun(
        "views",
        read=rule("list_views get_view", EVERYBODY),
        write=(
            rule("create_view change_view delete_view unshare_view", EVERYBODY),
            rule("share_view", {"sales-manager": ALL, "service-manager": ALL, "analyst": ALL}),
        ),
        audit=rule("get_view_audit", EVERYBODY),
    ),
    Noun("audit", read=rule("list_audit", {})),
    Noun("callers", read=rule("get_me", EVERYBODY)),
    # What it does with each record is a rule of its own.
    Noun("bulk", read=rule("do_in_bulk", EVERYBODY)),
    Noun("imports", read=rule("import_records", _MANAGERS)),
    Noun(
        "dead letters",
        read=rule("list_dead_letters list_halts get_dead_letter export_dead_letters", {"sales-manager": ALL}),
        write=(rule("mend_dead_letter send_dead_letter discard_dead_letter", {}),),
        audit=rule("get_dead_letter_audit", _AUDITORS),
    ),
    people=People(Rep.table, Team.table),
    mirrored={
        "customers": _SERVED,
        # Who sells to a customer knows how they are served: of all their tickets, without names and texts.
        "tickets": _OVERSEERS | frozenset[Role]({"sales-rep"}),
        **dict.fromkeys(
            ("surveys", "trainings", "checkins", "maintenance", "onboardingsteps", "deliveries", "reviews", "upsells"),
            _OVERSEERS,
        ),
    },
)
"""Managers and importers see all. A salesperson is the one whose record names the token's subject."""
