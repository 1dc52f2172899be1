"""What a customer's timeline contributes, by the rules that the KPIs promise."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from event_contracts.catalogue import State
from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.relationship import BROKEN, WEIGHTS, postings_for
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.blocks import DAY_BITS, Blocks, blocks_of
from metrics_worker.ledger.customer_timelines import RELATIONSHIP, current_entries, entries_of
from tests.metrics_worker.facts import (
    CUSTOMER,
    DAY,
    OTHER_REP,
    REP,
    VILNIUS,
    account,
    deal,
    decoded,
    line,
    moment,
    step,
    survey,
    ticket,
)

ACCOUNT = account(id=CUSTOMER, region="APAC", owner_id=OTHER_REP)


def entries(*states: State) -> list[SubjectState]:
    return [entry for number, state in enumerate(states, 1) for entry in decoded(state, number)]


def measured(measure: str, *states: State, dimension: str = "all", value: str = "") -> dict[str, int]:
    """Return a measure of the timeline by day, without days that sum to zero."""
    versions = [version for entry in entries(*states) for version in entries_of((None, None), [entry])]
    column = RELATIONSHIP.measures.index(measure)
    sums: dict[str, int] = {}
    for posting in postings_for(current_entries(versions), VILNIUS):
        held = posting.dimensions[RELATIONSHIP.dimensions.index(dimension)] if dimension != "all" else ""
        if held == value and not posting.split:
            sums[str(posting.day)] = sums.get(str(posting.day), 0) + posting.measures[column]
    return {day: amount for day, amount in sorted(sums.items()) if amount}


def value_at(measure: str, on: date | str, *states: State) -> int:
    """Return a semi-additive measure of the timeline at the end of a day."""
    return sum(amount for day, amount in measured(measure, *states).items() if day <= str(on))


def won(on: str, amount: str = "100", **fields: object) -> State:
    return deal(line("desk", 1, amount), stage="won", opened_at=moment("2024-01-01"), closed_at=moment(on), **fields)


def test_the_deal_won_first_is_new_and_all_later_ones_are_repeated_in_any_order_of_events() -> None:
    later, first = won("2026-03-10T10:00", "70"), won("2026-03-10T09:00", "30")
    for states in ((later, first), (first, later)):
        assert measured("new_revenue", *states) == {"2026-03-10": 3000}
        assert measured("repeat_revenue", *states) == {"2026-03-10": 7000}
    lost = deal(line("desk", 1, "30"), stage="lost", closed_at=moment("2026-03-09"))
    assert measured("new_revenue", lost, later) == {"2026-03-10": 7000}


def test_new_and_repeated_revenue_are_revenue_in_every_group() -> None:
    states = [
        deal(line("desk", 1, "10"), line("lamp", 1, "5"), stage="won", region="EMEA", owner_id=REP),
        deal(line("lamp", 2, "8"), stage="won", region="APAC", closed_at=moment("2026-04-01")),
        deal(line("lamp", 2, "8"), stage="won", region=None, account_id=REP),
        deal(stage="lost", closed_at=moment("2026-04-02")),
    ]
    deals = blocks_of(KIND_BY_NAME["deal"], [posting for entry in entries(*states) for posting in entry.postings])
    versions = [version for entry in entries(*states) for version in entries_of((None, None), [entry])]
    timeline = blocks_of(RELATIONSHIP, postings_for(current_entries(versions), VILNIUS))

    def sums(blocks: Blocks, *measures: int) -> dict[tuple[Any, ...], int]:
        """The measures' sum by everything but the kind, and the cell's day."""
        found: dict[tuple[Any, ...], int] = {}
        for key, block in blocks.items():
            for cell, amount in block.cells.items():
                if cell >> DAY_BITS in measures and key.dimension != "stage":
                    at = (*key[1:], cell & ((1 << DAY_BITS) - 1))
                    found[at] = found.get(at, 0) + amount
        return {at: amount for at, amount in found.items() if amount}

    new, repeat = (RELATIONSHIP.measures.index(name) for name in ("new_revenue", "repeat_revenue"))
    assert sums(deals, DealMeasures.revenue.position) == sums(timeline, new, repeat)


def test_purchases_have_the_deals_attribution_and_balances_have_the_accounts() -> None:
    states = (ACCOUNT, won("2026-03-10", region="EMEA", owner_id=REP))
    assert measured("new_won", *states, dimension="region", value="EMEA") == {"2026-03-10": 1}
    assert measured("buyers", *states, dimension="region", value="EMEA") == {}
    assert measured("buyers", *states, dimension="region", value="APAC") == {"2026-03-10": 1}
    assert measured("buyers", *states, dimension="owner", value=str(OTHER_REP)) == {"2026-03-10": 1}
    # An account's event may arrive after its deal's; until then the deal is all that is known.
    assert measured("buyers", states[1], dimension="region", value="EMEA") == {"2026-03-10": 1}


def test_a_customer_is_active_for_365_days_after_each_purchase_and_then_lapses() -> None:
    once = won("2025-01-01T12:00")
    assert measured("active", once) == {"2025-01-01": 1, "2026-01-01": -1}
    assert measured("lapsed", once) == {"2026-01-01": 1}
    again = won("2025-12-31T12:00")
    assert measured("lapsed", once, again) == {"2026-12-31": 1}
    assert value_at("repeat_buyers", "2025-12-30", once, again) == 0
    assert value_at("repeat_buyers", "2025-12-31", once, again) == 1
    back = won("2026-03-01T12:00")
    assert measured("lapsed", once, back) == {"2026-01-01": 1, "2027-03-01": 1}


def test_a_customer_is_retained_while_both_years_hold_a_purchase() -> None:
    states = (won("2025-01-01T12:00", "100"), won("2026-02-01T12:00", "250"))
    assert value_at("active_before", "2025-12-31", *states) == 0
    assert (value_at("active_before", "2026-01-31", *states), value_at("retained", "2026-01-31", *states)) == (1, 0)
    assert (value_at("active_before", "2026-02-01", *states), value_at("retained", "2026-02-01", *states)) == (1, 1)
    assert value_at("revenue_before", "2026-02-01", *states) == 10000
    assert value_at("revenue_retained", "2026-02-01", *states) == 25000
    # On the first day of 2027 the first purchase is two years old.
    assert value_at("revenue_before", "2027-01-01", *states) == 0


@pytest.mark.parametrize(
    ("asked", "assisted"), [("2026-03-09", 1), ("2026-03-11", 0), ("2025-09-11T08:00", 1), ("2025-09-01", 0)]
)
def test_a_question_before_the_purchase_assists_for_180_days(asked: str, assisted: int) -> None:
    question = ticket(kind="presales_question", opened_at=moment(asked))
    closed = [deal(stage="won"), deal(stage="lost")]
    for deals, is_won in (([closed[0]], 1), ([closed[1]], 0)):
        assert sum(measured("assisted_closed", question, *deals).values()) == assisted
        assert sum(measured("assisted_won", question, *deals).values()) == assisted * is_won
        assert sum(measured("unassisted_closed", question, *deals).values()) == 1 - assisted
        assert sum(measured("unassisted_won", question, *deals).values()) == (1 - assisted) * is_won
    problem = ticket(opened_at=moment(asked))
    assert measured("assisted_closed", problem, *closed) == {}


def test_a_breach_puts_at_risk_until_the_ticket_is_resolved() -> None:
    breach = {"sla_breached_at": moment("2026-03-10T12:00")}
    assert measured("at_risk", ticket(**breach)) == {"2026-03-10": 1}
    resolved = ticket(**breach, resolved_at=moment("2026-03-12T12:00"))
    assert measured("at_risk", resolved) == {"2026-03-10": 1, "2026-03-12": -1}
    assert measured("at_risk", ticket(**breach, merged_into=REP)) == {}
    within_the_day = ticket(**breach, resolved_at=moment("2026-03-10T13:00"))
    assert measured("at_risk", within_the_day) == {}


def test_a_reopened_ticket_puts_at_risk_until_it_is_resolved_again() -> None:
    reopened = {"reopen_count": 1, "reopened_at": moment("2026-03-10T12:00")}
    assert measured("reopened", ticket(**reopened)) == {"2026-03-10": 1}
    assert measured("reopened", ticket(**reopened, resolved_at=moment("2026-03-11"))) == {
        "2026-03-10": 1, "2026-03-11": -1,
    }  # fmt: skip


def test_a_bad_rating_puts_at_risk_for_90_days_unless_it_is_revised() -> None:
    assert measured("badly_rated", survey(score=2, answered_at=moment("2026-03-10"))) == {
        "2026-03-10": 1, "2026-06-08": -1,
    }  # fmt: skip
    assert measured("badly_rated", survey(score=3, answered_at=moment("2026-03-10"))) == {}
    assert measured("badly_rated", survey()) == {}


def test_several_reasons_at_once_make_one_customer_at_risk() -> None:
    states = (
        ticket(sla_breached_at=moment("2026-03-10"), resolved_at=moment("2026-03-15")),
        survey(score=1, answered_at=moment("2026-03-12")),
    )
    assert measured("at_risk", *states) == {"2026-03-10": 1, "2026-06-10": -1}


def test_what_is_at_risk_is_a_years_revenue_and_the_open_deals() -> None:
    states = (
        won("2025-03-20T12:00", "80"),
        deal(line("desk", 1, "50"), opened_at=moment("2026-03-12T12:00")),
        ticket(sla_breached_at=moment("2026-03-10")),
    )
    assert measured("revenue_at_risk", *states) == {"2026-03-10": 8000, "2026-03-20": -8000}
    assert measured("pipeline_at_risk", *states) == {"2026-03-12": 5000}
    assert measured("pipeline_at_risk", *states[:2]) == {}


def test_each_worry_takes_its_weight_from_the_health_of_those_who_have_bought() -> None:
    assert sum(weight for name, weight in WEIGHTS.items() if name != BROKEN) == 100
    breached = ticket(sla_breached_at=moment("2026-03-10"))
    assert measured("health", breached) == {}
    bought = won("2026-03-01T12:00")
    days = {"2026-02-28": 0, "2026-03-01": 100, "2026-03-10": 70, "2026-08-28": 55, "2027-03-01": 40}
    assert {day: value_at("health", day, bought, breached) for day in days} == days
    assert value_at("health", "2026-08-27", bought, breached) == 70


def test_a_broken_promise_is_a_risk_from_the_day_after_it_until_the_delivery() -> None:
    bought, late = won("2026-03-01T12:00"), step(due_on=date(2026, 3, 9))
    # The day in Vilnius ends at ten in the evening of UTC.
    kept = step(status="done", due_on=date(2026, 3, 9), completed_at=moment("2026-03-09T21:59"))
    soon = step(status="done", due_on=date(2026, 3, 9), completed_at=moment("2026-03-09T22:00"))
    done = step(status="done", due_on=date(2026, 3, 9), completed_at=moment("2026-03-12T08:00"))
    assert measured("promise_broken", bought, late) == {"2026-03-10": 1}
    assert measured("promise_broken", bought, kept) == measured("promise_broken", bought, soon) == {}
    assert measured("promise_broken", bought, done) == {"2026-03-10": 1, "2026-03-12": -1}
    assert measured("at_risk", bought, done) == {"2026-03-10": 1, "2026-03-12": -1}
    cancelled = step(status="cancelled", due_on=date(2026, 3, 9), cancelled_at=moment("2026-03-12"))
    for harmless in (cancelled, step(promised=False, step="set-up", due_on=date(2026, 3, 9))):
        assert measured("promise_broken", bought, harmless) == {}
    days = {"2026-03-09": 100, "2026-03-10": 80, "2026-03-12": 100}
    assert {day: value_at("health", day, bought, done) for day in days} == days


def test_a_health_is_never_less_than_nothing() -> None:
    bought, broken = won("2025-01-01T12:00"), step(due_on=date(2026, 3, 9))
    worries = (
        ticket(
            sla_breached_at=moment("2026-03-01"), reopen_count=1, reopened_at=moment("2026-03-01"), resolved_at=None
        ),
        survey(score=1, answered_at=moment("2026-03-05")),
    )
    days = {"2026-03-04": 20, "2026-03-09": 0, "2026-03-10": 0, "2026-06-03": 0}
    assert {day: value_at("health", day, bought, broken, *worries) for day in days} == days
    assert value_at("health", "2026-06-03", bought, *worries) == 20


def test_nothing_is_posted_after_the_calendar_ends() -> None:
    last = won("2199-12-30T12:00")
    assert measured("active", last) == {"2199-12-30": 1}


def test_merged_customers_have_one_timeline() -> None:
    other = UUID(int=99)
    states = (
        ACCOUNT,
        account(id=other, merged_into=CUSTOMER),
        won("2026-03-01T12:00", account_id=other),
        won("2026-03-05T12:00"),
    )
    assert measured("new_won", *states) == {"2026-03-01": 1}
    assert measured("new_won", *states, dimension="customer", value=str(CUSTOMER)) == {"2026-03-01": 1}
    assert measured("repeat_won", *states) == {"2026-03-05": 1}
    assert measured("buyers", *states, dimension="region", value="APAC") == {"2026-03-01": 1}


def test_only_a_change_of_what_matters_is_a_version() -> None:
    one = ticket()
    assert list(entries_of((None, None), decoded(one))) == []
    opened = deal(line("desk", 1, "10"))
    [entry] = decoded(opened)
    [moved] = decoded(deal(line("desk", 1, "10"), id=opened.id, stage="proposal"), 2)
    [version] = entries_of((None, None), [entry, moved])
    assert (version.sequence, version.kind, version.customer) == (1, "deal", CUSTOMER)
    assert list(entries_of((CUSTOMER, entry.fact), [moved])) == []


def test_a_subject_that_names_another_customer_leaves_the_one_before() -> None:
    first, second = won("2026-03-01"), won("2026-03-01", account_id=REP)
    [before], [after] = decoded(first), decoded(second, 2)
    [left, came] = entries_of((CUSTOMER, before.fact), [after])
    assert (left.customer, left.fact, came.customer, came.fact) == (CUSTOMER, None, REP, after.fact)


def test_the_day_of_a_fact_is_taken_in_the_reporting_zone() -> None:
    late = won("2026-03-09T23:30")
    assert measured("new_won", late) == {str(DAY): 1}
    assert DAY - timedelta(days=1) == moment("2026-03-09T23:30").date()
