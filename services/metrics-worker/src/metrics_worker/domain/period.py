"""The days that a question asks about, and the buckets that its series is cut into."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Interval = Literal["day", "week", "month", "quarter", "year"]

DEFAULT_DAYS = 30
MAX_DAYS = 20 * 366


@dataclass(frozen=True)
class Period:
    """A run of days, both ends included. `start` is never after `end`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days + 1

    def previous(self) -> "Period":
        """The same number of days, directly before. Raises OverflowError before the year 1."""
        return Period(self.start - timedelta(days=self.days), self.start - timedelta(days=1))

    def eve(self) -> "Period":
        """The day before it, on which what stands at its start stood."""
        before = self.start - timedelta(days=1)
        return Period(before, before)

    def buckets(self, interval: Interval) -> list[date]:
        """The first day of each bucket. The first bucket begins where the period does, be it mid-week or mid-month."""
        starts = [self.start]
        while (following := next_bucket(starts[-1], interval)) <= self.end:
            starts.append(following)
        return starts


def bucket_of(day: date, interval: Interval) -> date:
    """The first day of the calendar bucket that a day belongs to; weeks begin on Monday, as in ISO 8601."""
    match interval:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "year":
            return day.replace(month=1, day=1)


_LONGEST = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def next_bucket(day: date, interval: Interval) -> date:
    """The first day of the calendar bucket after the one that a day belongs to."""
    # The longest bucket's length from a bucket's first day always lands in the bucket after it.
    return bucket_of(bucket_of(day, interval) + timedelta(days=_LONGEST[interval]), interval)
