"""Business calendars: the hours and holidays that service-level agreements count by."""

from datetime import date
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Response
from pydantic import Field
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from service_api.tables import Base
from service_kit.business_hours import HOLIDAYS, ZONE, Holidays, ShiftRead, Week, Zone
from service_kit.changes import Change
from service_kit.entities import Recorded, column
from service_kit.fields import (
    Identifier,
    Name,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.versions import Expected


class BusinessCalendar(Recorded, Base, table="business_calendar"):
    """When there is business. A change counts for tickets from then on; what is due already stays due."""

    __table_args__: ClassVar = (
        *filtered("business_calendar", ("updated_at",)),
        *sorted_by_name("business_calendar", "name"),
        searched("business_calendar", "name"),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    timezone: str
    hours: Annotated[list[dict[str, Any]], column(JSONB)]
    holidays: Annotated[list[date], column(ARRAY(sa.Date))]


_NAME = described("What people call the calendar.", "Vilnius office")
_EXAMPLE: dict[str, Any] = {
    "name": "Vilnius office",
    "timezone": "Europe/Vilnius",
    "hours": [{"weekday": day, "opens": "08:00", "closes": "17:30"} for day in (1, 2)],
    "holidays": ["2026-12-25"],
}


class BusinessCalendarCreate(StrictModel):
    """A new calendar."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME]
    timezone: Annotated[Zone, ZONE]
    hours: Week
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Holidays = Field(default_factory=list)
    """The days without business, whatever the weekday."""


class BusinessCalendarUpdate(Change):
    """What to change; what is left out stays."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    timezone: Annotated[Zone, ZONE] = Field(default_factory=str)
    hours: Week = Field(default_factory=list)
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Holidays = Field(default_factory=list)
    """The days without business, whatever the weekday."""


class BusinessCalendarRead(ReadModel):
    """A calendar."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: Annotated[str, _NAME]
    timezone: Annotated[str, ZONE]
    hours: list[ShiftRead]
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Annotated[list[date], HOLIDAYS]


business_calendars = Resource(
    "/business-calendars/{calendar_id}",
    BusinessCalendar.table,
    BusinessCalendarRead,
    sorts=("name",),
)
business_calendars.read_routes(list_as="list_calendars", get_as="get_calendar")


@business_calendars.routes.post("", status_code=201, summary="Create a business calendar")
async def create_calendar(body: BusinessCalendarCreate, work: Work, response: Response) -> BusinessCalendarRead:
    """Set the hours and holidays by which SLA policies can count."""
    calendar = BusinessCalendar(id=new_id(), version=1, **body.model_dump())
    work.add(calendar)
    return business_calendars.show_created(response, calendar)


@business_calendars.routes.patch("/{calendar_id}", summary="Change a business calendar")
async def change_calendar(
    calendar_id: Identifier,
    body: BusinessCalendarUpdate,
    work: Work,
    response: Response,
    expected: Expected,
) -> BusinessCalendarRead:
    """Change hours or holidays for tickets that are opened from now on. What is due already stays due."""
    calendar = await lock(work, BusinessCalendar, calendar_id, expected)
    body.apply_to(calendar)
    return business_calendars.show(response, calendar)
