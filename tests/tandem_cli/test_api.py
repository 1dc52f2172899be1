"""The client of the APIs keeps trying while they are busy or away, does nothing twice, and passes refusals on."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tandem_cli.api import Api, Refused
from tandem_cli.ports import free_port
from tandem_cli.problem import StackProblem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """A server that answers everything by `handler`; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def problem(status: int, slug: str, **members: object) -> web.Response:
    body = {"type": f"urn:tandem:problem:{slug}", "title": "No", "detail": "Why", "status": status, **members}
    return web.json_response(body, status=status, content_type="application/problem+json")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_api_is_called_again_with_the_same_key_after_its_retry_after(status: int) -> None:
    asked: list[tuple[float, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append((time.monotonic(), request.headers["Idempotency-Key"]))
        if len(asked) == 1:
            refusal = problem(status, "busy")
            refusal.headers["Retry-After"] = "1"
            return refusal
        return web.json_response({"id": "x"}, status=201)

    async with served(handle) as url, Api(url, "token") as api:
        assert (await api.post("leads", {}, key="k")).body == {"id": "x"}
    (first, _), (second, _) = asked
    assert {key for _, key in asked} == {"k"}
    assert second - first >= 1


@pytest.mark.parametrize(("status", "slug"), [(503, "overloaded"), (429, "rate-exceeded")])
async def test_an_api_that_serves_others_first_is_waited_for_longer_than_one_that_is_away(
    status: int, slug: str
) -> None:
    asked = 0
    reasons: list[str] = []

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked <= 4:
            refusal = problem(status, slug)
            refusal.headers["Retry-After"] = "1"
            return refusal
        return web.json_response({"rows": []})

    # All the turns of others together take longer than its patience with an API that fails.
    async with served(handle) as url, Api(url, "token", patience=2, on_busy=reasons.append) as api:
        assert await api.import_rows([]) == []
    assert (asked, reasons) == (5, ["No: Why"] * 4)


async def test_an_api_that_is_not_there_yet_is_waited_for() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response({"items": []})

    port = free_port()
    async with Api(f"http://127.0.0.1:{port}", "token") as api:
        with pytest.raises(StackProblem, match="did not answer for 0 s"):
            async with Api(f"http://127.0.0.1:{port}", "token", patience=0.3) as impatient:
                await impatient.get("leads")
        async with served(handle, port):
            assert await api.get("leads") == {"items": []}


async def test_a_request_that_is_still_under_way_is_repeated_until_it_is_answered() -> None:
    asked = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            return problem(409, "idempotency-key-in-use")
        return web.json_response({}, headers={"Idempotent-Replayed": "true"})

    async with served(handle) as url, Api(url, "token") as api:
        assert (await api.post("leads", {}, key="k")).replayed
    assert asked == 2


async def test_an_import_that_takes_longer_than_other_requests_is_waited_for_and_sent_once() -> None:
    asked = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.6)
        return web.json_response({"rows": []})

    async with served(handle) as url, Api(url, "token", answer_seconds=0.1, patience=0.3) as api:
        assert await api.import_rows([]) == []
    assert asked == 1


async def test_an_import_whose_answer_was_lost_is_asked_for_under_its_key_until_the_api_has_done_it() -> None:
    keys: list[str] = []
    reasons: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            await asyncio.sleep(0.7)
            assert request.transport is not None
            request.transport.close()
        if len(keys) <= 4:
            return problem(409, "idempotency-key-in-use")
        return web.json_response({"rows": []}, headers={"Idempotent-Replayed": "true"})

    # What the API is at takes longer than the patience with one that fails.
    async with served(handle) as url, Api(url, "token", patience=0.5, on_busy=reasons.append) as api:
        assert await api.import_rows([]) == []
        assert await api.import_rows([]) == []
    assert len(set(keys[:5])) == 1
    assert keys[5] != keys[0]
    assert reasons == ["No: Why"] * 3


async def test_a_refusal_is_passed_on_at_once_with_its_name_and_its_fields() -> None:
    asked = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return problem(422, "invalid-request", errors=[{"pointer": "#/lines/0/quantity", "detail": "is too much"}])

    async with served(handle) as url, Api(url, "token") as api:
        with pytest.raises(Refused) as refused:
            await api.post("leads", {}, key="k")
    assert refused.value.slug == "invalid-request"
    assert refused.value.errors == [("#/lines/0/quantity", "is too much")]
    assert asked == 1


async def test_a_refusal_that_is_no_json_is_one_all_the_same() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="<html>nothing here</html>")

    async with served(handle) as url, Api(url, "token") as api:
        with pytest.raises(Refused, match="Not Found"):
            await api.get("leads")


def test_an_address_that_is_none_is_refused_in_plain_words() -> None:
    with pytest.raises(StackProblem, match="localhost:8001 is not an address such as"):
        Api("localhost:8001", "token")


async def test_a_refusal_names_what_is_wrong_with_the_request() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        errors = [{"pointer": "?status", "detail": "Input should be 'open'"}]
        return problem(422, "invalid-request", errors=errors)

    async with served(handle) as url, Api(url, "token") as api:
        with pytest.raises(Refused, match=re.escape("No: ?status Input should be 'open'")):
            await api.get("dead-letters")
