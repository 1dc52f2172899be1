"""Records that the ledger could not process are listed, corrected and sent again, each counting once; or discarded."""

import asyncio
import json

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.api.dead_letters import CONSUMERS
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.maintenance.verify import verify
from metrics_worker.webhooks.model import FEED
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.kafka import KafkaServers
from service_kit.outbox import outbox
from service_kit.relay import Relay
from tandem_cli.issuer import Issuer
from tests.faults.rows import fault
from tests.metrics_worker.facts import VILNIUS, deal, line, record
from tests.metrics_worker.ledger.test_consumer import Line, shows, straight
from tests.service_kit.conftest import assert_problem
from tests.support import eventually, within

__all__ = ["straight"]

GOOD = record(deal(line("desk", 1, "10"), stage="won"))
BAD = GOOD.replace(b'"EUR"', b'"USD"')


@pytest.fixture
async def admin(client: httpx.AsyncClient, issuer: Issuer) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {issuer.token(['admin'])}"
    return client


async def path_of_dead_letter(client: httpx.AsyncClient) -> str:
    async def found() -> str | None:
        items = (await client.get("/v1/dead-letters", params={"status": "open"})).json()["items"]
        return items[0]["id"] if items else None

    return f"/v1/dead-letters/{await eventually(found, 20)}"


async def relayed(engine: AsyncEngine, straight: Line) -> None:
    """Does what metrics-jobs does, until the outbox is empty."""
    stop = asyncio.Event()
    moving = asyncio.create_task(Relay(engine=engine, kafka=KafkaServers(straight.bootstrap_servers)).run(stop))

    async def empty() -> bool:
        async with engine.connect() as connection:
            query = sa.select(sa.func.count()).select_from(outbox)
            return (await connection.execute(query)).scalar_one() == 0

    await eventually(empty, 20)
    stop.set()
    await within(moving, 20)


@fault(17)
async def test_a_mended_dead_letter_that_is_sent_twice_counts_once(
    straight: Line, admin: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await straight.publish(straight.sales, BAD)
    at = await path_of_dead_letter(admin)
    seen = (await admin.get(at)).json()
    assert (seen["value"], seen["reason"], seen["status"]) == (BAD.decode(), "invalid-data", "open")
    assert_problem(await admin.post(f"{at}/send"), 422, "still-unreadable")
    assert_problem(await admin.post(f"{at}/mend", json={"value": "{}"}), 422, "still-unreadable")
    mended = await admin.post(f"{at}/mend", json={"value": GOOD.decode()})
    assert (mended.status_code, mended.json()["mended_value"]) == (200, GOOD.decode())
    for _ in range(2):
        sent = await admin.post(f"{at}/send")
        assert (sent.status_code, sent.json()["status"]) == (200, "sent"), sent.text
    async with engine.connect() as connection:
        assert len((await connection.execute(sa.select(outbox))).all()) == 1
    await relayed(engine, straight)
    await eventually(shows(admin, "revenue", "10.00"), deadline=20)
    # Whatever sends it once more, a person or a crash of the relay: it counts once.
    await straight.publish(straight.sales, GOOD, partition=5)
    report = await verify(
        engine,
        KafkaServers(straight.bootstrap_servers),
        VILNIUS,
        topics=[straight.sales, straight.service],
        catch_up_seconds=20,
    )
    assert report.to_json()["differences"] == []
    await eventually(shows(admin, "revenue", "10.00"))
    assert_problem(await admin.post(f"{at}/discard", json={"reason": "too late"}), 409, "dead-letter-settled")
    assert_problem(await admin.post(f"{at}/mend", json={"value": GOOD.decode()}), 409, "dead-letter-settled")


async def test_a_discarded_dead_letter_never_counts_and_keeps_its_bytes(
    straight: Line, admin: httpx.AsyncClient
) -> None:
    await straight.publish(straight.sales, b"\xff\x00")
    at = await path_of_dead_letter(admin)
    discarded = await admin.post(f"{at}/discard", json={"reason": "nothing that was ever sent"})
    assert discarded.status_code == 200
    shown = (await admin.get(at)).json()
    assert (shown["status"], shown["discarded_because"]) == ("discarded", "nothing that was ever sent")
    assert (shown["value"], shown["value_base64"]) == (None, "/wA=")
    assert_problem(await admin.post(f"{at}/send"), 409, "dead-letter-settled")
    assert (await admin.get("/v1/dead-letters", params={"status": "open"})).json()["items"] == []


async def test_an_analyst_may_read_and_not_write(straight: Line, client: httpx.AsyncClient, issuer: Issuer) -> None:
    await straight.publish(straight.sales, b"{")
    at = await path_of_dead_letter(client)
    assert (await client.get(at)).status_code == 200
    for action, body in (("send", {}), ("mend", {"value": GOOD.decode()}), ("discard", {"reason": "no"})):
        assert_problem(await client.post(f"{at}/{action}", json=body), 403, "forbidden")
    client.headers["Authorization"] = f"Bearer {issuer.token(['sales-rep'])}"
    assert_problem(await client.get(at), 403, "forbidden")


async def test_dead_letters_are_listed_by_reason_and_topic(straight: Line, client: httpx.AsyncClient) -> None:
    await straight.publish(straight.sales, b"{", BAD)
    await straight.publish(straight.service, None)

    async def listed(**filters: str) -> list[tuple[str, str]]:
        items = (await client.get("/v1/dead-letters", params=filters)).json()["items"]
        return sorted((item["topic"], item["reason"]) for item in items)

    every = sorted([(straight.sales, "invalid-data"), (straight.sales, "malformed"), (straight.service, "empty")])

    async def all_there() -> bool:
        return await listed() == every

    await eventually(all_there, 20)
    assert await listed(reason="malformed") == [(straight.sales, "malformed")]
    assert await listed(topic=straight.service) == [(straight.service, "empty")]
    assert json.loads(GOOD)["subject"] not in str(await listed()), "a list names no content"


async def test_those_of_every_consumer_are_listed_and_mended(admin: httpx.AsyncClient, engine: AsyncEngine) -> None:
    rows: list[dict[str, object]] = [
        {"consumer": consumer, "cluster_id": "c", "topic": "sales.events", "partition": 0, "offset": 1, "headers": [],
         "value": b"{", "reason": "malformed", "detail": ""}
        for consumer in (*CONSUMERS, "another-services")
    ]  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(sa.insert(dead_letter), rows)
    listed = (await admin.get("/v1/dead-letters")).json()["items"]
    assert {each["consumer"] for each in listed} == {*CONSUMERS}
    (of_feed,) = (await admin.get("/v1/dead-letters", params={"consumer": FEED})).json()["items"]
    path = f"/v1/dead-letters/{of_feed['id']}/mend"
    assert_problem(await admin.post(path, json={"value": "{}"}), 422, "still-unreadable")
    # What only the ledger refuses, a webhook can have.
    assert (await admin.post(path, json={"value": BAD.decode()})).status_code == 200


async def test_a_halted_consumer_is_listed_with_its_unsettled_dead_letters(
    admin: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    assert (await admin.get("/v1/dead-letters/halts")).json() == {"items": []}
    rows = [
        {"consumer": CONSUMER, "cluster_id": "c", "topic": "t", "partition": 0, "offset": offset, "headers": [],
         "reason": "malformed", "detail": "{"}
        for offset in range(5)
    ]  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(sa.insert(dead_letter), rows)
        for consumer in (CONSUMER, "another-services"):
            halt = {"consumer": consumer, "bad_records": 700, "max_dead_letters": 3}
            await connection.execute(sa.insert(circuit_breaker), halt)
    for left in (2, 1, 0, 0):
        [halted] = (await admin.get("/v1/dead-letters/halts")).json()["items"]
        assert (halted["consumer"], halted["bad_records"], halted["to_settle"]) == (CONSUMER, 700, left)
        settled = await admin.post(
            f"{await path_of_dead_letter(admin)}/discard", json={"reason": "no customer of ours"}
        )
        assert settled.status_code == 200, settled.text


async def test_dead_letters_and_halts_need_the_same_role(client: httpx.AsyncClient, issuer: Issuer) -> None:
    client.headers["Authorization"] = f"Bearer {issuer.token(['sales-rep'])}"
    assert_problem(await client.get("/v1/dead-letters/halts"), 403, "forbidden")
