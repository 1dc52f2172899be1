"""How long lists, searches, boards and histories take over many records, read through the API without a network in
between, beside a trivial route that selects one row through the same pool."""

import logging
import random
import time
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

import sales_api
from event_contracts.catalogue import SALES_TOPIC
from event_contracts.examples import encoded_example
from sales_api.accounts.model import Account
from sales_api.app import create
from sales_api.deals.model import Deal, DealLine
from sales_api.reps import Rep
from sales_api.settings import SalesSettings
from sales_api.teams import Team
from service_kit.compiled import driver_of
from service_kit.migrations import migrate
from service_kit.published_events import published_event
from service_kit.settings import DatabaseSettings
from tandem_cli.issuer import Issuer
from tests.every_api.filled import fill
from tests.load.report import percentile, report

ROUNDS = 150
REPS = 300
ONE_ROW_SELECT = "/one-row"
EVENTS_OF_A_DEAL = 4
CUSTOM_FIELDS = {"site_region": "text", "roof_area": "number"}
_NTH_ID = "lpad(to_hex({}), 32, '0')::uuid"
_OF_REP = _NTH_ID.format(f"1 + n % {REPS}")
_IS_CLOSED = "n % 20 < 17"
_STAGES = "(array['prospecting', 'qualification', 'proposal', 'negotiation'])[1 + n % 4]"

pytestmark = pytest.mark.long


def values_of(records: int) -> dict[sa.Table, dict[str, str]]:
    """The columns that must fit each other: references, and stages with their times."""
    account = _NTH_ID.format(f"1 + (hashint4(n)::bigint & 2147483647) % {records}")
    return {
        Team.table: {"parent_id": "NULL"},
        Rep.table: {"team_id": _NTH_ID.format("1 + n % 20")},
        Account.table: {"owner_id": _OF_REP, "erased_at": "NULL", "merged_into": "NULL"},
        Deal.table: {
            "custom": "jsonb_build_object('site_region', 'region-' || n % 50, 'roof_area', (n % 10000)::text)",
            "owner_id": _OF_REP,
            "account_id": account,
            "stage": f"CASE WHEN {_IS_CLOSED} THEN (array['won', 'lost'])[1 + n % 2] ELSE {_STAGES} END",
            "closed_at": f"CASE WHEN {_IS_CLOSED} THEN timestamptz '2026-01-01Z' + n * interval '1 minute' END",
            "closed_from": "NULL",
            "currency": "'EUR'",
            **dict.fromkeys(("reporting_currency", "estimated_currency", "rate", "rate_on", "promised_by"), "NULL"),
            **dict.fromkeys(("reporting_amount", "estimated_reporting_amount", "promised_price"), "NULL"),
        },
        DealLine.table: {
            "deal_id": _NTH_ID.format("n"),
            "position": "1",
            "product": "'heat-pump'",
            "reporting_amount": "NULL",
        },
        published_event: {
            "topic": f"'{SALES_TOPIC}'",
            "key": account,
            "subject": f"'deals/' || {_NTH_ID.format(f'1 + n / {EVENTS_OF_A_DEAL}')}",
            "epoch": "1",
            "sequence": f"1 + n % {EVENTS_OF_A_DEAL}",
            "event_id": "gen_random_uuid()",
            "payload": f"decode('{encoded_example('sales.deal-opened').hex()}', 'hex')",
        },
    }


_ENTER_CUSTOM_VALUES = """
    INSERT INTO custom_value (record_id, field_id, text, number)
    SELECT deal.id, field.id, given.value, CASE field.type WHEN 'number' THEN given.value::numeric END
    FROM deal CROSS JOIN LATERAL jsonb_each_text(deal.custom) AS given
    JOIN custom_field AS field ON field.name = given.key
"""


async def fill_fast(connection: AsyncConnection, table: sa.Table, rows: int, values: dict[str, str]) -> None:
    """Fill a table without its indexes, and then make them."""
    found = await connection.execute(
        sa.text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table AND indexname LIKE '%idx'"),
        {"table": table.name},
    )
    indexes = found.all()
    for index in indexes:
        await connection.execute(sa.text(f"DROP INDEX {index.indexname}"))
    await fill(connection, table, rows, values)
    await connection.execute(sa.text("SET maintenance_work_mem = '512MB'"))
    for index in indexes:
        await connection.exec_driver_sql(index.indexdef)


@pytest.fixture
async def client(
    bench_database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """Reads, as a manager, `--records` deals with two custom fields, as many accounts and as many events."""
    await migrate(sales_api, DatabaseSettings(database_url=bench_database))
    records = int(request.config.getoption("--records"))
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    app = create(SalesSettings(database_url=bench_database, auth_jwks=issuer.jwks_url, allowed_hosts=["sales"]))
    add_one_row_select(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sales", timeout=60) as http:
        for name, kind in CUSTOM_FIELDS.items():
            field = {"noun": "deals", "name": name, "label": name, "type": kind, "is_personal": False}
            answer = await http.post("/v1/custom-fields", json=field, headers=bearer(issuer, "admin"))
            assert answer.status_code == 201, answer.text
        await fill_all(bench_database, records)
        http.headers.update(bearer(issuer, "sales-manager"))
        yield http
    await app.state.engine.dispose()


def bearer(issuer: Issuer, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token([role])}"}


async def fill_all(database_url: str, records: int) -> None:
    """Fill every table that is read, as large as the benchmark asks for."""
    engine = create_async_engine(database_url)
    for table, values in values_of(records).items():
        async with engine.begin() as connection:
            await fill_fast(connection, table, REPS if table in (Team.table, Rep.table) else records, values)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text(_ENTER_CUSTOM_VALUES))
        await connection.execute(sa.text("VACUUM ANALYZE"))
    await engine.dispose()


def add_one_row_select(app: FastAPI) -> None:
    """Add the least that a read can be: a route that selects one row by its primary key."""
    engine = app.state.engine.execution_options(isolation_level="AUTOCOMMIT")

    @app.get(ONE_ROW_SELECT)
    async def select_one_row() -> dict[str, str]:
        async with engine.connect() as connection:
            driver = await driver_of(connection)
            return {"name": await driver.fetchval("SELECT name FROM rep WHERE id = $1", f"{1:032x}")}


async def seconds(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await client.get(path)
    taken = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return taken


def questions(chance: random.Random, records: int) -> dict[str, list[str]]:
    owners = [UUID(int=1 + chance.randrange(REPS)) for _ in range(ROUNDS)]
    deals = [UUID(int=1 + chance.randrange(records // EVENTS_OF_A_DEAL - 1)) for _ in range(ROUNDS)]
    names = ("souza", "zema", "novak", "mart", "oster", "casa ver", "bak")
    sorts = ("-amount", "amount", "closed_at", "-closed_at", "title", "-updated_at")
    stages = ("prospecting", "proposal", "won", "lost")
    return {
        "list_newest": ["/v1/deals"] * ROUNDS,
        "list_sorted": [f"/v1/deals?sort={chance.choice(sorts)}" for _ in range(ROUNDS)],
        "list_filtered_sorted": [
            f"/v1/deals?owner_id={owner}&stage={chance.choice(stages)}&stage=won&sort={chance.choice(sorts)}"
            for owner in owners
        ],
        "list_included": ["/v1/deals?include=owner&include=account&include=team&include=last_activity"] * ROUNDS,
        "list_total": [f"/v1/deals?stage={chance.choice(stages)}&total=true&limit=1" for _ in range(ROUNDS)],
        "search": [f"/v1/accounts?q={chance.choice(names)}%20{chance.randrange(500)}" for _ in range(ROUNDS)],
        "search_of_one_word": [f"/v1/accounts?q={chance.choice(names)}" for _ in range(ROUNDS)],
        "list_custom": [
            f"/v1/deals?custom.site_region=region-{chance.randrange(50)}&sort={order}"
            for order in chance.choices(("-id", "custom.roof_area"), k=ROUNDS)
        ],
        "history": [f"/v1/deals/{deal}/events" for deal in deals],
        "board": ["/v1/deals/board?by=stage"] * (ROUNDS // 3),
        "board_of_owner": [f"/v1/deals/board?by=stage&owner_id={owner}" for owner in owners[: ROUNDS // 3]],
    }


async def test_lists(client: httpx.AsyncClient, request: pytest.FixtureRequest) -> None:
    print()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for name, paths in questions(random.Random(1), int(request.config.getoption("--records"))).items():
        for path in paths[:10]:
            await seconds(client, path)
        answers, selects = list[float](), list[float]()
        for path in paths:
            selects.append(await seconds(client, ONE_ROW_SELECT))
            answers.append(await seconds(client, path))
        for percent in (50, 99):
            answer, select = percentile(answers, percent), percentile(selects, percent)
            report(f"{name}_p{percent}_ms", answer * 1000, "ms")
            report(f"{name}_p{percent}_vs_one_row_select", answer / select, "")
