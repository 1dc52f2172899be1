"""Deals over HTTP: from opening to won or lost and back, each change with its event."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_contracts.fields import Money
from event_contracts.sales import Deal as DealState
from event_contracts.sales import DealAmended, DealClosed, DealOpened, ProposalSent
from tests.sales_api.sales import ABSENT, Sales, pointers, reference
from tests.service_kit.conftest import assert_problem


def money(amount: Money | None) -> str | None:
    return None if amount is None else str(amount.amount)


def assert_carries(event: DealState, deal: dict[str, Any]) -> None:
    """The event's state is what the API shows of the deal."""
    same = ("stage", "region", "segment", "channel", "close_reason", "reopen_count")
    assert {name: getattr(event, name) for name in same} == {name: deal[name] for name in same}
    for name in ("id", "account_id", "lead_id", "owner_id", "team_id"):
        assert getattr(event, name) == (deal[name] and UUID(deal[name])), name
    for name in ("opened_at", "closed_at"):
        assert getattr(event, name) == (deal[name] and datetime.fromisoformat(deal[name])), name
    assert event.amount == Money(amount=event.amount.amount, currency=deal["currency"])
    assert money(event.amount) == deal["amount"]
    assert money(event.reporting_amount) == deal["reporting_amount"]
    rate = event.frozen_rate and {"rate": str(event.frozen_rate.rate), "on": event.frozen_rate.on.isoformat()}
    assert rate == deal["frozen_rate"]
    shown = [
        {
            "product": line.product,
            "quantity": line.quantity,
            "unit_price": money(line.unit_price),
            "amount": money(line.amount),
            "reporting_amount": money(line.reporting_amount),
        }
        for line in event.lines
    ]
    assert shown == deal["lines"]


async def test_a_deal_goes_all_the_way_and_every_step_is_an_event(sales: Sales) -> None:
    product = await sales.product()
    deal = await sales.deal(lines=[{"product": product, "quantity": 3, "unit_price": "10.15"}])
    path = f"/v1/deals/{deal['id']}"
    lines = [{"product": product, "quantity": 4, "unit_price": "9"}]
    steps = [
        deal,
        await sales.post(f"{path}/stage", {"stage": "negotiation"}),
        await sales.post(f"{path}/close", {"outcome": "lost", "reason": "price"}),
        await sales.post(f"{path}/reopen", {}),
        await sales.post(f"{path}/stage", {"stage": "proposal"}),
        await sales.post(f"{path}/amend", {"lines": lines}),
        await sales.post(f"{path}/close", {"outcome": "won", "reason": "best_price"}),
        await sales.post(f"{path}/amend", {"reason": "loyalty", "region": "west"}),
    ]
    events = await sales.events_of(deal["id"])
    assert [event.event_type.name for event in events] == [
        "sales.deal-opened",
        "sales.deal-stage-changed",
        "sales.deal-closed",
        "sales.deal-reopened",
        "sales.deal-stage-changed",
        "sales.deal-amended",
        "sales.deal-closed",
        "sales.deal-amended",
    ]
    assert [event.sequence for event in events] == list(range(1, 9)) == [step["version"] for step in steps]
    assert {event.partition_key for event in events} == {deal["account_id"]}
    for event, step in zip(events, steps, strict=True):
        assert isinstance(event.data, DealState)
        assert_carries(event.data, step)
        assert event.time == datetime.fromisoformat(step["changed_at"])
    assert await sales.get(path) == steps[-1]
    assert [step["stage"] for step in steps] == [
        *("prospecting", "negotiation", "lost", "negotiation", "proposal", "proposal", "won", "won"),
    ]


async def test_opening_answers_with_location_and_etag(sales: Sales) -> None:
    account = await sales.account(region="south", segment="retail", channel="referral")
    body = {
        "account_id": account["id"],
        "currency": "EUR",
        "lines": [{"product": await sales.product(), "quantity": 1, "unit_price": "5"}],
        "segment": "wholesale",
        "title": "A secret project",
        "expected_close_on": "2026-12-31",
    }
    answer = await sales.send("POST", "/v1/deals", body, role="sales-rep")
    assert answer.status_code == 201
    deal = answer.json()
    assert answer.headers["location"] == f"/v1/deals/{deal['id']}"
    assert answer.headers["etag"] == '"1"'
    assert (deal["region"], deal["segment"], deal["channel"]) == ("south", "wholesale", "referral")
    assert (deal["title"], deal["expected_close_on"]) == ("A secret project", "2026-12-31")
    (event,) = await sales.events_of(deal["id"])
    assert isinstance(event.data, DealOpened)
    assert "secret" not in str(event.data)


async def test_a_deal_keeps_the_team_that_its_owner_was_in(sales: Sales) -> None:
    rep = await sales.rep()
    deal = await sales.deal(owner_id=rep["id"])
    moved = await sales.patch(f"/v1/reps/{rep['id']}", {"team_id": (await sales.team())["id"]})
    closed = await sales.post(f"/v1/deals/{deal['id']}/close", {"outcome": "won"})
    assert closed["team_id"] == rep["team_id"] != moved["team_id"]
    other = await sales.rep()
    amended = await sales.post(f"/v1/deals/{deal['id']}/amend", {"owner_id": other["id"]})
    assert (amended["owner_id"], amended["team_id"]) == (other["id"], other["team_id"])
    unassigned = await sales.post(f"/v1/deals/{deal['id']}/amend", {"owner_id": None})
    assert (unassigned["owner_id"], unassigned["team_id"]) == (None, None)


async def test_closing_freezes_the_latest_rate_up_to_that_day(sales: Sales) -> None:
    for on, rate in (("2026-01-01", "0.20"), ("2026-01-10", "0.25"), ("2026-01-12", "0.30")):
        await sales.post("/v1/exchange-rates", {"currency": "PLN", "on": on, "rate": rate})
    line = {"product": await sales.product(), "quantity": 1}
    opened_at = {"occurred_at": "2026-01-02T00:00:00Z"}
    lines = [line | {"unit_price": "0.02"}, line | {"unit_price": "0.06"}, line | {"unit_price": "100"}]
    deal = await sales.deal(currency="PLN", lines=lines, **opened_at)
    # 23:30 in New York is the next day in UTC, and that is what counts.
    close = {"outcome": "won", "occurred_at": "2026-01-10T23:30:00-05:00"}
    closed = await sales.post(f"/v1/deals/{deal['id']}/close", close)
    assert closed["frozen_rate"] == {"rate": "0.25", "on": "2026-01-10"}
    assert closed["closed_at"] == "2026-01-11T04:30:00Z"
    assert [each["reporting_amount"] for each in closed["lines"]] == ["0.00", "0.02", "25.00"]
    assert (closed["reporting_amount"], closed["reporting_currency"]) == ("25.02", "EUR")
    await sales.post("/v1/exchange-rates", {"currency": "PLN", "on": "2026-01-10", "rate": "0.5"})
    amended = await sales.post(f"/v1/deals/{deal['id']}/amend", {"lines": [line | {"unit_price": "10"}]})
    assert amended["frozen_rate"] == closed["frozen_rate"]
    assert (amended["closed_at"], amended["reporting_amount"]) == (closed["closed_at"], "2.50")
    reopened = await sales.post(f"/v1/deals/{deal['id']}/reopen", {})
    assert (reopened["closed_at"], reopened["frozen_rate"], reopened["reporting_amount"]) == (None, None, None)
    events = await sales.events_of(deal["id"])
    assert isinstance(events[1].data, DealClosed)
    assert events[1].data.change.previous_stage == "prospecting"
    assert isinstance(events[2].data, DealAmended)
    assert events[2].data.change.previous_amount.amount * 100 == 10008


async def test_closing_without_a_rate_names_the_missing_rate(sales: Sales) -> None:
    await sales.post("/v1/exchange-rates", {"currency": "SEK", "on": "2026-02-02", "rate": "0.09"})
    deal = await sales.deal(currency="SEK", occurred_at="2026-01-01T00:00:00Z")
    close = {"outcome": "lost", "occurred_at": "2026-02-01T12:00:00Z"}
    answer = await sales.send("POST", f"/v1/deals/{deal['id']}/close", close)
    problem = assert_problem(answer, 422, "exchange-rate-missing")
    assert (problem["currency"], problem["on"]) == ("SEK", "2026-02-01")
    assert (await sales.get(f"/v1/deals/{deal['id']}"))["stage"] == "prospecting"
    await sales.post(f"/v1/deals/{deal['id']}/close", close | {"occurred_at": "2026-02-02T00:00:00Z"})


async def test_an_action_that_the_stage_does_not_allow_is_refused(sales: Sales) -> None:
    deal = await sales.deal()
    path = f"/v1/deals/{deal['id']}"
    stay = await sales.send("POST", f"{path}/stage", {"stage": "prospecting"})
    assert_problem(stay, 409, "deal-stage-unchanged")
    assert_problem(await sales.send("POST", f"{path}/reopen", {}), 409, "deal-not-closed")
    assert_problem(await sales.send("POST", f"{path}/amend", {"reason": "price"}), 409, "deal-not-closed")
    assert_problem(await sales.send("POST", f"{path}/stage", {"stage": "won"}), 422, "invalid-request")
    await sales.post(f"{path}/close", {"outcome": "won"})
    closed = [
        await sales.send("POST", f"{path}/close", {"outcome": "won"}),
        await sales.send("POST", f"{path}/stage", {"stage": "proposal"}),
    ]
    for answer in closed:
        assert_problem(answer, 409, "deal-already-closed")
    assert len(await sales.events_of(deal["id"])) == 2


async def test_fifty_closes_at_once_close_it_once(sales: Sales) -> None:
    deal = await sales.deal()
    path = f"/v1/deals/{deal['id']}/close"
    answers = await asyncio.gather(*(sales.send("POST", path, {"outcome": "won"}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    assert [event.sequence for event in await sales.events_of(deal["id"])] == [1, 2]


async def test_a_stale_version_closes_nothing(sales: Sales) -> None:
    deal = await sales.deal()
    path = f"/v1/deals/{deal['id']}"
    await sales.post(f"{path}/stage", {"stage": "proposal"}, If_Match='"1"')
    stale = await sales.send("POST", f"{path}/close", {"outcome": "won"}, If_Match='"1"')
    assert_problem(stale, 412, "stale-version")
    answer = await sales.send("POST", f"{path}/close", {"outcome": "won"}, If_Match='"2"')
    assert answer.headers["etag"] == '"3"'


async def test_a_reader_with_the_current_version_gets_304(sales: Sales) -> None:
    deal = await sales.deal()
    path = f"/v1/deals/{deal['id']}"
    assert (await sales.send("GET", path, If_None_Match='"1"')).status_code == 304
    await sales.post(f"{path}/close", {"outcome": "won"})
    fresh = await sales.send("GET", path, If_None_Match='"1"')
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')


async def test_amending_to_the_same_changes_nothing(sales: Sales) -> None:
    deal = await sales.deal(region="south")
    lines = [{"product": line["product"], "quantity": 2, "unit_price": "10.0"} for line in deal["lines"]]
    same = await sales.post(f"/v1/deals/{deal['id']}/amend", {"lines": lines, "region": "south"})
    assert same == deal
    assert len(await sales.events_of(deal["id"])) == 1


async def test_lines_are_replaced_as_a_whole(sales: Sales) -> None:
    one, two = await sales.product(), await sales.product()
    line = {"quantity": 1, "unit_price": "1.00"}
    deal = await sales.deal(lines=[line | {"product": one}, line | {"product": two}])
    path = f"/v1/deals/{deal['id']}"
    for products in ([two, one], [one], [one, one, two], [two]):
        lines = [line | {"product": product} for product in products]
        await sales.post(f"{path}/amend", {"lines": lines})
        shown = await sales.get(path)
        assert [each["product"] for each in shown["lines"]] == products
        assert shown["amount"] == f"{len(products)}.00"
    listed = await sales.get(f"/v1/deals?account_id={deal['account_id']}")
    assert listed["items"] == [shown]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"account_id": ABSENT}, "#/account_id"),
        ({"lead_id": ABSENT}, "#/lead_id"),
        ({"owner_id": ABSENT}, "#/owner_id"),
    ],
)
async def test_a_deal_refers_to_what_exists(sales: Sales, change: dict[str, str], pointer: str) -> None:
    product = await sales.product()
    body = {
        "account_id": (await sales.account())["id"],
        "currency": "EUR",
        "lines": [{"product": product, "quantity": 1, "unit_price": "1"}],
    }
    problem = assert_problem(await sales.send("POST", "/v1/deals", body | change), 422, "unknown-reference")
    assert pointers(problem) == [pointer]


async def test_a_line_refers_to_a_product_of_the_catalogue(sales: Sales) -> None:
    known = {"product": await sales.product(), "quantity": 1, "unit_price": "1"}
    body = {
        "account_id": (await sales.account())["id"],
        "currency": "EUR",
        "lines": [known, known | {"product": "no-such-thing"}, known | {"product": "no-such-thing"}],
    }
    problem = assert_problem(await sales.send("POST", "/v1/deals", body), 422, "unknown-reference")
    assert pointers(problem) == ["#/lines/1/product"]


@pytest.mark.parametrize(
    "line", [{"unit_price": "-1"}, {"quantity": 0}, {"quantity": 1_000_001}, {"unit_price": 1}, {"unit_price": ""}]
)
async def test_an_impossible_line_is_refused(sales: Sales, line: dict[str, Any]) -> None:
    good = {"product": await sales.product(), "quantity": 1, "unit_price": "1"}
    body = {"account_id": (await sales.account())["id"], "currency": "EUR", "lines": [good | line]}
    problem = assert_problem(await sales.send("POST", "/v1/deals", body), 422, "invalid-request")
    assert pointers(problem) == [f"#/lines/0/{next(iter(line))}"]


async def test_a_price_too_fine_or_too_large_is_refused(sales: Sales) -> None:
    line = {"product": await sales.product(), "quantity": 1_000_000, "unit_price": "0.001"}
    body = {"account_id": (await sales.account())["id"], "currency": "EUR", "lines": [line]}
    assert_problem(await sales.send("POST", "/v1/deals", body), 422, "price-too-fine")
    body["lines"] = [line | {"unit_price": "999999999999.99"}] * 100
    assert_problem(await sales.send("POST", "/v1/deals", body), 422, "amount-too-large")
    for count in (0, 101):
        body["lines"] = [line | {"unit_price": "1"}] * count
        assert_problem(await sales.send("POST", "/v1/deals", body), 422, "invalid-request")


@pytest.mark.clock
async def test_backdating_is_in_order_and_for_some_roles_only(sales: Sales) -> None:
    opened = datetime(2026, 3, 1, 12, tzinfo=UTC)
    deal = await sales.deal(occurred_at=opened.isoformat())
    path = f"/v1/deals/{deal['id']}/close"
    at = {"occurred_at": (opened + timedelta(days=3)).isoformat()}
    assert_problem(await sales.send("POST", path, {"outcome": "won"} | at, role="sales-rep"), 403, "forbidden")
    early = {"outcome": "won", "occurred_at": (opened - timedelta(seconds=1)).isoformat()}
    assert_problem(await sales.send("POST", path, early), 409, "occurred-too-early")
    future = {"outcome": "won", "occurred_at": (datetime.now(UTC) + timedelta(minutes=6)).isoformat()}
    assert_problem(await sales.send("POST", path, future), 422, "invalid-request")
    await sales.post(path, {"outcome": "won"} | at, role="sales-manager")
    events = await sales.events_of(deal["id"])
    assert [event.time for event in events] == [opened, opened + timedelta(days=3)]
    assert all(event.recorded_time > opened + timedelta(days=30) for event in events)


async def test_an_external_reference_belongs_to_one_deal(sales: Sales) -> None:
    ref = reference()
    deal = await sales.deal(external_ref=ref)
    body = {"account_id": deal["account_id"], "currency": "EUR", "external_ref": ref}
    body["lines"] = [{"product": deal["lines"][0]["product"], "quantity": 1, "unit_price": "1"}]
    taken = assert_problem(await sales.send("POST", "/v1/deals", body), 409, "external-ref-taken")
    assert taken["existing_id"] == deal["id"]
    assert [item["id"] for item in (await sales.get(f"/v1/deals?external_ref={ref}"))["items"]] == [deal["id"]]


async def test_the_same_reference_many_times_at_once_opens_one_deal(sales: Sales) -> None:
    account, product, ref = await sales.account(), await sales.product(), reference()
    body = {"account_id": account["id"], "currency": "EUR", "external_ref": ref}
    body["lines"] = [{"product": product, "quantity": 1, "unit_price": "1"}]
    answers = await asyncio.gather(*(sales.send("POST", "/v1/deals", body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    (deal,) = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    refusals = [assert_problem(answer, 409, "external-ref-taken") for answer in answers if answer.status_code == 409]
    assert {refusal["existing_id"] for refusal in refusals} == {deal}


async def test_deals_are_filtered_by_attribution(sales: Sales) -> None:
    rep, account = await sales.rep(), await sales.account(region="list-region", segment="list-segment")
    deals = [await sales.deal(account_id=account["id"], owner_id=rep["id"], channel="word_of_mouth") for _ in range(3)]
    won = await sales.post(f"/v1/deals/{deals[1]['id']}/close", {"outcome": "won", "reason": "timing"})
    shared = {
        "account_id": account["id"],
        "owner_id": rep["id"],
        "team_id": rep["team_id"],
        "region": "list-region",
        "segment": "list-segment",
        "channel": "word_of_mouth",
    }
    for name, value in shared.items():
        page = await sales.get(f"/v1/deals?{name}={value}")
        assert [item["id"] for item in page["items"]] == [deal["id"] for deal in reversed(deals)], name
    assert (await sales.get(f"/v1/deals?account_id={account['id']}&stage=won"))["items"] == [won]
    assert (await sales.get(f"/v1/deals?close_reason=timing&account_id={account['id']}"))["items"] == [won]
    first = await sales.get(f"/v1/deals?account_id={account['id']}&limit=2")
    rest = await sales.get(f"/v1/deals?account_id={account['id']}&limit=2&cursor={first['next_cursor']}")
    assert [item["id"] for item in first["items"] + rest["items"]] == [deal["id"] for deal in reversed(deals)]
    assert rest["next_cursor"] is None


async def test_a_service_manager_reads_but_does_not_sell(sales: Sales) -> None:
    deal = await sales.deal()
    assert (await sales.send("GET", f"/v1/deals/{deal['id']}", role="service-manager")).status_code == 200
    close = await sales.send("POST", f"/v1/deals/{deal['id']}/close", {"outcome": "won"}, role="service-manager")
    assert_problem(close, 403, "forbidden")


actions = st.lists(
    st.one_of(
        st.sampled_from(["prospecting", "proposal", "negotiation"]).map(lambda stage: ("stage", {"stage": stage})),
        st.sampled_from(["won", "lost"]).map(lambda outcome: ("close", {"outcome": outcome})),
        st.just(("reopen", {})),
        st.integers(1, 5).map(lambda number: ("amend", {"region": f"region-{number}"})),
    ),
    min_size=1,
    max_size=12,
)


@given(actions=actions)
@settings(max_examples=25, deadline=None)
async def test_every_event_equals_its_row_after_any_actions(
    sales: Sales, actions: list[tuple[str, dict[str, str]]]
) -> None:
    deal = await sales.deal()
    shown = [deal]
    for action, body in actions:
        answer = await sales.send("POST", f"/v1/deals/{deal['id']}/{action}", body)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200 and answer.json()["version"] > shown[-1]["version"]:
            shown.append(answer.json())
    assert await sales.get(f"/v1/deals/{deal['id']}") == shown[-1]
    events = await sales.events_of(deal["id"])
    assert [event.sequence for event in events] == list(range(1, len(shown) + 1))
    for event, view in zip(events, shown, strict=True):
        assert isinstance(event.data, DealState)
        assert_carries(event.data, view)


async def test_a_deal_goes_from_proposal_to_promise_and_names_its_origin(sales: Sales) -> None:
    suggestion = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16"
    lead = await sales.lead(upsell_suggestion_id=suggestion)
    line = {"product": await sales.product(), "quantity": 3, "unit_price": "10.00"}
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {"deal": {"currency": "EUR", "lines": [line]}})
    path = f"/v1/deals/{converted['deal_id']}"
    opened = await sales.get(path)
    assert (opened["upsell_suggestion_id"], opened["estimated_reporting_amount"]) == (suggestion, "30.00")
    proposed = await sales.post(f"{path}/proposals", {})
    assert (proposed["proposal_count"], proposed["proposal_sent_at"]) == (1, proposed["changed_at"])
    assert isinstance((await sales.events_of(opened["id"], "deals"))[-1].data, ProposalSent)
    promise = {"deliver_by": "2026-06-30", "price": "28.50", "quality": "gold"}
    lost = await sales.send("POST", f"{path}/close", {"outcome": "lost", "promise": promise})
    assert_problem(lost, 422, "promise-of-lost-deal")
    won = await sales.post(f"{path}/close", {"outcome": "won", "promise": promise})
    assert (won["promise"], won["estimated_reporting_amount"]) == (promise, None)
    assert [entry["stage"] for entry in won["stage_entries"]] == ["prospecting", "won"]
    assert (await sales.get(f"/v1/deals?account_id={won['account_id']}"))["items"] == [won]
    closed = (await sales.events_of(opened["id"], "deals"))[-1].data
    assert isinstance(closed, DealClosed)
    assert closed.promise is not None
    assert (closed.promise.price.amount, str(closed.upsell_suggestion_id)) == (Decimal("28.50"), suggestion)


async def test_an_open_deal_in_a_currency_without_a_rate_has_no_estimate_and_is_opened_all_the_same(
    sales: Sales,
) -> None:
    assert (await sales.deal(currency="FKP"))["estimated_reporting_amount"] is None
