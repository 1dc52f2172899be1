"""Custom fields of service: of tickets, and of customers of service's own."""

import httpx
import sqlalchemy as sa

from tests.service_api.conftest import Service, a_customer, a_ticket, make


async def test_tickets_have_custom_fields_and_lose_the_personal_ones_with_their_customer(
    service: Service, manager: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    async with service.client("admin") as admin:
        for noun, name, more in (
            ("tickets", "serial_number", {"type": "text", "is_personal": False}),
            ("tickets", "caller", {"type": "text"}),
            ("tickets", "visits", {"type": "number"}),
            ("customers", "contract", {"type": "choice", "options": ["basic", "full"]}),
        ):
            await make(admin, "/v1/custom-fields", noun=noun, name=name, label=name, **more)
    customer = await a_customer(agent, custom={"contract": "full"})
    assert customer["custom"] == {"contract": "full"}
    given = {"serial_number": "SN-4711", "caller": "Rasa Kairys", "visits": "2"}
    ticket = await a_ticket(agent, customer_id=customer["id"], custom=given)
    other = await a_ticket(agent, customer_id=customer["id"], custom={"visits": "1"})
    assert ticket["custom"] == given
    for query, expected in (
        ("custom.serial_number=SN-4711", [ticket["id"]]),
        (f"customer_id={customer['id']}&sort=custom.visits", [other["id"], ticket["id"]]),
        (f"customer_id={customer['id']}&custom.visits_min=2", [ticket["id"]]),
    ):
        answer = await manager.get(f"/v1/tickets?{query}")
        assert [each["id"] for each in answer.json()["items"]] == expected, query
    changed = await agent.patch(f"/v1/tickets/{ticket['id']}", json={"custom": {"visits": "3"}})
    assert changed.json()["custom"] == given | {"visits": "3"}
    *_, amended = await service.events_of(f"tickets/{ticket['id']}")
    assert amended.data.custom == {"serial_number": "SN-4711", "visits": "3"}  # type: ignore[attr-defined]
    (registered, *_) = await service.events_of(f"customers/{customer['id']}")
    assert registered.data.custom == {"contract": "full"}  # type: ignore[attr-defined]

    assert (await manager.post(f"/v1/customers/{customer['id']}/erase")).is_success
    kept = (await manager.get(f"/v1/tickets/{ticket['id']}")).json()["custom"]
    assert kept == {"serial_number": "SN-4711", "visits": "3"}
    async with service.engine.connect() as connection:
        for table in ("ticket", "audit_entry", "custom_value", "outbox"):
            found = await connection.execute(sa.text(f"SELECT count(*) FROM {table} t WHERE t::text ~ 'Rasa Kairys'"))
            assert found.scalar_one() == 0, table
