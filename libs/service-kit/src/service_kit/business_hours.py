"""Business hours over HTTP: the form of a week's shifts and of holidays, and the hours that they make."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, field_serializer, model_validator

from service_kit.business_time import BusinessHours, Shift
from service_kit.fields import Day, ReadModel, StrictModel, described, examples

_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


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
ZONE = described("The zone of its hours, as the IANA database has it.", "Europe/Vilnius")
HOLIDAYS = described("The days without business, whatever the weekday.", ["2026-12-25"])


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


class ShiftRead(ReadModel):
    """A stretch of a weekday on which there is business."""

    weekday: Annotated[int, _WEEKDAY]
    opens: Annotated[str, _OPENS]
    closes: Annotated[str, _CLOSES]


class BusinessHoursCreate(StrictModel):
    """When there is business: a week's hours in a time zone, except on holidays."""

    model_config = examples(
        {
            "timezone": "Europe/Vilnius",
            "hours": [{"weekday": day, "opens": "08:00", "closes": "17:30"} for day in (1, 2)],
            "holidays": ["2026-12-25"],
        }
    )

    timezone: Annotated[Zone, ZONE]
    hours: Week
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Holidays = Field(default_factory=list)
    """The days without business, whatever the weekday."""

    @field_serializer("holidays")
    def _as_texts(self, holidays: list[date]) -> list[str]:
        # As JSON holds them: so they are stored, and compared with what is stored.
        return [day.isoformat() for day in holidays]


class BusinessHoursRead(ReadModel):
    """When there is business."""

    timezone: Annotated[str, ZONE]
    hours: list[ShiftRead]
    """The stretches of the week on which there is business; those of one day do not overlap."""
    holidays: Annotated[list[date], HOLIDAYS]


def business_hours(timezone: str, hours: Iterable[Mapping[str, Any]], holidays: Iterable[date]) -> BusinessHours:
    """Return the hours of a zone; `hours` are shifts as `ShiftCreate` dumps them."""
    return BusinessHours(
        ZoneInfo(timezone),
        tuple(Shift(each["weekday"], _minute(each["opens"]), _minute(each["closes"])) for each in hours),
        frozenset(holidays),
    )


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)
