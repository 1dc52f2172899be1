"""What one client may take of a server: the sizes and times of heads and bodies, and connections."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service_kit.problems import MEDIA_TYPE
from service_kit.runner import http_server
from service_kit.settings import ServiceSettings
from tests.raw_http import Answer, RawClient, connections
from tests.support import eventually

QUICK = {"head_seconds": 0.3, "body_seconds": 0.6, "min_body_bytes_per_second": 100, "keep_alive_seconds": 1}
GET = b"GET /hello HTTP/1.1\r\nhost: toy\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: toy\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: toy\r\n"


async def hello(_: Request) -> Response:
    return Response("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def refuse_unread(_: Request) -> Response:
    return Response("no", status_code=401)


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[int]:
    """A server with these settings, on the port that is returned."""
    app = Starlette(
        routes=[
            Route("/hello", hello),
            Route("/healthz", hello),
            Route("/echo", echo, methods=["POST"]),
            Route("/unread", refuse_unread, methods=["POST"]),
        ]
    )
    given = ServiceSettings(database_url="postgresql+asyncpg://none", **settings)
    server = http_server(app, given)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served() as port:
        yield port


@pytest.fixture
async def quick_port() -> AsyncIterator[int]:
    """A server that waits for less than a second."""
    async with served(**QUICK) as port:
        yield port


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    async with connections(port, 1) as [client]:
        yield client


def assert_cut_off(answer: Answer, status: int, slug: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["connection"] == "close"
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (status, f"urn:tandem:problem:{slug}")
    assert problem["detail"]


FRONTEND = "https://frontend.example"
OF_FRONTEND = f"origin: {FRONTEND}\r\n".encode()


async def test_a_browser_may_read_what_cut_it_off() -> None:
    async with served(cors_origins=[FRONTEND]) as port:
        for origin, shown_to in ((OF_FRONTEND, FRONTEND), (b"origin: https://other.example\r\n", None), (b"", None)):
            async with connected(port) as client:
                await client.send_all(GET + origin + b"x: " + b"a" * 40_000 + b"\r\n\r\n")
                answer = await client.answer()
                assert_cut_off(answer, 431, "head-too-large")
                assert answer.headers.get("access-control-allow-origin") == shown_to
                exposed = answer.headers.get("access-control-expose-headers", "")
                assert ("Retry-After" in exposed) is (shown_to is not None)


async def test_what_is_no_request_is_answered_where_browsers_are_allowed() -> None:
    async with served(cors_origins=[FRONTEND]) as port, connected(port) as client:
        await client.send_all(b"\x00\x01\x02\r\n\r\n")
        assert_cut_off(await client.answer(), 400, "malformed-request")


async def test_a_browser_learns_that_there_are_too_many_connections() -> None:
    asked = b"OPTIONS /hello HTTP/1.1\r\nhost: toy\r\naccess-control-request-method: GET\r\n"
    async with (
        served(cors_origins=[FRONTEND], max_connections_per_address=1) as port,
        connections(port, 2) as [_, client],
    ):
        # Only its question is answered by the application, which is not allowed to refuse it here.
        client.send(asked + OF_FRONTEND + b"\r\n")
        assert (await client.answer()).status == 405
        client.send(GET + OF_FRONTEND + b"\r\n")
        answer = await client.answer()
        assert_cut_off(answer, 429, "too-many-connections")
        assert answer.headers["access-control-allow-origin"] == FRONTEND
    async with (
        served(cors_origins=[FRONTEND], max_connections_per_address=1) as port,
        connections(port, 2) as [_, client],
    ):
        client.send(asked + b"origin: https://other.example\r\n\r\n")
        assert_cut_off(await client.answer(), 429, "too-many-connections")


async def test_an_address_of_20_mib_is_refused(port: int) -> None:
    async with connected(port) as client:
        await client.send_all(b"GET /" + b"a" * 20 * 2**20 + b" HTTP/1.1\r\nhost: toy\r\n\r\n")
        assert_cut_off(await client.answer(), 414, "url-too-long")
        assert await client.is_closed()


async def test_a_whole_address_just_over_the_limit_is_refused(port: int) -> None:
    async with connected(port) as client:
        client.send(b"GET /hello?" + b"a" * 8192 + b" HTTP/1.1\r\nhost: toy\r\n\r\n")
        assert_cut_off(await client.answer(), 414, "url-too-long")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"".join(b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(60)), id="many bytes"),
        pytest.param(b"x: " + b"a" * 60 * 2**20, id="one of 60 MiB"),
        pytest.param(b"".join(b"x-%d: a\r\n" % number for number in range(101)), id="many headers"),
        pytest.param(b"a" * 2**20, id="an endless name"),
    ],
)
async def test_headers_over_the_limit_are_refused(port: int, headers: bytes) -> None:
    async with connected(port) as client:
        await client.send_all(GET + headers + b"\r\n\r\n")
        assert_cut_off(await client.answer(), 431, "head-too-large")
        assert await client.is_closed()


async def test_a_large_token_among_the_usual_headers_is_taken(port: int) -> None:
    async with connected(port) as client:
        client.send(GET + b"authorization: Bearer " + b"a" * 16 * 1024 + b"\r\n" + b"x: y\r\n" * 50 + b"\r\n")
        assert (await client.answer()).status == 200


async def test_half_a_head_is_cut_off_in_time_however_it_trickles(quick_port: int) -> None:
    async with connected(quick_port) as client:
        client.send(GET)
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            # Progress, which never ends the head.
            client.send(b"x: y\r\n")
            await asyncio.sleep(0.01)  # the pace itself
        assert_cut_off(await answer, 408, "head-too-slow")


async def test_a_connection_that_never_asks_for_anything_is_closed(quick_port: int) -> None:
    async with connected(quick_port) as client:
        assert await client.is_closed()


async def test_line_feeds_between_requests_do_not_keep_a_connection(quick_port: int) -> None:
    async with connected(quick_port) as client:
        client.send(GET + b"\r\n")
        assert (await client.answer()).status == 200
        closed = asyncio.create_task(client.is_closed())
        while not closed.done():
            client.send(b"\r\n")
            await asyncio.sleep(0.01)  # the pace itself
        assert await closed


@pytest.mark.parametrize(
    "framing", [b"content-length: 1000\r\n\r\nhalf", b"transfer-encoding: chunked\r\n\r\n4\r\nhalf"]
)
async def test_half_a_body_is_cut_off_in_time(quick_port: int, framing: bytes) -> None:
    async with connected(quick_port) as client:
        client.send(POST + framing)
        assert_cut_off(await client.answer(), 408, "body-too-slow")
        assert await client.is_closed()


async def test_a_body_that_trickles_is_cut_off_at_the_end_of_its_time(quick_port: int) -> None:
    async with connected(quick_port) as client:
        client.send(POST + b"content-length: 100000\r\n\r\n")
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            # Fast enough by the second, and too slow for the whole.
            client.send(b"a" * 10)
            await asyncio.sleep(0.01)  # the pace itself
        assert_cut_off(await answer, 408, "body-too-slow")


async def test_a_body_whose_answer_is_long_sent_is_cut_off_in_time(quick_port: int) -> None:
    async with connected(quick_port) as client:
        client.send(b"POST /unread HTTP/1.1\r\nhost: toy\r\ncontent-length: 1000\r\n\r\nhalf")
        assert (await client.answer()).status == 401
        assert await client.is_closed()


async def test_a_body_that_goes_on_over_the_limit_after_its_answer_is_cut_off(port: int) -> None:
    async with connected(port) as client:
        client.send(b"POST /unread HTTP/1.1\r\nhost: toy\r\ncontent-length: 100000000\r\n\r\n")
        assert (await client.answer()).status == 401
        await client.send_all(b"a" * 2**21)
        assert await client.is_closed()


async def test_endless_trailers_are_cut_off(port: int) -> None:
    async with connected(port) as client:
        client.send(POST + b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n")
        await client.send_all(b"x: " + b"a" * 2**20)
        assert_cut_off(await client.answer(), 431, "head-too-large")


async def test_what_is_not_http_is_refused_as_a_problem(port: int) -> None:
    async with connected(port) as client:
        client.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert_cut_off(await client.answer(), 400, "malformed-request")


async def test_a_slow_head_and_body_within_their_limits_are_taken(port: int) -> None:
    async with connected(port) as client:
        for piece in (POST[:10], POST[10:], b"content-length: 8\r\n", b"\r\n", b"half", b"half"):
            await client.send_all(piece)
            await asyncio.sleep(0)
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"halfhalf")


async def test_requests_in_one_piece_are_answered_in_turn(port: int) -> None:
    async with connected(port) as client:
        client.send((POST + b"content-length: 2\r\n\r\nab") * 5 + GET + b"\r\n")
        assert [(await client.answer()).body for _ in range(6)] == [b"ab"] * 5 + [b"hello"]


async def test_a_client_that_does_not_await_answers_is_closed(port: int) -> None:
    async with connected(port) as client:
        client.send((GET + b"\r\n") * 5000)
        assert await client.is_closed()
    async with connected(port) as client:
        client.send(GET + b"\r\n")
        assert (await client.answer()).status == 200


async def test_an_address_has_so_many_connections_and_its_health_checks_still_one() -> None:
    async with served(max_connections_per_address=2) as port, connections(port, 3) as [_, second, third]:
        third.send(GET + b"\r\n")
        assert_cut_off(await third.answer(), 429, "too-many-connections")
        assert await third.is_closed()
        second.send(GET + b"\r\n")
        assert (await second.answer()).status == 200
        async with connected(port) as probe:
            probe.send(HEALTH)
            assert (await probe.answer()).status == 200


async def test_a_closed_connection_makes_room_for_another() -> None:
    async with served(max_connections_per_address=1) as port:
        async with connected(port) as client:
            client.send(GET + b"\r\n")
            assert (await client.answer()).status == 200

        async def is_served() -> bool:
            async with connected(port) as client:
                client.send(GET + b"\r\n")
                return (await client.answer()).status == 200

        await eventually(is_served)


async def test_all_clients_together_have_so_many_connections() -> None:
    async with served(max_connections=2) as port, connections(port, 3) as [_, second, third]:
        third.send(GET + b"\r\n")
        answer = await third.answer()
        assert_cut_off(answer, 503, "too-many-connections")
        assert int(answer.headers["retry-after"]) > 0
        second.send(GET + b"\r\n")
        assert (await second.answer()).status == 200


async def test_connections_far_over_the_limit_are_dropped_at_once() -> None:
    async with served(max_connections=1) as port, connections(port, 80) as clients:
        dropped = await asyncio.gather(*(client.is_closed(5) for client in clients[66:]))
        assert all(dropped)


async def test_a_proxys_connections_are_not_counted_for_one_client() -> None:
    settings: dict[str, Any] = {"max_connections_per_address": 1, "trusted_proxies": ["127.0.0.0/8"]}
    async with served(**settings) as port, connections(port, 3) as clients:
        for client in clients:
            client.send(GET + b"\r\n")
            assert (await client.answer()).status == 200
