"""Reads of SLA policies: the terms that a ticket is granted."""

from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from event_contracts.service import Priority, TicketKind
from service_api.business_calendars import BusinessCalendar
from service_api.sla_policies.model import SlaPolicy, terms_under
from service_api.tickets.sla import SlaTerms
from service_kit.business_hours import business_hours
from service_kit.compiled import CompiledStatement
from service_kit.unit_of_work import UnitOfWork

_policy: Any = SlaPolicy.table
_calendar: Any = BusinessCalendar.table
_TERMS: Final = sa.select(
    _policy.c.id,
    _policy.c.first_response_seconds,
    _policy.c.resolution_seconds,
    _policy.c.reopen_within_seconds,
    _policy.c.bad_score,
    _policy.c.survey_credit,
    _policy.c.calendar_id,
    _calendar.c.timezone,
    _calendar.c.hours,
    _calendar.c.holidays,
).outerjoin_from(_policy, _calendar, _policy.c.calendar_id == _calendar.c.id)
_FITTING: Final = CompiledStatement(
    _TERMS.where(
        _policy.c.active,
        sa.or_(_policy.c.kind == sa.bindparam("of_kind"), _policy.c.kind.is_(None)),
        sa.or_(_policy.c.priority == sa.bindparam("of_priority"), _policy.c.priority.is_(None)),
    )
    # A policy for the kind is more specific than one for the priority.
    .order_by(_policy.c.kind.is_(None), _policy.c.priority.is_(None), _policy.c.id.desc())
    .limit(sa.literal_column("1"))
)

_OWN: Final = CompiledStatement(_TERMS.where(_policy.c.id == sa.bindparam("policy_id")))


async def terms_for(work: UnitOfWork, kind: TicketKind, priority: Priority) -> SlaTerms | None:
    """Return what a new ticket is granted: by the policy that names most of what it is, of several the newest."""
    return _terms(await _FITTING.one_or_none(work, of_kind=kind, of_priority=priority))


async def terms_of(work: UnitOfWork, policy_id: UUID | None) -> SlaTerms | None:
    """Return what a ticket's own policy grants."""
    if policy_id is None:
        return None
    return _terms(await _OWN.one_or_none(work, policy_id=policy_id))


def _terms(found: asyncpg.Record | None) -> SlaTerms | None:
    if found is None:
        return None
    row = SimpleNamespace(**found)
    return terms_under(row, None if row.calendar_id is None else business_hours(row.timezone, row.hours, row.holidays))
