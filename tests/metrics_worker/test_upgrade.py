"""A database of the first version migrates to the newest: what people entered is kept."""

from collections.abc import Callable

import metrics_worker
from tests.metrics_worker.facts import VILNIUS
from tests.upgrading import WHEN, Values, upgraded_step_by_step

MADE: Values = {
    "ledger": {"timezone": VILNIUS.zone.key, "currency": VILNIUS.currency, "rules_version": 1},
    # Dropped by a later revision, which rebuilds the ledger.
    "subject_state": {"waiting_since": None},
    "waiting_policy": {"reason": "lead", "limit_minutes": 60, "warn_minutes": 10},
    "dead_letter": {"consumer": "metrics-worker", "status": "sent"},
    "target": {
        "kpi": "revenue",
        "variant": "standard",
        "dimension": None,
        "dimension_value": None,
        "value": 5000,
        "period": None,
        "since": WHEN.date(),
        "missed": None,
        "missed_since": None,
    },
    "outbox": {"aggregatetype": "metrics.events", "parked_reason": "the broker refused it"},
    "webhook_delivery": {"status": "delivered"},
    "closed_period": {"name": "2026-03-10", "first_day": WHEN.date(), "last_day": WHEN.date()},
    "closed_figure": {
        "kpi": "sales_volume",
        "variant": "standard",
        "as_closed": {"value": "120", "numerator": 120, "denominator": None},
        "published": {"value": "120", "numerator": 120, "denominator": None},
    },
}


async def test_what_people_entered_outlives_every_migration(new_database: Callable[[str], str]) -> None:
    await upgraded_step_by_step(new_database("upgraded"), metrics_worker, MADE)
