"""How long answers take over a ledger with many postings, read through the API without a network in between, beside a
trivial route that selects one row through the same pool."""

import itertools
import random
import time
from collections.abc import AsyncIterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

import httpx
import psutil
import pytest
from fastapi import FastAPI

import metrics_worker
from metrics_worker.app import create
from metrics_worker.database import tool_engine
from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi
from metrics_worker.ledger.status import open_ledger
from metrics_worker.settings import MetricsSettings
from service_kit.compiled import driver_of
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tandem_cli.issuer import Issuer
from tandem_cli.postgres import EmbeddedPostgres
from tests.load.cpu import CpuMeter
from tests.load.filled_ledger import DIFFERENT, FILLED, fill_ledger
from tests.load.report import percentile, report

YEAR = {"from": "2025-01-01", "to": "2025-12-31"}
COMBINATIONS = 300
ONE_ROW_SELECT = "/one-row"

pytestmark = pytest.mark.long


@pytest.fixture
async def client(
    bench_database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """Reads, as an analyst, a ledger with `--postings` postings over the years 2024 and 2025."""
    await migrate(metrics_worker, DatabaseSettings(database_url=bench_database))
    engine = tool_engine(DatabaseSettings(database_url=bench_database))
    await open_ledger(engine, Reporting(ZoneInfo("UTC"), "EUR"))
    await fill_ledger(engine, int(request.config.getoption("--postings")))
    await engine.dispose()
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    settings = MetricsSettings(database_url=bench_database, auth_jwks=issuer.jwks_url, allowed_hosts=["metrics"])
    app = create(settings)
    add_one_row_select(app)
    headers = {"Authorization": f"Bearer {issuer.token(['analyst'])}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://metrics", headers=headers, timeout=60
    ) as http:
        yield http
    await app.state.engine.dispose()


def add_one_row_select(app: FastAPI) -> None:
    """Add the least that a read can be: a route that selects one row by its primary key."""
    engine = app.state.engine.execution_options(isolation_level="AUTOCOMMIT")

    @app.get(ONE_ROW_SELECT)
    async def select_one_row() -> dict[str, str]:
        async with engine.connect() as connection:
            driver = await driver_of(connection)
            return {"currency": await driver.fetchval("SELECT currency FROM ledger WHERE id = 1")}


class Taken(NamedTuple):
    """What one answer took, in seconds; the client's CPU is included."""

    seconds: float
    cpu_seconds: float


async def get(client: httpx.AsyncClient, path: str, query: dict[str, str]) -> Taken:
    began, cpu = time.perf_counter(), time.process_time()
    answer = await client.get(path, params=query)
    taken = Taken(time.perf_counter() - began, time.process_time() - cpu)
    assert answer.status_code == 200, answer.text
    return taken


def filled_kpis() -> list[Kpi]:
    """The KPIs over the kinds that were filled."""
    return [
        kpi
        for kpi in KPIS.values()
        if {kind.name for formula in kpi.variants.values() for kind in formula.kinds} <= set(FILLED)
    ]


async def test_reads(client: httpx.AsyncClient, bench_postgres: EmbeddedPostgres) -> None:
    chance = random.Random(1)
    kpis = filled_kpis()
    grouped = [
        (kpi.name, {"group_by": name}) for kpi in kpis for name in kpi.dimensions if name not in ("customer", "")
    ]
    by_customer = [(kpi.name, {"group_by": "customer"}) for kpi in kpis if "customer" in kpi.dimensions]
    combined = [random_filters(chance.choice(kpis), chance) for _ in range(COMBINATIONS)]
    print()
    for name, questions, rounds in (
        ("kpi_read", grouped, 5),
        ("kpi_read_combined", combined, 1),
        ("kpi_read_by_customer", by_customer, 1),
    ):
        for kpi, query in questions[:20]:
            await get(client, f"/v1/kpis/{kpi}", YEAR | query)
        answers, selects = list[Taken](), list[Taken]()
        meter = CpuMeter({"database": psutil.Process(bench_postgres.pid)})
        asked = list(itertools.chain.from_iterable([questions] * rounds))
        for kpi, query in asked:
            selects.append(await get(client, ONE_ROW_SELECT, {}))
            answers.append(await get(client, f"/v1/kpis/{kpi}", YEAR | query))
        database = meter.seconds()["database"]
        slowest = asked[max(range(len(asked)), key=lambda number: answers[number].seconds)]
        print(f"{name}: {len(answers)} answers, the slowest was {slowest[0]} {slowest[1]}")
        for percent in (50, 99):
            answer = percentile([one.seconds for one in answers], percent)
            select = percentile([one.seconds for one in selects], percent)
            report(f"{name}_p{percent}_ms", answer * 1000, "ms")
            report(f"{name}_p{percent}_one_row_select_ms", select * 1000, "ms")
            report(f"{name}_p{percent}_vs_one_row_select", answer / select, "")
        cpu, least = (sum(one.cpu_seconds for one in side) for side in (answers, selects))
        report(f"{name}_api_cpu_ms", cpu / len(answers) * 1000, "ms")
        report(f"{name}_api_cpu_vs_one_row_select", cpu / least, "")
        # With the one-row selects, which cost it next to nothing.
        report(f"{name}_database_cpu_ms", database / len(answers) * 1000, "ms")


def random_filters(kpi: Kpi, chance: random.Random) -> tuple[str, dict[str, str]]:
    """A KPI with two to four filters, sometimes grouped too."""
    names = [name for name in kpi.dimensions if name not in IDENTITY_DIMENSIONS] or list(kpi.dimensions)
    chosen = chance.sample(names, min(len(names), chance.randint(2, 4)))
    query = {name: f"{name}-{chance.randrange(DIFFERENT[name])}" for name in chosen}
    if chance.random() < 0.5:
        query["group_by"] = chance.choice([*names, "owner"])
    return kpi.name, query
