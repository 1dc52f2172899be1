"""A way for tests to sell: the API over HTTP without a socket, and the events that it wrote."""

import itertools
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from service_kit.outbox import outbox
from tests.service_kit.toy import Issuer

Body = dict[str, Any]
ABSENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a99"
_numbers = itertools.count(1)


class Sales:
    """The API as an importer uses it unless a role is named; each helper makes what it needs with new names."""

    def __init__(self, http: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer) -> None:
        self.http = http
        self.engine = engine
        self._issuer = issuer

    async def send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        role: str = "importer",
        subject: str = "someone",
        claims: Body | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Any request. Header names are given with underscores; `subject` is whose token it is, with these claims."""
        given = self._headers(role, headers, {"sub": subject, **(claims or {})})
        return await self.http.request(method, path, json=body, headers=given)

    async def raw(
        self, method: str, path: str, content: bytes, *, role: str = "importer", **headers: str
    ) -> httpx.Response:
        """Any request whose body is not JSON."""
        return await self.http.request(method, path, content=content, headers=self._headers(role, headers))

    def _headers(self, role: str, given: dict[str, str], claims: Body | None = None) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self._issuer.token(role, **(claims or {}))}"}
        return token | {name.replace("_", "-"): value for name, value in given.items()}

    async def get(self, path: str) -> Body:
        """Return what an address answers."""
        answer = await self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return cast("Body", answer.json())

    async def post(self, path: str, body: Body, *, status: int = 200, **headers: Any) -> Body:
        """A write that is expected to succeed."""
        answer = await self.send("POST", path, body, **headers)
        assert answer.status_code == status, answer.text
        return cast("Body", answer.json())

    async def patch(self, path: str, body: Body) -> Body:
        """A partial update that is expected to succeed."""
        answer = await self.send("PATCH", path, body)
        assert answer.status_code == 200, answer.text
        return cast("Body", answer.json())

    async def team(self) -> Body:
        """A new team."""
        return await self.post("/v1/teams", {"name": f"Team {next(_numbers)}"}, status=201)

    async def rep(self, **fields: Any) -> Body:
        """A new salesperson, in a new team unless one is given."""
        team = fields.pop("team_id", None) or (await self.team())["id"]
        return await self.post("/v1/reps", {"name": f"Rep {next(_numbers)}", "team_id": team} | fields, status=201)

    async def product(self) -> str:
        """The code of a new product."""
        code = f"product-{next(_numbers)}"
        await self.post("/v1/products", {"code": code, "name": code}, status=201)
        return code

    async def account(self, **fields: Any) -> Body:
        """A new customer."""
        return await self.post("/v1/accounts", {"name": f"Account {next(_numbers)}"} | fields, status=201)

    async def lead(self, **fields: Any) -> Body:
        """A new lead."""
        return await self.post("/v1/leads", {"company": f"Company {next(_numbers)}"} | fields, status=201)

    async def deal(self, **fields: Any) -> Body:
        """A new deal over 2 pieces at 10.00, with a new account and product unless they are given."""
        terms: Body = {"currency": "EUR"} | fields
        if "account_id" not in terms:
            terms["account_id"] = (await self.account())["id"]
        if "lines" not in terms:
            terms["lines"] = [{"product": await self.product(), "quantity": 2, "unit_price": "10.00"}]
        return await self.post("/v1/deals", terms, status=201)

    async def events_of(self, identifier: str, kind: str | None = None) -> list[codec.CloudEvent]:
        """The events of one aggregate in the order of the outbox; `kind` is the subject's, such as `deals`."""
        names_it = sa.text("position(convert_to(:id, 'UTF8') in payload) > 0").bindparams(id=identifier)
        query = sa.select(outbox.c.payload).where(names_it).order_by(outbox.c.position)
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        events = [codec.decode(row.payload) for row in rows]
        return [
            event
            for event in events
            if event.data.id == UUID(identifier) and (kind is None or event.event_type.subject_kind == kind)
        ]


def reference() -> str:
    """A new external reference."""
    return f"ref-{uuid4()}"


def pointers(problem: dict[str, Any]) -> list[str]:
    """The places that a refusal names."""
    return [error["pointer"] for error in problem["errors"]]
