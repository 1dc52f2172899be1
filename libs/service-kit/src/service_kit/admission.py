"""Which requests are served, which wait, and which are refused at once: load shedding by route class, and rate limits.

What is admitted is answered in time, because the rest is refused before anything dear is done for it. A request whose
client has gone is cancelled: it rolls back, and makes room.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit import telemetry
from service_kit.health import HEALTH_PATHS
from service_kit.http_protocol import client_of
from service_kit.problems import Overloaded, Problem
from service_kit.rate_limit import Allowance, RateLimit
from service_kit.request_body import BodyReader, ClientGone
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

ALLOWANCE: Final = "tandem.rate_allowance"
"""The key in a request's scope of the `Allowance` that its answer shows."""
REFUSED: Final = "tandem.refused"
"""The key in the scope of a request that was refused unread: a line of the log for each would be a load by itself."""
LOG_SECONDS: Final = 1.0
EXPORT: Final = "/export"
"""The end of the address of every export of a list."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteClass(Enum):
    """What competes for the same slots."""

    READ = "read"
    WRITE = "write"
    BULK = "bulk"
    """Imports and exports: each takes long, and a connection to the database all the while."""
    STREAM = "stream"
    """Open for hours and idle; the part that serves them bounds their number."""


class Slots:
    """So many requests of a class at once; as many more wait for a moment, in the order in which they came."""

    def __init__(self, number: int, wait_seconds: float) -> None:
        self._number = number
        self._wait_seconds = wait_seconds
        self._free = asyncio.Semaphore(number)
        self._waiting = 0

    async def take(self) -> None:
        """Take a slot. Raise `Overloaded` at once when too many wait already, or when none is free in time."""
        if self._free.locked():
            if self._waiting >= self._number:
                raise _overloaded()
            self._waiting += 1
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await self._free.acquire()
            except TimeoutError:
                raise _overloaded() from None
            finally:
                self._waiting -= 1
        else:
            await self._free.acquire()

    def give_back(self) -> None:
        """Give a slot to the next that waits."""
        self._free.release()


def _overloaded() -> Overloaded:
    return Overloaded("More is under way than the service can answer in time. Send the same request again shortly.")


class Admission:
    """Plain ASGI, before authentication and parsing."""

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings, classes: Mapping[str, RouteClass]) -> None:
        """`classes` has those of addresses, as `/v1/imports`, and of all below; the others' follow from the method."""
        self._app = app
        self._classes = classes
        self._slots = {
            RouteClass.READ: Slots(settings.concurrent_reads, settings.queue_seconds),
            RouteClass.WRITE: Slots(settings.concurrent_writes, settings.queue_seconds),
            RouteClass.BULK: Slots(settings.concurrent_bulk, settings.bulk_queue_seconds),
        }
        self._addresses = RateLimit("address", settings.address_requests_per_second, settings.address_burst)
        self._refused: Counter[tuple[str, str]] = Counter()
        self._logged_at = float("-inf")
        self._bodies = BodyReader(settings.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self._app(scope, receive, send)
            return
        route_class = self._class_of(scope)
        try:
            # A server need not know it.
            if (client := scope.get("client")) is not None:
                scope[ALLOWANCE] = self._addresses.take(client_of(client[0]))
            body = await self._bodies.read(scope, receive)
        except ClientGone:
            telemetry.HTTP_ABANDONED.labels(route_class.value).inc()
        except Problem as problem:
            await self._refuse(problem, route_class, scope, receive, send)
        else:
            await self._serve(route_class, scope, _Exchange(body, scope, receive, send))

    async def _serve(self, route_class: RouteClass, scope: Scope, exchange: "_Exchange") -> None:
        watching = exchange.cancel_when_abandoned()
        slots = self._slots.get(route_class)
        try:
            if slots is not None:
                await slots.take()
            try:
                await self._app(scope, exchange.receive, exchange.send)
            finally:
                if slots is not None:
                    slots.give_back()
        except Overloaded as problem:
            await self._refuse(problem, route_class, scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not exchange.is_abandoned:
                raise
            # No client waits for an answer.
            exchange.task.uncancel()
            telemetry.HTTP_ABANDONED.labels(route_class.value).inc()
        finally:
            watching.cancel()

    async def _refuse(
        self, problem: Problem, route_class: RouteClass, scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope[REFUSED] = True
        telemetry.HTTP_REFUSED.labels(route_class.value, problem.slug).inc()
        self._refused[route_class.value, problem.slug] += 1
        if (now := time.monotonic()) - self._logged_at > LOG_SECONDS:
            for (of, slug), number in self._refused.items():
                log.warning("requests_refused", of=of, problem=slug, number=number)
            self._refused.clear()
            self._logged_at = now
        await problem.response()(scope, receive, send)

    def _class_of(self, scope: Scope) -> RouteClass:
        known = self._classes.get("/".join(scope["path"].split("/", 3)[:3]))
        if scope["path"].endswith(EXPORT):
            known = RouteClass.BULK
        return known or (RouteClass.READ if scope["method"] in _READS else RouteClass.WRITE)


class _Exchange:
    """A request whose body is there, and its answer."""

    def __init__(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self.task = task
        self.is_abandoned = False
        self._body: bytes | None = body
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_answered = False
        self._gone = asyncio.Event()

    def cancel_when_abandoned(self) -> asyncio.Task[None]:
        """Return a task that cancels this one should the client leave before it has its answer."""
        return asyncio.create_task(self._watch(), name="client")

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if not self._is_answered:
            self.is_abandoned = True
            self.task.cancel()

    async def receive(self) -> Message:
        """Return the body at once, and that the client has gone when it has."""
        if (body := self._body) is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            allowance: Allowance | None = self._scope.get(ALLOWANCE)
            if allowance is not None and message["status"] != 429:
                message["headers"] = [*message["headers"], *_encoded(allowance)]
        elif not message.get("more_body", False):
            self._is_answered = True
        await self._send(message)


def _encoded(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in allowance.headers()]
