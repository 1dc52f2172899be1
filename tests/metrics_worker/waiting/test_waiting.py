"""Who waits for us, over HTTP and a real ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.fields import Credit
from event_contracts.planned_work import WorkMove
from event_contracts.sales import ActivityPlanned
from event_contracts.service import OnboardingStepPlanned, RatingWait, Wait
from metrics_worker.ledger.status import open_ledger
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import Metrics, client_of, ingest
from tests.metrics_worker.facts import (
    AGENT,
    CUSTOMER,
    REP,
    TEAM,
    VILNIUS,
    account,
    all_decoded,
    lead,
    planned_activity,
    step,
    survey,
    ticket,
)

OTHER_TEAM = UUID(int=77)


def ago(**time: float) -> datetime:
    return (datetime.now(UTC) - timedelta(**time)).replace(microsecond=0)


async def reasons(metrics: Metrics, **asked: str) -> list[str]:
    return [each["reason"] for each in (await metrics.get("/v1/waiting", **asked))["items"]]


async def test_a_question_waits_until_it_is_answered_and_the_next_one_anew(metrics: Metrics) -> None:
    asked = ticket(waits=[Wait(since=ago(minutes=84))], opened_at=ago(minutes=84))
    await metrics.ingest((asked, 1))
    [wait] = (await metrics.get("/v1/waiting"))["items"]
    assert (wait["reason"], wait["function"], wait["state"]) == ("message", "service", "over")
    assert (wait["elapsed_minutes"], wait["business_minutes"], wait["minutes_left"]) == (84, 84, -24)
    assert (wait["record"], wait["customer_id"]) == (f"tickets/{asked.id}", str(CUSTOMER))
    assert (wait["owner_id"], wait["team_id"]) == (str(AGENT), str(TEAM))
    assert wait["link"].endswith(f"/v1/tickets/{asked.id}")
    assert datetime.fromisoformat(wait["limit_at"]) == asked.opened_at + timedelta(hours=1)

    answered = Wait(since=asked.opened_at, until=ago(minutes=50))
    await metrics.ingest((ticket(id=asked.id, opened_at=asked.opened_at, waits=[answered]), 2))
    assert (await metrics.get("/v1/waiting"))["items"] == []

    again = Wait(since=ago(minutes=50))
    await metrics.ingest((ticket(id=asked.id, opened_at=asked.opened_at, waits=[answered, again]), 3))
    [new] = (await metrics.get("/v1/waiting"))["items"]
    assert (new["id"] != wait["id"], new["state"], new["minutes_left"]) == (True, "warning", 10)
    # What came late changes nothing.
    await metrics.ingest((ticket(id=asked.id, opened_at=asked.opened_at, waits=[answered]), 2))
    assert [each["id"] for each in (await metrics.get("/v1/waiting"))["items"]] == [new["id"]]


async def test_both_functions_are_one_list_with_the_longest_wait_first(metrics: Metrics) -> None:
    reopened = ago(minutes=20)
    await metrics.ingest(
        (lead(created_at=ago(minutes=50), channel="trade-show"), 1),
        (lead(created_at=ago(hours=9), contacted_at=ago(hours=8)), 1),
        (ticket(opened_at=ago(hours=3), reopened_at=reopened, waits=[Wait(since=reopened)], reopen_count=1), 1),
        (ticket(opened_at=ago(hours=2), waits=[Wait(since=ago(hours=2))], merged_into=REP), 1),
        (ticket(opened_at=ago(hours=4)), 1),  # of before waits were recorded
    )
    assert await reasons(metrics) == ["message", "lead", "reopened"]
    summary = await metrics.get("/v1/waiting/summary")
    assert {name: summary[name] for name in ("waiting", "over", "warning", "fine", "by_function")} == {
        "waiting": 3, "over": 1, "warning": 1, "fine": 1, "by_function": {"sales": 1, "service": 2},
    }  # fmt: skip
    assert (summary["longest_minutes"], summary["median_minutes"]) == (240, 50)
    for asked, found in (
        ({"function": "sales"}, ["lead"]),
        ({"reason": "reopened"}, ["reopened"]),
        ({"state": "over"}, ["message"]),
        ({"state": "warning"}, ["lead"]),
        ({"state": "fine"}, ["reopened"]),
        ({"channel": "trade-show"}, ["lead"]),
        ({"customer": str(CUSTOMER)}, ["message", "reopened"]),
        ({"customer": ""}, ["lead"]),
        ({"owner": str(REP)}, ["lead"]),
        ({"team": str(OTHER_TEAM)}, []),
    ):
        assert (asked, await reasons(metrics, **asked)) == (asked, found)
    pages, cursor = [], {"limit": "1"}
    while True:
        page = await metrics.get("/v1/waiting", **cursor)
        pages += [each["reason"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor["cursor"] = page["next_cursor"]
    assert pages == ["message", "lead", "reopened"]


async def test_every_wait_counts_once_in_the_numbers_of_both_functions(metrics: Metrics) -> None:
    """Two leads, one contacted within the hour; a ticket that was answered, reopened, and waits for a third answer."""
    opened, reopened, again = ago(days=3), ago(days=2), ago(minutes=30)
    waits = [
        Wait(since=opened, until=opened + timedelta(minutes=5)),
        Wait(since=reopened, until=reopened + timedelta(minutes=61)),
        Wait(since=again),
    ]
    late = lead(created_at=ago(days=3), account_id=CUSTOMER)
    await metrics.consume(
        (account(id=CUSTOMER, registered_at=ago(days=30)), 1),
        (ticket(opened_at=opened, reopened_at=reopened, waits=waits, first_responded_at=waits[0].until), 1),
        (lead(created_at=ago(days=3), contacted_at=ago(days=3) + timedelta(minutes=60)), 1),
        (late, 1),
    )
    days = {"from": ago(days=5).date().isoformat(), "to": (datetime.now(UTC) + timedelta(days=1)).date().isoformat()}

    async def number(kpi: str, variant: str, **asked: str) -> tuple[Any, Any]:
        answer = await metrics.get(f"/v1/kpis/{kpi}", variant=variant, **days, **asked)
        return answer["numerator"], answer["denominator"]

    within = "answered_within_hour"
    found = {variant: await number(within, variant) for variant in ("all", "service", "sales", "cohort")}
    assert found == {"all": (2, 5), "service": (1, 3), "sales": (1, 2), "cohort": (1, 1)}
    assert [await number("waiting_now", variant) for variant in ("all", "service", "sales")] == [
        (2, None), (1, None), (1, None),
    ]  # fmt: skip
    assert await number("waiting_now", "all", customer=str(CUSTOMER)) == (2, None)
    assert await number("waits_per_customer", "standard") == (3, 1)
    longest = {
        variant: float((await metrics.get("/v1/kpis/longest_wait_minutes", variant=variant, **days))["value"])
        for variant in ("service", "sales")
    }
    assert longest == {"service": pytest.approx(61, rel=0.02), "sales": pytest.approx(60, rel=0.02)}
    assert (await metrics.get("/v1/waiting/summary"))["waiting"] == 2
    # The lead is contacted, later than it should have been; nothing else moves.
    await metrics.consume((lead(id=late.id, created_at=late.created_at, account_id=CUSTOMER, contacted_at=ago()), 2))
    assert await number(within, "all") == (2, 5)
    assert await number("waiting_now", "all") == (1, None)
    assert (await metrics.get("/v1/waiting/summary"))["waiting"] == 1


async def test_a_bad_rating_waits_and_is_raised_until_an_agent_speaks_with_the_customer(metrics: Metrics) -> None:
    gone, stays = UUID(int=101), UUID(int=102)
    answered = ago(minutes=90)
    rating: dict[str, Any] = {"customer_id": gone, "sent_at": ago(days=1), "answered_at": answered, "score": 1}
    rated = survey(**rating, waits=[RatingWait(since=answered)])
    await metrics.consume((account(id=gone), 1), (account(id=stays), 1), (rated, 2))
    days = {"from": ago(days=5).date().isoformat(), "to": (datetime.now(UTC) + timedelta(days=1)).date().isoformat()}

    async def numbers() -> dict[str, tuple[Any, Any]]:
        found = {}
        for kpi, variants in (
            ("waiting_now", ("all", "service", "sales", "ratings")),
            ("answered_within_hour", ("all", "service", "ratings", "cohort")),
            ("unattended_now", ("standard",)),
            ("waits_per_customer", ("standard",)),
        ):
            for variant in variants:
                answer = await metrics.get(f"/v1/kpis/{kpi}", variant=variant, **days)
                found[f"{kpi} {variant}"] = (answer["numerator"], answer["denominator"])
        return found

    begun = {
        "waiting_now all": (1, None), "waiting_now service": (1, None), "waiting_now sales": (0, None),
        "waiting_now ratings": (1, None), "answered_within_hour all": (0, 1), "answered_within_hour service": (0, 1),
        "answered_within_hour ratings": (0, 1), "answered_within_hour cohort": (0, 0),
        "unattended_now standard": (0, None), "waits_per_customer standard": (1, 2),
    }  # fmt: skip
    assert await numbers() == begun
    [wait] = (await metrics.get("/v1/waiting"))["items"]
    assert (wait["reason"], wait["function"], wait["state"]) == ("rating", "service", "over")
    assert (wait["record"], wait["owner_id"]) == (f"surveys/{rated.id}", str(AGENT))
    assert wait["link"].endswith(f"/v1/surveys/{rated.id}")
    await metrics.consume((account(id=gone, merged_into=stays), 2))
    assert (await metrics.get(f"/v1/customers/{stays}/health"))["waiting_since"] == wait["since"]
    [alert] = (await metrics.get("/v1/alerts", kind="kept-waiting"))["items"]
    assert (alert["subject"], alert["since"]) == (f"customers/{stays}", wait["since"])
    assert (alert["facts"]["rule"], alert["kpi"]) == ("rating-waits", "waiting_now")
    assert (await metrics.get(alert["explain"]))["value"] == "1"

    by = Credit(person_id=REP, team_id=None)
    spoken = RatingWait(since=answered, until=answered + timedelta(minutes=60), ended_by="follow_up", followed_up_by=by)
    await metrics.consume((survey(id=rated.id, **rating, waits=[spoken]), 3), (rated, 2))
    assert await reasons(metrics) == []
    assert (await metrics.get("/v1/alerts", kind="kept-waiting"))["items"] == []
    assert await numbers() == begun | {
        "waiting_now all": (0, None), "waiting_now service": (0, None), "waiting_now ratings": (0, None),
        "answered_within_hour all": (1, 1), "answered_within_hour service": (1, 1),
        "answered_within_hour ratings": (1, 1), "waits_per_customer standard": (1, 1),
    }  # fmt: skip
    longest = await metrics.get("/v1/kpis/longest_wait_minutes", variant="ratings", owner=str(REP), **days)
    assert float(longest["value"]) == pytest.approx(60, rel=0.02)


async def test_what_was_agreed_waits_from_its_time_until_it_is_done_moved_or_cancelled(metrics: Metrics) -> None:
    agreed_at, call = ago(minutes=84), UUID(int=301)
    days = {"from": ago(days=5).date().isoformat(), "to": (datetime.now(UTC) + timedelta(days=3)).date().isoformat()}

    def agreed(**fields: Any) -> ActivityPlanned:
        given: dict[str, Any] = {
            "status": "planned",
            "completed_at": None,
            "due_at": agreed_at,
            "planned_at": ago(days=1),
        }
        return planned_activity(agreed_with_customer=True, **{"id": call} | given | fields)

    async def kept() -> tuple[Any, Any]:
        answer = await metrics.get("/v1/kpis/answered_within_hour", variant="call_backs", **days)
        return answer["numerator"], answer["denominator"]

    # Planned work that was not agreed waits for no customer.
    await metrics.consume((agreed(), 1), (planned_activity(status="planned", completed_at=None, due_at=agreed_at), 1))
    [wait] = (await metrics.get("/v1/waiting"))["items"]
    assert (wait["reason"], wait["function"], wait["state"]) == ("call_back", "sales", "over")
    assert (wait["record"], wait["customer_id"], wait["elapsed_minutes"]) == (f"activities/{call}", str(CUSTOMER), 84)
    [alert] = (await metrics.get("/v1/alerts", kind="kept-waiting"))["items"]
    assert (alert["facts"]["rule"], alert["subject"]) == ("call-back-waits", f"customers/{CUSTOMER}")
    assert (await metrics.client.get(alert["explain"])).status_code == 200
    # Saying that it was missed helps no customer.
    await metrics.consume((agreed(status="missed", missed_at=ago(minutes=30)), 2))
    assert await reasons(metrics) == ["call_back"]
    assert await kept() == (0, 1)
    # Moved, they wait from the new time; it is still to come.
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    before = WorkMove(moved_at=ago(minutes=20), due_at=agreed_at, missed_at=ago(minutes=30))
    await metrics.consume((agreed(due_at=later, moves=[before]), 3))
    assert await reasons(metrics) == []
    # Done on the day after the move, that one was kept, and the first was not.
    soon = ago(minutes=10)
    await metrics.consume((agreed(due_at=soon, moves=[before]), 4))
    assert await reasons(metrics) == ["call_back"]
    await metrics.consume((agreed(status="done", due_at=soon, completed_at=ago(), moves=[before]), 5), (agreed(), 1))
    assert await reasons(metrics) == []
    assert await kept() == (1, 2)
    # What is cancelled counts nowhere.
    other = agreed(id=UUID(int=302))
    await metrics.consume((other, 1))
    assert await reasons(metrics) == ["call_back"]
    await metrics.consume((agreed(id=UUID(int=302), status="cancelled", cancelled_at=ago()), 2))
    assert await reasons(metrics) == []
    assert await kept() == (1, 2)
    # A lead who is no customer yet is told apart by their own alert.
    await metrics.consume((agreed(id=UUID(int=303), account_id=None, lead_id=UUID(int=9)), 1))
    [alert] = (await metrics.get("/v1/alerts", kind="kept-waiting"))["items"]
    assert alert["subject"] == f"activities/{UUID(int=303)}"


async def test_a_promised_delivery_waits_from_the_end_of_its_day_until_it_is_there(metrics: Metrics) -> None:
    await open_ledger(metrics.engine, VILNIUS)
    today = VILNIUS.day_of(datetime.now(UTC))
    yesterday, promise, deal = today - timedelta(days=1), UUID(int=401), UUID(int=402)
    days = {"from": str(today - timedelta(days=5)), "to": str(today)}
    await metrics.consume(account(id=CUSTOMER, registered_at=ago(days=9)))

    def promised(**fields: Any) -> OnboardingStepPlanned:
        return step(id=promise, deal_id=deal, **{"due_on": yesterday, "planned_at": ago(days=9)} | fields)

    async def figures(variant: str) -> list[tuple[Any, Any]]:
        return [await _figure(metrics, kpi, variant, days) for kpi in ("answered_within_hour", "waiting_now")]

    # What is due today, or later, may still come; other steps wait for no customer.
    await metrics.consume(step(due_on=today), step(due_on=yesterday, promised=False, step="set-up"))
    assert await reasons(metrics) == []
    assert await figures("promises") == [(0, 0), (0, None)]
    await metrics.consume((promised(), 1))
    [wait] = (await metrics.get("/v1/waiting"))["items"]
    assert (wait["reason"], wait["function"], wait["customer_id"]) == ("promise", "service", str(CUSTOMER))
    assert (wait["record"], wait["since"]) == (f"onboardingsteps/{promise}", _z(VILNIUS.start_of(today)))
    assert wait["link"].endswith(f"/v1/onboarding-steps/{promise}")
    assert await figures("promises") == [(0, 1), (1, None)]
    assert await figures("all") == [(0, 1), (1, None)]
    assert await figures("service") == [(0, 1), (1, None)]
    assert await _figure(metrics, "waits_per_customer", "standard", days) == (1, 1)
    assert await _figure(metrics, "promises_kept", "due", days) == (0, 1)
    assert await _figure(metrics, "customers_at_risk", "promise_broken", days) == (1, None)
    health = await metrics.get(f"/v1/customers/{CUSTOMER}/health")
    assert [(each["reason"], each["behind"]) for each in health["reasons"]] == [
        ("promise-broken", [f"onboardingsteps/{promise}"])
    ]
    assert health["waiting_since"] == wait["since"]
    over = datetime.now(UTC) - VILNIUS.start_of(today) >= timedelta(hours=1)
    alerts = (await metrics.get("/v1/alerts", kind="kept-waiting"))["items"]
    assert [each["facts"]["rule"] for each in alerts] == (["promise-waits"] if over else [])
    for each in alerts:
        assert (await metrics.client.get(each["explain"])).status_code == 200
    # It came at noon of the day before, and was entered late: so no one waited.
    kept = promised(status="done", completed_at=VILNIUS.start_of(today) - timedelta(hours=12))
    await metrics.consume((kept, 2), (promised(), 1))
    assert await reasons(metrics) == []
    assert await figures("promises") == [(1, 1), (0, None)]
    assert await figures("all") == [(0, 0), (0, None)]
    assert await _figure(metrics, "promises_kept", "due", days) == (1, 1)
    assert await _figure(metrics, "customers_at_risk", "promise_broken", days) == (0, None)
    # In truth it came at a quarter past midnight: a quarter of an hour of waiting, which counts on the promised day.
    late = promised(status="done", completed_at=VILNIUS.start_of(today) + timedelta(minutes=15))
    await metrics.consume((late, 3))
    assert await figures("promises") == [(1, 1), (0, None)]
    assert await figures("all") == [(1, 1), (0, None)]
    assert await _figure(metrics, "promises_kept", "due", days) == (0, 1)
    longest = await metrics.get("/v1/kpis/longest_wait_minutes", variant="promises", **days)
    assert float(longest["value"]) == pytest.approx(15, rel=0.02)
    # The deal was taken back: it counts nowhere.
    await metrics.consume((promised(status="cancelled", cancelled_at=ago()), 4))
    assert await figures("promises") == [(0, 0), (0, None)]
    assert await figures("all") == [(0, 0), (0, None)]


async def _figure(metrics: Metrics, kpi: str, variant: str, days: dict[str, str]) -> tuple[Any, Any]:
    answer = await metrics.get(f"/v1/kpis/{kpi}", variant=variant, **days)
    return answer["numerator"], answer["denominator"]


def _z(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_after_a_merge_the_survivor_waits(metrics: Metrics) -> None:
    gone, stays = UUID(int=101), UUID(int=102)
    await metrics.ingest(
        (account(id=gone), 1), (account(id=stays), 1), (ticket(customer_id=gone, opened_at=ago(hours=1)), 1)
    )
    await metrics.ingest((account(id=gone, merged_into=stays), 2))
    [wait] = (await metrics.get("/v1/waiting", customer=str(stays)))["items"]
    assert wait["customer_id"] == str(stays)
    health = await metrics.get(f"/v1/customers/{stays}/health")
    assert health["waiting_since"] == wait["since"]


async def test_a_policy_says_for_how_long_and_holds_at_once(metrics: Metrics, app: FastAPI, issuer: Issuer) -> None:
    await metrics.ingest(
        (lead(created_at=ago(minutes=100), team_id=TEAM), 1), (lead(created_at=ago(minutes=100), team_id=None), 1)
    )
    assert await reasons(metrics, state="over") == ["lead", "lead"]
    never = {"timezone": "UTC", "hours": [{"weekday": 1, "opens": "00:00", "closes": "24:00"}], "holidays": []}
    async with client_of(app, issuer, "sales-manager") as manager:
        refused = await manager.post("/v1/waiting-policies", json={"name": "x", "limit_minutes": 5})
        assert refused.status_code == 422, "the warning of 15 minutes would come before the beginning"
        (error,) = refused.json()["errors"]
        assert error["pointer"] == "#/warn_minutes"
        body = {"name": "Leads of the team", "reason": "lead", "team_id": str(TEAM), "limit_minutes": 110}
        made = (await manager.post("/v1/waiting-policies", json=body)).json()
        [fine] = (await metrics.get("/v1/waiting", state="warning"))["items"]
        assert (fine["policy_id"], fine["minutes_left"], fine["team_id"]) == (made["id"], 10, str(TEAM))
        address = f"/v1/waiting-policies/{made['id']}"
        changed = await manager.patch(address, json={"calendar": never | {"holidays": ["2026-01-01"]}})
        assert changed.json()["calendar"]["holidays"] == ["2026-01-01"]
        again = await manager.patch(address, json={"calendar": never | {"holidays": ["2026-01-01"]}})
        assert again.json()["version"] == changed.json()["version"] == 2
        assert (await manager.patch(address, json={"warn_minutes": 110})).json()["errors"] == [error]
        assert (await manager.patch(address, json={"active": False})).json()["active"] is False
        assert len(await reasons(metrics, state="over")) == 2
        assert (await manager.delete(address)).status_code == 204
    async with client_of(app, issuer, "sales-rep") as rep:
        assert (await rep.post("/v1/waiting-policies", json={"name": "x"})).status_code == 403


async def test_a_salesperson_sees_whom_they_or_their_teams_keep_waiting(
    app: FastAPI, engine: AsyncEngine, issuer: Issuer
) -> None:
    states: list[tuple[Any, int]] = [
        (lead(created_at=ago(minutes=5), owner_id=REP, team_id=None), 1),
        (lead(created_at=ago(minutes=4), owner_id=None, team_id=TEAM), 1),
        (lead(created_at=ago(minutes=3), owner_id=AGENT, team_id=OTHER_TEAM), 1),
    ]
    await ingest(engine, all_decoded(states))
    headers = {"Authorization": f"Bearer {issuer.token(['sales-rep'], person=REP, teams=[TEAM])}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics", headers=headers) as rep:
        seen = (await rep.get("/v1/waiting")).json()["items"]
        assert [each["record"] for each in seen] == [f"leads/{states[n][0].id}" for n in (0, 1)]
        assert (await rep.get("/v1/waiting/summary")).json()["waiting"] == 2


@pytest.mark.parametrize("asked", [{"reason": "coffee"}, {"customer": "me"}, {"state": "bored"}, {"cursor": "x"}])
async def test_what_is_no_filter_is_refused(client: httpx.AsyncClient, asked: dict[str, str]) -> None:
    assert (await client.get("/v1/waiting", params=asked)).status_code == 422
