"""The use case of SLA policies, within its route's transaction."""

from datetime import UTC, datetime

from service_api.business_calendars import BusinessCalendar
from service_api.sla_policies.model import SlaPolicy
from service_api.sla_policies.schemas import SlaPolicyCreate
from service_kit.business_hours import business_hours
from service_kit.identifiers import new_id
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork


async def create_policy(work: UnitOfWork, body: SlaPolicyCreate) -> SlaPolicy:
    """Create a policy for tickets that are opened from now on. Raise `UnknownReference` (422)."""
    hours = None
    if body.calendar_id is not None:
        calendar = await require(work, BusinessCalendar, body.calendar_id, "#/calendar_id")
        hours = business_hours(calendar.timezone, calendar.hours, calendar.holidays)
    policy = SlaPolicy(id=new_id(), version=1, **dict(body))
    policy.check_is_reachable(hours, at=datetime.now(UTC))
    work.add(policy)
    return policy
