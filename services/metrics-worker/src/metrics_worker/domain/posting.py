"""What one subject's state contributes to one day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from event_contracts.calendar import check_day
from event_contracts.fields import Credit, Money

LOST_AFTER_SECONDS = 3_600
"""A customer left alone for longer is lost."""


class Posting(NamedTuple):
    """A contribution to the measures of one day, under one set of dimensions, both in their kind's order."""

    day: date
    dimensions: tuple[str | None, ...]
    """A missing value is None: a group of its own, distinct from every code, `unknown` included."""
    measures: tuple[int, ...]
    """Whole numbers only: counts, minor units of the reporting currency, seconds."""
    split: bool = False
    """True for a share of a subject that has several products. Shares count under the dimension that they
    split and nowhere else; the whole counts everywhere else. So nothing is counted twice."""
    buckets: tuple[int | None, ...] = ()
    """For each duration of the kind, in its order, the histogram's bucket that it falls into (`histogram.bucket_of`);
    None for a duration that this posting does not have, and empty for none at all."""


D = TypeVar("D", bound=Any)


@dataclass(frozen=True, slots=True)
class Reporting:
    """The time zone that days are taken in, and the currency that money is summed in."""

    zone: ZoneInfo
    currency: str

    def day_of(self, moment: datetime) -> date:
        """Return the calendar day of an instant in the reporting time zone. Raise ValueError outside 1970 to 2199."""
        try:
            day = moment.astimezone(self.zone).date()
        except OverflowError:
            raise ValueError(f"{moment.isoformat()} is outside the calendar") from None
        return self.within_calendar(day)

    def within_calendar(self, day: date) -> date:
        """Return the same day. Raise ValueError outside 1970 to 2199."""
        check_day(day)
        return day

    def start_of(self, day: date) -> datetime:
        """Return the moment at which a day begins in the reporting time zone; it need not be midnight by the clock."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """Return the moment at which a day is over in the reporting time zone."""
        return self.start_of(day + timedelta(days=1))

    def minor_units(self, money: Money) -> int:
        """Return an amount in the reporting currency's smallest unit. Raise ValueError for any other currency."""
        if money.currency != self.currency:
            raise ValueError(f"an amount in {money.currency} where the ledger is kept in {self.currency}")
        return money.minor_units()


def seconds_between(start: datetime, end: datetime) -> int:
    """Return whole seconds from one instant to another; 0 when the second is not later, as clocks may disagree."""
    return max(int((end - start).total_seconds()), 0)


def credited(dimensions: D, credit: Credit | None) -> D:
    """Return the dimensions under who did something; as they are where that is not recorded."""
    if credit is None:
        return dimensions
    return dimensions._replace(owner=text_of(credit.person_id), team=text_of(credit.team_id))  # type: ignore[no-any-return]


def text_of(identifier: UUID | None) -> str | None:
    """Return an owner's, team's or customer's id as dimensions hold it."""
    # msgspec writes a UUID several times as fast as `str` does, and each event holds a handful.
    return None if identifier is None else msgspec.json.encode(identifier)[1:-1].decode()
