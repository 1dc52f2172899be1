"""The unit of work: what it reads and writes, with how many statements, and what it leaves when it fails."""

import asyncio
import contextlib
import uuid
from dataclasses import field
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from event_contracts.service import CustomerRegistered
from service_kit import outbox
from service_kit.compiled import CompiledStatement
from service_kit.entities import column
from service_kit.identifiers import new_id
from service_kit.unit_of_work import ClaimTaken, StaleEntity, UnitOfWork, units_of_work
from tests.service_kit.toy import Base
from tests.statements import statements_of


class Bottle(Base, table="bottle", audited=False):
    crate_id: Annotated[UUID, column(sa.ForeignKey("crate.id"), primary_key=True)]
    position: Annotated[int, column(primary_key=True)]
    wine: str


class Crate(Base, table="crate", audited=False):
    id: Annotated[UUID, column(primary_key=True)]
    version: int = 1
    name: str
    size: int = 0
    inside_id: Annotated[UUID | None, column(sa.ForeignKey("crate.id"))] = None
    marks: Annotated[list[dict[str, str]] | None, column(JSONB)] = None
    words: Annotated[list[str | None] | None, column(sa.ARRAY(sa.Text))] = None
    days: Annotated[list[date] | None, column(sa.ARRAY(sa.Date))] = None
    bottles: list[Bottle] = field(default_factory=list)

    def fill(self, *wines: str) -> None:
        self.bottles = [Bottle(crate_id=self.id, position=n, wine=wine) for n, wine in enumerate(wines)]
        self.version += 1

    def grow(self) -> None:
        self.size += 1
        self.version += 1


NAMED = CompiledStatement(sa.select(Crate.table.c.size).where(Crate.table.c.name == sa.bindparam("name")))


def a_crate(*wines: str, name: str | None = None, **fields: Any) -> Crate:
    crate = Crate(id=new_id(), name=name or uuid.uuid4().hex, **fields)
    crate.fill(*wines)
    crate.version = 1
    return crate


async def kept(engine: AsyncEngine, *crates: Crate) -> None:
    async with units_of_work(engine)() as work:
        for crate in crates:
            work.add(crate)
        await work.commit()


async def read(engine: AsyncEngine, crate_id: UUID) -> Crate | None:
    async with units_of_work(engine)(only_reads=True) as work:
        return await work.get(Crate, crate_id)


async def edited(work: UnitOfWork, crate: Crate) -> Crate:
    found = await work.edit(Crate, crate.id)
    assert found is not None
    return found


def publish(work: UnitOfWork, crate: Crate) -> None:
    now = datetime.now(UTC)
    event = CustomerRegistered(id=crate.id, region=None, segment=None, registered_at=now)
    outbox.write(work, event, sequence=crate.version, time=now, partition_key=crate.id)


async def events_of(engine: AsyncEngine, crate: Crate) -> int:
    query = sa.select(sa.func.count()).where(outbox.outbox.c.aggregateid == str(crate.id))
    async with engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one())


async def test_new_rows_and_their_events_leave_in_one_statement(engine: AsyncEngine) -> None:
    crate = a_crate("Rioja", "Douro", marks=[{"at": "the top"}])
    async with statements_of(engine) as sent, units_of_work(engine)() as work:
        work.add(crate)
        publish(work, crate)
        publish(work, crate)
        await work.commit()
    assert len(sent) == 1, sent
    found = await read(engine, crate.id)
    assert found is not None
    assert [bottle.wine for bottle in found.bottles] == ["Rioja", "Douro"]
    assert (found.name, found.marks) == (crate.name, [{"at": "the top"}])
    assert await events_of(engine, crate) == 2


async def test_new_rows_refer_to_each_other_in_any_order(engine: AsyncEngine) -> None:
    outer = a_crate(marks=[{"at": "the top"}])
    await kept(engine, inner := a_crate(inside_id=outer.id), outer)
    found = await read(engine, inner.id)
    assert found is not None
    assert found.inside_id == outer.id


async def test_lists_of_many_new_rows_are_kept_as_they_are(engine: AsyncEngine) -> None:
    words = [["plain", 'in "quotes"', "back\\slash", "{a,b}", " ", "", "NULL", None, "Žemaitė"], [], None, ["one"]]
    crates = [a_crate(words=each, days=[date(2026, 2, 28)] * place) for place, each in enumerate(words)]
    await kept(engine, *crates)
    for place, (crate, expected) in enumerate(zip(crates, words, strict=True)):
        found = await read(engine, crate.id)
        assert found is not None
        assert (found.words, found.days) == (expected, [date(2026, 2, 28)] * place)


async def test_an_edit_is_two_statements_and_writes_what_has_changed(engine: AsyncEngine) -> None:
    crate = a_crate("Rioja")
    await kept(engine, crate)
    async with statements_of(engine) as sent, units_of_work(engine)() as work:
        found = await edited(work, crate)
        found.grow()
        publish(work, found)
        await work.commit()
    assert len(sent) == 2, sent
    assert "SET version=" in sent[1]
    assert "size=" in sent[1]
    assert "name=" not in sent[1]
    assert "bottle" not in sent[1]


async def test_what_has_not_changed_is_not_written(engine: AsyncEngine) -> None:
    crate = a_crate()
    await kept(engine, crate)
    async with statements_of(engine) as sent, units_of_work(engine)() as work:
        (await edited(work, crate)).name = crate.name
        await work.commit()
    assert len(sent) == 1, sent


@pytest.mark.parametrize(
    "wines", [(), ("Rioja",), ("Rioja", "Dão"), ("Dão", "Rioja", "Douro"), ("Rioja", "Douro", "Dão", "Lugana")]
)
async def test_child_rows_follow_their_parent(engine: AsyncEngine, wines: tuple[str, ...]) -> None:
    crate = a_crate("Rioja", "Douro")
    await kept(engine, crate)
    async with units_of_work(engine)() as work:
        (await edited(work, crate)).fill(*wines)
        await work.commit()
    found = await read(engine, crate.id)
    assert found is not None
    assert tuple(bottle.wine for bottle in found.bottles) == wines


async def test_a_stale_edit_leaves_nothing(engine: AsyncEngine) -> None:
    crate = a_crate()
    await kept(engine, crate)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        slow, quick = await edited(work, crate), await edited(other, crate)
        quick.grow()
        await other.commit()
        slow.grow()
        work.add(beside := a_crate())
        publish(work, slow)
        with pytest.raises(StaleEntity):
            await work.commit()
    assert await events_of(engine, crate) == 0
    assert await read(engine, beside.id) is None


async def test_an_edit_that_waits_for_another_is_stale_after_it_and_its_event_has_no_position(
    engine: AsyncEngine,
) -> None:
    crate = a_crate()
    await kept(engine, crate)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        first, second = await edited(work, crate), await edited(other, crate)
        first.grow()
        publish(work, first)
        await work.flush()
        second.grow()
        publish(other, second)
        waiting = asyncio.create_task(other.commit())
        await work.commit()
        with pytest.raises(StaleEntity):
            await waiting
    assert await events_of(engine, crate) == 1


async def test_what_was_written_for_a_changed_entity_is_undone(engine: AsyncEngine) -> None:
    outer = a_crate()
    await kept(engine, outer)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        assert await work.protect(Crate, outer.id) is not None
        (await edited(other, outer)).grow()
        await other.commit()
        work.add(inner := a_crate(inside_id=outer.id))
        publish(work, inner)
        with pytest.raises(StaleEntity):
            await work.commit()
    assert await read(engine, inner.id) is None
    assert await events_of(engine, inner) == 0


@pytest.mark.parametrize("is_changed", [True, False])
async def test_what_refers_to_a_locked_entity_waits_for_its_transaction(
    engine: AsyncEngine, *, is_changed: bool
) -> None:
    outer = a_crate()
    await kept(engine, outer)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        locked = await other.get(Crate, outer.id, lock="update")
        assert locked is not None
        if is_changed:
            locked.grow()
        await work.protect(Crate, outer.id)
        work.add(inner := a_crate(inside_id=outer.id))
        writing = asyncio.create_task(work.commit())
        await other.flush()
        assert await read(engine, inner.id) is None
        await other.commit()
        if is_changed:
            with pytest.raises(StaleEntity):
                await writing
        else:
            await writing
    assert (await read(engine, inner.id) is None) is is_changed


async def test_a_contended_protection_is_a_lock(engine: AsyncEngine) -> None:
    outer = a_crate()
    await kept(engine, outer)
    async with units_of_work(engine)(is_contended=True) as work, units_of_work(engine)() as other:
        await work.protect(Crate, outer.id)
        waiting = asyncio.create_task(other.get(Crate, outer.id, lock="update"))
        work.add(a_crate(inside_id=outer.id))
        await work.commit()
        assert await waiting is not None


async def test_several_edits_are_written_together_or_not_at_all(engine: AsyncEngine) -> None:
    first, second = a_crate(), a_crate()
    await kept(engine, first, second)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        (await edited(work, first)).grow()
        (await edited(work, second)).grow()
        (await edited(other, second)).grow()
        await other.commit()
        with pytest.raises(StaleEntity):
            await work.commit()
    async with units_of_work(engine)() as work:
        (await edited(work, first)).grow()
        (await edited(work, second)).grow()
        await work.commit()
    sizes = [found.size for crate in (first, second) if (found := await read(engine, crate.id)) is not None]
    assert sizes == [1, 2]


async def test_a_read_sees_what_was_added_and_changed_before_it(engine: AsyncEngine) -> None:
    crate = a_crate("Rioja", size=1)
    async with units_of_work(engine)() as work:
        work.add(crate)
        assert await work.get(Crate, crate.id) is crate
        assert await work.get(Crate, crate.id, lock="update") is crate
        assert [row["size"] for row in await NAMED.all(work, name=crate.name)] == [1]
        crate.grow()
        assert await work.find(Crate, Crate.table.c.name == crate.name, Crate.table.c.size == 2) == [crate]
        crate.grow()
        counted = sa.select(sa.func.count()).where(Crate.table.c.name == crate.name, Crate.table.c.size == 3)
        assert (await work.execute(counted)).scalar_one() == 1
        assert await read(engine, crate.id) is None
        await work.commit()
    found = await read(engine, crate.id)
    assert found is not None
    assert (found.version, found.size, len(found.bottles)) == (3, 3, 1)


async def test_a_lock_on_what_was_read_before_notices_that_it_has_changed(engine: AsyncEngine) -> None:
    crate = a_crate()
    await kept(engine, crate)
    async with units_of_work(engine)() as work, units_of_work(engine)() as other:
        await work.get(Crate, crate.id)
        (await edited(other, crate)).grow()
        await other.commit()
        with pytest.raises(StaleEntity):
            await work.get(Crate, crate.id, lock="no key update")


async def test_child_rows_are_read_after_the_lock_was_waited_for(engine: AsyncEngine) -> None:
    crate = a_crate("Rioja")
    await kept(engine, crate)
    async with units_of_work(engine)() as work, units_of_work(engine)(is_contended=True) as other:
        (await edited(work, crate)).fill("Rioja", "Douro")
        await work.flush()
        waiting = asyncio.create_task(edited(other, crate))
        await work.commit()
        assert [bottle.wine for bottle in (await waiting).bottles] == ["Rioja", "Douro"]


async def test_what_fails_within_a_savepoint_is_undone_and_read_anew(engine: AsyncEngine) -> None:
    crate, lost = a_crate(), a_crate()
    await kept(engine, crate)
    async with units_of_work(engine)() as work:
        (await edited(work, crate)).grow()

        async def fail() -> None:
            async with work.savepoint():
                (await edited(work, crate)).grow()
                work.add(lost)
                publish(work, lost)
                await work.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with work.savepoint():
            again = await edited(work, crate)
            assert again.size == 1
            again.grow()
        await work.commit()
    found = await read(engine, crate.id)
    assert found is not None
    assert (found.version, found.size) == (3, 2)
    assert await read(engine, lost.id) is None
    assert await events_of(engine, lost) == 0


async def test_what_a_savepoint_has_written_is_read_anew_after_it(engine: AsyncEngine) -> None:
    crate, other, outer = a_crate("Rioja"), a_crate(), a_crate()
    await kept(engine, other, outer)
    async with units_of_work(engine)() as work:
        held = await edited(work, outer)
        async with work.savepoint():
            work.add(crate)
            (await edited(work, other)).grow()
            held.grow()
        held.grow()
        async with work.savepoint():
            again = await edited(work, crate)
            assert again is not crate
            again.fill("Rioja", "Douro")
            (await edited(work, other)).grow()
        await work.commit()
    found = await read(engine, crate.id)
    assert found is not None
    assert (found.version, len(found.bottles)) == (2, 2)
    sizes = [one.size for crate in (other, outer) if (one := await read(engine, crate.id)) is not None]
    assert sizes == [2, 2]


async def test_connections_go_to_who_asked_first(engine: AsyncEngine) -> None:
    begin = units_of_work(engine)
    asked, served = list[str](), list[str]()

    def name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    def note_served(*_: object) -> None:
        served.append(name())

    async def client() -> None:
        for _ in range(10):
            asked.append(name())
            async with begin(only_reads=True) as work:
                await NAMED.all(work, name="none")

    # Every connection is open already: to open one takes one longer than another.
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(pool_of(engine).size()):
            await stack.enter_async_context(engine.connect())
    sa.event.listen(pool_of(engine), "checkout", note_served)
    try:
        await asyncio.gather(*(client() for _ in range(40)))
    finally:
        sa.event.remove(pool_of(engine), "checkout", note_served)
    assert served == asked


def pool_of(engine: AsyncEngine) -> AsyncAdaptedQueuePool:
    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    return engine.pool


async def test_plain_reads_of_a_unit_of_work_that_only_reads_are_of_one_moment(engine: AsyncEngine) -> None:
    begin = units_of_work(engine)
    crate = a_crate()
    await kept(engine, crate)
    size = sa.select(Crate.table.c.size).where(Crate.table.c.id == crate.id)
    async with begin(only_reads=True) as reading, begin() as work:
        connection = await reading.connection()
        assert (await connection.execute(size)).scalar_one() == 0
        (await edited(work, crate)).grow()
        await work.commit()
        assert (await connection.execute(size)).scalar_one() == 0
    assert pool_of(engine).checkedout() == 0


async def test_plain_reads_see_what_waits_to_be_written(engine: AsyncEngine) -> None:
    crate = a_crate()
    count = sa.select(sa.func.count()).where(Crate.table.c.id == crate.id)
    async with units_of_work(engine)() as work:
        work.add(crate)
        assert (await (await work.connection()).execute(count)).scalar_one() == 1
    assert await read(engine, crate.id) is None


async def test_only_a_commit_that_has_written_is_notified_of(engine: AsyncEngine) -> None:
    committed: list[str] = []
    begin = units_of_work(engine, on_commit=lambda: committed.append("committed"))
    crate = a_crate()
    async with begin() as work:
        work.add(crate)
        await work.flush()
        assert committed == []
        await work.commit()
    assert committed == ["committed"]
    async with begin() as work:
        assert await work.get(Crate, crate.id, lock="update") is not None
        await work.commit()
    async with begin() as work:
        (await edited(work, crate)).grow()
    assert committed == ["committed"]
    async with begin() as work:
        await work.execute(sa.delete(Crate.table).where(Crate.table.c.id == crate.id))
        await work.commit()
    assert committed == ["committed"] * 2


async def test_a_claim_goes_with_the_first_write_and_lasts_until_the_end(engine: AsyncEngine) -> None:
    begin = units_of_work(engine)
    crate, refused, later = a_crate(), a_crate(), a_crate()
    async with statements_of(engine) as sent, begin(claim=1) as work:
        work.add(crate)
        await work.flush()
        async with begin(claim=1) as other:
            other.add(refused)
            with pytest.raises(ClaimTaken):
                await other.commit()
        await work.commit()
    assert len(sent) == 4, sent  # BEGIN, the write, the refused write, COMMIT
    async with begin(claim=1) as work:
        work.add(later)
        await work.commit()
    found = [await read(engine, one.id) for one in (crate, refused, later)]
    assert [one is not None for one in found] == [True, False, True]


async def test_a_claim_survives_the_savepoint_that_it_was_made_in(engine: AsyncEngine) -> None:
    begin = units_of_work(engine)
    async with begin(claim=2) as work:
        with contextlib.suppress(ZeroDivisionError):
            async with work.savepoint():
                work.add(a_crate())
                await work.flush()
                raise ZeroDivisionError
        work.add(a_crate())
        await work.flush()
        async with begin(claim=2) as other:
            other.add(a_crate())
            with pytest.raises(ClaimTaken):
                await other.commit()


async def test_what_was_not_committed_is_rolled_back(engine: AsyncEngine) -> None:
    crate = a_crate()
    async with units_of_work(engine)() as work:
        work.add(crate)
        await work.flush()
    assert await read(engine, crate.id) is None


async def test_a_cancelled_unit_of_work_keeps_no_connection_and_no_lock(engine: AsyncEngine) -> None:
    crate = a_crate()
    await kept(engine, crate)
    is_locked = asyncio.Event()

    async def hold(*, wait_in_the_database: bool) -> None:
        async with units_of_work(engine)(is_contended=True) as work:
            await edited(work, crate)
            is_locked.set()
            if wait_in_the_database:
                await work.execute(sa.text("select pg_sleep(60)"))
            await asyncio.Event().wait()

    for wait_in_the_database in (True, False):
        is_locked.clear()
        holding = asyncio.create_task(hold(wait_in_the_database=wait_in_the_database))
        await is_locked.wait()
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        async with units_of_work(engine)(is_contended=True) as work:
            (await edited(work, crate)).grow()
            await work.commit()
    assert pool_of(engine).checkedout() == 0
