"""Erasure in service: every word about a customer goes, of sales or of service's own; the figures stay."""

from typing import Any
from uuid import UUID

import httpx
import msgspec
import sqlalchemy as sa

from event_contracts.sales import AccountErased
from event_contracts.service import CustomerErased, SurveyErased, TicketErased
from service_api.customers.from_sales import copy_accounts, copy_names
from service_kit.consumer.dead_letters import dead_letter, skipped_positions
from service_kit.identifiers import new_id
from service_kit.outbox import outbox
from tests.service_api.conftest import NOWHERE, Service, a_customer, a_ticket, an_agent, make, reference
from tests.service_api.test_customers_from_sales import REGISTERED, copied, named, record, registered, row_of, tombstone
from tests.service_api.test_surveys import entry
from tests.service_kit.conftest import assert_problem
from tests.service_kit.traces import places_that_hold


async def with_words(http: httpx.AsyncClient, customer_id: str, text: str) -> tuple[dict[str, Any], ...]:
    """A ticket, a contact and an answered survey of a customer, with this text in every field of text."""
    agent = await an_agent(http)
    ticket = await a_ticket(http, customer_id=customer_id, subject=text, description=text, external_ref=text)
    path = f"/v1/tickets/{ticket['id']}"
    contact = {"direction": "outbound", "agent_id": agent["id"], "note": text, "external_ref": text}
    interaction = (await http.post(f"{path}/interactions", json=contact)).json()
    survey = await make(http, "/v1/surveys", ticket_id=ticket["id"], kind="csat", external_ref=text)
    answered = await http.post(
        f"/v1/surveys/{survey['id']}/answer",
        json=entry(score=4, comment=text),
        headers={"Idempotency-Key": f"answer {text}"},
    )
    assert answered.is_success
    return (await http.get(path)).json(), interaction, answered.json()


async def test_a_customer_of_our_own_is_erased_from_every_table(service: Service, manager: httpx.AsyncClient) -> None:
    text = reference()
    customer = await a_customer(manager, name=text, external_ref=text)
    ticket, interaction, survey = await with_words(manager, customer["id"], text)
    assert await places_that_hold(service.engine, text) >= {
        "customer.name",
        "ticket.subject",
        "interaction.note",
        "survey.comment",
        "idempotency_key.body",
        "outbox.payload",
    }

    path = f"/v1/customers/{customer['id']}"
    async with service.client("service-agent") as agent:
        assert_problem(await agent.post(f"{path}/erase"), 403, "forbidden")
    erased = (await manager.post(f"{path}/erase")).json()
    assert await places_that_hold(service.engine, text) == set()

    assert (erased["name"], erased["version"]) == (None, 2)
    after = (await manager.get(f"/v1/tickets/{ticket['id']}")).json()
    changed = {name for name in ticket if ticket[name] != after[name]}
    assert changed == {"subject", "description", "external_ref", "version", "erased_at", "updated_at"}
    contact = await manager.get(f"/v1/tickets/{ticket['id']}/interactions/{interaction['id']}")
    assert (contact.json()["note"], contact.headers["etag"]) == (None, '"2"')
    assert (await manager.get(f"/v1/surveys/{survey['id']}")).json()["score"] == 4
    for subject, kind in (
        (f"customers/{customer['id']}", CustomerErased),
        (f"tickets/{ticket['id']}", TicketErased),
        (f"surveys/{survey['id']}", SurveyErased),
    ):
        assert isinstance((await service.events_of(subject))[-1].data, kind)
    query = sa.select(outbox.c.payload).where(
        outbox.c.aggregatetype == "service.directory", outbox.c.aggregateid == customer["id"]
    )
    async with service.engine.connect() as connection:
        assert (await connection.execute(query)).scalars().all() == [None]

    assert (await manager.post(f"{path}/erase")).json() == erased
    assert len(await service.events_of(f"customers/{customer['id']}")) == 2
    assert_problem(await manager.post(f"/v1/customers/{NOWHERE}/erase"), 404)


async def test_customers_of_our_own_are_erased_with_the_account_that_they_are_linked_to(
    service: Service, manager: httpx.AsyncClient
) -> None:
    text, account_id = reference(), new_id()
    await copied(service.engine, copy_accounts, [record(registered(account_id), 1)])
    near, far = [await a_customer(manager, name=text, external_ref=f"{text}-{number}") for number in range(2)]
    await with_words(manager, far["id"], text)
    for each, into in ((far, near["id"]), (near, str(account_id))):
        linked = await manager.post(f"/v1/customers/{each['id']}/link", json={"into": into})
        assert linked.status_code == 200, linked.text
    gone = AccountErased(**msgspec.structs.asdict(registered(account_id)) | {"erased_at": REGISTERED})
    await copied(service.engine, copy_accounts, [record(gone, 2)])
    assert await places_that_hold(service.engine, text) == set()
    for each in (near, far):
        assert isinstance((await service.events_of(f"customers/{each['id']}"))[-1].data, CustomerErased)
        refused = await manager.post(f"/v1/customers/{each['id']}/unlink", json={})
        assert_problem(refused, 409, "customer-already-erased")


async def test_a_linked_customer_is_erased_with_the_one_of_our_own_that_remains(
    service: Service, manager: httpx.AsyncClient
) -> None:
    text = reference()
    linked, remains = await a_customer(manager, name=text), await a_customer(manager)
    await with_words(manager, linked["id"], text)
    await manager.post(f"/v1/customers/{linked['id']}/link", json={"into": remains["id"]})
    assert (await manager.post(f"/v1/customers/{remains['id']}/erase")).status_code == 200
    assert await places_that_hold(service.engine, text) == set()


async def test_nothing_more_is_written_about_an_erased_customer_and_the_work_goes_on(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = await a_customer(manager)
    ticket, _, survey = await with_words(manager, customer["id"], reference())
    await manager.post(f"/v1/customers/{customer['id']}/erase")
    path = f"/v1/tickets/{ticket['id']}"
    noted = await manager.post(f"{path}/interactions", json={"direction": "inbound", "note": "She called"})
    assert_problem(noted, 409, "ticket-already-erased")
    assert (await manager.post(f"{path}/interactions", json={"direction": "inbound"})).status_code == 201
    assert (await manager.post(f"{path}/resolve", json={})).status_code == 200
    conflict = await manager.post(f"/v1/surveys/{survey['id']}/answer", json=entry(score=2, comment="I am"))
    assert_problem(conflict, 409, "survey-already-erased")
    new = {"customer_id": customer["id"], "kind": "problem", "channel": "web", "subject": "She again"}
    assert_problem(await manager.post("/v1/tickets", json=new), 409, "customer-already-erased")


async def test_a_customer_erased_in_sales_is_erased_here_in_any_order_of_the_logs(
    service: Service, manager: httpx.AsyncClient
) -> None:
    text, account_id = reference(), new_id()
    await copied(service.engine, copy_accounts, [record(registered(account_id), 1)])
    await copied(service.engine, copy_names, [record(named(account_id, text), 1)])
    ticket, _, survey = await with_words(manager, str(account_id), text)
    async with service.engine.begin() as connection:
        row = {
            "consumer": "service-customer-names",
            "cluster_id": "c",
            "topic": "sales.directory",
            "partition": 0,
            "offset": int.from_bytes(account_id.bytes[-6:], "big"),
            "key": str(account_id).encode(),
            "value": f"{{{text}".encode(),
            "headers": [],
            "reason": "malformed",
            "detail": text,
        }
        await connection.execute(sa.insert(dead_letter), row)

    refused = await manager.post(f"/v1/customers/{account_id}/erase")
    assert_problem(refused, 409, "customer-of-sales")
    erasure = AccountErased(
        id=account_id,
        region="baltics",
        segment="smb",
        channel=None,
        owner_id=None,
        team_id=None,
        registered_at=REGISTERED,
        erased_at=REGISTERED,
    )
    await copied(service.engine, copy_accounts, [record(erasure, 2)])
    assert await places_that_hold(service.engine, text) == set()
    (erased,) = (await manager.get(f"/v1/customers/{account_id}/audit")).json()["items"]
    assert (erased["actor"]["kind"], erased["actor"]["name"]) == ("process", "service-customers")
    assert erased["changes"]["name"] is None
    # The names' log lags behind: one that was still in it must not come back.
    await copied(service.engine, copy_names, [record(named(account_id, text), 2)])
    assert await places_that_hold(service.engine, text) == set()
    settled = await row_of(service.engine, account_id)
    await copied(service.engine, copy_names, [tombstone(account_id)])
    await copied(service.engine, copy_accounts, [record(erasure, 2), record(registered(account_id), 1)])
    assert await row_of(service.engine, account_id) == settled
    assert settled.erased_at == REGISTERED

    published = await service.events_of(f"tickets/{ticket['id']}")
    assert [event.sequence for event in published] == list(range(1, len(published) + 1))
    assert isinstance(published[-1].data, TicketErased)
    assert len(await service.events_of(f"surveys/{survey['id']}")) == 3
    assert await service.events_of(f"customers/{account_id}") == []
    assert UUID(ticket["id"]) == published[-1].data.id


async def test_a_record_that_a_mended_one_replaced_is_still_skipped_once_its_customer_is_erased(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = await a_customer(manager)
    topic_id = new_id()
    row = {
        "consumer": "service-customers",
        "cluster_id": "here",
        "topic": "sales.events",
        "topic_id": topic_id,
        "partition": 1,
        "offset": 7,
        "key": customer["id"].encode(),
        "value": b"broken",
        "headers": [],
        "reason": "invalid-data",
        "detail": "broken",
        "status": "sent",
        "mended_value": b"whole again",
    }
    async with service.engine.begin() as connection:
        await connection.execute(sa.insert(dead_letter), row)
    await manager.post(f"/v1/customers/{customer['id']}/erase")
    assert await places_that_hold(service.engine, "whole again") == set()
    async with service.engine.connect() as connection:
        skipped = await skipped_positions(connection, "service-customers", {"sales.events": topic_id})
    assert skipped == {("sales.events", 1, 7)}
