"""Publishes which customers are at risk and which have recovered, once for each change, by the ledger of today."""

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from event_contracts.fields import money_from_minor_units
from metrics_worker.customers.model import PublishedRisk
from metrics_worker.customers.queries import relationship_of
from metrics_worker.domain.customer_health import health_of
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.tables import ledger, risk_review
from metrics_worker.webhooks.publisher import publish

log = structlog.get_logger()

CHANGES = Counter("tandem_customer_risk_changes_total", "Customers whose risk was published.", ["outcome"])
AT_ONCE: Final = 500
"""Reviews of one transaction."""


class RiskEvaluator:
    """Evaluates the customers whose risk is due for review. The caller ensures that one process does so at a time."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._opened: datetime | Literal["never"] | None = "never"
        """When the ledger was opened that was evaluated last; None for one that is not opened yet."""

    async def run_once(self, reporting: Reporting, now: datetime) -> None:
        """Evaluate what is due."""
        today = reporting.day_of(now)
        await self._review_the_published(reporting, now)
        while await self._review_a_batch(today, reporting, now):
            pass

    async def _review_the_published(self, reporting: Reporting, now: datetime) -> None:
        """Evaluate all published risks after a rebuild: the new ledger asks for reviews of customers at risk only."""
        async with self._sessions() as session, session.begin():
            opened = (await session.execute(sa.select(ledger.c.opened_at))).scalar_one_or_none()
            if opened == self._opened:
                return
            published = sa.select(PublishedRisk.customer).where(sa.func.cardinality(PublishedRisk.reasons) > 0)
            for customer in (await session.execute(published.order_by(PublishedRisk.customer))).scalars().all():
                await self._evaluate(session, customer, reporting, now)
        self._opened = opened

    async def _review_a_batch(self, today: date, reporting: Reporting, now: datetime) -> bool:
        async with self._sessions() as session, session.begin():
            due = (
                await session.execute(
                    sa.select(risk_review.c.id, risk_review.c.customer).where(risk_review.c.day <= today).limit(AT_ONCE)
                )
            ).all()
            for customer in sorted({row.customer for row in due}):
                await self._evaluate(session, customer, reporting, now)
            if due:
                await session.execute(sa.delete(risk_review).where(risk_review.c.id.in_([row.id for row in due])))
        return bool(due)

    async def _evaluate(self, session: AsyncSession, customer: UUID, reporting: Reporting, now: datetime) -> None:
        found = await relationship_of(session, customer, reporting)
        health = health_of(found.relationship, reporting.day_of(now))
        # A customer that was merged is no longer at risk: the survivor is.
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
