"""Everything that is in the metrics database, by schema: importing it declares every table."""

from metrics_worker import views
from metrics_worker.api import stream_tickets
from metrics_worker.customers import model as customers
from metrics_worker.database import authoritative
from metrics_worker.ledger.tables import metadata as derived
from metrics_worker.periods import model as periods
from metrics_worker.proofs import model as proofs
from metrics_worker.targets import model as targets
from metrics_worker.waiting import model as waiting
from metrics_worker.webhooks import model as webhooks

__all__ = ["TABLES", "authoritative", "derived"]

DECLARED = (customers, periods, proofs, stream_tickets, targets, views, waiting, webhooks)
TABLES = (*derived.sorted_tables, *authoritative.sorted_tables)
"""All of them, each after those that it refers to."""
