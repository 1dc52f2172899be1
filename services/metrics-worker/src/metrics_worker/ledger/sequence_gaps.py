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
    INSERT INTO sequence_gap (kind, subject_id, first_missing, last_missing, noticed_at)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""

Subject = tuple[str, int]
"""A kind's name and the subject's id, as a number: hashing a UUID costs a call of Python, and this is done often."""


def missing_runs(before: int, seen: Iterable[int]) -> list[tuple[int, int]]:
    """The runs of sequences, both ends included, that are jumped over from `before` through the highest of `seen`."""
    runs = []
    for sequence in sorted(seen):
        if sequence > before + 1:
            runs.append((before + 1, sequence - 1))
        before = max(before, sequence)
    return runs


async def note(
    driver: asyncpg.Connection, states: Iterable[SubjectState], sequences_before: Mapping[Subject, int]
) -> None:
    """Update the list of gaps by a batch, given the sequence before it of each subject that it changed."""
    seen: dict[Subject, list[int]] = defaultdict(list)
    for state in states:
        if state.kind.is_sequenced:
            seen[state.kind.name, state.subject_id.int].append(state.sequence)
    new = [
        (kind, UUID(int=number), *run)
        for (kind, number), before in sequences_before.items()
        for run in missing_runs(before, seen.get((kind, number), ()))
    ]
    late = {
        (subject[0], UUID(int=subject[1]), sequence)
        for subject, sequences in seen.items()
        for sequence in sequences
        # A subject that did not move has only sequences that are not newer.
        if subject not in sequences_before or sequence <= sequences_before[subject]
    }
    if late:
        await _heal(driver, late)
    if new:
        GAPS.inc(sum(last - first + 1 for _, _, first, last in new))
        now = datetime.now(UTC)
        await driver.executemany(_INSERT, [(*gap, now) for gap in sorted(new)])


async def _heal(driver: asyncpg.Connection, late: set[tuple[str, UUID, int]]) -> None:
    """Strikes off sequences that came after all; a run is cut in two around one in its middle."""
    for kind, subject_id, sequence in await driver.fetch(
        """
        SELECT late.kind, late.subject_id, late.sequence
        FROM unnest($1::text[], $2::uuid[], $3::integer[]) AS late (kind, subject_id, sequence)
        WHERE EXISTS (SELECT FROM sequence_gap AS gap WHERE gap.kind = late.kind AND gap.subject_id = late.subject_id
                      AND late.sequence BETWEEN gap.first_missing AND gap.last_missing)
        ORDER BY 1, 2, 3
        """,
        *zip(*late, strict=True),
    ):
        HEALED.inc()
        cut = await driver.fetch(
            "DELETE FROM sequence_gap WHERE kind = $1 AND subject_id = $2 "
            "AND $3 BETWEEN first_missing AND last_missing RETURNING first_missing, last_missing, noticed_at",
            kind,
            subject_id,
            sequence,
        )
        halves = [
            (kind, subject_id, first, last, noticed_at)
            for first_missing, last_missing, noticed_at in cut
            for first, last in ((first_missing, sequence - 1), (sequence + 1, last_missing))
            if first <= last
        ]
        await driver.executemany(_INSERT, halves)
