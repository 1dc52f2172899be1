"""Wires the service API: every noun's routes, and the signer of survey links."""

from fastapi import FastAPI

from service_api.agents import agents
from service_api.business_calendars import business_calendars
from service_api.customers.routes import customers
from service_api.settings import ServiceApiSettings
from service_api.sla_policies import sla_policies
from service_api.surveys.links import SurveyLinks
from service_api.surveys.routes import survey_answers, surveys
from service_api.teams import teams
from service_api.tickets.routes import tickets
from service_kit.app import create_app
from service_kit.database import create_engine


def create(settings: ServiceApiSettings) -> FastAPI:
    """The API of one process."""
    app = create_app(
        title="Tandem service",
        description="Customers, tickets with the contacts about them, and surveys. Every role may read.",
        settings=settings,
        engine=create_engine(settings, application="service-api"),
        routers=[
            teams,
            agents,
            customers,
            tickets,
            surveys,
            survey_answers,
            sla_policies,
            business_calendars,
        ],
    )
    app.state.survey_links = SurveyLinks(settings.survey_link_secret.get_secret_value())
    return app
