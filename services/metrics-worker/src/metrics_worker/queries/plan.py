"""The plan of a read: which blocks cover a run of days."""

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from event_contracts.calendar import FIRST_DAY, LAST_DAY
from metrics_worker.domain.period import Interval, bucket_of, next_bucket

Span = Literal["day", "month", "year"]
LARGEST: Final[dict[Interval | None, Span]] = {
    "day": "day", "week": "day", "month": "month", "quarter": "month", "year": "year", None: "year",
}  # fmt: skip
"""The largest span that no bucket of an interval cuts through."""
_SMALLER: Final[dict[Span, Span]] = {"year": "month", "month": "day"}
_ONE_DAY: Final = timedelta(days=1)


class Piece(NamedTuple):
    """Whole spans, one or several, that cover the days from `first` to `last`, both included."""

    span: Span
    first: date
    last: date


def cover(start: date, end: date, largest: Span) -> list[Piece]:
    """Return pieces that hold each day from start to end once, as few spans as possible; none when start is after end.

    Days outside the ledger's calendar, before 1970 and after 2199, are left out.
    """
    return _cover(max(start, FIRST_DAY), min(end, LAST_DAY), largest)


def _cover(start: date, end: date, largest: Span) -> list[Piece]:
    if start > end:
        return []
    if largest == "day":
        return [Piece("day", start, end)]
    first = start if bucket_of(start, largest) == start else next_bucket(start, largest)
    following = bucket_of(end + _ONE_DAY, largest)
    if first >= following:
        return _cover(start, end, _SMALLER[largest])
    return [
        *_cover(start, first - _ONE_DAY, _SMALLER[largest]),
        Piece(largest, first, following - _ONE_DAY),
        *_cover(following, end, _SMALLER[largest]),
    ]
