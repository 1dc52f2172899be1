"""The days of a query, and the buckets of its series."""

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
        """Return the number of its days."""
        return (self.end - self.start).days + 1

    def previous(self) -> "Period":
        """Return the same number of days, directly before. Raise OverflowError before the year 1."""
        return Period(self.start - timedelta(days=self.days), self.start - timedelta(days=1))

    def eve(self) -> "Period":
        """Return the day before it, at whose end balances have their value at its start."""
        before = self.start - timedelta(days=1)
        return Period(before, before)

    def buckets(self, interval: Interval) -> list[date]:
        """Return the first day of each bucket. The first begins with the period, even in mid-week or mid-month."""
        starts = [self.start]
        while (following := next_bucket(starts[-1], interval)) <= self.end:
            starts.append(following)
        return starts


def bucket_of(day: date, interval: Interval) -> date:
    """Return the first day of the calendar bucket that a day belongs to; weeks begin on Monday, as in ISO 8601."""
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
    """Return the first day of the calendar bucket after the one that a day belongs to."""
    # The longest bucket's length from a bucket's first day always lands in the bucket after it.
    return bucket_of(bucket_of(day, interval) + timedelta(days=_LONGEST[interval]), interval)
