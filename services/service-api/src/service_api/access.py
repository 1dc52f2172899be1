"""Who may do what with whose records in service."""

from typing import Any, Final

from service_api.agents import Agent
from service_api.check_ins import CheckIn
from service_api.customers.model import Customer
from service_api.deliveries.model import Delivery
from service_api.maintenance.model import Maintenance, MaintenancePlan
from service_api.onboardings.model import OnboardingStep
from service_api.reviews import Review
from service_api.surveys.model import Survey
from service_api.teams import Team
from service_api.tickets.model import Interaction, Ticket
from service_api.trainings import Training
from service_api.upsell_suggestions import UpsellSuggestion
from service_kit.access import (
    ALL,
    BELOW,
    EVERYBODY,
    OWN,
    REGION,
    SEEN,
    TEAM,
    UNASSIGNED,
    AccessTable,
    Noun,
    People,
    Roles,
    rule,
)
from service_kit.roles import ROLES, Role

_MANAGERS: Final[Roles] = {"service-manager": ALL, "importer": ALL}
_OTHERS: Final[Roles] = {"sales-manager": ALL, "analyst": ALL}
"""See what is done for customers, and do none of it."""
_AGENTS: Final[Roles] = {"service-agent": OWN | TEAM | BELOW | UNASSIGNED, **_MANAGERS}
"""See what their teams work on, and what waits for an agent."""
_TEAMS: Final[Roles] = {"service-agent": OWN | TEAM | UNASSIGNED, **_MANAGERS}
"""Work on what is theirs and their team's, and take what waits."""
_ANY_AGENT: Final[Roles] = {"service-agent": ALL, **_MANAGERS}
"""Customers of every agent may call."""
_AUDITORS: Final[Roles] = {"service-manager": ALL}
"""See who changed what; those who import do not."""
_SERVED_BY: Final = frozenset[Role]({"service-agent", "service-manager", "importer"})
_WHOSE: Final[dict[str, Any]] = {"owner": "agent_id", "team": "team_id", "region": "region"}
_OVERSEERS: Final = frozenset[Role]({"sales-manager", "service-manager", "analyst", "importer"})
"""See what sales does with customers, as sales' own table has it."""

ACCESS: Final = AccessTable(
    Noun(
        "customers",
        table=Customer.table,
        region="region",
        read=rule(
            "list_customers get_customer get_customer_events get_customer_timeline export_customers",
            {**_ANY_AGENT, "sales-rep": REGION, **_OTHERS},
        ),
        write=(
            rule("register_customer update_customer", _ANY_AGENT),
            rule("link_customer unlink_customer", _MANAGERS),
            rule("erase_customer", {"service-manager": ALL}),
        ),
        audit=rule("get_customer_audit", _AUDITORS),
        personal=("name", "custom_personal"),
        served_by=_SERVED_BY | {"sales-rep", "sales-manager"},
    ),
    Noun(
        "tickets",
        table=Ticket.table,
        **_WHOSE,
        read=rule(
            "list_tickets get_ticket get_ticket_events export_tickets get_ticket_board",
            {**_AGENTS, "sales-rep": REGION, **_OTHERS},
        ),
        write=(
            # Who answers a call may open it for another team.
            rule("open_ticket", _AGENTS, hands_over=True),
            rule("assign_ticket escalate_ticket", _TEAMS, hands_over=True),
            rule(
                "update_ticket update_interaction log_interaction merge_ticket resolve_ticket reopen_ticket"
                " close_ticket",
                _TEAMS,
            ),
        ),
        audit=rule("get_ticket_audit", _AUDITORS),
        personal=("subject", "description", "custom_personal"),
        served_by=_SERVED_BY,
    ),
    Noun(
        "contacts about tickets",
        table=Interaction.table,
        read=rule("list_interactions get_interaction export_interactions", dict.fromkeys(ROLES, SEEN)),
        audit=rule("get_interaction_audit", _AUDITORS),
        personal=("note",),
        served_by=_SERVED_BY,
    ),
    Noun(
        "surveys",
        table=Survey.table,
        **_WHOSE,
        read=rule("list_surveys get_survey get_survey_events export_surveys", {**_AGENTS, **_OTHERS}),
        # A survey is about the agent who resolved the ticket. Those who are rated do not answer for the customer.
        write=(
            rule("send_survey", _AGENTS, hands_over=True),
            rule("enter_survey_answer", _MANAGERS),
            rule("follow_up_survey", _TEAMS),
        ),
        audit=rule("get_survey_audit", _AUDITORS),
        personal=("comment", "entered_by"),
        served_by=_SERVED_BY,
        secret=("answer_path",),
        # Its holder answers as the customer: it is for the process that sends it to them, once or again.
        secret_to=frozenset({"importer"}),
    ),
    *(
        Noun(
            name,
            table=table,
            **_WHOSE,
            read=rule(read, {**_AGENTS, **_OTHERS}),
            write=(*((rule(write, _AGENTS),) if write else ()), rule(update, whose)),
            audit=rule(f"{read.split()[1]}_audit", _AUDITORS),
        )
        for name, table, read, write, update, whose in (
            (
                "trainings",
                Training.table,
                "list_trainings get_training get_training_events export_trainings",
                "deliver_training",
                "update_training finish_training miss_training move_training cancel_training",
                _TEAMS,
            ),
            (
                "check-ins",
                CheckIn.table,
                "list_check_ins get_check_in get_check_in_events export_check_ins",
                "complete_check_in",
                "update_check_in finish_check_in miss_check_in move_check_in cancel_check_in",
                _TEAMS,
            ),
            (
                "maintenance",
                Maintenance.table,
                "list_maintenance get_maintenance get_maintenance_events export_maintenance",
                "",
                "update_maintenance finish_maintenance miss_maintenance move_maintenance cancel_maintenance",
                _TEAMS,
            ),
            (
                "onboarding steps",
                OnboardingStep.table,
                "list_onboarding_steps get_onboarding_step get_onboarding_step_events export_onboarding_steps",
                "plan_onboarding_step",
                "update_onboarding_step finish_onboarding_step miss_onboarding_step move_onboarding_step"
                " cancel_onboarding_step",
                _TEAMS,
            ),
            (
                "deliveries",
                Delivery.table,
                "list_deliveries get_delivery get_delivery_events export_deliveries",
                "accept_delivery",
                # Those who delivered do not change what the customer accepted.
                "update_delivery",
                _MANAGERS,
            ),
            (
                "upsell suggestions",
                UpsellSuggestion.table,
                "list_suggestions get_suggestion get_suggestion_events export_suggestions",
                "suggest_upsell",
                "update_suggestion",
                _TEAMS,
            ),
        )
    ),
    Noun(
        "maintenance plans",
        table=MaintenancePlan.table,
        read=rule("list_maintenance_plans get_maintenance_plan export_maintenance_plans", {**_ANY_AGENT, **_OTHERS}),
        write=(
            rule("create_maintenance_plan update_maintenance_plan end_maintenance_plan", _MANAGERS),
            rule("perform_maintenance", _ANY_AGENT),
        ),
        audit=rule("get_maintenance_plan_audit", _AUDITORS),
    ),
    Noun(
        "planning rules",
        read=rule("list_planning_rules get_planning_rule export_planning_rules", EVERYBODY),
        write=(rule("create_planning_rule change_planning_rule", _MANAGERS),),
        audit=rule("get_planning_rule_audit", _AUDITORS),
    ),
    Noun(
        "onboarding templates",
        read=rule("list_onboarding_templates get_onboarding_template export_onboarding_templates", EVERYBODY),
        write=(rule("create_onboarding_template change_onboarding_template", _MANAGERS),),
        audit=rule("get_onboarding_template_audit", _AUDITORS),
    ),
    Noun(
        "reviews",
        table=Review.table,
        read=rule("list_reviews get_review get_review_events export_reviews", {**_ANY_AGENT, **_OTHERS}),
        # Those who are rated do not change what the customer gave.
        write=(rule("record_review", _ANY_AGENT), rule("update_review", _MANAGERS)),
        audit=rule("get_review_audit", _AUDITORS),
    ),
    Noun(
        "agents",
        table=Agent.table,
        read=rule("list_agents get_agent get_agent_events export_agents", EVERYBODY),
        write=(rule("create_agent change_agent", _MANAGERS),),
        audit=rule("get_agent_audit", _AUDITORS),
        personal=("subject",),
        served_by=frozenset({"service-manager", "importer"}),
    ),
    Noun(
        "teams",
        read=rule("list_teams get_team get_team_events export_teams", EVERYBODY),
        write=(rule("create_team change_team", _MANAGERS),),
        audit=rule("get_team_audit", _AUDITORS),
    ),
    Noun(
        "SLA policies",
        read=rule("list_policies get_policy export_policies", EVERYBODY),
        write=(rule("create_policy change_policy", _MANAGERS),),
        audit=rule("get_policy_audit", _AUDITORS),
    ),
    Noun(
        "business calendars",
        read=rule("list_calendars get_calendar export_calendars", EVERYBODY),
        write=(rule("create_calendar change_calendar", _MANAGERS),),
        audit=rule("get_calendar_audit", _AUDITORS),
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
        # Some hold names.
        read=rule("list_dead_letters list_halts get_dead_letter export_dead_letters", {"service-manager": ALL}),
        write=(rule("mend_dead_letter send_dead_letter discard_dead_letter", {}),),
        audit=rule("get_dead_letter_audit", _AUDITORS),
    ),
    people=People(Agent.table, Team.table),
    mirrored={
        "accounts": _OVERSEERS | frozenset[Role]({"sales-rep", "service-agent"}),
        "leads": frozenset[Role]({"sales-manager", "analyst", "importer"}),
        # Who serves a customer knows what was sold to them, without names and texts.
        "deals": _OVERSEERS | frozenset[Role]({"service-agent"}),
        "activities": _OVERSEERS,
        "referrals": _OVERSEERS,
    },
)
"""Managers and importers see all. An agent is the one whose record names the token's subject."""
