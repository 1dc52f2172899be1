"""The query parameters and dependencies that the address families share."""

from typing import Annotated

from fastapi import Depends, Query, Request

from event_contracts.fields import CODE_PATTERN
from metrics_worker.api.answers import readable
from metrics_worker.api.links import ApiAddresses
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import LedgerStatus, ledger_status
from service_kit.dependencies import async_dependency
from service_kit.fields import Day
from service_kit.routing import work_of


async def status_of(request: Request) -> LedgerStatus:
    """Return the status of the ledger, with the settings' time zone and currency before it is opened.

    It is read first, in the request's own snapshot: a rebuild meanwhile changes nothing under the answer.
    Raise `Unavailable`.
    """
    with readable():
        return await ledger_status(await work_of(request).connection(), request.app.state.reporting)


Status = Annotated[LedgerStatus, Depends(status_of)]


async def reporting_of(request: Request) -> Reporting:
    """Return the time zone and currency of the ledger. Raise `Unavailable`."""
    return (await status_of(request)).reporting


LedgerReporting = Annotated[Reporting, Depends(reporting_of)]


def _addresses_of(request: Request) -> ApiAddresses:
    found: ApiAddresses = request.app.state.addresses
    return found


Addresses = Annotated[ApiAddresses, Depends(async_dependency(_addresses_of))]
FirstDay = Annotated[Day | None, Query(alias="from", description="First day; by default 30 days up to the last.")]
LastDay = Annotated[Day | None, Query(alias="to", description="Last day; today by default.")]
Code = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Only this value; empty for subjects without one.",
        json_schema_extra={"pattern": f"^$|{CODE_PATTERN}"},
        examples=["EMEA"],
    ),
]
Identity = Annotated[
    str | None,
    Query(
        max_length=36,
        description="Only this id; empty for subjects without one.",
        json_schema_extra={"pattern": "^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
        examples=["01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"],
    ),
]


def filters(
    region: Code = None,
    segment: Code = None,
    product: Code = None,
    channel: Code = None,
    owner: Identity = None,
    team: Identity = None,
    customer: Identity = None,
    priority: Code = None,
    kind: Code = None,
    stage: Code = None,
    answer_source: Code = None,
) -> dict[str, str | None]:
    """Return every dimension that is a query parameter; a test compares them with `kinds.DIMENSIONS`."""
    return {
        "region": region,
        "segment": segment,
        "product": product,
        "channel": channel,
        "owner": owner,
        "team": team,
        "customer": customer,
        "priority": priority,
        "kind": kind,
        "stage": stage,
        "answer_source": answer_source,
    }


Filters = Annotated[dict[str, str | None], Depends(async_dependency(filters))]
