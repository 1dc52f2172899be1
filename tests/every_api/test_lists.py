"""Every list of every API: all that it declares is listed here, read once, and served by an index."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import Any, get_args
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi.dependencies.utils import get_flat_params
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import sales_api
import service_api
from service_kit.custom_fields.listing import custom_filters, custom_sorts
from service_kit.custom_fields.model import FieldType
from service_kit.custom_fields.values import DeclaredField
from service_kit.lists.cursors import CursorScope
from service_kit.lists.listing import Listing, ListQuery, ListRequest, Matching
from service_kit.lists.parameters import FilterParameter
from service_kit.lists.sorting import Position
from service_kit.migrations import migrate
from service_kit.routing import StrictRoute
from service_kit.settings import DatabaseSettings
from tests.every_api.filled import fill
from tests.every_api.test_every_route import make_app

ROWS = 10_000
# An open survey of a kind is one of its ticket; what a rule planned, one of what it follows.
VALUES = {
    "exchange_rate": {"on": "date '2026-01-01' + n"},
    "survey": {"ticket_id": "md5(n::text)::uuid"},
    "activity": {"trigger_id": "md5(n::text)::uuid"},
    "onboarding_step": {"deal_id": "md5(n::text)::uuid"},
    "check_in": {"trigger_id": "md5(n::text)::uuid"},
}
APIS: dict[str, ModuleType] = {"sales-api": sales_api, "service-api": service_api}
NOWHERE = CursorScope("", b"")


def routes_of(api: str) -> list[StrictRoute]:
    routes: list[StrictRoute] = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").state.routes
    return routes


def listings_of(api: str) -> Iterator[Listing]:
    for route in routes_of(api):
        for dependency in route.given.values():
            if isinstance(dependency, ListRequest) and "cursor" in dependency.parameters:
                yield dependency.listing


LISTINGS = [(api, listing) for api in APIS for listing in listings_of(api)]
each_list = pytest.mark.parametrize(("api", "listing"), LISTINGS, ids=lambda value: getattr(value, "name", value))
LARGE = [(api, listing) for api, listing in LISTINGS if not listing.is_small]
each_large_list = pytest.mark.parametrize(("api", "listing"), LARGE, ids=lambda value: getattr(value, "name", value))


def test_every_list_is_declared() -> None:
    """A route with a cursor that is not made of a `Listing` would have none of its filters, orders and tests."""
    for api in APIS:
        for route in routes_of(api):
            if route.name.endswith(("_audit", "_events")):
                continue
            parameters = {each.alias for each in get_flat_params(route.dependant)}
            assert "cursor" not in parameters, f"{route.name} pages by itself"
    assert len(LISTINGS) >= 24
    assert {listing.name for _, listing in LISTINGS if listing.is_small} == {
        "dead_letter",
        "interaction",
        "saved_view",
        "custom_field",
        "list_value",
    }


@each_list
def test_every_noun_has_what_all_lists_have(api: str, listing: Listing) -> None:
    assert {"ids", "updated_since"} <= listing.filters.keys() or listing.is_small
    assert {"id", "-id"} <= listing.sorts.keys()
    columns = {name for name in listing.read.model_fields if name in listing.table.c}
    if listing.is_small:
        return
    people = {name for name in columns if name in ("owner_id", "agent_id", "team_id", "account_id", "customer_id")}
    for name in people:
        assert name in listing.filters, f"{name} is shown and not filtered by"
        assert name.removesuffix("_id") in listing.includes, f"{name} is shown and not included"
    timed = {name for name in columns if isinstance(listing.table.c[name].type, sa.DateTime)}
    assert len(listing.sorts) > 2 or not timed
    if "name" in columns:
        assert listing.search is not None
        assert "name" in listing.sorts


@pytest.fixture(scope="module")
async def filled(new_database: Callable[[str], str]) -> AsyncIterator[dict[str, AsyncEngine]]:
    """The databases of both services, each table of a list with many rows."""
    engines = {}
    for api, package in APIS.items():
        url = new_database("filled")
        await migrate(package, DatabaseSettings(database_url=url))
        engines[api] = create_async_engine(url)
        for listing in (each for of_api, each in LARGE if of_api == api):
            async with engines[api].begin() as connection:
                await fill(connection, listing.table, ROWS, VALUES.get(listing.name))
        async with engines[api].connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(sa.text("VACUUM ANALYZE"))
    yield engines
    for engine in engines.values():
        await engine.dispose()


def sql_of(statement: sa.Select[Any]) -> str:
    dialect: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


async def plan_of(connection: AsyncConnection, listing: Listing, query: ListQuery) -> str:
    statement = listing.selected(query, Matching([*query.conditions], None), limit=51)
    return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {sql_of(statement)}".replace("%%", "%"))).scalars())


async def value_in(connection: AsyncConnection, each: FilterParameter) -> Any:
    """A value that some rows have, in the middle of all."""
    column = each.column
    some = sa.select(column).where(column.is_not(None)).limit(1001).subquery()
    query = sa.select(some.c[0]).order_by(some.c[0]).offset(500).limit(1)
    value = (await connection.execute(query)).scalar_one()
    return [value] if each.repeats else value


SEARCHED = ("Žem", "casa verde 12", "+49 171 4711", "ref-17")


@each_large_list
async def test_nothing_that_is_asked_of_a_list_scans_or_sorts_its_table(
    api: str, listing: Listing, filled: dict[str, AsyncEngine]
) -> None:
    """No declared filter, no order from any place on, and no search. All that fail are reported."""
    failed: list[str] = []
    async with filled[api].connect() as connection:

        async def check(what: str, query: ListQuery, *, may_sort: bool = True) -> None:
            plan = await plan_of(connection, listing, query)
            # What is sorted are the records of the page.
            estimates = [line for line in plan.splitlines() if "Sort  (" in line and "Incremental" not in line]
            rows = [int(line.partition("rows=")[2].partition(" ")[0]) for line in estimates]
            if f"Seq Scan on {listing.table.name} " in plan or (not may_sort and max(rows, default=0) > ROWS // 50):
                failed.append(f"{what}:\n{plan}")

        for name, each in listing.filters.items():
            value = name.endswith("_is_null") or await value_in(connection, each)
            await check(name, ListQuery(NOWHERE, (each.condition(value),), sort=listing.sorts["-id"]))
        for name, sort in listing.sorts.items():
            row = (await connection.execute(sa.select(listing.table.c.id, sort.expression).offset(500).limit(1))).one()
            for after in (None, Position(row[1], row[0]), *([Position(None, row[0])] if sort.is_nullable else [])):
                await check(f"sort={name} after {after}", ListQuery(NOWHERE, sort=sort, after=after), may_sort=False)
        for text in SEARCHED if listing.search is not None else ():
            for order in (None, listing.sorts["-updated_at"]):
                await check(f"q={text}", ListQuery(NOWHERE, sort=order, text=text))
    assert not failed, "\n\n".join(failed)


FIELDS = [
    DeclaredField(id=UUID(int=place), name=f"of_{type_}", type=type_, options=("north", "south"))
    for place, type_ in enumerate(get_args(FieldType), 1)
]
_FILL_CUSTOM = """
    INSERT INTO custom_value (record_id, field_id, text, number, day)
    SELECT each.id, field.id, CASE field.type
            WHEN 'number' THEN (hashint4(n::int) & 65535)::text
            WHEN 'date' THEN (date '2026-01-01' + (hashint4(n::int) & 1023))::text
            WHEN 'boolean' THEN (n % 3 = 0)::text
            WHEN 'text' THEN 'remark ' || n
            WHEN 'url' THEN 'https://example.com/' || n
            ELSE (array['north', 'south'])[1 + n % 2] END,
        CASE field.type WHEN 'number' THEN hashint4(n::int) & 65535 END,
        CASE field.type WHEN 'date' THEN date '2026-01-01' + (hashint4(n::int) & 1023) END
    FROM (SELECT id, row_number() OVER () AS n FROM {table}) AS each
    CROSS JOIN jsonb_to_recordset(CAST(:fields AS jsonb)) AS field(id uuid, type text)
    WHERE n % 10 > 0
"""


async def test_no_custom_field_makes_a_list_scan_its_table(filled: dict[str, AsyncEngine]) -> None:
    """Neither a filter nor an order by any type of field, alone and together with a filter of the list's own."""
    failed: list[str] = []
    given = json.dumps([{"id": str(each.id), "type": each.type} for each in FIELDS])
    for api, listing in LARGE:
        if listing.custom_noun is None:
            continue
        async with filled[api].begin() as connection:
            await connection.execute(sa.text("TRUNCATE custom_value"))
            fill_custom = sa.text(_FILL_CUSTOM.replace("{table}", listing.table.name))
            await connection.execute(fill_custom, {"fields": given})
        async with filled[api].connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(sa.text("VACUUM ANALYZE custom_value"))
            values = {"number": Decimal(60_000), "date": date(2026, 3, 31), "boolean": True}
            filters, sorts = custom_filters(listing.table, FIELDS), custom_sorts(listing.table, FIELDS)
            queries: dict[str, ListQuery] = {}
            for name, each in filters.items():
                type_ = name.removeprefix("custom.of_").partition("_")[0]
                value = name.endswith("_is_null") or values.get(type_, "remark 501" if type_ == "text" else "north")
                condition = each.condition([value] if each.repeats else value)
                queries[name] = ListQuery(NOWHERE, (condition,), sort=listing.sorts["-id"])
            for name, sort in sorts.items():
                queries[name] = ListQuery(NOWHERE, sort=sort)
            for name, query in queries.items():
                plan = await plan_of(connection, listing, query)
                if any(f"Seq Scan on {table} " in plan for table in (listing.table.name, "custom_value")):
                    failed.append(f"{listing.table.name} {name}:\n{plan}")
    assert not failed, "\n\n".join(failed)
