"""Corrections over HTTP: what was recorded wrongly of leads, deals and what was done for them is set right."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from event_contracts.sales import ActivityAmended, DealAmended, LeadAmended, ReferralAmended
from tests.sales_api.sales import Sales
from tests.service_kit.conftest import assert_problem


async def last_event(sales: Sales, subject: str, data: type[Any]) -> Any:
    """Return the newest event of a subject, which must be of that type."""
    kind, _, identifier = subject.partition("/")
    event = (await sales.events_of(identifier, kind))[-1]
    assert type(event.data) is data
    return event


async def test_a_misfiled_lead_is_set_right(sales: Sales) -> None:
    product = await sales.product()
    lead = await sales.lead(company="Casa Azul", channel="online")
    right = {
        "name": "Joana Prado",
        "company": "Casa Verde",
        "email": "joana@casa.example",
        "phone": "+55 11 5550 0101",
        "channel": "trade_show",
        "region": "south",
        "segment": None,
        "product": product,
    }
    path = f"/v1/leads/{lead['id']}"
    amended = await sales.patch(path, right)
    assert amended | right == amended
    assert (amended["version"], amended["created_at"]) == (lead["version"] + 1, lead["created_at"])
    event = await last_event(sales, f"leads/{lead['id']}", LeadAmended)
    assert (event.sequence, event.data.channel, event.data.product) == (amended["version"], "trade_show", product)
    assert set(event.data.change.fields) >= {"channel", "company", "email", "name", "phone", "product"}
    # Who it is stays in this service.
    assert not {"name", "company", "email", "phone"} & set(type(event.data).__struct_fields__)
    assert await sales.patch(path, right) == amended
    found = (await sales.get(f"/v1/leads?q=Casa%20Verde&ids={lead['id']}"))["items"]
    assert [each["id"] for each in found] == [lead["id"]]


async def test_a_lead_is_corrected_whatever_became_of_it(sales: Sales) -> None:
    lead = await sales.lead(channel="online")
    path = f"/v1/leads/{lead['id']}"
    assert_problem(await sales.send("PATCH", path, {"disqualified_reason": "price"}), 409, "lead-not-disqualified")
    lost = await sales.post(f"{path}/disqualify", {"reason": "no_budget"})
    amended = await sales.patch(path, {"disqualified_reason": "price", "channel": "telemarketing"})
    assert (amended["status"], amended["disqualified_at"]) == ("disqualified", lost["disqualified_at"])
    assert (amended["disqualified_reason"], amended["channel"]) == ("price", "telemarketing")
    other = await sales.lead(company="Casa")
    converted = await sales.post(f"/v1/leads/{other['id']}/convert", {})
    amended = await sales.patch(f"/v1/leads/{other['id']}", {"segment": "retail"})
    assert (amended["account_id"], amended["segment"]) == (converted["account_id"], "retail")
    # The account has attributes of its own.
    assert (await sales.get(f"/v1/accounts/{converted['account_id']}"))["segment"] == converted["segment"]
    gone = await sales.lead()
    await sales.post(f"/v1/leads/{gone['id']}/erase", {}, role="sales-manager")
    assert_problem(await sales.send("PATCH", f"/v1/leads/{gone['id']}", {"name": "Ana"}), 409, "lead-already-erased")


@pytest.mark.parametrize(
    ("noun", "field", "instead"),
    [
        ("leads", "owner_id", "POST …/assign"),
        ("leads", "status", "POST …/contact"),
        ("deals", "stage", "POST …/stage"),
        ("deals", "amount", "lines"),
        ("deals", "close_reason", "POST …/amend"),
        ("deals", "currency", "open a deal anew"),
    ],
)
async def test_what_has_an_action_of_its_own_is_refused_with_its_name(
    sales: Sales, noun: str, field: str, instead: str
) -> None:
    record = await (sales.lead() if noun == "leads" else sales.deal())
    answer = await sales.send("PATCH", f"/v1/{noun}/{record['id']}", {field: "x", "region": "north"})
    assert_problem(answer, 422, "invalid-request")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"#/{field}"
    assert instead in error["detail"]


async def test_a_deal_is_set_right(sales: Sales) -> None:
    deal = await sales.deal()
    other, product, suggestion = await sales.rep(), await sales.product(), str(uuid4())
    right = {
        "title": "Pumps for the annex",
        "owner_id": other["id"],
        "region": "west",
        "segment": "retail",
        "channel": "telemarketing",
        "expected_close_on": "2026-06-30",
        "upsell_suggestion_id": suggestion,
    }
    lines = [{"product": product, "quantity": 3, "unit_price": "9.50"}]
    path = f"/v1/deals/{deal['id']}"
    amended = await sales.patch(path, right | {"lines": lines})
    assert amended | right == amended
    assert (amended["team_id"], amended["amount"], amended["opened_at"]) == (
        other["team_id"],
        "28.50",
        deal["opened_at"],
    )
    event = await last_event(sales, f"deals/{deal['id']}", DealAmended)
    assert event.data.change.fields == sorted([*right, "lines", "team_id"])
    assert str(event.data.change.previous_amount.amount) == deal["amount"]
    assert event.data.upsell_suggestion_id == UUID(suggestion)
    assert await sales.patch(path, right | {"lines": lines}) == amended
    found = (await sales.get(f"/v1/deals?q=annex&ids={deal['id']}"))["items"]
    assert [each["id"] for each in found] == [deal["id"]]


async def test_what_a_closed_deal_is_worth_is_amended_and_all_else_corrected(sales: Sales) -> None:
    deal = await sales.deal()
    path = f"/v1/deals/{deal['id']}"
    won = await sales.post(f"{path}/close", {"outcome": "won"})
    line = {"product": deal["lines"][0]["product"], "quantity": 9, "unit_price": "1"}
    refused = await sales.send("PATCH", path, {"lines": [line]})
    assert "amend" in str(assert_problem(refused, 409, "deal-already-closed")["detail"])
    amended = await sales.patch(path, {"channel": "telemarketing", "title": "Pumps"})
    assert (amended["channel"], amended["closed_at"]) == ("telemarketing", won["closed_at"])
    assert (amended["reporting_amount"], amended["frozen_rate"]) == (won["reporting_amount"], won["frozen_rate"])


async def test_an_activity_and_a_referral_are_set_right(sales: Sales) -> None:
    account, rep = await sales.account(), await sales.rep()
    activity = await sales.post("/v1/activities", {"account_id": account["id"], "kind": "call"}, status=201)
    right: dict[str, Any] = {"kind": "visit", "owner_id": rep["id"], "due_at": "2026-03-17T16:00:00Z"}
    amended = await sales.patch(f"/v1/activities/{activity['id']}", right)
    assert amended | right | {"team_id": rep["team_id"], "version": 2} == amended
    event = await last_event(sales, f"activities/{activity['id']}", ActivityAmended)
    assert event.data.change.fields == ["due_at", "kind", "owner_id", "team_id"]
    assert event.data.completed_at.isoformat().replace("+00:00", "Z") == activity["completed_at"]

    referral = await sales.post("/v1/referrals", {"account_id": account["id"]}, status=201)
    lead, taken = await sales.lead(company="Casa"), await sales.lead()
    await sales.post("/v1/referrals", {"account_id": account["id"], "lead_id": taken["id"]}, status=201)
    path = f"/v1/referrals/{referral['id']}"
    answer = await sales.send("PATCH", path, {"lead_id": taken["id"]})
    assert_problem(answer, 409, "referral-already-recorded")
    amended = await sales.patch(path, {"lead_id": lead["id"], "channel": "telemarketing"})
    assert (amended["lead_id"], amended["channel"]) == (lead["id"], "telemarketing")
    event = await last_event(sales, f"referrals/{referral['id']}", ReferralAmended)
    assert event.data.change.fields == ["channel", "lead_id"]
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {})
    assert (await sales.get(f"/v1/accounts/{converted['account_id']}"))["referred_by"] == account["id"]
    # Whom the new account was referred by is decided.
    assert_problem(await sales.send("PATCH", path, {"lead_id": None}), 409, "lead-already-converted")


@pytest.mark.parametrize("noun", ["leads", "deals"])
async def test_a_correction_of_what_has_changed_meanwhile_is_refused(sales: Sales, noun: str) -> None:
    record = await (sales.lead() if noun == "leads" else sales.deal())
    path = f"/v1/{noun}/{record['id']}"
    answer = await sales.send("PATCH", path, {"region": "north"}, if_match='"7"')
    assert_problem(answer, 412, "stale-version")
    key = str(uuid4())
    first, again = [await sales.send("PATCH", path, {"region": "north"}, idempotency_key=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, again.json())
    report = await sales.post(
        "/v1/bulk",
        {
            "operation": f"update_{noun.removesuffix('s')}",
            "records": [{"id": record["id"]}],
            "body": {"region": "east"},
        },
    )
    assert report["records"][0]["version"] == record["version"] + 2


async def test_a_deal_of_the_wrong_account_is_the_right_ones_with_what_belongs_to_it(sales: Sales) -> None:
    right = await sales.account(region="west", segment=None)
    lead = await sales.lead()
    product = await sales.product()
    terms = {"currency": "EUR", "lines": [{"product": product, "quantity": 1, "unit_price": "9.50"}]}
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {"deal": terms})
    wrong, deal_id = converted["account_id"], converted["deal_id"]
    of_deal = await sales.post("/v1/activities", {"kind": "call", "deal_id": deal_id}, status=201)
    of_account = await sales.post("/v1/activities", {"kind": "call", "account_id": wrong}, status=201)
    path = f"/v1/deals/{deal_id}"
    won = await sales.post(f"{path}/close", {"outcome": "won"})
    amended = await sales.patch(path, {"account_id": right["id"]})
    assert (amended["account_id"], amended["region"], amended["segment"]) == (right["id"], "west", None)
    assert (amended["closed_at"], amended["reporting_amount"]) == (won["closed_at"], won["reporting_amount"])
    events = await sales.events_of(deal_id, "deals")
    assert "account_id" in events[-1].data.change.fields  # type: ignore[attr-defined]
    assert {event.partition_key for event in events} == {wrong}
    for noun, record in (("leads", lead), ("activities", of_deal)):
        assert (await sales.get(f"/v1/{noun}/{record['id']}"))["account_id"] == right["id"], noun
    assert (await sales.get(f"/v1/activities/{of_account['id']}"))["account_id"] == wrong
    # History and timeline find its events by their key.
    assert len((await sales.get(f"{path}/events"))["items"]) == amended["version"]
    of_right = {each["kind"] for each in (await sales.get(f"/v1/accounts/{right['id']}/timeline"))["items"]}
    assert {"sales.deal-opened", "sales.deal-closed", "sales.lead-converted", "sales.activity-completed"} <= of_right
    assert await sales.patch(path, {"account_id": right["id"]}) == amended
    unknown = await sales.send("PATCH", path, {"account_id": str(uuid4())})
    assert_problem(unknown, 422, "unknown-reference")
    # A later change is published under the same key.
    await sales.post(f"{path}/reopen", {})
    assert {event.partition_key for event in await sales.events_of(deal_id, "deals")} == {wrong}
