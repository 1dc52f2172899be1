"""Periods have the names of the calendar."""

from datetime import date

import pytest

from metrics_worker.periods.names import NoSuchPeriod, period_named


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("2026-W01", date(2025, 12, 29), date(2026, 1, 4)),
        ("2020-W53", date(2020, 12, 28), date(2021, 1, 3)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_name_denotes_its_days(name: str, first: date, last: date) -> None:
    period = period_named(name)
    assert (period.start, period.end) == (first, last)


@pytest.mark.parametrize(
    "name",
    [
        "2026-02-30",
        "2026-W54",
        "2021-W53",
        "2026-W00",
        "2026-13",
        "2026-Q5",
        "1969",
        "2200",
        "26",
        "2026-3",
        "٢٠٢٦",
        "",
    ],
)
def test_what_is_in_no_calendar_is_refused(name: str) -> None:
    with pytest.raises(NoSuchPeriod):
        period_named(name)
