"""Notices two events of one subject with the same sequence: its source lost what it had published, or has two writers.

The first one counts. Each event carries the whole state, so a conflict ends with a later event of its subject, also
with the one by which its service corrects it in a new epoch, where sequences start from those of a restore; until
then the ledger may contradict the source, and only an alert says so.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Counter

from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.sequence_gaps import Subject

CONFLICTS = Counter(
    "tandem_ledger_sequence_conflicts_total", "Events dropped whose sequence another event of their subject had."
)

_STORED = """
    SELECT kind, id, epoch, sequence, event_id
    FROM subject_state JOIN unnest($1::text[], $2::uuid[]) AS given (kind, id) USING (kind, id)
"""
_INSERT = """
    INSERT INTO sequence_conflict (kind, subject_id, epoch, sequence, event_id, dropped_event_id, noticed_at)
    SELECT *, $7 FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::integer[], $5::uuid[], $6::uuid[])
    ON CONFLICT DO NOTHING RETURNING kind, subject_id, sequence
"""

log = structlog.get_logger()


async def note(
    driver: asyncpg.Connection,
    states: Sequence[SubjectState],
    before: Mapping[Subject, tuple[tuple[int, int], UUID | None]],
) -> None:
    """Store the conflicts in a batch, given the last event before it of each subject that it changed."""
    counted = {
        (kind, number, version): event_id
        for (kind, number), (version, event_id) in before.items()
        if event_id is not None
    }
    unchanged = {(state.kind.name, state.subject_id) for state in states} - {
        (kind, UUID(int=number)) for kind, number in before
    }
    if unchanged:
        stored = await driver.fetch(_STORED, *zip(*sorted(unchanged), strict=True))
        for kind, subject_id, epoch, sequence, event_id in stored:
            counted[kind, subject_id.int, (epoch, sequence)] = event_id
    dropped = {
        (state.kind.name, state.subject_id, *state.version, first, state.event_id)
        for state in states
        if (first := counted.setdefault((state.kind.name, state.subject_id.int, state.version), state.event_id))
        != state.event_id
    }
    if not dropped:
        return
    for kind, subject_id, sequence in await driver.fetch(
        _INSERT, *zip(*sorted(dropped), strict=True), datetime.now(UTC)
    ):
        CONFLICTS.inc()
        log.error("sequence_conflict", kind=kind, subject_id=str(subject_id), sequence=sequence)
