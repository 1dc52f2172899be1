"""What each state contributes, and to which day."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_contracts.codec import UndecodableEvent
from event_contracts.fields import Money
from metrics_worker.books.fold import decode
from metrics_worker.kpis.kinds import KIND_BY_NAME
from metrics_worker.kpis.posting import Posting, Reporting
from metrics_worker.kpis.quotas import spread
from tests.metrics_worker.facts import (
    AGENT,
    CUSTOMER,
    REP,
    TEAM,
    VILNIUS,
    deal,
    eur,
    interaction,
    lead,
    line,
    logged,
    moment,
    quota,
    record,
    survey,
    ticket,
    told,
)


def shown(kind_name: str, postings: Iterable[Posting]) -> list[dict[str, Any]]:
    """Postings with the names of their measures; those of zero left out."""
    kind = KIND_BY_NAME[kind_name]
    return [
        {"day": str(posting.day)}
        | ({"split": posting.dimensions[kind.dimensions.index("product")]} if posting.split else {})
        | {name: amount for name, amount in zip(kind.measures, posting.measures, strict=True) if amount}
        for posting in postings
    ]


def posted(state: Any, kind: str, reporting: Reporting = VILNIUS) -> list[dict[str, Any]]:
    [postings] = [entry.postings for entry in told(state, 1, reporting) if entry.kind.name == kind]
    return shown(kind, postings)


def test_a_lead_counts_on_the_day_it_came_in() -> None:
    assert posted(lead(), "lead") == [{"day": "2026-03-10", "created": 1}]


def test_a_converted_lead_counts_in_its_cohort_and_on_the_day_of_its_conversion() -> None:
    converted = lead(contacted_at=moment("2026-03-11"), converted_at=moment("2026-05-02T12:00"))
    assert posted(converted, "lead") == [
        {"day": "2026-03-10", "created": 1, "cohort_contacted": 1, "cohort_converted": 1},
        {"day": "2026-03-11", "contacted": 1},
        {"day": "2026-05-02", "converted": 1},
    ]


def test_a_leads_dimensions_are_its_attribution() -> None:
    [entry] = told(lead(account_id=CUSTOMER, channel=None))
    assert entry.postings[0].dimensions == ("EMEA", "smb", None, None, str(REP), str(TEAM), str(CUSTOMER))


def test_an_open_deal_contributes_nothing() -> None:
    assert posted(deal(line("desk", 1, "100")), "deal") == []


def test_a_won_deal_counts_as_a_whole_and_once_under_each_of_its_products() -> None:
    won = deal(line("desk", 2, "200.50"), line("chair", 4, "100"), line("desk", 1, "0.50"), stage="won")
    assert posted(won, "deal") == [
        {"day": "2026-03-10", "won": 1, "revenue": 30100, "units": 7},
        {"day": "2026-03-10", "split": "desk", "won": 1, "revenue": 20100, "units": 3},
        {"day": "2026-03-10", "split": "chair", "won": 1, "revenue": 10000, "units": 4},
    ]


def test_a_won_deal_without_lines_belongs_to_the_group_without_a_product() -> None:
    won = deal(stage="won", amount=eur("5"), reporting_amount=eur("5"))
    assert posted(won, "deal") == [
        {"day": "2026-03-10", "won": 1, "revenue": 500},
        {"day": "2026-03-10", "split": None, "won": 1, "revenue": 500},
    ]


def test_a_lost_deal_is_worth_nothing() -> None:
    lost = deal(line("desk", 1, "100"), stage="lost", closed_at=moment("2026-03-12"))
    assert posted(lost, "deal") == [
        {"day": "2026-03-12", "lost": 1},
        {"day": "2026-03-12", "split": "desk", "lost": 1},
    ]


def test_a_resolved_ticket_counts_in_its_cohort_and_on_the_day_of_its_resolution() -> None:
    resolved = ticket(resolved_at=moment("2026-03-12"), inbound_count=1)
    assert posted(resolved, "ticket") == [
        {"day": "2026-03-10", "opened": 1, "cohort_resolved": 1},
        {"day": "2026-03-12", "resolved": 1, "resolved_first_contact": 1},
    ]


@pytest.mark.parametrize(
    ("fields", "first_contact"),
    [
        ({"inbound_count": 0}, True),
        ({"inbound_count": 1, "interaction_count": 9}, True),
        ({"inbound_count": 2}, False),
        ({"inbound_count": 1, "reopen_count": 1}, False),
    ],
)
def test_first_contact_means_that_the_customer_need_not_come_back(fields: dict[str, int], first_contact: bool) -> None:
    postings = posted(ticket(resolved_at=moment("2026-03-12"), **fields), "ticket")
    assert ("resolved_first_contact" in postings[1]) is first_contact


def test_a_reopened_ticket_keeps_its_reopenings_and_has_no_resolution() -> None:
    assert posted(ticket(reopen_count=2), "ticket") == [
        {"day": "2026-03-10", "opened": 1, "cohort_reopened": 1, "reopenings": 2}
    ]


def test_a_logged_contact_tells_of_its_ticket_and_of_itself() -> None:
    contact = interaction(occurred_at=moment("2026-03-11"), talk_seconds=100, hold_seconds=0, wrap_up_seconds=7)
    event = logged(contact, interaction_count=1)
    assert posted(event, "ticket") == [{"day": "2026-03-10", "opened": 1}]
    assert posted(event, "interaction") == [
        {"day": "2026-03-11", "handled": 1, "talk_seconds": 100, "wrap_up_seconds": 7}
    ]
    subjects = {entry.kind.name: (entry.subject_id, entry.sequence) for entry in told(event, 5)}
    assert subjects == {"ticket": (contact.ticket_id, 5), "interaction": (contact.id, 5)}


def test_an_automatic_message_was_handled_by_nobody() -> None:
    assert posted(logged(interaction(agent_id=None)), "interaction") == []


def test_a_tickets_owner_is_its_agent() -> None:
    [entry] = told(ticket(priority="urgent", kind="complaint"))
    owner, *_, priority, kind = entry.postings[0].dimensions[4:]
    assert (owner, priority, kind) == (str(AGENT), "urgent", "complaint")


@pytest.mark.parametrize(("score", "satisfied"), [(1, 0), (3, 0), (4, 1), (5, 1)])
def test_an_answer_counts_on_the_day_it_was_given(score: int, satisfied: int) -> None:
    postings = posted(survey(answered_at=moment("2026-03-15"), score=score), "survey")
    assert postings[0] == {"day": "2026-03-10", "sent": 1, "cohort_answered": 1}
    assert postings[1] == {"day": "2026-03-15", "answered": 1, "score": score} | ({"satisfied": 1} if satisfied else {})


@given(st.integers(0, 10**15), st.integers(1, 800))
def test_a_target_is_spread_so_that_every_prefix_is_its_floor(total: int, days: int) -> None:
    parts = spread(total, days)
    assert len(parts) == days
    assert all(sum(parts[:k]) == total * k // days for k in range(days + 1))
    assert max(parts) - min(parts) <= 1


def test_a_quota_counts_on_each_day_of_its_period() -> None:
    postings = posted(quota(date(2026, 2, 27), date(2026, 3, 1), eur("0.05")), "quota")
    assert postings == [
        {"day": "2026-02-27", "target": 1},
        {"day": "2026-02-28", "target": 2},
        {"day": "2026-03-01", "target": 2},
    ]


NEW_YORK = Reporting(zone=ZoneInfo("America/New_York"), currency="EUR")
KIRITIMATI = Reporting(zone=ZoneInfo("Pacific/Kiritimati"), currency="EUR")


@pytest.mark.parametrize(
    ("instant", "reporting", "day"),
    [
        # Midnight in Vilnius is 22:00 UTC in winter and 21:00 UTC in summer.
        ("2026-01-31T21:59:59.999+00:00", VILNIUS, "2026-01-31"),
        ("2026-01-31T22:00:00.000+00:00", VILNIUS, "2026-02-01"),
        ("2026-06-30T20:59:59.999+00:00", VILNIUS, "2026-06-30"),
        ("2026-06-30T21:00:00.000+00:00", VILNIUS, "2026-07-01"),
        # The night of 29 March has 23 hours, that of 25 October 25.
        ("2026-03-28T21:59:59.999+00:00", VILNIUS, "2026-03-28"),
        ("2026-03-28T22:00:00.000+00:00", VILNIUS, "2026-03-29"),
        ("2026-03-29T20:59:59.999+00:00", VILNIUS, "2026-03-29"),
        ("2026-03-29T21:00:00.000+00:00", VILNIUS, "2026-03-30"),
        ("2026-10-24T20:59:59.999+00:00", VILNIUS, "2026-10-24"),
        ("2026-10-25T21:59:59.999+00:00", VILNIUS, "2026-10-25"),
        ("2026-10-25T22:00:00.000+00:00", VILNIUS, "2026-10-26"),
        ("2026-01-01T04:59:59.999+00:00", NEW_YORK, "2025-12-31"),
        ("2025-12-31T10:00:00.000+00:00", KIRITIMATI, "2026-01-01"),
        # The zone that an instant is written in changes nothing.
        ("2026-01-31T23:59:59.999+02:00", VILNIUS, "2026-01-31"),
        ("2026-02-01T11:59:59.999+14:00", VILNIUS, "2026-01-31"),
    ],
)
def test_days_are_those_of_the_reporting_zone(instant: str, reporting: Reporting, day: str) -> None:
    assert posted(lead(created_at=datetime.fromisoformat(instant)), "lead", reporting)[0]["day"] == day


def refused(state: Any) -> str:
    with pytest.raises(UndecodableEvent) as refusal:
        decode(record(state), VILNIUS)
    assert refusal.value.reason == "invalid-data"
    return refusal.value.detail


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (lead(created_at=moment("1969-12-30T00:00")), "1969-12-30 is not between 1970 and 2199"),
        (lead(created_at=moment("2200-01-01T12:00")), "2200-01-01 is not between 1970 and 2199"),
        (deal(stage="won", closed_at=None), "lacks the time it was closed at"),
        (deal(line("desk", 1, "1"), stage="won", reporting_amount=None), "lacks its worth"),
        (deal(stage="won", reporting_amount=Money(amount=eur(1).amount, currency="USD")), "an amount in USD"),
        (deal(stage="won", reporting_amount=eur("0.001")), "more than 2 decimal places"),
        (survey(score=3), "a survey has both"),
        (survey(answered_at=moment("2026-03-15")), "a survey has both"),
        (quota(date(2026, 3, 2), date(2026, 3, 1), eur("1")), "a period of 0 days"),
        (quota(date(2000, 1, 1), date(2026, 3, 1), eur("1")), "a quota covers 1 to 3660"),
    ],
)
def test_what_cannot_be_booked_is_refused_before_it_reaches_the_books(state: Any, reason: str) -> None:
    assert reason in refused(state)


def test_a_time_at_the_edge_of_the_calendar_is_refused() -> None:
    raw = record(lead()).replace(b'"created_at":"2026-03-10T08:00:00Z"', b'"created_at":"0001-01-01T00:00:00+14:00"')
    with pytest.raises(UndecodableEvent, match="invalid-data"):
        decode(raw, VILNIUS)
    raw = record(lead()).replace(b'"time":"2026-03-10T08:00:00Z"', b'"time":"0001-01-01T00:00:00+14:00"')
    with pytest.raises(UndecodableEvent, match="invalid-data"):
        decode(raw, VILNIUS)
