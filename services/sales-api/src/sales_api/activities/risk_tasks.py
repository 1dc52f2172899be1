"""Customers at risk: a task for the account's owner, with the reasons, which recovery closes."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import sqlalchemy as sa

from event_contracts.codec import CloudEvent
from event_contracts.metrics import Risk
from sales_api.accounts.use_cases import survivor_of
from sales_api.activities.model import Activity
from sales_api.activities.use_cases import plan_activity
from sales_api.tables import Base
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.unit_of_work import UnitOfWork

PURPOSE: Final = "customer-at-risk"
"""What such a task is for, by which lists find it."""
RECOVERED: Final = "customer-recovered"
"""Why it is cancelled."""
TIME_TO_ACT: Final = timedelta(hours=24)


class RiskTask(Base, table="risk_task", audited=False):
    """The newest task about a customer who is or was at risk; only the consumer writes it. Its id is the customer's."""

    id: Annotated[UUID, column(primary_key=True)]
    activity_id: UUID
    reasons: Annotated[list[str], column(sa.ARRAY(sa.Text), comment="that it covers; empty once recovered")]
    epoch: Annotated[int, column(comment="of the newest event that was followed")]
    sequence: int


async def follow_risk(work: UnitOfWork, event: CloudEvent, risk: Risk, *, risk_days: int) -> None:
    """Plan a task for a customer who became at risk, keep its reasons, and cancel it once the customer has recovered.

    What was done or cancelled is planned anew for a reason that is new. A risk that was found more than
    `risk_days` ago gets no task: it is from before sales-consumer.
    """
    version = event.epoch, event.sequence
    task = await work.get(RiskTask, risk.id, lock="no key update")
    if task is not None:
        if version <= (task.epoch, task.sequence):
            # The log is read again, by a consumer that has lost what it had seen.
            return
        task.epoch, task.sequence = version
    activity = None if task is None else await work.get(Activity, task.activity_id, lock="no key update")
    if not risk.reasons or event.event_type.correction == "withdrawn":
        if task is not None:
            task.reasons = []
        if activity is not None and activity.status == "planned":
            at = max(risk.judged_at, activity.changed_at)
            publish(work, activity, activity.cancel(RECOVERED, at=at), at)
        return
    if activity is not None and task is not None and activity.status == "planned":
        if activity.reasons != risk.reasons:
            at = max(risk.judged_at, activity.changed_at)
            publish(work, activity, activity.amend({"reasons": risk.reasons}, at=at), at)
        task.reasons = sorted({*task.reasons, *risk.reasons})
        return
    if task is not None and set(risk.reasons) <= set(task.reasons):
        return
    now = datetime.now(UTC)
    account = await survivor_of(work, risk.id)
    if account is None or account.erased_at is not None or risk.judged_at < now - timedelta(days=risk_days):
        return
    activity = await plan_activity(
        work, "call", account, due_at=now + TIME_TO_ACT, purpose=PURPOSE, reasons=risk.reasons, at=now
    )
    if task is None:
        work.add(
            RiskTask(
                id=risk.id,
                activity_id=activity.id,
                reasons=risk.reasons,
                epoch=event.epoch,
                sequence=event.sequence,
            )
        )
    else:
        task.activity_id, task.reasons = activity.id, sorted({*task.reasons, *risk.reasons})
