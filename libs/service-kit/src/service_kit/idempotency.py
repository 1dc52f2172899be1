"""`Idempotency-Key`: the answer of a write is stored in the write's own transaction and given again to a repeat."""

import hashlib
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from fastapi import Request, Response
from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    SmallInteger,
    Table,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from service_kit.compiled import CompiledStatement
from service_kit.database import metadata
from service_kit.problems import Conflict, Unprocessable

HEADER: Final = "idempotency-key"
RETENTION: Final = timedelta(days=7)
MAX_LENGTH: Final = 255
_KEPT_HEADERS = ("etag", "location", "content-type")

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="of the principal and its key"),
    Column("fingerprint", LargeBinary, nullable=False, comment="of method, address, If-Match and body"),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subject_id", Uuid, index=True, comment="the id in the answer: what it is about, and is erased with"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

# One round trip for both. The row may be committed between this statement's snapshot and its lock;
# then the insert below meets the primary key and the whole request is tried again.
_CLAIM = text(
    "select pg_try_advisory_xact_lock(:lock) as claimed, k.fingerprint, k.status, k.headers, k.body"
    " from (select 1) as one left join idempotency_key as k on k.digest = :digest"
).bindparams(bindparam("lock"), bindparam("digest", type_=LargeBinary))

_STORED = ("digest", "fingerprint", "status", "headers", "body", "subject_id")
_STORE = CompiledStatement(insert(idempotency_key).values({name: bindparam(name) for name in _STORED}))


class IdempotencyKeyInUse(Conflict):
    """The same key is being worked on at this moment."""

    slug, title = "idempotency-key-in-use", "A request with this key is under way"


class IdempotencyKeyReused(Unprocessable):
    """The key came before, with another request."""

    slug, title = "idempotency-key-reused", "This key belongs to another request"


class _Subject(msgspec.Struct):
    """Of an answer, what it is about."""

    id: UUID | None = None


_subject_decoder = msgspec.json.Decoder(_Subject)


class Claim(msgspec.Struct, frozen=True):
    """A key that this request may store its answer under."""

    digest: bytes
    fingerprint: bytes


def key_of(request: Request) -> str | None:
    """The request's key. Raises `Unprocessable` when it is empty, too long or not printable ASCII."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise Unprocessable(f"Idempotency-Key must be 1 to {MAX_LENGTH} printable ASCII characters.")
    return key


async def claim(session: AsyncSession, request: Request, key: str, subject: str) -> Claim | Response:
    """Claims the key until the transaction ends, or gives the answer that is stored under it.

    Raises `IdempotencyKeyInUse` (409) and `IdempotencyKeyReused` (422).
    """
    digest = hashlib.sha256(f"{len(subject)}:{subject}{key}".encode()).digest()
    asked = f"{request.method} {request.url.path}?{request.url.query}\n{request.headers.get('if-match', '')}\n"
    fingerprint = hashlib.sha256(asked.encode() + await request.body()).digest()
    lock = int.from_bytes(digest[:8], "big", signed=True)
    asked_for = {"lock": lock, "digest": digest}
    # One step into SQLAlchemy for both, the connection and the statement that the transaction begins with.
    found = await session.run_sync(lambda begun: begun.connection().execute(_CLAIM, asked_for).one())
    if found.fingerprint is None:
        if not found.claimed:
            raise IdempotencyKeyInUse("Wait for the answer of the first request, then send it again.")
        return Claim(digest=digest, fingerprint=fingerprint)
    if bytes(found.fingerprint) != fingerprint:
        raise IdempotencyKeyReused("Use a new Idempotency-Key for a new request.")
    return Response(
        content=bytes(found.body), status_code=found.status, headers=found.headers | {"idempotent-replayed": "true"}
    )


async def store(session: AsyncSession, claimed: Claim, response: Response) -> None:
    """Stores the answer; it becomes visible with the write itself."""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    await _STORE.execute(
        session,
        digest=claimed.digest,
        fingerprint=claimed.fingerprint,
        status=response.status_code,
        headers=msgspec.json.encode(headers).decode(),
        body=response.body,
        subject_id=_subject_of(bytes(response.body)),
    )


def _subject_of(body: bytes) -> UUID | None:
    try:
        return _subject_decoder.decode(body).id
    except msgspec.DecodeError:
        return None


async def forget_old(connection: AsyncConnection) -> int:
    """Deletes keys past their retention, at most 10,000 at once; the number deleted."""
    old = (
        select(idempotency_key.c.digest)
        .where(idempotency_key.c.created_at < func.now() - RETENTION)
        .limit(10_000)
        .scalar_subquery()
    )
    return (await connection.execute(delete(idempotency_key).where(idempotency_key.c.digest.in_(old)))).rowcount
