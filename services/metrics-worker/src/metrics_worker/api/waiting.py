"""GET /v1/waiting, and the policies by which customers may wait."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.api.limits import limits_of
from metrics_worker.api.links import ApiAddresses, record_address
from metrics_worker.api.names import Named, NameReader
from metrics_worker.api.parameters import Addresses, Code, Identity, Status
from metrics_worker.customers.queries import survivors_of
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.waiting import WaitFunction, WaitReason
from metrics_worker.ledger.tables import open_wait
from metrics_worker.queries.query import value_of
from metrics_worker.waiting import use_cases
from metrics_worker.waiting.model import PolicyBook, WaitingPolicy, WaitState
from metrics_worker.waiting.queries import WaitQuery, filtered, policies_in_use
from metrics_worker.waiting.schemas import (
    EscalationRead,
    WaitingPolicyCreate,
    WaitingPolicyRead,
    WaitingPolicyUpdate,
    WaitingSummaryRead,
    WaitRead,
    WaitsByFunctionRead,
)
from service_kit.access import Access
from service_kit.dependencies import async_dependency
from service_kit.fields import Flag, Identifier
from service_kit.lists.exports import ROWS, exported_records
from service_kit.lists.files import Form, file_of, file_route
from service_kit.paging import Paged, PageRead, page_of
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work, router
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected

waiting = router("/waiting", "waiting")
waiting_policies = Resource(
    "/waiting-policies/{policy_id}",
    WaitingPolicy.table,
    WaitingPolicyRead,
    filters={"active": Flag, "reason": WaitReason, "team_id": Identifier},
    sorts=("name", "limit_minutes"),
    tag="waiting",
    is_small=True,
)
waiting_policies.read_routes(list_as="list_waiting_policies", get_as="get_waiting_policy")


def _filters(
    reason: Annotated[WaitReason | None, Query(description="Only waits for this.")] = None,
    function: Annotated[WaitFunction | None, Query(description="Only what one of the two has to act on.")] = None,
    region: Code = None,
    segment: Code = None,
    product: Code = None,
    channel: Code = None,
    owner: Identity = None,
    team: Identity = None,
    customer: Identity = None,
) -> dict[str, Any]:
    given = {"reason": reason, "function": function}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    columns = {"region": region, "segment": segment, "product": product, "channel": channel}
    people = {"owner": owner, "team": team, "customer": customer}
    for name, text in (columns | people).items():
        if text is not None:
            value = value_of(name, text) if text else None
            asked[name] = UUID(value) if value is not None and name in people else value
    return asked


Asked = Annotated[dict[str, Any], Depends(async_dependency(_filters))]
InState = Annotated[WaitState | None, Query(description="Only those that are over their limit, due soon, or neither.")]


@waiting.get("", response_model=page_of(WaitRead))
async def list_waiting(
    work: Work,
    status: Status,
    page: Paged,
    access: CallersAccess,
    asked: Asked,
    named: Named,
    addresses: Addresses,
    state: InState = None,
) -> PageRead[WaitRead]:
    """Return who waits for us, the longest first.

    A salesperson or agent gets what is theirs, their teams' and that of the teams below.
    """
    book = await policies_in_use(work)
    query = await _query(work, access, book, asked)
    connection = await work.connection()
    rows = await query.page(connection, state=state, after=page.after, limit=page.limit + 1)
    shown = rows[: page.limit]
    items = await _views(connection, shown, query.now, book, addresses, named)
    return PageRead(items=items, next_cursor=page.cursor_after(shown[-1].id) if len(rows) > len(shown) else None)


@waiting.get("/export", **file_route(WaitRead, "who waits"))
async def export_waiting(
    work: Work,
    request: Request,
    status: Status,
    access: CallersAccess,
    asked: Asked,
    named: Named,
    addresses: Addresses,
    state: InState = None,
    form: Form = "csv",
) -> Response:
    book = await policies_in_use(work)
    query = await _query(work, access, book, asked)
    engine: AsyncEngine = request.app.state.engine

    async def pages() -> AsyncGenerator[Sequence[WaitRead], None]:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            after = None
            while rows := await query.page(connection, state=state, after=after, limit=ROWS):
                yield await _views(connection, rows, query.now, book, addresses, named)
                after = rows[-1].id

    chunks = exported_records(WaitRead, pages(), form)
    given = {**asked, "state": state, "format": form}
    return await file_of(request, chunks, form, noun="wait", name="waiting", given=given)


@waiting.get("/summary")
async def summarize_waiting(work: Work, status: Status, access: CallersAccess, asked: Asked) -> WaitingSummaryRead:
    """Return how many of them there are, and for how long they wait."""
    query = await _query(work, access, await policies_in_use(work), asked)
    totals = await query.totals(await work.connection())
    return WaitingSummaryRead(
        at=query.now,
        fresh_as_of=status.fresh_as_of,
        waiting=totals.waiting,
        over=totals.over,
        warning=totals.warning,
        fine=totals.waiting - totals.over - totals.warning,
        by_function=WaitsByFunctionRead(sales=totals.sales, service=totals.waiting - totals.sales),
        longest_minutes=None if totals.longest is None else int(totals.longest) // 60,
        median_minutes=None if totals.median is None else int(totals.median) // 60,
    )


async def _query(work: UnitOfWork, access: Access, book: PolicyBook, asked: dict[str, Any]) -> WaitQuery:
    conditions = filtered(asked)
    reach = (await limits_of(access, work)).reach
    if reach is not None:
        conditions.append(sa.or_(open_wait.c.owner == reach.person, open_wait.c.team.in_(sorted(reach.below))))
    return WaitQuery(datetime.now(UTC), book, conditions=conditions)


async def _views(
    connection: AsyncConnection,
    rows: Sequence[Any],
    now: datetime,
    book: PolicyBook,
    addresses: ApiAddresses,
    named: NameReader,
) -> list[WaitRead]:
    survivors = await survivors_of(connection, {row.customer for row in rows if row.customer is not None})
    keys = [
        {
            "customer": None if row.customer is None else str(survivors[row.customer]),
            "owner": None if row.owner is None else str(row.owner),
            "team": None if row.team is None else str(row.team),
            "product": row.product,
        }
        for row in rows
    ]
    names = await named.of(connection, keys)
    found = []
    for row, of_row in zip(rows, keys, strict=True):
        kind, terms = KIND_BY_NAME[row.kind], book.terms_for(row.reason, row.team)
        counted = terms.waited(row.since, now) // 60
        limit = terms.limit_seconds // 60
        found.append(
            WaitRead(
                id=row.id,
                reason=row.reason,
                function=row.function,
                record=f"{kind.subject_kind}/{row.subject_id}",
                link=record_address(kind, row.subject_id, {}, addresses) or "",
                customer_id=None if row.customer is None else survivors[row.customer],
                owner_id=row.owner,
                team_id=row.team,
                names=names.of(of_row),
                channel=row.channel,
                region=row.region,
                segment=row.segment,
                product=row.product,
                since=row.since,
                state=terms.state_of(row.since, now),
                elapsed_minutes=(now - row.since) // timedelta(minutes=1),
                business_minutes=counted,
                limit_minutes=limit,
                minutes_left=limit - counted,
                limit_at=terms.reaches(row.since, terms.limit_seconds),
                escalation=None
                if row.step is None
                else EscalationRead(
                    step=row.step, steps=len(terms.steps), action=row.action, told_id=row.told_id, at=row.judged_at
                ),
                policy_id=terms.policy_id,
            )
        )
    return found


@waiting_policies.routes.post("", status_code=201)
async def create_waiting_policy(body: WaitingPolicyCreate, work: Work, response: Response) -> WaitingPolicyRead:
    """Set for how long customers may wait. Of several policies that fit, the most specific holds, at once."""
    return waiting_policies.show_created(response, use_cases.create_policy(work, body))


@waiting_policies.routes.patch("/{policy_id}")
async def change_waiting_policy(
    policy_id: Identifier, body: WaitingPolicyUpdate, work: Work, response: Response, expected: Expected
) -> WaitingPolicyRead:
    """Change a policy, or take it out of use. It holds at once, also for those who wait already."""
    return waiting_policies.show(response, await use_cases.change_policy(work, policy_id, body, expected))


@waiting_policies.routes.delete("/{policy_id}", status_code=204)
async def delete_waiting_policy(policy_id: Identifier, work: Work, expected: Expected) -> None:
    """Delete a policy: the next less specific one holds."""
    await use_cases.delete_policy(work, policy_id, expected)
