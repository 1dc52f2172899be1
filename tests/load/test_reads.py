"""How long answers take over books with many postings, asked through the API without a network in between."""

import itertools
import random
import time
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import metrics_worker
from metrics_worker.app import create
from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_BALANCES, SEGMENT_BUCKETS
from metrics_worker.books.opening import open_books
from metrics_worker.books.tables import BALANCE, HISTOGRAM, POSTING, bucket_column
from metrics_worker.kpis.kinds import IDENTITY_DIMENSIONS, KIND_BY_NAME, Kind
from metrics_worker.kpis.posting import Reporting
from metrics_worker.kpis.registry import KPIS, Kpi
from metrics_worker.settings import MetricsSettings
from service_kit.migrations import migrate
from tandem_cli.issuer import Issuer
from tests.load.report import percentile, say

FILLED = ("lead", "deal", "ticket", "interaction", "survey")
DIFFERENT = {
    "region": 4,
    "segment": 4,
    "product": 20,
    "channel": 6,
    "priority": 4,
    "kind": 6,
    "owner": 60,
    "team": 12,
    "stage": 7,
}
CUSTOMERS = 50_000
BUCKETS = 200
"""Of a duration: about as many as lie between a minute and a week. All of them are met every month."""
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
    await open_books(engine, Reporting(ZoneInfo("UTC"), "EUR"))
    for name in FILLED:
        await fill(engine, KIND_BY_NAME[name], int(request.config.getoption("--postings")) // len(FILLED))
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


def value_of(dimension: str, number: str) -> str:
    """SQL for one of a dimension's values, chosen by a hash of a row's number."""
    different = DIFFERENT.get(dimension, CUSTOMERS)
    chosen = f"abs(hashint8extended({number}, {sum(map(ord, dimension))})) % {different}"
    if dimension in IDENTITY_DIMENSIONS:
        return f"lpad(to_hex({chosen}), 8, '0') || '-0000-7000-8000-000000000000'"
    return f"'{dimension}-' || {chosen}"


async def fill(engine: AsyncEngine, kind: Kind, postings: int) -> None:
    """Straight into the tables: postings spread evenly over two years, and the balances that they sum to."""
    told = {
        "event_id": "gen_random_uuid()", "subject_id": "gen_random_uuid()", "event_time": "now()",
        "recorded_time": "now()", "day": f"date '2024-01-01' + ((number * 731) / {postings})::integer",
        **{name: value_of(name, "number") for name in kind.dimensions},
        **{name: f"(number + {position}) % 3" for position, name in enumerate(kind.measures)},
        **{bucket_column(name): f"(number * 7 + {at}) % {BUCKETS}" for at, name in enumerate(kind.durations)},
    }  # fmt: skip
    if kind.split_by is not None:
        told["split"] = "number % 2 = 0"
    sums = ", ".join(f"sum({name})" for name in kind.measures)
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await run(
            connection,
            f"INSERT INTO {POSTING[kind].name} ({', '.join(told)}) "
            f"SELECT {', '.join(told.values())} FROM generate_series(0::bigint, {postings - 1}) AS number",
        )
        for dimension in (ALL, *kind.dimensions):
            if dimension == NOT_IN_BALANCES:
                continue
            value = f"'{NO_VALUE}'" if dimension == ALL else dimension
            counted = "" if kind.split_by is None else f"WHERE split = {str(dimension == kind.split_by).lower()}"
            for span in ("day", "month", "year"):
                first = f"date_trunc('{span}', day::timestamp)::date"
                await run(
                    connection,
                    f"INSERT INTO {BALANCE[kind].name} (dimension, span, value, day, {', '.join(kind.measures)}) "
                    f"SELECT '{dimension}', '{span}', {value}, {first}, {sums} FROM {POSTING[kind].name} {counted} "
                    "GROUP BY 3, 4",
                )
                for duration, counting in zip(kind.durations, kind.counting, strict=True):
                    if span != "day":
                        await run(
                            connection,
                            f"INSERT INTO {HISTOGRAM[kind].name} "
                            "(duration, dimension, span, value, day, segment, counts) "
                            f"SELECT '{duration}', '{dimension}', '{span}', value, first, bucket / {SEGMENT_BUCKETS}, "
                            "array_agg(coalesce(count, 0) ORDER BY bucket) FROM ("
                            f"SELECT {value} AS value, {first} AS first, {bucket_column(duration)} AS bucket, "
                            f"sum({kind.measures[counting]}) AS count FROM {POSTING[kind].name} {counted} "
                            "GROUP BY 1, 2, 3) AS counted GROUP BY 4, 5, 6",
                        )
        await run(connection, f"VACUUM ANALYZE {POSTING[kind].name}, {BALANCE[kind].name}")


async def run(connection: AsyncConnection, statement: str) -> None:
    await connection.execute(sa.text(statement.replace(":", r"\:")))


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
