"""Any run of days is covered by spans of days, months and years, each day once."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_worker.domain.period import next_bucket
from metrics_worker.queries.plan import Piece, Span, cover

DAYS = st.dates(date(2019, 12, 1), date(2025, 2, 1))


def days_of(piece: Piece) -> list[date]:
    """Every day of the balances that begin within a piece."""
    found = []
    first = piece.first
    while first <= piece.last:
        following = next_bucket(first, piece.span)
        found += [first + timedelta(days=number) for number in range((following - first).days)]
        first = following
    return found


@given(DAYS, DAYS, st.sampled_from(["day", "month", "year"]))
def test_every_day_is_covered_once(start: date, end: date, largest: Span) -> None:
    covered = [day for piece in cover(start, end, largest) for day in days_of(piece)]
    assert covered == [start + timedelta(days=number) for number in range((end - start).days + 1)]


@pytest.mark.parametrize(
    ("start", "end", "spans"),
    [
        ("2025-01-01", "2025-12-31", ["year"]),
        ("2024-11-30", "2025-02-02", ["day", "month", "day"]),
        ("2023-12-01", "2025-01-31", ["month", "year", "month"]),
        ("2025-03-02", "2025-03-30", ["day"]),
        ("0001-01-01", "1970-01-02", ["day"]),
        ("2199-12-31", "9999-12-31", ["day"]),
        ("2025-03-02", "2025-03-01", []),
    ],
)
def test_the_largest_spans_that_fit_are_taken(start: str, end: str, spans: list[Span]) -> None:
    assert [piece.span for piece in cover(date.fromisoformat(start), date.fromisoformat(end), "year")] == spans
