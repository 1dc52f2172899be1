"""Business time: what goes in comes out, it never runs backwards, and the clocks may change as they like."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.business_time import BusinessHours, NeverReached, Shift

VILNIUS = ZoneInfo("Europe/Vilnius")
OFFICE = BusinessHours(
    VILNIUS,
    tuple(
        Shift(day, opens, closes) for day in range(1, 6) for opens, closes in ((8 * 60, 12 * 60), (13 * 60, 17 * 60))
    ),
    frozenset({date(2026, 12, 25)}),
)
ALWAYS = BusinessHours(VILNIUS, tuple(Shift(day, 0, 24 * 60) for day in range(1, 8)))


def at(text: str) -> datetime:
    """What the clock on the wall in Vilnius shows."""
    return datetime.fromisoformat(text).replace(tzinfo=VILNIUS)


@st.composite
def hours(draw: st.DrawFn) -> BusinessHours:
    zone = ZoneInfo(
        draw(st.sampled_from(["UTC", "Europe/Vilnius", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu"]))
    )
    shifts = []
    for weekday in draw(st.sets(st.integers(1, 7), min_size=1)):
        cuts = sorted(draw(st.sets(st.integers(0, 24 * 4), min_size=2, max_size=6)))
        pairs = zip(cuts[::2], cuts[1::2], strict=False)
        shifts += [Shift(weekday, opens * 15, closes * 15) for opens, closes in pairs]
    holidays = draw(st.frozensets(st.dates(date(2025, 1, 1), date(2025, 3, 31)), max_size=5))
    return BusinessHours(zone, tuple(shifts), holidays)


# Whole seconds: shifts begin and end on them.
_FIRST, _LAST = (int(datetime(year, 12, 31, tzinfo=UTC).timestamp()) for year in (2024, 2025))
instants = st.integers(_FIRST, _LAST).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(hours(), instants, st.integers(1, 200_000))
@settings(max_examples=150, deadline=None)
def test_so_much_time_has_passed_once_it_is_due_and_not_a_second_earlier(
    office: BusinessHours, start: datetime, seconds: int
) -> None:
    due = office.after(start, seconds)
    assert due >= start + timedelta(seconds=seconds)
    assert office.between(start, due) == seconds
    assert office.between(start, due - timedelta(seconds=1)) == seconds - 1


@given(hours(), instants, instants, instants)
@settings(max_examples=100, deadline=None)
def test_time_adds_up_and_is_never_more_than_passed(
    office: BusinessHours, one: datetime, two: datetime, three: datetime
) -> None:
    first, middle, last = sorted((one, two, three))
    whole = office.between(first, last)
    assert whole == office.between(first, middle) + office.between(middle, last)
    assert 0 <= whole <= (last - first).total_seconds()
    assert office.between(last, first) == 0 or first == last


@given(instants, instants)
@settings(max_examples=50, deadline=None)
def test_around_the_clock_all_time_counts_whatever_the_clocks_do(one: datetime, other: datetime) -> None:
    first, last = sorted((one, other))
    assert ALWAYS.between(first, last) == (last - first).total_seconds()


@pytest.mark.parametrize(
    ("start", "seconds", "due"),
    [
        ("2026-03-10T09:00", 3600, "2026-03-10T10:00"),
        ("2026-03-10T11:30", 3600, "2026-03-10T13:30"),  # a lunch between
        ("2026-03-13T16:30", 3600, "2026-03-16T08:30"),  # a weekend between
        ("2026-03-14T12:00", 60, "2026-03-16T08:01"),  # opened on a Saturday
        ("2026-12-24T16:00", 7200, "2026-12-28T09:00"),  # a holiday and a weekend between
        ("2026-03-10T09:00", 3 * 3600, "2026-03-10T12:00"),  # to the minute of closing
        ("2026-03-10T03:00", 0, "2026-03-10T03:00"),
    ],
)
def test_an_office_counts_its_hours(start: str, seconds: int, due: str) -> None:
    assert OFFICE.after(at(start), seconds) == at(due)


def test_the_night_on_which_clocks_change_is_as_long_as_it_is() -> None:
    assert ALWAYS.between(at("2026-03-29T00:00"), at("2026-03-30T00:00")) == 23 * 3600
    assert ALWAYS.between(at("2026-10-25T00:00"), at("2026-10-26T00:00")) == 25 * 3600


def test_a_time_that_is_never_reached_is_reported() -> None:
    christmas = BusinessHours(VILNIUS, (Shift(5, 0, 1),), frozenset())
    with pytest.raises(NeverReached):
        christmas.after(at("2026-01-01T00:00"), 31_000_000)
