"""Erases what the kit holds of a customer: stored answers, imports, the audit, names in the outbox, dead letters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import sqlalchemy as sa

from service_kit import outbox
from service_kit.audit import entries as audit
from service_kit.consumer.dead_letters import EMPTY, dead_letter
from service_kit.entities import Entity
from service_kit.idempotency import idempotency_key
from service_kit.imports import records
from service_kit.problems import MEDIA_TYPE, problem_fields
from service_kit.unit_of_work import UnitOfWork

_EMPTY_AUDIT: Final = sa.text("""
    UPDATE audit_entry SET changes = changes || (
        SELECT jsonb_object_agg(name, CAST(NULL AS text)) FROM unnest(:personal) AS name WHERE changes ? name
    )
    WHERE record_id = ANY (:ids) AND changes ?| :personal
""").bindparams(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)), sa.bindparam("personal", type_=sa.ARRAY(sa.Text)))
"""That a field was changed stays; from what to what goes."""

_ERASED_ANSWER: Final = {
    # The row stays: the request that it answered must not be done a second time.
    "status": 410,
    "headers": {"content-type": MEDIA_TYPE},
    "body": msgspec.json.encode(
        problem_fields(
            410,
            "answer-erased",
            "The answer was erased",
            "The request was done when it first came; what it was about has been erased since. Do not send it again.",
        )
    ),
}


async def erase_traces(work: UnitOfWork, erased: Sequence[Entity]) -> None:
    """Empty what is kept of erased records: stored answers, the audit's personal values, and that they were imported.

    For the end of an erasure: its own audit entries are emptied too.
    """
    ids = [each.id for each in cast("Sequence[Any]", erased)]
    about = idempotency_key.c.subject_id == sa.any_(sa.cast(ids, sa.ARRAY(sa.Uuid)))
    await work.execute(sa.update(idempotency_key).where(about).values(**_ERASED_ANSWER))
    await records.forget(work, ids)
    await work.execute(audit.allow("erasure"))
    # What is personal of one noun is no field, or personal too, of the others that are erased with it.
    personal = sorted(set().union(*(each.binding.personal for each in erased)))
    await work.execute(_EMPTY_AUDIT, {"ids": ids, "personal": personal})


async def erase_name(work: UnitOfWork, topic: str, key: UUID) -> None:
    """Delete the names that still wait to be published, and publish a tombstone for the one that was."""
    table = outbox.outbox
    waiting = (table.c.aggregatetype == topic) & (table.c.aggregateid == str(key)) & table.c.payload.is_not(None)
    await work.execute(sa.delete(table).where(waiting))
    outbox.write_tombstone(work, topic, key)


async def erase_dead_letters(work: UnitOfWork, key: UUID, *, by: str) -> None:
    """Empty the dead letters of a customer, and discard those that are open."""
    await work.execute(
        sa.update(dead_letter)
        .where(dead_letter.c.key == str(key).encode(), dead_letter.c.value.is_not(None))
        .values(
            **EMPTY,
            status=sa.case((dead_letter.c.status == "open", "discarded"), else_=dead_letter.c.status),
            settled_at=sa.func.coalesce(dead_letter.c.settled_at, datetime.now(UTC)),
            settled_by=sa.func.coalesce(dead_letter.c.settled_by, by),
            discarded_because=sa.func.coalesce(dead_letter.c.discarded_because, "erased with whom it is about"),
        )
    )
