"""The timeline of a customer: what service did at once, and what is mirrored from sales, also of leads before."""

import random
from typing import Any
from uuid import UUID

import httpx
import msgspec

from event_contracts.codec import CloudEvent
from event_contracts.examples import examples
from service_api.customers.from_sales import copy_accounts
from service_kit.consumer.records import Record
from service_kit.identifiers import new_id
from tests.service_api.conftest import NOWHERE, Service, a_customer, a_ticket, an_agent, make
from tests.service_kit.conftest import assert_problem
from tests.timelines import Source, consume, published, shuffled

Body = dict[str, Any]


def example(kind: str, **more: Any) -> Any:
    return msgspec.structs.replace(examples()[kind].data, **more)


async def timeline(http: httpx.AsyncClient, customer_id: Any, query: str = "") -> list[Body]:
    answer = await http.get(f"/v1/customers/{customer_id}/timeline{query}")
    assert answer.status_code == 200, answer.text
    items: list[Body] = answer.json()["items"]
    return items


def facts_of(entry: Body) -> Body:
    return {name: value for name, value in entry["facts"].items() if value is not None}


async def mirror_account(service: Service, account_id: UUID, **more: Any) -> CloudEvent:
    """Let both consumers read of an account: the one that copies customers, and that of timelines."""
    kind = "sales.account-merged" if "merged_into" in more else "sales.account-registered"
    event = published(example(kind, id=account_id, **more), 2 if "merged_into" in more else 1)
    async with service.engine.begin() as connection:
        await copy_accounts(connection, [Record("sales.events", 0, 1, event, None)])
    await consume(service.engine, [event])
    return event


async def test_what_service_did_stands_beside_what_sales_did(service: Service, manager: httpx.AsyncClient) -> None:
    account_id, deal_id = new_id(), new_id()
    won = example("sales.deal-closed", id=deal_id, account_id=account_id)
    # Mirrored before service knows of the customer: nothing of it is lost.
    await consume(service.engine, [published(won, 3)])
    assert_problem(await manager.get(f"/v1/customers/{account_id}/timeline"), 404, "not-found")
    await mirror_account(service, account_id)
    agent = await an_agent(manager)
    ticket = await a_ticket(manager, customer_id=str(account_id), subject="No water", agent_id=agent["id"])
    path = f"/v1/tickets/{ticket['id']}"
    contact = {"direction": "outbound", "channel": "email", "agent_id": agent["id"], "note": "Zanzibar"}
    assert (await manager.post(f"{path}/interactions", json=contact)).is_success
    await make(manager, f"{path}/resolve", resolution="fixed")
    await make(manager, "/v1/reviews", customer_id=str(account_id), score=4)
    await make(manager, "/v1/check-ins", customer_id=str(account_id), agent_id=agent["id"])
    suggestion = await make(manager, "/v1/upsell-suggestions", customer_id=str(account_id), product="pump")

    found = await timeline(manager, account_id)
    assert found == sorted(found, key=lambda each: (each["occurred_at"], each["id"]), reverse=True)
    assert sorted(each["kind"] for each in found) == [
        "sales.account-registered", "sales.deal-closed", "service.check-in-completed", "service.interaction-logged",
        "service.review-recorded", "service.ticket-first-responded", "service.ticket-opened",
        "service.ticket-resolved", "service.upsell-suggested",
    ]  # fmt: skip
    by_kind = {each["kind"]: each for each in found}
    sold = by_kind["sales.deal-closed"]
    assert sold["record"] == {"noun": "deals", "id": str(deal_id), "path": f"/v1/deals/{deal_id}", "title": None}
    assert sold["person"] == {"id": str(won.owner_id), "name": None}
    assert facts_of(sold)["amount"] == msgspec.to_builtins(won.amount)
    replied = by_kind["service.interaction-logged"]
    assert replied["record"]["title"] == "No water"
    assert replied["person"] == {"id": agent["id"], "name": agent["name"]}
    assert facts_of(replied)["direction"] == "outbound"
    assert facts_of(by_kind["service.review-recorded"])["score"] == 4
    assert by_kind["service.upsell-suggested"]["record"]["path"] == f"/v1/upsell-suggestions/{suggestion['id']}"
    assert "Zanzibar" not in str(found)
    assert {each["kind"] for each in await timeline(manager, account_id, "?source=sales")} == {
        "sales.account-registered",
        "sales.deal-closed",
    }


async def test_who_sees_what_of_sales_on_a_customers_timeline(service: Service, manager: httpx.AsyncClient) -> None:
    account_id = new_id()
    await mirror_account(service, account_id, region="north")
    lead = example("sales.lead-created", id=new_id(), account_id=account_id)
    deal = example("sales.deal-opened", id=new_id(), account_id=account_id)
    activity = example("sales.activity-completed", id=new_id(), account_id=account_id)
    await consume(service.engine, [published(each, 1) for each in (lead, deal, activity)])
    await a_ticket(manager, customer_id=str(account_id), subject="Zanzibar")
    mirrored = {"sales.account-registered", "sales.deal-opened", "sales.activity-completed"}
    for role, expected in {
        "sales-manager": {*mirrored, "sales.lead-created", "service.ticket-opened"},
        "service-manager": {*mirrored, "service.ticket-opened"},
        "service-agent": {"sales.account-registered", "sales.deal-opened", "service.ticket-opened"},
        "analyst": {*mirrored, "sales.lead-created", "service.ticket-opened"},
    }.items():
        async with service.client(role) as http:
            found = await timeline(http, account_id)
        assert {each["kind"] for each in found} == expected, role
        titles = {each["record"]["title"] for each in found} - {None}
        # Of a ticket only those who serve the customer see what it is called.
        assert titles == ({"Zanzibar"} if role.startswith("service") else set()), role
    async with service.client("sales-rep") as http:
        # Of another region.
        assert_problem(await http.get(f"/v1/customers/{account_id}/timeline"), 404, "not-found")
        assert_problem(await http.get(f"/v1/customers/{NOWHERE}/timeline"), 404, "not-found")


async def test_a_lead_is_on_the_timeline_of_whom_it_became_in_whatever_order_it_is_mirrored(
    service: Service, manager: httpx.AsyncClient
) -> None:
    for seed in range(6):
        account_id, lead_id = new_id(), new_id()
        await mirror_account(service, account_id)
        unowned = {"id": lead_id, "account_id": None, "deal_id": None}
        log = [
            published(example("sales.lead-created", **unowned), 1),
            published(example("sales.lead-contacted", **unowned), 2),
            published(
                example("sales.activity-completed", id=new_id(), account_id=None, lead_id=lead_id, deal_id=None), 1
            ),
            published(example("sales.lead-converted", id=lead_id, account_id=account_id), 3),
            # Of no customer, and of another one.
            published(example("sales.lead-created", id=new_id(), account_id=None), 1),
            published(example("sales.lead-converted", id=new_id(), account_id=new_id()), 1),
        ]
        assert len(await timeline(manager, account_id)) == 1
        for batch in shuffled(log, seed):
            await consume(service.engine, batch)
        async with service.client("sales-manager") as http:
            found = await timeline(
                http,
                account_id,
                "?kind=sales.lead-created&kind=sales.lead-converted"
                "&kind=sales.lead-contacted&kind=sales.activity-completed",
            )
        assert {each["id"] for each in found} == {str(event.id) for event in log[:4]}, seed
        assert {each["customer_id"] for each in found} == {str(account_id)}


async def test_merged_customers_are_on_one_timeline_and_a_restore_of_sales_takes_away(
    service: Service, manager: httpx.AsyncClient
) -> None:
    survivor, merged = new_id(), new_id()
    await mirror_account(service, survivor)
    await mirror_account(service, merged)
    chance = random.Random(7)
    source = Source(*(example("sales.deal-opened", id=new_id(), account_id=merged) for _ in range(4)))
    for turn in (source.back_up, source.restore, source.back_up):
        for record in source.records[:3] if turn == source.back_up else source.records:
            source.act(record)
            source.act(chance.choice(source.records[:3]))
        turn()
    assert len(source.records) == 3, "one deal was made after the backup, and is lost"
    for batch in shuffled(source.log, 7):
        await consume(service.engine, batch)
    await mirror_account(service, merged, merged_into=survivor)
    deals = await timeline(manager, survivor, "?kind=sales.deal-opened&limit=200")
    assert [UUID(each["id"]) for each in deals] == source.truth
    kinds = [each["kind"] for each in await timeline(manager, survivor, "?kind=sales.account-merged")]
    assert kinds == ["sales.account-merged"]


async def test_an_erased_customer_keeps_a_timeline_without_a_word(service: Service, manager: httpx.AsyncClient) -> None:
    customer = await a_customer(manager, name="Zanzibar Ltd")
    await a_ticket(manager, customer_id=customer["id"], subject="Zanzibar", description="Zanzibar")
    path = f"/v1/customers/{customer['id']}"
    assert "Zanzibar" in (await manager.get(f"{path}/timeline")).text
    assert (await manager.post(f"{path}/erase")).is_success
    answer = await manager.get(f"{path}/timeline")
    assert "Zanzibar" not in answer.text
    assert sorted(each["kind"] for each in answer.json()["items"]) == [
        "service.customer-erased",
        "service.customer-registered",
        "service.ticket-erased",
        "service.ticket-opened",
    ]
