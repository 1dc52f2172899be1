"""Every noun's history: its records' own events as they were published, found by enumeration of routes and events."""

import json
from collections.abc import AsyncIterator, Callable, Container
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import sales_api
import service_api
from event_contracts.catalogue import EVENT_TYPES
from event_contracts.codec import with_epoch
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.history.queries import EVENT, HISTORY
from service_kit.identifiers import new_id
from service_kit.migrations import migrate
from service_kit.outbox import outbox
from service_kit.published_events import move_to_published, published_event, stream
from service_kit.relay_lease import relay_lease
from service_kit.settings import DatabaseSettings
from tests.every_api import test_audit
from tests.every_api.filled import fill
from tests.every_api.test_every_route import OPERATIONS, PACKAGES, make_app
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

ROWS = 10_000
APIS: dict[str, ModuleType] = {"sales-api": sales_api, "service-api": service_api}
STORIES = {"sales-api": test_audit.sales, "service-api": test_audit.service}
WITHOUT_EVENTS = {
    "/v1/maintenance-plans/{plan_id}", "/v1/sla-policies/{policy_id}", "/v1/planning-rules/{rule_id}",
    "/v1/onboarding-templates/{template_id}",
    "/v1/business-calendars/{calendar_id}", "/v1/dead-letters/{letter_id}", "/v1/events/{event_id}",
    "/v1/schemas/{name}",
    "/v1/tickets/{ticket_id}/interactions", "/v1/tickets/{ticket_id}/interactions/{interaction_id}",
    "/v1/views/{view_id}", "/v1/custom-fields/{custom_field_id}", "/v1/exchange-rates/{rate_id}",
}  # fmt: skip
"""Records that publish nothing of their own; a contact is in its ticket's events."""
each_api = pytest.mark.parametrize("name", APIS)


@dataclass
class History:
    """An API with events of every kind, all of which wait in the outbox at first."""

    api: test_audit.Api

    @property
    def engine(self) -> AsyncEngine:
        engine: AsyncEngine = self.api.engine
        return engine

    async def get(self, path: str, *roles: str) -> httpx.Response:
        return await self.api.send("GET", path, roles=roles or ("admin",))

    async def items(self, path: str, *roles: str) -> list[dict[str, Any]]:
        answer = await self.get(path, *roles)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def waiting(self) -> list[sa.Row[Any]]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(sa.select(outbox).order_by(outbox.c.position))).all())

    async def id_of(self, text: str) -> str:
        """Return the id of the latest event that has a text, published or not."""
        async with self.engine.connect() as connection:
            for table in (outbox, published_event):
                for row in await connection.execute(sa.select(table.c.payload).order_by(table.c.position.desc())):
                    if row.payload is not None and text.encode() in row.payload:
                        return str(json.loads(row.payload)["id"])
        raise AssertionError(f"no event has {text}")

    async def publish(self, *, epoch: int = 1, but: Container[int] = ()) -> None:
        """Do as the relay does once Kafka has what waits, but for these positions."""
        lease = {
            "id": 1,
            "epoch": 1,
            "expires_at": sa.func.now(),
            "backend_pid": 1,
            "backend_started_at": sa.func.now(),
        }
        rows = await self.waiting()
        async with self.engine.begin() as connection:
            await connection.execute(postgresql.insert(relay_lease).values(lease).on_conflict_do_nothing())
            driver = await driver_of(connection)
            sent = [(row.position, row.aggregatetype, row.aggregateid, row.payload) for row in rows]
            sent = [row for row in sent if row[0] not in but]
            await move_to_published(driver, stamped(sent, epoch), epoch=epoch, lease=1)


@pytest.fixture(scope="module")
async def histories(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, History]]:
    issuer = Issuer()
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    found = {}
    for name, package in APIS.items():
        url = new_database("history")
        await migrate(package, DatabaseSettings(database_url=url))
        api = test_audit.Api(name, make_app(name, url, jwks), issuer)
        await STORIES[name](api)
        found[name] = History(api)
    yield found
    for history in found.values():
        await history.api.http.aclose()
        await history.engine.dispose()


def stamped(rows: list[tuple[int, str, str, bytes | None]], epoch: int) -> list[tuple[int, str, str, bytes | None]]:
    return [(*row[:3], None if row[3] is None else with_epoch(row[3], epoch)) for row in rows]


def test_every_record_that_is_read_has_its_events_beside_it() -> None:
    reads = {(each.api, each.template) for each in OPERATIONS if each.method == "GET" and each.api in APIS}
    of_records = {
        (api, path)
        for api, path in reads
        if "{" in path and not path.endswith(("/audit", "/events", "/timeline", "/export"))
    }
    assert {path for api, path in of_records if (api, f"{path}/events") not in reads} == WITHOUT_EVENTS
    every = {each.api for each in OPERATIONS if each.template == "/v1/events/{event_id}"}
    assert every == set(PACKAGES)


@each_api
def test_every_type_of_event_is_in_a_history(name: str) -> None:
    document = make_app(name, "postgresql+asyncpg://nowhere/nothing", "").openapi()
    offered = set[str]()
    for path, operations in document["paths"].items():
        if path.endswith("/events"):
            (types,) = (each for each in operations["get"]["parameters"] if each["name"] == "type")
            offered |= {*types["schema"]["items"].get("enum", ()), types["schema"]["items"].get("const")} - {None}
    service = name.removesuffix("-api")
    assert offered == {each for each in EVENT_TYPES if each.startswith(f"{service}.")}


def record_path(name: str, event: dict[str, Any]) -> str:
    """Return the address of the record that an event is about."""
    subjects, _, record_id = event["subject"].partition("/")
    if event["type"] == "sales.product-entry-set":
        return f"/v1/products/{event['data']['code']}"
    if subjects == "directory":
        return f"/v1/{event['data']['kind'].replace('_', '-')}s/{record_id}"
    document = make_app(name, "postgresql+asyncpg://nowhere/nothing", "").openapi()
    for path, operations in document["paths"].items():
        if path.endswith("/events"):
            (types,) = (each for each in operations["get"]["parameters"] if each["name"] == "type")
            if event["type"] in json.dumps(types):
                return f"{path.partition('{')[0]}{record_id}"
    raise AssertionError(f"{event['type']} is in no history")


def as_answered(payload: bytes) -> dict[str, Any]:
    return {"traceparent": None, **json.loads(payload)}


@each_api
async def test_a_history_has_what_waits_and_then_what_was_published(name: str, histories: dict[str, History]) -> None:
    history = histories[name]
    rows = await history.waiting()
    tombstones = {(row.aggregatetype, row.aggregateid) for row in rows if row.payload is None}
    assert tombstones, "the story erases a name"
    # A mended record is sent to the topic that it came from, which may be another service's.
    own = [row for row in rows if row.payload is not None and row.type.partition(".")[0] == name.partition("-")[0]]
    events = [(row.aggregatetype, row.aggregateid, as_answered(row.payload)) for row in own]
    assert len(rows) - len(own) < 5
    newest = {event["subject"]: event["id"] for _, _, event in events}
    for is_published in (False, True):
        subjects: dict[str, list[dict[str, Any]]] = {}
        for topic, key, event in events:
            answer = await history.get(f"/v1/events/{event['id']}")
            is_name = topic.endswith("directory")
            if (topic, key) in tombstones:
                assert_problem(answer, 404, "not-found")
            elif is_published and is_name and event["id"] != newest[event["subject"]]:
                # A compacted topic keeps the latest name only.
                assert_problem(answer, 404, "not-found")
            else:
                assert answer.json() == {"event": event, "topic": topic, "is_published": is_published}
                if not is_name or event["data"]["kind"] not in ("account", "customer"):
                    subjects.setdefault(event["subject"], []).insert(0, event)
        assert len(subjects) > 10
        for subject, of_subject in subjects.items():
            found = await history.items(f"{record_path(name, of_subject[0])}/events?limit=200")
            assert [each["event"] for each in found] == of_subject, subject
            assert {each["is_published"] for each in found} == {is_published}
            sequences = [each["event"]["sequence"] for each in found]
            assert sequences == sorted(sequences, reverse=True)
        await history.publish()


async def a_deal(history: History) -> str:
    """Open a deal and change it some times; return its address."""
    write = history.api.write
    account = await write("POST", "/v1/accounts", {"name": "Casa Verde"})
    line = {"product": "pump", "quantity": 2, "unit_price": "9.00"}
    body = {"account_id": account["id"], "title": "Pumps", "currency": "EUR", "lines": [line]}
    deal = await write("POST", "/v1/deals", body)
    for stage in ("qualification", "proposal", "negotiation"):
        await write("POST", "/v1/deals/{deal_id}/stage", {"stage": stage}, deal_id=deal["id"])
    return f"/v1/deals/{deal['id']}"


async def test_a_history_is_paged_and_filtered_by_type(histories: dict[str, History]) -> None:
    history = histories["sales-api"]
    path = await a_deal(history)
    # Two are published and the others wait, so that a page has some of both.
    async with history.engine.begin() as connection:
        positions = (
            sa.select(outbox.c.position).where(outbox.c.type == "sales.deal-stage-changed").order_by(outbox.c.position)
        )
        held = (await connection.execute(positions.offset(1))).scalars().all()
    await history.publish(but=held)
    sequences, cursor = list[int](), ""
    for _ in range(4):
        answer = (await history.get(f"{path}/events?limit=1{cursor}")).json()
        sequences += [each["event"]["sequence"] for each in answer["items"]]
        cursor = f"&cursor={answer['next_cursor']}"
    assert (sequences, answer["next_cursor"]) == ([4, 3, 2, 1], None)
    of_page = await history.items(f"{path}/events")
    assert [each["is_published"] for each in of_page] == [False, False, True, True]
    changed = await history.items(f"{path}/events?type=sales.deal-stage-changed&limit=2")
    assert [each["event"]["sequence"] for each in changed] == [4, 3]
    either = await history.items(f"{path}/events?type=sales.deal-opened&type=sales.deal-closed")
    assert [each["event"]["type"] for each in either] == ["sales.deal-opened"]
    unknown = await history.get(f"{path}/events?type=sales.deal-open")
    assert_problem(unknown, 422, "invalid-request")
    assert "did you mean sales.deal-opened?" in unknown.json()["errors"][0]["detail"]
    other = await history.get(f"{path}/events?type=sales.deal-opened&cursor={cursor.removeprefix('&cursor=')}")
    assert_problem(other, 422, "invalid-request")


async def test_a_restored_record_comes_first_in_its_history(histories: dict[str, History]) -> None:
    history = histories["sales-api"]
    path = await a_deal(history)
    await history.publish()
    await history.api.write("POST", "/v1/deals/{deal_id}/close", {"outcome": "won"}, deal_id=path.rpartition("/")[2])
    async with history.engine.begin() as connection:
        await connection.execute(sa.insert(stream), {"id": 1, "epoch": 2})
    try:
        found = await history.items(f"{path}/events")
        assert [(each["event"]["epoch"], each["event"]["sequence"]) for each in found[:2]] == [(2, 5), (1, 4)]
        await history.publish(epoch=2)
        published = await history.items(f"{path}/events")
        assert [each["event"] for each in published] == [
            {**each["event"], "epoch": 2 if each is found[0] else 1} for each in found
        ]
    finally:
        async with history.engine.begin() as connection:
            await connection.execute(sa.delete(stream))


async def test_a_name_is_shown_to_whom_the_record_shows_it_until_it_is_erased(histories: dict[str, History]) -> None:
    history = histories["sales-api"]
    account = await history.api.write("POST", "/v1/accounts", {"name": "Secret Garden"})
    for is_published in (False, True):
        if is_published:
            await history.publish()
        named = await history.id_of("Secret Garden")
        path = f"/v1/events/{named}"
        assert (await history.get(path, "sales-manager")).json()["event"]["data"]["name"] == "Secret Garden"
        # Who may read accounts, and not their names.
        assert (await history.get(f"/v1/accounts/{account['id']}", "analyst")).json()["name"] is None
        assert_problem(await history.get(path, "analyst"), 404, "not-found")
    await history.api.write("POST", "/v1/accounts/{account_id}/erase", account_id=account["id"])
    for _ in range(2):
        assert_problem(await history.get(path), 404, "not-found")
        kept = await history.get(f"/v1/accounts/{account['id']}/events?limit=200")
        assert "Secret Garden" not in kept.text
        assert [each["event"]["type"] for each in kept.json()["items"]] == [
            "sales.account-erased", "sales.account-registered"
        ]  # fmt: skip
        await history.publish()


async def plan(engine: AsyncEngine, statement: CompiledStatement, **values: Any) -> str:
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        # As it is planned for any values, once it was prepared and executed some times.
        await driver.execute("SET plan_cache_mode = force_generic_plan")
        rows = await driver.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(values))
        await driver.execute("RESET plan_cache_mode")
    return "\n".join(row[0] for row in rows)


async def test_no_history_scans_a_table(new_database: Callable[[str], str]) -> None:
    url = new_database("events")
    await migrate(sales_api, DatabaseSettings(database_url=url))
    engine = create_async_engine(url)
    payload = (
        """convert_to('{"subject": "deals/' || n % 1000 || '", "type": "sales.deal-opened", "sequence": 1}', 'UTF8')"""
    )
    common = {"topic": "'sales.events'", "aggregatetype": "'sales.events'", "payload": payload, "parked_reason": "NULL"}
    try:
        for table, values in (
            (published_event, {"subject": "'deals/' || n % 1000", "event_id": "md5(n::text)::uuid"}),
            (outbox, {"aggregateid": "'key-' || n % 1000"}),
        ):
            async with engine.begin() as connection:
                await fill(connection, table, ROWS, common | values)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(sa.text("VACUUM ANALYZE"))
        asked = {"subject": "deals/7", "key": "key-7", "epoch": 1, "sequence": 9, "limit": 51}
        for types in (None, ["sales.deal-opened"]):
            found = await plan(engine, HISTORY, **asked, types=types)
            assert "Seq Scan on published_event" not in found, found
            assert "Seq Scan on outbox" not in found, found
        found = await plan(engine, EVENT, event_id=new_id())
        assert "Seq Scan on published_event" not in found, found
        assert "Seq Scan on outbox" not in found, found
    finally:
        await engine.dispose()
