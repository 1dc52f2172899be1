"""Exports: every posting, exactly, in two formats; and views that show the same in SQL."""

import asyncio
import csv
import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import metrics_worker
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.ledger.status import open_ledger
from metrics_worker.queries import export as postings
from metrics_worker.queries.bi_views import drop_views, make_views, views
from metrics_worker.queries.export import exported_columns
from metrics_worker.settings import MetricsSettings
from service_kit.csv_rows import neutralised
from service_kit.migrations import migrate
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import ingest
from tests.metrics_worker.facts import CUSTOMER, all_decoded, deal, lead, line
from tests.support import within

MARCH = "from=2026-03-01&to=2026-03-31"
BI = (Path(__file__).parents[3] / "docs/bi.md").read_text()


async def as_csv(client: httpx.AsyncClient, query: str) -> list[dict[str, str]]:
    answer = await client.get(f"/v1/exports/postings?{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_csv_export_holds_every_posting_of_the_days(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    won = deal(line("desk", 2, "10.50"), stage="won", segment=None)
    await ingest(engine, all_decoded([(won, 1)]), all_decoded([(deal(id=won.id), 2)]))
    rows = await as_csv(client, f"kind=deal&{MARCH}")
    assert sum(int(row["revenue"]) for row in rows if row["split"] == "false") == 0, "what was taken back is there too"
    first = next(row for row in rows if row["split"] == "true" and row["revenue"] == "1050")
    assert (first["day"], first["region"], first["segment"], first["product"]) == ("2026-03-10", "EMEA", "", "desk")
    assert (first["event_time"], first["customer"]) == ("2026-03-10T08:00:00Z", str(CUSTOMER))
    assert {row["won"] for row in rows} == {"1", "-1", "0"}
    assert await as_csv(client, "kind=deal&from=2026-04-01&to=2026-04-30") == []


async def test_round_amounts_are_whole_numbers_in_csv(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    worth = ("100", "1200", "1000000")
    await ingest(engine, all_decoded([(deal(line("desk", 1, amount), stage="won"), 1) for amount in worth]))
    rows = await as_csv(client, f"kind=deal&{MARCH}")
    assert {row["revenue"] for row in rows} == {"10000", "120000", "100000000"}


async def test_a_parquet_export_holds_the_same(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "PARQUET_ROWS", 7)
    await ingest(engine, all_decoded([(deal(line("desk", 1, "10"), stage="won"), 1) for _ in range(10)]))
    answer = await client.get(f"/v1/exports/postings?kind=deal&{MARCH}&format=parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="deal-postings-2026-03-01-2026-03-31.parquet"'
    )
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.column_names == [column.name for column in exported_columns(KIND_BY_NAME["deal"])]
    assert pq.ParquetFile(io.BytesIO(answer.content)).num_row_groups == 3
    assert sum(table["revenue"].to_pylist()) == Decimal(20 * 1000)
    plain = [
        {name: str(value) for name, value in row.items()} for row in table.select(["subject_id", "day"]).to_pylist()
    ]
    assert sorted(plain, key=str) == sorted(
        ({name: row[name] for name in ("subject_id", "day")} for row in await as_csv(client, f"kind=deal&{MARCH}")),
        key=str,
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
async def test_text_that_begins_like_a_formula_is_neutralised(
    client: httpx.AsyncClient, engine: AsyncEngine, text: str
) -> None:
    assert neutralised(text) == f"'{text}"
    await ingest(engine, all_decoded([(lead(channel=text), 1)]))
    assert {row["channel"] for row in await as_csv(client, f"kind=lead&{MARCH}")} == {f"'{text}"}


async def test_who_only_reads_kpis_may_not_take_the_postings_away(client: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(['sales-rep'])}"}
    assert (await client.get("/v1/exports/postings?kind=deal", headers=headers)).status_code == 403


@pytest.mark.parametrize("query", ["", "kind=made-up", "kind=customer", "kind=deal&format=xls"])
async def test_an_export_that_cannot_be_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/exports/postings?{query}")).status_code == 422


async def test_an_export_that_is_broken_off_gives_back_what_it_held(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "CSV_ROWS", 1)
    await ingest(engine, all_decoded([(lead(), 1) for _ in range(50)]))
    headers = [(b"host", b"metrics"), (b"authorization", client.headers["authorization"].encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/v1/exports/postings", "query_string": f"kind=lead&{MARCH}".encode(), "headers": headers,
    }  # fmt: skip
    sent: list[Any] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 5:
            gone.set()
            await asyncio.Event().wait()

    for _ in range(4):
        sent.clear()
        gone.clear()
        await within(app(scope, receive, send), 10)
        assert sent[0]["status"] == 200
    assert app.state.engine.pool.checkedout() == 0


async def test_no_more_exports_run_at_once_than_may(app: FastAPI, client: httpx.AsyncClient) -> None:
    free: asyncio.Semaphore = app.state.exports_free
    while not free.locked():
        await free.acquire()
    refused = await client.get("/v1/exports/postings?kind=deal")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    free.release()
    assert (await client.get("/v1/exports/postings?kind=deal")).status_code == 200
    free.release()


async def test_the_documented_queries_give_what_the_api_gives(
    client: httpx.AsyncClient, engine: AsyncEngine, settings: MetricsSettings
) -> None:
    await ingest(
        engine, all_decoded([(deal(line("desk", 1, "10.50"), stage=stage), 1) for stage in ("won", "won", "lost")])
    )
    await open_ledger(engine, settings.reporting)
    queries = re.findall(r"^```sql\n(SELECT.*?)^```", BI, re.MULTILINE | re.DOTALL)
    assert len(queries) == 2
    async with engine.connect() as connection:
        revenue, win_rate = [(await connection.execute(sa.text(query))).one() for query in queries]
    asked = {"from": "2026-01-01", "to": "2026-12-31"}
    assert str(revenue.revenue) == (await client.get("/v1/kpis/revenue", params=asked)).json()["value"] == "21.00"
    (group,) = (await client.get("/v1/kpis/win_rate", params=asked | {"group_by": "region"})).json()["groups"]
    assert (win_rate.region, str(round(win_rate.win_rate, 6))) == (group["key"], group["value"])


async def test_a_reader_of_the_views_needs_no_right_to_the_tables(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        for statement in (
            "DROP ROLE IF EXISTS bi_reader_of_tests",
            "CREATE ROLE bi_reader_of_tests",
            "GRANT USAGE ON SCHEMA bi TO bi_reader_of_tests",
            "GRANT SELECT ON ALL TABLES IN SCHEMA bi TO bi_reader_of_tests",
            "SET LOCAL ROLE bi_reader_of_tests",
        ):
            await connection.execute(sa.text(statement))
        for name, _ in views():
            await connection.execute(sa.text(f"SELECT * FROM bi.{name}"))
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            await connection.execute(sa.text("SELECT * FROM public.deal_posting"))
        await connection.rollback()


async def test_views_are_made_again_when_they_are_not_those_of_the_code(
    engine: AsyncEngine, settings: MetricsSettings
) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("DROP VIEW bi.deal_daily"))
        await connection.execute(sa.text("CREATE VIEW bi.of_old AS SELECT 1 AS one"))
        await connection.execute(sa.text("COMMENT ON SCHEMA bi IS 'of old'"))
    await migrate(metrics_worker, settings)
    async with engine.begin() as connection:
        view_names = "SELECT viewname FROM pg_views WHERE schemaname = 'bi'"
        assert set((await connection.execute(sa.text(view_names))).scalars()) == {name for name, _ in views()}
        await connection.run_sync(lambda sync: make_views(sync, anew=True))


async def test_views_are_not_in_the_way_of_a_migration(engine: AsyncEngine) -> None:
    change = sa.text("ALTER TABLE deal_posting ALTER COLUMN channel TYPE bigint")
    async with engine.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError, match="used by a view"):
            await connection.execute(change)
        await connection.rollback()
        await connection.run_sync(drop_views)
        await connection.execute(change)
        await connection.run_sync(make_views)
        assert (await connection.execute(sa.text("SELECT count(*) FROM bi.deal_postings"))).scalar_one() == 0
        await connection.rollback()
