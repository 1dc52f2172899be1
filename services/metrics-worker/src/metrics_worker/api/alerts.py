"""GET /v1/alerts."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request, Response

from metrics_worker.alerts.rules import alerts as all_alerts
from metrics_worker.alerts.schemas import AlertKind, AlertRead, Severity, position_of
from metrics_worker.api.limits import limits_of
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import LedgerReporting
from metrics_worker.domain.posting import Reporting
from service_kit.access import Access
from service_kit.lists.exports import exported_records
from service_kit.lists.files import Form, file_of, file_route, pages_of
from service_kit.paging import Paged, PageRead, page_of
from service_kit.routing import CallersAccess, Work, router
from service_kit.unit_of_work import UnitOfWork

alerts = router("/alerts", "kpis")

OfKind = Annotated[AlertKind | None, Query(description="Only this kind.")]
OfSeverity = Annotated[Severity | None, Query(description="Only this severity.")]


@alerts.get("", response_model=page_of(AlertRead))
async def list_alerts(
    work: Work,
    reporting: LedgerReporting,
    page: Paged,
    access: CallersAccess,
    named: Named,
    kind: OfKind = None,
    severity: OfSeverity = None,
) -> PageRead[AlertRead]:
    """Return what needs attention now, the most severe first, then the longest-lasting.

    A salesperson or agent gets what is theirs, their teams' and that of the teams below: tickets that wait, and targets
    that are missed.
    """
    found = await _found(work, reporting, access, kind, severity)
    if page.after is not None:
        found = [each for each in found if position_of(each) > page.after]
    more = len(found) > page.limit
    shown = found[: page.limit]
    with_names = await named.added_to_alerts(await work.connection(), shown)
    return PageRead(items=with_names, next_cursor=page.cursor_after(position_of(shown[-1])) if more else None)


@alerts.get("/export", **file_route(AlertRead, "alerts"))
async def export_alerts(
    work: Work,
    request: Request,
    reporting: LedgerReporting,
    access: CallersAccess,
    named: Named,
    kind: OfKind = None,
    severity: OfSeverity = None,
    form: Form = "csv",
) -> Response:
    found = await _found(work, reporting, access, kind, severity)
    with_names = await named.added_to_alerts(await work.connection(), found)
    chunks = exported_records(AlertRead, pages_of(with_names), form)
    given = {"kind": kind, "severity": severity, "format": form}
    return await file_of(request, chunks, form, noun="alert", name="alerts", given=given)


async def _found(
    work: UnitOfWork, reporting: Reporting, access: Access, kind: AlertKind | None, severity: Severity | None
) -> list[AlertRead]:
    limits = await limits_of(access, work)
    sees = limits.cover if limits.are_set else None
    found = [
        each
        for each in await all_alerts(work, reporting, datetime.now(UTC), sees=sees)
        if kind in (None, each.kind) and severity in (None, each.severity)
    ]
    found.sort(key=position_of)
    return found
