"""Closed periods over HTTP."""

from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel

from metrics_worker.api.parameters import LedgerReporting
from metrics_worker.periods import queries, use_cases
from metrics_worker.periods.model import ClosedPeriod
from metrics_worker.periods.schemas import ClosedPeriodRead, RestatementRead
from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.fields import Code
from service_kit.lists.listing import ListQuery
from service_kit.paging import Paged, PageRead, page_of
from service_kit.routing import CallersAccess, Work, router

periods = router("/periods", "periods")
_ASKS_PERIODS = queries.PERIODS.query_of()

Named = Annotated[
    str,
    Path(
        max_length=64,
        description="A day 2026-03-10, a week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year 2026.",
        examples=["2026-03"],
    ),
]


@periods.get("", response_model=queries.PERIODS.page_model, openapi_extra=_ASKS_PERIODS.document())
async def list_periods(
    work: Work, access: CallersAccess, asked: Annotated[ListQuery, Depends(_ASKS_PERIODS)]
) -> BaseModel:
    """Return closed periods, the last closed first."""
    return await queries.PERIODS.page(work, access, asked, ClosedPeriodRead.model_validate)


@periods.get("/{period}")
async def get_period(period: Named, work: Work) -> ClosedPeriodRead:
    """Return a closed period and the moment of its figures."""
    return ClosedPeriodRead.of(await use_cases.closed_period(work, period))


@periods.get("/{period}/audit", description=OF_ONE_RECORD, response_model=page_of(AuditEntryRead))
async def get_period_audit(period: Named, work: Work, page: Paged, access: CallersAccess) -> PageRead[AuditEntryRead]:
    """Return who closed a period."""
    return await audit_of(work, page, access, ClosedPeriod.table, await use_cases.closed_period(work, period))


@periods.post("/{period}/close")
async def close_period(period: Named, work: Work, reporting: LedgerReporting) -> ClosedPeriodRead:
    """Close a period that is over: from now on each change of its figures is published as a restatement."""
    return ClosedPeriodRead.of(await use_cases.close_period(work, period, reporting))


@periods.get("/{period}/restatements", response_model=page_of(RestatementRead))
async def list_restatements(
    period: Named, work: Work, reporting: LedgerReporting, page: Paged, kpi: Code | None = None
) -> PageRead[RestatementRead]:
    """Return the figures of a closed period that have changed since, with the events behind each."""
    closed = await use_cases.closed_period(work, period)
    return await queries.list_restatements(work, closed, page, reporting, kpi)
