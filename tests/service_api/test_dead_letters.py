"""Records of sales that service cannot process are mended and sent again by the same means as the ledger's."""

import httpx
import sqlalchemy as sa

from service_kit.consumer.dead_letters import dead_letter
from service_kit.identifiers import new_id
from service_kit.outbox import outbox
from tests.service_api.conftest import Service
from tests.service_api.test_customers_from_sales import encoded, named, registered
from tests.service_kit.conftest import assert_problem


async def set_aside(service: Service, consumer: str, topic: str, value: bytes) -> str:
    letter_id = new_id()
    row = {
        "id": letter_id,
        "consumer": consumer,
        "cluster_id": "here",
        "topic": topic,
        "partition": 0,
        "offset": int.from_bytes(letter_id.bytes[-6:], "big"),
        "key": b"?",
        "value": value,
        "headers": [],
        "reason": "malformed",
        "detail": "cut short",
    }
    async with service.engine.begin() as connection:
        await connection.execute(sa.insert(dead_letter), row)
    return f"/v1/dead-letters/{letter_id}"


async def test_a_dead_letter_is_mended_and_sent_once_to_its_topic_under_its_own_key(
    service: Service, manager: httpx.AsyncClient, analyst: httpx.AsyncClient
) -> None:
    account_id = new_id()
    good = encoded(registered(account_id), 1)
    at = await set_aside(service, "service-customers", "sales.events", good[:-1])
    assert (await manager.get(at)).json()["value"] == good[:-1].decode()
    listed = (await manager.get("/v1/dead-letters?consumer=service-customers&status=open")).json()["items"]
    assert at.rpartition("/")[2] in [item["id"] for item in listed]
    assert at.rpartition("/")[2] in (await manager.get("/v1/dead-letters/export?status=open")).text
    # A name may be in one: not for every role, and only an admin settles it.
    assert_problem(await analyst.get(at), 403, "forbidden")
    assert_problem(await manager.post(f"{at}/send"), 403, "forbidden")
    async with service.client("admin") as admin:
        assert_problem(await admin.post(f"{at}/send"), 422, "still-unreadable")
        seen = (await admin.get(at)).headers["etag"]
        mended = await admin.post(f"{at}/mend", json={"value": good.decode()}, headers={"If-Match": seen})
        assert (mended.status_code, mended.json()["version"], mended.headers["etag"]) == (200, 2, '"2"')
        # Another admin has seen it before it was mended.
        late = await admin.post(f"{at}/discard", json={"reason": "unreadable"}, headers={"If-Match": seen})
        assert_problem(late, 412, "stale-version")
        assert (await admin.get(at, headers={"If-None-Match": '"2"'})).status_code == 304
        for _ in range(2):
            assert (await admin.post(f"{at}/send")).json()["status"] == "sent"
        assert_problem(await admin.post(f"{at}/discard", json={"reason": "late"}), 409, "dead-letter-settled")
    sent = sa.select(outbox.c.aggregatetype, outbox.c.payload).where(outbox.c.aggregateid == str(account_id))
    async with service.engine.connect() as connection:
        assert [tuple(row) for row in await connection.execute(sent)] == [("sales.events", good)]


async def test_a_name_is_discarded_and_another_consumers_dead_letter_is_not_found(service: Service) -> None:
    value = encoded(named(new_id(), "Jonas"), 1)[:-1]
    at = await set_aside(service, "service-customer-names", "sales.directory", value)
    foreign = await set_aside(service, "metrics", "sales.events", b"{")
    async with service.client("admin") as admin:
        discarded = await admin.post(f"{at}/discard", json={"reason": "not one of ours"})
        assert (discarded.status_code, discarded.json()["discarded_because"]) == (200, "not one of ours")
        assert_problem(await admin.get(foreign), 404)
