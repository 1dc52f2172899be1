"""The clock of waits against hours computed by hand, and the moments that stand for it in SQL."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_worker.waiting.model import DEFAULT_TERMS, PolicyBook, WaitingPolicy, WaitTerms
from service_kit.business_hours import business_hours
from tests.metrics_worker.facts import moment

pytestmark = pytest.mark.unit

WORKDAYS = range(1, 6)


def office(zone: str, *holidays: str, opens: str = "08:00", closes: str = "18:00", days: Any = WORKDAYS) -> WaitTerms:
    """Terms of an hour within the hours of an office."""
    hours = [{"weekday": day, "opens": opens, "closes": closes} for day in days]
    return WaitTerms(
        hours=business_hours(
            zone,
            hours,
            map(datetime.fromisoformat, ())
            if not holidays
            else [datetime.fromisoformat(day).date() for day in holidays],
        )
    )


VILNIUS = office("Europe/Vilnius", "2026-12-25")
NEW_YORK = office("America/New_York")
NIGHT = office("Europe/Vilnius", opens="00:00", closes="24:00", days=range(1, 8))
KATHMANDU = office("Asia/Kathmandu", opens="10:00", closes="17:00")

# Each: the terms; since when, and the moment that it is asked, as the walls there show them; the minutes that passed
# and that count; when the limit of 60 minutes is reached.
BY_HAND = [
    # An ordinary morning; the limit is reached to the minute.
    (DEFAULT_TERMS, "2026-03-10T08:00Z", "2026-03-10T09:00Z", 60, 60, "2026-03-10T09:00Z"),
    (VILNIUS, "2026-03-10T09:00+02:00", "2026-03-10T09:45+02:00", 45, 45, "2026-03-10T10:00+02:00"),
    # Asked at half past five: half an hour today, the rest tomorrow.
    (VILNIUS, "2026-03-10T17:30+02:00", "2026-03-11T08:30+02:00", 900, 60, "2026-03-11T08:30+02:00"),
    # Asked on Friday evening: nothing counts until Monday.
    (VILNIUS, "2026-03-13T20:00+02:00", "2026-03-16T08:10+02:00", 3_610, 10, "2026-03-16T09:00+02:00"),
    # Christmas is a Friday and a holiday: from Thursday afternoon to Monday.
    (VILNIUS, "2026-12-24T17:45+02:00", "2026-12-28T08:30+02:00", 5_205, 45, "2026-12-28T08:45+02:00"),
    # Over midnight, around the clock and not.
    (DEFAULT_TERMS, "2026-03-10T23:30Z", "2026-03-11T00:15Z", 45, 45, "2026-03-11T00:30Z"),
    (VILNIUS, "2026-03-10T23:30+02:00", "2026-03-11T00:15+02:00", 45, 0, "2026-03-11T09:00+02:00"),
    # The night in March in which an hour is missing: from half past two to half past four it is one hour.
    (NIGHT, "2026-03-29T02:30+02:00", "2026-03-29T04:30+03:00", 60, 60, "2026-03-29T04:30+03:00"),
    (DEFAULT_TERMS, "2026-03-29T02:30+02:00", "2026-03-29T04:30+03:00", 60, 60, "2026-03-29T04:30+03:00"),
    # The weekend of that night, in office hours: the walls show eight o'clock an hour earlier.
    (VILNIUS, "2026-03-27T17:30+02:00", "2026-03-30T08:30+03:00", 3_720, 60, "2026-03-30T08:30+03:00"),
    # The night in October in which an hour comes twice: from half past two to half past three it is two hours.
    (NIGHT, "2026-10-25T02:30+03:00", "2026-10-25T03:30+02:00", 120, 120, "2026-10-25T03:30+03:00"),
    (VILNIUS, "2026-10-23T17:30+03:00", "2026-10-26T08:30+02:00", 3_840, 60, "2026-10-26T08:30+02:00"),
    # New York changes its clocks three weeks earlier than Vilnius: each office by its own.
    (NEW_YORK, "2026-03-06T17:30-05:00", "2026-03-09T08:30-04:00", 3_720, 60, "2026-03-09T08:30-04:00"),
    # The same moments, in three zones: asked at 15:00 in Vilnius, when New York opens and Kathmandu has closed.
    (VILNIUS, "2026-06-10T12:00Z", "2026-06-10T12:45Z", 45, 45, "2026-06-10T13:00Z"),
    (NEW_YORK, "2026-06-10T12:00Z", "2026-06-10T12:45Z", 45, 45, "2026-06-10T13:00Z"),
    (KATHMANDU, "2026-06-10T12:00Z", "2026-06-10T12:45Z", 45, 0, "2026-06-11T05:15Z"),
    # A bad rating at ten in the evening before a holiday on a Friday: the office opens on Monday.
    (VILNIUS, "2026-12-24T22:00+02:00", "2026-12-28T08:46+02:00", 4_966, 46, "2026-12-28T09:00+02:00"),
    # A call back agreed for a quarter to six: a quarter of an hour of that day, and the rest on the next.
    (VILNIUS, "2026-03-10T17:45+02:00", "2026-03-11T08:44+02:00", 899, 59, "2026-03-11T08:45+02:00"),
    # One agreed for Sunday noon, when the office is closed; the clocks went forward that night.
    (VILNIUS, "2026-03-29T12:00+03:00", "2026-03-30T09:00+03:00", 1_260, 60, "2026-03-30T09:00+03:00"),
    # One agreed for half past three in the night in October, of which there are two: this is the second.
    (NIGHT, "2026-10-25T03:30+02:00", "2026-10-25T04:15+02:00", 45, 45, "2026-10-25T04:30+02:00"),
    # One agreed for a quarter to midnight, around the clock: the limit is on the next day.
    (NIGHT, "2026-06-10T23:45+03:00", "2026-06-11T00:30+03:00", 45, 45, "2026-06-11T00:45+03:00"),
    # One agreed in Vilnius for 15:00, with a team in Kathmandu, which has closed a quarter of an hour before.
    (KATHMANDU, "2026-06-10T15:00+03:00", "2026-06-11T11:00+05:45", 1_035, 60, "2026-06-11T11:00+05:45"),
    # A delivery promised for a Friday: the wait begins with Saturday, and the office opens on Monday.
    (VILNIUS, "2026-03-14T00:00+02:00", "2026-03-16T08:45+02:00", 3_405, 45, "2026-03-16T09:00+02:00"),
    # One promised for the day before the clocks go forward: the wait begins with the shorter night.
    (NIGHT, "2026-03-29T00:00+02:00", "2026-03-29T04:30+03:00", 210, 210, "2026-03-29T01:00+02:00"),
    # One promised for the day before they go back, over a Sunday of 25 hours.
    (VILNIUS, "2026-10-25T00:00+03:00", "2026-10-26T08:30+02:00", 2_010, 30, "2026-10-26T09:00+02:00"),
    # One promised for the day before a holiday on a Friday.
    (VILNIUS, "2026-12-25T00:00+02:00", "2026-12-28T08:10+02:00", 4_810, 10, "2026-12-28T09:00+02:00"),
    # One promised for a Wednesday of Vilnius, with a team in Kathmandu, where it is Thursday already.
    (KATHMANDU, "2026-06-11T00:00+03:00", "2026-06-11T10:30+05:45", 465, 30, "2026-06-11T11:00+05:45"),
    # It begins after the moment that is asked about, as where two clocks disagree: no time has passed.
    (VILNIUS, "2026-03-10T09:00+02:00", "2026-03-10T08:59+02:00", -1, 0, "2026-03-10T10:00+02:00"),
]  # fmt: skip


def test_the_clock_agrees_with_what_was_computed_by_hand() -> None:
    wrong: list[Any] = []
    for terms, since, now, elapsed, counted, limit_at in BY_HAND:
        begun, asked = moment(since), moment(now)
        found = (
            (asked - begun) // timedelta(minutes=1),
            terms.waited(begun, asked) // 60,
            terms.reaches(begun, terms.limit_seconds),
        )
        if found != (elapsed, counted, moment(limit_at)):
            wrong.append((since, now, found))
        state = "over" if counted >= 60 else "warning" if counted >= 45 else "fine"
        if terms.state_of(begun, asked) != state:
            wrong.append((since, now, terms.state_of(begun, asked)))
    assert wrong == []


terms = st.sampled_from([DEFAULT_TERMS, VILNIUS, NEW_YORK, NIGHT, KATHMANDU])
_FIRST, _LAST = (int(moment(day).timestamp()) for day in ("2026-03-01", "2026-11-30"))
instants = st.integers(_FIRST, _LAST).map(lambda seconds: datetime.fromtimestamp(seconds, ZoneInfo("UTC")))


@given(terms, instants, st.integers(0, 400_000))
@settings(max_examples=300, deadline=None)
def test_one_moment_stands_for_the_computation_of_every_wait(by: WaitTerms, now: datetime, ago: int) -> None:
    since = now - timedelta(seconds=ago)
    state = by.state_of(since, now)
    assert (since <= by.begun_before("over", now)) == (state == "over")
    assert (since <= by.begun_before("warning", now)) == (state in ("over", "warning"))


def test_the_policy_that_says_most_about_a_wait_holds_for_it() -> None:
    team, other = UUID(int=1), UUID(int=2)

    def policy(number: int, **fields: Any) -> WaitingPolicy:
        given: dict[str, Any] = {"reason": None, "team_id": None, "limit_minutes": number, "warn_minutes": 0}
        return WaitingPolicy(
            id=UUID(int=number),
            version=1,
            name=str(number),
            calendar=None,
            escalation=[],
            active=True,
            **(given | fields),
        )

    book = PolicyBook(
        [
            policy(5),
            policy(6),
            policy(7, reason="lead"),
            policy(8, team_id=team),
            policy(9, reason="lead", team_id=team),
        ]
    )
    asked = [("message", None), ("lead", other), ("message", team), ("lead", team)]
    assert [book.terms_for(*each).limit_seconds // 60 for each in asked] == [6, 7, 8, 9]
    assert PolicyBook([]).terms_for("lead", team) is DEFAULT_TERMS
