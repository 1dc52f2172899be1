"""Wires the service API: every noun's routes, and the signer of survey links."""

from fastapi import FastAPI

from service_api import agents, teams
from service_api.customers.routes import routes as customer_routes
from service_api.settings import ApiSettings
from service_api.surveys.links import SurveyLinks
from service_api.surveys.routes import public_routes as survey_answer_routes
from service_api.surveys.routes import routes as survey_routes
from service_api.tickets.routes import routes as ticket_routes
from service_kit.app import create_app
from service_kit.database import create_engine


def create(settings: ApiSettings) -> FastAPI:
    """The API of one process."""
    app = create_app(
        title="Tandem service",
        description="Customers, tickets with the contacts about them, and surveys. Every role may read.",
        settings=settings,
        engine=create_engine(settings, application="service-api"),
        routers=[
            teams.routes,
            agents.routes,
            customer_routes,
            ticket_routes,
            survey_routes,
            survey_answer_routes,
        ],
    )
    app.state.survey_links = SurveyLinks(settings.survey_link_secret.get_secret_value())
    return app
