"""Levels begin at opening balances, which change no answer and spare the history before them."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.books import opening_balances
from metrics_worker.books.fold import Entry, decode
from metrics_worker.books.opening_balances import misbrought
from metrics_worker.books.tables import NARROW, OPENING
from metrics_worker.domain.kinds import KIND_BY_NAME
from tests.metrics_worker.books.test_narrow import forget
from tests.metrics_worker.conftest import answers_to, book, narrow
from tests.metrics_worker.facts import CUSTOMER, OTHER_REP, VILNIUS, account, deal, line, moment, record, ticket

SPRING = {"from": "2026-02-10", "to": "2026-03-20"}
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("pipeline_value", {"region": "A", "segment": "smb"}),
    ("pipeline_value", {"region": "", "group_by": "stage"}),
    ("pipeline_value", {"region": "A", "segment": "smb", "interval": "week", "compare": "previous"}),
    ("pipeline_value", {"group_by": "customer"}),
    ("pipeline_value", {"from": "2026-03-01", "to": "2026-03-31", "region": "B", "group_by": "owner"}),
    ("pipeline_value", {"from": "2025-01-01", "to": "2026-12-31", "region": "B", "owner": str(OTHER_REP)}),
    ("pipeline_value", {"region": "A", "as_of": "2026-02-20T00:00:00Z", "group_by": "segment"}),
    ("pipeline_value", {"as_of": "2025-12-05T00:00:00Z", "interval": "month"}),
    ("pipeline_velocity", {"region": "A", "group_by": "segment"}),
    ("backlog", {"priority": "low", "region": "A", "interval": "day"}),
    ("unattended_now", {"group_by": "customer", "as_of": "2026-03-05T00:00:00Z"}),
]


def recorded(state: Any, sequence: int, at: datetime) -> list[Entry]:
    return decode(record(state, sequence, recorded_time=at), VILNIUS)


def history(*, first: int = 0, late: timedelta = timedelta()) -> list[Entry]:
    """Five months of deals and tickets, two of three of which end after a while, each told as it happened or late."""
    told: list[tuple[datetime, Any, int]] = []
    for number in range(first, first + 40):
        began = moment("2025-10-03T10:00") + timedelta(days=4 * number % 165)
        ended = began + timedelta(days=11 + number % 60)
        where = {"region": ("A", "B", None)[number % 3], "segment": ("smb", "large")[number % 2]}
        one = deal(line("desk", 1, f"{100 + number}"), opened_at=began, **where)
        asked = ticket(opened_at=began, priority=("low", "urgent")[number % 2], **where)
        told += [(began, one, 1), (began, asked, 1)]
        if number % 3:
            told.append((ended, _with(one, stage="lost", closed_at=ended), 2))
            told.append((ended, _with(asked, resolved_at=ended, first_responded_at=ended), 2))
    return [
        entry
        for at, state, number in sorted(told, key=lambda each: each[0])
        for entry in recorded(state, number, at + late)
    ]


def _with(state: Any, **fields: Any) -> Any:
    return type(state)(**{name: getattr(state, name) for name in state.__struct_fields__} | fields)


async def answers(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return await answers_to(QUESTIONS, client, SPRING)


async def opened(engine: AsyncEngine, kind: str = "deal") -> list[str]:
    """The days of which there are opening balances; all of them are what the postings come to."""
    async with engine.connect() as connection:
        for each in OPENING:
            assert await misbrought(connection, each) == []
        days = sa.text("SELECT day FROM opening_balance WHERE kind = :kind ORDER BY day")
        return [str(day) for day in (await connection.execute(days, {"kind": kind})).scalars()]


async def done(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text(statement))


async def agree_with_the_postings(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    with_copies = await answers(client)
    await forget(engine)
    assert await answers(client) == with_copies


async def test_opening_balances_change_no_answer(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await book(engine, history())
    before = await answers(client)
    assert len({str(each["value"]) for each in before}) > len(before) / 2
    await narrow(engine)
    assert len(await opened(engine)) >= 3
    assert await answers(client) == before
    # What the copies do not hold yet is added, the long past included.
    await book(engine, history(first=40, late=timedelta(days=150)))
    await agree_with_the_postings(client, engine)


async def test_history_before_an_opening_balance_is_not_looked_through(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await book(engine, history())
    await narrow(engine)
    asked = {"from": "2026-03-01", "to": "2026-03-20", "region": "A", "segment": "smb"}

    async def told(kpi: str, **more: str) -> Any:
        answer = await client.get(f"/v1/kpis/{kpi}", params=asked | more)
        return {name: each for name, each in answer.json().items() if name != "coverage"}

    questions = [("pipeline_value", {}), ("pipeline_value", {"interval": "day"}), ("backlog", {"group_by": "priority"})]
    before = [await told(kpi, **more) for kpi, more in questions]
    assert all(float(each["value"]) > 0 for each in before)
    for kind in ("deal", "ticket"):
        last = (await opened(engine, kind))[-1]
        await done(engine, f"DELETE FROM {kind}_narrow WHERE day < '{last}'")
    assert [await told(kpi, **more) for kpi, more in questions] == before
    # Nor are years between the ends, where nothing but the ends is asked about.
    assert (await told("pipeline_value", **{"from": "2025-01-01"}))["value"] == before[0]["value"]


async def test_what_comes_late_is_brought_to_all_days_after_it(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    entries = history()
    await book(engine, entries)
    await narrow(engine)
    days = await opened(engine)
    lasting = next(entry.state for entry in entries if entry.kind.name == "deal" and not entry.state.closed_at)
    await book(engine, recorded(_with(lasting, owner_id=OTHER_REP), 7, moment("2026-03-09T10:00")))
    await narrow(engine)
    assert await opened(engine) == days
    async with engine.connect() as connection:
        added = sa.text("SELECT max(rows_added) FROM opening_balance WHERE kind = 'deal'")
        assert await connection.scalar(added) == 2, "one under the owner before, and one under the other"
    await agree_with_the_postings(client, engine)


async def test_merged_customers_are_brought_forward_under_the_one_that_remains(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    remaining = account()
    await book(engine, history())
    await narrow(engine)
    gone = account(id=CUSTOMER, merged_into=remaining.id)
    await book(
        engine, recorded(remaining, 1, moment("2026-03-09T09:00")), recorded(gone, 1, moment("2026-03-09T10:00"))
    )
    await narrow(engine)
    assert await opened(engine)
    asked = await client.get("/v1/kpis/pipeline_value", params=SPRING | {"group_by": "customer"})
    assert [group["key"] for group in asked.json()["groups"]] == [str(remaining.id)]
    await agree_with_the_postings(client, engine)


async def test_where_too_much_comes_late_they_are_made_anew(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book(engine, history())
    await narrow(engine)
    days = await opened(engine)
    monkeypatch.setattr(opening_balances, "MOST_ADDED", 20)
    await book(engine, history(first=40, late=timedelta(days=70)))
    await narrow(engine)
    assert set(days) <= set(await opened(engine))
    async with engine.connect() as connection:
        added = sa.text("SELECT sum(rows_added) <= 20 FROM opening_balance WHERE kind = 'deal'")
        assert await connection.scalar(added)
    await agree_with_the_postings(client, engine)


async def test_those_to_which_much_was_added_are_packed(engine: AsyncEngine) -> None:
    await book(engine, history())
    await narrow(engine)
    for _ in range(3):
        await done(engine, "INSERT INTO deal_opening SELECT * FROM deal_opening")
    await done(engine, "UPDATE opening_balance SET rows_added = 1000 WHERE kind = 'deal'")
    await narrow(engine)
    assert await opened(engine)


async def test_there_are_none_of_days_that_the_books_have_not_come_to(engine: AsyncEngine) -> None:
    ahead = [deal(line("desk", 1, "5"), opened_at=moment("2027-05-02T10:00")) for _ in range(100)]
    await book(engine, history(), [entry for one in ahead for entry in recorded(one, 1, moment("2026-02-20T10:00"))])
    await narrow(engine)
    assert (await opened(engine))[-1] < "2026-06"


async def test_none_is_made_where_little_would_be_spared(engine: AsyncEngine) -> None:
    await book(engine, history())
    async with engine.connect() as connection:
        postings = await connection.scalar(sa.text("SELECT count(*) FROM deal_posting"))
    await narrow(engine)
    async with engine.connect() as connection:
        brought = await connection.scalar(sa.text("SELECT count(*) FROM deal_opening"))
    assert brought <= postings
    assert set(NARROW) > set(OPENING) == {KIND_BY_NAME[name] for name in ("account", "deal", "ticket", "relationship")}
