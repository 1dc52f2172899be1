"""The lease that makes one relay of a database the active one.

It expires: a relay that is stopped keeps its connection and blocks no other. Its epoch fences the writes of one that
has lost it; what that one still sends is fenced by Kafka.
"""

from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from service_kit.clock import Clock
from service_kit.compiled import CompiledStatement
from service_kit.database import metadata

LEASE_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 2.0

relay_lease = sa.Table(
    "relay_lease",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column(
        "producer",
        sa.Uuid,
        nullable=False,
        server_default=sa.func.gen_random_uuid(),
        comment="names the relays of this database to Kafka, which fences all of them but the newest",
    ),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="rises with every relay that becomes active"),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("backend_pid", sa.Integer, nullable=False, comment="of the holder's session; the lease ends with it"),
    sa.Column("backend_started_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("id = 1", name="single_row"),
    comment="Which relay is the active one; one row.",
)

_TAKE: Final = CompiledStatement(
    sa.text(
        "insert into relay_lease as lease (id, epoch, expires_at, backend_pid, backend_started_at)"
        " select 1, 1, now() + make_interval(secs => :seconds), pid, backend_start"
        " from pg_stat_activity where pid = pg_backend_pid()"
        " on conflict (id) do update set epoch = lease.epoch + 1, expires_at = excluded.expires_at,"
        " backend_pid = excluded.backend_pid, backend_started_at = excluded.backend_started_at"
        " where lease.expires_at < now() or not exists (select from pg_stat_activity as holder"
        " where holder.pid = lease.backend_pid and holder.backend_start = lease.backend_started_at)"
        " returning epoch, producer"
    )
)
_RENEW: Final = CompiledStatement(
    sa.text(
        "update relay_lease set expires_at = now() + make_interval(secs => :seconds) where epoch = :epoch"
        " returning epoch"
    )
)


class LeaseLost(Exception):
    """Another relay is the active one now."""


class Lease:
    """The lease, as its holder knows it."""

    def __init__(self, driver: asyncpg.Connection, clock: Clock, epoch: int, producer: UUID) -> None:
        self._driver = driver
        self._clock = clock
        self._renewed_at = clock.monotonic()
        self.epoch = epoch
        self.producer = producer

    @classmethod
    async def take(cls, driver: asyncpg.Connection, clock: Clock) -> "Lease | None":
        """Return the lease, unless another relay holds it: then None.

        It is free when it has expired, and when the session of its holder has ended.
        """
        row = await _TAKE.one_or_none(driver, seconds=LEASE_SECONDS)
        return None if row is None else cls(driver, clock, row["epoch"], row["producer"])

    async def renew(self) -> None:
        """Renew it. Raise `LeaseLost`."""
        now = self._clock.monotonic()
        if await _RENEW.one_or_none(self._driver, seconds=LEASE_SECONDS, epoch=self.epoch) is None:
            raise LeaseLost(f"the lease of epoch {self.epoch} was taken over")
        self._renewed_at = now

    async def renew_when_due(self) -> None:
        """Renew it from time to time. Raise `LeaseLost`."""
        if self._clock.monotonic() - self._renewed_at > RENEW_SECONDS:
            await self.renew()
