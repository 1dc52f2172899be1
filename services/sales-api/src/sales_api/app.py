"""The sales API, wired: every noun's routes."""

from typing import Any

from fastapi import FastAPI

from sales_api.access import ACCESS
from sales_api.accounts.routes import accounts
from sales_api.activities.routes import activities
from sales_api.custom_fields import Field
from sales_api.dead_letters import dead_letters
from sales_api.deals.routes import deals
from sales_api.exchange_rates import exchange_rates
from sales_api.leads.routes import leads
from sales_api.list_values.routes import list_values
from sales_api.planning_rules.routes import planning_rules
from sales_api.products import products
from sales_api.quotas.routes import quotas
from sales_api.referrals.routes import referrals
from sales_api.reps import Rep, RepRead, reps
from sales_api.settings import SalesSettings
from sales_api.teams import teams
from sales_api.views import View
from service_kit.app import create_app
from service_kit.bulk import BULK_TAG, bulk_of
from service_kit.custom_fields.routes import CUSTOM_FIELDS_TAG, custom_fields_of
from service_kit.database import create_engine
from service_kit.dead_letters.routes import DEAD_LETTERS_TAG
from service_kit.history.routes import EVENTS_TAG, event_routes
from service_kit.imports.routes import IMPORTS_TAG, imports_of
from service_kit.me import ME_TAG, me_routes
from service_kit.resources import Resource
from service_kit.views.routes import VIEWS_TAG, views_of


def create(settings: SalesSettings) -> FastAPI:
    """Return the API of one process."""
    resources: list[Resource[Any]] = [
        *(accounts, leads, deals, activities, planning_rules, referrals, quotas),
        *(products, list_values, exchange_rates, reps, teams, dead_letters),
    ]
    nouns = [each.routes for each in resources]
    custom_fields = custom_fields_of(Field, resources)
    views = views_of(View, [*resources, custom_fields])
    app = create_app(
        title="Tandem sales",
        summary="Leads, deals and what leads to them.",
        description="Accounts, leads, deals, activities, referrals, quotas. Changes are published on `sales.events`.",
        tags={
            "accounts": "Customers: companies or people that buy. Service and the KPIs know them by the same id.",
            "leads": "Possible customers, from the first sign of interest until they are converted or disqualified.",
            "deals": "Sales in progress, closed as won or lost; they can be reopened and amended.",
            "activities": "Calls, meetings and tasks of salespeople: planned, done, missed, moved or cancelled.",
            "planning-rules": "Which activities plan themselves: after a deal was won or lost, or at intervals.",
            "referrals": "Customers' recommendations that lead to new accounts.",
            "quotas": "What each salesperson has to sell in a period.",
            "products": "The catalogue that deals and leads name by code.",
            "list-values": "What fields such as the channel and the reason may have, with the labels that people read.",
            "exchange-rates": "Rates to the reporting currency by day; a deal freezes one when it closes.",
            "reps": "Salespeople, who own accounts, leads and deals.",
            "teams": "Groups of salespeople, one above another.",
            **DEAD_LETTERS_TAG,
            **EVENTS_TAG,
            **IMPORTS_TAG,
            **VIEWS_TAG,
            **CUSTOM_FIELDS_TAG,
            **BULK_TAG,
            **ME_TAG,
        },
        settings=settings,
        engine=create_engine(settings, application="sales-api", prepares_once=False),
        routers=[
            *nouns,
            views,
            custom_fields.routes,
            event_routes(resources),
            me_routes(Rep.table, RepRead),
            imports_of(nouns),
            bulk_of([*nouns, custom_fields.routes, views]),
        ],
        access=ACCESS,
    )
    app.state.saved_views = View.table
    return app
