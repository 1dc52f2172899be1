"""Which requests run, wait, or are refused: each is held open by an event, none by time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service_kit.admission import Admission, RouteClass
from service_kit.problems import MEDIA_TYPE, Overloaded
from service_kit.request_body import BodyReader, ClientGone
from service_kit.settings import ServiceSettings
from tests.asgi import LEFT, Call, body
from tests.service_kit.toy import Issuer, toy_app
from tests.support import eventually

LONG = 600.0
"""Seconds that no test waits for."""


class Handler:
    """Answers when it may; counts what runs and what was cancelled."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.running = self.cancelled = self.cleaned_up = 0
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        try:
            self.bodies.append((await receive())["body"])
            await self.may_answer.wait()
            await Response("done")(scope, receive, send)
            await asyncio.sleep(0)
            self.cleaned_up += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


@pytest.fixture
async def handler() -> Handler:
    return Handler()


def admission(handler: Handler, **settings: Any) -> Admission:
    given = {"concurrent_reads": 2, "concurrent_writes": 2, "concurrent_bulk": 1, "queue_seconds": LONG} | settings
    return Admission(
        handler,
        settings=ServiceSettings(database_url="postgresql+asyncpg://none", **given),
        classes={"/v1/imports": RouteClass.BULK, "/v1/stream": RouteClass.STREAM},
    )


async def run(handler: Handler, number: int) -> None:
    await eventually(lambda: handler.running == number)


def assert_refused(call: Call, status: int, slug: str) -> None:
    assert call.status == status
    assert call.headers["content-type"] == MEDIA_TYPE
    assert int(call.headers["retry-after"]) > 0
    assert call.json()["type"] == f"urn:tandem:problem:{slug}"


async def test_what_neither_runs_nor_waits_is_refused_at_once(handler: Handler) -> None:
    app = admission(handler)
    admitted = [Call(app, "POST") for _ in range(4)]
    await run(handler, 2)
    assert_refused(await Call(app, "POST").ended(), 503, "overloaded")
    handler.may_answer.set()
    assert [(await call.ended()).status for call in admitted] == [200] * 4


async def test_what_waits_too_long_is_refused(handler: Handler) -> None:
    app = admission(handler, queue_seconds=0.01)
    admitted = [Call(app, "POST") for _ in range(2)]
    await run(handler, 2)
    assert_refused(await Call(app, "POST").ended(), 503, "overloaded")
    handler.may_answer.set()
    assert [(await call.ended()).status for call in admitted] == [200] * 2


async def test_a_class_that_is_full_leaves_the_others_alone(handler: Handler) -> None:
    app = admission(handler)
    writes = [Call(app, "POST") for _ in range(4)]
    others = [Call(app, "GET"), Call(app, "POST", "/v1/imports"), *(Call(app, "GET", "/v1/stream") for _ in range(9))]
    await run(handler, 2 + len(others))
    assert_refused(await Call(app, "DELETE").ended(), 503, "overloaded")
    handler.may_answer.set()
    assert {(await call.ended()).status for call in (*writes, *others)} == {200}


async def test_health_is_answered_whatever_runs(handler: Handler) -> None:
    app = admission(handler, address_burst=4)
    full = [Call(app, "GET") for _ in range(4)]
    await run(handler, 2)
    probes = [Call(app, "GET", path) for path in ("/healthz", "/readyz") * 5]
    await run(handler, 2 + len(probes))
    handler.may_answer.set()
    assert {(await call.ended()).status for call in (*full, *probes)} == {200}


async def test_a_request_whose_client_leaves_is_cancelled_and_makes_room(handler: Handler) -> None:
    app = admission(handler, concurrent_writes=1)
    abandoned, waiting = Call(app, "POST"), Call(app, "POST")
    await run(handler, 1)
    abandoned.leave()
    await abandoned.ended()
    assert (handler.cancelled, abandoned.sent) == (1, [])
    handler.may_answer.set()
    assert (await waiting.ended()).status == 200


async def test_a_waiting_request_whose_client_leaves_never_runs(handler: Handler) -> None:
    app = admission(handler, concurrent_writes=1)
    running, abandoned = Call(app, "POST"), Call(app, "POST")
    await run(handler, 1)
    abandoned.leave()
    assert (await abandoned.ended()).sent == []
    waiting = Call(app, "POST")
    handler.may_answer.set()
    assert [(await call.ended()).status for call in (running, waiting)] == [200, 200]
    assert len(handler.bodies) == 2


async def test_what_follows_an_answer_is_not_cancelled(handler: Handler) -> None:
    handler.may_answer.set()
    call = Call(admission(handler), "POST", "/v1/things", body(), LEFT)
    call.arrive(LEFT)
    await call.ended()
    answered = Call(admission(handler), "POST")
    await eventually(lambda: answered.sent)
    answered.leave()
    await answered.ended()
    assert handler.cleaned_up >= 1


async def test_an_end_that_is_not_the_clients_is_passed_on(handler: Handler) -> None:
    call = Call(admission(handler), "POST")
    await run(handler, 1)
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.ended()


async def test_a_client_that_leaves_within_its_body_has_begun_nothing(
    handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(admission(handler), "POST", "/v1/things", body(b"half", more=True), LEFT)
    assert (await call.ended()).sent == []
    assert handler.bodies == []
    assert caplog.records == []


async def test_a_body_arrives_whole_before_it_takes_a_slot(handler: Handler) -> None:
    app = admission(handler, concurrent_writes=1)
    slow = Call(app, "POST", "/v1/things", body(b"first ", more=True))
    await asyncio.sleep(0)
    quick = Call(app, "POST", "/v1/things", body(b"whole"))
    await run(handler, 1)
    assert handler.bodies == [b"whole"]
    handler.may_answer.set()
    slow.arrive(body(b"second"))
    assert [(await call.ended()).status for call in (quick, slow)] == [200, 200]
    assert handler.bodies == [b"whole", b"first second"]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda app: Call(app, "POST", "/", headers=[("content-length", "2000")]), id="declared"),
        pytest.param(
            lambda app: Call(app, "POST", "/", body(b"a" * 600, more=True), body(b"a" * 600, more=True)), id="chunked"
        ),
        pytest.param(lambda app: Call(app, "GET", "/", headers=[("content-length", "2000")]), id="of a GET"),
    ],
)
async def test_a_body_over_the_limit_is_refused_before_all_of_it_is_there(
    handler: Handler, call: Callable[[Admission], Call]
) -> None:
    refused = await call(admission(handler, max_body_bytes=1024)).ended()
    assert refused.status == 413
    assert handler.bodies == []


async def test_large_bodies_share_a_bound_and_small_ones_pass() -> None:
    reader = BodyReader(max_bytes=10**6, buffered_bytes=300_000)
    scope = {"method": "POST", "headers": []}

    def arriving(*messages: Any) -> asyncio.Queue[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for message in messages:
            queue.put_nowait(message)
        return queue

    held = arriving(body(b"a" * 250_000, more=True))
    holding = asyncio.create_task(reader.read(scope, held.get))
    await eventually(held.empty)
    with pytest.raises(Overloaded):
        await reader.read(scope, arriving(body(b"a" * 100_000)).get)
    assert len(await reader.read(scope, arriving(body(b"a" * 60_000)).get)) == 60_000
    held.put_nowait(LEFT)
    with pytest.raises(ClientGone):
        await holding
    assert len(await reader.read(scope, arriving(body(b"a" * 100_000)).get)) == 100_000


async def test_an_address_that_sends_too_much_is_refused(handler: Handler) -> None:
    app = admission(handler, address_requests_per_second=0.01, address_burst=2)
    handler.may_answer.set()
    first = await Call(app, "POST").ended()
    assert (first.status, first.headers["ratelimit"]) == (200, '"address";r=1;t=100')
    assert (await Call(app, "GET").ended()).status == 200
    refused = await Call(app, "POST").ended()
    assert_refused(refused, 429, "rate-exceeded")
    assert refused.headers["ratelimit-policy"] == '"address";q=2;w=200'
    assert (await Call(app, "POST", client="192.0.2.2").ended()).status == 200


async def test_an_ipv6_client_is_its_network(handler: Handler) -> None:
    app = admission(handler, address_requests_per_second=0.01, address_burst=1)
    handler.may_answer.set()
    statuses = [
        (await Call(app, client=one).ended()).status for one in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    ]
    assert statuses == [200, 429, 200]


async def test_a_subject_that_sends_too_much_is_refused(
    new_database: Callable[[str], str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    rates: dict[str, Any] = {"subject_requests_per_second": 0.01, "subject_burst": 1}
    async with toy_app(new_database("rates"), jwks, **rates) as (app, _):

        async def boxes(subject: str) -> Call:
            token = issuer.token("service-agent", sub=subject)
            return await Call(app, "GET", "/v1/boxes", headers=[("authorization", f"Bearer {token}")]).ended()

        first = await boxes("one")
        assert (first.status, first.headers["ratelimit"]) == (200, '"subject";r=0;t=100')
        refused = await boxes("one")
        assert_refused(refused, 429, "rate-exceeded")
        assert refused.headers["ratelimit-policy"] == '"subject";q=1;w=100'
        assert (await boxes("another")).status == 200


async def test_abandoned_writes_are_rolled_back_and_give_their_connections_back(
    new_database: Callable[[str], str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    async with toy_app(new_database("abandoned"), jwks, pool_size=4, concurrent_writes=8) as (app, engine):
        headers = [("authorization", f"Bearer {issuer.token('service-agent')}"), ("content-type", "application/json")]

        def grow() -> Call:
            return Call(app, "POST", f"/v1/boxes/{box}/grow", headers=headers)

        made = await Call(app, "POST", "/v1/boxes", body(b'{"name":"a","size":1}'), headers=headers).ended()
        box = made.json()["id"]
        async with engine.connect() as other:
            # A row lock holds every write amid its statement.
            await other.execute(sa.text("select from box for update"))
            for _ in range(3):
                calls = [grow() for _ in range(8)]
                await eventually(lambda: writes_wait(engine))
                for call in calls:
                    call.leave()
                for call in calls:
                    assert (await call.ended()).sent == []
        await eventually(lambda: pool_of(engine).checkedout() == 0)
        grown = await grow().ended()
        assert (grown.status, grown.json()["size"]) == (200, 2)


def pool_of(engine: AsyncEngine) -> QueuePool:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool


async def writes_wait(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        return bool((await connection.execute(sa.text(waiting))).scalar_one())
