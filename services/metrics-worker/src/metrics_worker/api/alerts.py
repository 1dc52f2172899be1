"""GET /v1/alerts."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from metrics_worker.alerts.rules import alerts as all_alerts
from metrics_worker.alerts.schemas import AlertKind, AlertRead, Severity, position_of
from metrics_worker.api.limits import limits_of
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import LedgerReporting
from service_kit.paging import Paged, PageRead, page_of
from service_kit.routing import CallersAccess, Work, router

alerts = router("/alerts", "kpis")


@alerts.get("", response_model=page_of(AlertRead))
async def list_alerts(
    work: Work,
    reporting: LedgerReporting,
    page: Paged,
    access: CallersAccess,
    named: Named,
    kind: Annotated[AlertKind | None, Query(description="Only this kind.")] = None,
    severity: Annotated[Severity | None, Query(description="Only this severity.")] = None,
) -> PageRead[AlertRead]:
    """Return what needs attention now, the most severe first, then the longest-lasting.

    A salesperson or agent gets what is theirs, their teams' and that of the teams below: tickets that wait, and targets
    that are missed.
    """
    limits = await limits_of(access, work)
    sees = limits.cover if limits.are_set else None
    found = [
        each
        for each in await all_alerts(work, reporting, datetime.now(UTC), sees=sees)
        if kind in (None, each.kind) and severity in (None, each.severity)
    ]
    found.sort(key=position_of)
    if page.after is not None:
        found = [each for each in found if position_of(each) > page.after]
    more = len(found) > page.limit
    shown = found[: page.limit]
    with_names = await named.added_to_alerts(await work.connection(), shown)
    return PageRead(items=with_names, next_cursor=page.cursor_after(position_of(shown[-1])) if more else None)
