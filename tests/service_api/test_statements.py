"""How many statements a request sends, BEGIN and COMMIT included: more of them are a regression.

What custom fields a new record must have is known for some seconds: a record of the kind is made first.
"""

from typing import Any
from uuid import uuid4

import httpx

from tests.service_api.conftest import Service, a_customer, a_ticket
from tests.statements import statements_of


async def sent_by(service: Service, client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[str]:
    """Return the statements of one request with an idempotency key."""
    async with statements_of(service.engine) as sent:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code in (200, 201), answer.text
    return sent


async def test_opening_a_ticket(service: Service, manager: httpx.AsyncClient) -> None:
    customer = await a_customer(manager)
    await a_ticket(manager)
    body = {"customer_id": customer["id"], "kind": "problem", "channel": "phone", "priority": "high"}
    sent = await sent_by(service, manager, "/v1/tickets", body)
    assert len(sent) <= 3, sent  # the customer, the SLA, the write


async def test_resolving_a_ticket(service: Service, manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    sent = await sent_by(service, manager, f"/v1/tickets/{ticket['id']}/resolve", {})
    assert len(sent) <= 3, sent  # the ticket, its SLA if it has one, the write


async def test_logging_an_interaction(service: Service, manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    body = {"direction": "outbound", "visibility": "public", "channel": "phone"}
    sent = await sent_by(service, manager, f"/v1/tickets/{ticket['id']}/interactions", body)
    assert len(sent) <= 3, sent  # the ticket, its SLA if it has one, the write


async def test_registering_a_customer(service: Service, manager: httpx.AsyncClient) -> None:
    await a_customer(manager)
    sent = await sent_by(service, manager, "/v1/customers", {"name": "Casa Verde"})
    assert len(sent) <= 1, sent  # the write
