"""Publishes who is at risk and who has recovered, once for each change, by the books of today."""

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from event_contracts.fields import money_from_minor_units
from metrics_worker.books.tables import ledger, risk_review
from metrics_worker.customers.model import PublishedRisk
from metrics_worker.customers.queries import relationship_of
from metrics_worker.domain.customer_health import health_of
from metrics_worker.domain.posting import Reporting
from metrics_worker.targets.lookup import today_in
from metrics_worker.webhooks.publisher import publish

log = structlog.get_logger()

CHANGES = Counter("tandem_customer_risk_changes_total", "Customers whose risk was published.", ["outcome"])
AT_ONCE: Final = 500
"""Reviews that one transaction works off."""


class RiskJudge:
    """Judges the customers whom the books ask to look at. Only one process may at a time: the caller sees to that."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._opened: datetime | Literal["never"] | None = "never"
        """When the books were made that were looked at last; None for books that are not opened yet."""

    async def look(self, reporting: Reporting, now: datetime) -> None:
        """Works off what is due."""
        today = today_in(reporting, now)
        await self._look_again_at_the_published(reporting, now)
        while await self._work_off(today, reporting, now):
            pass

    async def _look_again_at_the_published(self, reporting: Reporting, now: datetime) -> None:
        """Books that were made anew ask for whom they know to be at risk, and not for whom they do not."""
        async with self._sessions() as session, session.begin():
            opened = (await session.execute(sa.select(ledger.c.opened_at))).scalar_one_or_none()
            if opened == self._opened:
                return
            published = sa.select(PublishedRisk.customer).where(sa.func.cardinality(PublishedRisk.reasons) > 0)
            for customer in (await session.execute(published.order_by(PublishedRisk.customer))).scalars().all():
                await self._judge(session, customer, reporting, now)
        self._opened = opened

    async def _work_off(self, today: date, reporting: Reporting, now: datetime) -> bool:
        async with self._sessions() as session, session.begin():
            due = (
                await session.execute(
                    sa.select(risk_review.c.id, risk_review.c.customer).where(risk_review.c.day <= today).limit(AT_ONCE)
                )
            ).all()
            for customer in sorted({row.customer for row in due}):
                await self._judge(session, customer, reporting, now)
            if due:
                await session.execute(sa.delete(risk_review).where(risk_review.c.id.in_([row.id for row in due])))
        return bool(due)

    async def _judge(self, session: AsyncSession, customer: UUID, reporting: Reporting, now: datetime) -> None:
        found = await relationship_of(session, customer, reporting)
        health = health_of(found.relationship, today_in(reporting, now))
        # A customer that was merged is at risk no more: the one that remains is.
        at_risk = found.survivor == customer and bool(health.risks)
        risk = await session.get(PublishedRisk, customer)
        if risk is None:
            risk = PublishedRisk.of(customer, now)
        event = risk.update(
            health.risks if at_risk else [],
            money_from_minor_units(health.revenue + health.pipeline if at_risk else 0, reporting.currency),
            since=health.at_risk_since if at_risk else None,
            at=now,
        )
        if event is None:
            return
        session.add(risk)
        await publish(session, event, sequence=risk.sequence, time=now, partition_key=customer)
        outcome = "at-risk" if at_risk else "recovered"
        CHANGES.labels(outcome).inc()
        log.info("customer_risk_changed", customer_id=str(customer), outcome=outcome)
