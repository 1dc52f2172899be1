"""Reads of SLA policies: the terms that a ticket is granted."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.service import Priority, TicketKind
from service_api.business_calendars import BusinessCalendar, business_hours
from service_api.sla_policies.model import SlaPolicy, terms_under
from service_api.tickets.sla import SlaTerms

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
    # A policy for the kind is more specific than one for the priority.
    .order_by(_policy.c.kind.is_(None), _policy.c.priority.is_(None), _policy.c.id.desc())
    .limit(1)
)


async def terms_for(session: AsyncSession, kind: TicketKind, priority: Priority) -> SlaTerms | None:
    """Return what a new ticket is granted: by the policy that names most of what it is, of several the newest."""
    return _terms((await session.execute(_FITTING, {"of_kind": kind, "of_priority": priority})).one_or_none())


async def terms_of(session: AsyncSession, policy_id: UUID | None) -> SlaTerms | None:
    """Return what a ticket's own policy grants."""
    if policy_id is None:
        return None
    return _terms((await session.execute(_TERMS.where(_policy.c.id == policy_id))).one_or_none())


def _terms(row: Any) -> SlaTerms | None:
    if row is None:
        return None
    return terms_under(row, None if row.calendar_id is None else business_hours(row))
