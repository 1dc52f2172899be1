"""Quotas over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from sales_api.dependencies import ReportingCurrency
from sales_api.quotas import use_cases
from sales_api.quotas.model import Quota
from sales_api.quotas.schemas import QuotaCreate, QuotaRead, QuotaUpdate
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from service_kit.fields import Day, DecimalText, ExternalReference, Identifier
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

quotas = Resource(
    "/quotas/{quota_id}",
    Quota.table,
    QuotaRead,
    view=QuotaRead.of,
    filters={
        "rep_id": Identifier,
        "team_id": Identifier,
        "period_start": Day,
        "external_ref": ExternalReference,
        "period_end": Day,
        "target": DecimalText,
    },
    sorts=(
        "period_start",
        "period_end",
        "target",
    ),
    includes={
        "rep": included("rep_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
    },
    own_events=OwnEvents(SALES_TOPIC, "quotas"),
)
quotas.read_routes(list_as="list_quotas", get_as="get_quota")


@quotas.routes.post("", status_code=201, summary="Set a quota")
async def set_quota(
    body: QuotaCreate, work: Work, response: Response, by: By, reporting_currency: ReportingCurrency
) -> QuotaRead:
    """Set what a salesperson has to sell in a period; periods of one salesperson do not overlap."""
    return quotas.show_created(response, await use_cases.set_quota(work, body, by, reporting_currency))


@quotas.routes.patch("/{quota_id}", summary="Change a quota")
async def change_quota(
    quota_id: Identifier, body: QuotaUpdate, work: Work, response: Response, expected: Expected, by: By
) -> QuotaRead:
    """Set another target for the same salesperson and period."""
    return quotas.show(response, await use_cases.change_quota(work, quota_id, body, expected, by))
