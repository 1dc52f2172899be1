"""Closed periods over HTTP."""

from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request, Response

from event_contracts.catalogue import METRICS_TOPIC
from metrics_worker.api.parameters import LedgerReporting
from metrics_worker.periods import queries, use_cases
from metrics_worker.periods.model import ClosedPeriod
from metrics_worker.periods.schemas import ClosedPeriodRead, RestatementRead
from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.fields import Code, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.history.queries import OF_ONE_RECORD as EVENTS_OF_ONE_RECORD
from service_kit.history.queries import history_of
from service_kit.history.request import HistoryRequest
from service_kit.history.schemas import HistoryEventRead
from service_kit.lists.exports import exported_records
from service_kit.lists.files import Form, file_of, file_route, pages_of
from service_kit.lists.filters import OneOf
from service_kit.paging import MAX_LIMIT, Paged, PageRead, page_of
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work

_columns = ClosedPeriod.table.c
_EVENTS: Final = OwnEvents(METRICS_TOPIC, "periods")
_reads_types: Final = HistoryRequest(_EVENTS)
periods = Resource(
    "/periods/{period}",
    ClosedPeriod.table,
    ClosedPeriodRead,
    filters={"closed_at": Moment},
    more_filters=[OneOf("period", Code, "Only these periods, by their names.", MAX_LIMIT, column=_columns.name)],
    sorts=("closed_at",),
    rows=queries.PERIOD_ROWS,
    is_small=True,
)
periods.read_routes(list_as="list_periods")
routes = periods.routes

Named = Annotated[
    str,
    Path(
        max_length=64,
        description="A day 2026-03-10, a week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year 2026.",
        examples=["2026-03"],
    ),
]


@routes.get("/{period}")
async def get_period(period: Named, work: Work) -> ClosedPeriodRead:
    """Return a closed period and the moment of its figures."""
    return ClosedPeriodRead.of(await use_cases.closed_period(work, period))


@routes.get("/{period}/audit", description=OF_ONE_RECORD, response_model=page_of(AuditEntryRead))
async def get_period_audit(period: Named, work: Work, page: Paged, access: CallersAccess) -> PageRead[AuditEntryRead]:
    """Return who closed a period."""
    return await audit_of(work, page, access, ClosedPeriod.table, await use_cases.closed_period(work, period))


@routes.get(
    "/{period}/events",
    summary="Read the events of one closed period",
    description=EVENTS_OF_ONE_RECORD,
    response_model=page_of(HistoryEventRead),
    openapi_extra=_reads_types.document(),
)
async def get_period_events(
    period: Named, work: Work, page: Paged, types: Annotated[list[str] | None, Depends(_reads_types)]
) -> PageRead[HistoryEventRead]:
    return await history_of(work, page, _EVENTS, await use_cases.closed_period(work, period), types)


@routes.post("/{period}/close")
async def close_period(period: Named, work: Work, reporting: LedgerReporting) -> ClosedPeriodRead:
    """Close a period that is over: from now on each change of its figures is published as a restatement."""
    return ClosedPeriodRead.of(await use_cases.close_period(work, period, reporting))


@routes.get("/{period}/restatements", response_model=page_of(RestatementRead))
async def list_restatements(
    period: Named, work: Work, reporting: LedgerReporting, page: Paged, kpi: Code | None = None
) -> PageRead[RestatementRead]:
    """Return the figures of a closed period that have changed since, with the events behind each."""
    closed = await use_cases.closed_period(work, period)
    return await queries.list_restatements(work, closed, page, reporting, kpi)


@routes.get("/{period}/restatements/export", **file_route(RestatementRead, "the restatements of a period"))
async def export_restatements(
    period: Named,
    work: Work,
    request: Request,
    reporting: LedgerReporting,
    kpi: Annotated[Code | None, Query(description="Only those of this KPI.", examples=["revenue"])] = None,
    form: Form = "csv",
) -> Response:
    closed = await use_cases.closed_period(work, period)
    found = await queries.all_restatements(work, closed, reporting, kpi)
    chunks = exported_records(RestatementRead, pages_of(found), form)
    given = {"period": closed.name, "kpi": kpi, "format": form}
    return await file_of(request, chunks, form, noun="restatement", name=f"restatements-{closed.name}", given=given)
