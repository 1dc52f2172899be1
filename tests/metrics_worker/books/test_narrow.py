"""Narrow copies change no answer, jump over no posting, and hold each of them once."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.books.ledger import Ledger
from metrics_worker.books.narrow import LOCK, Narrower, narrowed_until
from metrics_worker.books.tables import NARROW, OPENING, POSTING
from metrics_worker.domain.kinds import KIND_BY_NAME
from tests.metrics_worker.conftest import all_ended, answers_to, book, copied, narrow
from tests.metrics_worker.facts import VILNIUS, all_told, deal, lead, line, moment, ticket

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("win_rate", {"region": "A", "segment": "smb"}),
    ("win_rate", {"region": "A", "group_by": "segment", "interval": "week"}),
    ("revenue", {"region": "A", "product": "desk", "compare": "previous"}),
    ("revenue", {"region": "", "group_by": "product"}),
    ("revenue", {"group_by": "customer"}),
    ("pipeline_velocity", {"region": "B", "group_by": "owner"}),
    ("pipeline_value", {"region": "A", "segment": "smb", "interval": "day"}),
    ("sales_cycle_days", {"variant": "p90", "region": "A", "group_by": "segment"}),
    ("stage_conversion", {"region": "A", "stage": "proposal"}),
    ("revenue", {"region": "A", "segment": "nowhere"}),
    ("revenue", {"region": "A", "segment": "smb", "as_of": "2026-03-20T00:00:00Z"}),
    ("backlog", {"region": "A", "priority": "low", "group_by": "kind"}),
    ("resolution_hours", {"variant": "median", "region": "", "priority": "urgent", "interval": "month"}),
    ("unattended_now", {"group_by": "customer", "region": "A"}),
]


def facts(first: int) -> list[Any]:
    """Two dozen deals and tickets, a third of them without a region."""
    told: list[Any] = []
    for number in range(first, first + 24):
        region, day = ("A", "B", None)[number % 3], 1 + number % 27
        stage = ("won", "lost", "negotiation")[number // 3 % 3]
        told.append(
            deal(
                line("desk", 1, f"{100 + number}"),
                line("chair", 2, "20"),
                region=region,
                segment=("smb", "large")[number % 2],
                stage=stage,
                opened_at=moment("2026-02-20T10:00"),
                closed_at=None if stage == "negotiation" else moment(f"2026-03-{day:02}T10:00"),
            )
        )
        told.append(
            ticket(
                region=region,
                priority=("low", "urgent")[number % 2],
                opened_at=moment("2026-02-27T08:00"),
                resolved_at=moment(f"2026-03-{day:02}T11:00") if number % 4 else None,
            )
        )
    return told


async def answers(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return await answers_to(QUESTIONS, client, MARCH)


async def rows(engine: AsyncEngine, table: sa.Table) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def forget(engine: AsyncEngine) -> None:
    """Takes all copies away."""
    async with engine.begin() as connection:
        for table in ("narrowed", "opening_balance", *(each.name for each in (*NARROW.values(), *OPENING.values()))):
            await connection.execute(sa.text(f"DELETE FROM {table}"))


async def test_copies_change_no_answer(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    entries = all_told([(one, 1) for one in facts(0)])
    await book(engine, entries)
    before = await answers(client)
    assert len({str(each["value"]) for each in before}) > len(before) / 2
    await narrow(engine)
    assert await rows(engine, NARROW[KIND_BY_NAME["deal"]]) == await rows(engine, POSTING[KIND_BY_NAME["deal"]]) > 0
    assert await answers(client) == before
    # What comes after the copies, corrections of what they hold included, is read from the postings.
    amended = [(entry.state, 2) for entry in entries[:10]]
    await book(engine, all_told([(one, 1) for one in facts(24)]), all_told([(_moved(one), n) for one, n in amended]))
    after = await answers(client)
    assert after != before
    await forget(engine)
    assert await answers(client) == after


def _moved(state: Any) -> Any:
    return type(state)(**{name: getattr(state, name) for name in state.__struct_fields__} | {"region": "B"})


async def test_copies_are_what_is_read(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await book(engine, all_told([(one, 1) for one in facts(0)]))
    await narrow(engine)
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE deal_narrow SET won = won * 10"))
    asked = MARCH | {"region": "A", "segment": "smb"}
    assert (await client.get("/v1/kpis/sales_volume", params=asked)).json()["numerator"] % 10 == 0


async def test_a_posting_that_is_committed_late_is_not_jumped_over(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    narrower = Narrower(engine, enough=1)
    # Of different years: two transactions that add to one sum wait for each other.
    early = lead(region="A", channel="web", created_at=moment("2025-03-10T10:00"))
    late = lead(region="A", channel="web")
    async with engine.connect() as slow:
        await slow.execute(sa.text("SELECT 1"))
        await Ledger(VILNIUS).apply(slow, all_told([(late, 1)]))
        await book(engine, all_told([(early, 1)]))
        for _ in range(3):
            assert await narrower.look() == 0
        await slow.commit()
    await all_ended(engine)
    await copied(narrower, engine)
    assert await rows(engine, NARROW[KIND_BY_NAME["lead"]]) == 2
    asked = {"from": "2025-01-01", "to": "2026-12-31", "region": "A", "channel": "web"}
    assert (await client.get("/v1/kpis/leads_created", params=asked)).json()["numerator"] == 2


async def test_two_makers_copy_each_posting_once(engine: AsyncEngine) -> None:
    makers = [Narrower(engine, enough=1), Narrower(engine, enough=1)]
    for first in (0, 24):
        await book(engine, all_told([(one, 1) for one in facts(first)]))
        for maker in makers:
            await copied(maker, engine)
    deals = KIND_BY_NAME["deal"]
    assert await rows(engine, NARROW[deals]) == await rows(engine, POSTING[deals])


async def test_while_another_makes_a_copy_none_is_made(engine: AsyncEngine) -> None:
    await book(engine, all_told([(one, 1) for one in facts(0)]))
    async with engine.connect() as other:
        await other.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        await narrow(engine)
        assert await narrowed_until(other) == {}
    await narrow(engine)
    async with engine.connect() as connection:
        assert (await narrowed_until(connection)).keys() == {"deal", "ticket", "relationship"}


async def test_a_table_that_was_put_in_the_place_of_another_is_settled_anew(engine: AsyncEngine) -> None:
    await book(engine, all_told([(one, 1) for one in facts(0)]))
    narrower = Narrower(engine, enough=1)
    await narrower.look()
    async with engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE deal_posting RENAME TO deal_posting_before"))
        await connection.execute(sa.text("CREATE TABLE deal_posting (LIKE deal_posting_before INCLUDING ALL)"))
        await connection.execute(
            sa.text("INSERT INTO deal_posting OVERRIDING SYSTEM VALUE SELECT * FROM deal_posting_before")
        )
    try:
        await narrower.look()
        async with engine.connect() as connection:
            assert "deal" not in await narrowed_until(connection)
        await all_ended(engine)
        await narrower.look()
        async with engine.connect() as connection:
            assert "deal" in await narrowed_until(connection)
    finally:
        async with engine.begin() as connection:
            await connection.execute(sa.text("DROP TABLE deal_posting"))
            await connection.execute(sa.text("ALTER TABLE deal_posting_before RENAME TO deal_posting"))


@pytest.mark.parametrize("left", [1, 1_000_000])
async def test_little_is_left_to_the_postings(engine: AsyncEngine, left: int) -> None:
    await book(engine, all_told([(one, 1) for one in facts(0)]))
    await copied(Narrower(engine, enough=left), engine)
    async with engine.connect() as connection:
        assert bool(await narrowed_until(connection)) == (left == 1)
