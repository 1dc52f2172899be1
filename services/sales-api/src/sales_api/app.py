"""The sales API, wired: every noun's routes."""

from fastapi import FastAPI

from sales_api.access import ACCESS
from sales_api.accounts.routes import accounts
from sales_api.activities.routes import activities
from sales_api.deals.routes import deals
from sales_api.exchange_rates import exchange_rates
from sales_api.leads.routes import leads
from sales_api.products import products
from sales_api.quotas.routes import quotas
from sales_api.referrals.routes import referrals
from sales_api.reps import reps
from sales_api.settings import SalesSettings
from sales_api.teams import teams
from service_kit.app import create_app
from service_kit.database import create_engine
from service_kit.imports.routes import imports_of


def create(settings: SalesSettings) -> FastAPI:
    """Return the API of one process."""
    nouns = [
        each.routes
        for each in (accounts, leads, deals, activities, referrals, quotas, products, exchange_rates, reps, teams)
    ]
    return create_app(
        title="Tandem sales",
        description="Accounts, leads, deals, activities, referrals, quotas. Changes are published on `sales.events`.",
        settings=settings,
        engine=create_engine(settings, application="sales-api"),
        routers=[*nouns, imports_of(nouns)],
        access=ACCESS,
    )
