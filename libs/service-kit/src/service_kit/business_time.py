"""Business time between two instants, and the instant by which so much of it has passed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HORIZON_DAYS: Final = 3_660
"""The horizon of business time: ten years."""


class NeverReached(ValueError):
    """So much business time does not pass within `HORIZON_DAYS`."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One stretch of a weekday, in minutes since midnight on the wall's clock; `weekday` is ISO's, Monday is 1."""

    weekday: int
    opens: int
    closes: int


@dataclass(frozen=True)
class BusinessHours:
    """When there is business: shifts by weekday in a time zone, except on holidays.

    Shifts of a weekday must not overlap. Time is counted as it passes, not as the wall shows it: a shift in which the
    clocks are put back is an hour longer.
    """

    zone: ZoneInfo
    shifts: tuple[Shift, ...]
    holidays: frozenset[date] = frozenset()

    def after(self, start: datetime, seconds: int) -> datetime:
        """Return the first instant by which so many business seconds have passed since `start`, in UTC.

        Raise `NeverReached`.
        """
        left = timedelta(seconds=seconds)
        if not left:
            return start.astimezone(UTC)
        first = start.astimezone(self.zone).date()
        for ahead in range(HORIZON_DAYS):
            for opens, closes in self._open(first + timedelta(days=ahead)):
                here = closes - max(opens, start)
                if here >= left:
                    return closes - here + left
                left -= max(here, timedelta(0))
        raise NeverReached(f"{seconds} business seconds do not pass within {HORIZON_DAYS} days")

    def before(self, end: datetime, seconds: int) -> datetime:
        """Return the last instant since which so many business seconds have passed by `end`, in UTC.

        Raise `NeverReached`.
        """
        left = timedelta(seconds=seconds)
        if not left:
            return end.astimezone(UTC)
        last = end.astimezone(self.zone).date()
        for back in range(HORIZON_DAYS):
            for opens, closes in reversed([*self._open(last - timedelta(days=back))]):
                here = min(closes, end) - opens
                if here >= left:
                    return opens + here - left
                left -= max(here, timedelta(0))
        raise NeverReached(f"{seconds} business seconds have not passed within {HORIZON_DAYS} days")

    def between(self, start: datetime, end: datetime) -> int:
        """Return the whole business seconds from one instant to another; 0 when the second is not later."""
        passed = timedelta(0)
        day, last = start.astimezone(self.zone).date(), end.astimezone(self.zone).date()
        while day <= last:
            for opens, closes in self._open(day):
                passed += max(min(closes, end) - max(opens, start), timedelta(0))
            day += timedelta(days=1)
        return passed // timedelta(seconds=1)

    def _open(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield a day's stretches of business in UTC, in order, none overlapping."""
        if day in self.holidays:
            return
        until = datetime.min.replace(tzinfo=UTC)
        for shift in sorted(self.shifts, key=_by_opening):
            if shift.weekday == day.isoweekday():
                # Where the clocks are put forward, an hour of the wall's does not exist and would be counted twice.
                opens = max(self._instant(day, shift.opens), until)
                until = max(self._instant(day, shift.closes), opens)
                yield opens, until

    def _instant(self, day: date, minute: int) -> datetime:
        days, minute = divmod(minute, 24 * 60)
        wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self.zone)
        # Python adds to a zoned time as the wall shows it, which is what is meant by midnight at the end of a day.
        return (wall + timedelta(days=days)).astimezone(UTC)


def _by_opening(shift: Shift) -> int:
    return shift.opens
