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
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.compiled import CompiledStatement, Through
from service_kit.database import metadata
from service_kit.problems import Conflict, Unprocessable
from service_kit.unit_of_work import UnitOfWork

HEADER: Final = "idempotency-key"
RETENTION: Final = timedelta(days=7)
"""Named in the OpenAPI documents, and so no setting."""
RETRY_AFTER_SECONDS: Final = 1
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

_STORED: Final = CompiledStatement(
    select(*idempotency_key.c["fingerprint", "status", "headers", "body"]).where(
        idempotency_key.c.digest == bindparam("digest", type_=LargeBinary)
    )
)


class IdempotencyKeyInUse(Conflict):
    """The first request with this key is under way."""

    slug, title = "idempotency-key-in-use", "A request with this key is under way"

    def __init__(self) -> None:
        super().__init__(
            "It was sent again before it was answered. Repeat it with the same Idempotency-Key after Retry-After.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


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

    @property
    def lock(self) -> int:
        """The advisory lock that is held for the key while its request is under way."""
        return int.from_bytes(self.digest[:8], "big", signed=True)


def key_of(request: Request) -> str | None:
    """The request's key. Raises `Unprocessable` when it is empty, too long or not printable ASCII."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise Unprocessable(f"Idempotency-Key must be 1 to {MAX_LENGTH} printable ASCII characters.")
    return key


async def claim_of(request: Request, key: str, owner: str) -> Claim:
    """Return the claim of a request that the key's owner sends: keys of different owners have nothing in common."""
    digest = hashlib.sha256(f"{len(owner)}:{owner}{key}".encode()).digest()
    asked = f"{request.method} {request.url.path}?{request.url.query}\n{request.headers.get('if-match', '')}\n"
    return Claim(digest=digest, fingerprint=hashlib.sha256(asked.encode() + await request.body()).digest())


async def stored_answer(work: Through, claim: Claim) -> Response | None:
    """Return the answer that is stored under the key, if one is. Raises `IdempotencyKeyReused` (422)."""
    found = await _STORED.one_or_none(work, digest=claim.digest)
    if found is None:
        return None
    if found["fingerprint"] != claim.fingerprint:
        raise IdempotencyKeyReused("Use a new Idempotency-Key for a new request.")
    headers = found["headers"] | {"idempotent-replayed": "true"}
    return Response(content=found["body"], status_code=found["status"], headers=headers)


def store(work: UnitOfWork, claim: Claim, response: Response) -> None:
    """Store the answer; it becomes visible with the write itself."""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    body = bytes(response.body)
    row = {
        "digest": claim.digest,
        "fingerprint": claim.fingerprint,
        "status": response.status_code,
        "headers": msgspec.json.encode(headers).decode(),
        "body": body,
        "subject_id": _subject_of(body),
    }
    work.insert(idempotency_key, row)


def _subject_of(body: bytes) -> UUID | None:
    try:
        return _subject_decoder.decode(body).id
    except msgspec.DecodeError:
        return None
