"""The stream: changes are pushed, what was received is not sent again, and a slow reader gets the newest."""

import asyncio
import json
import signal
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.api import stream as pushing
from metrics_worker.api import stream_hub as hub
from metrics_worker.app import create
from metrics_worker.ledger.status import open_ledger
from metrics_worker.settings import MetricsSettings
from tandem_cli.issuer import Issuer
from tandem_cli.ports import free_port
from tests.metrics_worker.api.conftest import Reading, Stream
from tests.metrics_worker.conftest import ingest, moved
from tests.metrics_worker.facts import VILNIUS, all_decoded, deal, lead, line, ticket
from tests.metrics_worker.test_processes import running
from tests.support import PATIENCE, eventually, within

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@pytest.fixture
def token(issuer: Issuer) -> str:
    return issuer.token(["analyst"])


async def win(engine: AsyncEngine, amount: str = "10") -> None:
    await ingest(engine, all_decoded([deal(line("desk", 1, amount), stage="won")]))
    await moved(engine)


async def test_a_reader_gets_a_value_at_once_and_at_every_change(reading: Reading, engine: AsyncEngine) -> None:
    async with reading("sales_volume,revenue") as stream:
        await eventually(lambda: len(stream.values) == 2)
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.values == [("sales_volume", "0"), ("revenue", "0.00")]
        await win(engine)
        await eventually(lambda: len(stream.values) == 4)
        assert stream.values[2:] == [("sales_volume", "1"), ("revenue", "10.00")]


async def test_filters_and_variants_hold_in_the_stream(reading: Reading, engine: AsyncEngine) -> None:
    await win(engine)
    async with reading("revenue", region="APAC") as apac, reading("revenue", region="EMEA", interval="month") as emea:
        await eventually(lambda: apac.values and emea.values)
    assert (apac.values, emea.values) == ([("revenue", "0.00")], [("revenue", "10.00")])
    assert json.loads(emea.events[0]["data"])["series"][0]["start"] == "2026-03-01"


async def test_a_stream_compares_with_the_days_before(reading: Reading, engine: AsyncEngine) -> None:
    await win(engine)
    async with reading("revenue", compare="previous") as stream:
        await eventually(lambda: stream.values)
    assert json.loads(stream.events[0]["data"])["previous"] == {
        "from": "2026-01-29",
        "to": "2026-02-28",
        "value": "0.00",
        "change": "10.00",
        "numerator": "0.00",
        "denominator": None,
    }


async def test_a_returning_reader_gets_only_what_changed_meanwhile(reading: Reading, engine: AsyncEngine) -> None:
    async with reading("sales_volume,leads_created") as stream:
        await eventually(lambda: len(stream.values) == 2)
    seen = stream.events[-1]["id"]
    await win(engine)
    async with reading("sales_volume,leads_created", last_event_id=seen) as again:
        await eventually(lambda: again.values)
    assert again.values == [("sales_volume", "1")]
    async with reading("sales_volume,leads_created", last_event_id="made-up") as anew:
        await eventually(lambda: len(anew.values) == 2)


async def test_a_slow_reader_gets_the_newest_value_and_no_other(reading: Reading, engine: AsyncEngine) -> None:
    async with reading("sales_volume") as slow, reading("sales_volume") as quick:
        await eventually(lambda: slow.values and quick.values)
        slow.paused.clear()
        for wins in range(1, 5):
            await win(engine)
            await eventually(lambda wins=wins: quick.values[-1] == ("sales_volume", str(wins)))  # type: ignore[misc]
        slow.paused.set()
        await eventually(lambda: slow.values[-1] == ("sales_volume", "4"))
        assert len(slow.values) <= 3, "the first, one that was on its way when it stopped reading, and the newest"
        assert len(quick.values) == 5


async def test_a_reader_that_takes_nothing_is_cut_off(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "SLOWEST_SECONDS", 0.1)
    async with reading("sales_volume") as stream:
        await eventually(lambda: stream.values)
        stream.paused.clear()
        await win(engine)
        await within(stream.ended.wait(), 10)


async def test_a_silent_stream_sends_heartbeats_with_its_freshness(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "HEARTBEAT_SECONDS", 0.05)
    async with reading("sales_volume") as stream:
        await eventually(lambda: b": alive" in stream.body)
        beat = next(event for event in stream.events if event["event"] == "fresh")
    assert beat == {"event": "fresh", "data": "null"}


async def test_readers_of_the_same_share_one_question(
    app: FastAPI, reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = app.state.hub._answer

    async def counted(watches: Any) -> None:
        asked.extend(watch.kpi for watch in watches)
        await ask(watches)

    monkeypatch.setattr(app.state.hub, "_answer", counted)
    async with reading("sales_volume") as one, reading("sales_volume") as two, reading("sales_volume") as three:
        await eventually(lambda: one.values and two.values and three.values)
    assert asked.count("sales_volume") <= 2


async def test_a_reader_whose_days_have_become_too_many_keeps_nothing_from_the_others(
    app: FastAPI, reading: Reading
) -> None:
    # A stream after the night in which the days since its first one exceed the longest period of a query.
    too_long = hub.Watch("revenue", "standard", date(1990, 1, 1), None, None, ())
    overdue = hub.Reader([too_long], [b""])
    app.state.hub.join(overdue)
    try:
        async with reading("revenue") as stream:
            await eventually(lambda: stream.values)
    finally:
        app.state.hub.leave(overdue)


async def test_no_more_streams_are_open_than_may_be(reading: Reading, settings: MetricsSettings) -> None:
    small = create(settings.model_copy(update={"stream_readers": 1}))
    async with reading("revenue", of=small) as one:
        await eventually(lambda: one.values)
        async with reading("revenue", of=small) as two:
            await two.ended.wait()
        assert two.status == 503
        assert two.headers["retry-after"]
    async with reading("revenue", of=small) as three:
        await eventually(lambda: three.values)
    await small.state.engine.dispose()


async def test_a_ticket_opens_a_stream_and_nothing_else(
    reading: Reading, client: httpx.AsyncClient, token: str
) -> None:
    issued = await client.post("/v1/stream-tickets")
    assert issued.status_code == 201
    ticket = issued.json()["ticket"]
    assert token not in ticket
    async with reading("revenue", anonymous=True, ticket=ticket) as stream:
        await eventually(lambda: stream.values)
    elsewhere = await client.get("/v1/kpis", headers={"Authorization": f"Bearer {ticket}"})
    assert elsewhere.status_code == 401


@pytest.mark.parametrize("by_ticket", [False, True])
async def test_a_stream_ends_with_the_key_of_its_token(
    reading: Reading, app: FastAPI, issuer: Issuer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch,
    by_ticket: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(pushing, "HEARTBEAT_SECONDS", 0.05)
    given: dict[str, Any] = {}
    if by_ticket:
        given = {"anonymous": True, "ticket": (await client.post("/v1/stream-tickets")).json()["ticket"]}
    async with reading("sales_volume", **given) as stream:
        await eventually(lambda: stream.values)
        assert not stream.ended.is_set()

        async def without_its_key() -> dict[str, Any]:
            return {}

        monkeypatch.setattr(app.state.authenticator._keys, "current", without_its_key)
        await within(stream.ended.wait(), 30)
    monkeypatch.undo()
    async with reading("sales_volume") as again:
        await eventually(lambda: again.values)


async def test_a_stream_ends_with_its_token(reading: Reading, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "HEARTBEAT_SECONDS", 0.05)
    brief = issuer.token(["analyst"], lifetime=timedelta(seconds=5))
    async with reading("sales_volume", token=brief) as stream:
        await within(stream.ended.wait(), 60)
    assert stream.status == 200


@pytest.mark.parametrize("spoil", [lambda text: text[:-2] + "AA", lambda text: "." + text, lambda text: "ä", str.lower])
async def test_a_ticket_that_is_not_ours_opens_nothing(
    reading: Reading, client: httpx.AsyncClient, spoil: Callable[[str], str]
) -> None:
    ticket = spoil((await client.post("/v1/stream-tickets")).json()["ticket"])
    async with reading("revenue", anonymous=True, ticket=ticket) as stream:
        await stream.ended.wait()
    assert stream.status == 401


async def test_an_old_ticket_opens_nothing(
    reading: Reading, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics_worker.api.stream_tickets.TICKET_SECONDS", -1)
    ticket = (await client.post("/v1/stream-tickets")).json()["ticket"]
    async with reading("revenue", anonymous=True, ticket=ticket) as stream:
        await stream.ended.wait()
    assert stream.status == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("kpis=made-up", 404),
        ("kpis=revenue:made-up", 422),
        ("kpis=", 422),
        ("kpis=revenue&priority=high", 422),
        ("kpis=revenue&from=2026-03-02&to=2026-03-01", 422),
    ],
)
async def test_what_cannot_be_streamed_is_refused(client: httpx.AsyncClient, query: str, status: int) -> None:
    assert (await client.get(f"/v1/stream?{query}")).status_code == status


async def test_streams_end_when_the_process_stops(engine: AsyncEngine, settings: MetricsSettings, token: str) -> None:
    port = free_port()
    environment = {"HTTP_PORT": str(port), "AUTH_JWKS": settings.auth_jwks}
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        running("metrics-api", settings, **environment) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as http,
    ):

        async def ready() -> bool:
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, 30)
        async with http.stream("GET", "/v1/stream?kpis=revenue") as answer:
            lines = answer.aiter_lines()
            async for text in lines:
                if text == "event: kpi":
                    break
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5 * PATIENCE):
                rest = [text async for text in lines]
        assert any(text.startswith("data: ") for text in rest), "ended in the middle of an event"
        await within(process.communicate(), 20)
    assert process.returncode == 0


async def test_a_ledger_of_another_time_zone_is_streamed_in_its_own(reading: Reading, engine: AsyncEngine) -> None:
    await open_ledger(engine, VILNIUS)
    async with reading("revenue") as stream:
        await eventually(lambda: stream.events)
        assert json.loads(stream.events[0]["data"])["timezone"] == "Europe/Vilnius"
        async with engine.begin() as connection:
            await connection.execute(sa.text("UPDATE ledger SET timezone = 'America/New_York', opened_at = now()"))
        await eventually(lambda: len(stream.values) == 2)
    assert json.loads(stream.events[-1]["data"])["timezone"] == "America/New_York"


async def test_alerts_come_with_the_kpis_for_who_asks_for_them(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "ALERTS_PAUSE_SECONDS", 0.0)
    await moved(engine)

    def alerts(stream: Stream) -> list[Any]:
        return [json.loads(event["data"]) for event in stream.events if event["event"] == "alerts"]

    async with reading("leads_created") as silent, reading("leads_created", alerts="true") as stream:
        await eventually(lambda: alerts(stream) and stream.values)
        assert alerts(stream)[0]["critical"] == 0
        waiting = ticket()
        await ingest(engine, all_decoded([waiting]))
        await moved(engine)
        await eventually(lambda: alerts(stream)[-1]["critical"] == 1)
        assert alerts(stream)[-1]["items"][0]["tickets"] == [str(waiting.id)]
        position = stream.events[-1]["id"]
        assert silent.values
        assert not alerts(silent)
    async with reading("leads_created", alerts="true", last_event_id=position) as again:
        await ingest(engine, all_decoded([lead()]))
        await moved(engine)
        await eventually(lambda: again.values == [("leads_created", "1")])
        assert alerts(again) == [], "the alerts have not changed"
