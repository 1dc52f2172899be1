"""Notices jumps in a subject's sequence: events that are lost or late.

Every event carries the whole state, so a missing one leaves no number wrong once a later one is booked. But it
should not happen, and so it is counted, kept in `sequence_gap`, and struck off only when the missing event arrives.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from metrics_worker.ledger.aggregate import SubjectState

GAPS = Counter("tandem_ledger_sequence_gaps_total", "Events found missing when a later one of their subject came.")
HEALED = Counter("tandem_ledger_sequence_gaps_healed_total", "Missing events that arrived after all.")

_INSERT = """
    INSERT INTO sequence_gap (kind, subject_id, first_missing, last_missing, noticed_at, epoch)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
_CLOSE = """
    DELETE FROM sequence_gap USING unnest($1::text[], $2::uuid[], $3::integer[]) AS risen (kind, id, epoch)
    WHERE sequence_gap.kind = risen.kind AND subject_id = risen.id AND sequence_gap.epoch < risen.epoch
"""

Subject = tuple[str, int]
"""A kind's name and the subject's id, as a number: hashing a UUID costs a call of Python, and this is done often."""
Version = tuple[int, int]
"""Epoch and sequence."""


def missing_runs(before: Version, seen: Iterable[Version]) -> list[tuple[int, int, int]]:
    """The epoch and both ends of each run of sequences that is jumped over from `before` through the highest of `seen`.

    An epoch after the first one begins with whatever sequence its subject had then.
    """
    runs: list[tuple[int, int, int]] = []
    epoch, last = before
    for version in sorted(seen):
        if version <= (epoch, last):
            continue
        if version[0] > epoch:
            # What the former epoch lacks is superseded.
            runs.clear()
            epoch, last = version[0], 0 if version[0] == 1 else version[1] - 1
        if version[1] > last + 1:
            runs.append((epoch, last + 1, version[1] - 1))
        last = version[1]
    return runs


async def note(
    driver: asyncpg.Connection, states: Iterable[SubjectState], versions_before: Mapping[Subject, Version]
) -> None:
    """Update the list of gaps by a batch, given the version before it of each subject that it changed."""
    seen: dict[Subject, list[Version]] = defaultdict(list)
    withdrawn: dict[Subject, int] = {}
    """The epoch in which each ended: what is missing before that does not matter any more."""
    for state in states:
        if state.kind.is_sequenced and state.is_withdrawn:
            withdrawn[state.kind.name, state.subject_id.int] = state.epoch
        elif state.kind.is_sequenced:
            seen[state.kind.name, state.subject_id.int].append(state.version)
    new = [
        (kind, UUID(int=number), *run)
        for (kind, number), before in versions_before.items()
        for run in missing_runs(before, seen.get((kind, number), ()))
        if run[0] > withdrawn.get((kind, number), 0)
    ]
    risen = {
        (kind, UUID(int=number), epoch)
        for (kind, number), before in versions_before.items()
        if before[0] and (epoch := max(seen.get((kind, number), [(0, 0)]))[0]) > before[0]
    }
    risen |= {(kind, UUID(int=number), epoch + 1) for (kind, number), epoch in withdrawn.items()}
    late = {
        (subject[0], UUID(int=subject[1]), *version)
        for subject, versions in seen.items()
        for version in versions
        # A subject that did not move has only versions that are not newer.
        if subject not in versions_before or version <= versions_before[subject]
    }
    if risen:
        await driver.execute(_CLOSE, *zip(*sorted(risen), strict=True))
    if late:
        await _heal(driver, late)
    if new:
        GAPS.inc(sum(last - first + 1 for _, _, _, first, last in new))
        now = datetime.now(UTC)
        await driver.executemany(
            _INSERT, [(kind, subject, first, last, now, epoch) for kind, subject, epoch, first, last in sorted(new)]
        )


async def _heal(driver: asyncpg.Connection, late: set[tuple[str, UUID, int, int]]) -> None:
    """Strikes off sequences that came after all; a run is cut in two around one in its middle."""
    for kind, subject_id, epoch, sequence in await driver.fetch(
        """
        SELECT late.kind, late.subject_id, late.epoch, late.sequence
        FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::integer[]) AS late (kind, subject_id, epoch, sequence)
        WHERE EXISTS (SELECT FROM sequence_gap AS gap WHERE gap.kind = late.kind AND gap.subject_id = late.subject_id
                      AND gap.epoch = late.epoch AND late.sequence BETWEEN gap.first_missing AND gap.last_missing)
        ORDER BY 1, 2, 3, 4
        """,
        *zip(*late, strict=True),
    ):
        HEALED.inc()
        cut = await driver.fetch(
            "DELETE FROM sequence_gap WHERE kind = $1 AND subject_id = $2 AND epoch = $3 "
            "AND $4 BETWEEN first_missing AND last_missing RETURNING first_missing, last_missing, noticed_at",
            kind,
            subject_id,
            epoch,
            sequence,
        )
        halves = [
            (kind, subject_id, first, last, noticed_at, epoch)
            for first_missing, last_missing, noticed_at in cut
            for first, last in ((first_missing, sequence - 1), (sequence + 1, last_missing))
            if first <= last
        ]
        await driver.executemany(_INSERT, halves)
