"""How long answers take over books with many postings, asked through the API without a network in between."""

import itertools
import random
import time
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

import metrics_worker
from metrics_worker.app import create
from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi
from metrics_worker.ledger.status import open_ledger
from metrics_worker.settings import MetricsSettings
from service_kit.migrations import migrate
from tandem_cli.issuer import Issuer
from tests.load.filled_books import DIFFERENT, FILLED, fill_books
from tests.load.report import percentile, say

YEAR = {"from": "2025-01-01", "to": "2025-12-31"}
COMBINATIONS = 300

pytestmark = pytest.mark.long


@pytest.fixture
async def client(
    bench_database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """Asks, as an analyst, about books with `--postings` postings over the years 2024 and 2025."""
    await migrate(metrics_worker, bench_database)
    engine = create_async_engine(bench_database)
    await open_ledger(engine, Reporting(ZoneInfo("UTC"), "EUR"))
    await fill_books(engine, int(request.config.getoption("--postings")))
    await engine.dispose()
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    settings = MetricsSettings(database_url=bench_database, auth_jwks=issuer.jwks_url, allowed_hosts=["metrics"])
    app = create(settings)
    headers = {"Authorization": f"Bearer {issuer.token(['analyst'])}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://metrics", headers=headers, timeout=60
    ) as http:
        yield http
    await app.state.engine.dispose()


async def seconds(client: httpx.AsyncClient, kpi: str, query: dict[str, str]) -> float:
    began = time.perf_counter()
    answer = await client.get(f"/v1/kpis/{kpi}", params=YEAR | query)
    elapsed = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return elapsed


def asked() -> list[Kpi]:
    """The KPIs over the kinds that were filled."""
    return [
        kpi
        for kpi in KPIS.values()
        if {kind.name for formula in kpi.variants.values() for kind in formula.kinds} <= set(FILLED)
    ]


async def test_reads(client: httpx.AsyncClient) -> None:
    chance = random.Random(1)
    grouped = [
        (kpi.name, {"group_by": name}) for kpi in asked() for name in kpi.dimensions if name not in ("customer", "")
    ]
    by_customer = [(kpi.name, {"group_by": "customer"}) for kpi in asked() if "customer" in kpi.dimensions]
    combined = [random_filters(chance.choice(asked()), chance) for _ in range(COMBINATIONS)]
    print()
    for name, questions, rounds in (
        ("kpi_read", grouped, 5),
        ("kpi_read_combined", combined, 1),
        ("kpi_read_by_customer", by_customer, 1),
    ):
        for kpi, query in questions[:20]:
            await seconds(client, kpi, query)
        taken = [
            (await seconds(client, kpi, query), kpi, query)
            for kpi, query in itertools.chain.from_iterable([questions] * rounds)
        ]
        slowest = max(taken, key=lambda one: one[0])
        print(f"{name}: {len(taken)} answers, the slowest was {slowest[1]} {slowest[2]}")
        say(f"{name}_p50_ms", percentile([one[0] for one in taken], 50) * 1000, "ms")
        say(f"{name}_p99_ms", percentile([one[0] for one in taken], 99) * 1000, "ms")


def random_filters(kpi: Kpi, chance: random.Random) -> tuple[str, dict[str, str]]:
    """A KPI with two to four filters, sometimes grouped too."""
    names = [name for name in kpi.dimensions if name not in IDENTITY_DIMENSIONS] or list(kpi.dimensions)
    chosen = chance.sample(names, min(len(names), chance.randint(2, 4)))
    query = {name: f"{name}-{chance.randrange(DIFFERENT[name])}" for name in chosen}
    if chance.random() < 0.5:
        query["group_by"] = chance.choice([*names, "owner"])
    return kpi.name, query
