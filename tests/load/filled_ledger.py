"""A ledger with many postings, written straight into the tables: in minutes, where the consumer would need hours."""

import asyncio

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS, KIND_BY_NAME, Kind
from metrics_worker.ledger.blocks import Block, Blocks, BlockWriter
from metrics_worker.ledger.bulk_insert import write
from metrics_worker.ledger.tables import CUSTOMER, POSTING, bucket_column
from metrics_worker.maintenance.stored_sums import summed_postings
from service_kit.compiled import driver_of

PARTS = 2
"""Writers of the blocks."""
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
    "answer_source": 2,
}
CUSTOMERS = 50_000
BUCKETS = 200
"""Of a duration: about as many as lie between a minute and a week. All of them are met every month."""
STANDING_DAYS = 20
"""How long each subject counts in the semi-additive measures of its kind."""
AT_ONCE = 2


async def fill_ledger(engine: AsyncEngine, postings: int) -> None:
    """Write so many postings, of all filled kinds together, spread evenly over 2024 and 2025, and their sums."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with free, engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            await _fill(connection, KIND_BY_NAME[name], postings // len(FILLED))

    async with engine.begin() as connection:
        for dimension in {name for kind in FILLED for name in KIND_BY_NAME[kind].dimensions if name != CUSTOMER}:
            await connection.execute(
                sa.text(
                    f"INSERT INTO dimension_value (value) SELECT {value_of(dimension, 'number')} "
                    f"FROM generate_series(0, {DIFFERENT[dimension] - 1}) AS number"
                )
            )
    async with asyncio.TaskGroup() as group:
        for name in FILLED:
            group.create_task(one(name))
    async with engine.connect() as plain:
        await run(await plain.execution_options(isolation_level="AUTOCOMMIT"), "VACUUM ANALYZE block")


def value_of(dimension: str, number: str) -> str:
    """SQL for one of a dimension's values."""
    if dimension in IDENTITY_DIMENSIONS:
        # Owners and teams differ: what has the same text has the same code.
        return f"overlay({_id(number)}::text PLACING '{'a' if dimension == 'owner' else 'b'}' FROM 15)"
    return f"'{dimension}-' || {number}"


async def chosen_of(connection: AsyncConnection, dimension: str, number: str) -> str:
    """SQL for one of a dimension's values as postings hold it, chosen by a hash of a row's number."""
    different = DIFFERENT.get(dimension, CUSTOMERS)
    chosen = f"abs(hashint8extended({number}, {sum(map(ord, dimension))})) % {different}"
    if dimension == CUSTOMER:
        return _id(chosen)
    numbers = f"generate_series(0, {different - 1}) AS number"
    codes = sa.text(
        f"SELECT array_agg(code ORDER BY number) FROM {numbers}"
        f" JOIN dimension_value ON value = {value_of(dimension, 'number')}"
    )
    return f"(ARRAY{(await connection.execute(codes)).scalar_one()})[1 + {chosen}]"


def _id(number: str) -> str:
    return f"(lpad(to_hex({number}), 8, '0') || '-0000-7000-8000-000000000000')::uuid"


async def _fill(connection: AsyncConnection, kind: Kind, postings: int) -> None:
    table = POSTING[kind]
    # A subject's one posting adds it to a semi-additive measure, the other removes it; both are whole or both shares.
    first = f"CASE WHEN number % 2 = 1 THEN number - {STANDING_DAYS * (postings // 731) // 4 * 4 + 1} ELSE number END"
    share = "number % 4 >= 2"

    def amount(level: str) -> str:
        return "1" if kind.measure_named(level).unit == "count" else "(subject % 3 + 1)"

    columns = {
        "event_id": "gen_random_uuid()", "subject_id": _id("subject"), "event_time": "now()",
        "recorded_time": "now()", "day": f"date '2024-01-01' + ((number * 731) / {postings})::integer",
        **{name: await chosen_of(connection, name, "subject") for name in kind.dimensions},
        **{
            name: f"CASE WHEN subject >= 0 AND NOT ({share}) THEN (1 - number % 2 * 2) * {amount(name)} END"
            if kind.measure_named(name).semi_additive
            else f"nullif((number + {position}) % 3, 0)"
            for position, name in enumerate(kind.measures)
        },
        **{bucket_column(name): f"(number * 7 + {at}) % {BUCKETS}" for at, name in enumerate(kind.durations)},
    }  # fmt: skip
    if kind.split_by is not None:
        columns["split"] = share
    await run(connection, "SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
    for index in table.indexes:
        # Made at the end, which is several times as fast.
        await connection.run_sync(index.drop)
    await run(
        connection,
        f"INSERT INTO {table.name} ({', '.join(columns)}) "
        f"SELECT {', '.join(columns.values())} FROM generate_series(0::bigint, {postings - 1}) AS number, "
        f"LATERAL (SELECT {first} AS subject) AS same",
    )
    for index in table.indexes:
        await connection.run_sync(index.create)
    await _write_blocks(connection, kind)
    await run(connection, f"VACUUM ANALYZE {table.name}")


async def _write_blocks(connection: AsyncConnection, kind: Kind) -> None:
    """The blocks of the kind's postings, as two consumers leave them that have shared the work evenly."""
    driver = await driver_of(connection)
    of_parts: list[Blocks] = [{} for _ in range(PARTS)]
    for key, block in (await summed_postings(connection, kind)).items():
        parts = [Block() for _ in range(PARTS)]
        for name in ("cells", "buckets"):
            for number, amount in getattr(block, name).items():
                for part, share in zip(parts, _shares(amount), strict=True):
                    getattr(part, name)[number] = share
        for blocks, part in zip(of_parts, parts, strict=True):
            blocks[key] = part
    for number, blocks in enumerate(of_parts):
        writer = BlockWriter(number)
        await writer.add(driver, blocks)
        await write(driver, writer.rows())


def _shares(amount: int) -> list[int]:
    whole, rest = divmod(amount, PARTS)
    return [whole + (number < rest) for number in range(PARTS)]


async def run(connection: AsyncConnection, statements: str) -> None:
    """Literal SQL."""
    for statement in statements.split("; "):
        await connection.execute(sa.text(statement.replace(":", r"\:")))
