"""Customers, agents and teams over HTTP: who may create them, and what the directory gets."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from event_contracts.directory import ServiceDirectoryEntrySet
from event_contracts.service import CustomerLinked, CustomerRegistered, CustomerUnlinked
from tests.service_api.conftest import (
    NOWHERE,
    Service,
    a_customer,
    a_ticket,
    an_agent,
    assert_carries,
    make,
    reference,
)
from tests.service_kit.conftest import assert_problem


async def test_a_customer_of_our_own_is_published_without_its_name(service: Service, agent: httpx.AsyncClient) -> None:
    customer = await a_customer(agent, name="Ona Onaitė")
    assert (customer["origin"], customer["name"]) == ("service", "Ona Onaitė")
    (event,) = await service.events_of(f"customers/{customer['id']}")
    assert_carries(event, customer, CustomerRegistered)
    assert "Ona" not in repr(event)
    (entry,) = await service.events_of(f"directory/{customer['id']}")
    assert (type(entry.data), entry.sequence) == (ServiceDirectoryEntrySet, 1)
    assert msgspec.to_builtins(entry.data) == {"id": customer["id"], "kind": "customer", "name": "Ona Onaitė"}
    assert entry.partition_key == event.partition_key == customer["id"]


async def test_a_customer_is_linked_to_the_one_that_it_is_and_unlinked(
    service: Service, manager: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    one, other, third = [await a_customer(manager) for _ in range(3)]
    path = f"/v1/customers/{one['id']}"
    ticket = await a_ticket(manager, customer_id=one["id"])
    assert_problem(await manager.post(f"{path}/unlink", json={}), 409, "customer-not-linked")
    assert_problem(await agent.post(f"{path}/link", json={"into": other["id"]}), 403, "forbidden")
    stale = await manager.post(f"{path}/link", json={"into": other["id"]}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert_problem(await manager.post(f"{path}/link", json={"into": one["id"]}), 422, "invalid-request")
    assert_problem(await manager.post(f"{path}/link", json={"into": NOWHERE}), 422, "unknown-reference")

    linked = (await manager.post(f"{path}/link", json={"into": other["id"]})).json()
    assert (linked["merged_into"], linked["version"]) == (other["id"], 2)
    event = (await service.events_of(f"customers/{one['id']}"))[-1]
    assert_carries(event, linked, CustomerLinked)
    assert isinstance(event.data, CustomerLinked)
    assert str(event.data.merged_into) == other["id"]
    new = {"kind": "problem", "channel": "web", "customer_id": one["id"]}
    refused = assert_problem(await manager.post("/v1/tickets", json=new), 409, "customer-already-merged")
    assert refused["merged_into"] == other["id"]
    again = await manager.post(f"{path}/link", json={"into": third["id"]})
    assert assert_problem(again, 409, "customer-already-merged")["merged_into"] == other["id"]
    circle = await manager.post(f"/v1/customers/{other['id']}/link", json={"into": one["id"]})
    assert_problem(circle, 409, "customer-already-merged")
    assert_problem(await manager.post(f"{path}/erase"), 409, "customer-already-merged")
    # Both are on the timeline of the one that remains.
    page = (await manager.get(f"/v1/customers/{other['id']}/timeline")).json()
    assert {each["customer_id"] for each in page["items"]} == {one["id"], other["id"]}
    (shown,) = [each for each in page["items"] if each["kind"] == "service.customer-linked"]
    assert shown["facts"]["other_id"] == other["id"]

    back = (await manager.post(f"{path}/unlink", json={})).json()
    assert (back["merged_into"], back["version"]) == (None, 3)
    assert_carries((await service.events_of(f"customers/{one['id']}"))[-1], back, CustomerUnlinked)
    assert (await manager.post("/v1/tickets", json=new)).status_code == 201
    page = (await manager.get(f"/v1/customers/{other['id']}/timeline")).json()
    assert {each["customer_id"] for each in page["items"]} == {other["id"]}
    assert (await manager.get(f"/v1/tickets/{ticket['id']}")).json()["customer_id"] == one["id"]


async def test_customers_are_found_and_read(agent: httpx.AsyncClient) -> None:
    region, segment = reference()[:20], reference()[:20]
    customer = await a_customer(agent, region=region, segment=segment, external_ref=reference())
    for name in ("region", "segment", "external_ref"):
        page = (await agent.get("/v1/customers", params={name: customer[name]})).json()
        assert page == {"items": [customer], "next_cursor": None, "total": None, "included": None}, name
    assert (await agent.get("/v1/customers", params={"region": region, "origin": "sales"})).json()["items"] == []
    read = await agent.get(f"/v1/customers/{customer['id']}")
    assert (read.json(), read.headers["etag"]) == (customer, '"1"')
    assert_problem(await agent.get(f"/v1/customers/{NOWHERE}"), 404)


async def test_an_importer_enters_the_past(service: Service) -> None:
    async with service.client("importer") as importer:
        customer = await a_customer(importer, occurred_at="2021-06-01T00:00:00Z")
    assert customer["registered_at"] == "2021-06-01T00:00:00Z"
    (event,) = await service.events_of(f"customers/{customer['id']}")
    assert event.time.year == 2021


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/agents", "/v1/teams"])
async def test_a_reference_is_taken_once(manager: httpx.AsyncClient, path: str) -> None:
    body = {"name": "Jonas", "external_ref": reference()}
    answers = await asyncio.gather(*(manager.post(path, json=body) for _ in range(6)))
    (made,) = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer is not made:
            assert assert_problem(answer, 409, "external-ref-taken")["existing_id"] == made.json()["id"]
    found = (await manager.get(path, params={"external_ref": body["external_ref"]})).json()["items"]
    assert found == [made.json()]
    assert (await manager.get(made.headers["location"])).json() == made.json()


@pytest.mark.parametrize("path", ["/v1/agents", "/v1/teams"])
async def test_only_managers_change_agents_and_teams(agent: httpx.AsyncClient, path: str) -> None:
    assert_problem(await agent.post(path, json={"name": "Jonas"}), 403, "forbidden")
    assert_problem(await agent.patch(f"{path}/{NOWHERE}", json={"name": "Jonas"}), 403, "forbidden")


async def test_a_role_that_only_reads_cannot_write(analyst: httpx.AsyncClient) -> None:
    assert_problem(await analyst.post("/v1/customers", json={"name": "Jonas"}), 403, "forbidden")
    for path in ("customers", "agents", "teams", "tickets", "surveys"):
        assert (await analyst.get(f"/v1/{path}")).status_code == 200


async def test_a_token_without_a_role_reads_nothing(service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.issuer.token()}"}
    async with service.client() as http:
        for path in ("customers", "agents", "teams", "tickets", "surveys"):
            assert_problem(await http.get(f"/v1/{path}", headers=headers), 403, "forbidden")


async def entries(service: Service, made: dict[str, Any]) -> list[tuple[int, str]]:
    found = await service.events_of(f"directory/{made['id']}")
    return [(event.sequence, event.data.name) for event in found if isinstance(event.data, ServiceDirectoryEntrySet)]


async def test_a_renamed_team_is_in_the_directory_again(service: Service, manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="North")
    path = f"/v1/teams/{team['id']}"
    assert (await manager.patch(path, json={"name": "North"})).json()["version"] == 1
    renamed = await manager.patch(path, json={"name": "East"}, headers={"If-Match": '"1"'})
    assert (renamed.status_code, renamed.headers["etag"]) == (200, '"2"')
    assert_problem(await manager.patch(path, json={"name": "West"}, headers={"If-Match": '"1"'}), 412)
    assert await entries(service, team) == [(1, "North"), (2, "East")]
    assert_problem(await manager.patch(f"/v1/teams/{NOWHERE}", json={"name": "West"}), 404)


async def test_the_directory_has_the_team_above(service: Service, manager: httpx.AsyncClient) -> None:
    above, team = await make(manager, "/v1/teams", name="All"), await make(manager, "/v1/teams", name="North")
    moved = await manager.patch(f"/v1/teams/{team['id']}", json={"parent_id": above["id"]})
    assert moved.status_code == 200, moved.text
    found = await service.events_of(f"directory/{team['id']}")
    parents = [str(each.data.parent_id) for each in found if isinstance(each.data, ServiceDirectoryEntrySet)]
    assert parents == ["None", above["id"]]


async def test_an_update_of_an_agent_leaves_the_other_fields(service: Service, manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="North")
    rita = await an_agent(manager, name="Rita", team_id=team["id"])
    path = f"/v1/agents/{rita['id']}"
    gone = (await manager.patch(path, json={"active": False})).json()
    assert gone == rita | {"active": False, "version": 2, "updated_at": gone["updated_at"]}
    assert gone["updated_at"] > rita["updated_at"]
    alone = (await manager.patch(path, json={"team_id": None})).json()
    assert alone == gone | {"team_id": None, "version": 3, "updated_at": alone["updated_at"]}
    renamed = (await manager.patch(path, json={"name": "Rita R.", "active": False})).json()
    assert renamed == alone | {"name": "Rita R.", "version": 4, "updated_at": renamed["updated_at"]}
    assert (await manager.get(path)).json() == renamed
    assert await entries(service, rita) == [(1, "Rita"), (4, "Rita R.")]


@pytest.mark.parametrize("body", [{}, {"name": None}, {"active": None}, {"active": "yes"}, {"version": 3}])
async def test_an_update_of_an_agent_names_a_field(manager: httpx.AsyncClient, body: dict[str, Any]) -> None:
    rita = await an_agent(manager)
    assert_problem(await manager.patch(f"/v1/agents/{rita['id']}", json=body), 422, "invalid-request")


async def test_an_agents_team_must_exist(manager: httpx.AsyncClient) -> None:
    assert_problem(
        await manager.post("/v1/agents", json={"name": "Rita", "team_id": NOWHERE}), 422, "unknown-reference"
    )
    rita = await an_agent(manager)
    answer = await manager.patch(f"/v1/agents/{rita['id']}", json={"team_id": NOWHERE})
    assert_problem(answer, 422, "unknown-reference")
    assert_problem(await manager.patch(f"/v1/agents/{NOWHERE}", json={"active": True}), 404)


async def test_agents_are_filtered_by_team_and_activity(manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="North")
    here, gone = [await an_agent(manager, team_id=team["id"], active=active) for active in (True, False)]
    for active, expected in (("true", here), ("false", gone)):
        page = (await manager.get("/v1/agents", params={"team_id": team["id"], "active": active})).json()
        assert page["items"] == [expected]
