"""One customer on the timelines of both APIs: each shows what the other function did, through all processes."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.support import eventually

pytestmark = pytest.mark.clock

Body = dict[str, Any]
PROCESSES = {"sales-consumer": ("sales", "sales-timeline"), "service-consumer": ("service", "service-timeline")}


class Company:
    """Both APIs as managers of both functions use them."""

    def __init__(self, stack: LocalStack, http: httpx.AsyncClient) -> None:
        self.stack, self.http = stack, http

    async def send(self, method: str, api: str, path: str, body: Body | None = None) -> httpx.Response:
        return await self.http.request(method, f"{self.stack.urls[api]}/v1/{path}", json=body)

    async def post(self, api: str, path: str, body: Body) -> Body:
        answer = await self.send("POST", api, path, body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def timelines(self, customer: str, query: str = "limit=200") -> tuple[list[Body], list[Body]]:
        """Return the customer's timeline as sales answers it, and as service does."""
        found = []
        for api, noun in (("sales", "accounts"), ("service", "customers")):
            answer = await self.send("GET", api, f"{noun}/{customer}/timeline?{query}")
            assert answer.status_code == 200, answer.text
            found.append(answer.json()["items"])
        return found[0], found[1]

    async def read_again(self) -> None:
        """Let the consumers of timelines forget all they kept, and read from the first record on."""
        for process, (database, group) in PROCESSES.items():
            self.stack.kill(process)
            connection = await asyncpg.connect(self.stack.database_url(database).replace("+asyncpg", ""))
            try:
                await connection.execute("DELETE FROM consumer_offset WHERE consumer = $1", group)
                await connection.execute("DELETE FROM timeline_entry")
            finally:
                await connection.close()
            self.stack.restart(process)


@pytest.fixture
async def company(stack: LocalStack) -> AsyncIterator[Company]:
    headers = {"Authorization": f"Bearer {stack.token('sales-manager', 'service-manager')}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:
        yield Company(stack, http)


async def test_both_apis_tell_the_whole_story_of_a_customer(company: Company) -> None:
    """The same entries in the same order, also after kill -9 and a rebuild, and without a word after the erasure."""
    word = f"Zanzibar-{uuid4().hex}"
    product = f"pump-{uuid4().hex[:8]}"
    await company.post("sales", "products", {"code": product, "name": "Pump"})
    lead = await company.post("sales", "leads", {"company": word})
    line = {"product": product, "quantity": 1, "unit_price": "250.00"}
    deal = {"title": word, "currency": "EUR", "lines": [line]}
    converted = await company.post("sales", f"leads/{lead['id']}/convert", {"deal": deal})
    customer = converted["account_id"]
    await company.post("sales", f"deals/{converted['deal_id']}/close", {"outcome": "won", "reason": "trust"})

    async def is_customer() -> bool:
        answer = await company.send("GET", "service", f"customers/{customer}")
        return answer.status_code == 200 and answer.json()["registered_at"] is not None

    await eventually(is_customer, 30)
    # Killed while service works: what it missed it reads when it is back.
    company.stack.kill("sales-consumer")
    opening = {"customer_id": customer, "kind": "problem", "channel": "phone", "subject": word}
    ticket = await company.post("service", "tickets", opening)
    # What an API did itself is on its timeline at once.
    _, of_service = await company.timelines(customer)
    assert word in [each["record"]["title"] for each in of_service]
    await company.post("service", f"tickets/{ticket['id']}/resolve", {"resolution": "fixed"})
    company.stack.restart("sales-consumer")
    expected = {
        "sales.lead-created", "sales.lead-converted", "sales.account-registered", "sales.deal-opened",
        "sales.deal-closed", "service.ticket-opened", "service.ticket-resolved",
    }  # fmt: skip

    async def both_know() -> list[Body]:
        sales, service = await company.timelines(customer)
        for found in (sales, service):
            assert {each["kind"] for each in found} >= expected
        # An onboarding of the won deal may still be on its way.
        assert [each["id"] for each in sales] == [each["id"] for each in service]
        assert sum(each["kind"] == "service.ticket-opened" for each in sales) == 2
        return sales

    known = await eventually(both_know, 60)
    (won,) = [each for each in known if each["kind"] == "sales.deal-closed"]
    assert won["facts"]["amount"] == {"amount": "250.00", "currency": "EUR"}

    # Paged while both functions go on: what was there is seen once. Work may plan itself at any time.
    seen, cursor = list[str](), ""
    while True:
        answer = await company.send("GET", "sales", f"accounts/{customer}/timeline?limit=3{cursor}")
        seen += [each["id"] for each in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"
        await company.post("sales", "activities", {"account_id": customer, "kind": "call"})
        await company.post("service", "reviews", {"customer_id": customer, "score": 5})
    of_known = [each["id"] for each in known]
    assert [each for each in seen if each in of_known] == of_known

    async def both_agree() -> list[str]:
        sales, service = await company.timelines(customer)
        ids = [each["id"] for each in sales]
        assert len(ids) > len(known)
        assert ids == [each["id"] for each in service]
        assert sum(each["kind"] == "service.review-recorded" for each in sales) == sum(
            each["kind"] == "sales.activity-completed" for each in sales
        )
        return ids

    before = await eventually(both_agree, 60)
    await company.read_again()

    async def is_rebuilt() -> bool:
        assert [each for each in await both_agree() if each in before] == before
        return True

    await eventually(is_rebuilt, 60)

    assert word in (await company.send("GET", "service", f"customers/{customer}/timeline")).text
    await company.post("sales", f"accounts/{customer}/erase", {})

    async def is_erased() -> bool:
        answers = [
            await company.send("GET", "sales", f"accounts/{customer}/timeline?limit=200"),
            await company.send("GET", "service", f"customers/{customer}/timeline?limit=200"),
        ]
        for answer in answers:
            assert word not in answer.text
            assert {"sales.account-erased", "service.ticket-erased"} <= {
                each["kind"] for each in answer.json()["items"]
            }
        return True

    await eventually(is_erased, 60)
