"""Everything that is in the metrics database: importing it declares every table."""

from metrics_worker.api import stream_tickets
from metrics_worker.customers import model as customers
from metrics_worker.ledger.tables import metadata
from metrics_worker.periods import model as periods
from metrics_worker.targets import model as targets
from metrics_worker.webhooks import model as webhooks

__all__ = ["metadata"]

DECLARED = (customers, periods, stream_tickets, targets, webhooks)
