"""Names beside the keys of answers: as the directories have them, until they are erased, for whom they are."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import sales_api.access
import service_api.access
from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC
from event_contracts.directory import SalesDirectoryEntrySet, SalesProductEntrySet, ServiceDirectoryEntrySet
from metrics_worker.api.access import CUSTOMER_NAMES
from metrics_worker.ledger.directory import NAMES
from metrics_worker.ledger.status import fresh_as_of, is_caught_up, ledger_revision
from metrics_worker.ledger.tables import directory_name
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.offsets import consumer_offset
from service_kit.identifiers import new_id
from tandem_cli.issuer import Issuer
from tests.metrics_worker.api.conftest import Reading, Stream
from tests.metrics_worker.conftest import MARCH, Metrics, client_of, complete
from tests.metrics_worker.directories import entry, keep
from tests.metrics_worker.facts import AGENT, CUSTOMER, REP, TEAM, deal, line, moment, ticket
from tests.service_kit.conftest import assert_problem
from tests.support import eventually

PRODUCT_ID = UUID(int=77)


def named(kind: Any, id_: UUID, name: str) -> SalesDirectoryEntrySet:
    return SalesDirectoryEntrySet(id=id_, kind=kind, name=name)


async def everyone(engine: AsyncEngine) -> None:
    """Name all whom the facts name."""
    entries = [
        named("rep", REP, "Rita Reyes"),
        named("team", TEAM, "Iberia"),
        named("account", CUSTOMER, "Baltic Bakeries"),
        SalesProductEntrySet(id=PRODUCT_ID, kind="product", code="desk", name="Standing desk"),
    ]
    await keep(
        engine,
        *((SALES_DIRECTORY_TOPIC, each.id, entry(each)) for each in entries),
        (SERVICE_DIRECTORY_TOPIC, AGENT, entry(ServiceDirectoryEntrySet(id=AGENT, kind="agent", name="Anna Agent"))),
        (SERVICE_DIRECTORY_TOPIC, CUSTOMER, entry(ServiceDirectoryEntrySet(id=CUSTOMER, kind="customer", name="BB"))),
    )


async def known(engine: AsyncEngine) -> dict[tuple[str, UUID], str]:
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(directory_name))
        return {(row.topic, row.id): row.name for row in rows}


@pytest.fixture
async def manager(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, issuer, "sales-manager") as http:
        yield http


async def test_the_newest_name_is_kept_until_it_is_erased(engine: AsyncEngine) -> None:
    at = SALES_DIRECTORY_TOPIC, REP
    await keep(engine, (*at, entry(named("rep", REP, "Rita"), sequence=2)))
    await keep(engine, (*at, entry(named("rep", REP, "Older"), sequence=1)))
    assert await known(engine) == {at: "Rita"}
    await keep(engine, (*at, entry(named("rep", REP, "Restored"), sequence=1, epoch=2)))
    assert await known(engine) == {at: "Restored"}
    # One topic erases what it named itself.
    await keep(engine, (SERVICE_DIRECTORY_TOPIC, REP, None))
    assert await known(engine) == {at: "Restored"}
    again = entry(named("rep", REP, "Again"), sequence=9)
    await keep(engine, (*at, again), (*at, None))
    assert await known(engine) == {}
    await keep(engine, (*at, None), (*at, again))
    assert await known(engine) == {at: "Again"}


async def test_the_ledger_does_not_wait_for_names(metrics: Metrics) -> None:
    await metrics.consume(deal(line("desk", 1, "10"), stage="won"))
    await complete(metrics.engine)
    async with metrics.engine.begin() as connection:
        before = await fresh_as_of(connection), await ledger_revision(connection)
        of_names = {
            "consumer": NAMES,
            "cluster_id": "c",
            "topic": SALES_DIRECTORY_TOPIC,
            "next_offset": 7,
            "log_end": 9,
        }
        rows = [{**of_names, "partition": number} for number in range(3)]
        await connection.execute(sa.insert(consumer_offset), rows)
        assert (await fresh_as_of(connection), await ledger_revision(connection)) == before
        assert before[0] is not None
        assert await is_caught_up(connection)


async def test_groups_and_filters_have_names(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), line("chair", 1, "5"), stage="won"))
    for dimension, name in (("owner", "Rita Reyes"), ("team", "Iberia"), ("customer", "Baltic Bakeries")):
        answer = (await manager.get("/v1/kpis/revenue", params=MARCH | {"group_by": dimension})).json()
        (group,) = answer["groups"]
        assert (group["names"], answer["names"]) == ({dimension: name}, {})
    pairs = await metrics.ask("revenue", group_by="product,owner", team=str(TEAM))
    assert pairs["names"] == {"team": "Iberia"}
    assert [each["names"] for each in pairs["groups"]] == [
        {"owner": "Rita Reyes"}, {"product": "Standing desk", "owner": "Rita Reyes"}
    ]  # fmt: skip
    assert [each["names"] for each in (await metrics.ask("revenue", group_by="region"))["groups"]] == [{}]
    (others,) = (await metrics.ask("revenue", group_by="owner,product", top="1"))["groups"][1:]
    assert others["names"] == {}


async def test_an_erased_name_is_in_no_answer(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"))
    asked = MARCH | {"group_by": "customer"}
    await keep(metrics.engine, (SALES_DIRECTORY_TOPIC, CUSTOMER, None), (SERVICE_DIRECTORY_TOPIC, CUSTOMER, None))
    (group,) = (await manager.get("/v1/kpis/revenue", params=asked)).json()["groups"]
    assert (group["key"], group["names"]) == (str(CUSTOMER), {})


async def test_customers_are_named_to_those_who_serve_them(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"))
    for path in ("/v1/kpis/revenue", "/v1/kpis/revenue/explain"):
        for asked in ({"group_by": "customer"}, {"customer": str(CUSTOMER)}):
            if path.endswith("explain") and "group_by" in asked:
                continue
            hidden = await metrics.client.get(path, params=MARCH | asked)
            shown = await manager.get(path, params=MARCH | asked)
            assert "Baltic Bakeries" not in hidden.text
            assert "Baltic Bakeries" in shown.text
    health = f"/v1/customers/{CUSTOMER}/health"
    assert (await metrics.client.get(health)).json()["names"] == {}
    assert (await manager.get(health)).json()["names"] == {"customer": "Baltic Bakeries"}


def test_these_are_the_roles_that_serve_customers() -> None:
    served_by = {
        role
        for table, name in ((sales_api.access.ACCESS, "accounts"), (service_api.access.ACCESS, "customers"))
        for noun in table.nouns
        if noun.name == name
        for role in noun.served_by
    }
    assert served_by | {"admin"} == CUSTOMER_NAMES


async def test_an_explanation_has_names(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"))
    asked = MARCH | {"product": "desk", "owner": str(REP)}
    answer = (await manager.get("/v1/kpis/revenue/explain", params=asked)).json()
    assert answer["names"] == {"product": "Standing desk", "owner": "Rita Reyes"}
    (item,) = answer["items"]
    assert item["names"] == {
        "product": "Standing desk", "owner": "Rita Reyes", "team": "Iberia", "customer": "Baltic Bakeries"
    }  # fmt: skip


async def test_an_explanation_in_csv_has_names_beside_ids(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"))
    asked = MARCH | {"format": "csv", "product": "desk"}
    names = {
        "product_name": "Standing desk",
        "channel_name": "",
        "owner_name": "Rita Reyes",
        "team_name": "Iberia",
        "customer_name": "Baltic Bakeries",
    }
    for client, expected in ((manager, names), (metrics.client, names | {"customer_name": ""})):
        (row,) = csv.DictReader(io.StringIO((await client.get("/v1/kpis/revenue/explain", params=asked)).text))
        assert {name: row[name] for name in row if name.endswith("_name")} == expected


async def test_filters_have_names_in_the_stream_that_their_reader_may_see(
    metrics: Metrics, reading: Reading, issuer: Issuer
) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"))

    def names(stream: Stream) -> list[Any]:
        return [json.loads(event["data"])["names"] for event in stream.events if event["event"] == "kpi"]

    manager, asked = issuer.token(["sales-manager"]), {"owner": str(REP), "customer": str(CUSTOMER)}
    async with reading("revenue", token=manager, **asked) as shown, reading("revenue", **asked) as hidden:
        await eventually(lambda: names(shown) and names(hidden))
    assert names(shown) == [{"owner": "Rita Reyes", "customer": "Baltic Bakeries"}]
    assert names(hidden) == [{"owner": "Rita Reyes"}]


async def test_alerts_and_targets_have_names(metrics: Metrics, manager: httpx.AsyncClient) -> None:
    await everyone(metrics.engine)
    await metrics.consume(ticket(opened_at=datetime.now(UTC) - timedelta(hours=3)))
    await complete(metrics.engine)
    alerts = (await manager.get("/v1/alerts?kind=unattended")).json()["items"]
    assert [each["names"] for each in alerts] == [{"customer": "Baltic Bakeries"}]
    hidden = (await metrics.client.get("/v1/alerts?kind=unattended")).json()["items"]
    assert [each["names"] for each in hidden] == [{}]
    for dimension, value, names in (
        ("owner", str(REP), {"owner": "Rita Reyes"}),
        ("product", "desk", {"product": "Standing desk"}),
        ("customer", str(CUSTOMER), {"customer": "Baltic Bakeries"}),
        ("region", "EMEA", {}),
    ):
        path = f"/v1/targets/revenue?{dimension}={value}"
        made = await manager.put(path, json={"value": "100", "period": "month"})
        assert made.json()["names"] == names
        assert (await manager.get(path)).json()["names"] == names
        (listed,) = [
            each for each in (await manager.get("/v1/targets")).json()["items"] if each["dimension"] == dimension
        ]
        assert listed["names"] == names
    unnamed = (await metrics.client.get("/v1/targets")).json()["items"]
    assert {each["dimension"]: each["names"] for each in unnamed}["customer"] == {}


async def test_alerts_in_the_stream_have_the_names_that_their_reader_may_see(
    metrics: Metrics, reading: Reading, issuer: Issuer
) -> None:
    await everyone(metrics.engine)
    await metrics.consume(ticket(opened_at=datetime.now(UTC) - timedelta(hours=3)))
    await complete(metrics.engine)

    def names(stream: Stream) -> list[Any]:
        sent = [json.loads(event["data"]) for event in stream.events if event["event"] == "alerts"]
        return [each["names"] for each in sent[-1]["items"] if each["kind"] == "unattended"] if sent else []

    manager = issuer.token(["sales-manager"])
    async with reading("revenue", alerts="true", token=manager) as shown, reading("revenue", alerts="true") as hidden:
        await eventually(lambda: names(shown) and names(hidden))
    assert (names(shown), names(hidden)) == ([{"customer": "Baltic Bakeries"}], [{}])


async def test_a_silent_product_has_its_name(metrics: Metrics) -> None:
    await everyone(metrics.engine)
    await metrics.ingest(deal(line("desk", 1, "10"), stage="won"), ticket(opened_at=moment("2026-03-10")))
    (silent,) = [
        each for each in (await metrics.get("/v1/coverage", **MARCH))["unasked"] if each["dimension"] == "product"
    ]
    assert {each["value"]: each["name"] for each in silent["values"]}["desk"] == "Standing desk"


async def test_a_bad_name_is_shown_to_admins_only(
    metrics: Metrics, app: FastAPI, issuer: Issuer, client: httpx.AsyncClient
) -> None:
    letter = {
        "id": new_id(), "consumer": NAMES, "cluster_id": "here", "topic": SALES_DIRECTORY_TOPIC, "partition": 0,
        "offset": 1, "key": b"?", "value": b'{"name": "Baltic Bakeries"', "headers": [], "reason": "malformed",
        "detail": "",
    }  # fmt: skip
    async with metrics.engine.begin() as connection:
        await connection.execute(sa.insert(dead_letter), letter)
    listed = await client.get("/v1/dead-letters")
    assert [each["consumer"] for each in listed.json()["items"]] == [NAMES]
    assert "Baltic" not in listed.text
    assert_problem(await client.get(f"/v1/dead-letters/{letter['id']}"), 403, "forbidden")
    async with client_of(app, issuer, "admin") as admin:
        assert (await admin.get(f"/v1/dead-letters/{letter['id']}")).status_code == 200
        mended = {"value": entry(named("account", CUSTOMER, "Baltic Bakeries")).decode()}
        answer = await admin.post(f"/v1/dead-letters/{letter['id']}/mend", json=mended)
        assert answer.status_code == 200, answer.text
