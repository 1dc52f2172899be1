"""The service API, wired: every noun's routes, and the signer of survey links."""

from typing import Any

from fastapi import FastAPI

from service_api.access import ACCESS
from service_api.agents import Agent, AgentRead, agents
from service_api.business_calendars import business_calendars
from service_api.check_ins import check_ins
from service_api.custom_fields import Field
from service_api.customers.routes import customers
from service_api.dead_letters import dead_letters
from service_api.deliveries.routes import deliveries
from service_api.maintenance.routes import maintenance, plans
from service_api.onboardings.routes import onboarding_steps, onboarding_templates
from service_api.planning_rules.routes import planning_rules
from service_api.reviews import reviews
from service_api.settings import ServiceApiSettings
from service_api.sla_policies.routes import sla_policies
from service_api.surveys.links import SurveyLinks
from service_api.surveys.routes import survey_answers, surveys
from service_api.teams import teams
from service_api.tickets.queries import INTERACTIONS
from service_api.tickets.routes import tickets
from service_api.trainings import trainings
from service_api.upsell_suggestions import upsell_suggestions
from service_api.views import View
from service_kit.app import create_app
from service_kit.bulk import BULK_TAG, bulk_of
from service_kit.custom_fields.routes import CUSTOM_FIELDS_TAG, custom_fields_of
from service_kit.database import create_engine
from service_kit.dead_letters.routes import DEAD_LETTERS_TAG
from service_kit.history.routes import EVENTS_TAG, event_routes
from service_kit.imports.routes import IMPORTS_TAG, imports_of
from service_kit.me import ME_TAG, me_routes
from service_kit.resources import Resource
from service_kit.views.routes import VIEWS_TAG, ViewedList, views_of


def create(settings: ServiceApiSettings) -> FastAPI:
    """Return the API of one process."""
    resources: list[Resource[Any]] = [
        *(teams, agents, customers, tickets, surveys, sla_policies, business_calendars, trainings, check_ins),
        *(plans, maintenance, planning_rules, onboarding_steps, onboarding_templates, deliveries, reviews),
        *(upsell_suggestions, dead_letters),
    ]
    nouns = [*(each.routes for each in resources), survey_answers]
    custom_fields = custom_fields_of(Field, resources)
    interactions = ViewedList(INTERACTIONS, "list_interactions", "/v1/tickets/{ticket_id}/interactions")
    views = views_of(View, [*resources, custom_fields], [interactions])
    app = create_app(
        title="Tandem service",
        summary="Tickets and what else is done for customers.",
        description="Customers, tickets with the contacts about them, surveys, and what else is done for customers.",
        tags={
            "customers": "Customers as service knows them: copies of sales' accounts, and those met before sales.",
            "tickets": "Customers' questions, requests and problems, with the contacts about them.",
            "surveys": "Questions to customers about a ticket, answered by a signed link, or entered for them.",
            "sla-policies": "The times within which tickets must be answered and resolved.",
            "business-calendars": "The hours and holidays that SLA policies count by.",
            "trainings": "Trainings of customers' people that were delivered.",
            "check-ins": "Conversations that service starts before anything is wrong.",
            "maintenance": "Plans of what is maintained for a customer and how often, and what was performed.",
            "planning-rules": "Which check-ins plan themselves: after an onboarding or a bad rating, or at intervals.",
            "onboardings": "The steps that bring won deals into use, and the templates by product that plan them.",
            "deliveries": "What customers accepted of won deals, against the deal's promise.",
            "reviews": "Scores that customers gave in public.",
            "upsell-suggestions": "What agents think that a customer could use; sales makes leads of them.",
            "agents": "The people who answer customers.",
            "teams": "Groups of agents, one above another.",
            **EVENTS_TAG,
            **DEAD_LETTERS_TAG,
            **IMPORTS_TAG,
            **VIEWS_TAG,
            **CUSTOM_FIELDS_TAG,
            **BULK_TAG,
            **ME_TAG,
        },
        settings=settings,
        engine=create_engine(settings, application="service-api", prepares_once=False),
        routers=[
            *nouns,
            views,
            custom_fields.routes,
            event_routes(resources),
            me_routes(Agent.table, AgentRead),
            imports_of(nouns),
            bulk_of([*nouns, custom_fields.routes, views]),
        ],
        access=ACCESS,
    )
    app.state.saved_views = View.table
    secrets = (settings.survey_link_secret, settings.survey_link_previous_secret)
    app.state.survey_links = SurveyLinks(
        *(secret.get_secret_value() for secret in secrets if secret is not None), days=settings.survey_link_days
    )
    return app
