"""Which statements an answer takes, and that no number depends on what is read together."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.ledger.status import open_ledger
from tests.metrics_worker.conftest import MARCH, ingest
from tests.metrics_worker.facts import all_decoded, deal, decoded, lead, line, moment, survey, ticket


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """Collects what is sent to the database meanwhile, transactions' beginnings and ends included."""
    sent: list[str] = []

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        # Types are looked up once a connection.
        if "typeinfo_tree" not in query.query and "current_setting('jit')" not in query.query:
            sent.append(query.query)

    def note_prepared(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    def listen(connection: Any, *_: object) -> None:
        connection.driver_connection.add_query_logger(note)

    def leave(connection: Any, *_: object) -> None:
        connection.driver_connection.remove_query_logger(note)

    sa.event.listen(engine.sync_engine, "checkout", listen)
    sa.event.listen(engine.sync_engine, "checkin", leave)
    sa.event.listen(engine.sync_engine, "after_cursor_execute", note_prepared)
    yield sent
    sa.event.remove(engine.sync_engine, "after_cursor_execute", note_prepared)
    sa.event.remove(engine.sync_engine, "checkout", listen)
    sa.event.remove(engine.sync_engine, "checkin", leave)


async def answer(client: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Any]:
    given = await client.get(f"/v1/{path}", params=MARCH | parameters)
    assert given.status_code == 200, given.text
    body: dict[str, Any] = given.json()
    return body


async def test_what_blocks_hold_is_read_by_one_statement(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path, parameters in (
        ("kpis/win_rate", {"group_by": "owner", "interval": "week", "compare": "previous"}),
        ("kpis/csat", {"group_by": "region"}),
        ("kpis/upsell_from_service", {}),
        ("scorecard", {"compare": "previous"}),
    ):
        with statements(app.state.engine) as sent:
            await answer(client, path, **parameters)
        begin, status, sums, targets, end = sent
        assert (begin, end) == ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "ROLLBACK;"), path
        # The status of the ledger: what it follows and how fresh it is.
        assert "FROM freshness" in status
        assert "FROM block" in sums
        assert "FROM target" in targets


async def test_what_takes_several_statements_is_read_in_one_snapshot(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path, parameters in (
        ("kpis/win_rate", {"region": "EMEA", "segment": "smb"}),
        ("kpis/win_rate", {"as_of": "2026-03-20T00:00:00Z"}),
        ("kpis/resolution_hours", {"variant": "p90"}),
    ):
        with statements(app.state.engine) as sent:
            await answer(client, path, **parameters)
        assert (sent[0], sent[-1]) == ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "ROLLBACK;"), path
        assert sent.count("ROLLBACK;") == 1


async def test_the_postings_are_scanned_once(client: httpx.AsyncClient, app: FastAPI) -> None:
    for kpi, variant in (
        ("pipeline_velocity", {}),
        ("win_rate", {}),
        ("backlog", {}),
        ("resolution_hours", {"variant": "p90"}),
    ):
        with statements(app.state.engine) as sent:
            await answer(client, f"kpis/{kpi}", region="EMEA", segment="smb", group_by="owner", **variant)
        assert sum("_posting" in each for each in sent) == 1, (kpi, sent)


async def test_a_value_that_no_posting_carries_selects_nothing(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await ingest(engine, decoded(lead(region="EMEA", segment="smb", channel=None)))
    for filters, created in (
        ({"region": "EMEA", "segment": "smb"}, 1),
        ({"region": "EMEA", "segment": "smb", "channel": ""}, 1),
        ({"region": "NOWHERE", "segment": "smb"}, 0),
        ({"region": "", "segment": "smb"}, 0),
    ):
        assert (await answer(client, "kpis/leads_created", **filters))["numerator"] == created, filters


async def test_an_answer_follows_the_time_zone_of_the_ledger_that_it_reads(
    client: httpx.AsyncClient, engine: AsyncEngine, app: FastAPI
) -> None:
    await open_ledger(engine, app.state.reporting)
    assert (await answer(client, "kpis/leads_created"))["timezone"] == "Europe/Vilnius"
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE ledger SET timezone = 'Europe/Brussels'"))
    assert (await answer(client, "kpis/leads_created"))["timezone"] == "Europe/Brussels"


@pytest.mark.parametrize("kpi", ["pipeline_velocity", "win_rate", "sales_volume", "sales_cycle_days"])
async def test_the_whole_of_deals_is_the_same_however_it_is_grouped(
    client: httpx.AsyncClient, engine: AsyncEngine, kpi: str
) -> None:
    opened, closed = moment("2026-02-20T10:00"), moment("2026-03-11T10:00")
    regions, stages = ("EMEA", "APAC"), ("won", "lost", "won", "negotiation")
    deals = [
        deal(
            line("desk", 1, "100"),
            line("chair", 1, "20"),
            region=regions[number % 2],
            stage=stages[number % 4],
            opened_at=opened,
            closed_at=None if stages[number % 4] == "negotiation" else closed,
        )
        for number in range(24)
    ]
    await ingest(engine, all_decoded(deals))
    numerator = (await answer(client, "kpis/pipeline_value"))["numerator"]
    assert numerator == "720.00"
    # From the postings: more than one dimension is involved. A deal of two products is in two groups, and once in all.
    await _is_the_same_however_grouped(client, kpi, {"region": "EMEA"}, "segment", "owner", "channel")
    if kpi != "pipeline_velocity":
        await _is_the_same_however_grouped(client, kpi, {"region": "EMEA", "segment": "smb"}, "product", "owner")


@pytest.mark.parametrize(
    ("kpi", "variant"),
    [
        ("resolution_hours", "mean"),
        ("resolution_hours", "p90"),
        ("backlog", "standard"),
        ("resolution_rate", "cohort"),
        ("csat", "top_two"),
    ],
)
async def test_the_whole_of_care_is_the_same_however_it_is_grouped(
    client: httpx.AsyncClient, engine: AsyncEngine, kpi: str, variant: str
) -> None:
    tickets = [
        ticket(
            region=("A", "B", None)[number % 3],
            priority=("low", "urgent")[number % 2],
            opened_at=moment("2026-03-02T08:00"),
            resolved_at=moment(f"2026-03-{3 + number:02}T09:00") if number % 5 else None,
        )
        for number in range(20)
    ]
    surveys = [survey(answered_at=moment("2026-03-12"), score=1 + number % 5, region="A") for number in range(20)]
    await ingest(engine, all_decoded([*tickets, *surveys]))
    asked = {"region": "A", "variant": variant}
    await _is_the_same_however_grouped(client, kpi, asked, "priority", "owner", "product")


async def _is_the_same_however_grouped(
    client: httpx.AsyncClient, kpi: str, asked: dict[str, str], *dimensions: str
) -> None:
    for more in ({}, {"interval": "week"}, {"compare": "previous"}):
        alone = await answer(client, f"kpis/{kpi}", **asked, **more)
        for dimension in dimensions:
            grouped = await answer(client, f"kpis/{kpi}", **asked, **more, group_by=dimension)
            assert grouped["groups"]
            assert grouped | {"groups": None, "groups_add_up": None} == alone


async def test_every_question_gets_a_plan_of_its_own(app: FastAPI) -> None:
    # After five times PostgreSQL would plan for any days at all, and look through a year as it does through a day.
    async with app.state.engine.connect() as connection:
        assert (await connection.execute(sa.text("SHOW plan_cache_mode"))).scalar_one() == "force_custom_plan"


async def test_connections_that_were_cut_are_done_with_after_one_answer(
    client: httpx.AsyncClient, engine: AsyncEngine, app: FastAPI
) -> None:
    async with AsyncExitStack() as stack:
        pooled = [await stack.enter_async_context(app.state.engine.connect()) for _ in range(3)]
        backends = [(await each.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one() for each in pooled]
    async with engine.connect() as connection:
        await connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS integer[])) AS pid"), {"pids": backends}
        )
    # The driver may learn of the cut before the statement or by it.
    cut = await client.get("/v1/kpis/win_rate", params=MARCH)
    assert (cut.status_code, "retry-after" in cut.headers) in ((200, False), (503, True))
    assert [(await client.get("/v1/kpis/win_rate", params=MARCH)).status_code for _ in range(5)] == [200] * 5
