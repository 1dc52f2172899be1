"""What each state contributes, and to which day."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_contracts.codec import UndecodableEvent
from event_contracts.fields import Credit, Money
from event_contracts.planned_work import WorkMove
from event_contracts.sales import ActivityPlanned, StageEntry
from event_contracts.service import RatingWait, Wait
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.quota import spread
from metrics_worker.domain.waiting import of_onboarding_step, of_ticket
from metrics_worker.ledger.aggregate import decode
from tests.faults.rows import fault
from tests.metrics_worker.facts import (
    AGENT,
    CUSTOMER,
    MORNING,
    REP,
    TEAM,
    VILNIUS,
    account,
    activity,
    check_in,
    deal,
    decoded,
    delivery,
    eur,
    interaction,
    lead,
    line,
    logged,
    maintenance,
    moment,
    quota,
    record,
    referral,
    review,
    step,
    survey,
    ticket,
    training,
    upsell,
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
    [postings] = [entry.postings for entry in decoded(state, 1, reporting) if entry.kind.name == kind]
    return shown(kind, postings)


def test_a_lead_counts_on_the_day_it_came_in() -> None:
    assert posted(lead(), "lead") == [{"day": "2026-03-10", "created": 1, "waiting": 1}]


def test_a_lead_waits_until_it_is_contacted_or_given_up() -> None:
    """Contacted in time, and a second too late; given up without a contact; converted, entered late."""
    found = []
    for fields in (
        {"contacted_at": moment("2026-03-10T09:00")},
        {"contacted_at": moment("2026-03-10T09:00:01")},
        {"disqualified_at": moment("2026-03-12T08:00")},
        {"converted_at": moment("2026-03-09T08:00")},
    ):
        first, *later = posted(lead(**fields), "lead")
        (end,) = (row["day"] for row in later if row.get("waiting") == -1)
        found.append((first.get("within_hour", 0), end))
    assert found == [(1, "2026-03-10"), (0, "2026-03-10"), (0, "2026-03-12"), (1, "2026-03-10")]


def test_a_converted_lead_counts_in_its_cohort_and_on_the_day_of_its_conversion() -> None:
    converted = lead(contacted_at=moment("2026-03-11"), converted_at=moment("2026-05-02T12:00"))
    assert posted(converted, "lead") == [
        {"day": "2026-03-10", "created": 1, "cohort_contacted": 1, "cohort_converted": 1, "waiting": 1},
        {"day": "2026-03-11", "contacted": 1, "response_seconds": 57600, "waiting": -1},
        {"day": "2026-05-02", "converted": 1},
    ]


def test_a_leads_dimensions_are_its_attribution() -> None:
    [entry] = decoded(lead(account_id=CUSTOMER, channel=None))
    assert entry.postings[0].dimensions == ("EMEA", "smb", None, None, str(REP), str(TEAM), str(CUSTOMER))


def closing(state: Any) -> list[dict[str, Any]]:
    """What a deal contributes on being closed, without its time in the pipeline."""
    return [row for row in posted(state, "deal") if {"won", "lost"} & row.keys()]


def test_an_open_deal_is_in_the_pipeline_at_the_chance_of_its_stage() -> None:
    assert posted(deal(line("desk", 1, "100")), "deal") == [
        {"day": "2026-03-10", "pipeline_deals": 1, "pipeline_value": 10000, "pipeline_weighted": 8000},
        {"day": "2026-03-10", "entered": 1},
    ]


def entries(*entered: tuple[Any, str]) -> list[StageEntry]:
    return [StageEntry(stage=stage, entered_at=moment(day)) for stage, day in entered]


def test_a_deal_leaves_the_pipeline_when_it_is_closed_and_each_stage_when_it_moves_on() -> None:
    way = entries(("prospecting", "2026-03-01"), ("proposal", "2026-03-04"), ("won", "2026-03-09"))
    won = deal(line("desk", 1, "100"), stage="won", closed_at=moment("2026-03-09"), stage_entries=way)
    [postings] = [entry.postings for entry in decoded(won)]
    contributions = [
        (str(posting.day), posting.dimensions[-1], posting.measures[-4], posting.measures[-3])
        for posting in postings
        if posting.measures[-4]
    ]
    assert contributions == [
        ("2026-03-01", "prospecting", 10000, 1000),
        ("2026-03-04", "prospecting", -10000, -1000),
        ("2026-03-04", "proposal", 10000, 6000),
        ("2026-03-09", "proposal", -10000, -6000),
    ]
    conversions = [(posting.dimensions[-1], *posting.measures[-2:]) for posting in postings if posting.measures[-2]]
    assert conversions == [("prospecting", 1, 1), ("proposal", 1, 1)]


def test_a_lost_deal_has_advanced_from_the_stages_before_its_last_one_only() -> None:
    way = entries(("prospecting", "2026-03-01"), ("negotiation", "2026-03-04"), ("lost", "2026-03-09"))
    lost = deal(stage="lost", closed_at=moment("2026-03-09"), stage_entries=way)
    [postings] = [entry.postings for entry in decoded(lost)]
    conversions = [(posting.dimensions[-1], *posting.measures[-2:]) for posting in postings if posting.measures[-2]]
    assert conversions == [("prospecting", 1, 1), ("negotiation", 1, 0)]


def test_a_deal_that_was_won_and_reopened_has_not_advanced_from_the_stage_it_is_back_in() -> None:
    way = entries(
        ("proposal", "2026-03-01"), ("negotiation", "2026-03-04"), ("won", "2026-03-09"), ("negotiation", "2026-03-10")
    )
    [postings] = [entry.postings for entry in decoded(deal(stage="negotiation", stage_entries=way))]
    conversions = [(posting.dimensions[-1], *posting.measures[-2:]) for posting in postings if posting.measures[-2]]
    assert conversions == [("proposal", 1, 1), ("negotiation", 1, 0)]


def test_a_deal_put_back_into_a_stage_that_it_had_skipped_has_not_advanced_from_it() -> None:
    way = entries(("prospecting", "2026-03-01"), ("proposal", "2026-03-04"), ("qualification", "2026-03-09"))
    [postings] = [entry.postings for entry in decoded(deal(stage="qualification", stage_entries=way))]
    conversions = [(posting.dimensions[-1], *posting.measures[-2:]) for posting in postings if posting.measures[-2]]
    assert conversions == [("prospecting", 1, 1), ("proposal", 1, 0), ("qualification", 1, 0)]


def test_an_open_deal_in_a_foreign_currency_is_worth_what_its_event_estimates() -> None:
    dollars = Money(amount=Decimal(100), currency="USD")
    assert "pipeline_value" not in posted(deal(amount=dollars), "deal")[0]
    assert posted(deal(amount=dollars, estimated_reporting_amount=eur("92")), "deal")[0]["pipeline_value"] == 9200


def test_a_won_deal_that_an_agent_suggested_is_an_upsell() -> None:
    won = deal(line("desk", 1, "100"), stage="won", upsell_suggestion_id=AGENT)
    assert [(row["upsell_won"], row["upsell_revenue"]) for row in closing(won)] == [(1, 10000), (1, 10000)]


def test_a_won_deal_counts_as_a_whole_and_once_under_each_of_its_products() -> None:
    won = deal(line("desk", 2, "200.50"), line("chair", 4, "100"), line("desk", 1, "0.50"), stage="won")
    assert closing(won) == [
        {"day": "2026-03-10", "won": 1, "revenue": 30100, "units": 7},
        {"day": "2026-03-10", "split": "desk", "won": 1, "revenue": 20100, "units": 3},
        {"day": "2026-03-10", "split": "chair", "won": 1, "revenue": 10000, "units": 4},
    ]


def test_a_won_deal_without_lines_belongs_to_the_group_without_a_product() -> None:
    won = deal(stage="won", amount=eur("5"), reporting_amount=eur("5"))
    assert closing(won) == [
        {"day": "2026-03-10", "won": 1, "revenue": 500},
        {"day": "2026-03-10", "split": None, "won": 1, "revenue": 500},
    ]


def test_a_lost_deal_is_worth_nothing() -> None:
    lost = deal(line("desk", 1, "100"), stage="lost", closed_at=moment("2026-03-12"))
    assert closing(lost) == [
        {"day": "2026-03-12", "lost": 1},
        {"day": "2026-03-12", "split": "desk", "lost": 1},
    ]


ASKED = {"waits": 1, "waiting": 1}
"""What a ticket counts for while its customer waits for us."""


def replied_after(seconds: int) -> dict[str, int]:
    """What it counts for once that wait has ended, after so long."""
    return {"replied": 1, "reply_seconds": seconds, "waiting": -1}


def test_a_resolved_ticket_counts_in_its_cohort_and_on_the_day_of_its_resolution() -> None:
    resolved = ticket(resolved_at=moment("2026-03-12"), inbound_count=1)
    assert posted(resolved, "ticket") == [
        {"day": "2026-03-10", "opened": 1, "cohort_resolved": 1, "backlog": 1, "unattended": 1, **ASKED},
        {
            "day": "2026-03-12", "resolved": 1, "resolution_seconds": 144000, "resolved_first_contact": 1,
            "first_resolved": 1, "held": 1, "backlog": -1, "unattended": -1, **replied_after(144000),
        },
    ]  # fmt: skip


def test_an_answered_ticket_is_attended_from_then_on() -> None:
    answered = ticket(first_responded_at=moment("2026-03-10T09:00"), first_response_business_seconds=1800)
    assert posted(answered, "ticket") == [
        {
            "day": "2026-03-10", "opened": 1, "cohort_within_hour": 1, "backlog": 1, "unattended": 1, **ASKED,
            "waits_within_hour": 1,
        },
        {
            "day": "2026-03-10", "first_responded": 1, "first_response_seconds": 3600, "business_responded": 1,
            "business_response_seconds": 1800, "unattended": -1, **replied_after(3600),
        },
    ]  # fmt: skip


def test_an_answer_a_second_after_the_hour_is_too_late() -> None:
    assert "cohort_within_hour" not in posted(ticket(first_responded_at=moment("2026-03-10T09:00:01")), "ticket")[0]


def test_a_merged_ticket_counts_no_more() -> None:
    merged = ticket(
        status="closed", merged_into=AGENT, merged_at=moment("2026-03-11"), resolved_at=moment("2026-03-11")
    )
    assert posted(merged, "ticket") == []


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({"first_reopened_at": moment("2026-03-19T00:00:01")}, 1),
        ({"first_reopened_at": moment("2026-03-19")}, 0),
        ({"reopened_at": moment("2026-03-25")}, 1),
        ({"reopened_at": moment("2026-03-25"), "reopen_count": 2}, 0),
    ],
)
def test_a_resolution_held_when_the_ticket_was_not_reopened_within_seven_days(
    fields: dict[str, Any], held: int
) -> None:
    again = ticket(**({"first_resolved_at": moment("2026-03-12"), "reopen_count": 1} | fields))
    [first] = [row for row in posted(again, "ticket") if "first_resolved" in row]
    assert (first["day"], first.get("held", 0)) == ("2026-03-12", held)


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({}, (0, 0)),
        ({"resolution_due_at": moment("2026-03-13")}, (1, 1)),
        ({"first_response_due_at": moment("2026-03-10"), "sla_breached_at": moment("2026-03-10")}, (1, 0)),
    ],
)
def test_an_agreement_is_kept_unless_it_was_breached(fields: dict[str, Any], counted: tuple[int, int]) -> None:
    row = posted(ticket(resolved_at=moment("2026-03-12"), **fields), "ticket")[1]
    assert (row.get("resolved_under_sla", 0), row.get("resolved_within_sla", 0)) == counted


@pytest.mark.parametrize(
    ("fields", "first_contact"),
    [
        ({"inbound_count": 0}, True),
        ({"inbound_count": 1, "interaction_count": 9}, True),
        ({"inbound_count": 2}, False),
        ({"inbound_count": 1, "reopen_count": 1}, False),
        ({"inbound_count": 1, "merged_contact_count": 1}, False),
    ],
)
def test_first_contact_means_that_the_customer_need_not_come_back(fields: dict[str, int], first_contact: bool) -> None:
    postings = posted(ticket(resolved_at=moment("2026-03-12"), **fields), "ticket")
    assert ("resolved_first_contact" in postings[1]) is first_contact


def test_a_reopened_ticket_keeps_its_reopenings_and_has_no_resolution() -> None:
    assert posted(ticket(reopen_count=2), "ticket") == [
        {
            "day": "2026-03-10",
            "opened": 1,
            "cohort_reopened": 1,
            "reopenings": 2,
            "backlog": 1,
            "unattended": 1,
            **ASKED,
        }
    ]  # fmt: skip


def test_every_wait_counts_from_its_question_to_its_answer() -> None:
    """Answered after five minutes; reopened on the 12th and answered after ten; on the 14th they wrote again."""
    waits = [
        Wait(since=MORNING, until=moment("2026-03-10T08:05"), ended_by="reply"),
        Wait(since=moment("2026-03-12T08:00"), until=moment("2026-03-12T08:10"), ended_by="resolution"),
        Wait(since=moment("2026-03-14T08:00")),
    ]
    again = ticket(first_responded_at=moment("2026-03-10T08:05"), reopen_count=2, waits=waits)
    assert posted(again, "ticket")[1:] == [
        {"day": "2026-03-12", **ASKED, "waits_within_hour": 1},
        {"day": "2026-03-12", "waiting": -1},
        {"day": "2026-03-12", "replied": 1, "reply_seconds": 600},
        {"day": "2026-03-14", **ASKED},
        {
            "day": "2026-03-10", "first_responded": 1, "first_response_seconds": 300, "unattended": -1,
            **replied_after(300),
        },
    ]  # fmt: skip
    assert [(wait.reason, wait.since) for wait in of_ticket(again, VILNIUS)] == [
        ("message", moment("2026-03-14T08:00"))
    ]
    assert not of_ticket(ticket(waits=waits[:2]), VILNIUS)


def test_of_an_onboarding_only_what_the_customer_wrote_is_waited_for() -> None:
    since = moment("2026-03-11T08:00")
    written = ticket(onboarding_since=MORNING, waits=[Wait(since=since)])
    assert posted(written, "ticket")[1:] == [{"day": "2026-03-11", **ASKED}]
    assert [wait.since for wait in of_ticket(written, VILNIUS)] == [since]


def test_a_promised_delivery_is_waited_for_from_the_end_of_its_day_on() -> None:
    # The day in Vilnius ends at ten in the evening of UTC.
    open_step = {"day": "2026-03-10", "open": 1, "undelivered": 1}
    assert posted(step(), "onboardingstep") == [open_step, {"day": "2026-03-11", "waiting": 1}]
    [wait] = of_onboarding_step(step(), VILNIUS)
    assert (wait.reason, wait.since, wait.customer, wait.owner) == (
        "promise",
        moment("2026-03-10T22:00"),
        CUSTOMER,
        AGENT,
    )
    due = {"day": "2026-03-10", "due": 1, "delivered": 1}
    in_time = {"on_time": 1, "delivered_in_time": 1, "delivered_within_hour": 1}

    def done(at: str, **fields: Any) -> list[dict[str, Any]]:
        finished = step(status="done", completed_at=moment(at), **fields)
        assert not of_onboarding_step(finished, VILNIUS)
        return posted(finished, "onboardingstep")

    assert done("2026-03-10T21:59") == [due | in_time | {"completed": 1}]
    assert done("2026-03-08T09:00") == [{"day": "2026-03-08", "completed": 1}, due | in_time]
    # On the next day, the wait begins and ends on one day.
    late = {"day": "2026-03-11", "completed": 1, "delivered_late": 1}
    assert done("2026-03-10T23:00") == [due | {"delivered_within_hour": 1}, late | {"late_seconds": 3_600}]
    assert done("2026-03-10T23:00:01") == [due, late | {"late_seconds": 3_601}]
    assert done("2026-03-12T22:00") == [
        due,
        {"day": "2026-03-11", "waiting": 1},
        {"day": "2026-03-13", "completed": 1, "waiting": -1, "delivered_late": 1, "late_seconds": 172_800},
    ]
    # No one but the company waits for the other steps, and no one for what was cancelled.
    assert posted(step(promised=False), "onboardingstep") == [{"day": "2026-03-10", "open": 1}]
    assert posted(step(promised=False, status="missed", missed_at=MORNING), "onboardingstep") == [
        {"day": "2026-03-10", "due": 1}
    ]
    cancelled = step(status="cancelled", cancelled_at=MORNING)
    assert posted(cancelled, "onboardingstep") == []
    assert not of_onboarding_step(cancelled, VILNIUS)
    assert not of_onboarding_step(step(promised=False), VILNIUS)
    last = step(due_on=date(2199, 12, 31))
    assert posted(last, "onboardingstep") == [{"day": "2199-12-31", "open": 1, "undelivered": 1}]


@pytest.mark.parametrize(
    ("zone", "promised_for", "since"),
    [
        ("Europe/Vilnius", "2026-03-27", "2026-03-27T22:00"),
        # The clocks go forward in the night after, and then the day is 23 hours long.
        ("Europe/Vilnius", "2026-03-28", "2026-03-28T22:00"),
        ("Europe/Vilnius", "2026-03-29", "2026-03-29T21:00"),
        # They go back in the night after, and then the day is 25 hours long.
        ("Europe/Vilnius", "2026-10-24", "2026-10-24T21:00"),
        ("Europe/Vilnius", "2026-10-25", "2026-10-25T22:00"),
        ("America/New_York", "2026-03-07", "2026-03-08T05:00"),
        ("Asia/Kathmandu", "2026-06-10", "2026-06-10T18:15"),
        # At midnight itself: the day begins at one, and before that, an hour of the evening came twice.
        ("America/Santiago", "2026-09-05", "2026-09-06T04:00"),
        ("America/Santiago", "2026-04-04", "2026-04-05T04:00"),
    ],
)
def test_the_wait_for_a_delivery_begins_when_its_day_is_over_in_the_reporting_zone(
    zone: str, promised_for: str, since: str
) -> None:
    promise, reporting = step(due_on=date.fromisoformat(promised_for)), Reporting(ZoneInfo(zone), "EUR")
    [wait] = of_onboarding_step(promise, reporting)
    assert wait.since == moment(since)
    assert reporting.day_of(wait.since) == promise.due_on + timedelta(days=1)
    assert reporting.day_of(wait.since - timedelta(microseconds=1)) == promise.due_on


def test_a_logged_contact_carries_its_ticket_and_itself() -> None:
    contact = interaction(occurred_at=moment("2026-03-11"), talk_seconds=100, hold_seconds=0, wrap_up_seconds=7)
    event = logged(contact, interaction_count=1)
    assert posted(event, "ticket") == [{"day": "2026-03-10", "opened": 1, "backlog": 1, "unattended": 1, **ASKED}]
    assert posted(event, "interaction") == [
        {"day": "2026-03-11", "handled": 1, "talk_seconds": 100, "wrap_up_seconds": 7, "handle_seconds": 107}
    ]
    subjects = {entry.kind.name: (entry.subject_id, entry.sequence) for entry in decoded(event, 5)}
    assert subjects == {"ticket": (contact.ticket_id, 5), "interaction": (contact.id, 5)}


def test_an_automatic_message_is_not_handled() -> None:
    assert posted(logged(interaction(agent_id=None)), "interaction") == []


def test_a_tickets_owner_is_its_agent() -> None:
    [entry] = decoded(ticket(priority="urgent", kind="complaint"))
    owner, *_, priority, kind = entry.postings[0].dimensions[4:]
    assert (owner, priority, kind) == (str(AGENT), "urgent", "complaint")


@pytest.mark.parametrize(("score", "satisfied"), [(1, 0), (3, 0), (4, 1), (5, 1)])
def test_an_answer_counts_on_the_day_it_was_given(score: int, satisfied: int) -> None:
    postings = posted(survey(answered_at=moment("2026-03-15"), score=score), "survey")
    assert postings[0] == {"day": "2026-03-10", "sent": 1, "cohort_answered": 1}
    expected = {"day": "2026-03-15", "answered": 1, "scored": 1, "score": score}
    assert postings[1] == expected | ({"satisfied": 1} if satisfied else {})


@pytest.mark.parametrize(
    ("recommendation", "counted"), [(0, "detractors"), (6, "detractors"), (7, None), (8, None), (9, "promoters")]
)
def test_a_recommendation_is_promoted_or_detracted(recommendation: int, counted: str | None) -> None:
    postings = posted(survey(answered_at=moment("2026-03-15"), recommendation=recommendation), "survey")
    expected = {"day": "2026-03-15", "answered": 1, "recommended": 1}
    assert postings[1] == expected | ({counted: 1} if counted else {})


def test_an_effort_counts_beside_the_score() -> None:
    postings = posted(survey(answered_at=moment("2026-03-15"), score=3, effort=5), "survey")
    assert postings[1] == {
        "day": "2026-03-15", "answered": 1, "scored": 1, "score": 3, "effort_rated": 1, "effort": 5, "effortless": 1,
    }  # fmt: skip


def test_a_bad_rating_waits_from_its_answer_until_an_agent_speaks_with_the_customer() -> None:
    """Spoken with after fifty minutes; made worse on the 16th, and better on the 17th before a call."""
    answered, worse = moment("2026-03-15T08:00"), moment("2026-03-16T08:00")
    by = Credit(person_id=REP, team_id=None)
    waits = [
        RatingWait(since=answered, until=moment("2026-03-15T08:50"), ended_by="follow_up", followed_up_by=by),
        RatingWait(since=worse, until=moment("2026-03-17T08:00"), ended_by="revision"),
        RatingWait(since=moment("2026-03-18T08:00")),
    ]
    rated = survey(answered_at=answered, score=1, waits=waits)
    began = {"waits": 1, "waiting": 1}
    assert posted(rated, "survey")[1:] == [
        {"day": "2026-03-15", "answered": 1, "scored": 1, "score": 1, **began, "waits_within_hour": 1},
        {"day": "2026-03-15", "waiting": -1},
        {"day": "2026-03-15", "followed_up": 1, "follow_up_seconds": 3_000},
        {"day": "2026-03-16", **began},
        {"day": "2026-03-17", "waiting": -1},
        {"day": "2026-03-18", **began},
    ]
    [entry] = decoded(rated)
    # The follow-up is of the agent who spoke with them; the waits are of whom the survey is about.
    assert [posting.dimensions[4] for posting in entry.postings[1:]] == [
        str(AGENT), str(AGENT), str(REP), str(AGENT), str(AGENT), str(AGENT),
    ]  # fmt: skip
    assert [(wait.reason, wait.since) for wait in entry.waits] == [("rating", moment("2026-03-18T08:00"))]
    for over in (survey(answered_at=answered, score=1, waits=waits[:2]), survey(answered_at=answered, score=1)):
        assert not decoded(over)[0].waits
    assert not decoded(survey(answered_at=answered, score=1, waits=waits, erased_at=worse))[0].waits


def test_a_customer_counts_from_its_registration_until_it_is_merged() -> None:
    registered = {"day": "2026-03-10", "registered": 1, "customers": 1}
    assert posted(account(), "account") == [registered]
    assert posted(account(referred_by=CUSTOMER), "account") == [registered | {"referred": 1}]
    assert posted(account(merged_into=CUSTOMER), "account") == []


@pytest.mark.parametrize(
    ("fields", "missed"),
    [
        ({}, None),
        ({"delivered_at": moment("2026-03-10T22:00")}, "in_time"),
        ({"price": eur("100.01")}, "at_price"),
        ({"quality_as_agreed": False}, "of_quality"),
    ],
)
def test_a_promise_is_kept_in_time_price_and_quality_or_not_at_all(fields: dict[str, Any], missed: str | None) -> None:
    parts = {"in_time": 1, "at_price": 1, "of_quality": 1}
    expected = {"day": "2026-03-12", "accepted": 1, "promised": 1, **parts}
    if missed is None:
        expected["kept"] = 1
    else:
        del expected[missed]
    assert posted(delivery(accepted_at=moment("2026-03-12"), **fields), "delivery") == [expected]


def test_a_delivery_without_a_promise_keeps_none() -> None:
    assert posted(delivery(promise=None), "delivery") == [{"day": "2026-03-10", "accepted": 1}]


def test_an_onboarding_takes_from_the_winning_of_its_deal_to_its_resolution() -> None:
    onboarding = ticket(onboarding_since=moment("2026-03-09T08:00"), resolved_at=moment("2026-03-12T08:00"))
    opened = {"day": "2026-03-09", "onboardings": 1, "onboarding_backlog": 1}
    done = {"day": "2026-03-12", "onboarded": 1, "onboarding_seconds": 3 * 86_400, "onboarding_backlog": -1}
    assert posted(onboarding, "ticket") == [opened, done]


@pytest.mark.parametrize(
    "done",
    [
        {"first_responded_at": moment("2026-03-09T08:10")},
        {"reopen_count": 1, "reopened_at": moment("2026-03-11T08:00"), "escalated_at": moment("2026-03-12T08:00")},
        {"sla_breached_at": moment("2026-03-10T08:00"), "resolution_due_at": moment("2026-03-10T08:00")},
    ],
)
def test_an_onboarding_is_no_request_of_a_customer(done: dict[str, Any]) -> None:
    onboarding = ticket(kind="installation", onboarding_since=moment("2026-03-09T08:00"), **done)
    assert posted(onboarding, "ticket") == [{"day": "2026-03-09", "onboardings": 1, "onboarding_backlog": 1}]
    assert not of_ticket(onboarding, VILNIUS)


def test_a_cancelled_onboarding_counts_nowhere() -> None:
    since = moment("2026-03-09T08:00")
    cancelled = ticket(
        onboarding_since=since, resolved_at=moment("2026-03-10T08:00"), cancelled_at=moment("2026-03-11")
    )
    assert posted(cancelled, "ticket") == []


def test_a_follow_up_is_in_time_up_to_the_moment_it_was_due() -> None:
    due = moment("2026-03-10T16:00")
    done = {"day": "2026-03-10", "completed": 1, "with_due": 1, "follow_ups": 1}
    assert posted(activity(due_at=due, completed_at=due), "activity") == [done | {"on_time": 1}]
    assert posted(activity(due_at=due, completed_at=due + timedelta(seconds=1)), "activity") == [done]
    assert posted(activity(due_at=None), "activity") == [{"day": "2026-03-10", "completed": 1}]


def test_what_is_done_for_customers_counts_on_its_day() -> None:
    assert posted(referral(), "referral") == [{"day": "2026-03-10", "recorded": 1}]
    assert posted(training(attendees=6), "training") == [{"day": "2026-03-10", "delivered": 1, "attendees": 6}]
    assert posted(upsell(), "upsell") == [{"day": "2026-03-10", "suggested": 1}]
    assert posted(review(score=4), "review") == [{"day": "2026-03-10", "recorded": 1, "good": 1, "score": 4}]
    assert posted(review(score=3), "review") == [{"day": "2026-03-10", "recorded": 1, "score": 3}]
    assert posted(check_in(due_on=None), "checkin") == [{"day": "2026-03-10", "completed": 1}]


@pytest.mark.parametrize(("due_on", "on_time"), [(date(2026, 3, 10), 1), (date(2026, 3, 9), 0)])
def test_what_is_done_by_the_end_of_the_day_it_is_due_is_in_time(due_on: date, on_time: int) -> None:
    # 21:59 UTC is the last minute of the day in Vilnius.
    late = moment("2026-03-10T21:59")
    checked = posted(check_in(due_on=due_on, completed_at=late), "checkin")
    maintained = posted(maintenance(due_on=due_on, performed_at=late), "maintenance")
    for postings in (checked, maintained):
        assert [each["day"] for each in postings if each.get("due")] == [str(due_on)]
        assert sum(each.get("on_time", 0) for each in postings) == on_time


def test_planned_work_counts_on_the_day_it_is_due_until_it_is_cancelled() -> None:
    due, later = moment("2026-03-10T16:00"), moment("2026-03-20T16:00")
    planned: dict[str, Any] = {"status": "planned", "planned_at": moment("2026-03-01T08:00"), "completed_at": None}

    def of(**state: Any) -> list[dict[str, Any]]:
        return posted(ActivityPlanned(**(msgspec.structs.asdict(activity(due_at=due)) | planned | state)), "activity")

    assert of() == [{"day": "2026-03-10", "open": 1}]
    assert of(status="missed", missed_at=due) == [{"day": "2026-03-10", "follow_ups": 1}]
    assert of(status="cancelled", cancelled_at=due) == []
    assert of(status="done", completed_at=later) == [
        {"day": "2026-03-10", "follow_ups": 1},
        {"day": "2026-03-20", "completed": 1, "with_due": 1},
    ]
    in_time, too_late = WorkMove(moved_at=due, due_at=due), WorkMove(moved_at=due + timedelta(seconds=1), due_at=due)
    was_missed = WorkMove(moved_at=due, due_at=due, missed_at=due - timedelta(hours=1))
    assert of(due_at=later, moves=[in_time]) == [{"day": "2026-03-20", "open": 1}]
    for move in (too_late, was_missed):
        assert of(due_at=later, moves=[move]) == [
            {"day": "2026-03-10", "follow_ups": 1},
            {"day": "2026-03-20", "open": 1},
        ]
        assert of(due_at=later, moves=[move], status="cancelled", cancelled_at=later) == []


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


@fault(13)
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
        (
            lead(created_at=moment("1969-12-30T00:00")),
            "1969-12-30T00:00:00+00:00 is not between 1970-01-02 and 2199-12-30",
        ),
        (
            lead(created_at=moment("2200-01-01T12:00")),
            "2200-01-01T12:00:00+00:00 is not between 1970-01-02 and 2199-12-30",
        ),
        (deal(stage="won", closed_at=None), "lacks the time it was closed at"),
        (deal(line("desk", 1, "1"), stage="won", reporting_amount=None), "lacks its worth"),
        (deal(stage="won", reporting_amount=Money(amount=eur(1).amount, currency="USD")), "an amount in USD"),
        (deal(stage="won", reporting_amount=eur("0.001")), "more than 2 decimal places"),
        (delivery(price=Money(amount=eur(1).amount, currency="USD")), "a price in USD where EUR was agreed on"),
        (survey(score=3), "a survey has both"),
        (survey(answered_at=moment("2026-03-15")), "a survey has both"),
        (quota(date(2026, 3, 2), date(2026, 3, 1), eur("1")), "a period of 0 days"),
        (quota(date(2000, 1, 1), date(2026, 3, 1), eur("1")), "a quota covers 1 to 3660"),
    ],
)
def test_what_cannot_be_posted_is_refused_before_it_reaches_the_ledger(state: Any, reason: str) -> None:
    assert reason in refused(state)


def test_a_time_at_the_edge_of_the_calendar_is_refused() -> None:
    raw = record(lead()).replace(b'"created_at":"2026-03-10T08:00:00Z"', b'"created_at":"0001-01-01T00:00:00+14:00"')
    with pytest.raises(UndecodableEvent, match="invalid-data"):
        decode(raw, VILNIUS)
    raw = record(lead()).replace(b'"time":"2026-03-10T08:00:00Z"', b'"time":"0001-01-01T00:00:00+14:00"')
    with pytest.raises(UndecodableEvent, match="invalid-data"):
        decode(raw, VILNIUS)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("account", account), ("lead", lead), ("deal", deal), ("ticket", ticket), ("survey", survey)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_erased_customer_leaves_every_number_as_it_was(kind: str, state: Any) -> None:
    before = state()
    postings_for = KIND_BY_NAME[kind].postings_for
    erased = msgspec.structs.replace(before, erased_at=moment("2026-07-01T09:00"))
    assert postings_for(before, VILNIUS)
    assert postings_for(erased, VILNIUS) == postings_for(before, VILNIUS)
