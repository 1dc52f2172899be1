"""Wires the metrics API: the routes, the dashboard, and the ledger that they read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI

from metrics_worker import dashboard
from metrics_worker.api.access import ACCESS
from metrics_worker.api.alerts import alerts
from metrics_worker.api.coverage import coverage
from metrics_worker.api.customers import customers
from metrics_worker.api.dead_letters import dead_letters
from metrics_worker.api.events import SEES
from metrics_worker.api.explain import explanations
from metrics_worker.api.exports import AT_ONCE, exports
from metrics_worker.api.kpi_exports import kpi_exports
from metrics_worker.api.kpis import routes
from metrics_worker.api.links import ApiAddresses
from metrics_worker.api.periods import periods
from metrics_worker.api.proofs import proofs
from metrics_worker.api.scorecard import scorecard
from metrics_worker.api.stream import stream, stream_tickets
from metrics_worker.api.stream_hub import Hub
from metrics_worker.api.stream_tickets import Tickets
from metrics_worker.api.targets import targets
from metrics_worker.api.waiting import waiting, waiting_policies
from metrics_worker.api.webhooks import VIEWED_DELIVERIES, webhooks
from metrics_worker.database import SEARCH_PATH
from metrics_worker.ledger.status import reporting_of_ledger
from metrics_worker.settings import MetricsSettings
from metrics_worker.views import View
from metrics_worker.webhooks.document import webhooks as webhooks_sent
from service_kit.admission import RouteClass
from service_kit.app import create_app
from service_kit.bulk import BULK_TAG, bulk_of
from service_kit.database import create_engine
from service_kit.dead_letters.routes import DEAD_LETTERS_TAG
from service_kit.history.routes import EVENTS_TAG, event_routes
from service_kit.me import ME_TAG, me_routes
from service_kit.problems import is_transient
from service_kit.resources import Resource
from service_kit.views.routes import VIEWS_TAG, views_of

log = structlog.get_logger()


def create(settings: MetricsSettings) -> FastAPI:
    """Return the API of one process. It does not start, by `LedgerRulesDiffer`, when the ledger follows other rules."""
    engine = create_engine(settings, application="metrics-api", plans="force_custom_plan", search_path=SEARCH_PATH)

    async def ledger_fits() -> None:
        # Only the consumer opens it: until then, answers follow the settings.
        async with engine.begin() as connection:
            await reporting_of_ledger(connection)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await ledger_fits()
        except Exception as error:
            if not is_transient(error):
                raise
            # The database may come later; until then, /readyz fails.
            log.warning("ledger_not_reachable", error=repr(error))
        yield

    resources: list[Resource[Any]] = [waiting_policies, targets, periods, proofs, dead_letters, webhooks]
    views = views_of(View, resources, [VIEWED_DELIVERIES])
    nouns = [*(each.routes for each in resources), views]
    app = create_app(
        title="Tandem metrics",
        summary="KPIs of sales and service.",
        description="KPIs of sales and service from one ledger. Roles and teams decide whose numbers a caller sees.",
        tags={
            "kpis": "KPIs with what is behind them: catalogue, values, explanations, coverage, scorecard and alerts.",
            "waiting": "Who waits for us, and for how long customers may.",
            "customers": "The health of one customer.",
            "targets": "The values that KPIs are to reach.",
            "periods": "Closed periods, and what has changed in them since.",
            "proofs": "When the ledger was compared with the log, and what was found.",
            "exports": "KPIs and the ledger's postings as files.",
            "push": "Values as they change: streams of server-sent events, and webhooks.",
            **DEAD_LETTERS_TAG,
            **EVENTS_TAG,
            **VIEWS_TAG,
            **BULK_TAG,
            **ME_TAG,
        },
        settings=settings,
        engine=engine,
        routers=[
            me_routes(),
            *nouns,
            event_routes([], SEES),
            # A secret is shown once, in the answer to its own request.
            bulk_of(nouns, singly=frozenset({"add_webhook_secret"})),
            routes,
            explanations,
            coverage,
            scorecard,
            alerts,
            waiting,
            customers,
            stream,
            stream_tickets,
            exports,
            kpi_exports,
        ],
        access=ACCESS,
        ready={"ledger": ledger_fits},
        lifespan=lifespan,
        webhooks=webhooks_sent,
        classes={"/v1/exports": RouteClass.BULK, "/v1/stream": RouteClass.STREAM},
    )
    app.state.saved_views = View.table
    app.state.reporting = settings.reporting
    app.state.addresses = ApiAddresses(sales=settings.sales_api_url, service=settings.service_api_url)
    app.state.hub = Hub(engine, settings.reporting, readers=settings.stream_readers)
    app.state.tickets = Tickets(engine)
    app.state.exports_free = asyncio.Semaphore(AT_ONCE)
    dashboard.add_to(app, settings)
    return app
