"""Books with many postings, written straight into the tables: what the consumer would need hours for, in minutes."""

import asyncio

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_BALANCES, SEGMENT_BUCKETS
from metrics_worker.books.narrow import Narrower, narrowed_until
from metrics_worker.books.tables import BALANCE, HISTOGRAM, NARROW, POSTING, bucket_column
from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS, KIND_BY_NAME, Kind

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
STANDING_DAYS = 20
"""For so long each subject stands in the levels of its kind."""
AT_ONCE = 2


async def fill_books(engine: AsyncEngine, postings: int) -> None:
    """So many postings, of all filled kinds together, spread evenly over 2024 and 2025; and what they sum to."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with free, engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            await _fill(connection, KIND_BY_NAME[name], postings // len(FILLED))

    async with asyncio.TaskGroup() as group:
        for name in FILLED:
            group.create_task(one(name))
    narrower = Narrower(engine, enough=1)
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        # At its first look it does not know yet what is settled.
        while not set(FILLED) <= (await narrowed_until(connection)).keys():
            await narrower.look()
        tables = [NARROW[KIND_BY_NAME[name]].name for name in FILLED]
        await run(connection, f"VACUUM ANALYZE {', '.join([*tables, 'dimension_value'])}")


def value_of(dimension: str, number: str) -> str:
    """SQL for one of a dimension's values, chosen by a hash of a row's number."""
    different = DIFFERENT.get(dimension, CUSTOMERS)
    chosen = f"abs(hashint8extended({number}, {sum(map(ord, dimension))})) % {different}"
    return f"{_id(chosen)}::text" if dimension in IDENTITY_DIMENSIONS else f"'{dimension}-' || {chosen}"


def _id(number: str) -> str:
    return f"(lpad(to_hex({number}), 8, '0') || '-0000-7000-8000-000000000000')::uuid"


async def _fill(connection: AsyncConnection, kind: Kind, postings: int) -> None:
    table = POSTING[kind]
    # A subject begins to stand with one of its two postings and ends with the other, both whole or both shares.
    first = f"CASE WHEN number % 2 = 1 THEN number - {STANDING_DAYS * (postings // 731) // 4 * 4 + 1} ELSE number END"
    share = "number % 4 >= 2"

    def amount(level: str) -> str:
        return "1" if kind.measure_named(level).unit == "count" else "(subject % 3 + 1)"

    told = {
        "event_id": "gen_random_uuid()", "subject_id": _id("subject"), "event_time": "now()",
        "recorded_time": "now()", "day": f"date '2024-01-01' + ((number * 731) / {postings})::integer",
        **{name: value_of(name, "subject") for name in kind.dimensions},
        **{
            name: f"CASE WHEN subject >= 0 AND NOT ({share}) THEN (1 - number % 2 * 2) * {amount(name)} END"
            if kind.measure_named(name).semi_additive
            else f"nullif((number + {position}) % 3, 0)"
            for position, name in enumerate(kind.measures)
        },
        **{bucket_column(name): f"(number * 7 + {at}) % {BUCKETS}" for at, name in enumerate(kind.durations)},
    }  # fmt: skip
    if kind.split_by is not None:
        told["split"] = share
    await run(connection, "SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
    for index in table.indexes:
        # Made at the end, which is several times as fast.
        await connection.run_sync(index.drop)
    await run(
        connection,
        f"INSERT INTO {table.name} ({', '.join(told)}) "
        f"SELECT {', '.join(told.values())} FROM generate_series(0::bigint, {postings - 1}) AS number, "
        f"LATERAL (SELECT {first} AS subject) AS same",
    )
    for index in table.indexes:
        await connection.run_sync(index.create)
    kept = [name for name in kind.dimensions if name != NOT_IN_BALANCES]
    if kind.split_by is None:
        await _sum_up(connection, kind, [ALL, *kept], "true")
    else:
        await _sum_up(connection, kind, [ALL, *(name for name in kept if name != kind.split_by)], "NOT split")
        await _sum_up(connection, kind, [kind.split_by], "split")
    tables = [table.name, BALANCE[kind].name, *([HISTOGRAM[kind].name] if kind.durations else [])]
    await run(connection, f"VACUUM ANALYZE {', '.join(tables)}")


async def _sum_up(connection: AsyncConnection, kind: Kind, dimensions: list[str], counted: str) -> None:
    """The balances and histograms of some dimensions: days in one look through the postings, longer spans from them."""
    balance, measures = BALANCE[kind].name, ", ".join(kind.measures)
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in kind.measures)
    columns = [name for name in dimensions if name != ALL]
    # Of the columns a row was not grouped by, `grouping` has the bit set; the one without is the row's dimension.
    cases = "".join(f"WHEN grouping({name}) = 0 THEN " + "{" + name + "} " for name in columns)
    dimension = f"CASE {cases.format(**{name: repr(name) for name in columns})} ELSE '{ALL}' END"
    value = f"CASE {cases.format(**{name: name for name in columns})} ELSE '{NO_VALUE}' END"

    def sets(*with_each: str) -> str:
        return ", ".join(f"({', '.join([*with_each, *([] if name == ALL else [name])])})" for name in dimensions)

    await run(
        connection,
        f"INSERT INTO {balance} (dimension, span, value, day, {measures}) "
        f"SELECT {dimension}, 'day', {value}, day, {sums} FROM {POSTING[kind].name} WHERE {counted} "
        f"GROUP BY GROUPING SETS ({sets('day')})",
    )
    for span, of in (("month", "day"), ("year", "month")):
        await run(
            connection,
            f"INSERT INTO {balance} (dimension, span, value, day, {measures}) "
            f"SELECT dimension, '{span}', value, date_trunc('{span}', day::timestamp)::date, {sums} FROM {balance} "
            f"WHERE span = '{of}' AND dimension = ANY (ARRAY{dimensions}) GROUP BY 1, 2, 3, 4",
        )
    for duration, counting in zip(kind.durations, kind.counting, strict=True):
        for span in ("month", "year"):
            await run(
                connection,
                f"INSERT INTO {HISTOGRAM[kind].name} (duration, dimension, span, value, day, segment, counts) "
                f"SELECT '{duration}', dimension, '{span}', value, first, bucket / {SEGMENT_BUCKETS}, "
                "array_agg(coalesce(count, 0) ORDER BY bucket) FROM ("
                f"SELECT {dimension} AS dimension, {value} AS value, first, bucket, sum(count) AS count FROM ("
                f"SELECT *, date_trunc('{span}', day::timestamp)::date AS first, {bucket_column(duration)} AS bucket, "
                f"{kind.measures[counting]} AS count FROM {POSTING[kind].name} WHERE {counted}) AS told "
                f"GROUP BY GROUPING SETS ({sets('first', 'bucket')})) AS counted GROUP BY 2, 4, 5, 6",
            )


async def run(connection: AsyncConnection, statements: str) -> None:
    """SQL as it stands."""
    for statement in statements.split("; "):
        await connection.execute(sa.text(statement.replace(":", r"\:")))
