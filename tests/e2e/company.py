"""A company of a story: its APIs as managers use them."""

from typing import Any
from uuid import uuid4

import httpx

from tandem_cli.stack import LocalStack
from tests.support import eventually

Body = dict[str, Any]


class Company:
    """The APIs as their managers use them, within a region that no other test has."""

    def __init__(self, stack: LocalStack, clients: dict[str, httpx.AsyncClient]) -> None:
        self.stack, self.clients = stack, clients
        self.region = f"cove-{uuid4().hex[:8]}"

    async def post(self, api: str, path: str, body: Body | None = None, /, **fields: Any) -> Body:
        answer = await self.clients[api].post(f"/v1/{path}", json={**(body or {}), **fields})
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def get(self, api: str, path: str) -> Body:
        answer = await self.clients[api].get(f"/v1/{path}")
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def items(self, api: str, path: str) -> list[Body]:
        return list((await self.get(api, path))["items"])

    async def knows(self, customer: str, *, merged_into: str | None = None, within: float = 30) -> None:
        """Wait until service knows a customer of sales, and whom it was merged into."""

        async def is_so() -> bool:
            answer = await self.clients["service"].get(f"/v1/customers/{customer}")
            if answer.status_code != 200 or answer.json()["registered_at"] is None:
                return False
            return bool(answer.json()["merged_into"] == merged_into)

        await eventually(is_so, within)
