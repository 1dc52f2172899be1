"""Webhooks: registered at public addresses only, signed by every secret, tried for days, and never lost."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.examples import encoded_example, examples
from metrics_worker.app import create
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.jobs.webhooks import WebhookSender
from metrics_worker.settings import MetricsSettings
from metrics_worker.webhooks.addresses import AddressRefused, GuardedNetwork, check_address, check_ip
from metrics_worker.webhooks.model import RETRY_AFTER, WebhookDelivery
from metrics_worker.webhooks.publisher import publish
from service_kit.unit_of_work import units_of_work
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import client_of, moved
from tests.metrics_worker.webhooks.receiver import receiving
from tests.support import within

pytestmark = pytest.mark.clock

MISSED, RECOVERED = "metrics.kpi-target-missed", "metrics.kpi-target-recovered"
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)


@pytest.fixture
async def lenient(settings: MetricsSettings) -> AsyncIterator[FastAPI]:
    """The API as tests need it: webhooks may go to this machine."""
    app = create(settings.model_copy(update={"webhooks_allow_loopback": True}))
    yield app
    await app.state.engine.dispose()


@pytest.fixture
async def admin(lenient: FastAPI, engine: AsyncEngine, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(lenient, issuer, "admin") as http:
        yield http


async def send(sender: WebhookSender) -> None:
    """Run one round of the sender to its end."""
    await sender.run_once()
    await sender.idle()


@dataclass
class Webhooks:
    """The API as an admin uses it, and the process that sends."""

    admin: httpx.AsyncClient
    engine: AsyncEngine
    sender: WebhookSender

    async def register(self, url: str, *types: str) -> dict[str, Any]:
        body = {"url": url, "event_types": list(types or (MISSED, RECOVERED))}
        made = await self.admin.post("/v1/webhooks", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def happen(self, name: str = MISSED) -> None:
        """Publish the contract's example of an event."""
        async with units_of_work(self.engine)() as work:
            await publish(work, examples()[name].data, sequence=1, time=NOW, partition_key=uuid4())
            await work.commit()

    async def send(self) -> None:
        await send(self.sender)

    async def send_one_to(self, url: str) -> dict[str, Any]:
        """Register an address, and send it an event."""
        webhook = await self.register(url)
        await self.happen()
        await self.send()
        return webhook

    async def make_due(self) -> None:
        await self.execute("UPDATE webhook_delivery SET next_try_at = now() WHERE status = 'pending'")

    async def execute(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(sa.text(statement))

    async def deliveries(self, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        found = await self.admin.get(f"/v1/webhooks/{webhook['id']}/deliveries{query}")
        return list(found.json()["items"])


@pytest.fixture
def webhooks(admin: httpx.AsyncClient, engine: AsyncEngine) -> Webhooks:
    return Webhooks(admin, engine, WebhookSender(engine, allow_loopback=True))


async def test_a_crossing_reaches_who_asked_for_it_signed(webhooks: Webhooks, settings: MetricsSettings) -> None:
    async with receiving() as receiver, receiving() as other:
        webhook = await webhooks.register(receiver.url)
        await webhooks.register(other.url, RECOVERED)
        await webhooks.admin.put("/v1/targets/revenue", json={"value": "100", "since": "2026-01-01"})
        await moved(webhooks.engine)
        await TargetEvaluator(webhooks.engine, settings.reporting).run_once()
        await webhooks.send()
    (message,) = receiver.received
    assert other.received == []
    assert message.is_signed_by(webhook["secret"])
    assert not message.is_signed_by("whsec_" + "AAAA" * 8)
    sent = json.loads(message.body)
    assert (sent["type"], sent["sequence"], sent["data"]["kpi"]) == (MISSED, 1, "revenue")
    (delivery,) = await webhooks.deliveries(webhook)
    assert (delivery["status"], delivery["tries"], delivery["last_status"]) == ("delivered", 1, 204)
    assert delivery["event_id"] == message.headers["webhook-id"]
    assert "secret" not in (await webhooks.admin.get(f"/v1/webhooks/{webhook['id']}")).text


async def test_a_refused_message_is_tried_again_as_it_was(webhooks: Webhooks) -> None:
    async with receiving("500 Broken\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
        await webhooks.send()
        assert len(receiver.received) == 1, "not before its time"
        await webhooks.make_due()
        await webhooks.send()
    first, second = receiver.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    (delivery,) = await webhooks.deliveries(webhook)
    assert (delivery["status"], delivery["tries"]) == ("delivered", 2)


async def test_a_receiver_that_is_away_is_tried_again(webhooks: Webhooks) -> None:
    async with receiving() as receiver:
        pass
    webhook = await webhooks.send_one_to(receiver.url)
    (delivery,) = await webhooks.deliveries(webhook, "?status=pending")
    assert (delivery["tries"], delivery["last_status"]) == (1, None)
    assert delivery["last_error"].startswith("no connection")


async def test_a_receiver_that_answers_no_http_is_not_recorded_as_unreachable(webhooks: Webhooks) -> None:
    async with receiving("200 OK\r\nContent-Length: -5\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
    (delivery,) = await webhooks.deliveries(webhook)
    assert delivery["last_error"] == "the answer broke off, or is not HTTP"


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(webhooks: Webhooks, form: str) -> None:
    # Now, and not when the tests were collected: the whole suite takes minutes.
    in_two_hours = datetime.now(UTC) + timedelta(hours=2, seconds=5)
    header = "7200" if form == "seconds" else in_two_hours.strftime("%a, %d %b %Y %H:%M:%S GMT")
    async with receiving(f"503 Busy\r\nRetry-After: {header}\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
    (delivery,) = await webhooks.deliveries(webhook)
    pause = datetime.fromisoformat(delivery["next_try_at"]) - datetime.now(UTC)
    assert timedelta(hours=1.9) < pause < timedelta(hours=2.5)


@pytest.mark.parametrize("header", ["soon", "1 Jan 2030 99999999999999:00:00 GMT", "Wed, 32 Oct 2030 07:28:00 GMT"])
async def test_a_meaningless_retry_after_leaves_our_own_pause(webhooks: Webhooks, header: str) -> None:
    async with receiving(f"503 Busy\r\nRetry-After: {header}\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
    (delivery,) = await webhooks.deliveries(webhook)
    assert (delivery["last_status"], delivery["last_error"]) == (503, "refused")
    pause = datetime.fromisoformat(delivery["next_try_at"]) - datetime.now(UTC)
    assert pause < timedelta(seconds=10)


class AnHourAhead(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Self:
        return super().now(tz) + timedelta(hours=1)


async def test_pauses_follow_the_databases_clock_and_not_ours(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics_worker.jobs.webhooks.datetime", AnHourAhead)
    monkeypatch.setattr("metrics_worker.webhooks.use_cases.datetime", AnHourAhead)
    async with receiving("500 Broken\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
        (delivery,) = await webhooks.deliveries(webhook)
        assert datetime.fromisoformat(delivery["next_try_at"]) - datetime.now(UTC) < timedelta(seconds=10)
        await webhooks.make_due()
        await webhooks.send()
        await webhooks.admin.post(f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/send")
        await webhooks.send()
    assert len(receiver.received) == 3


async def test_a_message_whose_tries_are_all_cut_off_is_given_up(webhooks: Webhooks) -> None:
    async with receiving() as receiver:
        webhook = await webhooks.register(receiver.url)
        await webhooks.happen()
        # As the processes leave it that end while they try.
        await webhooks.execute(f"UPDATE webhook_delivery SET tries = {len(RETRY_AFTER) + 1}")
        await webhooks.send()
    assert receiver.received == []
    (delivery,) = await webhooks.deliveries(webhook)
    assert (delivery["status"], delivery["last_error"]) == ("dead", "every try was cut off before its end")


def delivery_tried(tries: int) -> WebhookDelivery:
    return WebhookDelivery(
        id=uuid4(),
        webhook_id=uuid4(),
        event_id=uuid4(),
        event_type=MISSED,
        payload=b"{}",
        status="pending",
        tries=tries,
        next_try_at=NOW,
        created_at=NOW,
        last_tried_at=None,
        last_status=None,
        last_error=None,
    )


def test_the_pauses_grow_over_days_and_then_it_is_given_up() -> None:
    pauses = []
    for tries in range(1, len(RETRY_AFTER) + 1):
        delivery = delivery_tried(tries)
        delivery.fail("refused", status=500, at=NOW)
        assert delivery.status == "pending"
        pauses.append(delivery.next_try_at - NOW)
    assert pauses == sorted(pauses)
    assert timedelta(days=3) < sum(pauses, timedelta()) < timedelta(days=4)
    last = delivery_tried(len(RETRY_AFTER) + 1)
    last.fail("refused", status=500, at=NOW)
    assert last.status == "dead"


def test_no_receiver_can_make_the_sender_wait_for_ever() -> None:
    delivery = delivery_tried(1)
    delivery.fail("refused", status=503, at=NOW, retry_after=timedelta(days=999))
    assert delivery.next_try_at <= NOW + timedelta(days=1.1)


async def test_what_was_given_up_can_be_sent_again(webhooks: Webhooks) -> None:
    async with receiving(*["500 Broken\r\n"] * 2) as receiver:
        webhook = await webhooks.register(receiver.url)
        await webhooks.happen()
        (delivery,) = await webhooks.deliveries(webhook)
        address = f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/send"
        assert (await webhooks.admin.post(address)).status_code == 409
        await webhooks.execute(f"UPDATE webhook_delivery SET tries = {len(RETRY_AFTER)}")
        await webhooks.send()
        assert [each["id"] for each in await webhooks.deliveries(webhook, "?status=dead")] == [delivery["id"]]
        assert (await webhooks.admin.post(address)).json()["status"] == "pending"
        await webhooks.send()
        await webhooks.make_due()
        await webhooks.send()
    assert len({message.headers["webhook-id"] for message in receiver.received}) == 1
    assert [each["status"] for each in await webhooks.deliveries(webhook)] == ["delivered"]


async def test_a_receiver_that_is_gone_is_not_asked_again(webhooks: Webhooks) -> None:
    async with receiving("410 Gone\r\n") as receiver:
        webhook = await webhooks.register(receiver.url)
        await webhooks.happen()
        await webhooks.happen(RECOVERED)
        await webhooks.send()
        await webhooks.send()
        await webhooks.happen()
        assert len(receiver.received) == 1
        shown = (await webhooks.admin.get(f"/v1/webhooks/{webhook['id']}")).json()
        assert (shown["active"], shown["disabled_because"]) == (False, "the receiver answered 410 Gone")
        on = await webhooks.admin.patch(f"/v1/webhooks/{webhook['id']}", json={"active": True})
        assert (on.json()["active"], on.json()["disabled_because"]) == (True, None)
        await webhooks.send()
    assert len(receiver.received) == 2, "what waited meanwhile is sent"


async def test_a_redirect_is_not_followed(webhooks: Webhooks) -> None:
    async with receiving() as hidden, receiving(f"307 Elsewhere\r\nLocation: {hidden.url}\r\n") as receiver:
        webhook = await webhooks.send_one_to(receiver.url)
    assert hidden.received == []
    (delivery,) = await webhooks.deliveries(webhook)
    assert (delivery["status"], delivery["last_error"]) == ("pending", "a redirect, which is not followed")


async def test_old_secrets_sign_beside_a_new_one_until_they_retire(webhooks: Webhooks) -> None:
    async with receiving() as receiver:
        webhook = await webhooks.register(receiver.url)
        added = await webhooks.admin.post(f"/v1/webhooks/{webhook['id']}/secrets")
        assert added.status_code == 201
        await webhooks.happen()
        await webhooks.send()
        await webhooks.execute("UPDATE webhook_secret SET retires_at = now() WHERE retires_at IS NOT NULL")
        await webhooks.happen(RECOVERED)
        await webhooks.send()
    both, new = receiver.received
    assert both.is_signed_by(webhook["secret"])
    assert both.is_signed_by(added.json()["secret"])
    assert not new.is_signed_by(webhook["secret"])
    assert new.is_signed_by(added.json()["secret"])


async def test_what_a_dead_process_had_taken_is_sent_by_the_next(webhooks: Webhooks) -> None:
    async with receiving() as receiver:
        await webhooks.register(receiver.url)
        await webhooks.happen()
        await webhooks.execute("UPDATE webhook_delivery SET tries = 1, next_try_at = now() + interval '60 s'")
        await webhooks.send()
        assert receiver.received == []
        await webhooks.make_due()
        await webhooks.send()
    assert len(receiver.received) == 1


async def test_two_senders_send_a_message_once(webhooks: Webhooks) -> None:
    other = WebhookSender(webhooks.engine, allow_loopback=True)
    async with receiving() as receiver:
        await webhooks.register(receiver.url)
        await webhooks.happen()
        await webhooks.sender.run_once()
        await other.run_once()
        await webhooks.sender.idle()
        await other.idle()
    assert len(receiver.received) == 1


async def test_a_receiver_gets_one_message_at_a_time_from_any_process(webhooks: Webhooks) -> None:
    other, arrived, answer = WebhookSender(webhooks.engine, allow_loopback=True), asyncio.Event(), asyncio.Event()

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(think, "127.0.0.1", 0)
    async with server:
        webhook = await webhooks.register(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
        await webhooks.happen()
        await webhooks.happen(RECOVERED)
        await webhooks.sender.run_once()
        await within(arrived.wait(), 10)
        await other.run_once()
        assert sorted(each["tries"] for each in await webhooks.deliveries(webhook)) == [0, 1]
        answer.set()
        await webhooks.sender.idle()
        await send(other)
    assert [each["status"] for each in await webhooks.deliveries(webhook)] == ["delivered", "delivered"]


async def test_a_webhook_is_listed_changed_and_deleted(webhooks: Webhooks, engine: AsyncEngine) -> None:
    async with receiving() as receiver:
        webhook = await webhooks.register(receiver.url)
    await webhooks.happen()
    address = f"/v1/webhooks/{webhook['id']}"
    changed = await webhooks.admin.patch(address, json={"event_types": [MISSED]}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["event_types"]) == (200, '"2"', [MISSED])
    assert (await webhooks.admin.patch(address, json={"active": False}, headers={"If-Match": '"1"'})).status_code == 412
    assert [each["id"] for each in (await webhooks.admin.get("/v1/webhooks")).json()["items"]] == [webhook["id"]]
    assert (await webhooks.admin.delete(address)).status_code == 204
    assert (await webhooks.admin.get(address)).status_code == 404
    async with webhooks.engine.connect() as connection:
        left = "SELECT (SELECT count(*) FROM webhook_secret) + (SELECT count(*) FROM webhook_delivery)"
        assert (await connection.execute(sa.text(left))).scalar_one() == 0


async def test_only_what_passes_a_filter_is_sent(webhooks: Webhooks) -> None:
    kpi = json.loads(encoded_example(MISSED))["data"]["kpi"]
    async with receiving() as receiver, receiving() as other:
        wanted = {"url": receiver.url, "event_types": ["metrics.*"], "filters": {"data.id": [str(uuid4())]}}
        made = await webhooks.admin.post("/v1/webhooks", json=wanted)
        assert made.status_code == 201, made.text
        address = f"/v1/webhooks/{made.json()['id']}"
        await webhooks.admin.post("/v1/webhooks", json={**wanted, "url": other.url})
        changed = await webhooks.admin.patch(address, json={"event_types": [MISSED], "filters": {"data.kpi": [kpi]}})
        assert (changed.status_code, changed.json()["filters"]) == (200, {"data.kpi": [kpi]})
        await webhooks.happen()
        await webhooks.happen(RECOVERED)
        await webhooks.send()
    assert [json.loads(each.body)["type"] for each in receiver.received] == [MISSED]
    assert other.received == []


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"event_types": ["sales.deal-close"]}, "#/event_types", "did you mean sales.deal-closed?"),
        ({"event_types": ["sales.directory-entry-set"]}, "#/event_types", "is no type of event"),
        ({"event_types": ["sales.deal-*"]}, "#/event_types", "there are: metrics.*, metrics."),
        ({"filters": {"data.team": ["north"]}}, "#/filters/data.team", "did you mean data.team_id?"),
        ({"filters": {"data.stage": ["closed"]}}, "#/filters/data.stage", "there are: "),
        ({"filters": {"data.stage": []}}, "#/filters/data.stage", "at least 1 item"),
        ({"filters": {"data.stage": "won"}}, "#/filters/data.stage", "list"),
        ({"filters": {"data.stage": [["won"]]}}, "#/filters/data.stage/0", "must be a text"),
        ({"filters": {f"data.{number}": ["a"] for number in range(11)}}, "#/filters", "at most 10 items"),
    ],
)
async def test_what_no_event_has_is_refused_with_what_there_is(
    webhooks: Webhooks, changes: dict[str, Any], pointer: str, said: str
) -> None:
    good = {"url": "https://example.com/hook", "event_types": ["sales.deal-closed"], "filters": {"data.stage": ["won"]}}
    made = await webhooks.admin.post("/v1/webhooks", json=good)
    for answer in (
        await webhooks.admin.post("/v1/webhooks", json=good | changes),
        await webhooks.admin.patch(f"/v1/webhooks/{made.json()['id']}", json=changes),
    ):
        assert answer.status_code == 422, answer.text
        errors = answer.json()["errors"]
        assert any(each["pointer"].startswith(pointer) for each in errors), errors
        assert said in " ".join(each["detail"] for each in errors)


async def test_types_that_lack_a_filters_field_are_refused(webhooks: Webhooks) -> None:
    good = {"url": "https://example.com/hook", "event_types": ["sales.deal-closed"], "filters": {"data.stage": ["won"]}}
    made = await webhooks.admin.post("/v1/webhooks", json=good)
    address = f"/v1/webhooks/{made.json()['id']}"
    answer = await webhooks.admin.patch(address, json={"event_types": ["service.ticket-opened"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"].startswith("is no field of service.ticket-opened")
    both = {"event_types": ["service.ticket-opened"], "filters": {}}
    assert (await webhooks.admin.patch(address, json=both)).status_code == 200


async def test_a_burst_is_sent_in_order_without_pauses(webhooks: Webhooks) -> None:
    async with receiving() as receiver:
        webhook = await webhooks.register(receiver.url)
        for _ in range(30):
            await webhooks.happen()
        stored = [each["event_id"] for each in reversed(await webhooks.deliveries(webhook))]
        await webhooks.send()
    assert [each.headers["webhook-id"] for each in receiver.received] == stored


async def test_only_admins_see_webhooks(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/webhooks")).status_code == 403


BAD_ADDRESSES = [
    "http://example.com/hook",
    "ftp://example.com/hook",
    "file:///etc/passwd",
    "https://user:secret@example.com/hook",
    "https://example.com@127.0.0.1/",
    "https://localhost/hook",
    "https://127.0.0.1/hook",
    "https://127.1/hook",
    "https://2130706433/hook",
    "https://0x7f000001/hook",
    "https://0x7f.0.0.1/hook",
    "https://0177.0.0.1/hook",
    "https://127.0.0.1.:443/hook",
    "https://10.0.0.1/hook",
    "https://172.16.0.1/hook",
    "https://192.168.1.1/hook",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/hook",
    "https://0.0.0.0/hook",
    "https://224.0.0.1/hook",
    "https://[::1]/hook",
    "https://[fe80::1]/hook",
    "https://[fd00::1]/hook",
    "https://[::ffff:127.0.0.1]/hook",
    "https://[::ffff:8.8.8.8]/hook",
    "https://[64:ff9b::7f00:1]/hook",
    "https://[2002:7f00:1::]/hook",
    "https://example.com:0/hook",
    "https://example.com:99999/hook",
    "https://example.com\\@127.0.0.1/",
    "https://example.com/ hook",
    "https:///hook",
    "https://example.com/hook#part",
    "//example.com/hook",
    "https://[fec0::1]/hook",
    "https://[4000::1]/hook",
    "https://[::1",
    "https://[/hook",
    "https://]/hook",
    "https://[8.8.8.8]/hook",
    "https://[v1.x]/hook",
    "https://[2606:4700::1]]/hook",
]


@pytest.mark.parametrize("url", BAD_ADDRESSES)
async def test_an_address_that_must_not_be_is_refused_at_once(
    app: FastAPI, engine: AsyncEngine, issuer: Issuer, url: str
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(['admin'])}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://metrics", headers=headers
    ) as strict:
        answer = await strict.post("/v1/webhooks", json={"url": url, "event_types": [MISSED]})
    assert answer.status_code == 422, url
    assert answer.json()["errors"][0]["pointer"] == "#/url"


@pytest.mark.parametrize("url", ["https://example.com/hook", "https://8.8.8.8:8443/", "https://a.b.example.org?x=1"])
def test_a_public_address_is_taken(url: str) -> None:
    check_address(url, allow_loopback=False)


@pytest.mark.parametrize("address", ["10.1.2.3", "169.254.1.1", "fc00::1", "::ffff:10.0.0.1", "2002:a00:1::"])
def test_allowing_this_machine_allows_no_other(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_ip(ip_address(address), allow_loopback=True)


async def test_a_name_that_leads_inside_is_blocked_when_it_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop:
        async def getaddrinfo(self, *_: Any, **__: Any) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")
            ]

    monkeypatch.setattr("metrics_worker.webhooks.addresses.asyncio.get_running_loop", Loop)
    with pytest.raises(AddressRefused):
        await GuardedNetwork(allow_loopback=False).connect_tcp("example.com", 443)


async def test_a_name_that_leads_to_this_machine_gets_nothing(webhooks: Webhooks, engine: AsyncEngine) -> None:
    async with receiving() as receiver:
        webhook = await webhooks.register(receiver.url)
        await webhooks.happen()
        # As if the rules had been laxer when it was registered.
        await webhooks.execute(f"UPDATE webhook SET url = 'https://localhost:{receiver.port}/'")
        await send(WebhookSender(webhooks.engine, allow_loopback=False))
    assert receiver.received == []
    (delivery,) = await webhooks.deliveries(webhook)
    assert delivery["last_error"].startswith("the address must")
