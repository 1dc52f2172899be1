"""Publishes which customers are at risk and which have recovered, once for each change, by the ledger of today."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from event_contracts.fields import money_from_minor_units
from metrics_worker.customers.model import PublishedRisk
from metrics_worker.customers.queries import relationship_of
from metrics_worker.domain.customer_health import health_of
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.tables import ledger, risk_review
from metrics_worker.webhooks.publisher import publish
from service_kit.unit_of_work import UnitOfWork

log = structlog.get_logger()

CHANGES = Counter("tandem_customer_risk_changes_total", "Customers whose risk was published.", ["outcome"])
AT_ONCE: Final = 500
"""Reviews that are read together."""


class RiskEvaluator:
    """Evaluates the customers whose risk is due for review. The caller ensures that one process does so at a time."""

    def __init__(self, begin: Callable[..., UnitOfWork]) -> None:
        self._begin = begin
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
        async with self._begin(only_reads=True) as work:
            opened = (await work.execute(sa.select(ledger.c.opened_at))).scalar_one_or_none()
            if opened == self._opened:
                return
            risks = PublishedRisk.table.c
            published = sa.select(risks.customer).where(sa.func.cardinality(risks.reasons) > 0)
            customers = (await work.execute(published.order_by(risks.customer))).scalars().all()
        for customer in customers:
            await self._evaluate(customer, reporting, now)
        self._opened = opened

    async def _review_a_batch(self, today: date, reporting: Reporting, now: datetime) -> bool:
        async with self._begin(only_reads=True) as work:
            reviews = sa.select(risk_review.c.id, risk_review.c.customer).where(risk_review.c.day <= today)
            due = (await work.execute(reviews.limit(AT_ONCE))).all()
        for customer in sorted({row.customer for row in due}):
            await self._evaluate(customer, reporting, now)
        if due:
            # After the evaluations, which do nothing when they are repeated.
            async with self._begin() as work:
                await work.execute(sa.delete(risk_review).where(risk_review.c.id.in_([row.id for row in due])))
                await work.commit()
        return bool(due)

    async def _evaluate(self, customer: UUID, reporting: Reporting, now: datetime) -> None:
        async with self._begin() as work:
            found = await relationship_of(await work.connection(), customer, reporting)
            health = health_of(found.relationship, reporting.day_of(now))
            # A customer that was merged is no longer at risk: the survivor is.
            at_risk = found.survivor == customer and bool(health.risks)
            risk = await work.get(PublishedRisk, customer)
            if risk is None:
                risk = PublishedRisk.of(customer, now)
                work.add(risk)
            event = risk.update(
                health.risks if at_risk else [],
                money_from_minor_units(health.revenue + health.pipeline if at_risk else 0, reporting.currency),
                since=health.at_risk_since if at_risk else None,
                at=now,
            )
            if event is None:
                return
            await publish(work, event, sequence=risk.sequence, time=now, partition_key=customer)
            await work.commit()
        outcome = "at-risk" if at_risk else "recovered"
        CHANGES.labels(outcome).inc()
        log.info("customer_risk_changed", customer_id=str(customer), outcome=outcome)
