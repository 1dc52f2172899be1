"""Business calendars: the hours and holidays that service-level agreements count by."""

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import Response
from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from service_api.business_time import BusinessHours, Shift
from service_api.tables import Base
from service_kit.changes import Change
from service_kit.entities import Recorded, column
from service_kit.fields import (
    Day,
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

_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


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


def business_hours(calendar: Any) -> BusinessHours:
    """Return the hours of a calendar, or of a row with its columns."""
    return BusinessHours(
        ZoneInfo(calendar.timezone),
        tuple(Shift(each["weekday"], _minute(each["opens"]), _minute(each["closes"])) for each in calendar.hours),
        frozenset(calendar.holidays),
    )


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError("must be a time zone of the IANA database, such as Europe/Vilnius") from None
    return name


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("must be a time of day from 00:00 to 24:00, such as 08:30")
    return text


Zone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_known_zone),
    WithJsonSchema({"type": "string", "maxLength": 64, "examples": ["Europe/Vilnius"]}),
]
Clock = Annotated[
    str,
    AfterValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$", "examples": ["08:30"]}),
]

_WEEKDAY = described("1 is Monday, 7 is Sunday.", 1)
_OPENS = described("When business begins, in the calendar's time zone.", "08:00")
_CLOSES = described("When business ends, in the calendar's time zone; 24:00 is the end of the day.", "17:30")
_NAME = described("What people call the calendar.", "Vilnius office")
_ZONE = described("The zone of its hours, as the IANA database has it.", "Europe/Vilnius")
_HOLIDAYS = described("The days without business, whatever the weekday.", ["2026-12-25"])


class ShiftCreate(StrictModel):
    """A stretch of a weekday on which there is business; 1 is Monday."""

    model_config = examples({"weekday": 1, "opens": "08:00", "closes": "17:30"})

    weekday: Annotated[int, Field(strict=True, ge=1, le=7), _WEEKDAY]
    opens: Annotated[Clock, _OPENS]
    closes: Annotated[Clock, _CLOSES]

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("must open before it closes")
        return self


def _apart(hours: list[ShiftCreate]) -> list[ShiftCreate]:
    ordered = sorted(hours, key=lambda each: (each.weekday, each.opens))
    for one, other in pairwise(ordered):
        if one.weekday == other.weekday and other.opens < one.closes:
            raise ValueError("must not overlap")
    return ordered


Week = Annotated[list[ShiftCreate], Field(min_length=1, max_length=50), AfterValidator(_apart)]
Holidays = Annotated[list[Day], Field(max_length=1_000), AfterValidator(lambda days: sorted(set(days)))]

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
    timezone: Annotated[Zone, _ZONE]
    hours: Week
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Holidays = Field(default_factory=list)
    """The days without business, whatever the weekday."""


class BusinessCalendarUpdate(Change):
    """What to change; what is left out stays."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    timezone: Annotated[Zone, _ZONE] = Field(default_factory=str)
    hours: Week = Field(default_factory=list)
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Holidays = Field(default_factory=list)
    """The days without business, whatever the weekday."""


class ShiftRead(ReadModel):
    """A stretch of a weekday on which there is business."""

    weekday: Annotated[int, _WEEKDAY]
    opens: Annotated[str, _OPENS]
    closes: Annotated[str, _CLOSES]


class BusinessCalendarRead(ReadModel):
    """A calendar."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: Annotated[str, _NAME]
    timezone: Annotated[str, _ZONE]
    hours: list[ShiftRead]
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Annotated[list[date], _HOLIDAYS]


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
