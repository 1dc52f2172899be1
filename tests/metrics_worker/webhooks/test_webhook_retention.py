"""Deliveries that ended are deleted after their time, and those that are still to be sent never."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.webhooks.model import Webhook, WebhookDelivery
from metrics_worker.webhooks.retention import ended_deliveries
from service_kit.identifiers import new_id
from service_kit.retention import RetentionJob, RetentionRule
from tests.statements import plan_of

RULES = ended_deliveries(delivered_days=30, dead_days=90)


async def insert(engine: AsyncEngine, event_type: str, *deliveries: tuple[str, int]) -> None:
    """Insert deliveries of an event by status, and how many days ago they were last tried."""
    now = datetime.now(UTC)
    webhook: dict[str, Any] = {
        "id": new_id(),
        "version": 1,
        "url": "https://receiver.example",
        "event_types": [],
        "active": True,
        "disabled_because": None,
        "created_at": now,
    }
    async with engine.begin() as connection:
        await connection.execute(sa.insert(Webhook.table), webhook)
        for status, days in deliveries:
            await connection.execute(
                sa.insert(WebhookDelivery.table), delivery(webhook["id"], event_type, status, now, days)
            )


def delivery(webhook_id: UUID, event_type: str, status: str, now: datetime, days: int) -> dict[str, Any]:
    return {
        "id": new_id(),
        "webhook_id": webhook_id,
        "event_id": new_id(),
        "event_type": event_type,
        "payload": b"{}",
        "status": status,
        "tries": 1,
        "next_try_at": now,
        "created_at": now - timedelta(days=500),
        "last_tried_at": now - timedelta(days=days),
    }


async def kept(engine: AsyncEngine) -> list[tuple[str, int]]:
    table = WebhookDelivery.table.c
    days = sa.extract("day", sa.func.now() - table.last_tried_at)
    async with engine.connect() as connection:
        return sorted((status, int(age)) for status, age in await connection.execute(sa.select(table.status, days)))


@pytest.mark.parametrize("event_type", ["metrics.kpi-target-missed", "sales.deal-closed", "service.ticket-opened"])
async def test_delivered_and_dead_messages_expire_and_pending_ones_do_not(engine: AsyncEngine, event_type: str) -> None:
    both = [(status, days) for status in ("delivered", "dead", "pending") for days in (29, 31, 89, 91)]
    await insert(engine, event_type, *both)
    assert await RetentionJob(engine, RULES).run_once() is False
    pending = [("pending", days) for days in (29, 31, 89, 91)]
    assert await kept(engine) == [("dead", 29), ("dead", 31), ("dead", 89), ("delivered", 29), *pending]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.only)
async def test_ended_deliveries_are_found_by_an_index(engine: AsyncEngine, rule: RetentionRule) -> None:
    assert "webhook_delivery_ended_idx" in await plan_of(engine, rule.statement())
