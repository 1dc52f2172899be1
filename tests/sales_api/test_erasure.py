"""Erasure in sales: who a customer is goes from every table; what is counted for them stays."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts.sales import AccountErased, AccountMerged, AccountUnmerged, DealErased, LeadErased
from service_kit.outbox import outbox
from tests.sales_api.sales import ABSENT, Sales, reference
from tests.service_kit.conftest import assert_problem
from tests.service_kit.traces import places_that_hold


async def a_known_customer(sales: Sales, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A customer with this text in every field of text that sales keeps: the account, and its lead with a won deal."""
    lead = await sales.lead(
        name=text, company=text, email=f"{text}@example.org", phone=text, external_ref=text, region="south"
    )
    deal = {
        "title": f"For {text}",
        "currency": "EUR",
        "lines": [{"product": await sales.product(), "quantity": 2, "unit_price": "10.00"}],
        "external_ref": f"deal of {text}",
    }
    body = {"account": {"name": f"Ms {text}", "external_ref": text}, "deal": deal}
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", body, Idempotency_Key=f"convert {lead['id']}")
    renamed = {"name": f"Mrs {text}"}
    path = f"/v1/accounts/{converted['account_id']}"
    answer = await sales.send("PATCH", path, renamed, Idempotency_Key=f"rename {lead['id']}")
    assert answer.status_code == 200
    await sales.post(f"/v1/deals/{converted['deal_id']}/close", {"outcome": "won"})
    return await sales.get(path), converted


async def test_an_erased_customer_is_in_no_table_and_the_figures_stay(sales: Sales) -> None:
    text = reference()
    account, lead = await a_known_customer(sales, text)
    deal = await sales.get(f"/v1/deals/{lead['deal_id']}")
    assert await places_that_hold(sales.engine, text) >= {"account.name", "lead.email", "deal.title", "outbox.payload"}

    path = f"/v1/accounts/{account['id']}"
    assert_problem(await sales.send("POST", f"{path}/erase", role="sales-rep"), 403, "forbidden")
    assert_problem(await sales.send("POST", f"{path}/erase", role="sales-manager", If_Match='"1"'), 412)
    erased = (await sales.send("POST", f"{path}/erase", role="sales-manager")).json()
    assert await places_that_hold(sales.engine, text) == set()

    assert (erased["name"], erased["version"]) == (None, account["version"] + 1)
    assert erased == await sales.get(path)
    after = await sales.get(f"/v1/deals/{deal['id']}")
    changed = {name for name in deal if deal[name] != after[name]}
    assert changed == {"title", "external_ref", "version", "erased_at", "changed_at", "updated_at"}
    published = [event.data for event in await sales.events_of(account["id"], "accounts")]
    assert isinstance(published[-1], AccountErased)
    assert published[-1].erased_at == datetime.fromisoformat(erased["erased_at"])
    assert isinstance((await sales.events_of(deal["id"], "deals"))[-1].data, DealErased)
    assert isinstance((await sales.events_of(lead["id"], "leads"))[-1].data, LeadErased)

    # A tombstone, and no name that would come before it.
    query = sa.select(outbox.c.payload).where(
        outbox.c.aggregatetype == "sales.directory", outbox.c.aggregateid == account["id"]
    )
    async with sales.engine.connect() as connection:
        assert (await connection.execute(query)).scalars().all() == [None]

    again = await sales.send("POST", f"{path}/erase", role="admin")
    assert (again.status_code, again.json()) == (200, erased)
    assert len(await sales.events_of(account["id"], "accounts")) == len(published)


async def test_a_request_repeated_after_an_erasure_is_neither_answered_with_names_nor_done(sales: Sales) -> None:
    body, key = {"name": "Ada Lovelace"}, reference()
    account = await sales.post("/v1/accounts", body, status=201, Idempotency_Key=key)
    await sales.send("POST", f"/v1/accounts/{account['id']}/erase", role="sales-manager")
    again = await sales.send("POST", "/v1/accounts", body, Idempotency_Key=key)
    assert_problem(again, 410, "answer-erased")
    assert "Ada" not in again.text


async def test_an_erased_lead_is_not_imported_again(sales: Sales) -> None:
    ref = reference()
    account = await sales.account(external_ref=ref)
    await sales.send("POST", f"/v1/accounts/{account['id']}/erase", role="sales-manager")
    answer = await sales.send("POST", "/v1/accounts", {"name": "Back again", "external_ref": ref})
    assert assert_problem(answer, 409, "external-ref-taken")["existing_id"] == account["id"]
    assert [item["id"] for item in (await sales.get(f"/v1/accounts?external_ref={ref}"))["items"]] == [account["id"]]


async def test_nothing_new_is_written_about_an_erased_customer(sales: Sales) -> None:
    account = await sales.account()
    path = f"/v1/accounts/{account['id']}"
    await sales.send("POST", f"{path}/erase", role="sales-manager")
    assert_problem(await sales.send("PATCH", path, {"name": "Known"}), 409, "account-already-erased")
    lead = {"name": "Known", "account_id": account["id"]}
    assert_problem(await sales.send("POST", "/v1/leads", lead), 409, "account-already-erased")


async def test_a_lead_without_an_account_is_erased_alone(sales: Sales) -> None:
    text = reference()
    lead = await sales.lead(name=text, email=text)
    path = f"/v1/leads/{lead['id']}"
    erased = (await sales.send("POST", f"{path}/erase", role="sales-manager")).json()
    assert (erased["name"], erased["status"]) == (None, "new")
    assert await places_that_hold(sales.engine, text) == set()
    assert_problem(await sales.send("POST", f"{path}/qualify", {}), 409, "lead-already-erased")
    of_account = await sales.lead(account_id=(await sales.account())["id"])
    refused = await sales.send("POST", f"/v1/leads/{of_account['id']}/erase", role="sales-manager")
    assert_problem(refused, 409, "lead-has-account")


async def test_an_account_is_merged_into_another_of_the_same_customer(sales: Sales) -> None:
    one, other = await sales.account(), await sales.account()
    path = f"/v1/accounts/{one['id']}"
    lead = await sales.lead(account_id=one["id"])
    merged = await sales.post(f"{path}/merge", {"into": other["id"]})
    assert (merged["merged_into"], merged["version"]) == (other["id"], 2)
    event = (await sales.events_of(one["id"], "accounts"))[-1].data
    assert isinstance(event, AccountMerged)
    assert event.merged_into == UUID(other["id"])
    assert [item["id"] for item in (await sales.get(f"/v1/accounts?merged_into={other['id']}"))["items"]] == [one["id"]]

    again = await sales.send("POST", f"{path}/merge", {"into": (await sales.account())["id"]})
    assert assert_problem(again, 409, "account-already-merged")["merged_into"] == other["id"]
    back = await sales.send("POST", f"/v1/accounts/{other['id']}/merge", {"into": one["id"]})
    assert_problem(back, 409, "account-already-merged")
    deal = {"account_id": one["id"], "currency": "EUR", "lines": [{"product": "x", "quantity": 1, "unit_price": "1"}]}
    assert_problem(await sales.send("POST", "/v1/deals", deal), 409, "account-already-merged")
    # Its lead becomes the customer's that it is.
    assert (await sales.post(f"/v1/leads/{lead['id']}/convert", {}))["account_id"] == other["id"]

    assert_problem(await sales.send("POST", f"{path}/erase", role="sales-manager"), 409, "account-already-merged")
    await sales.send("POST", f"/v1/accounts/{other['id']}/erase", role="sales-manager")
    assert (await sales.get(path))["name"] is None


async def test_a_merge_is_taken_back_and_the_account_is_a_customer_of_its_own_again(sales: Sales) -> None:
    one, other, third = [await sales.account() for _ in range(3)]
    path = f"/v1/accounts/{one['id']}"
    assert_problem(await sales.send("POST", f"{path}/unmerge", {}), 409, "account-not-merged")
    await sales.post(f"{path}/merge", {"into": other["id"]})
    assert_problem(await sales.send("POST", f"{path}/unmerge", {}, role="sales-rep"), 403, "forbidden")
    stale = await sales.send("POST", f"{path}/unmerge", {}, if_match='"1"')
    assert stale.status_code == 412
    early = {"occurred_at": one["registered_at"]}
    assert_problem(await sales.send("POST", f"{path}/unmerge", early), 409, "occurred-too-early")

    back = await sales.post(f"{path}/unmerge", {})
    assert (back["merged_into"], back["version"]) == (None, 3)
    event = (await sales.events_of(one["id"], "accounts"))[-1].data
    assert isinstance(event, AccountUnmerged)
    assert (event.id, event.merged_into) == (UUID(one["id"]), None)
    # It does business again, and may be merged into the one that it is.
    assert (await sales.deal(account_id=one["id"]))["account_id"] == one["id"]
    assert (await sales.post(f"{path}/merge", {"into": third["id"]}))["merged_into"] == third["id"]
    await sales.send("POST", f"/v1/accounts/{third['id']}/erase", role="sales-manager")
    assert_problem(await sales.send("POST", f"{path}/unmerge", {}), 409, "account-already-erased")
    missing = await sales.send("POST", f"/v1/accounts/{ABSENT}/unmerge", {})
    assert_problem(missing, 404, "not-found")


async def test_an_account_is_not_merged_into_itself_or_a_missing_one(sales: Sales) -> None:
    account = await sales.account()
    path = f"/v1/accounts/{account['id']}/merge"
    assert_problem(await sales.send("POST", path, {"into": account["id"]}), 422, "invalid-request")
    assert_problem(await sales.send("POST", path, {"into": ABSENT}), 422, "unknown-reference")
    assert_problem(await sales.send("POST", path, {"into": ABSENT}, role="sales-rep"), 403, "forbidden")
