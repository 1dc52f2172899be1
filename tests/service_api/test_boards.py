"""The boards of tickets: by status, by priority and by agent."""

import httpx

from tests.service_api.conftest import a_customer, a_ticket, make


async def test_tickets_are_in_the_columns_of_their_states_priorities_and_agents(manager: httpx.AsyncClient) -> None:
    customer = await a_customer(manager)
    agent = await make(manager, "/v1/agents", name="Ann")
    urgent = await a_ticket(manager, customer_id=customer["id"], priority="urgent", agent_id=agent["id"])
    await a_ticket(manager, customer_id=customer["id"], priority="low")
    await manager.post(f"/v1/tickets/{urgent['id']}/resolve", json={})

    async def columns(by: str) -> list[tuple[str | None, int]]:
        answer = await manager.get("/v1/tickets/board", params={"by": by, "customer_id": customer["id"]})
        assert answer.status_code == 200, answer.text
        assert all(column["sums"] == [] for column in answer.json()["columns"])
        return [(column["key"], column["total"]["count"]) for column in answer.json()["columns"]]

    assert await columns("status") == [("open", 1), ("resolved", 1), ("closed", 0)]
    assert await columns("priority") == [("urgent", 1), ("high", 0), ("normal", 0), ("low", 1)]
    assert await columns("agent_id") == [(agent["id"], 1), (None, 1)]
