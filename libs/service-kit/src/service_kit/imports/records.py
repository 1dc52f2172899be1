"""Which records were imported, so that the same file can be sent again, or a longer one."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from service_kit.compiled import CompiledStatement
from service_kit.database import metadata
from service_kit.fields import normalized
from service_kit.imports.rows import Row
from service_kit.unit_of_work import UnitOfWork

imported_record = sa.Table(
    "imported_record",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True, comment="of the resource and the external_ref"),
    sa.Column("record_id", sa.Uuid, nullable=False, index=True),
    sa.Column("steps", sa.Integer, nullable=False, comment="of its history that were done"),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="of the record and these steps"),
    sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now(), index=True),
)

_IMPORTED: Final = CompiledStatement(
    sa.select(*imported_record.c["digest", "record_id", "steps", "fingerprint"]).where(
        imported_record.c.digest == sa.any_(sa.bindparam("digests", type_=sa.ARRAY(sa.LargeBinary)))
    )
)
_STORE: Final = CompiledStatement(
    sa.text(
        "insert into imported_record (digest, record_id, steps, fingerprint)"
        " select * from unnest(cast(:digests as bytea[]), cast(:record_ids as uuid[]), cast(:steps as integer[]),"
        " cast(:fingerprints as bytea[])) as new (digest, record_id, steps, fingerprint) order by digest"
        " on conflict (digest) do update set steps = excluded.steps, fingerprint = excluded.fingerprint,"
        " imported_at = excluded.imported_at"
    )
)


class Imported(msgspec.Struct, frozen=True):
    """The record that a row became, and how much of its history was done."""

    record_id: UUID
    steps: int
    fingerprint: bytes


def digest_of(row: Row) -> bytes | None:
    """Return what identifies a row; None for a record without an `external_ref`, which is new each time."""
    reference = row.record.get("external_ref")
    if not isinstance(reference, str) or not reference.strip():
        return None
    try:
        kept = normalized(reference).strip()
    except ValueError:
        # The operation refuses it.
        return None
    return hashlib.sha256(f"{row.resource}:{kept}".encode()).digest()


def fingerprint_of(row: Row, steps: int) -> bytes:
    """Return the fingerprint of a row's record and the first `steps` of its history."""
    history = [(step.action, step.of, step.body) for step in row.history[:steps]]
    content: tuple[Mapping[str, Any], Sequence[Any]] = (row.record, history)
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest()


async def imported(work: UnitOfWork, digests: Iterable[bytes]) -> dict[bytes, Imported]:
    """Return the records that were imported before, by their digests."""
    found = await _IMPORTED.all(work, digests=list(digests))
    return {row["digest"]: Imported(row["record_id"], row["steps"], row["fingerprint"]) for row in found}


async def store(work: UnitOfWork, new: Mapping[bytes, Imported]) -> None:
    """Store what was imported now."""
    if new:
        await _STORE.execute(
            work,
            digests=list(new),
            record_ids=[one.record_id for one in new.values()],
            steps=[one.steps for one in new.values()],
            fingerprints=[one.fingerprint for one in new.values()],
        )


async def forget(work: UnitOfWork, record_ids: Sequence[UUID]) -> None:
    """Delete the entries of records that are erased; their references stay taken."""
    ids = sa.cast(list(record_ids), sa.ARRAY(sa.Uuid))
    await work.execute(sa.delete(imported_record).where(imported_record.c.record_id == sa.any_(ids)))
