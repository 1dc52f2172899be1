"""The oracle's second half finds what source, log and ledger agree on although no request explains it."""

from typing import Any

import pytest

from tests.faults.explanation import Explanation, Rows
from tests.faults.recording import Request

DEAL: dict[str, Any] = {"id": "d1", "version": 1, "stage": "new", "closed_at": None, "amount": "10.0000"}
WON = DEAL | {"version": 2, "stage": "won", "closed_at": "2026-03-01T12:00:00+00:00"}
TICKET: dict[str, Any] = {"id": "t1", "version": 1, "status": "open", "customer_id": "c1", "onboarding_deal_id": None}
OPENED = Request("service", "POST", "/v1/tickets", {}, answer=TICKET)
COPY = {"id": "d1", "won_at": "2026-03-01T12:00:00+00:00"}
ONBOARDING = TICKET | {"id": "t2", "onboarding_deal_id": "d1"}
WINNING = [
    Request("sales", "POST", "/v1/deals", {"amount": "10"}, answer=DEAL | {"amount": "10.00"}),
    Request(
        "sales", "POST", "/v1/deals/d1/close", {"outcome": "won"}, answer=WON | {"closed_at": "2026-03-01T12:00:00Z"}
    ),
]
AFTER_WINNING: Rows = {
    "sales:deal/d1": WON,
    "service:won_deal/d1": COPY,
    "service:ticket/t2": ONBOARDING,
}


def problems(after: Rows, *requests: Request, before: Rows | None = None) -> list[str]:
    return Explanation(before or {}, requests).problems(after)


def test_requests_explain_what_they_did() -> None:
    assert problems({"service:ticket/t1": TICKET}, OPENED) == []
    assert problems(AFTER_WINNING, *WINNING) == []


def test_a_ticket_that_no_request_opened_is_found() -> None:
    assert "created by no request" in problems({"service:ticket/t1": TICKET})[0]


def test_a_ticket_may_come_from_a_request_without_an_answer_but_once() -> None:
    unanswered = Request("service", "POST", "/v1/tickets", {"kind": "problem"})
    opened = TICKET | {"kind": "problem"}
    assert problems({"service:ticket/t1": opened}, unanswered) == []
    twice = {"service:ticket/t1": opened, "service:ticket/t9": opened | {"id": "t9"}}
    assert len(problems(twice, unanswered)) == 1
    assert len(problems({"service:ticket/t1": TICKET | {"kind": "complaint"}}, unanswered)) == 1


def test_a_refused_request_explains_nothing() -> None:
    refused = Request("service", "POST", "/v1/tickets", {}, refused=True)
    assert len(problems({"service:ticket/t1": TICKET}, refused)) == 1


def test_a_change_that_no_request_made_is_found() -> None:
    before = {"service:ticket/t1": TICKET}
    assert problems(before, before=before) == []
    assert "changed by no request" in problems({"service:ticket/t1": TICKET | {"version": 2}}, before=before)[0]
    assert "vanished" in problems({}, before=before)[0]


def test_a_request_that_was_applied_twice_is_found() -> None:
    twice = AFTER_WINNING | {"sales:deal/d1": WON | {"version": 3}}
    assert "has version 3" in problems(twice, *WINNING)[0]


FILED: dict[str, Any] = TICKET | {
    "kind": "problem",
    "channel": "email",
    "priority": "normal",
    "region": None,
    "segment": None,
    "product": None,
    "first_response_breached_at": None,
    "resolution_breached_at": None,
}
CONTACT = {"visibility": "public", "channel": "email", "agent_id": "a1"}
SURVEY = {"id": "s1", "version": 1, "ticket_id": "t1", "ticket_kind": "problem"} | {
    name: FILED[name] for name in ("channel", "priority", "region", "segment", "product")
}
OF_A_TICKET = [
    Request("service", "POST", "/v1/tickets", {}, answer=FILED),
    # Logged, and answered for the first time.
    Request(
        "service",
        "POST",
        "/v1/tickets/t1/interactions",
        {},
        answer=CONTACT | {"id": "i1", "direction": "outbound", "ticket_version": 3},
    ),
    Request(
        "service",
        "POST",
        "/v1/tickets/t1/interactions",
        {},
        answer=CONTACT | {"id": "i2", "direction": "inbound", "ticket_version": 4},
    ),
    Request("service", "POST", "/v1/surveys", {"ticket_id": "t1"}, answer=SURVEY),
]


def after_correcting(to: dict[str, Any], *, versions: int, of_survey: int, answered: bool = True) -> list[str]:
    """Return the problems where a correction of a ticket with two contacts and a survey made so many versions."""
    corrected = FILED | to | {"version": 4 + versions}
    follows = {"ticket_kind": corrected["kind"]} | {
        name: corrected[name] for name in ("channel", "priority", "region", "segment", "product")
    }
    correction = Request("service", "PATCH", "/v1/tickets/t1", to, answer=corrected if answered else None)
    after: Rows = {
        "service:ticket/t1": corrected,
        "service:interaction/i1": {"id": "i1"},
        "service:interaction/i2": {"id": "i2"},
        "service:survey/s1": SURVEY | follows | {"version": 1 + of_survey},
    }
    return problems(after, *OF_A_TICKET, correction)


@pytest.mark.parametrize(
    ("to", "versions", "of_survey"),
    [
        ({"region": "EMEA"}, 3, 1),
        ({"channel": "phone"}, 1, 1),
        ({"subject": "No hot water"}, 1, 0),
        ({"kind": "complaint", "resolution_breached_at": "2026-03-01T12:00:00Z"}, 4, 1),
        ({"region": None}, 0, 0),
    ],
)
def test_a_correction_explains_the_versions_that_it_publishes_and_no_more(
    to: dict[str, Any], versions: int, of_survey: int
) -> None:
    assert after_correcting(to, versions=versions, of_survey=of_survey) == []
    assert "service:ticket/t1 has version" in after_correcting(to, versions=versions + 1, of_survey=of_survey)[0]
    assert "service:survey/s1 has version" in after_correcting(to, versions=versions, of_survey=of_survey + 1)[0]


def test_a_correction_without_an_answer_may_have_made_all_that_it_can() -> None:
    for versions, of_survey in ((0, 0), (3, 1)):
        to = {"region": "EMEA"} if versions else {}
        assert after_correcting(to, versions=versions, of_survey=of_survey, answered=False) == []
    assert len(after_correcting({"region": "EMEA"}, versions=4, of_survey=2, answered=False)) == 2


def test_a_write_that_was_answered_and_is_gone_is_found() -> None:
    assert "is not there" in problems({}, OPENED)[0]
    assert (
        "differs from its last answer"
        in problems(AFTER_WINNING | {"sales:deal/d1": WON | {"amount": "9"}}, *WINNING)[0]
    )


def test_an_onboarding_has_one_won_deal_and_a_won_deal_one_onboarding() -> None:
    assert "no request won" in problems({"service:ticket/t2": ONBOARDING})[0]
    twice = AFTER_WINNING | {"service:ticket/t3": ONBOARDING | {"id": "t3"}}
    assert "2 onboardings" in problems(twice, *WINNING)[0]
    without = {name: row for name, row in AFTER_WINNING.items() if name != "service:ticket/t2"}
    assert "no onboarding" in problems(without, *WINNING)[0]
    assert "service does not know" in problems({"sales:deal/d1": WON, "service:ticket/t2": ONBOARDING}, *WINNING)[0]


def test_a_customer_at_risk_has_one_task_and_had_a_ticket() -> None:
    task = {"id": "a1", "purpose": "customer-at-risk", "status": "planned", "version": 2}
    of_customer = {"id": TICKET["customer_id"], "activity_id": "a1"}
    rows = {"service:ticket/t1": TICKET, "sales:activity/a1": task, "sales:risk_task/c": of_customer}
    assert problems(rows, OPENED) == []
    second = rows | {"sales:activity/a2": task | {"id": "a2"}}
    assert "a2 is to be done" in problems(second, OPENED)[0]
    assert problems(rows | {"sales:activity/a2": task | {"id": "a2", "status": "cancelled"}}, OPENED) == []
    assert "is not there" in problems({"service:ticket/t1": TICKET, "sales:risk_task/c": of_customer}, OPENED)[0]
    other = rows | {"sales:risk_task/c": of_customer | {"id": "another"}}
    assert "had no ticket" in problems(other, OPENED)[0]


def test_a_suggestion_has_one_lead_and_a_lead_has_a_suggestion_that_was_requested() -> None:
    at = "2026-03-01T12:00:00+00:00"
    suggestion = {"id": "s1", "version": 1, "customer_id": "c1", "product": "plus", "suggested_at": at}
    suggestion |= {"outcome": None, "lead_id": None}
    suggested = Request("service", "POST", "/v1/upsell-suggestions", {}, answer=suggestion)
    lead = {"id": "l1", "version": 1, "status": "new", "account_id": "c1", "product": "plus", "created_at": at}
    lead |= {"upsell_suggestion_id": "s1"}
    rows: Rows = {
        "service:upsell_suggestion/s1": suggestion | {"version": 2, "outcome": "new", "lead_id": "l1"},
        "service:suggested_sale/l1": {"id": "l1", "suggestion_id": "s1"},
        "sales:lead/l1": lead,
        "sales:taken_suggestion/s1": {"id": "s1", "lead_id": "l1"},
    }
    assert problems(rows, suggested) == []
    assert "has 2 leads" in problems(rows | {"sales:lead/l2": lead | {"id": "l2"}}, suggested)[0]
    forged = lead | {"id": "l2", "upsell_suggestion_id": "s2"}
    assert "which is not there" in problems(rows | {"sales:lead/l2": forged}, suggested)[0]
    for name, change, found in (
        ("sales:lead/l1", {"account_id": "c2"}, "the lead of service:upsell_suggestion/s1 differs"),
        ("sales:lead/l1", {"status": "assigned"}, "shows new of l1"),
        ("sales:taken_suggestion/s1", {"lead_id": "l9"}, "was taken up by"),
        ("service:suggested_sale/l1", {"suggestion_id": "s9"}, "has no copy of its lead"),
    ):
        assert found in problems(rows | {name: rows[name] | change}, suggested)[0]
    without = {name: row for name, row in rows.items() if name != "sales:lead/l1"}
    assert "has 0 leads" in problems(without, suggested)[0]
    assert "created by no request" in problems(rows)[0]
    # Service lost it in a restore: sales has called the customer already.
    of_sales = {name: row for name, row in rows.items() if name.startswith("sales:")}
    assert Explanation({}, [], lost=[suggested]).problems(of_sales) == []
    unanswered = Request("service", "POST", "/v1/upsell-suggestions", {})
    assert Explanation({}, [], lost=[unanswered]).problems(of_sales) == []


def test_an_audit_entry_names_a_change_that_is_there() -> None:
    entry = {"id": "e1", "noun": "ticket", "record_id": "t1", "version": 1}
    assert problems({"service:ticket/t1": TICKET, "service:audit_entry/e1": entry}, OPENED) == []
    assert "not there" in problems({"service:audit_entry/e1": entry})[0]
    newer = {"service:ticket/t1": TICKET, "service:audit_entry/e1": entry | {"version": 2}}
    assert "not there" in problems(newer, OPENED)[0]


def test_nothing_may_count_of_what_a_source_lost_and_all_else_needs_a_request() -> None:
    def after_the_loss(copy: dict[str, Any], onboarding: dict[str, Any]) -> list[str]:
        after = {"service:won_deal/d1": copy, "service:ticket/t2": onboarding}
        return Explanation({}, [], lost=WINNING).problems(after)

    cancelled = ONBOARDING | {"cancelled_at": "2026-03-01T13:00:00+00:00"}
    assert after_the_loss(COPY | {"won_at": None}, cancelled) == []
    assert "of a deal that was lost" in after_the_loss(COPY, cancelled)[0]
    assert "is not cancelled" in after_the_loss(COPY | {"won_at": None}, ONBOARDING)[0]
    assert "created by no request" in Explanation({}, [], lost=[OPENED]).problems({"service:ticket/t1": TICKET})[0]
