"""A small business over HTTP for experiments: it sends every write until it is answered, and remembers the answers."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tandem_cli.stack import LocalStack
from tests.support import eventually

REGIONS = ["EMEA", "AMER", "APAC", None]
SEGMENTS = ["smb", "enterprise", None]
CHANNELS = ["referral", "online", "trade_show", None]
PRODUCTS = ["basic", "plus", "pro"]
TICKET_KINDS = ["presales_question", "installation", "maintenance", "problem", "complaint", "training_request"]
WRITES_A_JOB = 3
GIVE_UP_SECONDS = 90
BACK_OFF_SECONDS = 0.1
"""Before a request is sent again, unless its answer tells how long to wait."""


class GaveUp(Exception):
    """A write was not answered for longer than any experiment may last."""


@dataclass(frozen=True)
class Attempt:
    """One try of a request, and what came of it. All tries of a request have its idempotency key."""

    key: str
    api: str
    method: str
    path: str
    body: dict[str, Any] | None
    began_at: float
    """Seconds since the epoch."""
    seconds: float
    status: int | None = None
    """None when there was no answer."""
    retry_after: bool = False
    answer: Any = None
    error: str | None = None


def forget(_: Attempt) -> None:
    """Record nothing."""


@dataclass
class Business:
    """Drives both APIs. `answers` counts what came back by status; `seconds` holds the time of every answered try."""

    stack: LocalStack
    http: aiohttp.ClientSession
    random: random.Random
    accounts: list[str] = field(default_factory=list)
    deals_closed: list[str] = field(default_factory=list)
    tickets_resolved: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    reps: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    customers: dict[str, str] = field(default_factory=dict)
    """The customer of each ticket."""
    record: Callable[[Attempt], None] = forget
    """Gets every try."""

    async def send(self, api: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request, repeated with the same Idempotency-Key until it is answered by something but "later".

        Returns the answer's JSON. Raises AssertionError on any other refusal, `GaveUp` when nothing answers.
        """
        loop = asyncio.get_running_loop()
        key = str(uuid.uuid4())
        headers = {"Idempotency-Key": key}
        until = loop.time() + GIVE_UP_SECONDS
        while loop.time() < until:
            began, began_at = loop.time(), time.time()
            pause = BACK_OFF_SECONDS

            def record(began: float = began, began_at: float = began_at, **outcome: Any) -> None:
                self.record(Attempt(key, api, method, path, body, began_at, loop.time() - began, **outcome))

            try:
                async with self.http.request(
                    method,
                    self.stack.urls[api] + path,
                    json=body,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=15),
                ) as answer:
                    content = await answer.json(content_type=None)
                    self.seconds.append(loop.time() - began)
                    self.answers[answer.status] += 1
                    record(status=answer.status, retry_after="Retry-After" in answer.headers, answer=content)
                    if answer.status < 300:
                        return dict(content)
                    pause = max(pause, float(answer.headers.get("Retry-After", 0)))
                    in_use = answer.status == 409 and content["type"].endswith(":idempotency-key-in-use")
                    unknown_customer = answer.status == 422 and content["type"].endswith(":unknown-reference")
                    assert answer.status in (429, 503) or in_use or unknown_customer, f"{method} {path}: {content}"
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                self.failures[type(error).__name__] += 1
                record(error=type(error).__name__)
            await asyncio.sleep(pause)  # a client's back-off, not a wait for a condition
        raise GaveUp(f"{method} {path}")

    async def found(self, *, accounts: int = 5) -> None:
        """Makes what everything else refers to."""
        run = uuid.uuid4().hex[:8]
        team = await self.send("sales", "POST", "/v1/teams", {"name": f"Sales {run}"})
        desk = await self.send("service", "POST", "/v1/teams", {"name": f"Desk {run}"})
        for number in range(3):
            rep = await self.send("sales", "POST", "/v1/reps", {"name": f"Rep {number}", "team_id": team["id"]})
            self.reps.append(rep["id"])
            agent = await self.send("service", "POST", "/v1/agents", {"name": f"A {number}", "team_id": desk["id"]})
            self.agents.append(agent["id"])
        for product in PRODUCTS:
            await self.send("sales", "POST", "/v1/products", {"code": f"{product}-{run}", "name": product})
        self.products = [f"{product}-{run}" for product in PRODUCTS]
        for _ in range(accounts):
            await self.register_account()
        for account in self.accounts:
            await eventually(lambda known=account: self.service_knows(known), 30)  # type: ignore[misc]

    async def service_knows(self, customer: str) -> bool:
        """True once the event of a customer's registration has reached service; the name may come before it."""
        async with self.http.get(f"{self.stack.urls['service']}/v1/customers/{customer}") as answer:
            return answer.status == 200 and (await answer.json())["registered_at"] is not None

    async def register_account(self) -> str:
        """A new customer; service hears of it by its event."""
        body = {"name": "A customer", "region": self.random.choice(REGIONS), "segment": self.random.choice(SEGMENTS)}
        account = await self.send("sales", "POST", "/v1/accounts", body)
        self.accounts.append(account["id"])
        return str(account["id"])

    async def win_a_deal(self, *, channel: str | None = None, outcome: str = "won") -> str:
        """Opens a deal and closes it. Now and then it is reopened and closed again, amended or corrected."""
        lines = [
            {
                "product": product,
                "quantity": self.random.randint(1, 5),
                "unit_price": f"{self.random.randint(1, 99999) / 100:.2f}",
            }
            for product in self.random.sample(self.products, self.random.randint(1, 2))
        ]
        body = {
            "account_id": self.random.choice(self.accounts),
            "currency": "EUR",
            "lines": lines,
            "owner_id": self.random.choice(self.reps),
            "channel": channel or self.random.choice(CHANNELS),
        }
        deal = await self.send("sales", "POST", "/v1/deals", body)
        path = f"/v1/deals/{deal['id']}"
        await self.send("sales", "POST", f"{path}/close", {"outcome": outcome})
        if channel is None and self.random.random() < 0.1:
            await self.send("sales", "POST", f"{path}/reopen", {})
            await self.send("sales", "POST", f"{path}/close", {"outcome": self.random.choice(["won", "lost"])})
        if channel is None and self.random.random() < 0.1:
            await self.send("sales", "POST", f"{path}/amend", {"lines": lines[:1]})
        if channel is None and self.random.random() < 0.1:
            await self.send("sales", "PATCH", path, {"channel": "telemarketing", "region": "EMEA"})
        self.deals_closed.append(deal["id"])
        return str(deal["id"])

    async def convert_a_lead(self) -> None:
        """A lead comes in, and half of them become customers with a deal."""
        lead = await self.send("sales", "POST", "/v1/leads", {"channel": self.random.choice(CHANNELS)})
        if self.random.random() < 0.5:
            body = {"account": {"name": "A converted lead"}}
            await self.send("sales", "POST", f"/v1/leads/{lead['id']}/convert", body)
        if self.random.random() < 0.2:
            await self.send("sales", "PATCH", f"/v1/leads/{lead['id']}", {"region": self.random.choice(REGIONS)})

    async def open_a_ticket(self) -> str:
        """Opens a ticket of any customer."""
        body = {
            "customer_id": self.random.choice(self.accounts),
            "kind": self.random.choice(TICKET_KINDS),
            "channel": self.random.choice(["phone", "email", "chat"]),
            "priority": self.random.choice(["low", "normal", "high", "urgent"]),
        }
        ticket = await self.send("service", "POST", "/v1/tickets", body)
        self.customers[ticket["id"]] = body["customer_id"]
        return str(ticket["id"])

    async def resolve_a_ticket(self) -> str:
        """Opens a ticket, talks to the customer, resolves it, asks for a score. Some come back, some were misfiled."""
        ticket = await self.open_a_ticket()
        path = f"/v1/tickets/{ticket}"
        for _ in range(self.random.randint(1, 2)):
            contact = {
                "direction": self.random.choice(["inbound", "outbound"]),
                "agent_id": self.random.choice(self.agents),
                "talk_seconds": self.random.randint(0, 900),
                "hold_seconds": self.random.randint(0, 100),
                "wrap_up_seconds": self.random.randint(0, 100),
            }
            await self.send("service", "POST", f"{path}/interactions", contact)
        await self.send("service", "POST", f"{path}/resolve", {})
        if self.random.random() < 0.15:
            await self.send("service", "POST", f"{path}/reopen", {})
            if self.random.random() < 0.5:
                await self.send("service", "POST", f"{path}/resolve", {})
        if self.random.random() < 0.5:
            survey = await self.send("service", "POST", "/v1/surveys", {"ticket_id": ticket, "kind": "csat"})
            if self.random.random() < 0.7:
                score = {"score": self.random.randint(1, 5)}
                await self.send("service", "POST", survey["answer_path"], score)
        if self.random.random() < 0.15:
            await self.suggest_upsell(ticket)
        if self.random.random() < 0.2:
            await self.send("service", "PATCH", path, {"region": "AMER", "kind": "complaint", "priority": "high"})
        self.tickets_resolved.append(ticket)
        return ticket

    async def suggest_upsell(self, ticket: str) -> str:
        """Suggests what the customer of a ticket could use; sales makes a lead of it."""
        body = {
            "customer_id": self.customers[ticket],
            "ticket_id": ticket,
            "agent_id": self.random.choice(self.agents),
            "product": self.random.choice(self.products),
        }
        suggestion = await self.send("service", "POST", "/v1/upsell-suggestions", body)
        return str(suggestion["id"])

    async def work(self, stop: asyncio.Event, *, writes_per_second: float) -> None:
        """Work at a steady pace until the stop, then finish what was begun."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        sent_before = sum(self.answers.values())
        jobs = itertools.cycle((self.win_a_deal, self.resolve_a_ticket, self.convert_a_lead))
        under_way: set[asyncio.Task[Any]] = set()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                # Those under way count too: else a hundred jobs would begin at once, before the first is answered.
                begun = sum(self.answers.values()) - sent_before + WRITES_A_JOB * (len(under_way) + 1)
                ahead = begun > (loop.time() - began) * writes_per_second
                if ahead or len(under_way) > 100:
                    await asyncio.sleep(0.005)  # the pace itself
                    continue
                task = group.create_task(next(jobs)())
                under_way.add(task)
                task.add_done_callback(under_way.discard)


def connected(stack: LocalStack, seed: int, *, connections: int = 100) -> Business:
    """A business on a running stack, with an admin's token. Close its `http` afterwards."""
    # Not for longer than servers do: uvicorn by default closes what was idle for 5 s.
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=3)
    http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {stack.token('admin')}"}, connector=connector)
    return Business(stack=stack, http=http, random=random.Random(seed))
