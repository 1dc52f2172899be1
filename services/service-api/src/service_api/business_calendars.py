"""Business calendars: the hours and holidays that service-level agreements count by."""

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from service_api.access import Expected, Manager, Reader
from service_api.business_time import BusinessHours, Shift
from service_api.tables import Base
from service_kit.changes import Change
from service_kit.fields import Day, Identifier, Name, StrictModel, View
from service_kit.identifiers import new_id
from service_kit.locking import locked
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Session, router
from service_kit.versions import set_etag, unchanged

_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


class BusinessCalendar(Base):
    """When there is business. What is due already stays due; what is counted from now on is counted by this."""

    __tablename__ = "business_calendar"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    timezone: Mapped[str]
    hours: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    holidays: Mapped[list[date]] = mapped_column(ARRAY(sa.Date))


def business_hours(calendar: Any) -> BusinessHours:
    """The hours of a calendar, or of a row with its columns."""
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


class Hours(StrictModel):
    """A stretch of a weekday on which there is business; 1 is Monday."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"weekday": 1, "opens": "08:00", "closes": "17:30"}]})

    weekday: Annotated[int, Field(strict=True, ge=1, le=7)]
    opens: Clock
    closes: Clock

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("must open before it closes")
        return self


def _apart(hours: list[Hours]) -> list[Hours]:
    ordered = sorted(hours, key=lambda each: (each.weekday, each.opens))
    for one, other in pairwise(ordered):
        if one.weekday == other.weekday and other.opens < one.closes:
            raise ValueError("must not overlap")
    return ordered


Week = Annotated[list[Hours], Field(min_length=1, max_length=50), AfterValidator(_apart)]
Holidays = Annotated[list[Day], Field(max_length=1_000), AfterValidator(lambda days: sorted(set(days)))]

_EXAMPLE: dict[str, Any] = {
    "name": "Vilnius office",
    "timezone": "Europe/Vilnius",
    "hours": [{"weekday": day, "opens": "08:00", "closes": "17:30"} for day in (1, 2)],
    "holidays": ["2026-12-25"],
}


class CalendarToCreate(StrictModel):
    """A new calendar."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Name
    timezone: Zone
    hours: Week
    holidays: Holidays = Field(default_factory=list)


class CalendarChange(Change):
    """What is to be changed; what is not given stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Name = Field(default_factory=str)
    timezone: Zone = Field(default_factory=str)
    hours: Week = Field(default_factory=list)
    holidays: Holidays = Field(default_factory=list)


class HoursView(View):
    """A stretch of a weekday on which there is business."""

    weekday: int
    opens: str
    closes: str


class CalendarView(View):
    """A calendar."""

    id: UUID
    version: int
    name: str
    timezone: str
    hours: list[HoursView]
    holidays: list[date]


business_calendars = router("/business-calendars", "business-calendars")


@business_calendars.post("", status_code=201, summary="Create a business calendar")
async def create_calendar(body: CalendarToCreate, session: Session, response: Response, _: Manager) -> CalendarView:
    """Says when there is business."""
    calendar = BusinessCalendar(
        id=new_id(),
        version=1,
        name=body.name,
        timezone=body.timezone,
        hours=[each.model_dump() for each in body.hours],
        holidays=body.holidays,
    )
    session.add(calendar)
    await session.flush()
    response.headers["Location"] = f"/v1/business-calendars/{calendar.id}"
    set_etag(response, calendar.version)
    return CalendarView.model_validate(calendar)


@business_calendars.get("", summary="List business calendars")
async def list_calendars(session: Session, page: Paged, _: Reader) -> PageView[CalendarView]:
    """Newest first."""
    calendar: Any = BusinessCalendar.__table__
    return await page.of(session, sa.select(calendar), calendar.c.id, CalendarView.model_validate)


@business_calendars.get("/{calendar_id}", summary="Read a business calendar", response_model=CalendarView)
async def get_calendar(
    calendar_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> CalendarView | Response:
    """One calendar."""
    calendar = await session.get(BusinessCalendar, calendar_id)
    if calendar is None:
        raise NotFound(f"There is no business calendar {calendar_id}.")
    set_etag(response, calendar.version)
    return unchanged(request, calendar.version) or CalendarView.model_validate(calendar)


@business_calendars.patch("/{calendar_id}", summary="Change a business calendar")
async def change_calendar(
    calendar_id: Identifier, body: CalendarChange, session: Session, response: Response, expected: Expected, _: Manager
) -> CalendarView:
    """Changes hours or holidays for what is opened from now on. What is due already stays due when it was."""
    calendar = await locked(session, BusinessCalendar, calendar_id)
    if calendar is None:
        raise NotFound(f"There is no business calendar {calendar_id}.")
    expected.check(calendar.version)
    given = {name: body.model_dump()[name] for name in body.model_fields_set}
    changed = {name: value for name, value in given.items() if getattr(calendar, name) != value}
    if changed:
        for name, value in changed.items():
            setattr(calendar, name, value)
        calendar.version += 1
    set_etag(response, calendar.version)
    return CalendarView.model_validate(calendar)


async def require_calendar(session: AsyncSession, calendar_id: UUID | None) -> BusinessCalendar | None:
    """The calendar that a body names, if it names one. Raises `UnknownReference` (422)."""
    if calendar_id is None:
        return None
    calendar = await session.get(BusinessCalendar, calendar_id)
    if calendar is None:
        raise UnknownReference.at("#/calendar_id", "names no business calendar")
    return calendar
