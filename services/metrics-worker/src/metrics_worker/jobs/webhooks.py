"""Sends due deliveries to webhooks: each receiver one message at a time, independently of the others."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import UUID

import httpcore
import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.webhooks.addresses import AddressRefused, GuardedNetwork, check_address
from metrics_worker.webhooks.model import MOST_TRIES, Webhook, WebhookDelivery, WebhookSecret
from metrics_worker.webhooks.signatures import headers_of
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.database import database_now
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import UnitOfWork, units_of_work

log = structlog.get_logger()

SENT = Counter("tandem_webhook_tries_total", "Messages sent to webhooks.", ["outcome"])
DEAD = Gauge("tandem_webhook_dead_deliveries", "Messages to webhooks that were given up.")

PAUSE_SECONDS: Final = 0.25
AT_ONCE: Final = 20
TRY_SECONDS: Final = 15
LEASE: Final = timedelta(seconds=60)
"""Longer than a try: what a process that died had taken is tried again after this."""
COUNT_SECONDS: Final = 60

# A try is counted when it is taken, so that a message that kills its sender is not tried for ever. What is due exactly
# a lease after its last try is being tried: meanwhile its receiver gets nothing else, from no process.
_TAKE = sa.text("""
    UPDATE webhook_delivery AS delivery
    SET tries = tries + 1, next_try_at = now() + :lease, last_tried_at = now()
    FROM (
        SELECT id FROM webhook_delivery
        WHERE status = 'pending' AND next_try_at <= now() AND id IN (
            SELECT due.id
            FROM webhook CROSS JOIN LATERAL (
                SELECT id FROM webhook_delivery AS waiting
                WHERE waiting.webhook_id = webhook.id AND waiting.status = 'pending' AND waiting.next_try_at <= now()
                ORDER BY waiting.next_try_at, waiting.id LIMIT 1
            ) AS due
            WHERE webhook.active AND NOT webhook.id = ANY (:busy) AND (:only IS NULL OR webhook.id = :only)
            AND NOT EXISTS (
                SELECT FROM webhook_delivery AS held
                WHERE held.webhook_id = webhook.id AND held.status = 'pending'
                AND held.next_try_at > now() AND held.next_try_at = held.last_tried_at + :lease
            )
        )
        ORDER BY next_try_at LIMIT :free FOR UPDATE SKIP LOCKED
    ) AS taken
    WHERE delivery.id = taken.id
    RETURNING delivery.id, delivery.webhook_id
""").bindparams(
    sa.bindparam("lease", type_=sa.Interval),
    sa.bindparam("busy", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("only", type_=sa.Uuid),
    sa.bindparam("free"),
)

# Asked four times a second: as it takes nothing, it needs no transaction.
_DELIVERY: Final = WebhookDelivery.table.c
_ANY_DUE = CompiledStatement(
    sa.select(_DELIVERY.id).where(_DELIVERY.status == "pending", _DELIVERY.next_try_at <= sa.func.now()).limit(1)
)


class WebhookSender:
    """The sender of one process; any number of them share the work. `run` ends when `stop` is set."""

    def __init__(self, engine: AsyncEngine, *, allow_loopback: bool) -> None:
        self._engine = engine
        self._begin = units_of_work(engine, process="webhook-sender")
        self._allow_loopback = allow_loopback
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=AT_ONCE,
            keepalive_expiry=30,
            network_backend=GuardedNetwork(allow_loopback=allow_loopback),
        )
        self._counted = float("-inf")
        self._is_stopping = False
        # What a run that fails had taken is tried again when its lease ends.
        self.job = PeriodicJob("webhooks", self.run_once, pause=PAUSE_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until `stop` is set, and then waits for the tries that are under way."""
        await self.job.run(stop)
        self._is_stopping = True
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=5)
        for task in self._busy.values():
            task.cancel()
        await self._pool.aclose()

    async def run_once(self) -> None:
        """Start to send what is due, as far as there is room for it."""
        free = AT_ONCE - len(self._busy)
        async with self._engine.connect() as connection:
            any_due = await _ANY_DUE.all(await driver_of(connection))
        now = asyncio.get_running_loop().time()
        is_count_due = now - self._counted > COUNT_SECONDS
        if not any_due and not is_count_due:
            return
        async with self._begin() as work:
            taken = await _take(work, busy=list(self._busy), free=free)
            if is_count_due:
                await _count_dead(work)
                self._counted = now
            await work.commit()
        for delivery in taken:
            task = asyncio.create_task(self._send(delivery.id, delivery.webhook_id))
            self._busy[delivery.webhook_id] = task
            task.add_done_callback(lambda _, busy=delivery.webhook_id: self._busy.pop(busy))  # type: ignore[misc]

    async def idle(self) -> None:
        """Wait for the tries that are under way."""
        if self._busy:
            await asyncio.wait(list(self._busy.values()))

    async def _send(self, delivery_id: UUID, webhook_id: UUID) -> None:
        """Send a delivery, and while the receiver takes them, what else is due for it: a burst is not to wait."""
        try:
            while await self._try(delivery_id, webhook_id) and not self._is_stopping:
                async with self._begin() as work:
                    taken = await _take(work, busy=[], free=1, only=webhook_id)
                    await work.commit()
                if not taken:
                    return
                delivery_id = taken[0].id
        except Exception as error:
            # The database is away: the lease brings it back.
            log.warning("webhook_try_lost", delivery_id=str(delivery_id), error=repr(error))

    async def _try(self, delivery_id: UUID, webhook_id: UUID) -> bool:
        """Send a delivery once, and return whether the receiver took it."""
        async with self._begin(only_reads=True) as work:
            delivery = await work.get(WebhookDelivery, delivery_id)
            webhook = await work.get(Webhook, webhook_id)
            secrets = WebhookSecret.table.c
            is_valid = sa.or_(secrets.retires_at.is_(None), secrets.retires_at > datetime.now(UTC))
            of_webhook = secrets.webhook_id == webhook_id
            valid = await work.find(WebhookSecret, of_webhook, is_valid, order_by=[secrets.id.desc()])
        if delivery is None or webhook is None:
            # Deleted meanwhile.
            return False
        # No transaction is open while the receiver is slow.
        if delivery.tries > MOST_TRIES:
            outcome = Outcome(error="every try was cut off before its end")
        else:
            outcome = await self._post(webhook.url, delivery, [secret.key for secret in valid])
        return await self._record(delivery, outcome)

    async def _post(self, url: str, delivery: WebhookDelivery, keys: list[bytes]) -> "Outcome":
        signed = headers_of(str(delivery.event_id), delivery.payload, datetime.now(UTC), keys)
        headers = {"content-type": "application/json", "user-agent": "tandem-webhooks/1", **signed}
        try:
            # Again: the rules may be stricter than at registration.
            check_address(url, allow_loopback=self._allow_loopback)
            async with (
                asyncio.timeout(TRY_SECONDS),
                self._pool.stream("POST", url, headers=list(headers.items()), content=delivery.payload) as answer,
            ):
                # The body is not read: it is not needed, and may have no end.
                given = {name.lower(): value for name, value in answer.headers}
                return Outcome(status=answer.status, retry_after=_pause(given.get(b"retry-after")))
        except AddressRefused as refused:
            return Outcome(error=f"the address {refused}")
        except (TimeoutError, httpcore.TimeoutException):
            return Outcome(error="no answer in time")
        except httpcore.ProtocolError:
            return Outcome(error="the answer broke off, or is not HTTP")
        except (OSError, httpcore.NetworkError, httpcore.UnsupportedProtocol) as error:
            return Outcome(error=f"no connection: {type(error).__name__}")

    async def _record(self, tried: WebhookDelivery, outcome: "Outcome") -> bool:
        async with self._begin() as work:
            delivery = await work.get(WebhookDelivery, tried.id, lock="no key update")
            if delivery is None or delivery.status != "pending" or delivery.tries != tried.tries:
                # It was deleted, or its lease ended and another process has taken it.
                return False
            now = await database_now(work)
            status = outcome.status
            if status is not None and 200 <= status < 300:
                delivery.succeed(status)
            elif status == 410:
                webhook = await work.get(Webhook, tried.webhook_id, lock="no key update")
                if webhook is not None:
                    webhook.switch_off("the receiver answered 410 Gone")
                delivery.give_up("gone", status=status)
            else:
                error = outcome.error or (
                    "a redirect, which is not followed" if 300 <= (status or 0) < 400 else "refused"
                )
                delivery.fail(error, status=status, at=now, retry_after=outcome.retry_after)
            result = delivery.status
            await work.commit()
        SENT.labels("delivered" if result == "delivered" else "failed").inc()
        log.info("webhook_tried", delivery_id=str(tried.id), status=outcome.status, result=result, tries=tried.tries)
        return result == "delivered"


async def _take(work: UnitOfWork, *, busy: list[UUID], free: int, only: UUID | None = None) -> Sequence[sa.Row[Any]]:
    """Take due deliveries, one of each receiver at most that is not busy."""
    return (await work.execute(_TAKE, {"lease": LEASE, "busy": busy, "free": free, "only": only})).all()


async def _count_dead(work: UnitOfWork) -> None:
    dead = sa.select(sa.func.count()).where(_DELIVERY.status == "dead")
    DEAD.set((await work.execute(dead)).scalar_one())


class Outcome:
    """The outcome of one try: the answer's status, or why there was none."""

    def __init__(
        self, *, status: int | None = None, retry_after: timedelta | None = None, error: str | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        self.error = error


def _pause(retry_after: bytes | None) -> timedelta | None:
    """Return the header's value, in either of its forms; None when it is not valid."""
    if retry_after is None:
        return None
    text = retry_after[:64].decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment - datetime.now(UTC) if moment.tzinfo else None
