"""The ledger is the same whatever the log does to a history, and always reconciles."""

import asyncio
import gc
import itertools
import tracemalloc
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import Correction, State, correction_of, event_type_of
from metrics_worker.domain.kinds import KIND_BY_NAME, Kind
from metrics_worker.domain.posting import Posting
from metrics_worker.ledger.aggregate import SubjectState, decode, group_by_subject, net_postings
from metrics_worker.ledger.blocks import DAY_BITS, Blocks, blocks_of
from metrics_worker.ledger.bulk_insert import BULK_ROWS
from metrics_worker.ledger.sequence_gaps import missing_runs
from metrics_worker.ledger.tables import POSTING, metadata, open_wait, subject_state
from metrics_worker.ledger.writer import LedgerWriter
from metrics_worker.maintenance import recompute
from metrics_worker.maintenance.recompute import newest_of
from metrics_worker.maintenance.stored_sums import (
    posted_by_customer,
    stored_blocks,
    summed_postings,
    sums_by_customer,
)
from metrics_worker.queries.export import exported
from tests.faults.rows import fault
from tests.metrics_worker.conftest import empty, ingest
from tests.metrics_worker.facts import (
    MORNING,
    OTHER_REP,
    REP,
    VILNIUS,
    account,
    all_decoded,
    deal,
    decoded,
    lead,
    line,
    moment,
    own_customer,
    record,
    ticket,
)
from tests.metrics_worker.histories import Delivery, Recorded, deliveries, interleavings
from tests.support import eventually


def contributions(entries: Iterable[SubjectState]) -> dict[Kind, list[Posting]]:
    """What each subject's last state contributes, under the customers that remain."""
    newest = {
        kind: [newest_of(steps[-1]) for steps in of_kind.values()]
        for kind, of_kind in group_by_subject(entries).items()
    }
    return recompute.recomputed(newest, VILNIUS)


def net(postings: list[Posting]) -> set[tuple[Any, ...]]:
    """What remains of postings by day and all dimensions, durations aside."""
    found = net_postings([], [posting._replace(buckets=()) for posting in postings])
    return {(posting.day, posting.dimensions, posting.split, tuple(posting.measures)) for posting in found}


def recomputed(states: Iterable[SubjectState]) -> Blocks:
    """What the blocks must hold: the sums over each subject's last state, under the customers that survive."""
    postings = contributions(states)
    return {key: block for kind in POSTING for key, block in blocks_of(kind, postings.get(kind, [])).items()}


async def posted(engine: AsyncEngine) -> dict[Kind, list[tuple[datetime, Posting]]]:
    """Every posting, with the time that its event was recorded at."""
    found = {}
    async with engine.connect() as connection:
        for kind in POSTING:
            found[kind] = [
                (
                    row.recorded_time,
                    Posting(
                        row.day,
                        tuple(getattr(row, name) for name in kind.dimensions),
                        tuple(int(getattr(row, name) or 0) for name in kind.measures),
                        kind.split_by is not None and row.split,
                    ),
                )
                for row in await connection.execute(exported(kind))
            ]
    return found


async def kept(engine: AsyncEngine) -> tuple[Blocks, Blocks]:
    """The blocks, and the sums of the postings by the same keys."""
    async with engine.connect() as connection:
        blocks, contradictory = await stored_blocks(connection)
        assert contradictory == []
        sums = Blocks()
        for kind in POSTING:
            sums |= await summed_postings(connection, kind)
        return blocks, sums


async def waits_kept(engine: AsyncEngine) -> set[tuple[Any, ...]]:
    """The open waits."""
    async with engine.connect() as connection:
        return {tuple(row) for row in await connection.execute(sa.select(open_wait))}


def waits_recomputed(states: Iterable[SubjectState]) -> set[tuple[Any, ...]]:
    """The open waits by each subject's last state."""
    newest = [newest_of(steps[-1]) for of_kind in group_by_subject(states).values() for steps in of_kind.values()]
    return {row for each in newest for row in each.waits.values()}


@fault(13)
@pytest.mark.parametrize("bulk_rows", [1, BULK_ROWS], ids=["by-copy", "by-arrays"])
@given(delivery=deliveries())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_ledger_depends_on_the_history_alone(
    shared_engine: AsyncEngine, bulk_rows: int, delivery: tuple[list[list[Delivery]], list[list[Delivery]]]
) -> None:
    history, batches = delivery
    await empty(shared_engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics_worker.ledger.bulk_insert.BULK_ROWS", bulk_rows)
        await ingest(shared_engine, *(all_decoded(batch) for batch in batches))
    blocks, postings = await kept(shared_engine)
    states = all_decoded([fact for subject in history for fact in subject])
    assert blocks == postings == recomputed(states)
    assert await waits_kept(shared_engine) == waits_recomputed(states)


@given(delivery=deliveries(), cells=st.integers(0, 200))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_deferred_blocks_are_those_written_batch_by_batch(
    shared_engine: AsyncEngine, delivery: tuple[list[list[Delivery]], list[list[Delivery]]], cells: int
) -> None:
    history, batches = delivery
    await empty(shared_engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics_worker.ledger.blocks.CELLS_IN_MEMORY", cells)
        writer = LedgerWriter(VILNIUS, deferred=True)
    for batch in batches:
        async with shared_engine.begin() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await writer.apply(connection, all_decoded(batch))
    async with shared_engine.begin() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await writer.flush(connection)
    blocks, postings = await kept(shared_engine)
    assert blocks == postings == recomputed(all_decoded([fact for subject in history for fact in subject]))


async def test_deferred_blocks_hold_nothing_of_a_batch_that_was_not_written(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, states = LedgerWriter(VILNIUS, deferred=True), decoded(lead())

    async def refuse(*_: object) -> None:
        raise ValueError("refused")

    async def apply() -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await writer.apply(connection, states)

    with monkeypatch.context() as patch:
        patch.setattr("metrics_worker.ledger.writer.write", refuse)
        with pytest.raises(ValueError, match="refused"):
            await apply()
    await apply()
    async with engine.begin() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await writer.flush(connection)
    blocks, postings = await kept(engine)
    assert blocks == postings == recomputed(states)


async def test_what_a_writer_remembers_does_not_grow_with_what_it_reads(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New customers, people, products and days for ever: their blocks and codes leave memory again."""
    monkeypatch.setattr("metrics_worker.ledger.blocks.CELLS_IN_MEMORY", 1_000)
    monkeypatch.setattr("metrics_worker.ledger.dimension_codes.CODES_IN_MEMORY", 100)
    writer = LedgerWriter(VILNIUS)

    async def bytes_after(number: int) -> int:
        opened = MORNING + timedelta(days=number)
        deals = [
            deal(line(f"product-{number}-{each}", 1, "10"), account_id=uuid4(), owner_id=uuid4(), opened_at=opened)
            for each in range(50)
        ]
        won = [
            (msgspec.structs.replace(each, stage="won", closed_at=opened, reporting_amount=each.amount), 2)
            for each in deals
        ]
        for states in (deals, won):
            async with engine.begin() as connection:
                await connection.execute(sa.text("SELECT 1"))
                await writer.apply(connection, all_decoded(states))
        del deals, won, states
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        found = [await bytes_after(number) for number in range(16)]
    finally:
        tracemalloc.stop()
    assert max(found[8:]) - max(found[:8]) < 20_000, found


@given(interleavings())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_ledger_of_any_moment_does_not_depend_on_which_subject_came_first(
    shared_engine: AsyncEngine, batches: list[list[Recorded]]
) -> None:
    decoded_batches = [
        [
            entry
            for state, sequence, minute in batch
            for entry in decode(record(state, sequence, recorded_time=MORNING + timedelta(minutes=minute)), VILNIUS)
        ]
        for batch in batches
    ]
    await empty(shared_engine)
    await ingest(shared_engine, *decoded_batches)
    postings = await posted(shared_engine)
    for minutes in range(6):
        then = MORNING + timedelta(minutes=minutes)
        found_then = {
            kind: net([posting for recorded, posting in of_kind if recorded <= then])
            for kind, of_kind in postings.items()
        }
        expected = contributions(entry for batch in decoded_batches for entry in batch if entry.recorded_time <= then)
        assert found_then == {kind: net(expected.get(kind, [])) for kind in POSTING}, f"{minutes} minutes on"


@given(deliveries())
@settings(max_examples=100, deadline=None)
def test_differences_add_up_to_the_last_state(delivery: tuple[list[list[Delivery]], list[list[Delivery]]]) -> None:
    history, _ = delivery
    for subject in history:
        contributions: dict[str, list[Posting]] = {}
        posted: dict[str, list[Posting]] = {}
        for entry in all_decoded(subject):
            posted.setdefault(entry.kind.name, []).extend(
                net_postings(contributions.get(entry.kind.name, []), entry.postings)
            )
            contributions[entry.kind.name] = entry.postings
        for name, postings in posted.items():
            assert blocks_of(KIND_BY_NAME[name], postings) == blocks_of(KIND_BY_NAME[name], contributions[name])


def test_a_state_that_changes_no_number_posts_nothing() -> None:
    one = lead()
    [before] = decoded(one)
    [after] = decoded(lead(id=one.id, disqualified_reason="budget"), 2)
    assert net_postings(before.postings, after.postings) == []


async def sums(engine: AsyncEngine, kind: str, measure: str, dimension: str = "all", value: str = "") -> dict[str, int]:
    """A measure by day, days that sum to zero left out."""
    number = KIND_BY_NAME[kind].measures.index(measure)
    async with engine.connect() as connection:
        blocks, _ = await stored_blocks(connection)
    return {
        str(key.start.replace(day=cell & ((1 << DAY_BITS) - 1))): amount
        for key, block in sorted(blocks.items())
        if key[:3] == (kind, dimension, "month") and key.value == value
        for cell, amount in sorted(block.cells.items())
        if cell >> DAY_BITS == number and amount
    }


async def test_a_change_of_owner_moves_the_number(engine: AsyncEngine) -> None:
    one = lead(owner_id=REP)
    await ingest(engine, decoded(one), decoded(lead(id=one.id, owner_id=OTHER_REP), 2))
    assert await sums(engine, "lead", "created", "owner", str(REP)) == {}
    assert await sums(engine, "lead", "created", "owner", str(OTHER_REP)) == {"2026-03-10": 1}
    assert await sums(engine, "lead", "created") == {"2026-03-10": 1}


async def test_a_reopened_deal_leaves_the_day_it_was_won(engine: AsyncEngine) -> None:
    won = deal(line("desk", 1, "100"), stage="won")
    back = deal(line("desk", 1, "100"), id=won.id)
    again = deal(line("desk", 1, "90"), id=won.id, stage="won", closed_at=moment("2026-04-02T10:00"))
    await ingest(engine, decoded(won, 3))
    assert await sums(engine, "deal", "revenue") == {"2026-03-10": 10000}
    await ingest(engine, decoded(back, 4))
    assert await sums(engine, "deal", "revenue") == {}
    await ingest(engine, decoded(again, 5), decoded(back, 4), decoded(won, 3))
    assert await sums(engine, "deal", "revenue") == {"2026-04-02": 9000}
    assert await sums(engine, "deal", "won", "product", "desk") == {"2026-04-02": 1}


async def test_what_has_no_value_is_kept_apart_from_every_code(engine: AsyncEngine) -> None:
    await ingest(
        engine, all_decoded([(lead(channel=None), 1), (lead(channel="unknown"), 1), (lead(channel="unknown"), 1)])
    )
    assert await sums(engine, "lead", "created", "channel", "") == {"2026-03-10": 1}
    assert await sums(engine, "lead", "created", "channel", "unknown") == {"2026-03-10": 2}


async def test_postings_name_their_event_and_both_times(engine: AsyncEngine) -> None:
    event_id, recorded = UUID(int=77), moment("2026-05-01T12:00")
    await ingest(engine, decode(record(ticket(), event_id=event_id, recorded_time=recorded), VILNIUS))
    async with engine.connect() as connection:
        [row] = await connection.execute(exported(KIND_BY_NAME["ticket"]))
    assert (row.event_id, row.recorded_time, row.event_time) == (event_id, recorded, moment("2026-03-10T08:00"))
    assert (row.day, row.kind, row.opened) == (date(2026, 3, 10), "problem", 1)


async def test_absurd_amounts_spoil_no_sum(engine: AsyncEngine) -> None:
    absurd = "999999999999999.99"
    await ingest(engine, all_decoded([(deal(line("moon", 1, absurd), stage="won"), 1) for _ in range(100)]))
    assert await sums(engine, "deal", "revenue") == {"2026-03-10": 100 * 99999999999999999}


async def test_subjects_without_measures_are_kept_too(engine: AsyncEngine) -> None:
    one = account()
    await ingest(engine, decoded(one, 2))
    async with engine.connect() as connection:
        [row] = await connection.execute(sa.select(subject_state))
    assert (row.kind, row.id, row.sequence) == ("account", one.id, 2)


async def test_the_ledger_is_not_written_outside_a_transaction(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await connection.rollback()
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await LedgerWriter(VILNIUS).apply(connection, decoded(lead()))


async def gaps(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    table = metadata.tables["sequence_gap"]
    query = sa.select(table.c.kind, table.c.first_missing, table.c.last_missing).order_by(table.c.first_missing)
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def test_a_jump_in_the_sequence_is_kept_until_the_late_event_comes(engine: AsyncEngine) -> None:
    one = ticket()
    await ingest(engine, decoded(one, 1), decoded(one, 6))
    assert await gaps(engine) == [("ticket", 2, 5)]
    await ingest(engine, decoded(one, 6), decoded(one, 3))
    assert await gaps(engine) == [("ticket", 2, 2), ("ticket", 4, 5)]
    await ingest(engine, [*decoded(one, 4), *decoded(one, 2), *decoded(one, 5)])
    assert await gaps(engine) == []


async def test_events_of_one_batch_leave_no_gap_between_them(engine: AsyncEngine) -> None:
    one = ticket()
    await ingest(engine, all_decoded([(one, 3), (one, 1), (one, 2)]), all_decoded([(one, 6), (one, 4)]))
    assert await gaps(engine) == [("ticket", 5, 5)]


async def conflicts(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    table = metadata.tables["sequence_conflict"]
    columns = table.c["kind", "sequence", "event_id", "dropped_event_id"]
    query = sa.select(*columns).order_by(table.c.sequence, table.c.dropped_event_id)
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]


def other(state: Any, sequence: int, event_id: UUID) -> list[SubjectState]:
    """Return the state as another event of the sequence carries it."""
    return decode(record(state, sequence, event_id=event_id), VILNIUS)


async def test_the_same_sequence_with_another_event_is_a_conflict_and_not_counted(engine: AsyncEngine) -> None:
    lost = deal(line("desk", 1, "100"), stage="lost")
    won = deal(line("desk", 1, "100"), stage="won", id=lost.id)
    [first] = decoded(lost, 2)
    dropped = UUID(int=7)
    await ingest(engine, [first], other(won, 2, dropped))
    assert await conflicts(engine) == [("deal", 2, first.event_id, dropped)]
    await ingest(engine, other(won, 2, dropped), decoded(lost, 2))
    assert len(await conflicts(engine)) == 1


async def test_a_conflict_is_found_within_a_batch_and_beside_a_newer_event(engine: AsyncEngine) -> None:
    one, dropped, late = lead(), UUID(int=8), UUID(int=9)
    [first], [second] = decoded(one, 1), decoded(one, 2)
    await ingest(engine, [first, *other(one, 1, dropped)])
    await ingest(engine, [second, *other(one, 1, late)])
    assert await conflicts(engine) == [("lead", 1, first.event_id, dropped), ("lead", 1, first.event_id, late)]


async def test_repeats_are_no_conflict(engine: AsyncEngine) -> None:
    one = ticket()
    await ingest(engine, [*decoded(one, 1), *decoded(one, 2), *decoded(one, 1)], decoded(one, 2), decoded(one, 1))
    assert await conflicts(engine) == []


LATER = moment("2026-04-01T08:00")


def corrected(before: State, sequence: int, correction: Correction, *, epoch: int) -> list[SubjectState]:
    """Return a state as its service publishes it after a restore, later than all that it corrects."""
    entry = correction_of(event_type_of(before), correction)
    assert entry is not None
    state = entry.data(**{name: getattr(before, name) for name in before.__struct_fields__ if name != "change"})
    return decode(record(state, sequence, epoch=epoch, recorded_time=LATER + timedelta(seconds=sequence)), VILNIUS)


async def test_a_correction_of_a_higher_epoch_wins_over_higher_sequences(engine: AsyncEngine) -> None:
    won = deal(line("desk", 1, "100"), stage="won")
    open_ = deal(line("desk", 1, "100"), stage="proposal", closed_at=None, id=won.id)
    await ingest(engine, decoded(open_, 1), decoded(won, 2), decoded(won, 4))
    assert await gaps(engine) == [("deal", 3, 3)]
    again = corrected(open_, 1, "restored", epoch=2)
    await ingest(engine, again, decoded(won, 4), decoded(won, 5), again)
    assert await sums(engine, "deal", "revenue") == {}
    assert await gaps(engine) == await conflicts(engine) == []
    blocks, postings = await kept(engine)
    assert blocks == postings == recomputed([*decoded(won, 4), *again])


@pytest.mark.parametrize("size", [1, 2, 3, 6])
async def test_an_event_that_comes_again_under_the_next_epoch_is_counted_once(engine: AsyncEngine, size: int) -> None:
    # Its relay sent it and had no answer; a restore raised the epoch before it sent it again.
    open_ = deal(line("desk", 1, "100"))
    lost, won = (deal(line("desk", 1, "100"), id=open_.id, stage=stage) for stage in ("lost", "won"))
    states = [(open_, 1), (lost, 2), (open_, 3), (won, 4)]

    def sent(place: int, epoch: int) -> list[SubjectState]:
        state, sequence = states[place]
        recorded_time = MORNING + timedelta(seconds=sequence)
        event_id = uuid5(open_.id, str(sequence))
        value = record(state, sequence, event_id=event_id, recorded_time=recorded_time, epoch=epoch)
        return decode(value, VILNIUS)

    log = [*sent(0, 1), *sent(1, 1), *(entry for place in range(4) for entry in sent(place, 2))]
    await ingest(engine, *(log[first : first + size] for first in range(0, len(log), size)))
    await require_exact(engine, log)


async def test_nothing_of_a_withdrawn_subject_counts_and_no_late_event_brings_it_back(engine: AsyncEngine) -> None:
    one = account()
    won = deal(line("desk", 1, "100"), stage="won", account_id=one.id)
    asked = ticket(customer_id=one.id)
    await ingest(engine, decoded(one), decoded(won, 2), decoded(asked))
    lost = [corrected(state, 3, "withdrawn", epoch=1) for state in (one, won, asked)]
    await ingest(engine, *lost, decoded(won, 2), decoded(one))
    blocks, postings = await kept(engine)
    assert not any(amounts for of_kind in (blocks, postings) for amounts in of_kind.values())
    async with engine.connect() as connection:
        assert list((await connection.execute(sa.select(subject_state.c.state))).scalars()) == [None] * 3
        assert list(await connection.execute(sa.select(open_wait))) == []


async def test_a_merge_that_a_restore_took_back_is_undone_with_what_it_moved(engine: AsyncEngine) -> None:
    gone, stays = account(), account()
    merged = msgspec.structs.replace(gone, merged_into=stays.id)
    states: list[tuple[State, int]] = [
        (gone, 1),
        (stays, 1),
        (deal(line("desk", 1, "100"), stage="won", account_id=gone.id), 2),
        (deal(line("lamp", 1, "30"), stage="won", account_id=stays.id), 2),
        (ticket(customer_id=gone.id), 1),
        (merged, 2),
        (deal(line("chair", 1, "7"), stage="won", account_id=gone.id), 2),
    ]
    again = corrected(gone, 1, "restored", epoch=2)
    later = decoded(deal(line("sofa", 1, "900"), stage="won", account_id=gone.id), 2)
    await ingest(engine, *(decoded(*each) for each in states))
    await ingest(engine, again, later)
    expected = [*all_decoded([each for each in states if each[0] is not merged]), *again, *later]
    await require_exact(engine, expected)
    # As if it had never been, also for what comes next.
    merged_again = corrected(merged, 2, "restored", epoch=2)
    await ingest(engine, merged_again)
    await require_exact(engine, [*expected, *merged_again])


def sold_and_served(customer: UUID) -> list[tuple[State, int]]:
    """What counts for a customer: deals of two days and a ticket that was reopened."""
    first, second = moment("2026-03-02T08:00"), moment("2026-03-09T08:00")
    return [
        (deal(line("desk", 1, "100"), stage="won", account_id=customer, closed_at=first), 2),
        (deal(line("lamp", 1, "30"), stage="won", account_id=customer, closed_at=second), 2),
        (ticket(customer_id=customer, opened_at=first, reopened_at=second, reopen_count=1), 1),
    ]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_a_customer_taken_out_of_a_chain_of_merges_brings_back_its_own(engine: AsyncEngine, size: int) -> None:
    first, between, last = (account(id=UUID(int=number)) for number in (3, 2, 1))
    facts = [fact for each in (first, between, last) for fact in sold_and_served(each.id)]
    log: list[tuple[State, int]] = [
        *((each, 1) for each in (first, between, last)),
        *facts,
        (msgspec.structs.replace(first, merged_into=between.id), 2),
        (msgspec.structs.replace(between, merged_into=last.id), 2),
        *sold_and_served(first.id),
        (between, 3),
        *sold_and_served(first.id),
        *sold_and_served(between.id),
        (first, 3),
        *sold_and_served(first.id),
    ]
    for start in range(0, len(log), size):
        await ingest(engine, all_decoded(log[start : start + size]))
        await require_exact(engine, all_decoded(log[: start + size]))


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_customer_of_service_is_linked_to_an_account_that_is_merged(engine: AsyncEngine, size: int) -> None:
    """And both are taken back, the link last: what service had of the customer goes with it each time."""
    own, one, last = own_customer(), account(), account()
    link, merge = (msgspec.structs.replace(each, merged_into=into.id) for each, into in ((own, one), (one, last)))
    log: list[tuple[State, int]] = [
        *((each, 1) for each in (own, one, last)),
        (ticket(customer_id=own.id, kind="presales_question", opened_at=moment("2026-03-01")), 1),
        *(fact for each in (one, last) for fact in sold_and_served(each.id)),
        (link, 2),
        (merge, 2),
        (ticket(customer_id=own.id, reopened_at=moment("2026-03-05"), reopen_count=1), 1),
        (one, 3),
        (own, 3),
        (ticket(customer_id=own.id), 1),
        (link, 4),
    ]
    for start in range(0, len(log), size):
        await ingest(engine, all_decoded(log[start : start + size]))
        await require_exact(engine, all_decoded(log[: start + size]))


async def test_two_merges_of_a_chain_are_undone_in_one_batch(engine: AsyncEngine) -> None:
    customers = [account(id=UUID(int=number)) for number in (4, 3, 2, 1)]
    facts = [fact for each in customers for fact in sold_and_served(each.id)]
    merged: list[tuple[State, int]] = [
        (msgspec.structs.replace(gone, merged_into=into.id), 2) for gone, into in itertools.pairwise(customers)
    ]
    await ingest(engine, all_decoded([*((each, 1) for each in customers), *facts]), all_decoded(merged))
    undone: list[tuple[State, int]] = [(customers[1], 3), (customers[0], 3)]
    await ingest(engine, all_decoded(undone))
    await require_exact(engine, all_decoded([*((each, 1) for each in customers), *facts, *merged, *undone]))


async def test_a_customer_goes_from_one_merge_to_another_in_one_batch(engine: AsyncEngine) -> None:
    """With facts of all three in the same batch: what it leaves behind and what it joins change at once."""
    moving, former, later = account(), account(), account()
    facts = [fact for each in (moving, former, later) for fact in sold_and_served(each.id)]
    log: list[tuple[State, int]] = [
        *((each, 1) for each in (moving, former, later)),
        *facts,
        (msgspec.structs.replace(moving, merged_into=former.id), 2),
    ]
    await ingest(engine, *(all_decoded([each]) for each in log))
    batch: list[tuple[State, int]] = [
        *sold_and_served(former.id),
        (moving, 3),
        (msgspec.structs.replace(moving, merged_into=later.id), 4),
        *sold_and_served(moving.id),
        *sold_and_served(later.id),
    ]
    await ingest(engine, all_decoded(batch))
    await require_exact(engine, all_decoded([*log, *batch]))
    await ingest(engine, all_decoded([(moving, 5)]))
    await require_exact(engine, all_decoded([*log, *batch, (moving, 5)]))


async def test_a_merge_that_comes_after_its_undoing_changes_nothing(engine: AsyncEngine) -> None:
    back, stays = account(), account()
    merge = (msgspec.structs.replace(back, merged_into=stays.id), 2)
    facts = [*sold_and_served(back.id), *sold_and_served(stays.id)]
    await ingest(engine, all_decoded([back, stays, *facts]), all_decoded([(back, 3)]), all_decoded([merge]))
    await require_exact(engine, all_decoded([back, stays, *facts, (back, 3)]))


async def require_exact(engine: AsyncEngine, states: list[SubjectState]) -> None:
    """Assert that blocks and postings are those of the subjects' last states, also by customer."""
    blocks, postings = await kept(engine)
    assert blocks == postings == recomputed(states)
    expected = contributions(states)
    async with engine.connect() as connection:
        for kind in POSTING:
            assert await posted_by_customer(connection, kind) == sums_by_customer(kind, expected.get(kind, []))


@pytest.mark.parametrize(
    ("before", "seen", "runs"),
    [
        ((0, 0), [(1, 1), (1, 2), (1, 3)], []),
        ((0, 0), [(1, 3)], [(1, 1, 2)]),
        ((1, 2), [(1, 5), (1, 7), (1, 8)], [(1, 3, 4), (1, 6, 6)]),
        ((1, 5), [(1, 1), (1, 2), (1, 6)], []),
        ((1, 5), [(1, 5), (1, 7)], [(1, 6, 6)]),
        ((1, 7), [(2, 5), (2, 6)], []),
        ((1, 7), [(1, 9), (2, 5), (2, 8)], [(2, 6, 7)]),
        ((2, 5), [(1, 9), (2, 7)], [(2, 6, 6)]),
    ],
)
def test_missing_runs_are_what_was_jumped_over_in_the_newest_epoch(
    before: tuple[int, int], seen: list[tuple[int, int]], runs: list[tuple[int, int, int]]
) -> None:
    assert missing_runs(before, seen) == runs


def test_a_subjects_entries_of_a_batch_are_put_in_order_each_once() -> None:
    one = ticket()
    found = group_by_subject(all_decoded([(one, 2), (one, 9), (one, 4), (one, 2)]))
    assert [entry.sequence for of_kind in found.values() for entry in of_kind[one.id.int]] == [2, 4, 9]


async def test_a_writer_that_waits_for_a_timeline_then_reads_what_the_other_added(engine: AsyncEngine) -> None:
    first, second = (
        deal(line("desk", 1, "10"), id=UUID(int=number), stage="won", closed_at=moment(f"2026-03-0{number}"))
        for number in (1, 2)
    )
    async with engine.begin() as connection:
        await connection.execute(sa.text("SELECT 1"))
        # Of another part, so that the two wait for nothing but the timeline.
        await LedgerWriter(VILNIUS, part=1).apply(connection, decoded(first))
        waiting = asyncio.create_task(ingest(engine, decoded(second)))

        async def it_waits() -> bool:
            query = sa.text(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
            async with engine.connect() as other:
                return bool((await other.execute(query)).scalar_one())

        await eventually(it_waits)
    await waiting
    blocks, postings = await kept(engine)
    assert blocks == postings == recomputed(all_decoded([(first, 1), (second, 1)]))


async def test_a_batch_of_many_rows_is_as_exact(engine: AsyncEngine) -> None:
    leads: list[Delivery] = [(lead(channel=f"c{number % 7}"), 1) for number in range(BULK_ROWS + 20)]
    again: list[Delivery] = [(lead(id=state.id, owner_id=OTHER_REP), 2) for state, _ in leads[:BULK_ROWS]]
    await ingest(engine, all_decoded(leads), all_decoded(leads), all_decoded(again))
    blocks, postings = await kept(engine)
    assert blocks == postings == recomputed(all_decoded([*leads, *again]))
