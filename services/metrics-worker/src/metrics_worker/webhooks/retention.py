"""How long deliveries to webhooks are kept."""

from datetime import timedelta

from metrics_worker.webhooks.model import WebhookDelivery
from service_kit.retention import RetentionRule


def ended_deliveries(*, delivered_days: int, dead_days: int) -> list[RetentionRule]:
    """Return the rules of deliveries that succeeded and that were given up, by their last try; others never expire."""
    return [
        RetentionRule(
            table=WebhookDelivery.table,
            since=WebhookDelivery.table.c.last_tried_at,
            keep=timedelta(days=days),
            only=f"status = '{status}'",
        )
        for status, days in (("delivered", delivered_days), ("dead", dead_days))
    ]
