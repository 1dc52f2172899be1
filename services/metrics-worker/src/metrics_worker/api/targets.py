"""Targets over HTTP: addressed as the KPI itself is asked for, by variant and at most one filter."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import sqlalchemy as sa
from fastapi import Depends, Path, Query, Request, Response
from pydantic import Field

from event_contracts.catalogue import METRICS_TOPIC
from metrics_worker.api.names import Named, NameReader, name_reader
from metrics_worker.api.parameters import Filters, LedgerReporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.tables import CUSTOMER
from metrics_worker.queries.names import name_of_value
from metrics_worker.queries.query import filters_of, kpi_named, variant_of
from metrics_worker.targets import use_cases
from metrics_worker.targets.model import Target, TargetKey
from metrics_worker.targets.schemas import TargetRead, TargetSetRequest
from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.dependencies import async_dependency
from service_kit.fields import Code, Day, Flag, Moment, Name
from service_kit.history.own_events import OwnEvents
from service_kit.history.queries import OF_ONE_RECORD as EVENTS_OF_ONE_RECORD
from service_kit.history.queries import history_of
from service_kit.history.request import HistoryRequest
from service_kit.history.schemas import HistoryEventRead
from service_kit.paging import Paged, PageRead, page_of
from service_kit.problems import Unprocessable
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work
from service_kit.versions import Expected, unchanged

_columns = Target.table.c
_NAME: Final = "name_of_value"
_EVENTS: Final = OwnEvents(METRICS_TOPIC, "targets")
_reads_types: Final = HistoryRequest(_EVENTS)


def _view_for(request: Request) -> Callable[[Any], TargetRead]:
    """Return the view of rows of the list, which have the name of their value beside."""
    shows_customers = name_reader(request).shows_customers

    def view(row: Any) -> TargetRead:
        name = None if row.dimension == CUSTOMER and not shows_customers else getattr(row, _NAME)
        shown = TargetRead.model_validate(row)
        return shown if name is None else shown.model_copy(update={"names": {row.dimension: name}})

    return view


targets = Resource(
    "/targets/{kpi}",
    Target.table,
    TargetRead,
    filters={
        "kpi": Code,
        "variant": Code,
        "dimension": Code,
        "dimension_value": Annotated[Name, Field(examples=["EMEA"])],
        "period": Literal["day", "week", "month", "quarter", "year"],
        "since": Day,
        "missed": Flag,
        "set_at": Moment,
    },
    sorts=("kpi", "set_at"),
    rows=sa.select(Target.table, name_of_value(_columns.dimension, _columns.dimension_value).label(_NAME)),
    view_for=_view_for,
    is_small=True,
)
targets.read_routes(list_as="list_targets")


class Address:
    """The parameters of a target's address. Resolved by the routes, so that an impossible body is refused first."""

    def __init__(
        self,
        kpi: Annotated[
            str, Path(max_length=64, description="The KPI, as GET /v1/kpis names it.", examples=["revenue"])
        ],
        given: Filters,
        variant: Annotated[
            str | None,
            Query(max_length=64, description="The definition to use; GET /v1/kpis lists them.", examples=["count"]),
        ] = None,
    ) -> None:
        self._kpi, self._given, self._variant = kpi, given, variant

    def key(self) -> TargetKey:
        """What the target is for. Raises `UnknownKpi` and `Unprocessable`."""
        kpi = kpi_named(self._kpi)
        asked = filters_of(kpi, self._given)
        if len(asked) > 1:
            raise Unprocessable.at(f"?{list(asked)[1]}", "a target is for one value of one dimension at most")
        dimension, value = next(iter(asked.items()), (None, None))
        return TargetKey(kpi.name, variant_of(kpi, self._variant), dimension, value)


At = Annotated[Address, Depends(async_dependency(Address))]


@targets.routes.put("/{kpi}", responses={201: {"model": TargetRead, "description": "A new target."}})
async def set_target(
    at: At,
    body: TargetSetRequest,
    work: Work,
    response: Response,
    expected: Expected,
    reporting: LedgerReporting,
    named: Named,
) -> TargetRead:
    """Set or change the target of a KPI. The filter is part of the address: `?region=EMEA`."""
    key = at.key()
    formula = KPIS[key.kpi].variants[key.variant]
    target, is_new = await use_cases.set_target(work, key, formula, body, expected, reporting)
    if is_new:
        response.status_code = 201
    return await _shown(work, response, target, named)


@targets.routes.get("/{kpi}", response_model=TargetRead)
async def get_target(at: At, work: Work, request: Request, response: Response, named: Named) -> TargetRead | Response:
    """Return the target of exactly this variant and filter."""
    target = await use_cases.get_target(work, at.key())
    return unchanged(request, target.version) or await _shown(work, response, target, named)


async def _shown(work: Work, response: Response, target: Target, named: NameReader) -> TargetRead:
    value = {} if target.dimension is None else {target.dimension: target.dimension_value}
    names = (await named.of(await work.connection(), [value])).of(value)
    return targets.show(response, target).model_copy(update={"names": names})


@targets.routes.get("/{kpi}/audit", description=OF_ONE_RECORD, response_model=page_of(AuditEntryRead))
async def get_target_audit(at: At, work: Work, page: Paged, access: CallersAccess) -> PageRead[AuditEntryRead]:
    """Return who changed the target of exactly this variant and filter."""
    return await audit_of(work, page, access, Target.table, await use_cases.get_target(work, at.key()))


@targets.routes.get(
    "/{kpi}/events",
    summary="Read the events of one target",
    description=EVENTS_OF_ONE_RECORD,
    response_model=page_of(HistoryEventRead),
    openapi_extra=_reads_types.document(),
)
async def get_target_events(
    at: At, work: Work, page: Paged, types: Annotated[list[str] | None, Depends(_reads_types)]
) -> PageRead[HistoryEventRead]:
    return await history_of(work, page, _EVENTS, await use_cases.get_target(work, at.key()), types)


@targets.routes.delete("/{kpi}", status_code=204)
async def delete_target(at: At, work: Work, expected: Expected) -> None:
    """Delete a target."""
    await use_cases.delete_target(work, at.key(), expected)
