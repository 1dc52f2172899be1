"""Names of periods: a day 2026-03-10, an ISO week 2026-W11, a month 2026-03, a quarter 2026-Q1, a year 2026."""

import re
from datetime import date, timedelta
from typing import Final

from metrics_worker.domain.period import Interval, Period, next_bucket
from service_kit.problems import NotFound

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199

_NAME: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?|-Q(?P<quarter>[1-4])|-W(?P<week>[0-9]{2}))?",
    re.ASCII,
)


class NoSuchPeriod(NotFound):
    """The name is not that of a period of the calendar."""

    slug, title = "no-such-period", "There is no such period"


def period_named(name: str) -> Period:
    """Return the days of the period that has this name. Raise `NoSuchPeriod`."""
    found = _NAME.fullmatch(name)
    if found is None or not FIRST_YEAR <= int(found["year"]) <= LAST_YEAR:
        raise _unknown()
    year = int(found["year"])
    interval: Interval
    try:
        if found["day"]:
            interval, start = "day", date(year, int(found["month"]), int(found["day"]))
        elif found["month"]:
            interval, start = "month", date(year, int(found["month"]), 1)
        elif found["quarter"]:
            interval, start = "quarter", date(year, 3 * int(found["quarter"]) - 2, 1)
        elif found["week"]:
            interval, start = "week", date.fromisocalendar(year, int(found["week"]), 1)
        else:
            interval, start = "year", date(year, 1, 1)
    except ValueError:
        raise _unknown() from None
    return Period(start, next_bucket(start, interval) - timedelta(days=1))


def _unknown() -> NoSuchPeriod:
    return NoSuchPeriod(
        "Name a day 2026-03-10, an ISO week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year 2026."
    )
