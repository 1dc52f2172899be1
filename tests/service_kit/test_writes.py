"""One transaction a write: idempotency keys, versions, and what happens when many come at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from service_kit.app import create_app
from service_kit.compiled import driver_of
from service_kit.database import create_engine
from service_kit.outbox import outbox
from service_kit.outbox_notify import CHANNEL
from service_kit.settings import ServiceSettings
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import ACCESS, Issuer, boxes, toy_app
from tests.support import eventually

BOX = {"name": "Box", "size": 1}


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


async def events_of(engine: AsyncEngine, identifier: str) -> list[codec.CloudEvent]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.select(outbox.c.payload).where(outbox.c.aggregateid == identifier).order_by(outbox.c.position)
        )
        return [codec.decode(row.payload) for row in rows]


async def test_a_write_leaves_its_row_and_its_event(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answer = await client.post("/v1/boxes", json=BOX)
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    (event,) = await events_of(engine, answer.json()["id"])
    assert event.sequence == 1
    assert event.subject == f"customers/{answer.json()['id']}"
    assert event.traceparent is not None


async def test_a_write_wakes_the_relay(issuer: Issuer, new_database: Callable[[str], str], tmp_path: Path) -> None:
    heard: list[object] = []
    headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
    async with (
        toy_app(new_database("toy"), issuer.published_in(tmp_path)) as (app, engine),
        engine.connect() as plain,
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy", headers=headers) as http,
    ):
        listening = await driver_of(await plain.execution_options(isolation_level="AUTOCOMMIT"))
        await listening.add_listener(CHANNEL, lambda *_: heard.append("announced"))
        assert (await http.get("/v1/boxes")).status_code == 200
        assert (await http.post("/v1/boxes", json={})).status_code == 422
        assert (await http.post("/v1/boxes", json=BOX)).status_code == 201
        await eventually(lambda: heard == ["announced"])
        await listening.reset()


async def test_one_pooled_connection_serves_reads_and_readiness_after_a_write(
    issuer: Issuer, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
    async with (
        toy_app(new_database("toy"), issuer.published_in(tmp_path), pool_size=1) as (app, engine),
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy", headers=headers) as http,
    ):

        async def is_notified() -> bool:
            query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query = :its AND datname = current_database()")
            async with engine.connect() as connection:
                return bool((await connection.execute(query, {"its": f"NOTIFY {CHANNEL}"})).scalar_one())

        assert (await http.post("/v1/boxes", json=BOX)).status_code == 201
        await eventually(is_notified)
        assert (await http.get("/v1/boxes")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.post("/v1/boxes", json=BOX)).status_code == 201


async def test_a_repeat_by_who_has_lost_the_role_gets_no_stored_answer(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    given = key()
    assert (await client.post("/v1/boxes", json=BOX, headers=given)).status_code == 201
    demoted = {"Authorization": f"Bearer {issuer.token('analyst')}"}
    assert_problem(await client.post("/v1/boxes", json=BOX, headers=given | demoted), 403, "forbidden")
    assert (await client.post("/v1/boxes", json=BOX, headers=given)).headers["idempotent-replayed"] == "true"


async def test_a_repeat_with_the_same_key_gets_the_same_answer_and_does_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    headers = key()
    first = await client.post("/v1/boxes", json=BOX, headers=headers)
    second = await client.post("/v1/boxes", json=BOX, headers=headers)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["idempotent-replayed"] == "true"
    assert len(await events_of(engine, first.json()["id"])) == 1


async def test_a_key_does_not_serve_two_requests(client: httpx.AsyncClient) -> None:
    headers = key()
    await client.post("/v1/boxes", json=BOX, headers=headers)
    answer = await client.post("/v1/boxes", json=BOX | {"size": 2}, headers=headers)
    assert_problem(answer, 422, "idempotency-key-reused")


async def test_a_key_is_bounded(client: httpx.AsyncClient) -> None:
    for bad in ("", "x" * 256):
        assert_problem(await client.post("/v1/boxes", json=BOX, headers={"Idempotency-Key": bad}), 422)


@asynccontextmanager
async def holding(engine: AsyncEngine, statement: str) -> AsyncIterator[None]:
    """Hold the locks that the statement takes, as a slow writer would."""
    async with engine.begin() as connection:
        await connection.execute(sa.text(statement))
        yield


async def test_the_same_key_many_times_at_once_writes_once(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    headers = key()
    async with holding(engine, "LOCK TABLE box IN SHARE MODE"):
        sent = [asyncio.create_task(client.post("/v1/boxes", json=BOX, headers=headers)) for _ in range(20)]
        await eventually(lambda: sum(one.done() for one in sent) == 19)
        refused = [one.result() for one in sent if one.done()]
    answers = await asyncio.gather(*sent)
    for answer in refused:
        assert_problem(answer, 409, "idempotency-key-in-use")
        assert int(answer.headers["retry-after"]) > 0
    (first,) = [answer for answer in answers if answer not in refused]
    assert first.status_code == 201
    again = await client.post("/v1/boxes", json=BOX, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert len(await events_of(engine, first.json()["id"])) == 1


async def test_the_same_key_many_times_at_once_changes_once(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    box = (await client.post("/v1/boxes", json=BOX)).json()
    headers = key()
    path = f"/v1/boxes/{box['id']}/grow"
    answers = await asyncio.gather(*(client.post(path, headers=headers) for _ in range(20)))
    done = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer not in done:
            assert_problem(answer, 409, "idempotency-key-in-use")
    assert {answer.content for answer in done} == {done[0].content}
    assert (await client.post(path, headers=headers)).content == done[0].content
    assert [event.sequence for event in await events_of(engine, box["id"])] == [1, 2]


async def test_a_key_that_is_under_way_in_another_process_is_refused_without_a_wait(
    client: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer, tmp_path: Path
) -> None:
    box = (await client.post("/v1/boxes", json=BOX)).json()
    headers = key()
    path = f"/v1/boxes/{box['id']}/grow"
    url = engine.url.render_as_string(hide_password=False)
    async with (
        toy_app(url, issuer.published_in(tmp_path)) as (other, _),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(other), base_url="http://toy", headers=dict(client.headers)
        ) as elsewhere,
    ):
        async with holding(engine, f"SELECT 1 FROM box WHERE id = '{box['id']}' FOR UPDATE"):
            first = asyncio.create_task(client.post(path, headers=headers))
            await eventually(lambda: is_claimed(engine))
            assert_problem(await elsewhere.post(path, headers=headers), 409, "idempotency-key-in-use")
            assert not first.done()
        assert (await first).status_code == 200
        again = await elsewhere.post(path, headers=headers)
    assert (again.status_code, again.content) == (200, (await first).content)
    assert again.headers["idempotent-replayed"] == "true"
    assert [event.sequence for event in await events_of(engine, box["id"])] == [1, 2]


async def is_claimed(engine: AsyncEngine) -> bool:
    """Whether a request with a key is under way in the database."""
    query = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )
    async with engine.connect() as connection:
        return bool((await connection.execute(query)).scalar_one())


async def test_a_repeat_that_meets_its_own_effect_gets_the_answer(client: httpx.AsyncClient) -> None:
    box = (await client.post("/v1/boxes", json=BOX)).json()
    headers = key() | {"If-Match": '"1"'}
    path = f"/v1/boxes/{box['id']}/grow"
    answers = [await client.post(path, headers=headers) for _ in range(2)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


async def test_a_refused_write_does_not_use_up_its_key(client: httpx.AsyncClient) -> None:
    headers = key()
    assert_problem(await client.post("/v1/boxes", json={"name": "Box"}, headers=headers), 422)
    assert (await client.post("/v1/boxes", json=BOX, headers=headers)).status_code == 201


async def test_writers_of_one_aggregate_take_turns_and_their_events_count_up(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    box = (await client.post("/v1/boxes", json=BOX)).json()
    answers = await asyncio.gather(*(client.post(f"/v1/boxes/{box['id']}/grow") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert [event.sequence for event in await events_of(engine, box["id"])] == list(range(1, 32))


async def test_a_stale_version_is_refused(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    box = (await client.post("/v1/boxes", json=BOX)).json()
    path = f"/v1/boxes/{box['id']}/grow"
    assert (await client.post(path, headers={"If-Match": '"1"'})).status_code == 200
    assert_problem(await client.post(path, headers={"If-Match": '"1"'}), 412, "stale-version")
    assert_problem(await client.post(path, headers={"If-Match": 'W/"2"'}), 412)
    assert_problem(await client.post(path, headers={"If-Match": "2"}), 422)
    assert (await client.post(path, headers={"If-Match": "*"})).status_code == 200
    assert len(await events_of(engine, box["id"])) == 3


async def test_pages_hold_every_item_once_newest_first(client: httpx.AsyncClient) -> None:
    name = uuid.uuid4().hex
    made = [(await client.post("/v1/boxes", json={"name": name, "size": n})).json()["id"] for n in range(7)]
    seen: list[str] = []
    query = {"name": name, "limit": "3"}
    while True:
        page = (await client.get("/v1/boxes", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    assert_problem(await client.get("/v1/boxes", params={"cursor": query["cursor"], "name": "other"}), 422)


async def test_a_database_that_is_away_is_a_503_with_retry_after(issuer: Issuer, tmp_path: Path) -> None:
    settings = ServiceSettings(
        database_url="postgresql+asyncpg://unknown@127.0.0.1:1/nothing",
        auth_jwks=issuer.published_in(tmp_path),
        allowed_hosts=["toy"],
    )
    engine = create_engine(settings, application="test")
    app = create_app(
        title="toy",
        summary="",
        tags={},
        description="",
        settings=settings,
        engine=engine,
        routers=[boxes.routes],
        access=ACCESS,
    )
    headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy", headers=headers) as http:
        for answer in (await http.post("/v1/boxes", json=BOX), await http.get("/v1/boxes")):
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
    await engine.dispose()
