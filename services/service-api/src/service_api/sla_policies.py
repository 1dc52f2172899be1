"""SLA policies: how soon tickets of some kind and priority are to be answered and resolved."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self, get_args
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.fields import MAX_SECONDS
from event_contracts.service import Priority, TicketKind
from service_api.access import Expected, Manager, Reader
from service_api.business_calendars import BusinessCalendar, business_hours, require_calendar
from service_api.tables import Base
from service_api.tickets.sla import SlaTerms
from service_kit.changes import Change
from service_kit.fields import Identifier, Name, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.locking import locked
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound, Unprocessable
from service_kit.routing import Session, router
from service_kit.tables import filtered, one_of
from service_kit.versions import set_etag, unchanged

TargetSeconds = Annotated[int, Field(strict=True, ge=1, le=MAX_SECONDS)]
Flag = Annotated[bool, Field(strict=True)]


class SlaPolicy(Base):
    """What is promised of which tickets. A ticket keeps the policy that it was opened under, and what was due then."""

    __tablename__ = "sla_policy"
    __table_args__ = (
        one_of("kind", get_args(TicketKind)),
        one_of("priority", get_args(Priority)),
        sa.CheckConstraint("first_response_seconds > 0", name="first_response_seconds"),
        sa.CheckConstraint("resolution_seconds > 0", name="resolution_seconds"),
        *filtered("sla_policy", ("active",)),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    kind: Mapped[TicketKind | None] = mapped_column(sa.Text, comment="null for every kind")
    priority: Mapped[Priority | None] = mapped_column(sa.Text, comment="null for every priority")
    first_response_seconds: Mapped[int | None]
    resolution_seconds: Mapped[int | None]
    calendar_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("business_calendar.id"), comment="null for around the clock"
    )
    active: Mapped[bool]


_policy: Any = SlaPolicy.__table__
_calendar: Any = BusinessCalendar.__table__
_TERMS = sa.select(
    _policy.c.id,
    _policy.c.first_response_seconds,
    _policy.c.resolution_seconds,
    _policy.c.calendar_id,
    _calendar.c.timezone,
    _calendar.c.hours,
    _calendar.c.holidays,
).outerjoin_from(_policy, _calendar, _policy.c.calendar_id == _calendar.c.id)
_FITTING = (
    _TERMS.where(
        _policy.c.active,
        sa.or_(_policy.c.kind == sa.bindparam("of_kind"), _policy.c.kind.is_(None)),
        sa.or_(_policy.c.priority == sa.bindparam("of_priority"), _policy.c.priority.is_(None)),
    )
    # What a ticket is about says more of what was promised than how pressing it is.
    .order_by(_policy.c.kind.is_(None), _policy.c.priority.is_(None), _policy.c.id.desc())
    .limit(1)
)


async def terms_for(session: AsyncSession, kind: TicketKind, priority: Priority) -> SlaTerms | None:
    """What a new ticket is granted: by the policy that names most of what it is, of several the newest."""
    return _terms((await session.execute(_FITTING, {"of_kind": kind, "of_priority": priority})).one_or_none())


async def terms_of(session: AsyncSession, policy_id: UUID | None) -> SlaTerms | None:
    """What a ticket's own policy says."""
    if policy_id is None:
        return None
    return _terms((await session.execute(_TERMS.where(_policy.c.id == policy_id))).one_or_none())


def _terms(row: Any) -> SlaTerms | None:
    if row is None:
        return None
    return SlaTerms(
        policy_id=row.id,
        first_response_seconds=row.first_response_seconds,
        resolution_seconds=row.resolution_seconds,
        hours=None if row.calendar_id is None else business_hours(row),
    )


_EXAMPLE: dict[str, Any] = {
    "name": "Urgent problems",
    "kind": "problem",
    "priority": "urgent",
    "first_response_seconds": 900,
    "resolution_seconds": 28_800,
    "calendar_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "active": True,
}


class PolicyToCreate(StrictModel):
    """A new policy, for tickets that are opened from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Name
    kind: TicketKind | None = Field(default=None, description="Every kind when left out.")
    priority: Priority | None = Field(default=None, description="Every priority when left out.")
    first_response_seconds: TargetSeconds | None = None
    resolution_seconds: TargetSeconds | None = None
    calendar_id: Identifier | None = Field(default=None, description="Around the clock when left out.")
    active: Flag = True

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.first_response_seconds is None and self.resolution_seconds is None:
            raise ValueError("give first_response_seconds, resolution_seconds, or both")
        return self


class PolicyChange(Change):
    """What is to be changed; what is not given stays. Another target or calendar is another policy."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Urgent problems, 2025", "active": False}]})

    name: Name = Field(default_factory=str)
    active: Flag = Field(default_factory=bool)


class PolicyView(View):
    """A policy."""

    id: UUID
    version: int
    name: str
    kind: TicketKind | None
    priority: Priority | None
    first_response_seconds: int | None
    resolution_seconds: int | None
    calendar_id: UUID | None
    active: bool


sla_policies = router("/sla-policies", "sla-policies")


@sla_policies.post("", status_code=201, summary="Create an SLA policy")
async def create_policy(body: PolicyToCreate, session: Session, response: Response, _: Manager) -> PolicyView:
    """Promises times for what is opened from now on. Of several that fit, the one that names most of it holds."""
    calendar = await require_calendar(session, body.calendar_id)
    policy = SlaPolicy(id=new_id(), version=1, **dict(body))
    terms = SlaTerms(policy_id=policy.id, hours=None if calendar is None else business_hours(calendar))
    for name in ("first_response_seconds", "resolution_seconds"):
        seconds = getattr(body, name)
        if seconds is not None and terms.due(datetime.now(UTC), seconds) is None:
            raise Unprocessable.at(f"#/{name}", "is more business time than the calendar has in ten years")
    session.add(policy)
    await session.flush()
    response.headers["Location"] = f"/v1/sla-policies/{policy.id}"
    set_etag(response, policy.version)
    return PolicyView.model_validate(policy)


@sla_policies.get("", summary="List SLA policies")
async def list_policies(session: Session, page: Paged, _: Reader, active: bool | None = None) -> PageView[PolicyView]:
    """Newest first."""
    query = sa.select(_policy).where(*equal(_policy.c, {"active": active}))
    return await page.of(session, query, _policy.c.id, PolicyView.model_validate)


@sla_policies.get("/{policy_id}", summary="Read an SLA policy", response_model=PolicyView)
async def get_policy(
    policy_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> PolicyView | Response:
    """One policy."""
    policy = await session.get(SlaPolicy, policy_id)
    if policy is None:
        raise NotFound(f"There is no SLA policy {policy_id}.")
    set_etag(response, policy.version)
    return unchanged(request, policy.version) or PolicyView.model_validate(policy)


@sla_policies.patch("/{policy_id}", summary="Change an SLA policy")
async def change_policy(
    policy_id: Identifier, body: PolicyChange, session: Session, response: Response, expected: Expected, _: Manager
) -> PolicyView:
    """Renames it, or takes it out of use for new tickets; those that have it keep what they were promised."""
    policy = await locked(session, SlaPolicy, policy_id)
    if policy is None:
        raise NotFound(f"There is no SLA policy {policy_id}.")
    expected.check(policy.version)
    if changed := body.changed_from(policy):
        for name, value in changed.items():
            setattr(policy, name, value)
        policy.version += 1
    set_etag(response, policy.version)
    return PolicyView.model_validate(policy)
