"""Leads over HTTP: from the first sign of interest to a customer with a deal, each change with its event."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import Account, Deal, Lead, LeadConverted
from tests.sales_api.sales import ABSENT, Sales, pointers, reference
from tests.service_kit.conftest import assert_problem


def assert_carries(event: Lead, lead: dict[str, Any]) -> None:
    """The event's state is what the API shows of the lead."""
    for name in ("status", "channel", "region", "segment", "product", "disqualified_reason"):
        assert getattr(event, name) == lead[name], name
    for name in ("id", "owner_id", "team_id", "account_id", "deal_id"):
        assert getattr(event, name) == (lead[name] and UUID(lead[name])), name
    for step in ("created", "assigned", "contacted", "qualified", "disqualified", "converted"):
        shown = lead[f"{step}_at"]
        assert getattr(event, f"{step}_at") == (shown and datetime.fromisoformat(shown)), step


def deal_terms(product: str, **fields: Any) -> dict[str, Any]:
    return {"currency": "EUR", "lines": [{"product": product, "quantity": 1, "unit_price": "99"}]} | fields


async def test_a_lead_goes_all_the_way_and_every_step_is_an_event(sales: Sales) -> None:
    product, rep, other = await sales.product(), await sales.rep(), await sales.rep()
    lead = await sales.lead(channel="online", region="north", segment="retail", product=product)
    path = f"/v1/leads/{lead['id']}"
    steps = [
        lead,
        await sales.post(f"{path}/assign", {"owner_id": rep["id"]}),
        await sales.post(f"{path}/contact", {}),
        await sales.post(f"{path}/assign", {"owner_id": other["id"]}),
        await sales.post(f"{path}/qualify", {}),
        await sales.post(f"{path}/convert", {}),
    ]
    assert [step["status"] for step in steps] == [
        *("new", "assigned", "contacted", "contacted", "qualified", "converted"),
    ]
    events = await sales.events_of(lead["id"])
    assert [event.event_type.name.removeprefix("sales.lead-") for event in events] == [
        *("created", "assigned", "contacted", "assigned", "qualified", "converted"),
    ]
    assert [event.sequence for event in events] == list(range(1, 7)) == [step["version"] for step in steps]
    assert {event.partition_key for event in events} == {lead["id"]}
    for event, step in zip(events, steps, strict=True):
        assert isinstance(event.data, Lead)
        assert_carries(event.data, step)
    assert await sales.get(path) == steps[-1]
    assert steps[3]["team_id"] == other["team_id"]


async def test_a_lead_with_an_owner_is_assigned_at_once(sales: Sales) -> None:
    rep = await sales.rep()
    lead = await sales.lead(owner_id=rep["id"], occurred_at="2026-01-05T08:00:00Z")
    assert (lead["status"], lead["team_id"]) == ("assigned", rep["team_id"])
    assert lead["created_at"] == lead["assigned_at"] == "2026-01-05T08:00:00Z"


async def test_no_event_of_a_lead_carries_personal_data(sales: Sales) -> None:
    personal = {
        "name": "Joana Prado",
        "company": "Casa Verde",
        "email": "joana@casaverde.example",
        "phone": "+55 11 5550 0100",
    }
    lead = await sales.lead(**personal)
    assert {name: lead[name] for name in personal} == personal
    await sales.post(f"/v1/leads/{lead['id']}/disqualify", {"reason": "no_budget"})
    events = await sales.events_of(lead["id"])
    assert len(events) == 2
    for event in events:
        assert not any(value in str(event.data) for value in personal.values())


async def test_converting_makes_the_customer_and_the_deal_in_one_step(sales: Sales) -> None:
    product, rep = await sales.product(), await sales.rep()
    lead = await sales.lead(
        company="Casa Verde", name="Joana", channel="online", region="north", segment="retail", owner_id=rep["id"]
    )
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {"deal": deal_terms(product)})
    account = await sales.get(f"/v1/accounts/{converted['account_id']}")
    deal = await sales.get(f"/v1/deals/{converted['deal_id']}")
    assert account["name"] == "Casa Verde"
    shared = ("channel", "region", "segment", "owner_id", "team_id")
    for made in (account, deal):
        assert {name: made[name] for name in shared} == {name: lead[name] for name in shared}
    assert (deal["account_id"], deal["lead_id"]) == (account["id"], lead["id"])
    assert account["registered_at"] == deal["opened_at"] == converted["converted_at"]
    registered, entry = await sales.events_of(account["id"])
    assert isinstance(registered.data, Account)
    assert entry.data == SalesDirectoryEntrySet(id=UUID(account["id"]), kind="account", name="Casa Verde")
    (opened,) = await sales.events_of(deal["id"])
    assert isinstance(opened.data, Deal)
    assert opened.partition_key == account["id"]
    last = (await sales.events_of(lead["id"]))[-1]
    assert isinstance(last.data, LeadConverted)
    assert last.data.change.account_registered


async def test_the_conversion_overrides_the_attribution_of_the_lead(sales: Sales) -> None:
    product, owner, closer = await sales.product(), await sales.rep(), await sales.rep()
    lead = await sales.lead(region="north", segment="retail", channel="online")
    given = {"name": "Renamed", "region": "west", "owner_id": owner["id"], "external_ref": reference()}
    terms = deal_terms(product, owner_id=closer["id"], segment="wholesale", external_ref=reference())
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {"account": given, "deal": terms})
    account = await sales.get(f"/v1/accounts/{converted['account_id']}")
    deal = await sales.get(f"/v1/deals/{converted['deal_id']}")
    assert {name: account[name] for name in given} == given
    assert (account["segment"], account["channel"], account["team_id"]) == ("retail", "online", owner["team_id"])
    assert (deal["owner_id"], deal["team_id"]) == (closer["id"], closer["team_id"])
    assert (deal["region"], deal["segment"], deal["channel"]) == ("north", "wholesale", "online")


async def test_a_lead_of_a_known_customer_stays_with_it(sales: Sales) -> None:
    account = await sales.account(region="south", segment="retail", channel="referral")
    lead = await sales.lead(account_id=account["id"], channel="online")
    assert (lead["region"], lead["segment"], lead["channel"]) == ("south", "retail", "online")
    path = f"/v1/leads/{lead['id']}/convert"
    other = await sales.account()
    for body in ({"account_id": other["id"]}, {"account": {"name": "Another"}}):
        assert_problem(await sales.send("POST", path, body), 409, "lead-has-account")
    converted = await sales.post(path, {"deal": deal_terms(await sales.product())})
    assert converted["account_id"] == account["id"]
    deal = await sales.get(f"/v1/deals/{converted['deal_id']}")
    assert (deal["region"], deal["segment"], deal["channel"]) == ("south", "retail", "online")
    events = await sales.events_of(lead["id"], "leads")
    assert {event.partition_key for event in events} == {account["id"]}
    assert isinstance(events[-1].data, LeadConverted)
    assert not events[-1].data.change.account_registered
    assert len(await sales.events_of(account["id"], "accounts")) == 1


async def test_a_lead_is_converted_to_a_known_customer(sales: Sales) -> None:
    account, lead = await sales.account(), await sales.lead()
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {"account_id": account["id"]})
    assert (converted["account_id"], converted["deal_id"]) == (account["id"], None)
    assert {event.partition_key for event in await sales.events_of(lead["id"], "leads")} == {lead["id"]}


async def test_a_conversion_that_fails_leaves_nothing(sales: Sales) -> None:
    lead = await sales.lead()
    path = f"/v1/leads/{lead['id']}/convert"
    ref = reference()
    body = {"account": {"external_ref": ref}, "deal": deal_terms("no-such-thing")}
    problem = assert_problem(await sales.send("POST", path, body), 422, "unknown-reference")
    assert pointers(problem) == ["#/deal/lines/0/product"]
    assert (await sales.get(f"/v1/accounts?external_ref={ref}"))["items"] == []
    assert await sales.get(f"/v1/leads/{lead['id']}") == lead
    assert len(await sales.events_of(lead["id"])) == 1


async def test_a_customer_needs_a_name(sales: Sales) -> None:
    lead = await sales.lead(company=None)
    path = f"/v1/leads/{lead['id']}/convert"
    problem = assert_problem(await sales.send("POST", path, {}), 422)
    assert pointers(problem) == ["#/account/name"]
    await sales.post(path, {"account": {"name": "Found out"}})


async def test_a_conversion_names_one_customer_at_most(sales: Sales) -> None:
    lead, account = await sales.lead(), await sales.account()
    body = {"account_id": account["id"], "account": {"name": "Another"}}
    assert_problem(await sales.send("POST", f"/v1/leads/{lead['id']}/convert", body), 422, "invalid-request")


@pytest.mark.parametrize(
    ("ending", "body", "slug"),
    [
        ("disqualify", {"reason": "no_budget"}, "lead-already-disqualified"),
        ("convert", {}, "lead-already-converted"),
    ],
)
async def test_a_converted_or_disqualified_lead_takes_no_action(
    sales: Sales, ending: str, body: dict[str, str], slug: str
) -> None:
    rep, lead = await sales.rep(), await sales.lead()
    path = f"/v1/leads/{lead['id']}"
    await sales.post(f"{path}/{ending}", body)
    actions: dict[str, dict[str, str]] = {
        "assign": {"owner_id": rep["id"]},
        "contact": {},
        "qualify": {},
        "disqualify": {"reason": "timing"},
        "convert": {},
    }
    for action, given in actions.items():
        assert_problem(await sales.send("POST", f"{path}/{action}", given), 409, slug)
    assert len(await sales.events_of(lead["id"])) == 2


async def test_an_action_that_the_status_does_not_allow_is_refused(sales: Sales) -> None:
    rep, lead = await sales.rep(), await sales.lead()
    path = f"/v1/leads/{lead['id']}"
    assert_problem(await sales.send("POST", f"{path}/contact", {}), 409, "lead-not-assigned")
    await sales.post(f"{path}/qualify", {})
    assert_problem(await sales.send("POST", f"{path}/qualify", {}), 409, "lead-already-qualified")
    await sales.post(f"{path}/assign", {"owner_id": rep["id"]})
    same = await sales.send("POST", f"{path}/assign", {"owner_id": rep["id"]})
    assert_problem(same, 409, "lead-already-assigned")
    contacted = await sales.post(f"{path}/contact", {})
    assert contacted["status"] == "qualified"
    assert_problem(await sales.send("POST", f"{path}/contact", {}), 409, "lead-already-contacted")


async def test_thirty_conversions_at_once_make_one_customer(sales: Sales) -> None:
    lead = await sales.lead()
    path = f"/v1/leads/{lead['id']}/convert"
    answers = await asyncio.gather(*(sales.send("POST", path, {}) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 29
    assert len(await sales.events_of(lead["id"])) == 2


@pytest.mark.parametrize(
    ("field", "value"), [("account_id", ABSENT), ("owner_id", ABSENT), ("product", "no-such-thing")]
)
async def test_a_lead_refers_to_what_exists(sales: Sales, field: str, value: str) -> None:
    problem = assert_problem(await sales.send("POST", "/v1/leads", {field: value}), 422, "unknown-reference")
    assert pointers(problem) == [f"#/{field}"]


async def test_a_history_is_backdated_in_order(sales: Sales) -> None:
    rep = await sales.rep()
    lead = await sales.lead(owner_id=rep["id"], occurred_at="2026-01-05T08:00:00Z")
    path = f"/v1/leads/{lead['id']}"
    await sales.post(f"{path}/contact", {"occurred_at": "2026-01-05T09:30:00Z"})
    early = await sales.send("POST", f"{path}/qualify", {"occurred_at": "2026-01-05T09:00:00Z"})
    refusal = assert_problem(early, 409, "occurred-too-early")
    assert datetime.fromisoformat(str(refusal["latest_change_at"])) == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    await sales.post(f"{path}/convert", {"occurred_at": "2026-02-01T00:00:00Z"})
    times = [event.time for event in await sales.events_of(lead["id"])]
    assert times == [
        datetime(2026, 1, 5, 8, tzinfo=UTC),
        datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ]


async def test_a_deal_may_have_been_opened_before_the_conversion_that_brings_it(sales: Sales) -> None:
    lead = await sales.lead(company="Casa Verde", occurred_at="2025-01-01T09:00:00Z")
    deal = deal_terms(await sales.product(), opened_at="2025-01-02T09:00:00Z")
    body = {"deal": deal, "occurred_at": "2025-01-31T09:00:00Z"}
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", body)
    opened = await sales.get(f"/v1/deals/{converted['deal_id']}")
    assert (converted["converted_at"], opened["opened_at"]) == ("2025-01-31T09:00:00Z", "2025-01-02T09:00:00Z")
    (event,) = await sales.events_of(opened["id"])
    assert event.time == datetime(2025, 1, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("opened_at", "detail"),
    [
        ("2025-02-01T09:00:00Z", "is after the conversion"),
        ("2024-12-31T09:00:00Z", "is before the lead was created"),
    ],
)
async def test_a_deal_is_opened_while_its_lead_is_one(sales: Sales, opened_at: str, detail: str) -> None:
    lead = await sales.lead(company="Casa Verde", occurred_at="2025-01-01T09:00:00Z")
    body = {"deal": deal_terms(await sales.product(), opened_at=opened_at), "occurred_at": "2025-01-31T09:00:00Z"}
    refused = await sales.send("POST", f"/v1/leads/{lead['id']}/convert", body)
    problem = assert_problem(refused, 422, "invalid-request")
    assert problem["errors"] == [{"pointer": "#/deal/opened_at", "detail": detail}]


async def test_an_external_reference_belongs_to_one_lead(sales: Sales) -> None:
    ref = reference()
    lead = await sales.lead(external_ref=ref)
    taken = assert_problem(await sales.send("POST", "/v1/leads", {"external_ref": ref}), 409, "external-ref-taken")
    assert taken["existing_id"] == lead["id"]


async def test_leads_are_filtered_by_attribution(sales: Sales) -> None:
    product, rep, account = await sales.product(), await sales.rep(), await sales.account()
    fields = {
        "channel": "word_of_mouth",
        "region": "list-region",
        "segment": "list-segment",
        "product": product,
        "owner_id": rep["id"],
        "account_id": account["id"],
        "external_ref": reference(),
    }
    lead = await sales.lead(**fields)
    for name, value in (fields | {"team_id": rep["team_id"]}).items():
        assert (await sales.get(f"/v1/leads?{name}={value}"))["items"] == [lead], name
    assert (await sales.get(f"/v1/leads?product={product}&status=new"))["items"] == []
    assert (await sales.get(f"/v1/leads?product={product}&status=assigned"))["items"] == [lead]
