"""Tickets for streams: a browser's EventSource can send no header, and a token must never be part of an address."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.database import authoritative
from service_kit.auth import Principal
from service_kit.problems import Unauthenticated

TICKET_SECONDS: Final = 30
"""A ticket opens streams for this long. The stream lasts as long as the token that the ticket was issued for."""
MAX_LENGTH: Final = 4000

signing_key = sa.Table(
    "signing_key",
    authoritative,
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
    comment="Keys that this service signs with for itself; all of its processes share them.",
)
_PURPOSE: Final = "stream-tickets"


class _Claims(msgspec.Struct, frozen=True):
    subject: str
    roles: list[str]
    token_expires_at: float
    until: float
    person: UUID | None
    teams: list[UUID]
    regions: list[str]
    key_id: str


class Ticket(msgspec.Struct, frozen=True):
    """A ticket and when it expires."""

    text: str
    expires_at: datetime


class Tickets:
    """Issues and redeems tickets; a process redeems those of any other."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._key: bytes | None = None
        self._reading = asyncio.Lock()

    async def issue(self, principal: Principal) -> Ticket:
        """Return a ticket for the holder of a token."""
        until = min(time.time() + TICKET_SECONDS, principal.expires_at)
        claims = msgspec.json.encode(
            _Claims(
                subject=principal.subject,
                roles=sorted(principal.roles),
                token_expires_at=principal.expires_at,
                until=until,
                person=principal.person,
                teams=sorted(principal.teams),
                regions=sorted(principal.regions),
                key_id=principal.key_id,
            )
        )
        text = f"{_text_of(claims)}.{_text_of(await self._signature(claims))}"
        return Ticket(text, datetime.fromtimestamp(until, UTC))

    async def redeem(self, ticket: str) -> Principal:
        """Return the holder of the ticket. Raise `Unauthenticated` when it is not one of ours, or too old."""
        try:
            claims, signature = (base64.b64decode(part, b"-_", validate=True) for part in ticket.split("."))
        except ValueError:
            raise _refused() from None
        if not hmac.compare_digest(signature, await self._signature(claims)):
            raise _refused()
        try:
            claimed = msgspec.json.decode(claims, type=_Claims)
        except msgspec.ValidationError:
            # Of another version of this process.
            raise _refused() from None
        if claimed.until < time.time():
            raise _refused()
        return Principal(
            subject=claimed.subject,
            roles=frozenset(claimed.roles),
            expires_at=claimed.token_expires_at,
            person=claimed.person,
            teams=frozenset(claimed.teams),
            regions=frozenset(claimed.regions),
            key_id=claimed.key_id,
        )

    async def _signature(self, claims: bytes) -> bytes:
        if self._key is None:
            async with self._reading:
                self._key = self._key or await self._shared_key()
        return hmac.digest(self._key, claims, hashlib.sha256)

    async def _shared_key(self) -> bytes:
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(signing_key).values(purpose=_PURPOSE, key=secrets.token_bytes(32)).on_conflict_do_nothing()
            )
            query = sa.select(signing_key.c.key).where(signing_key.c.purpose == _PURPOSE)
            return bytes((await connection.execute(query)).scalar_one())


def _text_of(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()


def _refused() -> Unauthenticated:
    return Unauthenticated("The ticket is not valid. Get a new one.", error="invalid_token")
